// Movement: order, names, parts and repetition of axes; nothing is computed, so every gradient is exact.
#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct whole : dim<> {
} whole;
inline constexpr struct head : dim<2> {
} head;
inline constexpr struct rest : dim<> {
} rest;
inline constexpr struct merged : dim<> {
} merged;
inline constexpr struct renamed : dim<> {
} renamed;
inline constexpr struct part : dim<> {
} part;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct cut : dim<3> {
} cut;
const int known = extents_for(whole, 6, 14, 66, 2) + extents_for(part, 6, 11, 35, 5);

const auto x = leaf<f64, row, col>("x");
const auto y = leaf<f64, row, other>("y");
const auto z = leaf<f64, plane, row, col>("z");
const auto w = leaf<f64, row, whole>("w");
const auto o = leaf<f64, row, part>("o");
const auto h = leaf<f64, row, three, col>("h");
const auto v = leaf<f64, col>("v");
const auto u = leaf<f64, row>("u");
const auto q = leaf<f64, part>("q");
const auto s = leaf<f64>("s");
const auto i = leaf<i32, row, col>("i", {-9, 9});
const auto on = leaf<bool, row, part>("on");

LAW(permute, permute(x, col, row), .linear = true)
LAW(permute_three, permute(z, col, plane, row), .linear = true)
LAW(permute_inner, permute(z, plane, col, row), .linear = true)
LAW(permute_chain, permute(exp(z), row, col, plane) * 2.0)
LAW(permute_integers, permute(i, col, row))
LAW(permute_of_product, permute(x* v, col, row) * u, .linear = true)
LAW(rename, rename(x, col, renamed), .linear = true)
LAW(rename_both, rename(x, col, renamed) * 2.0 + rename(tanh(x), col, renamed))
LAW(split, split(w, whole, head, rest), .linear = true)
LAW(split_last, split(w, whole, rest, head), .linear = true)
LAW(split_chain, tanh(split(w, whole, head, rest)))
LAW(merge, merge(h, three, col, merged), .linear = true)
LAW(merge_first, merge(h, row, three, merged), .linear = true)
LAW(merge_all, merge(h, row, three, col, merged), .linear = true)
LAW(merge_permuted, merge(permute(h, three, row, col), row, col, merged), .linear = true)
LAW(merge_strided, merge(permute(h, col, three, row), col, three, merged), .linear = true)
LAW(heads, permute(split(w, whole, head, rest), head, row, rest), .linear = true)
LAW(heads_and_back,
    merge(permute(permute(tanh(split(w, whole, head, rest)), head, row, rest), row, head, rest), head, rest,
          merged))
LAW(slice_begin, (slice<0, 3>(o, part, cut)), .linear = true, .empty = false)
LAW(slice_middle, (slice<1, 3>(o, part, cut)), .linear = true, .empty = false)
LAW(slice_to_end, (slice<2>(o, part, rest)), .linear = true, .empty = false)
LAW(slice_step, (slice<1, -1, 2>(o, part, rest)), .linear = true, .empty = false)
LAW(slice_counted_step, (slice<0, 2, 3>(o, part, rest)), .linear = true, .empty = false)
LAW(slice_chain, (exp(slice<1, 3>(o * o, part, cut))), .empty = false)
LAW(slice_boolean, (slice<1, 3>(on, part, cut)), .empty = false)
LAW(select_last_axis, (select<4>(o, part)), .linear = true, .empty = false)
LAW(select_first_axis, (select<2>(permute(o, part, row), part)), .linear = true, .empty = false)
LAW(select_middle_axis, (select<1>(h, three)), .linear = true)
LAW(select_only_axis, (select<3>(q, part)), .linear = true, .empty = false)
LAW(select_chain, (exp(select<0>(h, three)) * select<2>(tanh(h), three)))
LAW(select_boolean, (select<3>(on, part)), .empty = false)
LAW(pad, (pad<1, 2>(x, col, renamed)), .linear = true)
LAW(pad_first, (pad<2, 0>(x, row, renamed)), .linear = true)
LAW(pad_value, (pad<1, 1, 3>(x, col, renamed)))
LAW(pad_chain, (tanh(pad<1, 2>(x * x, col, renamed))))
LAW(pad_integers, (pad<1, 2, 7>(i, col, renamed)))
LAW(pad_slice, (slice<1, -1, 2>(pad<2, 1>(x, col, renamed), renamed, rest)), .linear = true)
LAW(concatenate, concatenate(x, col, y, other, merged), .linear = false)
LAW(concatenate_twice, concatenate(x, col, x* x, col, merged))
LAW(concatenate_chain, tanh(concatenate(exp(x), col, y* y, other, merged)))
LAW(concatenate_orders,
    concatenate(permute(z, row, plane, col), col, permute(z, row, plane, col) * 2.0, col, merged))
LAW(concatenate_split, (slice<2, 3>(concatenate(o, part, y, other, merged), merged, cut)), .empty = false)
LAW(broadcast_row, broadcast(v, row, col) * x, .linear = true)
LAW(broadcast_column, broadcast(u, col, row) * x, .linear = true)
LAW(broadcast_scalar, broadcast(s, row, col) * x, .linear = true)
LAW(broadcast_merged, merge(broadcast(x, plane, row, col), plane, row, merged) - merge(z, plane, row, merged))
LAW(broadcast_middle, merge(broadcast(tanh(x), row, plane, col), row, plane, merged) +
                          merge(permute(z, row, plane, col), row, plane, merged))
LAW(broadcast_scalar_merged, merge(broadcast(s, row, col), row, col, merged) - merge(x, row, col, merged))
LAW(broadcast_chain, broadcast(exp(v), row, col) * x)
LAW(broadcast_sum, sum(broadcast(v* v, row, col), row) + sum(x, row))
LAW(outer, broadcast(v, row, col) * u, .linear = true)
LAW(iota, cast<f64>(iota(col, x)) * x, .linear = true)
LAW(extent, extent<f64>(col, x) * x, .linear = true)
LAW(causal_mask, where(broadcast(iota(row, x), row, col) < iota(col, x), 0, x), .linear = true)

}  // namespace
}  // namespace flame::laws
