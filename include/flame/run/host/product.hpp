// A product of matrices and its parts: how it is cut for the cores, and what works on one part.
#pragma once
#include <algorithm>
#include <cstring>
#include <flame/run/host/axis_run.hpp>
#include <flame/run/host/kernels.hpp>
#include <flame/run/host/scratch.hpp>
#include <flame/run/host/tasks.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// C(i, j) (+)= sum over p of A(i, p) B(p, j): i walks m, j walks n, p walks k. Where sums are no elements
// (bf16, f16), and C is not added to, also C(i, j) = scale sum + bias, rounded once.
struct product {
  const kernels* type = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  axis_run<3> m, n;  // strides in c, a and bias; in c, b and bias
  axis_run<2> k;     // in a and b
  bool accumulate = false;
  double scale = 1;
  const void* bias = nullptr;

  [[nodiscard]] bool adjusts() const { return scale != 1 || bias; }
};

// Makes the columns what is read and written in vectors: of C's rows and columns, what lies side by side and
// is longer. True if rows and columns, and with them a and b, have changed places.
inline bool orient(product& x) {
  x.m.collapse(), x.n.collapse(), x.k.collapse();
  const bool rows = x.m.contiguous(0), columns = x.n.contiguous(0);
  if (columns ? !rows || x.n.size() >= x.m.size() : !rows && x.n.size() > 1) return false;
  std::swap(x.a, x.b), std::swap(x.m, x.n);
  std::swap(x.k.strides[0], x.k.strides[1]);
  return true;
}

namespace algebra {

[[nodiscard]] constexpr i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

// n in equal parts of at most `most` each: the size of a part, a multiple of `unit`.
[[nodiscard]] constexpr i64 even_part(i64 n, i64 most, i64 unit) {
  return ceil_div(ceil_div(n, ceil_div(n, most)), unit) * unit;
}

// `count` elements of `size` bytes further.
[[nodiscard]] inline const void* further(const void* p, i64 count, i64 size) {
  return static_cast<const char*>(p) + count * size;
}
[[nodiscard]] inline void* further(void* p, i64 count, i64 size) {
  return static_cast<char*>(p) + count * size;
}

[[nodiscard]] inline void* sum_scratch(scratch_use use, const kernels& type, i64 count) {
  return scratch<char>(use, count * type.sum_size);
}

// Where the panels of B come from.
enum class panel_source : u8 {
  in_place,  // B as it lies, but for a last panel that is not full
  own,       // packed by each task for itself
  shared,    // packed by all, before the tasks start
};

// A product's parts: tasks of so many rows and panels, and the sum over p in so many splits, each with sums
// of its own.
struct product_cut {
  i64 rows = 0, panels = 0, splits = 1, split_depth = 0;
  panel_source source = panel_source::own;
};

inline panel_source source_of_panels(const product& x) {
  // Packing costs as much as some ten rows of A; rows of B that lie far apart share few sets of the caches.
  const i64 stride = x.k.rank ? std::abs(x.k.strides[1][0]) * x.type->size : 0, m = x.m.size();
  const bool near = m <= 2 * tile_rows || stride < (m <= 128 ? 2048 : 1024);
  return !x.type->converts && x.n.contiguous(1) && x.k.rank <= 1 && near ? panel_source::in_place
                                                                         : panel_source::own;
}

inline product_cut cut(const product& x, const panel_layout& layout) {
  // Enough tasks for many cores, none so small that starting it tells: bench/host_contract.cpp shows what
  // they cost.
  constexpr i64 wanted_tasks = 16, task_work = 2 << 20, least_work = 1 << 18, block = 96;
  const i64 m = x.m.size(), n = x.n.size(), k = x.k.size(), work = m * n * k;
  const i64 blocks = ceil_div(m, block) * ceil_div(n, block);
  product_cut by;
  by.source = source_of_panels(x);
  if (k >= 4 * depth_block && blocks < wanted_tasks && work >= 2 * task_work) {
    by.splits = std::min(ceil_div(wanted_tasks, blocks), k / depth_block);
    by.rows = even_part(m, block, tile_rows);
    by.panels = ceil_div(block, tile_vectors * layout.lanes);
  } else {
    const i64 most = std::max<i64>(work / least_work, 1);
    const i64 rows = most == 1 ? m : std::clamp<i64>(task_work / (n * k), 64, 256);
    by.rows = even_part(m, rows, tile_rows);
    const i64 parts = ceil_div(m, by.rows), columns = std::clamp<i64>(ceil_div(wanted_tasks, parts), 1, most);
    by.panels = even_part(layout.count, ceil_div(layout.count, columns), m == 1 ? long_panels : 1);
    if (by.source == panel_source::own && parts > 1) by.source = panel_source::shared;
  }
  by.split_depth = ceil_div(k, by.splits);
  return by;
}

// One row of A, and the sum's numbers side by side in A and B: packing B would cost more than multiplying it.
inline bool wants_dots(const product& x) {
  return !x.type->converts && x.m.size() == 1 && x.k.rank == 1 && x.k.contiguous(0) && x.k.contiguous(1) &&
         x.k.size() >= 2 * x.type->lanes && !(x.n.rank && x.n.contiguous(1));
}

// Columns [begin, begin + count) of C, as dot products.
inline void run_dots(const product& x, i64 begin, i64 count) {
  i64* columns = scratch<i64>(scratch_use::block_offsets, 2 * count);
  i64* results = columns + count;
  x.n.offsets(1, begin, count, columns);
  x.n.offsets(0, begin, count, results);
  x.type->dots(x.k.size(), x.a, x.b, columns, count, x.c, results, x.accumulate);
}

// One row of A and rows of B as they lie: C is the sum of B's rows, each times a number of A. A tile would
// walk down columns, a page of memory from one row to the next.
inline bool wants_row_sums(const product& x) {
  return !x.type->converts && x.m.size() == 1 && x.k.rank == 1 && x.n.rank == 1 && x.n.contiguous(0) &&
         x.n.contiguous(1) && x.n.size() >= 4 * x.type->lanes;
}

// c[0, n) (+)= sum over p of a[p a_stride] b[p b_stride + (0, n)]; some rows of B at a time.
template <class T>
FLAME_NOINLINE void row_sums(i64 depth, const void* row, i64 a_stride, const void* matrix, i64 b_stride,
                             i64 n, void* result, bool add) {
  using V = simd::vec<T>;
  constexpr i64 lanes = simd::lanes<T>;
  constexpr int some = 8;
  const T *a = static_cast<const T*>(row), *b = static_cast<const T*>(matrix);
  T* c = static_cast<T*>(result);
  auto rows = [&]<int Rows>(std::integral_constant<int, Rows>, i64 p) {
    V x[Rows];
    const T* from = b + p * b_stride;
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) x[r] = simd::splat<V>(a[(p + r) * a_stride]);
    const bool sum = add || p > 0;
    i64 j = 0;
    for (; j + lanes <= n; j += lanes) {
      V y = sum ? simd::load<V>(c + j) : V{};
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) y = simd::fma(x[r], simd::load<V>(from + r * b_stride + j), y);
      simd::store<V>(c + j, y);
    }
    if (j == n) return;
    V y = sum ? read_vector<V>(c + j, n - j) : V{};
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) y = simd::fma(x[r], read_vector<V>(from + r * b_stride + j, n - j), y);
    write_vector(c + j, y, n - j);
  };
  i64 p = 0;
  for (; p + some <= depth; p += some) rows(std::integral_constant<int, some>{}, p);
  for (; p < depth; ++p) rows(std::integral_constant<int, 1>{}, p);
}

