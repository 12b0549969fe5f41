// Gradients as types: elementwise functions, and the identities by which they become what a user would write.
// compilers: g++ clang++ nvcc
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<4> {
} col;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, col> {
} y;
inline constexpr struct s : input<f32> {
} s;
inline constexpr struct on : input<bool, row, col> {
} on;

template <class A, class B> constexpr bool alike(const A&, const B&) { return same<A, B>; }
#define GRADIENT(formula, expected) static_assert(alike(grad(sum(formula), x), expected))

// One operand.
GRADIENT(-x, broadcast(cast<f32>(-1_c), row, col));
GRADIENT(abs(x), sign(x));
GRADIENT(exp(x), exp(x));
GRADIENT(expm1(x), expm1(x) + 1_c);
GRADIENT(log(x), 1_c / x);
GRADIENT(log1p(x), 1_c / (x + 1_c));
GRADIENT(sqrt(x), 0.5_c / sqrt(x));
GRADIENT(rsqrt(x), -0.5_c * (rsqrt(x) * rsqrt(x) * rsqrt(x)));
GRADIENT(reciprocal(x), -(reciprocal(x) * reciprocal(x)));
GRADIENT(sin(x), cos(x));
GRADIENT(cos(x), -sin(x));
GRADIENT(tanh(x), 1_c - tanh(x) * tanh(x));
GRADIENT(sigmoid(x), sigmoid(x) * (1_c - sigmoid(x)));
GRADIENT(erf(x), 1.1283791670955126_c * exp(-(x * x)));  // 2 / sqrt(pi)

// Two operands.
GRADIENT(x + y, broadcast(cast<f32>(1_c), row, col));
GRADIENT(y - x, broadcast(cast<f32>(-1_c), row, col));
GRADIENT(x* y, y);
GRADIENT(x* x, 2_c * x);
GRADIENT(x / y, 1_c / y);
GRADIENT(y / x, -(y / x / x));
GRADIENT(2_c * x * y, y * 2_c);
GRADIENT(sin(x) * cos(x), cos(x) * cos(x) - sin(x) * sin(x));
GRADIENT(exp(x* y), exp(x* y) * y);

// Powers. Of a negative or zero base only what is defined: the derivative of a^0 is 0 everywhere.
GRADIENT(pow(x, 2_c), 2_c * x);
GRADIENT(pow(x, 3_c), 3_c * pow(x, 2_c));
GRADIENT(pow(x, 0.5_c), 0.5_c * pow(x, -0.5_c));
GRADIENT(pow(x, 0_c), broadcast(cast<f32>(0_c), row, col));
GRADIENT(pow(x, y), where(y == 0_c, 0_c, y* pow(x, y - 1_c)));
GRADIENT(pow(y, x), where(y == 0_c && x >= 0_c, 0_c, pow(y, x) * log(y)));

// Choices: halves at a tie of two, PyTorch's values at kinks.
GRADIENT(where(on, x, y), where(on, 1_c, cast<f32>(0_c)));
GRADIENT(where(on, y, x* x), 2_c * (x * where(!on, cast<f32>(1_c), 0_c)));
GRADIENT(maximum(x, y), where(x < y, 0_c, where(x == y, cast<f32>(0.5_c), 1_c)));
GRADIENT(minimum(x, y), where(y < x, 0_c, where(x == y, cast<f32>(0.5_c), 1_c)));
GRADIENT(relu(x), where(x <= 0_c, cast<f32>(0_c), 1_c));
GRADIENT(clamp(x, -1_c, 1_c), where(x >= -1_c && x <= 1_c, cast<f32>(1_c), 0_c));

// What has no derivative gets none.
GRADIENT(sign(x) * y, broadcast(cast<f32>(0_c), row, col));
GRADIENT(floor(x) * x, floor(x));
GRADIENT(cast<f32>(x < y) * x, cast<f32>(x < y));
GRADIENT(stop_gradient(x) * x, stop_gradient(x));
GRADIENT(stop_gradient(exp(x)), broadcast(cast<f32>(0_c), row, col));
GRADIENT(cast<f32>(cast<bf16>(x)) * y, cast<f32>(cast<bf16>(y)));

