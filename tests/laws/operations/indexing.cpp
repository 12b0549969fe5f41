// Indexing: gather, whose gradient is scatter_add, and random numbers.
#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct token : dim<> {
} token;
inline constexpr struct class_ : dim<10> {
} class_;
const int known = extents_for(token, 6, 7, 41);

const auto table = leaf<f64, entry, col>("table");
const auto fixed = leaf<f64, class_, col>("fixed");
const auto x = leaf<f64, row, entry>("x");
const auto z = leaf<f64, plane, entry, col>("z");
const auto v = leaf<f64, entry>("v");
const auto i = leaf<i32, token>("i", {.below = axis_ptr<struct entry>});
const auto wide = leaf<i64, row, token>("wide", {.below = axis_ptr<struct entry>});
const auto small = leaf<u8, token>("small", {.below = axis_ptr<struct entry>});
const auto digit = leaf<i32, token>("digit", {.below = axis_ptr<struct class_>});
const auto one = leaf<i32>("one", {.below = axis_ptr<struct entry>});
const auto step = leaf<i32>("step", {0, 1000});
const auto along = leaf<i32, row>("along", {.below = axis_ptr<struct entry>});
const auto integers = leaf<i32, entry>("integers", {-9, 9});
const auto dense = leaf<f64, row, col>("dense");
const auto k = leaf<key>("k");

LAW(embedding, embedding(table, i), .linear = true, .empty = false)
LAW(embedding_fixed, embedding(fixed, digit), .linear = true)
LAW(embedding_batched, embedding(table, wide), .linear = true, .empty = false)
LAW(embedding_chain, tanh(embedding(table* table, i)), .empty = false)
LAW(gather_first, gather(table, small, entry), .linear = true, .empty = false)
LAW(gather_last, gather(x, i, entry), .linear = true, .empty = false)
LAW(gather_middle, gather(z, i, entry), .linear = true, .empty = false)
LAW(gather_vector, gather(v, wide, entry), .linear = true, .empty = false)
LAW(gather_one, gather(table, one, entry), .linear = true, .empty = false)
LAW(gather_together, gather(x, along, entry), .linear = true, .empty = false)
LAW(gather_together_more, gather(x, wide, entry), .linear = true, .empty = false)
LAW(gather_integers, gather(integers, i, entry), .empty = false)

LAW(uniform, (uniform<f64>(k, row, col) + dense * 0.0))
LAW(uniform_like, uniform_like(dense, k) * dense, .linear = true)
LAW(normal, normal_like(dense, k) + dense)
LAW(normal_sites, normal_like<1>(dense, k) * dense - normal_like<2>(dense, k))
LAW(fold, uniform_like(dense, fold(k, 7)) * dense, .linear = true)
LAW(fold_twice, normal_like(dense, fold(fold(k, 1), 2)) + dense)
LAW(fold_position, uniform_like(dense, fold(k, step)) + dense)
LAW(dropout, dropout(dense, 0.25, k), .linear = true)
LAW(dropout_chain, sum(dropout(tanh(dense), 0.5, k) * dense, col))
LAW(noise, sum(normal_like(dense, k) * dense, row), .linear = true)

}  // namespace
}  // namespace flame::laws
