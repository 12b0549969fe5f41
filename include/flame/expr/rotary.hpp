// Positions: rotary embedding of queries and keys, and sinusoids of times.
#pragma once
#include <flame/expr/arrange.hpp>

namespace flame {

// Which elements of a head are turned together.
enum class rotary_pairs : u8 {
  neighbours,  // 2i and 2i + 1: Flux, and the paper
  halves,      // i and i + half: LLaMA and transformers' rotate_half
};

namespace detail {

struct pair_axis : dim<2> {
  static constexpr u64 id = 0x9A14;
};

// The one axis of Turn that X lacks; void if it lacks none or several.
template <class X, class Turn> struct own_axis_of;
template <class X, class E, class... Y> struct own_axis_of<X, shape<E, Y...>> {
  using extra = typename concat<std::conditional_t<has_axis<X, Y>, types<>, types<Y>>...>::type;
  template <class Only> static Only find(types<Only>);
  template <class... Any> static void find(types<Any...>);
  using type = decltype(find(extra{}));
};

template <class X, class C, class S, class Dim>
inline constexpr bool rotates =
    has_axis<X, Dim>&& std::is_same_v<C, S>&& is_floating(dtype_of<element_of<X>>) &&
    is_floating(dtype_of<element_of<C>>) && !std::is_void_v<typename own_axis_of<X, C>::type>;

}  // namespace detail

// rotary(x, cos, sin, dim): pairs (a, b) of elements along `dim` turned, (a cos - b sin, a sin + b cos) (Su
// et al. 2021). cos and sin are tables of one shape: axes of x, the tokens' say, and one more, of the pairs,
// as rotary_angles gives them. Computed in the tables' element type and rounded to x's once: tables in f32
// turn bf16 queries as Flux does.
template <rotary_pairs Pairs = rotary_pairs::neighbours, operand_type X, operand_type C, operand_type S,
          axis Dim>
constexpr auto rotary(const X& x, const C& cosine, const S& sine, const Dim& of) {
  constexpr bool fits = detail::rotates<shape_of<X>, shape_of<C>, shape_of<S>, Dim>;
  static_assert(detail::has_axis<shape_of<X>, Dim>,
                "flame::rotary(x, cos, sin, dim): an axis that is named is no axis of the operand");
  static_assert(fits || !detail::has_axis<shape_of<X>, Dim>,
                "flame::rotary(x, cos, sin, dim): cos and sin must have one shape, axes of x and one more "
                "for the pairs");
  if constexpr (fits) {
    using half = typename detail::own_axis_of<shape_of<X>, shape_of<C>>::type;
    using pair = detail::pair_axis;
    using E = element_of<shape_of<C>>;
    auto pairs = [&] {
      if constexpr (Pairs == rotary_pairs::halves)
        return split(x, of, pair{}, half{});
      else
        return split(x, of, half{}, pair{});
    }();
    auto a = cast<E>(select<0>(pairs, pair{}));
    auto b = cast<E>(select<1>(pairs, pair{}));
    auto first = cast<element_of<shape_of<X>>>(a * cosine - b * sine);
    auto second = cast<element_of<shape_of<X>>>(a * sine + b * cosine);
    if constexpr (Pairs == rotary_pairs::halves) {
      return concatenate(first, half{}, second, half{}, of);
    } else {
      using unit = detail::unit_axis;
      auto both = detail::joined_units<pair, unit>(split(first, half{}, half{}, unit{}),
                                                   split(second, half{}, half{}, unit{}));
      return merge(both, half{}, pair{}, of);
    }
  }
}

// The angles of rotary at positions: position theta^(-i / half), i along the axis `half` of the pairs. Make
// them once in f64 and keep cos and sin in f32: at a position of 1000, f32 is off by 1e-4.
template <operand_type P, axis Half>
constexpr auto rotary_angles(const P& position, const Half& half, double theta = 10000) {
  static_assert(is_floating(dtype_of<element_of<shape_of<P>>>),
                "flame::rotary_angles(position, half): positions must have a floating element type");
  static_assert(!detail::has_axis<shape_of<P>, Half>,
                "flame::rotary_angles(position, half): an axis would stand twice in the result");
  if constexpr (is_floating(dtype_of<element_of<shape_of<P>>>) && !detail::has_axis<shape_of<P>, Half>) {
    using E = element_of<shape_of<P>>;
    return emit<op::mul>(position, pow(theta, -iota<E>(half, position) / extent<E>(half, position)));
  }
}

enum class sinusoid_order : u8 {
  sines_first,    // the paper, and diffusers where flip_sin_to_cos is false
  cosines_first,  // SDXL, SD3, Flux
};
struct sinusoid_options {
  double scale = 1;                 // of the times; SD3 and Flux: 1000
  double downscale_freq_shift = 0;  // diffusers': 0 in SDXL, SD3 and Flux
  double max_period = 10000;
};

// timestep_embedding(t, feature) of times t: sines and cosines of scale t max_period^(-i / (half - shift)), i
// = 0 to half - 1, half the extent of `feature` halved, side by side in the given order; the last of an odd
// number of features is 0 (Vaswani et al. 2017; diffusers' get_timestep_embedding).
template <sinusoid_order Order = sinusoid_order::cosines_first, operand_type T, axis Feature>
constexpr auto timestep_embedding(const T& t, const Feature& feature, sinusoid_options o = {}) {
  static_assert(is_floating(dtype_of<element_of<shape_of<T>>>),
                "flame::timestep_embedding(t, feature): times must have a floating element type");
  static_assert(!detail::has_axis<shape_of<T>, Feature>,
                "flame::timestep_embedding(t, feature): an axis would stand twice in the result");
  if constexpr (is_floating(dtype_of<element_of<shape_of<T>>>) && !detail::has_axis<shape_of<T>, Feature>) {
    using E = element_of<shape_of<T>>;
    auto i = iota<E>(feature, t);
    auto half = floor(extent<E>(feature, t) * structural_of<E, bits_of(0.5)>{});
    auto behind = half <= i;
    auto k = where(behind, i - half, i);
    auto angle = emit<op::mul>(t * o.scale,
                               pow(o.max_period, -k / (half - o.downscale_freq_shift)));  // [..., feature]
    auto both = [&] {
      if constexpr (Order == sinusoid_order::cosines_first)
        return where(behind, sin(angle), cos(angle));
      else
        return where(behind, cos(angle), sin(angle));
    }();
    return where(i < half + half, both, structural_of<E, 0>{});
  }
}

}  // namespace flame
