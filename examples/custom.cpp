// A function with a derivative of its own: rounding to a grid, whose true derivative is 0 almost everywhere,
// lets the gradient through as if it were not there (the straight-through estimator), so that weights kept on
// a grid can be trained. Elsewhere a derivative is given because it is cheaper or stabler than the formula's
// own.
// test:
#include <flame/flame.hpp>

#include <iostream>

using namespace flame;

inline constexpr struct sample : dim<> {} sample;
inline constexpr struct feature : dim<> {} feature;

inline constexpr struct x : input<f32, sample, feature> {} x;
inline constexpr struct w : input<f32, feature> {} w;
inline constexpr struct target : input<f32, sample> {} target;

// What it computes; and what becomes of d, the gradient of the result: the gradient of its argument.
inline constexpr auto on_grid = custom([](auto v) { return floor(v * 4 + 0.5) / 4; },  //
                                       [](auto, auto d) { return d; });

int main() {
  const tensor<f32, feature> start{0.3, -1.6, 0.9};
  std::cout << "on the grid: " << eval(on_grid(start)) << "\n\n";

  // Without a derivative of its own nothing would ever move.
  auto rounded = mse(matmul(x, on_grid(w), feature), target);
  auto step = compile<host>(value_and_grad(rounded, w), x, w, target);

  const auto data = normal(key(0), sample == 64, feature == 3);
  const auto answers = eval(matmul(data, tensor<f32, feature>{1.25, -0.5, 2}, feature));

  auto weight = start;
  for (int i = 0; i < 60; ++i) {
    auto [loss, slope] = step(data, weight, answers);
    weight = eval(weight - 0.1 * slope);
    if (i % 10 == 0) std::cout << "step " << i << ", loss " << loss << "\n";
  }
  std::cout << "weights on the grid: " << eval(on_grid(weight)) << "\n";
}
