// Prints the kernels that this program starts on a GPU (--list), or says whether all were compiled
// beforehand, and runs them where there is a GPU.
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/cuda/ahead.hpp>
#include <flame/run/cuda/kernel_store.hpp>
#include <flame/run/cuda/names.hpp>
#include <flame/run/function.hpp>

#include <cstdio>
#include <cstring>

#include "user.hpp"

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct x : input<f32, row, column> {
} x;

// The gradient of a formula; its program is the same on every backend.
template <class Backend> auto slope() { return compile<Backend>(grad(sum(softmax(x, column) * x), x), x); }

int main(int count, char** words) try {
  auto names = cuda_kernels::kernel_names(slope<host>().plan(zeros<f32>(row == 64, column == 256)));
  for (const std::string& name : names_of_waves()) names.push_back(name);
  if (count > 1 && std::strcmp(words[1], "--list") == 0) {
    for (const std::string& name : names) std::puts(name.c_str());
    return 0;
  }

  const int architecture = cuda::device_count() > 0 ? cuda_kernels::kernel_store::of(0).architecture() : 90;
  int ahead = 0;
  for (const std::string& name : names)
    ahead += cuda_kernels::find_ahead(name.c_str(), architecture) != nullptr;
  std::printf("%d of %zu kernels were compiled beforehand\n", ahead, names.size());
  // Of flame::cuda itself.
  std::printf("copies: %s\n", cuda_kernels::find_ahead("flame::kernel::copy<4>", architecture)
                                  ? "beforehand"
                                  : "at first use");

  if (cuda::device_count() == 0) return std::puts("there is no NVIDIA GPU here"), 0;
  const auto y = slope<cuda>()(full<f32, cuda>(0.5, row == 64, column == 256));
  std::printf("%g %g\n", static_cast<double>(eval(sum(y)).item()), static_cast<double>(sum_of_waves(1000)));
  const auto& from = cuda_kernels::kernel_store::of(0).counts();
  std::printf("kernels: %d beforehand, %d kept, %d compiled now\n", from.ahead, from.from_disk,
              from.compiled);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "user: %s\n", e.what());
  return 1;
}
