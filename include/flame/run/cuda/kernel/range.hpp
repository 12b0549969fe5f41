// Indices that must lie in an axis: read, reported where they do not, handed on.
#pragma once
#include <flame/run/cuda/kernel/index.hpp>

namespace flame::kernel {

struct range_check {
  i64 extent, ignored;
  i32 ignores;  // 0: none, 1: the number, 2: the one in memory
  u32 step;     // what a fault is reported as
};

// out = index, elements as flame::dtype says; one that is neither in [0, extent) nor the ignored one is
// reported. A thread for each.
template <int Element>
FLAME_KERNEL void in_range(range_check x, two_strides axes, i64 count, const void* index, const void* ignored,
                           void* out, fault* wrong) {
  const i64 n = thread_number();
  if (n >= count) return;
  i64 at_index, at_out;
  axes.place(n, at_index, at_out);
  const i64 value = read_index(index, Element, at_index);
  const i64 excepted = x.ignores == 2 ? *static_cast<const i64*>(ignored) : x.ignored;
  if ((value < 0 || value >= x.extent) && !(x.ignores && value == excepted)) report(wrong, x.step, value);
  if constexpr (Element == 4)
    static_cast<i32*>(out)[at_out] = static_cast<i32>(value);
  else if constexpr (Element == 5)
    static_cast<i64*>(out)[at_out] = value;
  else
    static_cast<u8*>(out)[at_out] = static_cast<u8>(value);
}

}  // namespace flame::kernel
