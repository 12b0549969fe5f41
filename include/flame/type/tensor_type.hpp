// What tensor a node is: element type and named axes, in the order of its memory (row-major, last fastest).
#pragma once
#include <flame/type/axis.hpp>
#include <flame/type/dtype.hpp>

namespace flame {

inline constexpr int max_rank = 8;

// As a value, inside a graph. The first `stack` axes count instances, each with a tensor of its own.
struct tensor_type {
  dtype element = dtype::f32;
  u8 rank = 0;
  u8 stack = 0;
  const axis_info* axes[max_rank] = {};

  [[nodiscard]] constexpr int find(const axis_info* a) const {
    for (int i = 0; i < rank; ++i)
      if (axes[i] == a) return i;
    return -1;
  }
  [[nodiscard]] constexpr bool has(const axis_info* a) const { return find(a) >= 0; }
  constexpr void push(const axis_info* a) { axes[rank++] = a; }
  [[nodiscard]] constexpr u64 hash() const {
    u64 h = static_cast<u64>(element) | static_cast<u64>(rank) << 8 | static_cast<u64>(stack) << 16;
    for (int i = 0; i < rank; ++i) h = combine(h, axes[i]->id);
    return h;
  }
  friend constexpr bool operator==(const tensor_type& a, const tensor_type& b) {
    if (a.element != b.element || a.rank != b.rank || a.stack != b.stack) return false;
    for (int i = 0; i < a.rank; ++i)
      if (a.axes[i] != b.axes[i]) return false;
    return true;
  }
};

// True when every axis of `inner` is an axis of `outer`, in any order.
[[nodiscard]] constexpr bool within(const tensor_type& inner, const tensor_type& outer) {
  for (int i = 0; i < inner.rank; ++i)
    if (!outer.has(inner.axes[i])) return false;
  return true;
}

// As a type, for signatures and errors: shape<f32, batch, channel>.
template <class Element, class... Axes>
struct shape {
  using element_type = Element;
  static constexpr int rank = sizeof...(Axes);
  static_assert(rank <= max_rank, "flame: a tensor has at most 8 axes");

  static constexpr tensor_type value() {
    tensor_type t;
    t.element = dtype_of<Element>;
    (t.push(axis_ptr<Axes>), ...);
    return t;
  }
};

}  // namespace flame
