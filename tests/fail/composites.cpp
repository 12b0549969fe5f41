// Composites name axes that the operand has, of element types and extents that fit.
// error 1: flame::rms_norm(x, eps, axes...): an axis that is named is no axis of the operand
// names 1: other
// error 2: flame::group_norm<groups>(x, eps, channel, axes...): groups must divide the channels
// error 3: flame::group_norm<groups>(x, eps, channel, axes...): an axis that is named is no axis of the operand
// error 4: flame::group_norm<groups>(x, eps): x has the axes [..., height, width, channel]
// error 5: flame::modulate(x, shift, scale): x must have the axes of shift and of scale
// error 6: flame::geglu(a, b): the axes of one operand must contain the other's
// error 7: flame::chunk<n>(x, from, to): `from` must have n times the extent of `to`
// error 8: flame::stack_along(to, a, b...): all operands must have the same axes and element type
// error 9: flame::stack_along(to, a, b...): the extent of `to` must be the number of operands
// error 10: flame::roll<shift>(x, axis): an axis that is named is no axis of the operand
// error 11: flame::tile<n>(x, from, to): `from` must be an axis of the operand and n positive
// error 12: flame::tril<diagonal>(x, row, column): row and column must be two axes of the operand
// error 13: flame::masked_fill(x, mask, value): the mask must be boolean
// error 14: flame::drop_path(x, p, key, axes...): an axis that is named is no axis of the operand
#include <flame/expr/activation.hpp>
#include <flame/expr/drop.hpp>
#include <flame/expr/mask.hpp>
#include <flame/expr/norm.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct half : dim<3> {
} half;
inline constexpr struct five : dim<5> {
} five;
inline constexpr struct two : dim<2> {
} two;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row> {
} y;
inline constexpr struct others : input<f32, other> {
} others;
inline constexpr struct halves : input<bf16, row, col> {
} halves;
inline constexpr struct draws : input<key> {
} draws;

#if MUST_FAIL == 1
auto refused = rms_norm(x, 1e-6, other);
#elif MUST_FAIL == 2
auto refused = group_norm<4>(x, 1e-6, col);
#elif MUST_FAIL == 3
auto refused = group_norm<2>(x, 1e-6, col, other);
#elif MUST_FAIL == 4
auto refused = group_norm<2>(x, 1e-6);
#elif MUST_FAIL == 5
auto refused = modulate(x, others, y);
#elif MUST_FAIL == 6
auto refused = geglu(y, others);
#elif MUST_FAIL == 7
auto refused = chunk<2>(x, col, five);
#elif MUST_FAIL == 8
auto refused = stack_along(two, x, halves);
#elif MUST_FAIL == 9
auto refused = stack_along(five, x, x);
#elif MUST_FAIL == 10
auto refused = roll<1>(x, other);
#elif MUST_FAIL == 11
auto refused = tile<2>(x, other, five);
#elif MUST_FAIL == 12
auto refused = tril(x, row, other);
#elif MUST_FAIL == 13
auto refused = masked_fill(x, x, 0);
#elif MUST_FAIL == 14
auto refused = drop_path(x, 0.5, draws, other);
#else
auto taken_1 = rms_norm(x, 1e-6, col);
auto taken_2 = group_norm<3>(x, 1e-6, col);
auto taken_3 = group_norm<2>(x, 1e-6, col, row);
auto taken_5 = modulate(x, y, y);
auto taken_6 = geglu(x, y);
auto taken_7 = chunk<2>(x, col, half);
auto taken_8 = stack_along(two, x, cast<f32>(halves));
auto taken_10 = roll<1>(x, row);
auto taken_11 = tile<2>(x, row, other);
auto taken_12 = tril(x, row, col);
auto taken_13 = masked_fill(x, x > 0, 0);
auto taken_14 = drop_path(x, 0.5, draws, row);
#endif

int main() {}
