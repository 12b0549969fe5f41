// Movement: the order, names and extents of axes. Names are free; only pad, concatenate and some orders move memory.
#pragma once
#include <flame/expr/elementwise.hpp>

namespace flame {

namespace detail {
template <class A, class... T>
struct last_of : last_of<T...> {};
template <class A>
struct last_of<A> {
  using type = A;
};
}  // namespace detail

#define FLAME_MOVEMENT(call, code)                                                                                     \
  using over = on_axes<std::remove_cvref_t<Axes>...>;                                                                  \
  using with = inferred<code, over, with_numbers<>, shape_of<A>>;                                                      \
  FLAME_REFUSALS(call, with::why);                                                                                     \
  return emit<code, over>(a)

// All axes in a new order of memory.
template <operand_type A, axis... Axes>
constexpr auto permute(const A& a, const Axes&...) {
  static_assert(sizeof...(Axes) == shape_of<A>::rank, "flame::permute(x, axes...): all axes of x must be named");
  FLAME_MOVEMENT("flame::permute(x, axes...)", op::permute);
}
// x repeated along the axes that it lacks: the axes of the result, in their order of memory.
template <operand_type A, axis... Axes>
constexpr auto broadcast(const A& a, const Axes&...) {
  FLAME_MOVEMENT("flame::broadcast(x, axes...)", op::broadcast);
}
// Axis `from` under the name `to`.
template <operand_type A, axis From, axis To>
constexpr auto rename(const A& a, const From&, const To&) {
  using over = on_axes<std::remove_cvref_t<From>, std::remove_cvref_t<To>>;
  using with = inferred<op::rename, over, with_numbers<>, shape_of<A>>;
  FLAME_REFUSALS("flame::rename(x, from, to)", with::why);
  return emit<op::rename, over>(a);
}
// Axis `from` as several, the last fastest: split(x, channel, head, dim).
template <operand_type A, axis... Axes>
constexpr auto split(const A& a, const Axes&...) {
  static_assert(sizeof...(Axes) >= 2, "flame::split(x, from, parts...): at least one part must be named");
  FLAME_MOVEMENT("flame::split(x, from, parts...)", op::split);
}
// Neighbouring axes as one: merge(x, head, dim, channel) gives channel.
template <operand_type A, axis... Axes>
constexpr auto merge(const A& a, const Axes&...) {
  static_assert(sizeof...(Axes) >= 2, "flame::merge(x, parts..., to): at least one part must be named");
  FLAME_MOVEMENT("flame::merge(x, parts..., to)", op::merge);
}
#undef FLAME_MOVEMENT

// Elements Begin, Begin + Step, ... of axis `from`, as axis `to`; Count -1: to the end.
template <i64 Begin, i64 Count = -1, i64 Step = 1, operand_type A, axis From, axis To>
constexpr auto slice(const A& a, const From&, const To&) {
  static_assert(Begin >= 0 && Step >= 1, "flame::slice<begin, count, step>(x, from, to): begin >= 0 and step >= 1");
  using over = on_axes<std::remove_cvref_t<From>, std::remove_cvref_t<To>>;
  constexpr i64 count = Count < 0 && std::remove_cvref_t<To>::extent != dynamic ? std::remove_cvref_t<To>::extent : Count;
  using numbers = with_numbers<static_cast<u64>(Begin), static_cast<u64>(Step), static_cast<u64>(count)>;
  using with = inferred<op::slice, over, numbers, shape_of<A>>;
  FLAME_REFUSALS("flame::slice<begin, count, step>(x, from, to)", with::why);
  static_assert(std::remove_cvref_t<To>::extent == dynamic || Count < 0 || Count == std::remove_cvref_t<To>::extent,
                "flame::slice<begin, count, step>(x, from, to): count must be the extent of `to`");
  return emit<op::slice, over, numbers>(a);
}

namespace detail {

// An axis of one element, merged away by select.
struct unit_axis : dim<1> {
  static constexpr u64 id = 0x0417;
};

template <class Shape, class Axis>
struct neighbour;
template <class E, class... X, class Axis>
struct neighbour<shape<E, X...>, Axis> {
  static constexpr int at = shape<E, X...>::value().find(axis_ptr<Axis>);
  static constexpr bool last = at + 1 == static_cast<int>(sizeof...(X));
  using type = typename candidates<X...>::template tag<(last ? at - 1 : at + 1)>;
};

}  // namespace detail

// The element at Index of an axis, without the axis.
template <i64 Index, operand_type A, axis Axis>
constexpr auto select(const A& a, const Axis& of) {
  static_assert(shape_of<A>::value().has(axis_ptr<std::remove_cvref_t<Axis>>),
                "flame::select<index>(x, axis): an axis that is named is no axis of the operand");
  static_assert(Index >= 0 && (std::remove_cvref_t<Axis>::extent == dynamic || Index < std::remove_cvref_t<Axis>::extent),
                "flame::select<index>(x, axis): the index lies outside of the axis");
  using unit = detail::unit_axis;
  auto one = slice<Index, 1>(a, of, unit{});
  if constexpr (shape_of<A>::rank == 1) {
    return emit<op::sum, on_axes<unit>>(one);
  } else {
    using near = detail::neighbour<shape_of<A>, std::remove_cvref_t<Axis>>;
    using other = typename near::type;
    if constexpr (near::last)
      return merge(one, other{}, unit{}, other{});
    else
      return merge(one, unit{}, other{}, other{});
  }
}

// Low elements before and High after axis `from`, all Value; the result's axis is `to`.
template <i64 Low, i64 High, i64 Value = 0, operand_type A, axis From, axis To>
constexpr auto pad(const A& a, const From&, const To&) {
  static_assert(Low >= 0 && High >= 0, "flame::pad<low, high>(x, from, to): low and high must not be negative");
  using over = on_axes<std::remove_cvref_t<From>, std::remove_cvref_t<To>>;
  using numbers = with_numbers<static_cast<u64>(Low), static_cast<u64>(High),
                               bits_of(static_cast<double>(Value)), 1>;
  using with = inferred<op::pad, over, numbers, shape_of<A>>;
  FLAME_REFUSALS("flame::pad<low, high>(x, from, to)", with::why);
  return emit<op::pad, over, numbers>(a);
}

// a along its axis `of_a`, then b along `of_b`, as axis `to`.
template <operand_type A, operand_type B, axis OfA, axis OfB, axis To>
constexpr auto concatenate(const A& a, const OfA&, const B& b, const OfB&, const To&) {
  using over = on_axes<std::remove_cvref_t<OfA>, std::remove_cvref_t<OfB>, std::remove_cvref_t<To>>;
  using with = inferred<op::concatenate, over, with_numbers<>, shape_of<A>, shape_of<B>>;
  FLAME_REFUSALS("flame::concatenate(a, axis of a, b, axis of b, to)", with::why);
  return emit<op::concatenate, over>(a, b);
}

}  // namespace flame
