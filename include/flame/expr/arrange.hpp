// Movement made of movement: parts of an axis and tensors side by side, repeated, rolled and rearranged
// pixels.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/contract.hpp>

namespace flame {

namespace detail {

// Axes of composites, which no result has.
template <int N> struct part_axis : dim<N> { static constexpr u64 id = mix(0xC417, static_cast<u64>(N)); };
template <int N> struct repeat_axis : dim<N> { static constexpr u64 id = mix(0x2E9E, static_cast<u64>(N)); };
template <class Axis, i64 Shift>
struct rest_axis : dim<Axis::extent == dynamic ? dynamic : static_cast<int>(Axis::extent - Shift)> {
  static constexpr u64 id = mix(mix(0x2E57, axis_of<Axis>::id()), static_cast<u64>(Shift));
};

template <class Shape, class Axis>
inline constexpr bool has_axis = Shape::value().has(axis_ptr<std::remove_cvref_t<Axis>>);

// x with the axis New before or behind Axis.
template <class Shape, class Axis, class New, bool Before> struct axes_beside;
template <class E, class... X, class Axis, class New, bool Before>
struct axes_beside<shape<E, X...>, Axis, New, Before> {
  template <class... C> static auto value(types<C...>) -> on_axes<C...>;
  using both = std::conditional_t<Before, types<New, Axis>, types<Axis, New>>;
  using type = decltype(value(
      typename concat<std::conditional_t<std::is_same_v<X, Axis>, both, types<X>>...>::type{}));
};
template <class Axis, class New, bool Before, operand_type A> constexpr auto repeated_beside(const A& x) {
  return emit<op::broadcast, typename axes_beside<shape_of<A>, Axis, New, Before>::type>(x);
}

}  // namespace detail

// The N equal parts of an axis, each with the axis `to` in its place, as a tuple:
// auto [shift, scale, gate] = chunk<3>(m, three, channel).
template <int N, operand_type A, axis From, axis To>
constexpr auto chunk(const A& x, const From& from, const To& to) {
  static_assert(N >= 1, "flame::chunk<n>(x, from, to): there must be a part");
  static_assert(detail::has_axis<shape_of<A>, From>,
                "flame::chunk<n>(x, from, to): an axis that is named is no axis of the operand");
  using F = std::remove_cvref_t<From>;
  using T = std::remove_cvref_t<To>;
  constexpr bool fits = F::extent == dynamic || T::extent == dynamic || F::extent == N * T::extent;
  static_assert(fits && (F::extent == dynamic || F::extent % (N < 1 ? 1 : N) == 0),
                "flame::chunk<n>(x, from, to): `from` must have n times the extent of `to`");
  if constexpr (N >= 1 && fits && detail::has_axis<shape_of<A>, From>) {
    using part = detail::part_axis<N>;
    auto parts = split(x, from, part{}, to);
    return [&]<int... I>(std::integer_sequence<int, I...>) { return std::tuple{select<I>(parts, part{})...}; }
    (std::make_integer_sequence<int, N>{});
  }
}

namespace detail {

// Parts that have an axis Unit of one element, side by side along it, as To.
template <class To, class Unit, class... A> constexpr auto joined_units(const A&... parts) {
  constexpr auto unit_of = [](auto) { return Unit{}; };
  return emit<op::concatenate, on_axes<decltype(unit_of(parts))..., To>>(parts...);
}
// x with the axis Unit of one element in front. A split, not a broadcast: what is split is made in its place.
template <class Unit, operand_type A> constexpr auto with_unit(const A& x) {
  if constexpr (shape_of<A>::rank == 0) {
    return emit<op::broadcast, on_axes<Unit>>(x);
  } else {
    using first = typename axis_from_last<shape_of<A>, shape_of<A>::rank - 1>::type;
    return emit<op::split, on_axes<first, Unit, first>>(x);
  }
}

}  // namespace detail

// Tensors of one shape side by side along a new first axis: stack_along(to, a, b, c) is a at 0, b at 1, c
// at 2. (PyTorch's torch.stack(..., 0); permute puts the axis elsewhere and costs nothing.)
template <axis To, operand_type A, operand_type... More>
constexpr auto stack_along(const To&, const A& a, const More&... more) {
  using T = std::remove_cvref_t<To>;
  constexpr bool alike = (std::is_same_v<shape_of<A>, shape_of<More>> && ...);
  static_assert(alike,
                "flame::stack_along(to, a, b...): all operands must have the same axes and element type");
  static_assert(!detail::has_axis<shape_of<A>, To>,
                "flame::stack_along(to, a, b...): `to` is an axis of the operands");
  constexpr bool counted = T::extent == dynamic || T::extent == 1 + static_cast<int>(sizeof...(More));
  static_assert(counted,
                "flame::stack_along(to, a, b...): the extent of `to` must be the number of operands");
  if constexpr (alike && counted && !detail::has_axis<shape_of<A>, To>) {
    using unit = detail::unit_axis;
    return detail::joined_units<T, unit>(detail::with_unit<unit>(a), detail::with_unit<unit>(more)...);
  }
}

// Axis `from` N times one after another, as axis `to` (torch.Tensor.repeat, numpy.tile).
template <int N, operand_type A, axis From, axis To>
constexpr auto tile(const A& x, const From&, const To& to) {
  static_assert(N >= 1 && detail::has_axis<shape_of<A>, From>,
                "flame::tile<n>(x, from, to): `from` must be an axis of the operand and n positive");
  using again = detail::repeat_axis<N>;
  using F = std::remove_cvref_t<From>;
  if constexpr (N >= 1 && detail::has_axis<shape_of<A>, From>)
    return merge(detail::repeated_beside<F, again, true>(x), again{}, F{}, to);
}
// Each element of axis `from` N times, as axis `to` (torch.repeat_interleave).
template <int N, operand_type A, axis From, axis To>
constexpr auto repeat_interleave(const A& x, const From&, const To& to) {
  static_assert(
      N >= 1 && detail::has_axis<shape_of<A>, From>,
      "flame::repeat_interleave<n>(x, from, to): `from` must be an axis of the operand and n positive");
  using again = detail::repeat_axis<N>;
  using F = std::remove_cvref_t<From>;
  if constexpr (N >= 1 && detail::has_axis<shape_of<A>, From>)
    return merge(detail::repeated_beside<F, again, false>(x), F{}, again{}, to);
}

// Element i at i + Shift, what falls off the end at the beginning (torch.roll). Shift: at most the axis's
// extent, either way.
template <i64 Shift, operand_type A, axis Axis> constexpr auto roll(const A& x, const Axis&) {
  using X = std::remove_cvref_t<Axis>;
  static_assert(detail::has_axis<shape_of<A>, Axis>,
                "flame::roll<shift>(x, axis): an axis that is named is no axis of the operand");
  constexpr i64 distance = Shift < 0 ? -Shift : Shift;
  static_assert(X::extent == dynamic || distance <= X::extent,
                "flame::roll<shift>(x, axis): the shift must be at most the axis's extent");
  if constexpr (!detail::has_axis<shape_of<A>, Axis> || (X::extent != dynamic && distance > X::extent)) {
    return;
  } else if constexpr (Shift == 0) {
    return x;
  } else {
    using moved = detail::part_axis<static_cast<int>(distance)>;
    using rest = detail::rest_axis<X, distance>;
    constexpr u64 one = 1, all = static_cast<u64>(as_result);
    if constexpr (Shift < 0) {  // the first elements go to the end
      auto first = emit<op::slice, on_axes<X, moved>, with_numbers<0, one, static_cast<u64>(distance)>>(x);
      auto behind = emit<op::slice, on_axes<X, rest>, with_numbers<static_cast<u64>(distance), one, all>>(x);
      return emit<op::concatenate, on_axes<rest, moved, X>>(behind, first);
    } else {  // the last elements begin where the rest ends
      auto last = emit<op::slice, on_axes<X, moved, rest>, with_numbers<0, one, all>>(x);
      auto before = emit<op::slice, on_axes<X, rest>, with_numbers<0, one, all>>(x);
      return emit<op::concatenate, on_axes<moved, rest, X>>(last, before);
    }
  }
}

}  // namespace flame
