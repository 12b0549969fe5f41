// The reductions of a group: along the rows of a tile, and over tiles in accumulators that are combined in a
// fixed order.
#pragma once
#include <flame/run/host/group_tile.hpp>

namespace flame::host::inline FLAME_HOST_ISA::tiles {

// How two elements become one: written for vectors and for numbers alike. wide is the type in which the few
// partial results of threads and lanes are combined.
template <class T> struct sum_of {
  using element = T;
  using wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  static constexpr T neutral = 0;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a + b; }
};
template <class T> struct prod_of {
  using element = T;
  using wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  static constexpr T neutral = 1;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a * b; }
};
template <class T> struct max_of {
  using element = T;
  using wide = T;
  static constexpr T neutral = [] {
    if constexpr (std::is_floating_point_v<T>)
      return -format<T>::infinity;
    else
      return static_cast<T>(T{1} << (sizeof(T) * 8 - 1));
  }();
  template <class V> FLAME_INLINE static V combine(V a, V b) {  // NaN where either is
    if constexpr (std::is_floating_point_v<T>)
      return a != a ? a : a > b ? a : b;
    else
      return a > b ? a : b;
  }
};
template <class T> struct min_of {
  using element = T;
  using wide = T;
  static constexpr T neutral = [] {
    if constexpr (std::is_floating_point_v<T>)
      return format<T>::infinity;
    else
      return static_cast<T>(~(T{1} << (sizeof(T) * 8 - 1)));
  }();
  template <class V> FLAME_INLINE static V combine(V a, V b) {
    if constexpr (std::is_floating_point_v<T>)
      return a != a ? a : a < b ? a : b;
    else
      return a < b ? a : b;
  }
};
struct any_of {
  using element = i32;
  using wide = i32;
  static constexpr i32 neutral = 0;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a | b; }
};
struct all_of {
  using element = i32;
  using wide = i32;
  static constexpr i32 neutral = -1;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a & b; }
};

// ---- Rows ----

// n numbers, n at least a vector's width: in four vectors, and these in blocks so that a long row's rounding
// errors grow with the blocks, not with the elements. `last` tells which lanes of the row's last vector the
// others have not had.
template <class F, any_vector V, any_vector M>
FLAME_INLINE element_of<V> reduce_long(const element_of<V>* x, i64 n, M last) {
  constexpr i64 w = lane_count<V>, block = 32 * 4 * w;
  const V none = splat<V>(F::neutral);
  V all = none;
  i64 i = 0;
  do {
    i64 end = n - i < block ? n : i + block;
    V a = none, b = none, c = none, d = none;
    for (; i + 4 * w <= end; i += 4 * w) {
      a = F::combine(a, load<V>(x + i));
      b = F::combine(b, load<V>(x + i + w));
      c = F::combine(c, load<V>(x + i + 2 * w));
      d = F::combine(d, load<V>(x + i + 3 * w));
    }
    for (; i + w <= end; i += w) a = F::combine(a, load<V>(x + i));
    all = F::combine(all, F::combine(F::combine(a, b), F::combine(c, d)));
  } while (i + w <= n);
  if (i < n) all = F::combine(all, select(last, load<V>(x + n - w), none));
  return reduce(all, [](auto a, auto b) { return F::combine(a, b); });
}

// A row shorter than a vector. `safe` elements from x may be read.
template <class F, any_vector V, any_vector M>
FLAME_INLINE element_of<V> reduce_short(const element_of<V>* x, i64 n, i64 safe, M first) {
  constexpr i64 w = lane_count<V>;
  V none = splat<V>(F::neutral), v = none;
  if (safe >= w)
    v = select(first, load<V>(x), none);
  else if (n > 0)
    v = load_first(x, static_cast<int>(n), none);
  return reduce(v, [](auto a, auto b) { return F::combine(a, b); });
}

template <class F, class Row>
FLAME_INLINE void each_row_reduced(const typename F::element* x, i64 rows, i64 columns, Row row) {
  using V = vec<typename F::element>;
  constexpr i64 w = lane_count<V>;
  using I = signed_of<V>;
  using T = element_of<I>;
  if (columns < w) {
    auto first = lane_index<I>() < splat<I>(static_cast<T>(columns));
    for (i64 r = 0; r < rows; ++r, x += columns)
      row(r, reduce_short<F, V>(x, columns, (rows - r) * columns, first));
  } else {
    auto last = lane_index<I>() >= splat<I>(static_cast<T>(w - columns % w));
    for (i64 r = 0; r < rows; ++r, x += columns) row(r, reduce_long<F, V>(x, columns, last));
  }
}

