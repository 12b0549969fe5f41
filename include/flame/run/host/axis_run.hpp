// Several axes walked as one, with their strides in the operands that have them.
#pragma once
#include <flame/run/host/simd_native.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// The last axis is the fastest. A run of no axes has one element.
template <int Operands> struct axis_run {
  static constexpr int room = 16;
  int rank = 0;
  i64 extents[room] = {};
  i64 strides[Operands][room] = {};

  // Operands whose strides are not given lack the axis: 0.
  template <class... S>
  requires(sizeof...(S) <= Operands) void push(i64 extent, S... stride) {
    extents[rank] = extent;
    int operand = 0;
    ((strides[operand++][rank] = stride), ...);
    ++rank;
  }
  [[nodiscard]] i64 size() const {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= extents[i];
    return n;
  }
  // Elements that follow one another lie side by side.
  [[nodiscard]] bool contiguous(int operand) const {
    return rank == 0 || (rank == 1 && strides[operand][0] == 1);
  }

  // Where the elements [begin, begin + count) of the walk lie in an operand.
  FLAME_NOINLINE void offsets(int operand, i64 begin, i64 count, i64* to) const {
    if (count <= 0) return;
    const i64* by = strides[operand];
    if (rank <= 1) {
      for (i64 i = 0; i < count; ++i) to[i] = (begin + i) * by[0];
      return;
    }
    i64 at[room], offset = 0;
    for (int i = rank - 1; i >= 0; begin /= extents[i--]) offset += (at[i] = begin % extents[i]) * by[i];
    for (i64 n = 0; n < count; ++n) {
      to[n] = offset;
      for (int i = rank - 1; i >= 0; --i) {
        offset += by[i];
        if (++at[i] < extents[i]) break;
        offset -= extents[i] * by[i];
        at[i] = 0;
      }
    }
  }

  // Without axes of extent 1, outer axes first in the order of operand 0's strides (then operand 1's), and
  // with those joined whose elements follow one another evenly in every operand.
  FLAME_NOINLINE void collapse() {
    axis_run out;
    for (int i = 0; i < rank; ++i)
      if (extents[i] != 1) out.copy(out.rank++, *this, i);
    for (int i = 1; i < out.rank; ++i)
      for (int k = i; k > 0 && out.outside(k, k - 1); --k) out.swap(k, k - 1);
    rank = 0;
    for (int i = 0; i < out.rank; ++i) {
      bool joined = rank > 0;
      for (int o = 0; o < Operands && joined; ++o)
        joined = strides[o][rank - 1] == out.strides[o][i] * out.extents[i];
      if (joined) {
        extents[rank - 1] *= out.extents[i];
        for (int o = 0; o < Operands; ++o) strides[o][rank - 1] = out.strides[o][i];
      } else {
        copy(rank++, out, i);
      }
    }
  }

 private:
  static i64 size_of(i64 stride) { return stride < 0 ? -stride : stride; }
  bool outside(int a, int b) const {
    for (int o = 0; o < Operands; ++o)
      if (strides[o][a] != strides[o][b]) return size_of(strides[o][a]) > size_of(strides[o][b]);
    return false;
  }
  void copy(int to, const axis_run& from, int i) {
    extents[to] = from.extents[i];
    for (int o = 0; o < Operands; ++o) strides[o][to] = from.strides[o][i];
  }
  void swap(int a, int b) {
    axis_run one;
    one.copy(0, *this, a);
    copy(a, *this, b);
    copy(b, one, 0);
  }
};

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
