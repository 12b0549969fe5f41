// SDXL's blocks as they are trained, planned for a GPU and not run: linked with planned.cpp.
#include "../../../bench/sdxl_blocks.hpp"

int main() {
  sdxl_blocks::all<flame::cuda>([](const std::function<void()>& call) {
    call();
    return 0.0;
  });
}
