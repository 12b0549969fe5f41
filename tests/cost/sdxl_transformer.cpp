// SDXL's transformer block with adapters and its training step in bf16.
#include "../../bench/sdxl_blocks.hpp"

int main() {
  sdxl_blocks::transformer<flame::cuda>([](const std::function<void()>& call) { return call(), 0.0; }, 640, 4096);
}
