// Axes have names: tag types whose extent the compiler knows or only run time does.
#pragma once
#include <flame/base/text.hpp>

namespace flame {

inline constexpr int dynamic = -1;

// What a graph knows of an axis. Its address is its identity; the id orders axes the same way in every compiler.
struct axis_info {
  u64 id = 0;
  int extent = dynamic;
  text name;
  int from_last = -1;  // position of an anonymous axis
  bool own = false;    // each call's parameters have one of their own (a rank, a number of instances)
};

struct axis_base {};

// Base of an axis tag: `inline constexpr struct channel : dim<320> {} channel;`, or dim<> for a run-time extent.
template <int Extent = dynamic>
struct dim : axis_base {
  static_assert(Extent >= dynamic, "flame::dim<N>: an extent is not negative; leave it out for a run-time extent");
  static constexpr int extent = Extent;
};

template <class T>
concept axis = requires { T::extent; } && requires(T t) { static_cast<const axis_base&>(t); };

// Anonymous axes, counted from the last: anonymous<0> is the last axis. Operands that use them need equal ranks.
template <int FromLast, int Extent = dynamic>
struct anonymous : dim<Extent> {
  static constexpr u64 id = mix(mix(0xA0, static_cast<u64>(FromLast)), static_cast<u64>(Extent) + 1);
  static constexpr int from_last = FromLast;
};

template <class Axis>
struct axis_of {
  static constexpr u64 id() {
    if constexpr (requires { Axis::id; })
      return Axis::id;
    else
      return mix(hash_of(type_name<Axis>()), static_cast<u64>(Axis::extent) + 1);
  }
  static constexpr int from_last() {
    if constexpr (requires { Axis::from_last; })
      return Axis::from_last;
    else
      return -1;
  }
  static constexpr bool own() {
    if constexpr (requires { Axis::own; })
      return Axis::own;
    else
      return false;
  }
  static constexpr axis_info info{id(), Axis::extent, type_name<Axis>(), from_last(), own()};
};

template <axis Axis>
inline constexpr const axis_info* axis_ptr = &axis_of<Axis>::info;

// An extent given to an axis.
struct axis_extent {
  const axis_info* axis = nullptr;
  i64 extent = 0;
};

// The same with the axis as a type: batch == 128. A member batch(128) of dim<> would not know the tag's class, and
// batch = 128 is hidden by the tag's own assignment.
template <axis Axis>
struct sized {
  i64 extent;
  constexpr operator axis_extent() const { return {axis_ptr<Axis>, extent}; }
};
template <axis Axis>
[[nodiscard]] constexpr sized<Axis> operator==(const Axis&, i64 extent) {
  return {extent};
}

}  // namespace flame
