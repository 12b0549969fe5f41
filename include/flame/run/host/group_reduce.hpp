// How the reductions of a group combine two elements, and reductions along the rows of a tile.
#pragma once
#include <flame/run/host/group_tile.hpp>
#include <limits>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// How two elements become one: `combine`, written for vectors and for numbers alike. `wide` is the type in
// which the few partial results of threads and lanes are combined. A running<V> takes vector after vector.
template <class F, any_vector V> struct plain_running {
  V so_far = splat<V>(F::neutral);
  FLAME_INLINE void add(V x) { so_far = F::combine(so_far, x); }
  FLAME_INLINE void add(const plain_running& other) { add(other.so_far); }
  [[nodiscard]] FLAME_INLINE V value() const { return so_far; }
};

template <class T> struct sum_of {
  using element = T;
  using wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  template <any_vector V> using running = plain_running<sum_of, V>;
  static constexpr T neutral = 0;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a + b; }
};
template <class T> struct prod_of {
  using element = T;
  using wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  template <any_vector V> using running = plain_running<prod_of, V>;
  static constexpr T neutral = 1;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a * b; }
};

// The largest, or the smallest; NaN if any is. Vectors are compared by the machine's own instruction, which
// may lose a NaN, and those are found apart: by their bits, which as an integer lie above infinity's.
template <class F, any_vector V> struct extreme_running {
  using I = signed_of<V>;
  using bits = format<element_of<V>>;
  V so_far = splat<V>(F::neutral);
  I nan{};  // below 0 where there was one
  FLAME_INLINE void add(V x) {
    so_far = F::ordered(so_far, x);
    nan |= as<I>(splat<V>(bits::infinity)) - as<I>(simd::abs(x));
  }
  FLAME_INLINE void add(const extreme_running& other) {
    so_far = F::ordered(so_far, other.so_far);
    nan |= other.nan;
  }
  [[nodiscard]] FLAME_INLINE V value() const { return select(nan < 0, splat<V>(bits::nan), so_far); }
};

template <class T, bool Largest> struct extreme_of {
  using element = T;
  using wide = T;
  template <any_vector V>
  using running = std::conditional_t<std::is_floating_point_v<T>, extreme_running<extreme_of, V>,
                                     plain_running<extreme_of, V>>;
  static constexpr T neutral = [] {
    constexpr T lowest =
        std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
    constexpr T highest =
        std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
    return Largest ? lowest : highest;
  }();
  template <class V> FLAME_INLINE static V ordered(V a, V b) {
    if constexpr (Largest)
      return a > b ? a : b;
    else
      return a < b ? a : b;
  }
  template <class V> FLAME_INLINE static V combine(V a, V b) {
    if constexpr (std::is_floating_point_v<T>)
      return a != a ? a : ordered(a, b);
    else
      return ordered(a, b);
  }
};
template <class T> using max_of = extreme_of<T, true>;
template <class T> using min_of = extreme_of<T, false>;

struct any_of {
  using element = i32;
  using wide = i32;
  template <any_vector V> using running = plain_running<any_of, V>;
  static constexpr i32 neutral = 0;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a | b; }
};
struct all_of {
  using element = i32;
  using wide = i32;
  template <any_vector V> using running = plain_running<all_of, V>;
  static constexpr i32 neutral = -1;
  template <class V> FLAME_INLINE static V combine(V a, V b) { return a & b; }
};

// ---- Rows ----

// What is reduced: an array, or the products of two, which then need no register.
template <any_vector V> struct one_array {
  using T = element_of<V>;
  const T* x;
  FLAME_INLINE one_array(const step& s, const tile& t) : x(t.at<T>(s.a)) {}
  FLAME_INLINE explicit one_array(const T* from) : x(from) {}
  FLAME_INLINE one_array from(i64 i) const { return one_array(x + i); }
  FLAME_INLINE T number(i64 i) const { return x[i]; }
  FLAME_INLINE V at(i64 i) const { return load<V>(x + i); }
  FLAME_INLINE V first(int n, V rest) const { return load_first(x, n, rest); }
  template <class Running> FLAME_INLINE void add_to(Running& sum, i64 i) const { sum.add(at(i)); }
};
template <any_vector V> struct product {
  using T = element_of<V>;
  const T *x, *y;
  FLAME_INLINE product(const step& s, const tile& t) : x(t.at<T>(s.a)), y(t.at<T>(s.b)) {}
  FLAME_INLINE product(const T* a, const T* b) : x(a), y(b) {}
  FLAME_INLINE product from(i64 i) const { return product(x + i, y + i); }
  FLAME_INLINE T number(i64 i) const { return x[i] * y[i]; }
  FLAME_INLINE V at(i64 i) const { return load<V>(x + i) * load<V>(y + i); }
  FLAME_INLINE V first(int n, V rest) const {
    V v = load_first(x, n, V{}) * load_first(y, n, V{});
    return select(lane_index<signed_of<V>>() < splat<signed_of<V>>(static_cast<element_of<signed_of<V>>>(n)),
                  v, rest);
  }
  template <class Running> FLAME_INLINE void add_to(Running& sum, i64 i) const {
    sum.so_far = simd::fma(load<V>(x + i), load<V>(y + i), sum.so_far);
  }
};

