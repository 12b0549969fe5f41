// Norms over named axes, and what diffusion transformers do behind them.
//
// All compute in f32 where x has 16 bits, since they are fused. A scale and a bias are written behind a norm,
// norm(x) * weight + bias, and become part of its kernel; nn/norm.hpp has the layers.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/contract.hpp>

namespace flame {

// rms_norm(x) = x / sqrt(mean x^2 + eps), over the given axes (Zhang and Sennrich 2019). Over the axis of a
// head it is the norm of queries and keys of SD3.5 and Flux: rms_norm(q, 1e-6, head_dim) * weight.
template <operand_type A, axis... Axes> constexpr auto rms_norm(const A& x, double eps, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::rms_norm(x, eps, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) return x * rsqrt(mean(x * x, axes...) + eps);
}

// instance_norm(x) = (x - mean x) / sqrt(var x + eps), over the axes of a picture alone, so that each picture
// and each channel has a mean of its own (Ulyanov et al. 2016).
template <operand_type A, axis... Axes>
constexpr auto instance_norm(const A& x, double eps, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::instance_norm(x, eps, axes...)", shape_of<A>, Axes);
  static_assert(sizeof...(Axes) >= 1, "flame::instance_norm(x, eps, axes...): name the axes of a picture");
  if constexpr (detail::composes<shape_of<A>, Axes...> && sizeof...(Axes) >= 1)
    return layer_norm(x, eps, axes...);
}

namespace detail {
// The groups of an axis, and what is in one of them.
template <int Groups> struct groups_axis : dim<Groups> {
  static constexpr u64 id = mix(0x6209, static_cast<u64>(Groups));
};
template <class Axis, int Groups>
struct member_axis : dim<Axis::extent == dynamic ? dynamic : Axis::extent / (Groups < 1 ? 1 : Groups)> {
  static constexpr u64 id = mix(mix(0x6210, axis_of<Axis>::id()), static_cast<u64>(Groups));
};
template <class Axis, int Groups>
inline constexpr bool grouped_by = Groups >= 1 &&
                                   (Axis::extent == dynamic || Axis::extent % (Groups < 1 ? 1 : Groups) == 0);
}  // namespace detail

// group_norm<Groups>(x) = (x - mean x) / sqrt(var x + eps), over the axes of a picture and the channels of a
// group (Wu and He 2018). x: [batch..., axes..., channel], in any order; Groups must divide the channels.
template <int Groups, operand_type A, axis Channel, axis... Axes>
constexpr auto group_norm(const A& x, double eps, const Channel& channel, const Axes&... axes) {
  using C = std::remove_cvref_t<Channel>;
  FLAME_COMPOSITE_REFUSALS("flame::group_norm<groups>(x, eps, channel, axes...)", shape_of<A>, Axes);
  constexpr bool has = shape_of<A>::value().has(axis_ptr<C>), even = detail::grouped_by<C, Groups>;
  static_assert(has,
                "flame::group_norm<groups>(x, eps, channel, axes...): channel is no axis of the operand");
  static_assert(even, "flame::group_norm<groups>(x, eps, channel, axes...): groups must divide the channels");
  if constexpr (has && even && detail::composes<shape_of<A>, Channel, Axes...>) {
    using parts = detail::groups_axis<Groups>;
    using member = detail::member_axis<C, Groups>;
    return merge(layer_norm(split(x, channel, parts{}, member{}), eps, axes..., member{}), parts{}, member{},
                 channel);
  }
}
// The same of images [..., height, width, channel].
template <int Groups, operand_type A> constexpr auto group_norm(const A& x, double eps) {
  static_assert(shape_of<A>::rank >= 3,
                "flame::group_norm<groups>(x, eps): x has the axes [..., height, width, channel]");
  if constexpr (shape_of<A>::rank >= 3) {
    using S = shape_of<A>;
    return group_norm<Groups>(x, eps, typename detail::axis_from_last<S, 0>::type{},
                              typename detail::axis_from_last<S, 2>::type{},
                              typename detail::axis_from_last<S, 1>::type{});
  }
}

// modulate(x, shift, scale) = x (1 + scale) + shift (Perez et al. 2018; Peebles and Xie 2023)
template <operand_type A, operand_type Shift, operand_type Scale>
constexpr auto modulate(const A& x, const Shift& shift, const Scale& scale) {
  constexpr bool fits = within(shape_of<Shift>::value(), shape_of<A>::value()) &&
                        within(shape_of<Scale>::value(), shape_of<A>::value());
  static_assert(fits, "flame::modulate(x, shift, scale): x must have the axes of shift and of scale");
  if constexpr (fits) return x * (scale + structural_of<element_of<shape_of<Scale>>, bits_of(1.0)>{}) + shift;
}
// adaptive_layer_norm(x, shift, scale, eps, axes...) = modulate(layer_norm(x, eps, axes...), shift, scale):
// AdaLN, whose layer norm has no parameters.
template <operand_type A, operand_type Shift, operand_type Scale, axis... Axes>
constexpr auto adaptive_layer_norm(const A& x, const Shift& shift, const Scale& scale, double eps,
                                   const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::adaptive_layer_norm(x, shift, scale, eps, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>)
    return modulate(layer_norm(x, eps, axes...), shift, scale);
}
// gated(x, gate, y) = x + gate y: the residual of an AdaLN block.
template <operand_type A, operand_type Gate, operand_type B>
constexpr auto gated(const A& x, const Gate& gate, const B& y) {
  constexpr bool fits =
      within(shape_of<Gate>::value(), shape_of<B>::value()) && detail::nested<shape_of<A>, shape_of<B>>;
  static_assert(fits, "flame::gated(x, gate, y): x and y must have the same axes, the gate some of them");
  if constexpr (fits) return x + gate * y;
}

}  // namespace flame
