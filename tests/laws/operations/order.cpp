// Running sums, the largest elements, values put where an index says.
#include <flame/expr/order.hpp>

#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct best : dim<> {
} best;
inline constexpr struct one : dim<1> {
} one;
inline constexpr struct token : dim<> {
} token;
const int known = extents_for(best, 2, 4, 7, 1) + extents_for(token, 3, 5, 11);

const auto x = leaf<f64, row, col>("x");
const auto z = leaf<f64, plane, row, col>("z");
const auto v = leaf<f64, col>("v");
const auto w = leaf<f64, best>("w");
const auto i = leaf<i32, row, col>("i", {-9, 9});
const auto big = leaf<i64, row, col>("big", {-9, 9});
const auto byte = leaf<u8, row, col>("byte", {0, 9});
const auto index = leaf<i32, token>("index", {.below = axis_ptr<struct col>});
const auto rows = leaf<i64, plane, token>("rows", {.below = axis_ptr<struct row>});
const auto values = leaf<f64, row, token>("values");
const auto deep = leaf<f64, plane, token, col>("deep");

LAW(cumsum, cumsum(x, col), .linear = true)
LAW(cumsum_first, cumsum(x, row), .linear = true)
LAW(cumsum_middle, cumsum(z, row), .linear = true)
LAW(cumsum_vector, cumsum(v, col), .linear = true)
LAW(cumsum_chain, sum(tanh(cumsum(x* x, col)) * x, row))
LAW(cumsum_integers, cumsum(i, col))
LAW(cumsum_longs, cumsum(big, row))
LAW(cumsum_bytes, cumsum(byte, col))
LAW(top_indices, top_indices(x, col, one), .empty = false)
LAW(top_integers, top_indices(i, row, one), .empty = false)
LAW(top_k, std::get<0>(top_k(x, col, best)) * w, .empty = false)
LAW(top_k_middle, std::get<0>(top_k(tanh(z), row, one)), .empty = false)
LAW(scatter_add, scatter_add(x, index, values, col), .empty = false)
LAW(scatter_add_rows, scatter_add(z, rows, tanh(deep), row), .empty = false)
LAW(scatter_values, scatter(z, rows, deep, row), .empty = false)

}  // namespace
}  // namespace flame::laws
