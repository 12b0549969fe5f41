// Pictures are [..., height, width, channel]; what is resized has the axis, and a rotation its tables.
// error 1: flame::upsample_nearest<n>(x): x has the axes [..., height, width, channel]
// error 2: flame::resize_linear(x, from, to): an axis that is named is no axis of the operand
// names 2: other
// error 3: flame::resize_linear(x, from, to): the operand must have a floating element type
// error 4: flame::resize_nearest(x, from, to): an axis would stand twice in the result
// error 5: flame::adaptive_mean_pool(x, height, width): x has the axes [..., height, width, channel]
// error 6: flame::pixel_shuffle<n>(x, height, width, channel): x has the axes [..., height, width, channel]
// error 7: flame::patchify<n>(x, token, feature): n must be positive
// error 8: flame::rotary(x, cos, sin, dim): an axis that is named is no axis of the operand
// error 9: flame::rotary(x, cos, sin, dim): cos and sin must have one shape, axes of x and one more for the pairs
// error 10: flame::timestep_embedding(t, feature): an axis would stand twice in the result
// error 11: flame::rotary_angles(position, half): positions must have a floating element type
// error 12: flame::pixel_shuffle<n>(x, height, width, channel): x must have n n times the channels
// error 13: flame::patchify<n>(x, token, feature): n must divide the height and the width
// error 14: flame::unpatchify<n>(x, height, width, channel): a feature must be n n channels
#include <flame/expr/patch.hpp>
#include <flame/expr/rotary.hpp>

using namespace flame;

inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<8> {
} channel;
inline constexpr struct half : dim<4> {
} half;
inline constexpr struct other : dim<5> {
} other;
inline constexpr struct wide : dim<9> {
} wide;
inline constexpr struct two : dim<2> {
} two;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct odd : input<f32, wide, width, channel> {
} odd;
inline constexpr struct plane_of_tokens : input<f32, token, channel> {
} plane_of_tokens;
inline constexpr struct image : input<f32, height, width, channel> {
} image;
inline constexpr struct pixels : input<u8, height, width, channel> {
} pixels;
inline constexpr struct plane : input<f32, height, width> {
} plane;
inline constexpr struct cosine : input<f32, width, half> {
} cosine;
inline constexpr struct flat : input<f32, width> {
} flat;
inline constexpr struct places : input<i32, width> {
} places;

#if MUST_FAIL == 1
auto refused = upsample_nearest<2>(plane);
#elif MUST_FAIL == 2
auto refused = resize_linear(image, other, wide);
#elif MUST_FAIL == 3
auto refused = resize_linear(pixels, width, wide);
#elif MUST_FAIL == 4
auto refused = resize_nearest(image, width, channel);
#elif MUST_FAIL == 5
auto refused = adaptive_mean_pool(plane, other, wide);
#elif MUST_FAIL == 6
auto refused = pixel_shuffle<2>(plane, other, wide, half);
#elif MUST_FAIL == 7
auto refused = patchify<0>(image, wide, other);
#elif MUST_FAIL == 8
auto refused = rotary(image, cosine, cosine, other);
#elif MUST_FAIL == 9
auto refused = rotary(image, flat, flat, channel);
#elif MUST_FAIL == 10
auto refused = timestep_embedding(flat, width);
#elif MUST_FAIL == 11
auto refused = rotary_angles(places, half);
#elif MUST_FAIL == 12
auto refused = pixel_shuffle<2>(image, other, wide, half);
#elif MUST_FAIL == 13
auto refused = patchify<2>(odd, token, feature);
#elif MUST_FAIL == 14
auto refused = unpatchify<2>(plane_of_tokens, height, width, half);
#else
auto taken_1 = upsample_nearest<2>(image);
auto taken_2 = resize_linear(image, width, wide);
auto taken_3 = resize_linear(cast<f32>(pixels), width, wide);
auto taken_4 = resize_nearest(pixels, width, wide);
auto taken_5 = adaptive_mean_pool(image, other, wide);
auto taken_6 = pixel_shuffle<2>(image, token, feature, two);
auto taken_7 = patchify<3>(odd, token, feature);
auto taken_14 = unpatchify<2>(plane_of_tokens, height, width, two);
auto taken_8 = rotary(image, cosine, cosine, channel);
auto taken_10 = timestep_embedding(flat, channel);
auto taken_11 = rotary_angles(cast<f32>(places), half);
#endif

int main() {}
