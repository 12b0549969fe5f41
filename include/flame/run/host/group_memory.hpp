// Loads and stores of a group: between memory of any element type, through strides, and registers.
#pragma once
#include <flame/run/host/convert.hpp>
#include <flame/run/host/group_tile.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// How elements of memory stand in a register: as themselves, but for half types and bytes.
template <class S> struct storage {
  using lane_type = S;
  template <class V> FLAME_INLINE static V read(V x) { return x; }
  template <class V> FLAME_INLINE static V write(V x) { return x; }
};
template <class S>
requires(std::is_same_v<S, bf16> || std::is_same_v<S, f16>) struct storage<S> {
  using lane_type = float;
  FLAME_INLINE static float read(S x) { return static_cast<float>(x); }
  FLAME_INLINE static S write(float x) { return S(x); }
  template <any_vector V> FLAME_INLINE static auto read(V x) { return convert_elements<float, S>(x); }
  template <any_vector V> FLAME_INLINE static auto write(V x) { return convert_elements<S, float>(x); }
};
template <> struct storage<u8> {
  using lane_type = i32;
  FLAME_INLINE static i32 read(u8 x) { return x; }
  FLAME_INLINE static u8 write(i32 x) { return static_cast<u8>(x); }
  template <any_vector V> FLAME_INLINE static auto read(V x) { return convert<i32>(x); }
  template <any_vector V> FLAME_INLINE static auto write(V x) { return convert<u8>(x); }
};
template <> struct storage<bool> {  // one byte, not 0 where it holds
  using lane_type = i32;
  FLAME_INLINE static i32 read(u8 x) { return x != 0 ? -1 : 0; }
  FLAME_INLINE static u8 write(i32 x) { return static_cast<u8>(x & 1); }
  template <any_vector V> FLAME_INLINE static auto read(V x) { return narrow(convert<i32>(x) != 0); }
  template <any_vector V> FLAME_INLINE static auto write(V x) { return convert<u8>(x & 1); }
};
template <class S> using lane_type = typename storage<S>::lane_type;
// bool itself must not be read from a byte that is neither 0 nor 1.
template <class S> using element_in_memory = std::conditional_t<std::is_same_v<S, bool>, u8, S>;

// ---- Runs: n elements side by side ----

template <class S> FLAME_INLINE void read_run(const element_in_memory<S>* x, lane_type<S>* y, i64 n) {
  constexpr int w = lanes<lane_type<S>>;
  using V = vec<stored_as<S>, w>;
  i64 i = 0;
  V v{};
  for (; i + w <= n; i += w) {
    __builtin_memcpy(&v, x + i, sizeof v);
    store(y + i, storage<S>::read(v));
  }
  if (i == n) return;
  if (n >= w) {  // the last vector, some of it again
    __builtin_memcpy(&v, x + n - w, sizeof v);
    store(y + n - w, storage<S>::read(v));
    return;
  }
  __builtin_memcpy(&v, x + i, static_cast<std::size_t>(n - i) * sizeof(S));
  auto last = storage<S>::read(v);
  __builtin_memcpy(y + i, &last, static_cast<std::size_t>(n - i) * sizeof(lane_type<S>));
}

template <class S> FLAME_INLINE void write_run(const lane_type<S>* x, element_in_memory<S>* y, i64 n) {
  constexpr int w = lanes<lane_type<S>>;
  using V = vec<lane_type<S>, w>;
  i64 i = 0;
  for (; i + w <= n; i += w) {
    auto v = storage<S>::write(load<V>(x + i));
    __builtin_memcpy(static_cast<void*>(y + i), &v, sizeof v);
  }
  if (i == n) return;
  if (n >= w) {
    auto v = storage<S>::write(load<V>(x + n - w));
    __builtin_memcpy(static_cast<void*>(y + n - w), &v, sizeof v);
    return;
  }
  V rest{};
  __builtin_memcpy(&rest, x + i, static_cast<std::size_t>(n - i) * sizeof(lane_type<S>));
  auto last = storage<S>::write(rest);
  __builtin_memcpy(static_cast<void*>(y + i), &last, static_cast<std::size_t>(n - i) * sizeof(S));
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
  auto* from = reinterpret_cast<const element_in_memory<S>*>(t.slots[s.slot].memory);
  i64 pitch = t.columns;
  if (s.at == level::full && t.rows > 1 && t.slots[s.slot].outer.repeats()) {  // one row, then copies of it
    tile first = t;
    first.rows = 1;
    load_loop<S>(s, first);
    for (i64 done = pitch, n; done < t.count; done += n) {
      n = done < t.count - done ? done : t.count - done;
      __builtin_memcpy(to + done, to, static_cast<std::size_t>(n) * sizeof *to);
    }
    return;
  }
  each_block(s, t, [&](const block& b) {
    auto* y = to + b.row * pitch + b.column;
    auto* x = from + b.at;
    if (is_run(b, pitch))
      read_run<S>(x, y, b.rows * b.columns);
    else if (b.column_stride == 1)
      for (i64 r = 0; r < b.rows; ++r) read_run<S>(x + r * b.row_stride, y + r * pitch, b.columns);
    else
      each_element(b, pitch, [&](i64 j, i64 i) { y[j] = storage<S>::read(x[i]); });
  });
}

template <class S> void store_loop(const step& s, const tile& t) {
  auto* from = t.at<lane_type<S>>(s.a);
  auto* to = reinterpret_cast<element_in_memory<S>*>(t.slots[s.slot].memory);
  i64 pitch = t.columns;
  each_block(s, t, [&](const block& b) {
    auto* x = from + b.row * pitch + b.column;
    auto* y = to + b.at;
    if (is_run(b, pitch))
      write_run<S>(x, y, b.rows * b.columns);
    else if (b.column_stride == 1)
      for (i64 r = 0; r < b.rows; ++r) write_run<S>(x + r * pitch, y + r * b.row_stride, b.columns);
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

#define FLAME_HOST_BY_STORAGE(loop)         \
  switch (d) {                              \
    case dtype::f32: return loop<float>;    \
    case dtype::f64: return loop<double>;   \
    case dtype::bf16: return loop<bf16>;    \
    case dtype::f16: return loop<f16>;      \
    case dtype::int32: return loop<i32>;    \
    case dtype::int64:                      \
    case dtype::key: return loop<i64>;      \
    case dtype::uint8: return loop<u8>;     \
    case dtype::boolean: return loop<bool>; \
  }                                         \
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

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
