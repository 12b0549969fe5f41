// What an operand of a composite holds, numbers and tensors, is held once, and computed once.
#include <flame/expr/activation.hpp>
#include <flame/expr/loss.hpp>
#include <flame/language.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/tensor.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row, col> {
} x;

// The numbers and tensors that an expression holds, and its operations.
template <class E> constexpr int held_by(const E&) { return E::held_values::size; }
template <class E> constexpr int operations(const E&) {
  const graph g = E::to_graph();
  int count = 0;
  for (int n = 0; n < g.size(); ++n) count += g[n].code != op::leaf && g[n].code != op::constant;
  return count;
}

constexpr auto e = x * 2.0 + 1.0;
static_assert(held_by(e) == 2);

#define HOLDS_AS_ITS_OPERAND(...)                     \
  static_assert(held_by([] {                          \
                  constexpr auto operand = e;         \
                  return __VA_ARGS__;                 \
                }()) == 2);                           \
  static_assert(operations([] {                       \
                  constexpr auto operand = e;         \
                  return __VA_ARGS__;                 \
                }()) == 2 + operations([] {           \
                          constexpr auto operand = x; \
                          return __VA_ARGS__;         \
                        }()))

HOLDS_AS_ITS_OPERAND(relu(operand));
HOLDS_AS_ITS_OPERAND(silu(operand));
HOLDS_AS_ITS_OPERAND(gelu(operand));
HOLDS_AS_ITS_OPERAND(gelu_tanh(operand));
HOLDS_AS_ITS_OPERAND(softplus(operand));
HOLDS_AS_ITS_OPERAND(quick_gelu(operand));
HOLDS_AS_ITS_OPERAND(mish(operand));
HOLDS_AS_ITS_OPERAND(hardsigmoid(operand));
HOLDS_AS_ITS_OPERAND(hardswish(operand));
HOLDS_AS_ITS_OPERAND(log_sigmoid(operand));
HOLDS_AS_ITS_OPERAND(softmax(operand, col));
HOLDS_AS_ITS_OPERAND(log_softmax(operand, col));
HOLDS_AS_ITS_OPERAND(logsumexp(operand, col));
HOLDS_AS_ITS_OPERAND(var(operand, col));
HOLDS_AS_ITS_OPERAND(mse(operand, x));

// A composite's own numbers come on top of them.
static_assert(held_by(layer_norm(e, 1e-5, col)) == 3);
static_assert(held_by(elu(e, 0.5)) == 3);
static_assert(held_by(leaky_relu(e)) == 3);
static_assert(held_by(silu(softmax(silu(e), col) * 3.0)) == 3);
static_assert(kernels(silu(softmax(silu(e), col) * 3.0)) == 1);

// Tensors of eager work too.
using table = tensor<f32, row, col>;
using two = decltype(std::declval<table>() * std::declval<table>());
static_assert(two::held_values::size == 2);
static_assert(decltype(silu(std::declval<two>()))::held_values::size == 2);
static_assert(decltype(softmax(std::declval<table>(), col))::held_values::size == 1);

// What holds nothing is the formula that it was.
static_assert(same<decltype(silu(x)), decltype(x * sigmoid(x))>);
