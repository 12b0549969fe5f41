// Windows, sizes and positions: images of [..., height, width, channel], floating numbers, axes that are new.
// error 1: flame::pixel_shuffle<n>(x, height, width, channel): n must be positive
// error 2: flame::pixel_unshuffle<n>(x, height, width, channel): n must be positive
// error 3: flame::unpatchify<n>(x, height, width, channel): n must be positive
// error 4: flame::unpatchify<n>(x, height, width, channel): x has the axes [..., token, feature]
// error 5: flame::resize_nearest(x, from, to): an axis that is named is no axis of the operand
// error 6: flame::resize_mean(x, from, to): an axis that is named is no axis of the operand
// error 7: flame::resize_mean(x, from, to): the operand must have a floating element type
// error 8: flame::resize_bilinear(x, height, width): x has the axes [..., height, width, channel]
// error 9: flame::upsample_bilinear<n>(x): x has the axes [..., height, width, channel]
// error 10: flame::upsample_bilinear<n>(x, height, width): n must be positive
// error 11: flame::upsample_nearest<n>(x, height, width): n must be positive
// error 12: flame::mean_pool(x): the kernel must be at least 1, the padding at least 0 and at most half the kernel
// error 13: flame::mean_pool(x): the operand must have a floating element type
// error 14: flame::rotary_angles(position, half): an axis would stand twice in the result
// error 15: flame::timestep_embedding(t, feature): times must have a floating element type
#include <flame/expr/image.hpp>
#include <flame/expr/patch.hpp>
#include <flame/expr/resize.hpp>
#include <flame/expr/rotary.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct half : dim<3> {
} half;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<8> {
} channel;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct n : input<i32, row, col> {
} n;
inline constexpr struct image : input<f32, height, width, channel> {
} image;
inline constexpr struct pixels : input<u8, height, width, channel> {
} pixels;
inline constexpr struct tokens : input<f32, token, channel> {
} tokens;
inline constexpr struct alone : input<f32, channel> {
} alone;
inline constexpr struct t : input<f32, width> {
} t;
inline constexpr struct whole : input<i32, width> {
} whole;

#if MUST_FAIL == 1
auto refused = pixel_shuffle<0>(image, row, other, half);
#elif MUST_FAIL == 2
auto refused = pixel_unshuffle<0>(image, row, other, half);
#elif MUST_FAIL == 3
auto refused = unpatchify<0>(tokens, height, width, feature);
#elif MUST_FAIL == 4
auto refused = unpatchify<1>(alone, height, width, feature);
#elif MUST_FAIL == 5
auto refused = resize_nearest(x, other, half);
#elif MUST_FAIL == 6
auto refused = resize_mean(x, other, half);
#elif MUST_FAIL == 7
auto refused = resize_mean(n, col, half);
#elif MUST_FAIL == 8
auto refused = resize_bilinear(x, half, col);
#elif MUST_FAIL == 9
auto refused = upsample_bilinear<2>(x);
#elif MUST_FAIL == 10
auto refused = upsample_bilinear<0>(image);
#elif MUST_FAIL == 11
auto refused = upsample_nearest<0>(image);
#elif MUST_FAIL == 12
auto refused = mean_pool<pool_options{.kernel = 2, .padding = 2}>(image);
#elif MUST_FAIL == 13
auto refused = mean_pool(pixels);
#elif MUST_FAIL == 14
auto refused = rotary_angles(t, width);
#elif MUST_FAIL == 15
auto refused = timestep_embedding(whole, half);
#else
auto taken_1 = pixel_shuffle<1>(image, row, other, feature);
auto taken_2 = pixel_unshuffle<1>(image, row, other, feature);
auto taken_3 = unpatchify<1>(tokens, height, width, feature);
auto taken_5 = resize_nearest(x, col, half);
auto taken_6 = resize_mean(x, col, half);
auto taken_8 = resize_bilinear(image, half, col);
auto taken_9 = upsample_bilinear<2>(image);
auto taken_11 = upsample_nearest<1>(image);
auto taken_12 = mean_pool<pool_options{.kernel = 2, .padding = 1}>(image);
auto taken_14 = rotary_angles(t, half);
auto taken_15 = timestep_embedding(t, half);
#endif

int main() {}
