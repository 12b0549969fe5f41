// Pictures of another size, pixels as channels and tokens, and tensors put side by side, repeated and rolled.
#include <flame/expr/patch.hpp>

#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct tall : dim<> {
} tall;
inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct high : dim<> {
} high;  // follow from others
inline constexpr struct broad : dim<> {
} broad;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct four : dim<4> {
} four;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct two : dim<2> {
} two;
inline constexpr struct long_ : dim<> {
} long_;
const int known = extents_for(batch, 2, 1, 3) + extents_for(height, 2, 4, 8, 2) +
                  extents_for(width, 4, 6, 10, 2) + extents_for(tall, 4, 9, 5, 1) +
                  extents_for(wide, 3, 7, 16, 1) + extents_for(channel, 2, 3, 9);

const auto x = leaf<f64, batch, height, width, channel>("x");
const auto deep = leaf<f64, batch, height, width, four>("deep");
const auto frame = leaf<f64, tall, wide>("frame");
const auto a = leaf<f64, row, col>("a");
const auto b = leaf<f64, row, col>("b");
const auto i = leaf<i32, row, col>("i", {-9, 9});

LAW(upsample_nearest, upsample_nearest<2>(x), .linear = true)
LAW(upsample_nearest_chain, tanh(upsample_nearest<3>(x* x, high, broad)) * 2.0)
LAW(upsample_bilinear, upsample_bilinear<2>(x), .linear = true, .empty = false, .half = false)
LAW(resize_nearest, resize_nearest(resize_nearest(x, height, tall), width, wide) * frame, .empty = false)
LAW(resize_bilinear, resize_bilinear(x, tall, wide) * frame, .empty = false, .half = false)
LAW(resize_aligned, (resize_linear<resize_options{.align_corners = true}>(x, width, wide) * sum(frame, tall)),
    .empty = false, .half = false)
LAW(adaptive_mean_pool, adaptive_mean_pool(x, tall, wide) * frame, .empty = false, .half = false)
LAW(pixel_shuffle, pixel_shuffle<2>(deep, high, broad, token), .linear = true)
LAW(pixel_unshuffle, pixel_unshuffle<2>(x, high, broad, feature), .linear = true)
LAW(patchify, patchify<2>(x, token, feature), .linear = true)
LAW(patches_and_back,
    (unpatchify<2, patch_order::channels_first>(
         tanh(patchify<2, patch_order::channels_first>(x, token, feature)), height, width, channel) *
     x))

LAW(stack_along, stack_along(two, a, b), .linear = false)
LAW(stack_along_chain, sum(stack_along(two, exp(a), b* b), two))
LAW(chunks, std::get<0>(chunk<2>(deep, four, two)) * exp(std::get<1>(chunk<2>(deep, four, two))))
LAW(tile, tile<3>(a, col, long_), .linear = true)
LAW(repeat_interleave, repeat_interleave<2>(a, row, long_), .linear = true)
LAW(roll, roll<1>(a, col), .linear = true, .empty = false)
LAW(roll_back, roll<-1>(a* a, row) * b, .empty = false)
LAW(roll_integers, roll<1>(i, row), .empty = false)

}  // namespace
}  // namespace flame::laws
