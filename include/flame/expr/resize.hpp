// Other extents for the axes of pictures: nearest, linear and averaged, along one axis or two.
//
// `to` has the new extent: the compiler knows it, or another operand has the axis. A factor
// (upsample_nearest<2>) says it by itself. Nearest is movement; the others are contractions with a matrix of
// weights made from positions, so that a gradient is the contraction with its transpose, exact and always in
// one order.
#pragma once
#include <flame/expr/arrange.hpp>
#include <flame/expr/contract.hpp>
#include <flame/expr/derived_axis.hpp>
#include <flame/expr/image.hpp>

namespace flame {

struct resize_options {
  bool align_corners = false;  // linear: the first and last positions of both axes meet, as in PyTorch
  bool exact = false;          // nearest: PyTorch's "nearest-exact", which rounds the middles of pixels
};

namespace detail {

// Positions are computed in f32 at least, whatever the picture's element type.
template <class A>
using position = std::conditional_t<std::is_same_v<element_of<shape_of<A>>, f64>, f64, f32>;

template <class Shape> struct image_axes {
  using height = typename axis_from_last<Shape, 2>::type;
  using width = typename axis_from_last<Shape, 1>::type;
  using channel = typename axis_from_last<Shape, 0>::type;
};

// The axes of a shape with one in the place of another.
template <class Shape, class From, class To> struct axes_with;
template <class E, class... X, class From, class To> struct axes_with<shape<E, X...>, From, To> {
  using type = on_axes<std::conditional_t<std::is_same_v<X, From>, To, X>...>;
};

// Along one axis: sum over `from` of weights[to, from] x.
template <class From, class To, operand_type A, operand_type W>
constexpr auto weighed(const A& x, const W& weights) {
  return emit<op::contract, typename axes_with<shape_of<A>, From, To>::type>(
      x, cast<element_of<shape_of<A>>>(weights));
}

// Hats of width 1 about the positions, which lie in [0, n - 1]: what linear interpolation takes of each
// element.
template <class From, class To, operand_type A, operand_type P>
constexpr auto interpolated(const A& x, const P& at) {
  using E = position<A>;
  auto n = extent<E>(From{}, x);
  auto inside = minimum(maximum(at, structural_of<E, 0>{}), n - 1.0);
  auto distance = abs(emit<op::sub>(inside, iota<E>(From{}, x)));  // [to, from]
  return weighed<From, To>(x, maximum(1.0 - distance, structural_of<E, 0>{}));
}

template <class A, class From, class To>
inline constexpr bool resizes =
    is_floating(dtype_of<element_of<shape_of<A>>>) && has_axis<shape_of<A>, From> &&
    !has_axis<shape_of<A>, To>;

}  // namespace detail

#define FLAME_RESIZE_REFUSALS(call, A, From, To)                           \
  static_assert(is_floating(dtype_of<element_of<shape_of<A>>>),            \
                call ": the operand must have a floating element type");   \
  static_assert(detail::has_axis<shape_of<A>, From>,                       \
                call ": an axis that is named is no axis of the operand"); \
  static_assert(!detail::has_axis<shape_of<A>, To>, call ": an axis would stand twice in the result")

// The nearest element along axis `from` for each place of axis `to`: element floor(i n / m), or with `exact`
// floor((i + 1/2) n / m), of n for place i of m (torch.nn.functional.interpolate, "nearest" and
// "nearest-exact").
template <resize_options O = resize_options{}, operand_type A, axis From, axis To>
constexpr auto resize_nearest(const A& x, const From& from, const To& to) {
  constexpr bool fits = detail::has_axis<shape_of<A>, From> && !detail::has_axis<shape_of<A>, To>;
  static_assert(detail::has_axis<shape_of<A>, From>,
                "flame::resize_nearest(x, from, to): an axis that is named is no axis of the operand");
  static_assert(!detail::has_axis<shape_of<A>, To>,
                "flame::resize_nearest(x, from, to): an axis would stand twice in the result");
  if constexpr (fits) {
    // Half a place more keeps a quotient that is whole from rounding down.
    auto i = iota<f32>(to, x) + structural_of<f32, bits_of(0.5)>{};
    auto n = extent<f32>(from, x);
    auto m = extent<f32>(to, x);
    auto at = [&] {
      if constexpr (O.exact)
        return floor(i * n / m);
      else
        return floor(((i - structural_of<f32, bits_of(0.5)>{}) * n + structural_of<f32, bits_of(0.5)>{}) / m);
    }();
    return gather(x, cast<i32>(minimum(at, n - structural_of<f32, bits_of(1.0)>{})), from);
  }
}

// Linear interpolation along axis `from`, as axis `to`: place i of m lies at (i + 1/2) n / m - 1/2 of n, no
// further out than the first and the last element; with align_corners at i (n - 1) / (m - 1).
template <resize_options O = resize_options{}, operand_type A, axis From, axis To>
constexpr auto resize_linear(const A& x, const From& from, const To& to) {
  FLAME_RESIZE_REFUSALS("flame::resize_linear(x, from, to)", A, From, To);
  if constexpr (detail::resizes<A, From, To>) {
    using F = std::remove_cvref_t<From>;
    using T = std::remove_cvref_t<To>;
    using E = detail::position<A>;
    using half = structural_of<E, bits_of(0.5)>;
    using one = structural_of<E, bits_of(1.0)>;
    auto i = iota<E>(to, x);
    auto n = extent<E>(from, x);
    auto m = extent<E>(to, x);
    if constexpr (O.align_corners)
      return detail::interpolated<F, T>(x, i * ((n - one{}) / maximum(m - one{}, one{})));
    else
      return detail::interpolated<F, T>(x, (i + half{}) * (n / m) - half{});
  }
}

// The mean of the elements that each place of axis `to` covers, floor(i n / m) to ceil((i + 1) n / m), along
// axis `from` (torch.nn.functional.interpolate, "area").
template <operand_type A, axis From, axis To>
constexpr auto resize_mean(const A& x, const From& from, const To& to) {
  FLAME_RESIZE_REFUSALS("flame::resize_mean(x, from, to)", A, From, To);
  if constexpr (detail::resizes<A, From, To>) {
    using E = detail::position<A>;
    using half = structural_of<E, bits_of(0.5)>;
    using one = structural_of<E, bits_of(1.0)>;
    auto i = iota<E>(to, x);
    auto j = iota<E>(from, x);
    auto n = extent<E>(from, x);
    auto m = extent<E>(to, x);
    auto first = floor((i * n + half{}) / m);
    auto last = floor(((i + one{}) * n + (m - half{})) / m);
    auto covered = emit<op::less_equal>(first, j) && emit<op::less>(j, last);
    return detail::weighed<std::remove_cvref_t<From>, std::remove_cvref_t<To>>(
        x, where(covered, one{} / (last - first), 0));
  }
}

#define FLAME_IMAGE_REFUSALS(call) \
  static_assert(shape_of<A>::rank >= 3, call ": x has the axes [..., height, width, channel]")

// Images [..., height, width, channel] N times as high and wide, each pixel N x N times; the new axes are the
// caller's, or multiple_of<height, N> and multiple_of<width, N>. With N = 2 it is SDXL's upsampling.
template <int N, operand_type A, axis ToHeight, axis ToWidth>
constexpr auto upsample_nearest(const A& x, const ToHeight& to_height, const ToWidth& to_width) {
  FLAME_IMAGE_REFUSALS("flame::upsample_nearest<n>(x, height, width)");
  static_assert(N >= 1, "flame::upsample_nearest<n>(x, height, width): n must be positive");
  if constexpr (shape_of<A>::rank >= 3 && N >= 1) {
    using image = detail::image_axes<shape_of<A>>;
    using h = typename image::height;
    using w = typename image::width;
    using rows = detail::repeat_axis<N>;
    using columns = multiple_of<detail::repeat_axis<N>, 1>;
    auto pixels = detail::repeated_beside<w, columns, false>(detail::repeated_beside<h, rows, false>(x));
    return merge(merge(pixels, h{}, rows{}, to_height), w{}, columns{}, to_width);
  }
}
template <int N, operand_type A> constexpr auto upsample_nearest(const A& x) {
  FLAME_IMAGE_REFUSALS("flame::upsample_nearest<n>(x)");
  if constexpr (shape_of<A>::rank >= 3) {
    using image = detail::image_axes<shape_of<A>>;
    return upsample_nearest<N>(x, multiple_of<typename image::height, N>{},
                               multiple_of<typename image::width, N>{});
  }
}

namespace detail {
// Linear interpolation N times as long, where nothing else says how long `to` is.
template <int N, class From, class To, operand_type A> constexpr auto upsampled(const A& x) {
  using E = position<A>;
  using again = repeat_axis<N>;
  using half = structural_of<E, bits_of(0.5)>;
  auto i = emit<op::add>(iota<E>(From{}, x) * static_cast<double>(N), iota<E>(again{}, x));  // [from, again]
  return interpolated<From, To>(x, merge((i + half{}) * (1.0 / N) - half{}, From{}, again{}, To{}));
}
}  // namespace detail

// Images N times as high and wide by linear interpolation along both axes, corners not aligned.
template <int N, operand_type A, axis ToHeight, axis ToWidth>
constexpr auto upsample_bilinear(const A& x, const ToHeight&, const ToWidth&) {
  FLAME_IMAGE_REFUSALS("flame::upsample_bilinear<n>(x, height, width)");
  static_assert(N >= 1, "flame::upsample_bilinear<n>(x, height, width): n must be positive");
  if constexpr (shape_of<A>::rank >= 3 && N >= 1) {
    using image = detail::image_axes<shape_of<A>>;
    auto tall = detail::upsampled<N, typename image::height, std::remove_cvref_t<ToHeight>>(x);
    return detail::upsampled<N, typename image::width, std::remove_cvref_t<ToWidth>>(tall);
  }
}
template <int N, operand_type A> constexpr auto upsample_bilinear(const A& x) {
  FLAME_IMAGE_REFUSALS("flame::upsample_bilinear<n>(x)");
  if constexpr (shape_of<A>::rank >= 3) {
    using image = detail::image_axes<shape_of<A>>;
    return upsample_bilinear<N>(x, multiple_of<typename image::height, N>{},
                                multiple_of<typename image::width, N>{});
  }
}

#define FLAME_RESIZED(name, along)                                                                    \
  template <operand_type A, axis ToHeight, axis ToWidth>                                              \
  constexpr auto name(const A& x, const ToHeight& to_height, const ToWidth& to_width) {               \
    FLAME_IMAGE_REFUSALS("flame::" #name "(x, height, width)");                                       \
    if constexpr (shape_of<A>::rank >= 3) {                                                           \
      using image = detail::image_axes<shape_of<A>>;                                                  \
      return along(along(x, typename image::height{}, to_height), typename image::width{}, to_width); \
    }                                                                                                 \
  }
// Images of another height and width by linear interpolation: resize_linear along both axes.
FLAME_RESIZED(resize_bilinear, resize_linear)
// Images averaged to another height and width, whatever the ratio (torch.nn.AdaptiveAvgPool2d): resize_mean
// along both.
FLAME_RESIZED(adaptive_mean_pool, resize_mean)
#undef FLAME_RESIZED

}  // namespace flame