// Columns [begin, begin + count) of C, as sums of rows.
inline void run_row_sums(const product& x, i64 begin, i64 count) {
  const auto loop = x.type->sum_size == 8 ? &row_sums<double> : &row_sums<float>;
  loop(x.k.size(), x.a, x.k.strides[0][0], further(x.b, begin, x.type->size), x.k.strides[1][0], count,
       further(x.c, begin, x.type->size), x.accumulate);
}

// Works on a range of rows and of panels, over one block of p after another.
class block_worker {
 public:
  block_worker(const product& x, const panel_layout& layout, panel_source source, i64 row, i64 rows,
               i64 first, i64 count)
      : x_(x), layout_(layout), source_(source), first_(first), count_(count), rows_(rows) {
    const i64 n = x.n.size();
    a_rows_ = scratch<i64>(scratch_use::block_offsets, 3 * rows + 3 * depth_block + n);
    c_rows_ = a_rows_ + rows, number_rows_ = c_rows_ + rows, a_columns_ = number_rows_ + rows;
    number_columns_ = a_columns_ + depth_block, b_rows_ = number_columns_ + depth_block;
    b_columns_ = b_rows_ + depth_block;
    panels_ = scratch<panel>(scratch_use::block_panels, count);
    x.m.offsets(1, row, rows, a_rows_);
    if (source != panel_source::shared) x.n.offsets(1, 0, n, b_columns_);
  }

  // What run() writes: C, or sums, a matrix of n columns whose first row is this worker's.
  void into_result(i64 row) { x_.m.offsets(0, row, rows_, c_rows_); }
  void into_sums() {
    for (i64 i = 0; i < rows_; ++i) c_rows_[i] = i * x_.n.size();
  }

