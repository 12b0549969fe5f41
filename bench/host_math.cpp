// Elements per second of the host's array functions on one core, in first-level cache: the median of many
// runs.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <flame/run/host/convert.hpp>
#include <flame/run/host/math.hpp>
#include <flame/run/host/random.hpp>
#include <flame/run/host/threads.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int count = 1024, repeats = 200, rounds = 31;

// Seconds a call, the median of `rounds` times `repeats` calls.
template <class F> double seconds(F&& f) {
  std::vector<double> all;
  for (int i = 0; i < rounds; ++i) {
    auto start = std::chrono::steady_clock::now();
    for (int j = 0; j < repeats; ++j) f();
    all.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats);
  }
  std::nth_element(all.begin(), all.begin() + rounds / 2, all.end());
  return all[rounds / 2];
}

std::string_view wanted;

template <class T> using unary = void (*)(const T*, T*, int);

template <class T> void report(const char* name, const char* type, unary<T> f, T low, T high) {
  if (std::string_view(name).find(wanted) == std::string_view::npos) return;
  std::vector<T> x(count), y(count);
  for (int i = 0; i < count; ++i) x[std::size_t(i)] = low + (high - low) * T(i) / T(count);
  double t = seconds([&] { f(x.data(), y.data(), count); });
  std::printf("%-12s %s  %6.2f G/s\n", name, type, count / t * 1e-9);
}

template <class To, class From> void report_conversion(const char* name) {
  if (std::string_view(name).find(wanted) == std::string_view::npos) return;
  std::vector<float> start(count);
  static From x[count];
  static To y[count];
  for (int i = 0; i < count; ++i) start[std::size_t(i)] = float(i);
  flame::host_kernels::array::convert(start.data(), x, count);
  double t = seconds([&] { flame::host_kernels::array::convert(x, y, count); });
  std::printf("%-17s %6.2f G/s\n", name, count / t * 1e-9);
}

template <class T> void report_random(const char* name, void (*f)(T*, flame::i64, flame::i64, flame::u64)) {
  if (std::string_view(name).find(wanted) == std::string_view::npos) return;
  std::vector<T> y(count);
  double t = seconds([&] { f(y.data(), 0, count, 1); });
  std::printf("%-17s %6.2f G/s\n", name, count / t * 1e-9);
}

#define REPORT(name, low, high)                                     \
  report<float>(#name, "f32", flame::host_kernels::array::name, low, high); \
  report<double>(#name, "f64", flame::host_kernels::array::name, low, high);

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) wanted = argv[1];
  namespace array = flame::host_kernels::array;
  REPORT(exp, -10, 10)
  REPORT(expm1, -3, 3)
  REPORT(log, 0.01f, 10)
  REPORT(log1p, -0.9f, 10)
  REPORT(sin, -10, 10)
  REPORT(cos, -10, 10)
  REPORT(tanh, -3, 3)
  REPORT(sigmoid, -6, 6)
  REPORT(erf, -3, 3)
  REPORT(sqrt, 0, 10)
  REPORT(rsqrt, 0.1f, 10)
  REPORT(reciprocal, 0.1f, 10)
  REPORT(floor, -10, 10)
  report<float>(
      "pow", "f32", [](const float* x, float* y, int n) { array::pow(x, x, y, n); }, 0.1f, 5);
  report<double>(
      "pow", "f64", [](const double* x, double* y, int n) { array::pow(x, x, y, n); }, 0.1, 5);
  report_random<float>("uniform f32", array::fill_uniform<float>);
  report_random<double>("uniform f64", array::fill_uniform<double>);
  report_random<float>("normal f32", array::fill_normal<float>);
  report_random<double>("normal f64", array::fill_normal<double>);
  using flame::bf16, flame::f16, flame::i32;
  report_conversion<bf16, float>("f32 to bf16");
  report_conversion<float, bf16>("bf16 to f32");
  report_conversion<f16, float>("f32 to f16");
  report_conversion<float, f16>("f16 to f32");
  report_conversion<double, float>("f32 to f64");
  report_conversion<float, double>("f64 to f32");
  report_conversion<i32, float>("f32 to i32");
  report_conversion<float, i32>("i32 to f32");
  report_conversion<bool, float>("f32 to bool");
  report_conversion<float, flame::u8>("u8 to f32");
  if (std::string_view("parallel_for").find(wanted) != std::string_view::npos &&
      flame::host_kernels::thread_count() > 1) {
    double t = seconds([] {
      std::atomic<int> arrived{0};
      flame::host_kernels::parallel_for(2, 1, [&](flame::i64, flame::i64) {
        for (++arrived; arrived < 2;) {
        }
      });
    });
    std::printf("parallel_for      %6.2f us until two threads have met\n", t * 1e6);
  }
}
