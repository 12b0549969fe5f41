// What an eager expression on a GPU costs the host: the time of a call that launches and does not wait,
// beside a bare launch of a kernel.
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/cuda/copying.hpp>
#include <flame/run/cuda/kernel_store.hpp>
#include <flame/run/function.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace {

using namespace flame;
using clock = std::chrono::steady_clock;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;

double microseconds(clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

// us: the median call of the host, its result's memory taken and given back; p90: nine of ten calls take no
// longer; wall_us: calls that follow each other, until the GPU has done the last. Bursts of 200: fewer than a
// stream takes without waiting.
template <class F> void measure(const char* name, F&& call) {
  constexpr int burst = 200, bursts = 100;
  for (int i = 0; i < 2 * burst; ++i) call();
  cuda::synchronize();
  std::vector<double> calls, walls;
  for (int b = 0; b < bursts; ++b) {
    const clock::time_point begin = clock::now();
    clock::time_point last = begin;
    for (int i = 0; i < burst; ++i) {
      call();
      const clock::time_point now = clock::now();
      calls.push_back(microseconds(now - last));
      last = now;
    }
    cuda::synchronize();
    walls.push_back(microseconds(clock::now() - begin) / burst);
  }
  std::sort(calls.begin(), calls.end()), std::sort(walls.begin(), walls.end());
  std::printf("{\"name\": \"eager.%s\", \"us\": %.3f, \"p90\": %.3f, \"wall_us\": %.3f}\n", name,
              calls[calls.size() / 2], calls[calls.size() * 9 / 10], walls[walls.size() / 2]);
  std::fflush(stdout);
}

}  // namespace

int main() {
  const auto a = uniform<f32, cuda>(key(1), row == 1024), b = uniform<f32, cuda>(key(2), row == 1024);
  const auto to = zeros<f32, cuda>(row == 1024);
  cuda_kernels::kernel_store& kernels = cuda_kernels::kernel_store::of(cuda::device());
  cuda_kernels::axis_list<2> axes;
  axes.push(1024, 1, 1);
  const cuda_kernels::prepared_copy copy(axes, dtype::f32);
  kernels.prepare(copy.names());
  cuda::synchronize();
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return 1;
  cuda::set_stream(stream);
  measure("bare_launch", [&] { copy.run(kernels, a.data(), to.data(), stream); });
  {
    // A stream of the user's: its memory is CUDA's to give and take.
    const auto c = uniform<f32, cuda>(key(1), row == 1024), d = uniform<f32, cuda>(key(2), row == 1024);
    measure("map.user_stream", [&] { static_cast<void>(eval(c * d + sin(c))); });
  }
  cuda::set_stream(nullptr);

  measure("map", [&] { static_cast<void>(eval(a * b + sin(a))); });
  double n = 0;
  measure("map.changing_number", [&] { static_cast<void>(eval(a * (n += 1) + b)); });
  const auto square = uniform<f32, cuda>(key(3), row == 32, col == 32);
  measure("softmax", [&] { static_cast<void>(eval(softmax(square, col))); });
  const auto left = uniform<f32, cuda>(key(4), row == 64, inner == 64);
  const auto right = uniform<f32, cuda>(key(5), inner == 64, col == 64);
  measure("matmul", [&] { static_cast<void>(eval(matmul(left, right, inner))); });
}
