// Convolution and pooling; their transposes are the gradients, so both are tested by every line.
#include <flame/expr/transposed.hpp>

#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct out : dim<> {
} out;
inline constexpr struct four : dim<4> {
} four;
inline constexpr struct half : dim<2> {
} half;
inline constexpr struct one : dim<1> {
} one;
inline constexpr struct six : dim<6> {
} six;
inline constexpr struct kh : dim<3> {
} kh;
inline constexpr struct kw : dim<3> {
} kw;
inline constexpr struct narrow : dim<2> {
} narrow;
inline constexpr struct point_h : dim<1> {
} point_h;
inline constexpr struct point_w : dim<1> {
} point_w;
inline constexpr struct loose_h : dim<> {
} loose_h;
inline constexpr struct loose_w : dim<> {
} loose_w;
const int known = extents_for(batch, 2, 1, 3) + extents_for(height, 5, 8, 11, 5) +
                  extents_for(width, 6, 7, 17, 5) + extents_for(channel, 2, 3, 9) +
                  extents_for(out, 2, 5, 8) + extents_for(loose_h, 2, 3, 3, 1) +
                  extents_for(loose_w, 3, 2, 5, 1);

const auto x = leaf<f64, batch, height, width, channel>("x");
const auto image = leaf<f64, height, width, channel>("image");
const auto x4 = leaf<f64, batch, height, width, four>("x4");
const auto stacked = leaf<f64, batch, plane, height, width, channel>("stacked");
const auto w = leaf<f64, out, kh, kw, channel>("w");
const auto uneven = leaf<f64, out, kh, narrow, channel>("uneven");
const auto point = leaf<f64, out, point_h, point_w, channel>("point");
const auto loose = leaf<f64, out, loose_h, loose_w, channel>("loose");
const auto grouped = leaf<f64, six, kh, kw, half>("grouped");
const auto depth = leaf<f64, four, kh, kw, one>("depth");
const auto bias = leaf<f64, out>("bias");
const auto y = leaf<f64, batch, height, width, out>("y");
const auto turned = leaf<f64, out, kh, kw, channel>("turned");
const auto channels = leaf<f64, channel>("channels");
const auto of_groups = leaf<f64, four, kh, narrow, half>("of_groups");

LAW(conv2d, conv2d(x, w), .linear = true, .empty = false, .padded = true)
LAW(conv2d_padding, (conv2d<conv_options{.padding = 1}>(x, w)), .linear = true, .empty = false,
    .padded = true)
LAW(conv2d_bias, (conv2d<conv_options{.padding = 1}>(x, w) + bias), .empty = false, .padded = true)
LAW(conv2d_stride, (conv2d<conv_options{.stride = 2, .padding = 1}>(x, w)), .linear = true, .empty = false,
    .padded = true)
LAW(conv2d_stride_three, (conv2d<conv_options{.stride = 3}>(x, w)), .linear = true, .empty = false,
    .padded = true)
LAW(conv2d_dilation, (conv2d<conv_options{.padding = 2, .dilation = 2}>(x, w)), .linear = true,
    .empty = false, .padded = true)
LAW(conv2d_dilation_stride, (conv2d<conv_options{.stride = 2, .padding = 1, .dilation = 2}>(x, w)),
    .linear = true, .empty = false, .padded = true)
LAW(conv2d_uneven, (conv2d<conv_options{.padding = 1}>(x, uneven)), .linear = true, .empty = false,
    .padded = true)
LAW(conv2d_loose, conv2d(x, loose), .linear = true, .empty = false, .padded = true)
LAW(conv2d_pointwise, conv2d(x, point), .linear = true, .empty = false, .padded = true)
LAW(conv2d_pointwise_stride, (conv2d<conv_options{.stride = 2}>(x, point)), .linear = true, .empty = false,
    .padded = true)
LAW(conv2d_groups, (conv2d<conv_options{.padding = 1, .groups = 2}>(x4, grouped)), .linear = true,
    .empty = false, .padded = true)
LAW(conv2d_groups_stride, (conv2d<conv_options{.stride = 2, .dilation = 2, .groups = 2}>(x4, grouped)),
    .linear = true, .empty = false, .padded = true)
LAW(conv2d_depthwise, (conv2d<conv_options{.padding = 1, .groups = 4}>(x4, depth)), .linear = true,
    .empty = false, .padded = true)
LAW(conv_transpose2d, conv_transpose2d(y, turned), .linear = true, .empty = false, .padded = true)
LAW(conv_transpose2d_same, (conv_transpose2d<conv_transpose_options{.padding = 1}>(y, turned) * 2.0),
    .empty = false, .padded = true)
LAW(conv_transpose2d_stride,
    (conv_transpose2d<conv_transpose_options{.stride = 2, .padding = 1, .output_padding = 1}>(y, turned) *
     channels),
    .empty = false, .padded = true)
LAW(conv_transpose2d_groups,
    (conv_transpose2d<conv_transpose_options{.stride = 2, .groups = 2}>(x4, of_groups)), .linear = true,
    .empty = false, .padded = true)
LAW(conv2d_one_image, conv2d(image, w), .linear = true, .empty = false, .padded = true)
LAW(conv2d_stacked, conv2d(stacked, w), .linear = true, .empty = false, .padded = true)
LAW(conv2d_chain, (gelu(conv2d<conv_options{.padding = 1}>(tanh(x), w) + bias)), .empty = false,
    .padded = true)

LAW(max_pool, max_pool(x), .linear = false, .empty = false)
LAW(max_pool_overlap, (max_pool<pool_options{.kernel = 3, .stride = 1}>(x)), .empty = false)
LAW(max_pool_padding, (max_pool<pool_options{.kernel = 3, .stride = 2, .padding = 1}>(x)), .empty = false)
LAW(max_pool_same, (max_pool<pool_options{.kernel = 3, .stride = 1, .padding = 1}>(x)), .empty = false)
LAW(max_pool_one_image, max_pool(image), .empty = false)
LAW(max_pool_chain, max_pool(tanh(x)) * 2.0, .empty = false)
LAW(mean_pool, mean_pool(x), .linear = true, .empty = false)
LAW(mean_pool_overlap, (mean_pool<pool_options{.kernel = 3, .stride = 1}>(x)), .linear = true, .empty = false)
LAW(mean_pool_padding, (mean_pool<pool_options{.kernel = 3, .stride = 2, .padding = 1}>(x)), .linear = true,
    .empty = false)
LAW(mean_pool_stacked, mean_pool(stacked), .linear = true, .empty = false)
LAW(conv_pool, (mean_pool(gelu(conv2d<conv_options{.padding = 1}>(x, w)))), .empty = false, .padded = true)

}  // namespace
}  // namespace flame::laws
