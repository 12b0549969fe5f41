// A formula of FLAME beside a kernel of the program's own, compiled by nvcc.
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/cuda/names.hpp>
#include <flame/run/function.hpp>

#include "user.hpp"

using namespace flame;

inline constexpr struct place : dim<> {
} place;
inline constexpr struct height : input<f32, place> {
} height;

template <class Backend> auto waves() { return compile<Backend>(sum(sin(height) * exp(-height)), height); }

__global__ void count_up(float* values, i64 count) {
  const i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) values[i] = static_cast<float>(i) / static_cast<float>(count);
}

std::vector<std::string> names_of_waves() {
  return cuda_kernels::kernel_names(waves<host>().plan(zeros<f32>(place == 1000)));
}

float sum_of_waves(i64 count) {
  const auto heights = zeros<f32, flame::cuda>(place == count);
  count_up<<<static_cast<unsigned>((count + 255) / 256), 256, 0,
             static_cast<cudaStream_t>(flame::cuda::stream())>>>(heights.data(), count);
  return waves<flame::cuda>()(heights).item();
}
