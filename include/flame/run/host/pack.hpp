// Panels of a matrix, for the sweep: how its columns are cut, and their rearrangement so that they are read
// in order.
#pragma once
#include <flame/run/host/convert.hpp>
#include <flame/run/host/sweep.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// What products of an element type are computed in.
template <class E> using computed = std::conditional_t<std::is_same_v<E, double>, double, float>;

// Columns cut into as few panels as they fit, of widths that differ by a vector at most.
struct panel_layout {
  i64 columns, lanes, vectors, count, narrow, wide;

  panel_layout(i64 n, i64 lanes_of_vector)
      : columns(n),
        lanes(lanes_of_vector),
        vectors((n + lanes - 1) / lanes),
        count((vectors + tile_vectors - 1) / tile_vectors),
        narrow(count ? vectors / count : 0),
        wide(count ? vectors % count : 0) {}

  [[nodiscard]] i64 first(i64 i) const { return (i * narrow + (i < wide ? i : wide)) * lanes; }
  [[nodiscard]] i64 vectors_of(i64 i) const { return narrow + (i < wide ? 1 : 0); }
  [[nodiscard]] i64 width(i64 i) const { return vectors_of(i) * lanes; }
  [[nodiscard]] bool whole(i64 i) const { return first(i) + width(i) <= columns; }
  // Numbers that all panels of this depth take.
  [[nodiscard]] i64 packed_size(i64 depth) const { return vectors * lanes * depth; }
  [[nodiscard]] panel at(i64 i, const void* b, i64 stride) const {
    const i64 rest = columns - first(i) - (vectors_of(i) - 1) * lanes;
    return {b, stride, first(i), static_cast<int>(vectors_of(i)),
            static_cast<int>(rest < lanes ? rest : lanes)};
  }
};

// The first n numbers, converted, in a vector; zeros after them.
template <class V, class E> FLAME_INLINE V read_vector(const E* from, i64 n) {
  constexpr int lanes = simd::lane_count<V>;
  using T = simd::element_of<V>;
  if constexpr (std::is_same_v<E, T>) {
    if (n >= lanes) return simd::load<V>(from);
    return n > 0 ? simd::load_first(from, static_cast<int>(n), V{}) : V{};
  } else {
    simd::vec<simd::stored_as<E>, lanes> bits{};
    __builtin_memcpy(&bits, from,
                     n >= lanes ? sizeof(bits)
                     : n > 0    ? static_cast<unsigned long>(n) * sizeof(E)
                                : 0);
    return simd::convert_elements<T, E>(bits);
  }
}

// The first n numbers of a vector, converted; nothing after them is touched.
template <class V, class E> FLAME_INLINE void write_vector(E* to, V v, i64 n) {
  constexpr int lanes = simd::lane_count<V>;
  using T = simd::element_of<V>;
  if constexpr (std::is_same_v<E, T>) {
    if (n >= lanes)
      simd::store<V>(to, v);
    else
      simd::store_first(to, static_cast<int>(n), v);
  } else {
    const auto bits = simd::convert_elements<E, T>(v);
    __builtin_memcpy(static_cast<void*>(to), &bits,
                     n >= lanes ? sizeof(bits) : static_cast<unsigned long>(n) * sizeof(E));
  }
}

// The first `rows` rows of x transposed, a square matrix, `stride` numbers from one to the next. log2 of its
// size times, x's rows are interleaved with those half the matrix below. One copy for each type of numbers:
// it is long.
template <simd::any_vector V>
FLAME_NOINLINE void store_transposed(V (&x)[simd::lane_count<V>], simd::element_of<V>* to, i64 stride,
                                     i64 rows) {
  constexpr int n = simd::lane_count<V>;
#pragma GCC unroll 4
  for (int stage = 1; stage < n; stage *= 2) {
    V y[n];
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; ++i) {
      const V a = x[i], b = x[i + n / 2];
      [&]<int... I>(std::integer_sequence<int, I...>) {
        y[2 * i] = __builtin_shufflevector(a, b, (I % 2 * n + I / 2)...);
        y[2 * i + 1] = __builtin_shufflevector(a, b, (I % 2 * n + I / 2 + n / 2)...);
      }
      (std::make_integer_sequence<int, n>{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) x[i] = y[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i)
    if (i < rows) simd::store<V>(to + i * stride, x[i]);
}

[[nodiscard]] FLAME_NOINLINE inline bool consecutive(const i64* offsets, i64 n) {
  bool all = true;
  for (i64 i = 1; i < n; ++i) all &= offsets[i] - offsets[i - 1] == 1;
  return all;
}

// Panel i of the matrix b[rows[p] + columns[j]], p < depth, to `to`: its rows one after another, zeros where
// columns are missing.
template <class T, class E>
FLAME_NOINLINE void pack(const panel_layout& layout, i64 i, i64 depth, const void* matrix, const i64* rows,
                         const i64* columns, void* packed) {
  const E* b = static_cast<const E*>(matrix);
  T* to = static_cast<T*>(packed);
  using V = simd::vec<T>;
  constexpr i64 lanes = simd::lanes<T>;
  const i64 width = layout.width(i), first = layout.first(i);
  const i64 valid = layout.columns - first < width ? layout.columns - first : width;
  columns += first;
  if (consecutive(columns, valid)) {
    for (i64 p = 0; p < depth; ++p, to += width)
      for (i64 j = 0; j < width; j += lanes)
        simd::store<V>(to + j, read_vector<V>(b + rows[p] + columns[0] + j, valid - j));
  } else if (consecutive(rows, depth)) {
    for (i64 p = 0; p < depth; p += lanes)
      for (i64 j = 0; j < width; j += lanes) {
        V x[lanes];
        for (i64 l = 0; l < lanes; ++l)
          x[l] = j + l < valid ? read_vector<V>(b + rows[p] + columns[j + l], depth - p) : V{};
        store_transposed<V>(x, to + p * width + j, width, depth - p);
      }
  } else {
    for (i64 p = 0; p < depth; ++p, to += width)
      for (i64 j = 0; j < width; ++j) to[j] = j < valid ? static_cast<T>(b[rows[p] + columns[j]]) : T{};
  }
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
