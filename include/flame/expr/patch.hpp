// Pixels into channels and back: pixel shuffle, patches as tokens.
#pragma once
#include <flame/expr/resize.hpp>

namespace flame {

namespace detail {
template <int N> using patch_row = part_axis<N>;
template <int N> using patch_column = multiple_of<part_axis<N>, 1>;

// The axes before an image's last three, then Last.
template <class Shape, class... Last> struct batch_then;
template <class E, class... X, class... Last> struct batch_then<shape<E, X...>, Last...> {
  using all = candidates<X...>;
  template <int... I>
  static auto value(std::integer_sequence<int, I...>) -> on_axes<typename all::template tag<I>..., Last...>;
  using type = decltype(value(std::make_integer_sequence<int, static_cast<int>(sizeof...(X)) - 3>{}));
};
}  // namespace detail

namespace detail {
// Whether an axis can have N times the elements of another.
template <class Axis, class Part, int N>
inline constexpr bool is_multiple =
    Axis::extent == dynamic || Part::extent == dynamic || Axis::extent == N* Part::extent;
template <class Axis, int N>
inline constexpr bool divides = Axis::extent == dynamic || Axis::extent % (N < 1 ? 1 : N) == 0;
}  // namespace detail

// The order of a patch's values in one axis.
enum class patch_order : u8 {
  channels_last,   // (row, column, channel): SD3's output
  channels_first,  // (channel, row, column): Flux's latents, PyTorch's pixel_unshuffle
};

namespace detail {

// [..., height, width, channel] -> [..., rows, columns, feature], rows = height / N.
template <int N, patch_order Order, class Rows, class Columns, operand_type A, axis Feature>
constexpr auto gathered_pixels(const A& x, const Feature& feature) {
  using S = shape_of<A>;
  using image = image_axes<S>;
  using c = typename image::channel;
  using pr = patch_row<N>;
  using pc = patch_column<N>;
  auto parts =
      split(split(x, typename image::height{}, Rows{}, pr{}), typename image::width{}, Columns{}, pc{});
  if constexpr (Order == patch_order::channels_first)
    return merge(emit<op::permute, typename batch_then<S, Rows, Columns, c, pr, pc>::type>(parts), c{}, pr{},
                 pc{}, feature);
  else
    return merge(emit<op::permute, typename batch_then<S, Rows, Columns, pr, pc, c>::type>(parts), pr{}, pc{},
                 c{}, feature);
}
// And back: the last three axes of x are rows, columns and feature.
template <int N, patch_order Order, operand_type A, axis Height, axis Width, axis Channel>
constexpr auto spread_pixels(const A& x, const Height& height, const Width& width, const Channel&) {
  using S = shape_of<A>;
  using image = image_axes<S>;
  using rows = typename image::height;
  using columns = typename image::width;
  using feature = typename image::channel;
  using pr = patch_row<N>;
  using pc = patch_column<N>;
  using C = std::remove_cvref_t<Channel>;
  auto parts = [&] {
    if constexpr (Order == patch_order::channels_first)
      return split(x, feature{}, C{}, pr{}, pc{});
    else
      return split(x, feature{}, pr{}, pc{}, C{});
  }();
  auto pixels = emit<op::permute, typename batch_then<S, rows, pr, columns, pc, C>::type>(parts);
  return merge(merge(pixels, rows{}, pr{}, height), columns{}, pc{}, width);
}

}  // namespace detail

// x [..., height, width, N^2 channels] -> [..., N height, N width, channel], axes named by the caller:
// channel c N^2 + i N + j goes to pixel (i, j) of its block and channel c (Shi et al. 2016;
// torch.nn.PixelShuffle).
template <int N, operand_type A, axis Height, axis Width, axis Channel>
constexpr auto pixel_shuffle(const A& x, const Height& height, const Width& width, const Channel& channel) {
  FLAME_IMAGE_REFUSALS("flame::pixel_shuffle<n>(x, height, width, channel)");
  static_assert(N >= 1, "flame::pixel_shuffle<n>(x, height, width, channel): n must be positive");
  if constexpr (shape_of<A>::rank >= 3 && N >= 1) {
    constexpr bool fits = detail::is_multiple<typename detail::image_axes<shape_of<A>>::channel,
                                              std::remove_cvref_t<Channel>, N * N>;
    static_assert(fits,
                  "flame::pixel_shuffle<n>(x, height, width, channel): x must have n n times the channels");
    if constexpr (fits)
      return detail::spread_pixels<N, patch_order::channels_first>(x, height, width, channel);
  }
}
// Its inverse: [..., height, width, channel] -> [..., height / N, width / N, N^2 channels].
template <int N, operand_type A, axis Height, axis Width, axis Channel>
constexpr auto pixel_unshuffle(const A& x, const Height&, const Width&, const Channel& channel) {
  FLAME_IMAGE_REFUSALS("flame::pixel_unshuffle<n>(x, height, width, channel)");
  static_assert(N >= 1, "flame::pixel_unshuffle<n>(x, height, width, channel): n must be positive");
  if constexpr (shape_of<A>::rank >= 3 && N >= 1)
    return detail::gathered_pixels<N, patch_order::channels_first, std::remove_cvref_t<Height>,
                                   std::remove_cvref_t<Width>>(x, channel);
}

// Images [..., height, width, channel] as tokens [..., token, feature]: blocks of N x N pixels, row by row,
// each block's values in the given order; height and width must be multiples of N.
template <int N, patch_order Order = patch_order::channels_last, operand_type A, axis Token, axis Feature>
constexpr auto patchify(const A& x, const Token& token, const Feature& feature) {
  FLAME_IMAGE_REFUSALS("flame::patchify<n>(x, token, feature)");
  static_assert(N >= 1, "flame::patchify<n>(x, token, feature): n must be positive");
  if constexpr (shape_of<A>::rank >= 3 && N >= 1) {
    using image = detail::image_axes<shape_of<A>>;
    using rows = part_of<typename image::height, N>;
    using columns = part_of<typename image::width, N>;
    constexpr bool fits =
        detail::divides<typename image::height, N> && detail::divides<typename image::width, N>;
    static_assert(fits, "flame::patchify<n>(x, token, feature): n must divide the height and the width");
    if constexpr (fits)
      return merge(detail::gathered_pixels<N, Order, rows, columns>(x, feature), rows{}, columns{}, token);
  }
}
// And back: tokens [..., token, feature] as images of axes named by the caller, of which the compiler or
// another operand knows the height or the width.
template <int N, patch_order Order = patch_order::channels_last, operand_type A, axis Height, axis Width,
          axis Channel>
constexpr auto unpatchify(const A& x, const Height& height, const Width& width, const Channel& channel) {
  static_assert(shape_of<A>::rank >= 2,
                "flame::unpatchify<n>(x, height, width, channel): x has the axes [..., token, feature]");
  static_assert(N >= 1, "flame::unpatchify<n>(x, height, width, channel): n must be positive");
  if constexpr (shape_of<A>::rank >= 2 && N >= 1) {
    using token = typename detail::axis_from_last<shape_of<A>, 1>::type;
    constexpr bool fits = detail::is_multiple<typename detail::axis_from_last<shape_of<A>, 0>::type,
                                              std::remove_cvref_t<Channel>, N * N>;
    static_assert(fits, "flame::unpatchify<n>(x, height, width, channel): a feature must be n n channels");
    using rows = part_of<std::remove_cvref_t<Height>, N>;
    using columns = part_of<std::remove_cvref_t<Width>, N>;
    if constexpr (fits)
      return detail::spread_pixels<N, Order>(split(x, token{}, rows{}, columns{}), height, width, channel);
  }
}

}  // namespace flame
