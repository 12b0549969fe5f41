// On a GPU: tensors move there because the program says so; formulas of them run there, in the order of a stream, and are
// waited for where an element is asked for. Memory and streams of the program's own, from CUDA's runtime, fit in.
// needs: flame::cuda
// test:
#include <flame/flame.hpp>

#include <cuda_runtime_api.h>
#include <iostream>

using namespace flame;

inline constexpr struct row : dim<> {} row;
inline constexpr struct col : dim<> {} col;
inline constexpr struct x : input<f32, row, col> {} x;
inline constexpr struct rate : input<f32> {} rate;

int main() try {
  if (cuda::device_count() == 0) {
    std::cout << "there is no NVIDIA GPU here\n";
    return 0;
  }

  // Made here and moved, or made there.
  const auto a = to<cuda>(normal(key(0), row == 1024, col == 512));
  const auto b = full<f32, cuda>(0.5, row == 1024, col == 512);

  // Eager: one kernel, compiled at its first use and kept on disk for the next run of the program.
  const auto c = eval(a * b + sin(a));
  std::cout << c << "\n\nthe sum: " << eval(sum(c)).item() << "\n\n";

  // Compiled: planned once for these extents. The rate is a number of the host's; a new one takes no new program.
  auto descend = compile<cuda>(x - rate * grad(sum(softmax(x, col) * x), x), x, rate);
  auto at = a;
  for (int i = 0; i < 10; ++i) at = descend(at, 1.0f / static_cast<float>(i + 1));
  std::cout << "after ten steps: " << to<host>(at).select(row, 0).slice(col, 0, 4) << "\n\n"
            << explain(descend, at, 0.1f) << "\n";

  // Memory that is not FLAME's, on a stream that is not.
  void* memory = nullptr;
  cudaStream_t stream = nullptr;
  if (cudaMalloc(&memory, 8 * sizeof(float)) != cudaSuccess || cudaStreamCreate(&stream) != cudaSuccess)
    throw error("on_gpu: CUDA's runtime refuses");
  cuda::set_stream(stream);
  {
    const auto mine = borrow<f32, cuda>(static_cast<float*>(memory), row == 2, col == 4);
    mine.fill(3);
    mine.copy_from(eval(mine * mine));
    std::cout << "in memory of the program's own: " << mine << "\n";
  }
  cuda::set_stream(nullptr);
  cudaStreamDestroy(stream), cudaFree(memory);
} catch (const std::exception& e) {
  std::cerr << "on_gpu: " << e.what() << "\n";
  return 1;
}
