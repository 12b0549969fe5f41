// Norms and losses: floating operands, axes that they have, parameters of their axes.
// error 1: flame::instance_norm(x, eps, axes...): name the axes of a picture
// error 2: flame::instance_norm(x, eps, axes...): the operand must have a floating element type
// error 3: flame::rms_norm(x, eps, axes...): the operand must have a floating element type
// error 4: flame::adaptive_layer_norm(x, shift, scale, eps, axes...): an axis that is named is no axis of the operand
// names 4: other
// error 5: flame::modulate(x, shift, scale): x must have the axes of shift and of scale
// error 6: flame::gated(x, gate, y): x and y must have the same axes, the gate some of them
// error 7: flame::group_norm<groups>(x, eps, channel, axes...): channel is no axis of the operand
// error 8: flame::group_norm<groups>(x, eps, channel, axes...): groups must divide the channels
// error 9: flame::group_norm<groups>(x, eps, channel, axes...): the operand must have a floating element type
// error 10: flame::bce_with_logits(x, target, positive weight): the target must have the weight's axes
// error 11: flame::kl_div_of_log(x, target): the element types differ
#include <flame/expr/loss.hpp>
#include <flame/expr/norm.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<8> {
} channel;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct n : input<i32, row, col> {
} n;
inline constexpr struct y : input<f32, row> {
} y;
inline constexpr struct z : input<f32, row, other> {
} z;
inline constexpr struct image : input<f32, height, width, channel> {
} image;
inline constexpr struct pixels : input<u8, height, width, channel> {
} pixels;

#if MUST_FAIL == 1
auto refused = instance_norm(x, 1e-5);
#elif MUST_FAIL == 2
auto refused = instance_norm(n, 1e-5, col);
#elif MUST_FAIL == 3
auto refused = rms_norm(n, 1e-5, col);
#elif MUST_FAIL == 4
auto refused = adaptive_layer_norm(x, y, y, 1e-5, other);
#elif MUST_FAIL == 5
auto refused = adaptive_layer_norm(x, z, y, 1e-5, col);
#elif MUST_FAIL == 6
auto refused = gated(x, y, z);
#elif MUST_FAIL == 7
auto refused = group_norm<2>(image, 1e-5, other);
#elif MUST_FAIL == 8
auto refused = group_norm<0>(image, 1e-5);
#elif MUST_FAIL == 9
auto refused = group_norm<2>(pixels, 1e-5);
#elif MUST_FAIL == 10
auto refused = bce_with_logits(x, x, z);
#elif MUST_FAIL == 11
auto refused = kl_div_of_log(x, n);
#else
auto taken_1 = instance_norm(x, 1e-5, col);
auto taken_3 = rms_norm(x, 1e-5, col);
auto taken_4 = adaptive_layer_norm(x, y, y, 1e-5, col);
auto taken_6 = gated(x, y, x);
auto taken_7 = group_norm<2>(image, 1e-5, channel);
auto taken_8 = group_norm<8>(image, 1e-5);
auto taken_10 = bce_with_logits(x, x, y);
auto taken_11 = kl_div_of_log(x, x);
#endif

int main() {}