template <class F> void row_reduce_loop(const step& s, const tile& t) {
  using T = typename F::element;
  T* y = t.at<T>(s.result);
  each_row_reduced<F>(t.at<T>(s.a), t.rows, t.columns, [&](i64 r, T v) { y[r] = v; });
}

// ---- Largest, and where ----

template <class T> [[nodiscard]] FLAME_INLINE bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>)
    return x != x;
  else
    return false;
}

// NaN is the largest; of equals the first.
template <class T> struct best {
  T value = max_of<T>::neutral;
  i64 index = 0;

  FLAME_INLINE bool below(T x) const { return x > value || (is_nan(x) && !is_nan(value)); }
};

// Where `value`, the largest of them, first stands among n numbers.
template <class T> [[nodiscard]] FLAME_INLINE i64 find(const T* x, i64 n, T value) {
  using V = vec<T>;
  constexpr i64 w = lane_count<V>;
  i64 i = 0;
  const V v = splat<V>(value);
  for (; i + w <= n; i += w) {
    V u = load<V>(x + i);
    if (any((u == v) | ((u != u) & (v != v)))) break;
  }
  while (i < n - 1 && x[i] != value && !(is_nan(x[i]) && is_nan(value))) ++i;
  return i;
}

template <class T> void row_argmax_loop(const step& s, const tile& t) {
  const T* x = t.at<T>(s.a);
  i32* y = t.at<i32>(s.result);
  each_row_reduced<max_of<T>>(x, t.rows, t.columns, [&](i64 r, T v) {
    y[r] = t.columns > 0 ? static_cast<i32>(find(x + r * t.columns, t.columns, v)) : 0;
  });
}

// ---- Columns and totals ----

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

template <class F> void accumulate_loop(const step& s, const tile& t) {
  using T = typename F::element;
  using V = vec<T>;
  constexpr i64 w = lane_count<V>;
  const T* x = t.at<T>(s.a);
  T* sum = static_cast<T*>(t.sums[s.reduction]);
  i64 period = t.periods[s.reduction], n = t.count, whole = n / period;
  auto down = [&](auto count, i64 j)
      __attribute__((always_inline)) {  // `count` vectors at j, in all whole periods
    constexpr int k = decltype(count)::value;
    V v[k];
    for (int i = 0; i < k; ++i) v[i] = load<V>(x + j + i * w);
    for (i64 p = 1; p < whole; ++p)
      for (int i = 0; i < k; ++i) v[i] = F::combine(v[i], load<V>(x + p * period + j + i * w));
    for (int i = 0; i < k; ++i) store(sum + j + i * w, F::combine(load<V>(sum + j + i * w), v[i]));
  };
  i64 j = 0;
  if (whole > 0) {
    for (; j + 4 * w <= period; j += 4 * w) down(std::integral_constant<int, 4>{}, j);
    for (; j + w <= period; j += w) down(std::integral_constant<int, 1>{}, j);
    for (; j < period; ++j) {
      T v = x[j];
      for (i64 p = 1; p < whole; ++p) v = F::combine(v, x[p * period + j]);
      sum[j] = F::combine(sum[j], v);
    }
  }
  x += whole * period;
  n -= whole * period;
  for (j = 0; j + w <= n; j += w) store(sum + j, F::combine(load<V>(sum + j), load<V>(x + j)));
  for (; j < n; ++j) sum[j] = F::combine(sum[j], x[j]);
}

// The total of a row value: each row counts once, however many columns the tile has.
template <class F> void accumulate_rows_loop(const step& s, const tile& t) {
  if (t.column > 0) return;
  tile rows = t;
  rows.columns = 1;
  rows.count = t.rows;
  accumulate_loop<F>(s, rows);
}

template <class T, reduce_mode Mode> void accumulate_argmax_loop(const step& s, const tile& t) {
  const T* x = t.at<T>(s.a);
  auto* sum = static_cast<best<T>*>(t.sums[s.reduction]);
  if constexpr (Mode == reduce_mode::column) {
    for (i64 r = 0; r < t.rows; ++r, x += t.columns)
      for (i64 c = 0; c < t.columns; ++c)
        if (sum[c].below(x[c])) sum[c] = {x[c], t.row + r};
  } else {
    if (t.count == 0) return;
    T largest = max_of<T>::neutral;
    each_row_reduced<max_of<T>>(x, 1, t.count, [&](i64, T v) { largest = v; });
    i64 i = find(x, t.count, largest), at = (t.row + i / t.columns) * t.inner + t.column + i % t.columns;
    bool same = largest == sum->value || (is_nan(largest) && is_nan(sum->value));
    if (sum->below(largest) || (same && at < sum->index)) *sum = {largest, at};
  }
}

