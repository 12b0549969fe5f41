// Axes made of others: their extents follow.
//
// Such an axis says how long it is: derived(of), where of(axis) is the extent of an axis, is its extent, or
// -1 where there is none. It serves where an extent is known only at run time and nothing else says it (init
// of a model).
#pragma once
#include <flame/type/axis.hpp>

namespace flame {

// An axis N times as long.
template <class Axis, int N> struct multiple_of : dim<Axis::extent == dynamic ? dynamic : Axis::extent * N> {
  static constexpr u64 id = mix(mix(0x713E, axis_of<Axis>::id()), static_cast<u64>(N));
  static constexpr i64 derived(const auto& of) { return N * of(Axis{}); }
};
// One of N equal parts of an axis. N must divide it.
template <class Axis, int N>
struct part_of : dim<Axis::extent == dynamic ? dynamic : Axis::extent / (N < 1 ? 1 : N)> {
  static constexpr u64 id = mix(mix(0x9A47, axis_of<Axis>::id()), static_cast<u64>(N));
  static constexpr i64 derived(const auto& of) {
    const i64 whole = of(Axis{});
    return N >= 1 && whole % N == 0 ? whole / N : -1;
  }
};
// A, then B: what concatenate gives.
template <class A, class B>
struct joined_axis : dim<A::extent == dynamic || B::extent == dynamic ? dynamic : A::extent + B::extent> {
  static constexpr u64 id = mix(mix(0x701D, axis_of<A>::id()), axis_of<B>::id());
  static constexpr i64 derived(const auto& of) { return of(A{}) + of(B{}); }
};
// Each of A with each of B, B fastest: what merge gives, as the pixels of [height, width].
template <class A, class B>
struct merged_axis : dim<A::extent == dynamic || B::extent == dynamic ? dynamic : A::extent * B::extent> {
  static constexpr u64 id = mix(mix(0x4E26, axis_of<A>::id()), axis_of<B>::id());
  static constexpr i64 derived(const auto& of) { return of(A{}) * of(B{}); }
};

}  // namespace flame
