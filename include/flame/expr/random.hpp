// Random leaves: counter-based, so that a draw is a function of its key and can be made anew instead of kept.
#pragma once
#include <flame/expr/elementwise.hpp>

namespace flame {

// A new key from a key and a number (Philox): fold(fold(seed, step), site).
template <operand_type Key, class N>
constexpr auto fold(const Key& k, const N& n) {
  auto number = detail::take_element<i32>(n);
  using with = inferred<op::fold, on_axes<>, with_numbers<>, shape_of<Key>, shape_of<decltype(number)>>;
  FLAME_REFUSALS("flame::fold(key, n)", with::why);
  return emit<op::fold>(k, number);
}

namespace detail {
template <op Code, class Element, u64 Site, class Key, class... Axes>
constexpr auto draw(const Key& k, types<Axes...>) {
  using with = inferred<Code, on_axes<Axes...>, with_numbers<Site, static_cast<u64>(dtype_of<Element>)>, shape_of<Key>>;
  if constexpr (Code == op::normal) {
    FLAME_REFUSALS("flame::normal(key, axes...)", with::why);
  } else {
    FLAME_REFUSALS("flame::uniform(key, axes...)", with::why);
  }
  return emit<Code, on_axes<Axes...>, with_numbers<Site, static_cast<u64>(dtype_of<Element>)>>(k);
}
template <class Shape>
struct axis_types;
template <class Element, class... Axes>
struct axis_types<shape<Element, Axes...>> {
  using type = types<Axes...>;
};
}  // namespace detail

// Uniform in [0, 1). Two draws with one key and one site are one draw.
template <element Element = f32, u64 Site = 0, operand_type Key, axis... Axes>
constexpr auto uniform(const Key& k, const Axes&...) {
  return detail::draw<op::uniform, Element, Site>(k, types<std::remove_cvref_t<Axes>...>{});
}
// Normal with mean 0 and variance 1 (Box and Muller 1958).
template <element Element = f32, u64 Site = 0, operand_type Key, axis... Axes>
constexpr auto normal(const Key& k, const Axes&...) {
  return detail::draw<op::normal, Element, Site>(k, types<std::remove_cvref_t<Axes>...>{});
}
template <u64 Site = 0, operand_type Like, operand_type Key>
constexpr auto uniform_like(const Like&, const Key& k) {
  using S = shape_of<Like>;
  return detail::draw<op::uniform, element_of<S>, Site>(k, typename detail::axis_types<S>::type{});
}
template <u64 Site = 0, operand_type Like, operand_type Key>
constexpr auto normal_like(const Like&, const Key& k) {
  using S = shape_of<Like>;
  return detail::draw<op::normal, element_of<S>, Site>(k, typename detail::axis_types<S>::type{});
}

// dropout(x, p) = x / (1 - p) where a uniform draw is at least p, else 0 (Srivastava et al. 2014).
template <u64 Site = 0, operand_type A, operand_type Key>
constexpr auto dropout(const A& x, double p, const Key& k) {
  FLAME_ACTIVATION_REFUSALS("flame::dropout(x, p, key)", shape_of<A>);
  return where(uniform_like<Site>(x, k) >= p, x * (1 / (1 - p)), 0);
}

}  // namespace flame
