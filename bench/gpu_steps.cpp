// Whole training steps on a GPU, beside bench/peer/gpu_steps.py.
#include "steps.hpp"

#include <flame/run/cuda/execute.hpp>

namespace {

// The median of rounds of 100 calls, each waited for: nothing waits within a round.
double median_ms(const std::function<void()>& call) {
  using digits::clock;
  for (int i = 0; i < 20; ++i) call();
  flame::cuda_code::synchronize();
  std::vector<double> times;
  for (int round = 0; round < 21; ++round) {
    clock::time_point t = clock::now();
    for (int i = 0; i < 100; ++i) call();
    flame::cuda_code::synchronize();
    times.push_back(1e3 * digits::seconds_since(t) / 100);
  }
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

}  // namespace

int main() { steps::all<flame::cuda>(median_ms); }
