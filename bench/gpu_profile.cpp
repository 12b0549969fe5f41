// Where the time of a training step goes on a GPU, step by step.
#include "steps.hpp"

#include <flame/run/cuda/profile.hpp>

int main() {
  steps::inspect = [](const char* name, const flame::program& plan) {
    std::printf("== %s\n%s", name, flame::profile(plan).c_str());
  };
  steps::all<flame::cuda>([](const std::function<void()>& call) {
    call();
    flame::cuda_code::synchronize();
    return 0.0;
  });
}
