// Random numbers of a group, at the positions that an index slot or an index value gives.
#pragma once
#include <flame/run/host/group_memory.hpp>
#include <flame/run/host/random.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// Numbers first, first + stride, ... of the tensor of `key`.
template <class T, bool Normal> FLAME_INLINE void draw(u64 key, i64 first, i64 stride, T* to, i64 n) {
  i64 runs = stride == 1 ? 1 : n, length = stride == 1 ? n : 1;
  for (i64 i = 0; i < runs; ++i) {
    if constexpr (Normal)
      array::fill_normal(to + i, first + i * stride, length, key);
    else
      array::fill_uniform(to + i, first + i * stride, length, key);
  }
}

// a: the key. The numbers' positions are those of the index slot.
template <class T, bool Normal> void random_slot_loop(const step& s, const tile& t) {
  u64 key = static_cast<u64>(*t.at<i64>(s.a));
  T* to = t.at<T>(s.result);
  i64 pitch = t.columns;
  each_block(s, t, [&](const block& b) {
    bool run = is_run(b, pitch);
    i64 rows = run ? 1 : b.rows, columns = run ? b.rows * b.columns : b.columns;
    for (i64 r = 0; r < rows; ++r) {
      T* y = to + (b.row + r) * pitch + b.column;
      i64 first = b.at + r * b.row_stride;
      draw<T, Normal>(key, first, b.column_stride, y, columns);
    }
  });
}

// a: the key, b: positions, i64.
template <class T, bool Normal> void random_loop(const step& s, const tile& t) {
  const i64* index = t.at<i64>(s.b);
  u64 key = static_cast<u64>(*t.at<i64>(s.a));
  T* y = t.at<T>(s.result);
  for (i64 i = 0, n = t.size(s.at); i < n; ++i) draw<T, Normal>(key, index[i], 1, y + i, 1);
}

[[nodiscard]] inline step_loop random_for(op code, lane l, bool by_slot) {
  bool normal = code == op::normal;
  if (l == lane::f32) {
    if (by_slot) return normal ? random_slot_loop<float, true> : random_slot_loop<float, false>;
    return normal ? random_loop<float, true> : random_loop<float, false>;
  }
  if (l == lane::f64) {
    if (by_slot) return normal ? random_slot_loop<double, true> : random_slot_loop<double, false>;
    return normal ? random_loop<double, true> : random_loop<double, false>;
  }
  return nullptr;
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
