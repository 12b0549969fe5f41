// The README's first block.
// test:
#include <flame/flame.hpp>

#include <cstdio>

using namespace flame;

inline constexpr struct batch : dim<> {} batch;      // an axis whose extent run time knows
inline constexpr struct feature : dim<3> {} feature;  // and one that the compiler knows

inline constexpr struct x : input<f32, batch, feature> {} x;

// A gradient is an expression, and an expression is a type.
static_assert(same<decltype(grad(sum(sin(x)), x)), decltype(cos(x))>);
// A chain of elementwise operations is one kernel; so is a softmax with its gradient.
static_assert(kernels(gelu(x * x + 1) * tanh(x)) == 1);
static_assert(kernels(grad(sum(softmax(x, feature) * x), x)) == 1);

int main() {
  tensor<f32, batch, feature> a{{1, 2, 3}, {4, 5, 6}};
  auto loss = compile<host>(value_and_grad(mean(log_softmax(x, feature)), x), x);
  auto [value, gradient] = loss(a);
  std::printf("%g\n", double(value.item()));
}
