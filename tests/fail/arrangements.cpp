// Parts, repetitions, shifts and reductions name axes that the operand has, and numbers that fit.
// error 1: flame::chunk<n>(x, from, to): an axis that is named is no axis of the operand
// names 1: other
// error 2: flame::chunk<n>(x, from, to): there must be a part
// error 3: flame::repeat_interleave<n>(x, from, to): `from` must be an axis of the operand and n positive
// error 4: flame::tile<n>(x, from, to): `from` must be an axis of the operand and n positive
// error 5: flame::roll<shift>(x, axis): the shift must be at most the axis's extent
// error 6: flame::stack_along(to, a, b...): `to` is an axis of the operands
// error 7: flame::triu<diagonal>(x, row, column): row and column must be two axes of the operand
// error 8: flame::flatten<n>(x, to): x has fewer than n axes
// error 9: flame::merge(x, parts..., to): at least one part must be named
// error 10: flame::select<index>(x, axis): an axis that is named is no axis of the operand
// error 11: flame::any(x, axes...): an axis that is named is no axis of the operand
// error 12: flame::all(x, axes...): an axis that is named is no axis of the operand
// error 13: flame::all(x, axes...): x must be boolean
// error 14: flame::max(x, axes...): an axis that is named is no axis of the operand
// error 15: flame::min(x, axes...): an axis that is named is no axis of the operand
// error 16: flame::prod(x, axes...): an axis that is named is no axis of the operand
// error 17: flame::prod(x, axes...): the operand must be a number, not a boolean or a key
#include <flame/expr/arrange.hpp>
#include <flame/expr/mask.hpp>
#include <flame/nn/layers.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct half : dim<3> {
} half;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct pair : dim<2> {
} pair;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct p : input<bool, row, col> {
} p;

#if MUST_FAIL == 1
auto refused = chunk<2>(x, other, half);
#elif MUST_FAIL == 2
auto refused = chunk<0>(x, col, half);
#elif MUST_FAIL == 3
auto refused = repeat_interleave<2>(x, other, half);
#elif MUST_FAIL == 4
auto refused = tile<0>(x, col, half);
#elif MUST_FAIL == 5
auto refused = roll<9>(x, col);
#elif MUST_FAIL == 6
auto refused = stack_along(row, x, x);
#elif MUST_FAIL == 7
auto refused = triu(x, row, other);
#elif MUST_FAIL == 8
auto refused = flatten<3>(x, other);
#elif MUST_FAIL == 9
auto refused = merge(x, other);
#elif MUST_FAIL == 10
auto refused = select<0>(x, other);
#elif MUST_FAIL == 11
auto refused = any(p, other);
#elif MUST_FAIL == 12
auto refused = all(p, other);
#elif MUST_FAIL == 13
auto refused = all(x, col);
#elif MUST_FAIL == 14
auto refused = max(x, other);
#elif MUST_FAIL == 15
auto refused = min(x, other);
#elif MUST_FAIL == 16
auto refused = prod(x, other);
#elif MUST_FAIL == 17
auto refused = prod(p, col);
#else
auto taken_1 = chunk<2>(x, col, half);
auto taken_3 = repeat_interleave<2>(x, col, other);
auto taken_4 = tile<2>(x, col, other);
auto taken_5 = roll<6>(x, col);
auto taken_6 = stack_along(pair, x, x);
auto taken_7 = triu(x, row, col);
auto taken_8 = flatten<2>(x, other);
auto taken_9 = merge(x, row, col, other);
auto taken_10 = select<0>(x, col);
auto taken_11 = any(p, col);
auto taken_12 = all(p, col);
auto taken_14 = max(x, col);
auto taken_15 = min(x, col);
auto taken_16 = prod(x, col);
#endif

int main() {}
