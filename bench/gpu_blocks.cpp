// SDXL's blocks on a GPU, beside bench/peer/gpu_blocks.py.
#include "sdxl_blocks.hpp"

#include <flame/run/cuda/execute.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

namespace {

// The median of rounds of 20 calls, each waited for: nothing waits within a round.
double median_ms(const std::function<void()>& call) {
  using clock = std::chrono::steady_clock;
  for (int i = 0; i < 10; ++i) call();
  flame::cuda_code::synchronize();
  std::vector<double> times;
  for (int round = 0; round < 21; ++round) {
    const clock::time_point begun = clock::now();
    for (int i = 0; i < 20; ++i) call();
    flame::cuda_code::synchronize();
    times.push_back(std::chrono::duration<double, std::milli>(clock::now() - begun).count() / 20);
  }
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

}  // namespace

int main() { sdxl_blocks::all<flame::cuda>(median_ms); }
