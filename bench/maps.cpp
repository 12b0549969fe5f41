// Fused maps on 2^24 f32, beside bench/peer/maps.py: the same formulas, checked at the same point. Each call
// returns a new tensor, on both sides. With the argument `fresh` its memory comes from the system every time.
#include <flame/flame.hpp>

#include <chrono>
#include <cstdio>

using namespace flame;

inline constexpr struct element_axis : dim<> {
} element_axis;
inline constexpr struct a : input<f32, element_axis> {
} a;
inline constexpr struct b : input<f32, element_axis> {
} b;
inline constexpr struct c : input<f32, element_axis> {
} c;
inline constexpr struct d : input<f32, element_axis> {
} d;

using vector = tensor<f32, element_axis>;
using clock_type = std::chrono::steady_clock;

template <class F, class... T> void report(const char* name, F f, const T&... inputs) {
  for (int i = 0; i < 3; ++i) f(inputs...);
  std::vector<double> times;
  auto begin = clock_type::now();
  while (times.size() < 7 || std::chrono::duration<double>(clock_type::now() - begin).count() < 2) {
    auto t = clock_type::now();
    f(inputs...);
    times.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - t).count());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  // Bytes that cannot be spared: each input read once, the result written once.
  const double ms = times[times.size() / 2], bytes = 4.0 * static_cast<double>((sizeof...(T) + 1) << 24);
  std::printf("{\"name\": \"map.%s\", \"ms\": %.3f, \"gigabytes_per_second\": %.1f}\n", name, ms,
              bytes / ms / 1e6);
  std::fflush(stdout);
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "fresh") set_kept_memory_limit(0);
  const std::vector<i64> extents{1 << 24};
  vector x[4] = {vector(extents), vector(extents), vector(extents), vector(extents)};
  for (int i = 0; i < 4; ++i)
    for (i64 k = 0; k < x[i].size(); ++k)
      x[i].data()[k] = normal_element<float>(static_cast<u64>(i), static_cast<u64>(k));
  auto& [xa, xb, xc, xd] = x;

  report("five_transcendental",
         compile<host>(exp(-(a * a)) * sin(b) + tanh(c) * cos(a) + log(b * b + 1), a, b, c), xa, xb, xc);
  auto sum = a + b;
  report("gelu_tanh_bias",
         compile<host>(0.5 * sum * (1 + tanh(0.7978845608 * (sum + 0.044715 * sum * sum * sum))), a, b), xa,
         xb);
  auto s = sigmoid(b);
  report("swiglu_backward", compile<host>(c * a * (s * (1 + b * (1 - s))) + c * (b * s), a, b, c), xa, xb,
         xc);
  report("adam",
         compile<host>(a - 0.001 * (0.9 * b + 0.1 * d) / (sqrt(0.999 * (c * c) + 0.001 * (d * d)) + 1e-8), a,
                       b, c, d),
         xa, xb, xc, xd);
  report("polynomial",
         compile<host>(
             ((((((((((0.1 * a - 0.2) * a + 0.3) * a - 0.4) * a + 0.5) * a - 0.6) * a + 0.7) * a - 0.8) * a +
                0.9) *
                   a -
               1.0) *
                  a +
              1.1),
             a),
         xa);
  report("mish_residual", compile<host>(b + 0.5 * (a * tanh(log1p(exp(-abs(a))) + relu(a))) - 0.25 * b, a, b),
         xa, xb);
  report("select",
         compile<host>(where(a > b, clamp(a * c + b, -1, 1), a - b * c) * 0.5 + abs(c) * 0.25, a, b, c), xa,
         xb, xc);
  report("normalise", compile<host>(rsqrt(a * a + b * b + c * c + 1e-6) * (a * b + b * c + c * a), a, b, c),
         xa, xb, xc);
  report(
      "gelu_erf_backward",
      compile<host>(b * (0.5 * (1 + erf(0.7071067812 * a)) + 0.3989422804 * a * exp(-0.5 * (a * a))), a, b),
      xa, xb);
  report("waves", compile<host>(sin(a) * cos(b) - cos(a) * sin(b) + 0.5 * sin(c * a), a, b, c), xa, xb, xc);
}
