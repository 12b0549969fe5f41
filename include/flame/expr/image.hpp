// Convolution and pooling of images [..., height, width, channel], and indexing.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/contract.hpp>

namespace flame {

struct conv_options {
  int stride = 1, padding = 0, dilation = 1, groups = 1;
};
struct pool_options {
  int kernel = 2, stride = 0, padding = 0;  // stride 0: the kernel
};

// The axis along which windows slide: extent floor((n + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
template <int Extent, int Kernel, int Stride, int Padding, int Dilation>
inline constexpr int windows =
    Extent == dynamic || Kernel == dynamic ? dynamic : (Extent + 2 * Padding - Dilation * (Kernel - 1) - 1) / Stride + 1;

template <class Axis, int Kernel, int Stride, int Padding, int Dilation>
struct windowed : dim<windows<Axis::extent, Kernel, Stride, Padding, Dilation>> {
  static constexpr u64 id = mix(mix(mix(mix(mix(0x31D0, axis_of<Axis>::id()), static_cast<u64>(Kernel + 1)),
                                        static_cast<u64>(Stride)), static_cast<u64>(Padding)), static_cast<u64>(Dilation));
};

namespace detail {

// A convolution that keeps the extent keeps the axis.
template <class Axis, int Kernel, int Stride, int Padding, int Dilation>
using window_axis = std::conditional_t<Stride == 1 && Kernel != dynamic && 2 * Padding == Dilation*(Kernel - 1), Axis,
                                       windowed<Axis, Kernel, Stride, Padding, Dilation>>;

template <class X, class W, conv_options O>
struct conv_traits {
  using h = typename axis_from_last<X, 2>::type;
  using w = typename axis_from_last<X, 1>::type;
  using c = typename axis_from_last<X, 0>::type;
  using kh = typename axis_from_last<W, 2>::type;
  using kw = typename axis_from_last<W, 1>::type;
  using cw = typename axis_from_last<W, 0>::type;
  using co = typename axis_from_last<W, 3>::type;
  using oh = window_axis<h, kh::extent, O.stride, O.padding, O.dilation>;
  using ow = window_axis<w, kw::extent, O.stride, O.padding, O.dilation>;
  using axes = on_axes<h, w, kh, kw, c, cw, oh, ow, co>;
  using numbers = with_numbers<static_cast<u64>(O.stride), static_cast<u64>(O.stride), static_cast<u64>(O.padding),
                               static_cast<u64>(O.padding), static_cast<u64>(O.dilation),
                               static_cast<u64>(O.dilation), static_cast<u64>(O.groups)>;
};

// A convolution of one tap is a product over the channels.
template <class T, conv_options O>
inline constexpr bool is_product = T::kh::extent == 1 && T::kw::extent == 1 && O.stride == 1 && O.padding == 0 &&
                                   O.groups == 1 && !std::is_same_v<typename T::c, typename T::co>;
template <class T, class X, class W>
constexpr auto pointwise(const X& x, const W& w) {
  using C = typename T::c;
  auto taps = merge(w, typename T::kh{}, typename T::kw{}, typename T::cw{}, typename T::cw{});
  return matmul(x, rename(taps, typename T::cw{}, C{}), C{});
}

// As in PyTorch: a window does not lie in the padding alone.
template <pool_options O>
inline constexpr bool fits_windows = O.kernel >= 1 && O.stride >= 0 && O.padding >= 0 && 2 * O.padding <= O.kernel;

template <class X, pool_options O>
struct pool_traits {
  static constexpr int stride = O.stride ? O.stride : O.kernel;
  using h = typename axis_from_last<X, 2>::type;
  using w = typename axis_from_last<X, 1>::type;
  using oh = window_axis<h, O.kernel, stride, O.padding, 1>;
  using ow = window_axis<w, O.kernel, stride, O.padding, 1>;
  using axes = on_axes<h, w, oh, ow>;
  using numbers = with_numbers<static_cast<u64>(O.kernel), static_cast<u64>(O.kernel), static_cast<u64>(stride),
                               static_cast<u64>(stride), static_cast<u64>(O.padding), static_cast<u64>(O.padding)>;
};

}  // namespace detail

// conv2d<conv_options{.stride = 2, .padding = 1}>(x, w): cross-correlation as in PyTorch's conv2d.
// x: [..., height, width, in], w: [out, kernel height, kernel width, in / groups] -> [..., height', width', out].
// A kernel that the compiler knows to be 1 x 1 is a product of matrices (flame::matmul).
template <conv_options O = conv_options{}, operand_type X, operand_type W>
constexpr auto conv2d(const X& x, const W& w) {
  static_assert(O.stride >= 1 && O.padding >= 0 && O.dilation >= 1 && O.groups >= 1,
                "flame::conv2d(x, w): stride, dilation and groups must be at least 1, padding at least 0");
  constexpr bool ranks = shape_of<X>::rank >= 3 && shape_of<W>::rank == 4;
  static_assert(ranks, "flame::conv2d(x, w): x has the axes [..., height, width, channel], "
                       "w has [out, height, width, in]");
  if constexpr (ranks) {
    using t = detail::conv_traits<shape_of<X>, shape_of<W>, O>;
    using with = inferred<op::conv, typename t::axes, typename t::numbers, shape_of<X>, shape_of<W>>;
    FLAME_REFUSALS("flame::conv2d(x, w)", with::why);
    if constexpr (with::why == fault::none && detail::is_product<t, O>)
      return detail::pointwise<t>(x, w);
    else
      return emit<op::conv, typename t::axes, typename t::numbers>(x, w);
  }
}

// max_pool<pool_options{.kernel = 2}>(x): the maximum of each window; the derivative goes to its first maximum. NaN is
// the largest, of several the last takes the derivative; all as in PyTorch.
template <pool_options O = pool_options{}, operand_type X>
constexpr auto max_pool(const X& x) {
  constexpr bool ranks = shape_of<X>::rank >= 3, windows = detail::fits_windows<O>;
  static_assert(ranks, "flame::max_pool(x): x has the axes [..., height, width, channel]");
  static_assert(windows, "flame::max_pool(x): the kernel must be at least 1, the padding at least 0 and at most half the kernel");
  if constexpr (ranks && windows) {
    using t = detail::pool_traits<shape_of<X>, O>;
    using with = inferred<op::pool_mean, typename t::axes, typename t::numbers, shape_of<X>>;
    FLAME_REFUSALS("flame::max_pool(x)", with::why);
    return emit<op::pool_take, typename t::axes, typename t::numbers>(stop_gradient(x), x);
  }
}
// mean_pool<pool_options{.kernel = 2}>(x): the mean of each window, zeros of the padding counted, as in PyTorch's avg_pool2d.
template <pool_options O = pool_options{}, operand_type X>
constexpr auto mean_pool(const X& x) {
  constexpr bool ranks = shape_of<X>::rank >= 3, windows = detail::fits_windows<O>;
  static_assert(ranks, "flame::mean_pool(x): x has the axes [..., height, width, channel]");
  static_assert(windows, "flame::mean_pool(x): the kernel must be at least 1, the padding at least 0 and at most half the kernel");
  if constexpr (ranks && windows) {
    using t = detail::pool_traits<shape_of<X>, O>;
    using with = inferred<op::pool_mean, typename t::axes, typename t::numbers, shape_of<X>>;
    FLAME_REFUSALS("flame::mean_pool(x)", with::why);
    return emit<op::pool_mean, typename t::axes, typename t::numbers>(x);
  }
}

// gather(table, index, axis): the table's elements at index along the axis; the index's axes take the axis's place.
// Axes that both have go together. An index outside the table is an error at run time.
template <operand_type T, operand_type I, axis Axis>
constexpr auto gather(const T& table, const I& index, const Axis&) {
  using over = on_axes<std::remove_cvref_t<Axis>>;
  using with = inferred<op::gather, over, with_numbers<>, shape_of<T>, shape_of<I>>;
  FLAME_REFUSALS("flame::gather(table, index, axis)", with::why);
  return emit<op::gather, over>(table, index);
}
// embedding(table, index) = gather(table, index, first axis of the table)
template <operand_type T, operand_type I>
constexpr auto embedding(const T& table, const I& index) {
  constexpr bool ranks = shape_of<T>::rank == 2, integer = is_integer(dtype_of<element_of<shape_of<I>>>);
  static_assert(ranks, "flame::embedding(table, index): the table has the axes [entry, feature]");
  static_assert(integer, "flame::embedding(table, index): the indices must have an integer element type");
  if constexpr (ranks && integer) return gather(table, index, typename detail::axis_from_last<shape_of<T>, 1>::type{});
}

}  // namespace flame
