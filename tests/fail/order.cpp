// Order along an axis, values put by indices, transposed convolutions: axes that operands have, and fit.
// error 1: flame::cumsum(x, axis): an axis that is named is no axis of the operand
// error 2: flame::cumsum(x, axis): the operand must be a number, not a boolean or a key
// error 3: flame::top_k(x, from, to): an axis that is named is no axis of the operand
// error 4: flame::top_indices(x, from, to): `to` has more elements than `from`
// error 5: flame::top_k(x, from, to): `to` must be another axis than `from`
// error 6: flame::scatter_add(x, index, values, axis): an axis that is named is no axis of the operand
// error 7: flame::scatter(x, index, values, axis): the values must have x's element type, x's axes but the axis
// error 8: flame::conv_transpose2d(x, w): stride, dilation and groups must be at least 1, paddings at least 0
// error 9: flame::conv_transpose2d(x, w): the last axis of x must be the first of w
// error 10: flame::conv_transpose2d(x, w): x has the axes [..., height, width, in], w has
#include <flame/expr/order.hpp>
#include <flame/expr/transposed.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct two : dim<2> {
} two;
inline constexpr struct nine : dim<9> {
} nine;
inline constexpr struct taps : dim<3> {
} taps;
inline constexpr struct across : dim<3> {
} across;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, two> {
} y;
inline constexpr struct places : input<i32, row, two> {
} places;
inline constexpr struct image : input<f32, row, other, col> {
} image;
inline constexpr struct weight : input<f32, col, taps, across, two> {
} weight;
inline constexpr struct turned : input<f32, two, taps, across, col> {
} turned;

#if MUST_FAIL == 1
auto refused = cumsum(x, other);
#elif MUST_FAIL == 2
auto refused = cumsum(x > 0, col);
#elif MUST_FAIL == 3
auto refused = top_k(x, other, two);
#elif MUST_FAIL == 4
auto refused = top_indices(x, col, nine);
#elif MUST_FAIL == 5
auto refused = top_k(x, col, col);
#elif MUST_FAIL == 6
auto refused = scatter_add(x, places, y, other);
#elif MUST_FAIL == 7
auto refused = scatter(x, places, x, col);
#elif MUST_FAIL == 8
auto refused = conv_transpose2d<conv_transpose_options{.output_padding = 1}>(image, weight);
#elif MUST_FAIL == 9
auto refused = conv_transpose2d(image, turned);
#elif MUST_FAIL == 10
auto refused = conv_transpose2d(x, weight);
#else
auto taken_1 = cumsum(x, col);
auto taken_2 = cumsum(cast<i32>(x > 0), col);
auto taken_3 = top_k(x, col, two);
auto taken_4 = top_indices(x, col, two);
auto taken_6 = scatter_add(x, places, y, col);
auto taken_7 = scatter(x, places, y, col);
auto taken_8 = conv_transpose2d<conv_transpose_options{.stride = 2, .output_padding = 1}>(image, weight);
auto taken_9 = conv_transpose2d(image, weight);
#endif

int main() {}
