// Column and total reductions of a group: accumulators over tiles, partial results of items, combined in a
// fixed order.
#pragma once
#include <flame/run/host/group_reduce.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// Accumulators stand side by side for `period` elements that follow one another in a tile: for a column
// reduction a multiple of the columns, so that short columns fill whole vectors; for a total any number.
inline constexpr i64 longest_period = 1024;
[[nodiscard]] constexpr i64 period_for(reduce_mode mode, i64 columns) {
  constexpr i64 wanted = 64;
  if (mode == reduce_mode::total || columns == 0) return wanted;
  if (columns >= wanted && columns % register_pad == 0) return columns;
  i64 even = 1;  // so many rows are whole vectors
  while (columns * even % register_pad != 0) ++even;
  i64 rows = even;
  while (columns * rows < wanted) rows += even;
  return columns * rows <= longest_period ? columns * rows : columns;
}

template <class F, template <class> class Source = one_array>
void accumulate_loop(const step& s, const tile& t) {
  using T = typename F::element;
  using V = vec<T>;
  constexpr i64 w = lane_count<V>;
  Source<V> x(s, t);
  T* sum = static_cast<T*>(t.sums[s.reduction]);
  i64 period = t.periods[s.reduction], n = t.count, whole = n / period;
  // `count` vectors at j, in all whole periods
  auto down = [&](auto count, i64 j) __attribute__((always_inline)) {
    constexpr int k = decltype(count)::value;
    typename F::template running<V> v[k];
    for (i64 p = 0; p < whole; ++p)
      for (int i = 0; i < k; ++i) x.add_to(v[i], p * period + j + i * w);
    for (int i = 0; i < k; ++i) store(sum + j + i * w, F::combine(load<V>(sum + j + i * w), v[i].value()));
  };
  i64 j = 0;
  if (whole > 0) {
    for (; j + 4 * w <= period; j += 4 * w) down(std::integral_constant<int, 4>{}, j);
    for (; j + w <= period; j += w) down(std::integral_constant<int, 1>{}, j);
    for (; j < period; ++j) {
      T v = x.number(j);
      for (i64 p = 1; p < whole; ++p) v = F::combine(v, x.number(p * period + j));
      sum[j] = F::combine(sum[j], v);
    }
  }
  Source<V> rest = x.from(whole * period);
  n -= whole * period;
  for (j = 0; j + w <= n; j += w) store(sum + j, F::combine(load<V>(sum + j), rest.at(j)));
  for (; j < n; ++j) sum[j] = F::combine(sum[j], rest.number(j));
}

template <class T> void accumulate_argmax_loop(const step& s, const tile& t) {
  const T* x = t.at<T>(s.a);
  auto* sum = static_cast<best<T>*>(t.sums[s.reduction]);
  for (i64 r = 0; r < t.rows; ++r, x += t.columns)
    for (i64 c = 0; c < t.columns; ++c) sum[c].take(x[c], t.row + r);
}

template <class T> void accumulate_total_argmax_loop(const step& s, const tile& t) {
  if (t.count == 0) return;
  const T* x = t.at<T>(s.a);
  T largest;
  reduce_rows<max_of<T>>(one_array<vec<T>>(x), 1, t.count, &largest);
  i64 i = find(x, t.count, largest);
  static_cast<best<T>*>(t.sums[s.reduction])
      ->take(largest, (t.row + i / t.columns) * t.inner + t.column + i % t.columns);
}

// The total of a row value: each row counts once, however many columns the tile has.
template <step_loop Total> void total_of_rows(const step& s, const tile& t) {
  if (t.column > 0) return;
  tile rows = t;
  rows.columns = rows.inner = 1;
  rows.count = t.rows;
  Total(s, rows);
}

// What a column or total reduction does beside its step. Partial results stand for `columns` numbers (1 for a
// total).
struct reduction_code {
  int partial_bytes = 0;
  bool folds = false;  // accumulators are `period` numbers, not `columns`
  void (*begin)(void* sums, i64 count) = nullptr;
  void (*fold)(const void* sums, i64 period, i64 columns, void* partial) = nullptr;
  // Of `chunks` partial results, the next `stride` numbers after the last, the results.
  void (*finish)(const void* partial, i64 stride, i64 chunks, i64 columns, void* result) = nullptr;
};

// y[c] = the numbers x[c], x[c + stride], ..., `count` of them.
template <class F>
void combine_strided(const typename F::element* x, i64 stride, i64 count, i64 columns,
                     typename F::element* y) {
  using T = typename F::element;
  using W = typename F::wide;
  constexpr int w = lanes<W>;
  using V = vec<T, w>;
  i64 c = 0;
  for (; c + w <= columns; c += w) {
    vec<W, w> all = splat<vec<W, w>>(F::neutral);
    for (i64 k = 0; k < count; ++k) all = F::combine(all, convert<W>(load<V>(x + k * stride + c)));
    store(y + c, convert<T>(all));
  }
  for (; c < columns; ++c) {
    W all = F::neutral;
    for (i64 k = 0; k < count; ++k) all = F::combine(all, static_cast<W>(x[k * stride + c]));
    y[c] = static_cast<T>(all);
  }
}

