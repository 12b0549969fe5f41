// Contraction over named axes; matmul is its common case, attention its best known composite.
#pragma once
#include <flame/expr/movement.hpp>

namespace flame {

// contract(a, b, axes of the result...): sums the product over every shared axis that the result lacks.
template <operand_type A, operand_type B, axis... Axes>
constexpr auto contract(const A& a, const B& b, const Axes&...) {
  using over = on_axes<std::remove_cvref_t<Axes>...>;
  using with = inferred<op::contract, over, with_numbers<>, shape_of<A>, shape_of<B>>;
  FLAME_REFUSALS("flame::contract(a, b, axes...)", with::why);
  return emit<op::contract, over>(a, b);
}

namespace detail {

// The axes of a product: a's without the summed one (batch axes among them), then b's new ones.
template <class A, class B, class Over>
struct product_axes;
template <class E, class... X, class F, class... Y, class Over>
struct product_axes<shape<E, X...>, shape<F, Y...>, Over> {
  template <class Axis>
  static constexpr bool in_a = (std::is_same_v<Axis, X> || ...);
  template <class... C>
  static auto value(types<C...>) -> on_axes<C...>;
  using type = decltype(value(
      typename concat<std::conditional_t<std::is_same_v<X, Over>, types<>, types<X>>...,
                      std::conditional_t<in_a<Y> || std::is_same_v<Y, Over>, types<>, types<Y>>...>::type{}));
};

template <class Shape, int FromLast>
struct axis_from_last;
template <class E, class... X, int FromLast>
struct axis_from_last<shape<E, X...>, FromLast> {
  using type = typename candidates<X...>::template tag<static_cast<int>(sizeof...(X)) - 1 - FromLast>;
};

template <class Axis>
struct renamed_row : dim<Axis::extent> {
  static constexpr u64 id = mix(0x4E4A, axis_of<Axis>::id());
};

}  // namespace detail

// The product of a and b summed over one shared axis; other shared axes are batches. Neither is copied, whatever the
// order of its axes.
template <operand_type A, operand_type B, axis Over>
constexpr auto matmul(const A& a, const B& b, const Over&) {
  using O = std::remove_cvref_t<Over>;
  constexpr bool shared = shape_of<A>::value().has(axis_ptr<O>) && shape_of<B>::value().has(axis_ptr<O>);
  static_assert(shared, "flame::matmul(a, b, axis): the axis to sum over must be an axis of a and of b");
  if constexpr (shared) {
    using over = typename detail::product_axes<shape_of<A>, shape_of<B>, O>::type;
    using with = inferred<op::contract, over, with_numbers<>, shape_of<A>, shape_of<B>>;
    FLAME_REFUSALS("flame::matmul(a, b, axis)", with::why);
    return emit<op::contract, over>(a, b);
  }
}

// As in linear algebra: the last axis of a is summed against the first of b, which must be the same axis.
template <operand_type A, operand_type B>
constexpr auto matmul(const A& a, const B& b) {
  using SA = shape_of<A>;
  using SB = shape_of<B>;
  static_assert(SA::rank >= 1 && SB::rank >= 1, "flame::matmul(a, b): both operands must have an axis");
  using inner = typename detail::axis_from_last<SA, 0>::type;
  using first = typename detail::axis_from_last<SB, SB::rank - 1>::type;
  if constexpr (axis_ptr<inner>->from_last >= 0 && axis_ptr<first>->from_last >= 0 && SA::rank == 2 && SB::rank == 2) {
    using rows = typename detail::axis_from_last<SA, 1>::type;
    static_assert(rule::extents_agree(inner::extent, first::extent),
                  "flame::matmul(a, b): the last axis of a must be the first of b");
    using r = detail::renamed_row<rows>;
    using k = detail::renamed_row<inner>;
    auto left = rename(rename(a, rows{}, r{}), inner{}, k{});
    auto right = rename(b, first{}, k{});
    return rename(matmul(left, right, k{}), r{}, anonymous<1, rows::extent>{});
  } else {
    static_assert(std::is_same_v<inner, first>, "flame::matmul(a, b): the last axis of a must be the first of b");
    if constexpr (std::is_same_v<inner, first>) return matmul(a, b, inner{});
  }
}

}  // namespace flame