// What a column or total reduction does beside its step. Partial results stand for `columns` numbers (1 for a
// total).
struct reduction_code {
  int partial_bytes = 0;
  bool folds = false;  // accumulators are `period` numbers, not `columns`
  void (*begin)(void* sums, i64 count,
                i64 first) = nullptr;  // first: the linear index at which the chunk begins
  void (*fold)(const void* sums, i64 period, i64 columns, void* partial) = nullptr;
  // Of `chunks` partial results, the next `stride` numbers after the last, the results.
  void (*finish)(const void* partial, i64 stride, i64 chunks, i64 columns, void* result) = nullptr;
};

template <class F> [[nodiscard]] inline reduction_code code_of() {
  using T = typename F::element;
  using W = typename F::wide;
  auto strided = [](const T* x, i64 stride, i64 count, i64 columns, T* y) {
    for (i64 c = 0; c < columns; ++c) {
      W all = static_cast<W>(x[c]);
      for (i64 k = 1; k < count; ++k) all = F::combine(all, static_cast<W>(x[k * stride + c]));
      y[c] = static_cast<T>(all);
    }
  };
  static constexpr auto combine = decltype(strided){};
  reduction_code r;
  r.partial_bytes = sizeof(T);
  r.folds = true;
  r.begin = [](void* sums, i64 count, i64) {
    for (i64 i = 0; i < count; ++i) static_cast<T*>(sums)[i] = F::neutral;
  };
  r.fold = [](const void* sums, i64 period, i64 columns, void* partial) {
    combine(static_cast<const T*>(sums), columns, columns > 0 ? period / columns : 0, columns,
            static_cast<T*>(partial));
  };
  r.finish = [](const void* partial, i64 stride, i64 chunks, i64 columns, void* result) {
    combine(static_cast<const T*>(partial), stride, chunks, columns, static_cast<T*>(result));
  };
  return r;
}

template <class T> [[nodiscard]] inline reduction_code argmax_code() {
  reduction_code r;
  r.partial_bytes = sizeof(best<T>);
  r.begin = [](void* sums, i64 count, i64 first) {
    for (i64 i = 0; i < count; ++i) static_cast<best<T>*>(sums)[i] = {max_of<T>::neutral, first};
  };
  r.fold = [](const void* sums, i64, i64 columns, void* partial) {
    for (i64 i = 0; i < columns; ++i)
      static_cast<best<T>*>(partial)[i] = static_cast<const best<T>*>(sums)[i];
  };
  r.finish = [](const void* partial, i64 stride, i64 chunks, i64 columns, void* result) {
    auto* x = static_cast<const best<T>*>(partial);
    for (i64 c = 0; c < columns; ++c) {
      best<T> all = x[c];
      for (i64 k = 1; k < chunks; ++k) {
        const best<T>& b = x[k * stride + c];
        bool same = b.value == all.value || (is_nan(b.value) && is_nan(all.value));
        if (all.below(b.value) || (same && b.index < all.index)) all = b;
      }
      static_cast<i32*>(result)[c] = static_cast<i32>(all.index);
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
  return {of_rows ? accumulate_rows_loop<F> : accumulate_loop<F>, code_of<F>()};
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
template <class T> [[nodiscard]] inline reduction_loops argmax_loops(reduce_mode mode) {
  if (mode == reduce_mode::row) return {row_argmax_loop<T>, {}};
  return {mode == reduce_mode::column ? accumulate_argmax_loop<T, reduce_mode::column>
                                      : accumulate_argmax_loop<T, reduce_mode::total>,
          argmax_code<T>()};
}

// of_rows: the total of a row value.
[[nodiscard]] inline reduction_loops reduction_for(op code, lane l, reduce_mode mode, bool of_rows) {
  switch (code) {
    case op::sum: return number_loops<sum_of>(l, mode, true, of_rows);
    case op::prod: return number_loops<prod_of>(l, mode, true, of_rows);
    case op::max: return l == lane::mask ? loops_of<any_of>(mode, of_rows) : number_loops<max_of>(l, mode, false, of_rows);
    case op::min: return l == lane::mask ? loops_of<all_of>(mode, of_rows) : number_loops<min_of>(l, mode, false, of_rows);
    case op::argmax:
      switch (l) {
        case lane::f32: return argmax_loops<float>(mode);
        case lane::f64: return argmax_loops<double>(mode);
        case lane::i32: return argmax_loops<i32>(mode);
        case lane::i64: return argmax_loops<i64>(mode);
        default: return {};
      }
    default: return {};
  }
}

}  // namespace flame::host::inline FLAME_HOST_ISA::tiles
