// Loads and stores of a group: between memory of any element type, through strides, and registers.
#pragma once
#include <flame/run/host/group_tile.hpp>

namespace flame::host::inline FLAME_HOST_ISA::tiles {

// How an element of memory stands in a register: itself, but for half types and bytes.
template <class S> struct storage {
  using lane_type = S;
  FLAME_INLINE static S read(S x) { return x; }
  FLAME_INLINE static S write(S x) { return x; }
};
template <class S>
requires(std::is_same_v<S, bf16> || std::is_same_v<S, f16>) struct storage<S> {
  using lane_type = float;
  FLAME_INLINE static float read(S x) { return static_cast<float>(x); }
  FLAME_INLINE static S write(float x) { return S(x); }
};
template <> struct storage<u8> {
  using lane_type = i32;
  FLAME_INLINE static i32 read(u8 x) { return x; }
  FLAME_INLINE static u8 write(i32 x) { return static_cast<u8>(x); }
};
enum class boolean_byte : u8 {};  // not 0 where it holds
template <> struct storage<boolean_byte> {
  using lane_type = i32;
  FLAME_INLINE static i32 read(boolean_byte x) { return static_cast<u8>(x) != 0 ? -1 : 0; }
  FLAME_INLINE static boolean_byte write(i32 x) { return static_cast<boolean_byte>(x & 1); }
};
template <class S> using lane_type = typename storage<S>::lane_type;

// ---- Runs: n elements side by side ----

template <class S> FLAME_INLINE void read_run(const S* x, lane_type<S>* y, i64 n) {
  if constexpr (std::is_same_v<S, lane_type<S>>) {
    using V = vec<S>;
    constexpr i64 w = lane_count<V>;
    i64 i = 0;
    for (; i + w <= n; i += w) store(y + i, load<V>(x + i));
    if (i < n) store_first(y + i, static_cast<int>(n - i), load_first(x + i, static_cast<int>(n - i), V{}));
  } else {
    for (i64 i = 0; i < n; ++i) y[i] = storage<S>::read(x[i]);
  }
}

template <class S> FLAME_INLINE void write_run(const lane_type<S>* x, S* y, i64 n) {
  if constexpr (std::is_same_v<S, lane_type<S>>)
    read_run<S>(x, y, n);
  else
    for (i64 i = 0; i < n; ++i) y[i] = storage<S>::write(x[i]);
}

// ---- Blocks ----

// Calls f(place in the register, place in memory) for the elements of a block, near ones in memory one after
// another.
template <class F> FLAME_INLINE void each_element(const block& b, i64 pitch, F f) {
  constexpr i64 strip = 16;
  i64 down = b.row_stride < 0 ? -b.row_stride : b.row_stride;
  i64 along = b.column_stride < 0 ? -b.column_stride : b.column_stride;
  if (b.rows > 1 && down < along) {
    for (i64 first = 0; first < b.rows; first += strip) {
      i64 end = first + strip < b.rows ? first + strip : b.rows;
      for (i64 c = 0; c < b.columns; ++c)
        for (i64 r = first; r < end; ++r) f(r * pitch + c, r * b.row_stride + c * b.column_stride);
    }
  } else {
    for (i64 r = 0; r < b.rows; ++r)
      for (i64 c = 0; c < b.columns; ++c) f(r * pitch + c, r * b.row_stride + c * b.column_stride);
  }
}

// Whether the block is one run in memory and in the register.
[[nodiscard]] FLAME_INLINE bool is_run(const block& b, i64 pitch) {
  return b.column_stride == 1 && (b.rows == 1 || (b.row_stride == b.columns && pitch == b.columns));
}

template <class S> void load_loop(const step& s, const tile& t) {
  auto* to = t.at<lane_type<S>>(s.result);
  auto* from = reinterpret_cast<const S*>(t.slots[s.slot].memory);
  i64 pitch = t.columns;
  each_block(s, t, [&](const block& b) {
    auto* y = to + b.row * pitch + b.column;
    const S* x = from + b.at;
    if (is_run(b, pitch))
      read_run(x, y, b.rows * b.columns);
    else if (b.column_stride == 1)
      for (i64 r = 0; r < b.rows; ++r) read_run(x + r * b.row_stride, y + r * pitch, b.columns);
    else
      each_element(b, pitch, [&](i64 j, i64 i) { y[j] = storage<S>::read(x[i]); });
  });
}

template <class S> void store_loop(const step& s, const tile& t) {
  auto* from = t.at<lane_type<S>>(s.a);
  auto* to = reinterpret_cast<S*>(t.slots[s.slot].memory);
  i64 pitch = t.columns;
  each_block(s, t, [&](const block& b) {
    auto* x = from + b.row * pitch + b.column;
    S* y = to + b.at;
    if (is_run(b, pitch))
      write_run(x, y, b.rows * b.columns);
    else if (b.column_stride == 1)
      for (i64 r = 0; r < b.rows; ++r) write_run(x + r * pitch, y + r * b.row_stride, b.columns);
    else
      each_element(b, pitch, [&](i64 j, i64 i) { y[i] = storage<S>::write(x[j]); });
  });
}

// The numbers that an index slot gives.
template <class T> void index_loop(const step& s, const tile& t) {
  T* to = t.at<T>(s.result);
  i64 pitch = t.columns;
  each_block(s, t, [&](const block& b) {
    for (i64 r = 0; r < b.rows; ++r) {
      T* y = to + (b.row + r) * pitch + b.column;
      i64 first = b.at + r * b.row_stride;
      for (i64 c = 0; c < b.columns; ++c) y[c] = static_cast<T>(first + c * b.column_stride);
    }
  });
}

// ---- Choice ----

#define FLAME_HOST_BY_STORAGE(loop)                 \
  switch (d) {                                      \
    case dtype::f32: return loop<float>;            \
    case dtype::f64: return loop<double>;           \
    case dtype::bf16: return loop<bf16>;            \
    case dtype::f16: return loop<f16>;              \
    case dtype::int32: return loop<i32>;            \
    case dtype::int64:                              \
    case dtype::key: return loop<i64>;              \
    case dtype::uint8: return loop<u8>;             \
    case dtype::boolean: return loop<boolean_byte>; \
  }                                                 \
  return nullptr

[[nodiscard]] inline step_loop load_for(dtype d) { FLAME_HOST_BY_STORAGE(load_loop); }
[[nodiscard]] inline step_loop store_for(dtype d) { FLAME_HOST_BY_STORAGE(store_loop); }
#undef FLAME_HOST_BY_STORAGE

[[nodiscard]] inline step_loop index_for(lane l) {
  switch (l) {
    case lane::f32: return index_loop<float>;
    case lane::f64: return index_loop<double>;
    case lane::i32: return index_loop<i32>;
    case lane::i64: return index_loop<i64>;
    default: return nullptr;
  }
}

}  // namespace flame::host::inline FLAME_HOST_ISA::tiles
