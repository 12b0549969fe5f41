// Where the time of a training step goes on a GPU, step by step: `gpu_profile [FOLDER]`, in which there are
// pictures too.
#include "steps.hpp"

#include <flame/run/cuda/profile.hpp>

namespace {
std::string folder;
}

int main(int argc, char** argv) {
  if (argc > 1) folder = argv[1];
  steps::inspect = [](const char* name, const flame::program& plan) {
    static const flame::gpu_limits most = flame::measure_limits();
    const flame::program_profile profile = flame::measure_profile(plan, most);
    std::printf("== %s\n%s", name, flame::profile_text(profile).c_str());
    if (!folder.empty())
      flame::write_profile_svg(folder + "/" + name + ".svg", profile, std::string("a step of ") + name);
  };
  steps::all<flame::cuda>([](const std::function<void()>& call) {
    call();
    flame::cuda_code::synchronize();
    return 0.0;
  });
}
