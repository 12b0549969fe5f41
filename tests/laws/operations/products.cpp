// Contractions over named axes, and what is written from them.
#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct more : dim<> {
} more;
inline constexpr struct same : dim<> {
} same;
inline constexpr struct rank : dim<> {
} rank;
inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct sixteen : dim<16> {
} sixteen;
const int known = extents_for(inner, 4, 11, 70) + extents_for(more, 2, 3, 9) + extents_for(rank, 2, 4, 8) +
                  extents_for(batch, 2, 3, 4);

const auto a = leaf<f64, row, inner>("a");
const auto at = leaf<f64, inner, row>("at");
const auto b = leaf<f64, inner, col>("b");
const auto bt = leaf<f64, col, inner>("bt");
const auto v = leaf<f64, inner>("v");
const auto u = leaf<f64, row>("u");
const auto w = leaf<f64, col>("w");
const auto ba = leaf<f64, batch, row, inner>("ba");
const auto bat = leaf<f64, batch, inner, row>("bat");
const auto bb = leaf<f64, batch, inner, col>("bb");
const auto bbt = leaf<f64, batch, col, inner>("bbt");
const auto inside = leaf<f64, row, batch, inner>("inside");
const auto two = leaf<f64, row, inner, more>("two");
const auto two_b = leaf<f64, more, inner, col>("two_b");
const auto fixed = leaf<f64, row, sixteen>("fixed");
const auto fixed_b = leaf<f64, sixteen, col>("fixed_b");
const auto down = leaf<f64, rank, inner>("down");
const auto up = leaf<f64, col, rank>("up");

LAW(matmul, matmul(a, b, inner), .linear = true)
LAW(matmul_by_place, matmul(a, b), .linear = true)
LAW(matmul_left_transposed, matmul(at, b, inner), .linear = true)
LAW(matmul_right_transposed, matmul(a, bt, inner), .linear = true)
LAW(matmul_both_transposed, matmul(at, bt, inner), .linear = true)
LAW(matmul_reversed, matmul(b, a, inner), .linear = true)
LAW(matmul_batched, matmul(ba, bb, inner), .linear = true)
LAW(matmul_batched_left, matmul(bat, bb, inner), .linear = true)
LAW(matmul_batched_right, matmul(ba, bbt, inner), .linear = true)
LAW(matmul_batched_both, matmul(bat, bbt, inner), .linear = true)
LAW(matmul_shared_right, matmul(ba, b, inner), .linear = true)
LAW(matmul_shared_left, matmul(a, bb, inner), .linear = true)
LAW(matmul_batch_inside, matmul(inside, bb, inner), .linear = true)
LAW(matmul_vector, matmul(a, v, inner), .linear = true)
LAW(vector_matmul, matmul(v, b, inner), .linear = true)
LAW(inner_product, matmul(v, v, inner))
LAW(matmul_fixed, matmul(fixed, fixed_b), .linear = true)
LAW(matmul_self, matmul(a, rename(a, row, same), inner))
LAW(matmul_of_permuted, matmul(permute(at, row, inner), permute(bt, inner, col), inner), .linear = true)
LAW(matmul_of_sliced, (matmul(a, slice<0, -1, 2>(b, col, same), inner)), .linear = true)
LAW(matmul_of_broadcast, matmul(broadcast(v, row, inner), b, inner) * u, .linear = true)
LAW(matmul_twice, matmul(matmul(a, b, inner), w, col), .linear = true)

LAW(contract_two, contract(two, two_b, row, col), .linear = true)
LAW(contract_two_transposed, contract(two, two_b, col, row), .linear = true)
LAW(contract_none, contract(u, w, row, col), .linear = true)
LAW(contract_none_transposed, contract(u, w, col, row), .linear = true)
LAW(contract_all, contract(a, at), .linear = true)
LAW(contract_elementwise, contract(a, at, row, inner), .linear = true)
LAW(contract_elementwise_transposed, contract(a, at, inner, row), .linear = true)
LAW(contract_batch_last, contract(ba, bb, row, col, batch), .linear = true)
LAW(contract_batch_middle, contract(ba, bb, row, batch, col), .linear = true)
LAW(contract_over_batch, contract(ba, bb, row, col), .linear = true)
LAW(contract_diagonal, contract(ba, bat, batch, row), .linear = true)

LAW(linear, matmul(ba, bt, inner) + w)
LAW(linear_chain, gelu(matmul(ba, bt, inner) + w))
LAW(two_layers, matmul(tanh(matmul(a, b, inner) + w), bt, col))
LAW(prologue, matmul(layer_norm(a, 1e-5, inner), b, inner), .f32 = 3e-5)  // repeated rows cancel to 0
LAW(low_rank, matmul(a, b, inner) + matmul(matmul(a, down, inner), up, rank) * 0.5)

}  // namespace
}  // namespace flame::laws
