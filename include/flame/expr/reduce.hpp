// Reductions over named axes; without axes, over all.
#pragma once
#include <flame/expr/elementwise.hpp>

namespace flame {

namespace detail {

template <class Shape>
struct all_axes;
template <class Element, class... Axes>
struct all_axes<shape<Element, Axes...>> {
  using type = on_axes<Axes...>;
};
template <class A, class... Axes>
struct reduced {
  using type = on_axes<std::remove_cvref_t<Axes>...>;
};
template <class A>
struct reduced<A> : all_axes<shape_of<A>> {};

}  // namespace detail

#define FLAME_REDUCTION(name, code)                                                                                    \
  template <operand_type A, axis... Axes>                                                                              \
  constexpr auto name(const A& a, const Axes&...) {                                                                    \
    using over = typename detail::reduced<A, Axes...>::type;                                                           \
    using with = inferred<code, over, with_numbers<>, shape_of<A>>;                                                    \
    FLAME_REFUSALS("flame::" #name "(x, axes...)", with::why);                                                         \
    return emit<code, over>(a);                                                                                        \
  }

FLAME_REDUCTION(sum, op::sum)
FLAME_REDUCTION(prod, op::prod)
FLAME_REDUCTION(max, op::max)  // NaN if any is; equal maxima share the derivative alike
FLAME_REDUCTION(min, op::min)
#undef FLAME_REDUCTION

// True if any (all) of a boolean tensor's elements are.
template <operand_type A, axis... Axes>
constexpr auto any(const A& a, const Axes&... axes) {
  static_assert(std::is_same_v<element_of<shape_of<A>>, bool>, "flame::any(x, axes...): x must be boolean");
  static_assert((shape_of<A>::value().has(axis_ptr<Axes>) && ...),
                "flame::any(x, axes...): an axis that is named is no axis of the operand");
  return max(a, axes...);
}
template <operand_type A, axis... Axes>
constexpr auto all(const A& a, const Axes&... axes) {
  static_assert(std::is_same_v<element_of<shape_of<A>>, bool>, "flame::all(x, axes...): x must be boolean");
  static_assert((shape_of<A>::value().has(axis_ptr<Axes>) && ...),
                "flame::all(x, axes...): an axis that is named is no axis of the operand");
  return min(a, axes...);
}

// The index, i32, of the first maximum along one axis; NaN counts as the largest.
template <operand_type A, axis Axis>
constexpr auto argmax(const A& a, const Axis&) {
  using over = on_axes<std::remove_cvref_t<Axis>>;
  using with = inferred<op::argmax, over, with_numbers<>, shape_of<A>>;
  FLAME_REFUSALS("flame::argmax(x, axis)", with::why);
  return emit<op::argmax, over>(a);
}

// The extent of an axis as a scalar: a number where the compiler knows it.
template <element Element, axis Axis, operand_type Like>
constexpr auto extent(const Axis&, const Like& like) {
  using A = std::remove_cvref_t<Axis>;
  if constexpr (A::extent != dynamic)
    return structural_of<Element, bits_of(static_cast<double>(A::extent))>{};
  else if constexpr (is_sym<Like>)
    return sym<Element>{{}, like.g, like.g->extent(axis_ptr<A>, dtype_of<Element>)};
  else
    return emit<op::extent, on_axes<A>, with_numbers<static_cast<u64>(dtype_of<Element>)>>();
}

// 0, 1, 2, ... along an axis; `like` says in which function.
template <element Element = i32, axis Axis, operand_type Like>
constexpr auto iota(const Axis&, const Like& like) {
  using A = std::remove_cvref_t<Axis>;
  if constexpr (is_sym<Like>) {
    list<const axis_info*> with;
    with.push(axis_ptr<A>);
    list<u64> numbers;
    numbers.push(static_cast<u64>(dtype_of<Element>));
    return sym<Element, A>{{}, like.g, like.g->put(op::iota, {}, with, numbers)};
  } else {
    return emit<op::iota, on_axes<A>, with_numbers<static_cast<u64>(dtype_of<Element>)>>();
  }
}

}  // namespace flame
