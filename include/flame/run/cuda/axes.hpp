// Lists of axes with their strides in several operands, joined to as few as walk the same elements.
#pragma once
#include <flame/base/config.hpp>
#include <flame/run/cuda/kernel/index.hpp>

namespace flame::cuda_kernels {

// The last axis is the fastest. No axes: one element.
template <int Operands> struct axis_list {
  static constexpr int room = kernel::axes_room;
  struct axis {
    i64 extent = 1;
    i64 strides[Operands] = {};
  };
  int rank = 0;
  axis items[room];

  template <class... S>
  requires(sizeof...(S) == Operands) void push(i64 extent, S... strides) {
    items[rank++] = {extent, {strides...}};
  }
  [[nodiscard]] i64 size() const {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= items[i].extent;
    return n;
  }
  // Outer axes first by their strides in one operand, equals in their order.
  void sort_by(int operand) {
    for (int i = 1; i < rank; ++i)
      for (int k = i; k > 0 && items[k].strides[operand] > items[k - 1].strides[operand]; --k) {
        const axis one = items[k];
        items[k] = items[k - 1], items[k - 1] = one;
      }
  }
  // Without axes of extent 1, and with neighbours joined whose elements follow one another evenly in every
  // operand. The order of the walk stays.
  void join() {
    int kept = 0;
    for (int i = 0; i < rank; ++i) {
      if (items[i].extent == 1) continue;
      bool joined = kept > 0;
      for (int o = 0; o < Operands && joined; ++o)
        joined = items[kept - 1].strides[o] == items[i].strides[o] * items[i].extent;
      if (joined) {
        const i64 extent = items[kept - 1].extent * items[i].extent;
        items[kept - 1] = items[i];
        items[kept - 1].extent = extent;
      } else {
        items[kept++] = items[i];
      }
    }
    rank = kept;
  }
};

[[nodiscard]] inline kernel::two_strides for_kernel(const axis_list<2>& axes) {
  kernel::two_strides to{};
  to.rank = axes.rank;
  for (int i = 0; i < axes.rank; ++i) {
    to.extents[i] = axes.items[i].extent;
    to.first[i] = axes.items[i].strides[0], to.second[i] = axes.items[i].strides[1];
  }
  return to;
}

[[nodiscard]] inline kernel::three_strides for_kernel(const axis_list<3>& axes) {
  kernel::three_strides to{};
  to.rank = axes.rank;
  for (int i = 0; i < axes.rank; ++i) {
    to.extents[i] = axes.items[i].extent;
    to.from[i] = axes.items[i].strides[0], to.index[i] = axes.items[i].strides[1];
    to.out[i] = axes.items[i].strides[2];
  }
  return to;
}

// How many elements lie side by side along the last axis of a walk, as one unit of up to 16 bytes: 1, or a
// power of 2 by which its extent and every other stride can be divided.
template <int Operands> [[nodiscard]] i64 unit_elements(const axis_list<Operands>& axes, i64 element_bytes) {
  if (axes.rank == 0) return 1;
  const auto& last = axes.items[axes.rank - 1];
  for (i64 stride : last.strides)
    if (stride != 1) return 1;
  i64 unit = 16 / element_bytes;
  auto fits = [&] {
    if (last.extent % unit != 0) return false;
    for (int i = 0; i + 1 < axes.rank; ++i)
      for (i64 stride : axes.items[i].strides)
        if (stride % unit != 0) return false;
    return true;
  };
  while (unit > 1 && !fits()) unit /= 2;
  return unit;
}

// The same walk in units of so many elements.
template <int Operands> [[nodiscard]] axis_list<Operands> in_units(axis_list<Operands> axes, i64 unit) {
  if (unit == 1) return axes;
  for (int i = 0; i + 1 < axes.rank; ++i)
    for (i64& stride : axes.items[i].strides) stride /= unit;
  axes.items[axes.rank - 1].extent /= unit;
  return axes;
}

}  // namespace flame::cuda_kernels
