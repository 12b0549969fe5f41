// A product of matrices and its parts: how it is cut for the cores, and what works on one part.
#pragma once
#include <algorithm>
#include <flame/run/host/axis_run.hpp>
#include <flame/run/host/pack.hpp>
#include <flame/run/host/scratch.hpp>

namespace flame::host::inline FLAME_HOST_ISA {

// C(i, j) (+)= sum over p of A(i, p) B(p, j): i walks m, j walks n, p walks k.
template <class E> struct product {
  const E* a = nullptr;
  const E* b = nullptr;
  E* c = nullptr;
  axis_run<2> m, n, k;  // strides in c and a, in c and b, in a and b
  bool accumulate = false;
};

// Makes the columns what is read and written in vectors: of C's rows and columns, what lies side by side and
// is longer. True if rows and columns, and with them a and b, have changed places.
template <class E> bool orient(product<E>& x) {
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

template <class E> panel_source source_of_panels(const product<E>& x) {
  if constexpr (std::is_same_v<E, computed<E>>) {
    // Packing costs as much as some ten rows of A; rows of B that lie far apart share few sets of the caches.
    const i64 stride = x.k.rank ? std::abs(x.k.strides[1][0]) * static_cast<i64>(sizeof(E)) : 0,
              m = x.m.size();
    if (x.n.contiguous(1) && x.k.rank <= 1 && (m <= 2 * tile_rows || stride < (m <= 128 ? 2048 : 1024)))
      return panel_source::in_place;
  }
  return panel_source::own;
}

template <class E> product_cut cut(const product<E>& x, const panel_layout<computed<E>>& layout) {
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
    by.panels = ceil_div(layout.count, columns);
    if (by.source == panel_source::own && parts > 1) by.source = panel_source::shared;
  }
  by.split_depth = ceil_div(k, by.splits);
  return by;
}

// Works on a range of rows and of panels, over one block of p after another.
template <class E> class block_worker {
 public:
  using T = computed<E>;

  block_worker(const product<E>& x, const panel_layout<T>& layout, panel_source source, i64 row, i64 rows,
               i64 first, i64 count)
      : x_(x), layout_(layout), source_(source), first_(first), count_(count), rows_(rows) {
    const i64 n = x.n.size();
    a_rows_ = scratch<i64>(scratch_use::block_offsets, 3 * rows + 3 * depth_block + n);
    c_rows_ = a_rows_ + rows, number_rows_ = c_rows_ + rows, a_columns_ = number_rows_ + rows;
    number_columns_ = a_columns_ + depth_block, b_rows_ = number_columns_ + depth_block;
    b_columns_ = b_rows_ + depth_block;
    panels_ = scratch<panel<T>>(scratch_use::block_panels, count);
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
  void take_panels(const T* packed, i64 first) {
    for (i64 i = first_; i < first_ + count_; ++i)
      panels_[i - first_] =
          layout_.at(i, packed + (layout_.first(i) - layout_.first(first)) * depth_, layout_.width(i));
  }

  void make_panels(const E* b) {
    const i64 past = first_ + count_;
    T* packed = nullptr;
    for (i64 i = first_; i < past; ++i) {
      if constexpr (std::is_same_v<E, T>)
        if (source_ == panel_source::in_place && layout_.whole(i)) {
          panels_[i - first_] = layout_.at(i, b + b_rows_[0] + b_columns_[layout_.first(i)],
                                           x_.k.rank ? x_.k.strides[1][0] : 0);
          continue;
        }
      if (!packed)
        packed = scratch<T>(scratch_use::block_packed, (past - i) * depth_ * tile_vectors * layout_.lanes);
      pack(layout_, i, depth_, b, b_rows_, b_columns_, packed);
      panels_[i - first_] = layout_.at(i, packed, layout_.width(i));
      packed += depth_ * layout_.width(i);
    }
  }

  void run(const E* a, T* c, bool add) {
    if constexpr (std::is_same_v<E, T>) {
      sweep(depth_, a, a_rows_, rows_, a_columns_, panels_, count_, c, c_rows_, add);
    } else {
      T* numbers = scratch<T>(scratch_use::block_numbers, rows_ * depth_);
      const bool side_by_side = consecutive(a_columns_, depth_);
      for (i64 p = 0; p < depth_; ++p) number_columns_[p] = p;
      for (i64 i = 0; i < rows_; ++i) {
        number_rows_[i] = i * depth_;
        const E* from = a + a_rows_[i];
        if (side_by_side)
          array::convert<T, E>(from + a_columns_[0], numbers + i * depth_, depth_);
        else
          for (i64 p = 0; p < depth_; ++p) numbers[i * depth_ + p] = static_cast<T>(from[a_columns_[p]]);
      }
      sweep(depth_, numbers, number_rows_, rows_, number_columns_, panels_, count_, c, c_rows_, add);
    }
  }

 private:
  const product<E>& x_;
  const panel_layout<T>& layout_;
  panel_source source_;
  i64 first_, count_, rows_, depth_ = 0;
  i64 *a_rows_, *c_rows_, *number_rows_, *a_columns_, *number_columns_, *b_rows_, *b_columns_;
  panel<T>* panels_;
};

// Rows [row, row + rows) of C from as many rows of `splits` matrices of sums, `apart` numbers from one to the
// next.
template <class E>
void finish(const product<E>& x, E* c, i64 row, i64 rows, computed<E>* sums, i64 splits, i64 apart) {
  using T = computed<E>;
  const i64 n = x.n.size();
  i64* c_rows = scratch<i64>(scratch_use::finish_offsets, rows + n);
  i64* c_columns = c_rows + rows;
  x.m.offsets(0, row, rows, c_rows);
  x.n.offsets(0, 0, n, c_columns);
  for (i64 i = 0; i < rows; ++i, sums += n) {
    for (i64 s = 1; s < splits; ++s)
      for (i64 j = 0; j < n; ++j) sums[j] += sums[s * apart + j];
    E* to = c + c_rows[i];
    if (x.accumulate)
      for (i64 j = 0; j < n; ++j) sums[j] += static_cast<T>(to[c_columns[j]]);
    if (x.n.contiguous(0))
      array::convert<E, T>(sums, to, n);
    else
      for (i64 j = 0; j < n; ++j) to[c_columns[j]] = static_cast<E>(sums[j]);
  }
}

// Whether sums can be kept in C itself.
template <class E> bool adds_in_place(const product<E>& x) {
  return std::is_same_v<E, computed<E>> && x.n.contiguous(0);
}

template <class E> computed<E>* as_sums(E* c) {
  if constexpr (std::is_same_v<E, computed<E>>)
    return c;
  else
    return nullptr;
}

}  // namespace algebra

}  // namespace flame::host::inline FLAME_HOST_ISA
