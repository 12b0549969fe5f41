// Attention on the host against scores in memory.
#include "attention_cases.hpp"

TEST_CASE("attention on the host: every length, head and mask") {
  flame::attention_tests::check_all<flame::host>();
}

TEST_CASE("attention on the host: queries that see no key give zeros, and no gradient") {
  using namespace flame;
  using namespace flame::attention_tests;
  using l = leaves<f32>;
  const auto q = normal(key(1), batch == 1, query == 3, head == 1, feature == 4);
  const auto k = normal(key(2), batch == 1, token == 5, head == 1, feature == 4);
  const auto seen = eval(full<f32>(0, batch == 1, query == 3, token == 5) > 1.0f);
  auto y = by_options<f32, masking::boolean>();
  for (float x : compile<host>(y, l::q, l::k, l::v, l::seen)(q, k, k, seen).to_vector()) CHECK(x == 0);
  auto [dq, dk, dv] =
      compile<host>(grad(sum(y * y + y), l::q, l::k, l::v), l::q, l::k, l::v, l::seen)(q, k, k, seen);
  for (float x : dq.to_vector()) CHECK(x == 0);
  for (float x : dk.to_vector()) CHECK(x == 0);
  for (float x : dv.to_vector()) CHECK(x == 0);
}
