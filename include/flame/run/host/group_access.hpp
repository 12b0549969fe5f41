// How one slot of a group walks its memory: its own collapsed strides over outer and inner, cut into blocks.
#pragma once
#include <flame/plan/group.hpp>
#include <flame/run/host/simd_native.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

struct stride_run {
  i64 extent = 1, stride = 0;
};

// A list of axes as one slot sees it, outermost first: never empty, no extent of 1 unless it is the only one.
struct stride_list {
  int rank = 1;
  stride_run runs[max_rank];

  // Axes `first` to `first + count` of a bound group. Without elements, an axis of one.
  void set(const bound_group& g, const bound_slot& s, int first, int count) {
    bool empty = false;
    rank = 0;
    for (int i = first; i < first + count; ++i) {
      i64 extent = g.extents[i], stride = s.strides[i];
      empty = empty || extent == 0;
      if (extent == 1) continue;
      if (rank > 0 && runs[rank - 1].stride == stride * extent)
        runs[rank - 1] = {runs[rank - 1].extent * extent, stride};
      else
        runs[rank++] = {extent, stride};
    }
    if (empty) rank = 0;
    if (rank == 0) runs[rank++] = {};
  }
  [[nodiscard]] const stride_run& last() const { return runs[rank - 1]; }
  [[nodiscard]] bool repeats() const { return rank == 1 && runs[0].stride == 0; }

  // Where the linear index stands, in elements from the first; `index` gets the index along each axis.
  i64 locate(i64 linear, i64* index) const {
    i64 at = 0;
    for (int k = rank - 1; k > 0; --k) {
      index[k] = linear % runs[k].extent;
      linear /= runs[k].extent;
      at += index[k] * runs[k].stride;
    }
    index[0] = linear;
    return at + linear * runs[0].stride;
  }
  [[nodiscard]] i64 locate(i64 linear) const {
    i64 index[max_rank];
    return locate(linear, index);
  }
  // The lowest and highest element that is reached, from the first.
  void reach(i64& low, i64& high) const {
    for (int k = 0; k < rank; ++k) {
      i64 far = (runs[k].extent - 1) * runs[k].stride;
      (far < 0 ? low : high) += far;
    }
  }
};

// A slot of a bound group, ready for tiles.
struct access {
  char* memory = nullptr;  // of the first element
  i64 base = 0;            // index: the value at the origin
  dtype element = dtype::f32;
  stride_list batch, outer, inner;

  void set(const bound_group& g, int slot, dtype of) {
    const bound_slot& s = g.slots[slot];
    memory = static_cast<char*>(s.memory);
    base = s.offset;
    element = of;
    batch.set(g, s, 0, g.batch_rank);
    outer.set(g, s, g.batch_rank, g.outer_rank);
    inner.set(g, s, g.batch_rank + g.outer_rank, g.inner_rank);
  }
  [[nodiscard]] bool repeats() const { return batch.repeats() && outer.repeats() && inner.repeats(); }
  // The bytes that the slot spans, [low, high).
  void span(const char*& low, const char*& high) const {
    i64 a = 0, b = 0;
    batch.reach(a, b);
    outer.reach(a, b);
    inner.reach(a, b);
    low = memory + a * size_of(element);
    high = memory + (b + 1) * size_of(element);
  }
};

// Part of a tile in which both strides are constant: tile rows [row, row + rows), columns likewise.
struct block {
  i64 row, rows, row_stride;
  i64 column, columns, column_stride;
  i64 at;  // of its first element, counted from the slot's first
};

// Calls f(block) for the blocks of the tile of rows [row, row + rows) and columns [column, column + columns).
template <class F>
FLAME_INLINE void each_block(const stride_list& outer, const stride_list& inner, i64 row, i64 rows,
                             i64 column, i64 columns, F f) {
  i64 r[max_rank], c[max_rank];
  for (i64 i = 0; i < rows;) {
    i64 row_at = outer.locate(row + i, r);
    const stride_run& down = outer.last();
    i64 m = down.extent - r[outer.rank - 1];
    if (m > rows - i) m = rows - i;
    for (i64 j = 0; j < columns;) {
      i64 column_at = inner.locate(column + j, c);
      const stride_run& along = inner.last();
      i64 n = along.extent - c[inner.rank - 1];
      if (n > columns - j) n = columns - j;
      f(block{i, m, down.stride, j, n, along.stride, row_at + column_at});
      j += n;
    }
    i += m;
  }
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