// To a wider type and back is nothing, to a narrower one it rounds.
static_assert(alike(cast<f32>(cast<f64>(x * y)) * y, x* y* y));
static_assert(!alike(cast<f32>(cast<bf16>(x * y)) * y, x* y* y));
static_assert(!alike(cast<bf16>(cast<f16>(cast<bf16>(x))), cast<bf16>(x)));

// Activations are composites: their derivatives come from their formulas.
GRADIENT(silu(x), sigmoid(x) + x * (sigmoid(x) * (1_c - sigmoid(x))));
GRADIENT(softplus(x), where(x < 0_c, 0_c, where(x == 0_c, cast<f32>(0.5_c), 1_c)) -
                          sign(x) * (exp(-abs(x)) * (1_c / (exp(-abs(x)) + 1_c))));

// A scalar, without a sum.
static_assert(alike(grad(s, s), cast<f32>(1_c) * 1_c));
static_assert(alike(grad(s * s * s, s), 3_c * (s * s)));
static_assert(alike(grad(sum(s * x * y), s), sum(x* y)));

// Identities: one type, however it was written. Signs stand outside of products and quotients.
static_assert(alike(x * y, y* x) && alike(x + y, y + x) && alike(maximum(x, y), maximum(y, x)));
static_assert(alike(x * 1_c, x) && alike(x - 0_c, x) && alike(x / 1_c, x) && alike(pow(x, 1_c), x));
static_assert(alike(-x * y, x * -y) && alike(-x * y, -(x* y)) && alike(-x * -y, x* y));
static_assert(alike(-x / y, -(x / y)) && alike(x / -y, -(x / y)) && alike(-x / -y, x / y));
static_assert(alike(-2_c * x, -(2_c * x)) && alike(2_c * -x, -(2_c * x)) && alike(-1_c / x, -reciprocal(x)));
static_assert(alike(x - -y, x + y) && alike(-x + y, y - x) && alike(-(-x), x));
static_assert(alike(x + x, 2_c * x) && alike(x + 2_c * x, 3_c * x) && alike(-x - x, -2_c * x));
static_assert(alike(1e-3_c * x, 0.001_c * x) && alike(2.5e2_c * x, 250_c * x) &&
              alike(1_c / 8_c * x, 0.125_c * x));
static_assert(alike(2_c * (3_c * x), 6_c * x) && alike(x / 4_c, 0.25_c * x));
static_assert(alike(abs(-x), abs(x)) && alike(abs(abs(x)), abs(x)) && alike(!!on, on));
static_assert(alike(where(!on, x, y), where(on, y, x)) && alike(where(on, x, x), x));
static_assert(alike(sum(x), sum(x, col, row)) && alike(sum(sum(x, row), col), sum(x)));

// What would give something else where an operand is infinite, NaN or zero stays as written.
static_assert(!alike(x * 0_c, 0_c * y) && !alike(x - x, y - y) && !alike(x / x, y / y));
static_assert(!alike(-(x - y), y - x) && !alike(3_c * x - 2_c * x, x) && !alike(!(x < y), y <= x));
static_assert(!alike(0_c - x, -x) && !alike(x + 0_c, x));
// And constants whose product or sum in f64 is no normal number of the element type.
static_assert(alike(1e20_c * (1e15_c * x), 1e35_c * x) && !alike(1e30_c * (1e30_c * x), 1e60_c * x));
static_assert(!alike(1e-30_c * (1e-30_c * x), 1e-60_c * x) && !alike(0_c * (2_c * x), 0_c * x));
static_assert(!alike(3e38_c * x + 3e38_c * x, 6e38_c * x) && alike(1e38_c * x + 1e38_c * x, 2e38_c * x));
static_assert(!alike((x + y) - y, x) && !alike(x / y, x* reciprocal(y)) && !alike(x / 3_c, x*(1_c / 3_c)));

int main() {}
