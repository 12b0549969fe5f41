// The inner loops of every product of matrices: tiles of sums in registers, and their sweep over a block.
//
// C(i, j) (+)= sum over p of A(i, p) B(p, j). A is read one number at a time through two tables of offsets,
// a[rows[i] + columns[p]], so that a transposed matrix, several axes at once or the windows of a convolution
// are read where they lie. B is read in vectors from panels, columns side by side. Each C(i, j) is one
// running sum over p, whatever tile it falls in: how the rows and columns are dealt out to threads does not
// change a bit.
#pragma once
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// The largest tile whose sums, one row of B and one number of A fit the registers: 8 by 3 vectors of 32, 4 by
// 3 of 16.
#if FLAME_VECTOR_BYTES == 64 || defined(__aarch64__)
inline constexpr int tile_rows = 8;
#else
inline constexpr int tile_rows = 4;
#endif
inline constexpr int tile_vectors = 3;

// Products are summed over this much of p at a time: what a tile reads then stays in the first two caches.
inline constexpr i64 depth_block = 256;

// Columns [first, first + width) of B and C.
struct panel {
  const void* b = nullptr;  // B(p, first), then B(p + 1, first) `stride` further
  i64 stride = 0;
  i64 first = 0;
  int vectors = 0;  // that hold the columns
  int last = 0;     // columns in the last of these vectors; B can be read to its end, C cannot
};

namespace algebra {

// Keeps a vector in its register. GCC 12 turns it back into a read from memory for each of its uses, which
// makes a product of 4 rows half as fast.
template <simd::any_vector V> FLAME_INLINE void hold([[maybe_unused]] V& v) {
#if defined(__x86_64__) && defined(__FMA__) && !defined(__clang__)
  asm("" : "+v"(v));
#endif
}

template <class T, int Rows, int Vectors>
FLAME_NOINLINE void tile(i64 depth, const T* a, const i64* a_rows, const i64* a_columns, const panel& columns,
                         T* c, const i64* c_rows, int rows, bool add) {
  using V = simd::vec<T>;
  constexpr int lanes = simd::lanes<T>;
  const T* row[Rows];
  V sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) row[i] = a + a_rows[i < rows ? i : rows - 1];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < Vectors; ++j) sums[i][j] = V{};

  const T* b = static_cast<const T*>(columns.b);
  const i64 stride = columns.stride;
  for (i64 p = 0; p < depth; ++p, b += stride) {
    const i64 offset = a_columns[p];
    V y[Vectors];
#pragma GCC unroll 16
    for (int j = 0; j < Vectors; ++j) hold(y[j] = simd::load<V>(b + j * lanes));
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V x = simd::splat<V>(row[i][offset]);
#pragma GCC unroll 16
      for (int j = 0; j < Vectors; ++j) sums[i][j] = simd::fma(x, y[j], sums[i][j]);
    }
  }

  c += columns.first;
  const int last = columns.last;
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    if (i >= rows) break;
    T* to = c + c_rows[i];
#pragma GCC unroll 16
    for (int j = 0; j < Vectors; ++j, to += lanes) {
      if (j + 1 < Vectors || last == lanes)
        simd::store<V>(to, add ? simd::load<V>(to) + sums[i][j] : sums[i][j]);
      else
        simd::store_first(to, last, add ? simd::load_first(to, last, V{}) + sums[i][j] : sums[i][j]);
    }
  }
}

template <class T>
using tile_function = void (*)(i64, const T*, const i64*, const i64*, const panel&, T*, const i64*, int,
                               bool);

template <class T, int Rows>
inline constexpr tile_function<T> tiles_of[tile_vectors] = {&tile<T, Rows, 1>, &tile<T, Rows, 2>,
                                                            &tile<T, Rows, 3>};

// One row of A is done with B as fast as B is read: in panels as wide as several, where these lie side by
// side.
inline constexpr i64 long_panels = 4;

template <class T> bool long_run(const panel* panels, i64 count) {
  if (count < long_panels) return false;
  bool joined = true;
  for (i64 i = 0; i < long_panels; ++i)
    joined = joined && panels[i].vectors == tile_vectors && panels[i].last == simd::lanes<T> &&
             panels[i].stride == panels[0].stride &&
             static_cast<const T*>(panels[i].b) ==
                 static_cast<const T*>(panels[0].b) + i * tile_vectors * simd::lanes<T>;
  return joined;
}

}  // namespace algebra

// Multiplies `rows` rows by `count` panels over `depth`, storing to C or adding to it: C(i, j) is c[c_rows[i]
// + j].
template <class T>
FLAME_NOINLINE void sweep(i64 depth, const void* a, const i64* a_rows, i64 rows, const i64* a_columns,
                          const panel* panels, i64 count, void* c, const i64* c_rows, bool add) {
  constexpr i64 cache =
      192 * 1024 / static_cast<i64>(sizeof(T));  // numbers of B that are kept while A passes by
  for (i64 first = 0, past; first < count; first = past) {
    i64 held = 0;
    for (past = first; past < count && (past == first || held <= cache || rows <= tile_rows); ++past)
      held += depth * panels[past].vectors * simd::lanes<T>;
    for (i64 i = 0; i < rows; i += tile_rows) {
      const int some = static_cast<int>(rows - i < tile_rows ? rows - i : tile_rows);
      const algebra::tile_function<T>* tiles = some == 1   ? algebra::tiles_of<T, 1>
                                               : some <= 4 ? algebra::tiles_of<T, 4>
                                                           : algebra::tiles_of<T, tile_rows>;
      i64 j = first;
      if (some == 1)
        for (; algebra::long_run<T>(panels + j, past - j); j += algebra::long_panels) {
          panel run = panels[j];
          run.vectors *= algebra::long_panels;
          algebra::tile<T, 1, algebra::long_panels * tile_vectors>(depth, static_cast<const T*>(a),
                                                                   a_rows + i, a_columns, run,
                                                                   static_cast<T*>(c), c_rows + i, 1, add);
        }
      for (; j < past; ++j)
        tiles[panels[j].vectors - 1](depth, static_cast<const T*>(a), a_rows + i, a_columns, panels[j],
                                     static_cast<T*>(c), c_rows + i, some, add);
    }
  }
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
