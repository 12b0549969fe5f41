// Reductions, and the composites made of them.
#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct digit : dim<10> {
} digit;

const auto x = leaf<f64, row, col>("x");
const auto y = leaf<f64, row, col>("y");
const auto z = leaf<f64, plane, row, col>("z");
const auto p = leaf<f64, row, col>("p", positive);
const auto near_one = leaf<f64, row, col>("near_one", {0.7, 1.4});
const auto cube = leaf<f64, plane, row, col>("cube", {0.8, 1.2});
const auto v = leaf<f64, col>("v");
const auto weight = leaf<f64, col>("weight", positive);
const auto s = leaf<f64>("s");
const auto on = leaf<bool, row, col>("on");
const auto i = leaf<i32, row, col>("i", {-9, 9});
const auto big = leaf<i64, row, col>("big", {-9, 9});
const auto byte = leaf<u8, row, col>("byte", {0, 9});
const auto label = leaf<i32, row>("label", {.below = axis_ptr<struct col>});
const auto digits = leaf<i32, row, plane>("digits", {.below = axis_ptr<struct digit>});
const auto target = leaf<i64, plane, row>("target", {.below = axis_ptr<struct col>});

// Over the last axis, the first, the middle one, several, all, none.
LAW(sum_last, sum(x, col), .linear = true)
LAW(sum_first, sum(x, row), .linear = true)
LAW(sum_middle, sum(z, row), .linear = true)
LAW(sum_outer, sum(z, plane, row), .linear = true)
LAW(sum_inner, sum(z, row, col), .linear = true)
LAW(sum_around, sum(z, plane, col), .linear = true)
LAW(sum_all, sum(z), .linear = true)
LAW(sum_vector, sum(v), .linear = true)
LAW(sum_of_scalar, sum(s), .linear = true)
LAW(sum_of_chain, sum(exp(x) * y, col))
LAW(sum_of_columns, sum(x* y + x, row))
LAW(sum_of_square, sum(x* x))
LAW(sum_over_lacking, sum(x* v, col))

LAW(prod_last, prod(p, col))
LAW(prod_first, prod(near_one, row))
LAW(prod_middle, prod(cube, row))
LAW(prod_all, prod(cube * 1.01))
LAW(prod_signs, prod(x, row), .half = false)
LAW(max_last, max(x, col))
LAW(max_first, max(x, row))
LAW(max_middle, max(z, row))
LAW(max_two, max(z, row, col))
LAW(max_all, max(x))
LAW(min_last, min(x, col))
LAW(min_first, min(x, row))
LAW(min_middle, min(z, row))
LAW(min_all, min(z))
LAW(argmax_last, argmax(x, col), .empty = false)
LAW(argmax_first, argmax(x, row), .empty = false)
LAW(argmax_middle, argmax(z, row), .empty = false)
LAW(argmax_integers, argmax(i, col), .empty = false)

LAW(mean_last, mean(x, col), .linear = true)
LAW(mean_first, mean(x, row), .linear = true)
LAW(mean_two, mean(z, plane, col), .linear = true)
LAW(mean_all, mean(z), .linear = true)
LAW(var, var(x, col))
LAW(var_population, var<0>(x, col))
LAW(var_first, var<0>(x, row))
LAW(var_two, var<0>(z, row, col))
LAW(var_all, var(x))

LAW(any, any(on, col))
LAW(all, all(on, row))
LAW(integer_sum, sum(i, col))
LAW(integer_sum_columns, sum(i, row))
LAW(integer_prod, prod(i, row))
LAW(integer_max, max(i, col))
LAW(integer_min, min(i, row))
LAW(long_sum, sum(big, row))
LAW(long_max, max(big, col))
LAW(byte_sum, sum(byte, col))
LAW(byte_max, max(byte, row))
LAW(count, sum(cast<f64>(on), col))

LAW(logsumexp, logsumexp(x, col))
LAW(logsumexp_first, logsumexp(x, row))
LAW(logsumexp_all, logsumexp(x))
LAW(logsumexp_large, logsumexp(x * 300, col), .half = false)
LAW(softmax, softmax(x, col))
LAW(softmax_first, softmax(x, row))
LAW(softmax_middle, softmax(z, row))
LAW(softmax_two, softmax(z, row, col))
LAW(softmax_large, softmax(x * 100, col), .half = false)
LAW(log_softmax, log_softmax(x, col))
LAW(log_softmax_first, log_softmax(x, row))
LAW(layer_norm, layer_norm(x, 1e-5, col))
LAW(layer_norm_affine, layer_norm(x, 1e-3, col) * weight + v)
LAW(layer_norm_first, layer_norm(x, 1e-3, row),
    .f32 = 3e-5)  // repeated rows cancel to 0, times 1 / sqrt(eps)
LAW(layer_norm_two, layer_norm(z, 1e-5, row, col))
LAW(layer_norm_chain, layer_norm(x* sigmoid(x), 1e-5, col) * v + y,
    .f32 = 3e-5)  // fused, x sigmoid(x) less its mean of one is the product's rounding, times 1 / sqrt(eps)
LAW(rms_norm, x* rsqrt(mean(x* x, col) + 1e-6) * weight)

LAW(relu, relu(x))
LAW(silu, silu(x))
LAW(gelu, gelu(x))
LAW(gelu_tanh, gelu_tanh(x))
LAW(softplus, softplus(x))
LAW(softplus_far, softplus(x * 40), .half = false)
LAW(clamp, clamp(x, -0.5, 1.0))
LAW(clamp_low, clamp(x, 0.5, 100))
LAW(geglu, gelu(x) * y + x)

LAW(cross_entropy, cross_entropy(x, label), .empty = false)
LAW(cross_entropy_batched, cross_entropy(z, target), .empty = false)
LAW(mse, mse(x, y))
LAW(mse_row, mse(x, v))
LAW(one_hot, one_hot<f64>(digits, digit))
LAW(one_hot_weighted, one_hot<f64>(label, col) * x, .linear = true, .empty = false)
LAW(one_hot_two, sum(one_hot<f64>(digits, digit) * 2.0, row))

// Rows into columns and back: several kinds of reduction of one value.
LAW(row_and_column_sums, x* sum(x, col) * sum(x, row) + x)
LAW(centred_columns, (x - mean(x, row)) * (x - mean(x, col)))
LAW(sum_of_softmax_column, sum(softmax(x, col) * y, row))
LAW(total_of_rows, sum(logsumexp(x, col) * sum(y, col)))
LAW(normalised_by_total, x / sum(p))
LAW(scalar_chain, exp(mean(x* x)) * x + log(sum(p)))

}  // namespace
}  // namespace flame::laws