template <class F> [[nodiscard]] inline reduction_code code_of() {
  using T = typename F::element;
  reduction_code r;
  r.partial_bytes = sizeof(T);
  r.folds = true;
  r.begin = [](void* sums, i64 count) {
    for (i64 i = 0; i < count; ++i) static_cast<T*>(sums)[i] = F::neutral;
  };
  r.fold = [](const void* sums, i64 period, i64 columns, void* partial) {
    combine_strided<F>(static_cast<const T*>(sums), columns, columns > 0 ? period / columns : 0, columns,
                       static_cast<T*>(partial));
  };
  r.finish = [](const void* partial, i64 stride, i64 chunks, i64 columns, void* result) {
    combine_strided<F>(static_cast<const T*>(partial), stride, chunks, columns, static_cast<T*>(result));
  };
  return r;
}

template <class T> [[nodiscard]] inline reduction_code argmax_code() {
  reduction_code r;
  r.partial_bytes = sizeof(best<T>);
  r.begin = [](void* sums, i64 count) {
    for (i64 i = 0; i < count; ++i) static_cast<best<T>*>(sums)[i] = {};
  };
  r.fold = [](const void* sums, i64, i64 columns, void* partial) {
    for (i64 i = 0; i < columns; ++i)
      static_cast<best<T>*>(partial)[i] = static_cast<const best<T>*>(sums)[i];
  };
  r.finish = [](const void* partial, i64 stride, i64 chunks, i64 columns, void* result) {
    auto* x = static_cast<const best<T>*>(partial);
    for (i64 c = 0; c < columns; ++c) {
      best<T> all;
      for (i64 k = 0; k < chunks; ++k) all.take(x[k * stride + c].value, x[k * stride + c].index);
      static_cast<i32*>(result)[c] = all.index == best<T>::nowhere ? 0 : static_cast<i32>(all.index);
    }
  };
  return r;
}

// ---- Choice ----

struct reduction_loops {
  step_loop loop = nullptr;  // none where the operation does not take the type
  reduction_code code;
};

template <class F> [[nodiscard]] inline reduction_loops loops_of(reduce_mode mode, bool of_rows) {
  if (mode == reduce_mode::row) return {row_reduce_loop<F>, {}};
  return {of_rows ? total_of_rows<accumulate_loop<F>> : accumulate_loop<F>, code_of<F>()};
}
template <template <class> class F>
[[nodiscard]] inline reduction_loops number_loops(lane l, reduce_mode mode, bool wraps, bool of_rows) {
  switch (l) {
    case lane::f32: return loops_of<F<float>>(mode, of_rows);
    case lane::f64: return loops_of<F<double>>(mode, of_rows);
    case lane::i32: return wraps ? loops_of<F<u32>>(mode, of_rows) : loops_of<F<i32>>(mode, of_rows);
    case lane::i64: return wraps ? loops_of<F<u64>>(mode, of_rows) : loops_of<F<i64>>(mode, of_rows);
    default: return {};
  }
}
template <class T> [[nodiscard]] inline reduction_loops argmax_loops(reduce_mode mode, bool of_rows) {
  if (mode == reduce_mode::row) return {row_argmax_loop<T>, {}};
  if (mode == reduce_mode::column) return {accumulate_argmax_loop<T>, argmax_code<T>()};
  return {of_rows ? total_of_rows<accumulate_total_argmax_loop<T>> : accumulate_total_argmax_loop<T>,
          argmax_code<T>()};
}

// Of the sum of products of two full values.
template <class T> [[nodiscard]] inline reduction_loops product_sum_of(reduce_mode mode) {
  if (mode == reduce_mode::row) return {row_reduce_loop<sum_of<T>, product>, {}};
  return {accumulate_loop<sum_of<T>, product>, code_of<sum_of<T>>()};
}
[[nodiscard]] inline reduction_loops product_sum_for(lane l, reduce_mode mode) {
  if (l == lane::f32) return product_sum_of<float>(mode);
  if (l == lane::f64) return product_sum_of<double>(mode);
  return {};
}

// of_rows: the total of a row value.
[[nodiscard]] inline reduction_loops reduction_for(op code, lane l, reduce_mode mode, bool of_rows) {
  switch (code) {
    case op::sum: return number_loops<sum_of>(l, mode, true, of_rows);
    case op::prod: return number_loops<prod_of>(l, mode, true, of_rows);
    case op::max:
      return l == lane::mask ? loops_of<any_of>(mode, of_rows)
                             : number_loops<max_of>(l, mode, false, of_rows);
    case op::min:
      return l == lane::mask ? loops_of<all_of>(mode, of_rows)
                             : number_loops<min_of>(l, mode, false, of_rows);
    case op::argmax:
      switch (l) {
        case lane::f32: return argmax_loops<float>(mode, of_rows);
        case lane::f64: return argmax_loops<double>(mode, of_rows);
        case lane::i32: return argmax_loops<i32>(mode, of_rows);
        case lane::i64: return argmax_loops<i64>(mode, of_rows);
        default: return {};
      }
    default: return {};
  }
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
