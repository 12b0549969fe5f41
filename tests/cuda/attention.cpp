// Attention on a GPU against scores in memory on the host.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include "../run/attention_cases.hpp"

TEST_CASE("attention on a GPU: every length, head and mask") {
  flame::attention_tests::check_all<flame::cuda>();
}
