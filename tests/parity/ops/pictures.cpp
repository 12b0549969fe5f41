// Pictures resized, and rearranged.
#include <flame/expr/patch.hpp>
#include <flame/expr/transposed.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct to_height : dim<> {
} to_height;
inline constexpr struct to_width : dim<> {
} to_width;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;

template <class X> auto nearest_along_both(const X& x) {
  return resize_nearest(resize_nearest(x, height, to_height), width, to_width);
}

template <int N> void rearranged(formula_maker& m) {
  constexpr auto first = patch_order::channels_first, last = patch_order::channels_last;
  const std::string& op = m.c.op;
  auto x = [&] { return m.take<f64, batch, height, width, channel>("x"); };
  auto tokens = [&] { return m.take<f64, batch, token, feature>("x"); };
  auto weight = [&] { return m.take<f64, to_height, to_width>("weight"); };
  if (op == "upsample_nearest") m.give(upsample_nearest<N>(x(), to_height, to_width));
  if (op == "upsample_bilinear") m.give(upsample_bilinear<N>(x()));
  if (op == "pixel_shuffle") m.give(pixel_shuffle<N>(x(), to_height, to_width, feature));
  if (op == "pixel_unshuffle") m.give(pixel_unshuffle<N>(x(), to_height, to_width, feature));
  if (op == "patchify_channels_first") m.give(patchify<N, first>(x(), token, feature));
  if (op == "patchify_channels_last") m.give(patchify<N, last>(x(), token, feature));
  if (op == "unpatchify_channels_first")
    m.give(unpatchify<N, first>(tokens(), to_height, to_width, channel) * weight());
  if (op == "unpatchify_channels_last")
    m.give(unpatchify<N>(tokens(), to_height, to_width, channel) * weight());
}

inline constexpr struct kernel_height : dim<> {
} kernel_height;
inline constexpr struct kernel_width : dim<> {
} kernel_width;
inline constexpr struct one_half : dim<> {
} one_half;

template <conv_transpose_options O> void transposed(formula_maker& m) {
  auto x = m.take<f64, batch, height, width, channel>("x");
  const std::vector<i64> s = m.c.shape("weight");  // ours are [in, height, width, out]
  const arrangement how = {{0, 2, 3, 1}, {s[0], s[2], s[3], s[1]}};
  auto y = conv_transpose2d<O>(x, m.take<f64, channel, kernel_height, kernel_width, one_half>("weight", how));
  if constexpr (O.groups == 1)
    if (m.c.has_argument("bias")) return m.give(y + m.take<f64, one_half>("bias"));
  m.give(y);
}

}  // namespace

formula pictures(const test_case& c) {
  formula_maker m{c};
  const std::string& op = c.op;
  if (c.has("factor")) {
    c.number("factor") == 2 ? rearranged<2>(m) : rearranged<3>(m);
    return m.f;
  }
  if (op == "conv_transpose2d") {
    const auto is = [&](int stride, int padding, int beyond, int dilation, int groups) {
      return c.number("stride") == stride && c.number("padding") == padding &&
             c.number("output_padding") == beyond && c.number("dilation") == dilation &&
             c.number("groups") == groups;
    };
    if (is(1, 0, 0, 1, 1)) transposed<conv_transpose_options{}>(m);
    if (is(1, 1, 0, 1, 1)) transposed<conv_transpose_options{.padding = 1}>(m);
    if (is(2, 1, 1, 1, 1))
      transposed<conv_transpose_options{.stride = 2, .padding = 1, .output_padding = 1}>(m);
    if (is(2, 1, 0, 1, 1)) transposed<conv_transpose_options{.stride = 2, .padding = 1}>(m);
    if (is(2, 0, 1, 1, 2))
      transposed<conv_transpose_options{.stride = 2, .output_padding = 1, .groups = 2}>(m);
    if (is(3, 0, 2, 2, 1))
      transposed<conv_transpose_options{.stride = 3, .output_padding = 2, .dilation = 2}>(m);
    return m.f;
  }
  auto resized = [&](auto resize) {
    auto x = m.take<f64, batch, height, width, channel>("x");
    auto weight = m.take<f64, to_height, to_width>("weight");
    m.give(resize(x) * weight);
  };
  if (op == "resize_nearest") resized([](const auto& x) { return nearest_along_both(x); });
  if (op == "resize_nearest_exact")
    resized([](const auto& x) {
      constexpr resize_options exact{.exact = true};
      return resize_nearest<exact>(resize_nearest<exact>(x, height, to_height), width, to_width);
    });
  if (op == "resize_bilinear") resized([](const auto& x) { return resize_bilinear(x, to_height, to_width); });
  if (op == "resize_bilinear_aligned")
    resized([](const auto& x) {
      constexpr resize_options aligned{.align_corners = true};
      return resize_linear<aligned>(resize_linear<aligned>(x, height, to_height), width, to_width);
    });
  if (op == "adaptive_mean_pool")
    resized([](const auto& x) { return adaptive_mean_pool(x, to_height, to_width); });
  return m.f;
}

}  // namespace flame::parity
