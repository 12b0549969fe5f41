// What a product of matrices does with the numbers of one element type: the work around it knows sizes alone.
#pragma once
#include <flame/base/error.hpp>
#include <flame/run/host/pack.hpp>
#include <string>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// Elements are f32, f64, bf16 or f16; sums of them are f64 for f64 and else f32.
struct kernels {
  i64 size, sum_size;  // bytes
  i64 lanes;           // sums in a vector
  bool converts;       // sums are not elements
  void (*sweep)(i64 depth, const void* a, const i64* a_rows, i64 rows, const i64* a_columns,
                const panel* panels, i64 count, void* c, const i64* c_rows, bool add);
  void (*pack)(const panel_layout& layout, i64 i, i64 depth, const void* b, const i64* rows,
               const i64* columns, void* to);
  // Elements from[offsets[i]], or from[i], as sums.
  void (*widen)(const void* from, const i64* offsets, i64 n, void* to);
  void (*widen_row)(const void* from, i64 n, void* to);
  // Sums from[i] as elements.
  void (*narrow_row)(const void* from, i64 n, void* to);
  // sums[i] = scale sums[i] + bias[i]; without a bias where it is null.
  void (*scale_and_add)(void* sums, double scale, const void* bias, i64 n);
  // `splits` rows of sums, `apart` from one to the next, are added up in their order, with what is at
  // to[offsets[i]] if `add`, and stored there.
  void (*finish)(void* sums, i64 splits, i64 apart, bool add, const i64* offsets, i64 n, void* to);
  // Sums over a row of A and each of some columns of B that lie along it, stored to or added to
  // c[results[j]].
  void (*dots)(i64 depth, const void* a, const void* b, const i64* columns, i64 n, void* c,
               const i64* results, bool add);
};

namespace algebra {

template <class T, class E> void widen_row(const void* numbers, i64 n, void* to) {
  array::convert<T, E>(static_cast<const E*>(numbers), static_cast<T*>(to), n);
}

template <class T, class E> void narrow_row(const void* sums, i64 n, void* to) {
  array::convert<E, T>(static_cast<const T*>(sums), static_cast<E*>(to), n);
}

template <class T, class E>
FLAME_NOINLINE void widen(const void* numbers, const i64* offsets, i64 n, void* to) {
  const E* from = static_cast<const E*>(numbers);
  T* sums = static_cast<T*>(to);
  if (n > 0 && consecutive(offsets, n))
    array::convert<T, E>(from + offsets[0], sums, n);
  else
    for (i64 i = 0; i < n; ++i) sums[i] = static_cast<T>(from[offsets[i]]);
}

template <class T> FLAME_NOINLINE void scale_and_add(void* row, double scale, const void* bias, i64 n) {
  T* sums = static_cast<T*>(row);
  const T by = static_cast<T>(scale);
  const T* plus = static_cast<const T*>(bias);
  if (plus)
    for (i64 i = 0; i < n; ++i) sums[i] = by * sums[i] + plus[i];
  else
    for (i64 i = 0; i < n; ++i) sums[i] *= by;
}

template <class T, class E>
FLAME_NOINLINE void finish(void* rows, i64 splits, i64 apart, bool add, const i64* offsets, i64 n,
                           void* result) {
  T* sums = static_cast<T*>(rows);
  E* to = static_cast<E*>(result);
  for (i64 s = 1; s < splits; ++s)
    for (i64 i = 0; i < n; ++i) sums[i] += sums[s * apart + i];
  if (add)
    for (i64 i = 0; i < n; ++i) sums[i] += static_cast<T>(to[offsets[i]]);
  if (n > 0 && consecutive(offsets, n))
    array::convert<E, T>(sums, to + offsets[0], n);
  else
    for (i64 i = 0; i < n; ++i) to[offsets[i]] = static_cast<E>(sums[i]);
}

// A row of A with some columns of B: sums in two vectors each, over blocks of p so that rounding errors stay
// small.
template <class T, int Columns> void dot(i64 depth, const T* a, const T* b, const i64* columns, T* sums) {
  using V = simd::vec<T>;
  constexpr i64 lanes = simd::lanes<T>, block = 4096;
  const T* column[Columns];
  for (int j = 0; j < Columns; ++j) column[j] = b + columns[j], sums[j] = T{};
  for (i64 begin = 0; begin < depth; begin += block) {
    const i64 end = begin + block < depth ? begin + block : depth;
    V even[Columns], odd[Columns];
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) even[j] = odd[j] = V{};
    i64 p = begin;
    for (; p + 2 * lanes <= end; p += 2 * lanes) {
      const V x = simd::load<V>(a + p), y = simd::load<V>(a + p + lanes);
#pragma GCC unroll 4
      for (int j = 0; j < Columns; ++j) {
        even[j] = simd::fma(x, simd::load<V>(column[j] + p), even[j]);
        odd[j] = simd::fma(y, simd::load<V>(column[j] + p + lanes), odd[j]);
      }
    }
    for (; p < end; p += lanes) {
      const V x = read_vector<V>(a + p, end - p);
#pragma GCC unroll 4
      for (int j = 0; j < Columns; ++j)
        even[j] = simd::fma(x, read_vector<V>(column[j] + p, end - p), even[j]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) sums[j] += simd::sum(even[j] + odd[j]);
  }
}

template <class T>
FLAME_NOINLINE void dots(i64 depth, const void* row, const void* matrix, const i64* columns, i64 n, void* c,
                         const i64* results, bool add) {
  const T *a = static_cast<const T*>(row), *b = static_cast<const T*>(matrix);
  for (i64 j = 0; j < n; j += 4) {
    T sums[4];
    const i64 some = n - j < 4 ? n - j : 4;
    if (some == 4)
      dot<T, 4>(depth, a, b, columns + j, sums);
    else
      for (i64 i = 0; i < some; ++i) dot<T, 1>(depth, a, b, columns + j + i, sums + i);
    for (i64 i = 0; i < some; ++i) {
      T& to = static_cast<T*>(c)[results[j + i]];
      to = add ? to + sums[i] : sums[i];
    }
  }
}

template <class T, class E>
inline constexpr kernels kernels_of = {
    sizeof(E),    sizeof(T),        simd::lanes<T>,    !std::is_same_v<T, E>, &sweep<T>,     &pack<T, E>,
    &widen<T, E>, &widen_row<T, E>, &narrow_row<T, E>, &scale_and_add<T>,     &finish<T, E>, &dots<T>};

}  // namespace algebra

// Throws flame::error, naming the operation, for other element types.
[[nodiscard]] inline const kernels& kernels_for(const char* operation, dtype element) {
  switch (element) {
    case dtype::f32: return algebra::kernels_of<float, float>;
    case dtype::f64: return algebra::kernels_of<double, double>;
    case dtype::bf16: return algebra::kernels_of<float, bf16>;
    case dtype::f16: return algebra::kernels_of<float, f16>;
    default:
      throw error(std::string(operation)
                      .append(": the operands are ")
                      .append(name_of(element))
                      .append(", expected f32, f64, bf16 or f16"));
  }
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
