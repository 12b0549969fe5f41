// Gradients: grad(e, x) is again an expression, so it is a type too. It can be compared with what it should
// be, printed, differentiated again, and compiled together with the value.
// test:
#include <flame/flame.hpp>

#include <iostream>

using namespace flame;
using namespace flame::literals;

inline constexpr struct sample : dim<> {} sample;
inline constexpr struct feature : dim<> {} feature;

inline constexpr struct x : input<f32, sample, feature> {} x;
inline constexpr struct w : input<f32, feature> {} w;
inline constexpr struct target : input<f32, sample> {} target;

// The derivative of the sine is the cosine, and its derivative is -sin: while this file is compiled.
static_assert(same<decltype(grad(sum(sin(x)), x)), decltype(cos(x))>);
static_assert(same<decltype(grad(sum(grad(sum(sin(x)), x)), x)), decltype(-sin(x))>);
static_assert(same<decltype(grad(sum(x * x), x)), decltype(2_c * x)>);
// A softmax and its gradient are one kernel.
static_assert(kernels(grad(sum(softmax(x, feature) * x), x)) == 1);

int main() {
  std::cout << "grad(sum(tanh(x)), x) = " << print(grad(sum(tanh(x)), x)) << "\n\n";

  // Least squares: the value and its gradient are one program.
  constexpr auto error_of = mse(matmul(x, w, feature), target);
  auto step = compile<host>(value_and_grad(error_of, w), x, w, target);

  const auto data = normal(key(0), sample == 64, feature == 3);
  const tensor<f32, feature> truth{2, -1, 0.5};
  const auto answers = eval(matmul(data, truth, feature));

  auto weight = zeros<f32>(feature == 3);
  for (int i = 0; i < 50; ++i) {
    auto [error_now, slope] = step(data, weight, answers);
    weight = eval(weight - 0.2 * slope);
    if (i % 10 == 0) std::cout << "step " << i << ", error " << error_now << "\n";
  }
  std::cout << "weights " << weight << "\n";
}