// Whole vectors of n numbers, in four sums.
template <class F, any_vector V, class Source> FLAME_INLINE auto sum_vectors(const Source& x, i64 n) {
  constexpr i64 w = lane_count<V>;
  typename F::template running<V> a, b, c, d;
  i64 i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    x.add_to(a, i);
    x.add_to(b, i + w);
    x.add_to(c, i + 2 * w);
    x.add_to(d, i + 3 * w);
  }
  a.add(b), c.add(d), a.add(c);
  for (; i + w <= n; i += w) x.add_to(a, i);
  return a;
}

// Of a long row: blocks, added up in pairs, these in pairs, so that rounding errors grow with the logarithm
// of its length.
template <class F, any_vector V, class Source>
FLAME_NOINLINE auto sum_blocks(const Source& x, i64 n, i64 block) {
  using running = typename F::template running<V>;
  running pairs[64], all;
  i64 blocks = 0;
  for (i64 i = 0; i < n; i += block, ++blocks) {
    running sum = sum_vectors<F, V>(x.from(i), n - i < block ? n - i : block);
    int depth = 0;
    for (i64 k = blocks; k & 1; k >>= 1) sum.add(pairs[depth++]);
    pairs[depth] = sum;
  }
  for (int depth = 0; blocks >> depth; ++depth)
    if (blocks >> depth & 1) all.add(pairs[depth]);
  return all;
}

// The lanes over which a row's numbers are spread; what is left to combine is the lanes. `some` tells which
// lanes count in the vector that ends the row, or, in a row shorter than a vector, begins it; there `safe`
// elements from x may be read.
template <class F, any_vector V, class Source, any_vector M>
FLAME_INLINE V row_lanes(const Source& x, i64 n, i64 safe, M some) {
  using running = typename F::template running<V>;
  constexpr i64 w = lane_count<V>, block = 32 * 4 * w;
  const V none = splat<V>(F::neutral);
  running all;
  if (n < w) {
    if (safe >= w)
      all.add(select(some, x.at(0), none));
    else if (n > 0)
      all.add(x.first(static_cast<int>(n), none));
    return all.value();
  }
  if (n > block)
    all = sum_blocks<F, V>(x, n, block);
  else if (n >= 4 * w)
    all = sum_vectors<F, V>(x, n);
  else
    for (i64 i = 0; i + w <= n; i += w) x.add_to(all, i);
  if (n % w != 0) all.add(select(some, x.at(n - w), none));
  return all.value();
}

// Lane r of the result: the lanes of v[r], combined by halves as simd::reduce does.
template <class F, any_vector V, int N> FLAME_INLINE V combine_lanes(V (&v)[N]) {
  if constexpr (N == 1) {
    return v[0];
  } else {
    V half[N / 2];
    for (int i = 0; i < N / 2; ++i)
      half[i] = F::combine(interleave_low(v[i], v[i + N / 2]), interleave_high(v[i], v[i + N / 2]));
    return combine_lanes<F>(half);
  }
}

// y[r] for each row of x.
template <class F, class Source>
FLAME_INLINE void reduce_rows(const Source& x, i64 rows, i64 columns, typename F::element* y) {
  using V = vec<typename F::element>;
  using I = signed_of<V>;
  constexpr i64 w = lane_count<V>;
  I lane = lane_index<I>();
  auto bound = splat<I>(static_cast<element_of<I>>(columns < w ? columns : w - columns % w));
  auto some = columns < w ? lane < bound : lane >= bound;
  auto lanes_of = [&](i64 r) __attribute__((always_inline)) {
    return row_lanes<F, V>(x.from(r * columns), columns, (rows - r) * columns, some);
  };
  for (i64 r = 0; r < rows; r += w) {
    i64 n = rows - r < w ? rows - r : w;
    V v[w];
    for (i64 k = 0; k < n; ++k) v[k] = lanes_of(r + k);
    for (i64 k = n; k < w; ++k) v[k] = V{};
    if (n == w)
      store(y + r, combine_lanes<F>(v));
    else
      store_first(y + r, static_cast<int>(n), combine_lanes<F>(v));
  }
}

template <class F, template <class> class Source = one_array>
void row_reduce_loop(const step& s, const tile& t) {
  using T = typename F::element;
  reduce_rows<F>(Source<vec<T>>(s, t), t.rows, t.columns, t.at<T>(s.result));
}

// ---- Largest, and where ----

template <class T> [[nodiscard]] FLAME_INLINE bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>)
    return x != x;
  else
    return false;
}

// The largest so far, NaN above all, and its index: the first of equals, in whatever order they come.
template <class T> struct best {
  static constexpr i64 nowhere = std::numeric_limits<i64>::max();
  T value = max_of<T>::neutral;
  i64 index = nowhere;

  FLAME_INLINE void take(T x, i64 at) {
    bool above = x > value || (is_nan(x) && !is_nan(value)),
         same = x == value || (is_nan(x) && is_nan(value));
    if (above || (same && at < index)) value = x, index = at;
  }
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
  constexpr i64 w = lanes<T>;
  const T* x = t.at<T>(s.a);
  i32* y = t.at<i32>(s.result);
  T largest[w];
  for (i64 r = 0; r < t.rows; ++r, x += t.columns) {
    if (r % w == 0)
      reduce_rows<max_of<T>>(one_array<vec<T>>(x), t.rows - r < w ? t.rows - r : w, t.columns, largest);
    y[r] = t.columns > 0 ? static_cast<i32>(find(x, t.columns, largest[r % w])) : 0;
  }
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
