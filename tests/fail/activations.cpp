// Activations are of floating numbers, and say their own names; so are random draws of keys.
// error 1: flame::silu(x): the operand must have a floating element type
// error 2: flame::gelu(x): the operand must have a floating element type
// error 3: flame::gelu_tanh(x): the operand must have a floating element type
// error 4: flame::softplus(x): the operand must have a floating element type
// error 5: flame::quick_gelu(x): the operand must have a floating element type
// error 6: flame::leaky_relu(x, slope): the operand must have a floating element type
// error 7: flame::elu(x, alpha): the operand must have a floating element type
// error 8: flame::mish(x): the operand must have a floating element type
// error 9: flame::log_sigmoid(x): the operand must have a floating element type
// error 10: flame::hardsigmoid(x): the operand must have a floating element type
// error 11: flame::hardswish(x): the operand must have a floating element type
// error 12: flame::swiglu(a, b): the operand must have a floating element type
// error 13: flame::geglu(a, b): the operand must have a floating element type
// error 14: flame::exp(x): the operand must have a floating element type
// error 15: flame::abs(x): the operand must be a number, not a boolean or a key
// error 16: flame::dropout(x, p, key): the operand must have a floating element type
// error 17: flame::normal(key, axes...): the operand must have a floating element type
// error 18: flame::normal(key, axes...): the first operand must be a random key
// error 19: flame::uniform(key, axes...): the first operand must be a random key
// error 20: flame::fold(key, n): the first operand must be a random key
#include <flame/expr/activation.hpp>
#include <flame/expr/random.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct half : dim<3> {
} half;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct n : input<i32, row, col> {
} n;
inline constexpr struct bits : input<key> {
} bits;

#if MUST_FAIL == 1
auto refused = silu(n);
#elif MUST_FAIL == 2
auto refused = gelu(n);
#elif MUST_FAIL == 3
auto refused = gelu_tanh(n);
#elif MUST_FAIL == 4
auto refused = softplus(n);
#elif MUST_FAIL == 5
auto refused = quick_gelu(n);
#elif MUST_FAIL == 6
auto refused = leaky_relu(n, 0.1);
#elif MUST_FAIL == 7
auto refused = elu(n);
#elif MUST_FAIL == 8
auto refused = mish(n);
#elif MUST_FAIL == 9
auto refused = log_sigmoid(n);
#elif MUST_FAIL == 10
auto refused = hardsigmoid(n);
#elif MUST_FAIL == 11
auto refused = hardswish(n);
#elif MUST_FAIL == 12
auto refused = swiglu(n, n);
#elif MUST_FAIL == 13
auto refused = geglu(n, col, half);
#elif MUST_FAIL == 14
auto refused = exp(n);
#elif MUST_FAIL == 15
auto refused = abs(n > 0);
#elif MUST_FAIL == 16
auto refused = dropout(n, 0.1, bits);
#elif MUST_FAIL == 17
auto refused = normal<i32>(bits, col);
#elif MUST_FAIL == 18
auto refused = normal(x, col);
#elif MUST_FAIL == 19
auto refused = uniform(x, col);
#elif MUST_FAIL == 20
auto refused = fold(x, 1);
#else
auto taken_1 = silu(x);
auto taken_2 = gelu(x);
auto taken_3 = gelu_tanh(x);
auto taken_4 = softplus(x);
auto taken_5 = quick_gelu(x);
auto taken_6 = leaky_relu(x, 0.1);
auto taken_7 = elu(x);
auto taken_8 = mish(x);
auto taken_9 = log_sigmoid(x);
auto taken_10 = hardsigmoid(x);
auto taken_11 = hardswish(x);
auto taken_12 = swiglu(x, x);
auto taken_13 = geglu(x, col, half);
auto taken_14 = exp(x);
auto taken_15 = abs(n);
auto taken_16 = dropout(x, 0.1, bits);
auto taken_17 = normal(bits, col);
auto taken_19 = uniform(bits, col);
auto taken_20 = fold(bits, 1);
#endif

int main() {}
