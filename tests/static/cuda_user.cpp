// A user's .cu file: nvcc compiles it, with kernels of its own beside FLAME's formulas. Linked with flame::cuda it runs.
// compilers: nvcc
#define FLAME_CUDA
#define FLAME_HOST_COMPILED
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;

__global__ void twice(float* values, i64 count) {
  const i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) values[i] *= 2;
}

float run() {
  cudaStream_t stream = nullptr;
  cudaStreamCreate(&stream);
  flame::cuda::set_stream(stream);  // one order for both
  float result = 0;
  {
    const auto a = ones<f32, flame::cuda>(row == 1000);
    twice<<<4, 256, 0, stream>>>(a.data(), a.size());
    auto f = compile<flame::cuda>(grad(sum(sin(x) * x), x), x);
    result = eval(sum(f(a) * 3)).item();
  }
  flame::cuda::set_stream(nullptr);
  cudaStreamDestroy(stream);
  return result;
}

int main() { return run() > 0 ? 0 : 1; }
