// Elementwise operations.
#include "../laws.hpp"

namespace flame::laws {
namespace {

using namespace flame::literals;

const auto x = leaf<f64, row, col>("x");
const auto y = leaf<f64, row, col>("y");
const auto p = leaf<f64, row, col>("p", positive);
const auto q = leaf<f64, col>("q", positive);
const auto v = leaf<f64, col>("v");
const auto u = leaf<f64, row>("u");
const auto s = leaf<f64>("s", positive);
const auto unit = leaf<f64, row, col>("unit", {-0.9, 0.9});
const auto on = leaf<bool, row, col>("on");
const auto off = leaf<bool, col>("off");
const auto i = leaf<i32, row, col>("i", {-6, 6});
const auto j = leaf<i32, row, col>("j", {-6, 6});
const auto big = leaf<i64, row, col>("big", {-9, 9});
const auto byte = leaf<u8, row, col>("byte", {0, 9});

// One operand.
LAW(neg, -x, .linear = true)
LAW(abs, abs(x))
LAW(sign, sign(x))
LAW(floor, floor(x))
LAW(exp, exp(x))
LAW(expm1, expm1(x))
LAW(log, log(p))
LAW(log1p, log1p(unit))
LAW(sqrt, sqrt(p))
LAW(rsqrt, rsqrt(p))
LAW(reciprocal, reciprocal(p))
LAW(sin, sin(x))
LAW(cos, cos(x))
LAW(tanh, tanh(x))
LAW(sigmoid, sigmoid(x))
LAW(erf, erf(x))
LAW(isfinite, isfinite(x))
LAW(isnan, isnan(x))
LAW(logical_not, !on)

// Two operands, of one shape and repeated along the axes that one lacks.
LAW(add, x + y, .linear = false)
LAW(sub, x - y)
LAW(mul, x* y, .linear = true)
LAW(div, x / p)
LAW(pow, pow(p, y))
LAW(add_row, x + v)
LAW(sub_row, v - x)
LAW(mul_row, v* x, .linear = true)
LAW(div_row, x / q)
LAW(row_div, v / p)
LAW(pow_row, pow(p, v))
LAW(row_pow, pow(q, x))
LAW(mul_column, x* u, .linear = true)
LAW(row_and_column, x* u + v)
LAW(mul_scalar, x* s, .linear = true)
LAW(scalar_div, s / p)
LAW(div_scalar, x / s)
LAW(add_number, x + 1.25)
LAW(number_sub, 2_c - x)
LAW(mul_number, x * 3, .linear = true)
LAW(div_number, x / 3, .linear = true)
LAW(number_div, 1 / p)
LAW(pow_number, pow(p, 2.5))
LAW(pow_two, pow(x, 2_c))
LAW(pow_three, pow(x, 3_c))
LAW(pow_one, pow(x, 1_c), .linear = true)
LAW(pow_zero, pow(x, 0_c))
LAW(pow_half, pow(p, 0.5_c))
LAW(number_pow, pow(2.5, x))
LAW(minimum, minimum(x, y))
LAW(maximum, maximum(x, y))
LAW(minimum_row, minimum(x, v))
LAW(maximum_number, maximum(x, 0.5))
LAW(less, x < y)
LAW(less_equal, x <= y)
LAW(greater, x > v)
LAW(greater_equal, x >= 0.25)
LAW(equal, x == x)
LAW(not_equal, x != v)
LAW(logical_and, on&& off)
LAW(logical_or, off || on)

// Three operands.
LAW(where, where(on, x, y))
LAW(where_row, where(off, x, v))
LAW(where_number, where(on, x, 0.5), .linear = false)
LAW(where_compared, where(x < y, x* x, y* x))

// Chains, as fusion sees them.
LAW(chain, tanh(x* v + u) * sigmoid(x - y) / (p + s))
LAW(shared_square, (x + y) * (x + y) - (x + y))
LAW(polynomial, ((x * 0.5 + 1.5) * x - 2.25) * x + 0.125)

// Integers and booleans: no gradient, the same values.
LAW(integer_neg, -i)
LAW(integer_abs, abs(i))
LAW(integer_sign, sign(i))
LAW(integer_add, i + j)
LAW(integer_sub, i - j)
LAW(integer_mul, i* j)
LAW(integer_minimum, minimum(i, j))
LAW(integer_maximum, maximum(i, j))
LAW(integer_less, i < j)
LAW(integer_equal, i == j)
LAW(long_add, big + big * big)
LAW(byte_add, byte + byte)
LAW(boolean_equal, on == off)
LAW(where_integer, where(on, i, j))

// Casts.
LAW(cast_to_f32, cast<f32>(x), .half = false, .differences = 2e-3)
LAW(cast_to_i32, cast<i32>(x))
LAW(cast_to_bool, cast<bool>(i))
LAW(cast_from_i32, cast<f64>(i) * x)
LAW(cast_from_i64, cast<f64>(big))
LAW(cast_from_u8, cast<f64>(byte))
LAW(cast_from_bool, cast<f64>(on) * x)
LAW(cast_i32_to_i64, cast<i64>(i) + big)
LAW(cast_i64_to_i32, cast<i32>(big))
LAW(cast_i32_to_u8, cast<u8>(i))

}  // namespace
}  // namespace flame::laws