  void at_depth(i64 p, i64 depth) {
    depth_ = depth;
    x_.k.offsets(0, p, depth, a_columns_);
    if (source_ != panel_source::shared) x_.k.offsets(1, p, depth, b_rows_);
  }

  // Panels that were packed before, of all columns from panel `first` on.
  void take_panels(const void* packed, i64 first) {
    for (i64 i = first_; i < first_ + count_; ++i) {
      const i64 begin = (layout_.first(i) - layout_.first(first)) * depth_;
      panels_[i - first_] = layout_.at(i, further(packed, begin, x_.type->sum_size), layout_.width(i));
    }
  }

  void make_panels(const void* b) {
    const kernels& type = *x_.type;
    const i64 past = first_ + count_;
    void* packed = nullptr;
    for (i64 i = first_; i < past; ++i) {
      if (source_ == panel_source::in_place && layout_.whole(i)) {
        const i64 begin = b_rows_[0] + b_columns_[layout_.first(i)];
        panels_[i - first_] = layout_.at(i, further(b, begin, type.size), x_.k.rank ? x_.k.strides[1][0] : 0);
        continue;
      }
      if (!packed)
        packed =
            sum_scratch(scratch_use::block_packed, type, (past - i) * depth_ * tile_vectors * layout_.lanes);
      type.pack(layout_, i, depth_, b, b_rows_, b_columns_, packed);
      panels_[i - first_] = layout_.at(i, packed, layout_.width(i));
      packed = further(packed, depth_ * layout_.width(i), type.sum_size);
    }
  }

  void run(const void* a, void* c, bool add) {
    const kernels& type = *x_.type;
    if (!type.converts) {
      type.sweep(depth_, a, a_rows_, rows_, a_columns_, panels_, count_, c, c_rows_, add);
      return;
    }
    void* numbers = sum_scratch(scratch_use::block_numbers, type, rows_ * depth_);
    for (i64 p = 0; p < depth_; ++p) number_columns_[p] = p;
    for (i64 i = 0; i < rows_; ++i) {
      number_rows_[i] = i * depth_;
      type.widen(further(a, a_rows_[i], type.size), a_columns_, depth_,
                 further(numbers, i * depth_, type.sum_size));
    }
    type.sweep(depth_, numbers, number_rows_, rows_, number_columns_, panels_, count_, c, c_rows_, add);
  }

 private:
  const product& x_;
  const panel_layout& layout_;
  panel_source source_;
  i64 first_, count_, rows_, depth_ = 0;
  i64 *a_rows_, *c_rows_, *number_rows_, *a_columns_, *number_columns_, *b_rows_, *b_columns_;
  panel* panels_;
};

// Whether sums can be kept in C itself.
inline bool adds_in_place(const product& x) { return !x.type->converts && x.n.contiguous(0); }

// Rows [row, row + rows) of C from as many rows of `splits` matrices of sums, `apart` numbers from one to the
// next.
inline void finish_rows(const product& x, void* c, i64 row, i64 rows, void* sums, i64 splits, i64 apart) {
  const i64 n = x.n.size(), sum_size = x.type->sum_size;
  i64* c_rows = scratch<i64>(scratch_use::finish_offsets, 2 * rows + 2 * n);
  i64 *c_columns = c_rows + rows, *bias_rows = c_columns + n, *bias_columns = bias_rows + rows;
  x.m.offsets(0, row, rows, c_rows);
  x.n.offsets(0, 0, n, c_columns);
  void* bias = x.bias ? sum_scratch(scratch_use::finish_bias, *x.type, n) : nullptr;
  if (bias) x.m.offsets(2, row, rows, bias_rows), x.n.offsets(2, 0, n, bias_columns);
  for (i64 i = 0; i < rows; ++i) {
    void* of_row = further(sums, i * n, sum_size);
    if (bias && (i == 0 || bias_rows[i] != bias_rows[i - 1]))
      x.type->widen(further(x.bias, bias_rows[i], x.type->size), bias_columns, n, bias);
    for (i64 s = 0; s < splits && x.adjusts(); ++s)
      x.type->scale_and_add(further(of_row, s * apart, sum_size), x.scale, s ? nullptr : bias, n);
    x.type->finish(of_row, splits, apart, x.accumulate, c_columns, n, further(c, c_rows[i], x.type->size));
  }
}

// C without anything to sum over: zeros, or as it was.
inline void clear(const product& x) {
  if (x.accumulate) return;
  const i64 m = x.m.size(), n = x.n.size();
  void* zeros = sum_scratch(scratch_use::block_sums, *x.type, n);
  std::memset(zeros, 0, static_cast<std::size_t>(n * x.type->sum_size));
  for (i64 i = 0; i < m; ++i) finish_rows(x, x.c, i, 1, zeros, 1, 0);
}

}  // namespace algebra
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
