// Transposed convolution: what a convolution's gradient with respect to its image computes, as an operation.
#pragma once
#include <flame/expr/image.hpp>
#include <flame/expr/resize.hpp>

namespace flame {

struct conv_transpose_options {
  int stride = 1, padding = 0, output_padding = 0, dilation = 1, groups = 1;
};

// The axis of a transposed convolution's result: extent (n - 1) stride - 2 padding + dilation (kernel - 1) +
// output_padding + 1.
template <class Axis, int Kernel, conv_transpose_options O>
struct unwindowed
    : dim<Axis::extent == dynamic || Kernel == dynamic ? dynamic
                                                       : (Axis::extent - 1) * O.stride - 2 * O.padding +
                                                             O.dilation*(Kernel - 1) + O.output_padding + 1> {
  static constexpr u64 id = mix(mix(mix(mix(0x7C0E, axis_of<Axis>::id()), static_cast<u64>(Kernel + 1)),
                                    mix(static_cast<u64>(O.stride), static_cast<u64>(O.padding))),
                                mix(static_cast<u64>(O.dilation), static_cast<u64>(O.output_padding)));
};

namespace detail {

template <class Axis, int Kernel, conv_transpose_options O>
using unwindowed_axis =
    std::conditional_t<O.stride == 1 && Kernel != dynamic && 2 * O.padding == O.dilation*(Kernel - 1) &&
                           O.output_padding == 0,
                       Axis, unwindowed<Axis, Kernel, O>>;

template <class X, class W, conv_transpose_options O> struct conv_transpose_traits {
  using h = typename axis_from_last<X, 2>::type;
  using w = typename axis_from_last<X, 1>::type;
  using c = typename axis_from_last<X, 0>::type;
  using kh = typename axis_from_last<W, 2>::type;
  using kw = typename axis_from_last<W, 1>::type;
  using part = typename axis_from_last<W, 0>::type;
  using in = typename axis_from_last<W, 3>::type;
  using oh = unwindowed_axis<h, kh::extent, O>;
  using ow = unwindowed_axis<w, kw::extent, O>;
  using out = typename std::conditional_t<O.groups == 1, std::type_identity<part>,
                                          std::type_identity<multiple_of<part, O.groups>>>::type;
  using axes = on_axes<oh, ow, kh, kw, out, part, h, w, c>;
  // With what a stride leaves open behind: how far beyond the last window the result reaches.
  using numbers =
      with_numbers<static_cast<u64>(O.stride), static_cast<u64>(O.stride), static_cast<u64>(O.padding),
                   static_cast<u64>(O.padding), static_cast<u64>(O.dilation), static_cast<u64>(O.dilation),
                   static_cast<u64>(O.groups), static_cast<u64>(O.output_padding),
                   static_cast<u64>(O.output_padding)>;
};

}  // namespace detail

// conv_transpose2d<conv_transpose_options{.stride = 2, .padding = 1}>(x, w): y[i s + t d - p] += x[i] w[t],
// as PyTorch's conv_transpose2d. x: [..., height, width, in], w: [in, kernel height, kernel width, out /
// groups] ->
// [..., height', width', out]; with groups the last axis is multiple_of<out / groups, groups>.
template <conv_transpose_options O = conv_transpose_options{}, operand_type X, operand_type W>
constexpr auto conv_transpose2d(const X& x, const W& w) {
  constexpr bool numbers = O.stride >= 1 && O.padding >= 0 && O.dilation >= 1 && O.groups >= 1 &&
                           O.output_padding >= 0 && O.output_padding < O.stride;
  static_assert(
      numbers,
      "flame::conv_transpose2d(x, w): stride, dilation and groups must be at least 1, paddings at least 0, "
      "output_padding less than the stride");
  constexpr bool ranks = shape_of<X>::rank >= 3 && shape_of<W>::rank == 4;
  static_assert(ranks,
                "flame::conv_transpose2d(x, w): x has the axes [..., height, width, in], "
                "w has [in, height, width, out / groups]");
  if constexpr (numbers && ranks) {
    using t = detail::conv_transpose_traits<shape_of<X>, shape_of<W>, O>;
    constexpr bool meet = std::is_same_v<typename t::c, typename t::in>;
    static_assert(meet, "flame::conv_transpose2d(x, w): the last axis of x must be the first of w");
    if constexpr (meet) {
      using with = inferred<op::conv_data, typename t::axes, typename t::numbers, shape_of<X>, shape_of<W>>;
      FLAME_REFUSALS("flame::conv_transpose2d(x, w)", with::why);
      return emit<op::conv_data, typename t::axes, typename t::numbers>(x, w);
    }
  }
}

}  // namespace flame
