// Products of one row with columns that lie along the sum: dot products, read in vectors along it.
#pragma once
#include <flame/run/host/product.hpp>

namespace flame::host::inline FLAME_HOST_ISA {

namespace algebra {

// One row of A, and the sum's numbers side by side in A and B: packing B would cost more than multiplying it.
template <class E> bool wants_dots(const product<E>& x) {
  return std::is_same_v<E, computed<E>> && x.m.size() == 1 && x.k.rank == 1 && x.k.contiguous(0) &&
         x.k.contiguous(1) && x.k.size() >= 2 * simd::lanes<E> && !(x.n.rank && x.n.contiguous(1));
}

// Four columns of B with a row of A: sums in two vectors each, over blocks of p so that rounding errors stay
// small.
template <class T, int Columns>
FLAME_NOINLINE void dot(i64 depth, const T* a, const T* b, const i64* columns, T* sums) {
  using V = simd::vec<T>;
  constexpr i64 lanes = simd::lanes<T>, block = 4096;
  const T* column[Columns];
  for (int j = 0; j < Columns; ++j) column[j] = b + columns[j], sums[j] = T{};
  for (i64 begin = 0; begin < depth; begin += block) {
    const i64 end = std::min(begin + block, depth);
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

// Columns [begin, begin + count) of C.
template <class E> void dots(const product<E>& x, i64 begin, i64 count) {
  if constexpr (std::is_same_v<E, computed<E>>) {
    i64* columns = scratch<i64>(scratch_use::block_offsets, 2 * count);
    i64* results = columns + count;
    x.n.offsets(1, begin, count, columns);
    x.n.offsets(0, begin, count, results);
    for (i64 j = 0; j < count; j += 4) {
      E sums[4];
      const i64 some = std::min<i64>(count - j, 4);
      if (some == 4)
        dot<E, 4>(x.k.size(), x.a, x.b, columns + j, sums);
      else
        for (i64 i = 0; i < some; ++i) dot<E, 1>(x.k.size(), x.a, x.b, columns + j + i, sums + i);
      for (i64 i = 0; i < some; ++i) {
        E& to = x.c[results[j + i]];
        to = x.accumulate ? to + sums[i] : sums[i];
      }
    }
  }
}

}  // namespace algebra

}  // namespace flame::host::inline FLAME_HOST_ISA
