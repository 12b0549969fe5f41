// The elementwise instructions of a group as loops over registers, and the choice among them.
#pragma once
#include <flame/run/host/convert.hpp>
#include <flame/run/host/group_tile.hpp>
#include <flame/run/host/math.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// Wrapping: in unsigned numbers, because signed overflow is undefined.
template <any_vector V, class F> FLAME_INLINE V wrapping(V a, V b, F f) {
  if constexpr (floating_vector<V>)
    return f(a, b);
  else
    return as<V>(f(as<unsigned_of<V>>(a), as<unsigned_of<V>>(b)));
}

template <op Code> struct elementwise {
  template <any_vector V> FLAME_INLINE auto operator()(V x) const {
    if constexpr (Code == op::neg) {
      if constexpr (floating_vector<V>)
        return -x;
      else
        return as<V>(-as<unsigned_of<V>>(x));
    } else if constexpr (Code == op::abs) {
      if constexpr (floating_vector<V>)
        return simd::abs(x);
      else
        return select(x < 0, as<V>(-as<unsigned_of<V>>(x)), x);
    } else if constexpr (Code == op::sign) {
      return select(x > 0, splat<V>(1), select(x < 0, splat<V>(-1), V{}));
    } else if constexpr (Code == op::floor) {
      return simd::floor(x);
    } else if constexpr (Code == op::exp) {
      return math::exp(x);
    } else if constexpr (Code == op::expm1) {
      return math::expm1(x);
    } else if constexpr (Code == op::log) {
      return math::log(x);
    } else if constexpr (Code == op::log1p) {
      return math::log1p(x);
    } else if constexpr (Code == op::sqrt) {
      return simd::sqrt(x);
    } else if constexpr (Code == op::rsqrt) {
      return math::rsqrt(x);
    } else if constexpr (Code == op::reciprocal) {
      return 1 / x;
    } else if constexpr (Code == op::sin) {
      return math::sin(x);
    } else if constexpr (Code == op::cos) {
      return math::cos(x);
    } else if constexpr (Code == op::tanh) {
      return math::tanh(x);
    } else if constexpr (Code == op::sigmoid) {
      return math::sigmoid(x);
    } else if constexpr (Code == op::erf) {
      return math::erf(x);
    } else if constexpr (Code == op::is_finite) {
      return narrow(simd::abs(x) < format<element_of<V>>::infinity);
    } else if constexpr (Code == op::is_nan) {
      return narrow(x != x);
    } else {
      static_assert(Code == op::logical_not);
      return ~x;
    }
  }

  template <any_vector V> FLAME_INLINE auto operator()(V a, V b) const {
    if constexpr (Code == op::add) {
      return wrapping(a, b, [](auto x, auto y) { return x + y; });
    } else if constexpr (Code == op::sub) {
      return wrapping(a, b, [](auto x, auto y) { return x - y; });
    } else if constexpr (Code == op::mul) {
      return wrapping(a, b, [](auto x, auto y) { return x * y; });
    } else if constexpr (Code == op::div) {
      return a / b;
    } else if constexpr (Code == op::pow) {
      return math::pow(a, b);
    } else if constexpr (Code == op::minimum) {
      if constexpr (floating_vector<V>)
        return simd::minimum(a, b);
      else
        return simd::min(a, b);
    } else if constexpr (Code == op::maximum) {
      if constexpr (floating_vector<V>)
        return simd::maximum(a, b);
      else
        return simd::max(a, b);
    } else if constexpr (Code == op::less) {
      return narrow(a < b);
    } else if constexpr (Code == op::less_equal) {
      return narrow(a <= b);
    } else if constexpr (Code == op::equal) {
      return narrow(a == b);
    } else if constexpr (Code == op::not_equal) {
      return narrow(a != b);
    } else if constexpr (Code == op::logical_and) {
      return a & b;
    } else {
      static_assert(Code == op::logical_or);
      return a | b;
    }
  }
};

// How an operand of a loop is given: as many elements as the result, one for all, or one for each row of a
// full result.
enum class form : u8 { many, one, each_row };

template <form Form, any_vector V> struct operand {
  const element_of<V>* from;
  V same;

  FLAME_INLINE operand(const tile& t, int value) : from(t.at<element_of<V>>(value)) {
    if constexpr (Form == form::one) same = splat<V>(*from);
  }
  FLAME_INLINE V at(i64 i) const {
    if constexpr (Form == form::one)
      return same;
    else
      return load<V>(from + i);
  }
};

template <class T, class F> void unary_loop(const step& s, const tile& t) {
  using V = vec<T>;
  using R = decltype(F{}(V{}));
  operand<form::many, V> x(t, s.a);
  auto* y = t.at<element_of<R>>(s.result);
  for (i64 i = 0, n = t.size(s.at); i < n; i += lane_count<V>) store(y + i, F{}(x.at(i)));
}

template <class T, form A, form B, class F> void binary_loop(const step& s, const tile& t) {
  using V = vec<T>;
  using R = decltype(F{}(V{}, V{}));
  operand<A, V> a(t, s.a);
  operand<B, V> b(t, s.b);
  auto* y = t.at<element_of<R>>(s.result);
  for (i64 i = 0, n = t.size(s.at); i < n; i += lane_count<V>) store(y + i, F{}(a.at(i), b.at(i)));
}

// One operand is one for each row. The end of a row is computed first, from elements that the loop then
// computes again: the result may be the operand, and neither is touched past its end.
template <class T, bool Swapped, class F> void row_loop(const step& s, const tile& t) {
  using V = vec<T>;
  constexpr int w = lane_count<V>;
  const T* x = t.at<T>(Swapped ? s.b : s.a);
  const T* row = t.at<T>(Swapped ? s.a : s.b);
  T* y = t.at<T>(s.result);
  auto f = [](V a, V r) {
    if constexpr (Swapped)
      return F{}(r, a);
    else
      return F{}(a, r);
  };
  i64 n = t.columns;
  for (i64 r = 0; r < t.rows; ++r, x += n, y += n) {
    V v = splat<V>(row[r]);
    if (n < w) {
      if (n > 0) store_first(y, static_cast<int>(n), f(load_first(x, static_cast<int>(n), V{}), v));
      continue;
    }
    V end = f(load<V>(x + n - w), v);
    for (i64 i = 0; i < n - w; i += w) store(y + i, f(load<V>(x + i), v));
    store(y + n - w, end);
  }
}

// The condition is a register; both choices are of one width, whatever their type.
template <class T, form A, form B> void where_loop(const step& s, const tile& t) {
  using V = vec<T>;
  operand<form::many, rebind<V, i32>> condition(t, s.a);
  operand<A, V> a(t, s.b);
  operand<B, V> b(t, s.c);
  T* y = t.at<T>(s.result);
  for (i64 i = 0, n = t.size(s.at); i < n; i += lane_count<V>)
    store(y + i, select(widen<V>(condition.at(i)), a.at(i), b.at(i)));
}

// A value of a lower level, repeated: one number for all, or a row's for its columns.
template <class T, bool FromRow> void expand_loop(const step& s, const tile& t) {
  using V = vec<T>;
  constexpr int w = lane_count<V>;
  const T* x = t.at<T>(s.a);
  T* y = t.at<T>(s.result);
  if constexpr (FromRow) {
    // Runs into the next row, which comes after it, and at last into the register's pad.
    for (i64 r = 0, n = t.columns; r < t.rows; ++r, y += n) {
      V v = splat<V>(x[r]);
      for (i64 i = 0; i < n; i += w) store(y + i, v);
    }
  } else {
    V v = splat<V>(x[0]);
    for (i64 i = 0, n = t.size(s.at); i < n; i += w) store(y + i, v);
  }
}

// ---- Casts ----

struct boolean_lane {};  // stands for booleans where a cast must tell them from i32

// Floating to integer: towards 0, the nearest end of the range outside of it, 0 for NaN. Between integers:
// modulo 2^bits. To boolean: is it not 0.
template <class From, class To> struct cast_lanes {
  static constexpr int n = sizeof(From) == 8 || sizeof(To) == 8 ? lanes<double> : lanes<float>;

  FLAME_INLINE vec<To, n> operator()(vec<From, n> x) const {
    if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      constexpr From top = sizeof(To) == 4 ? From(0x1p31) : From(0x1p63);
      constexpr To highest = static_cast<To>(~(To{1} << (sizeof(To) * 8 - 1)));
      using V = vec<From, n>;
      auto inside = (x >= -top) & (x < top);
      auto y = __builtin_convertvector(select(inside, x, V{}), vec<To, n>);
      auto above = __builtin_convertvector(x >= top, vec<To, n>),
           below = __builtin_convertvector(x < -top, vec<To, n>);
      return select(above, splat<vec<To, n>>(highest), select(below, splat<vec<To, n>>(~highest), y));
    } else {
      return __builtin_convertvector(x, vec<To, n>);
    }
  }
};

template <class From> struct cast_lanes<From, boolean_lane> {
  static constexpr int n = lanes<From>;
  FLAME_INLINE vec<i32, n> operator()(vec<From, n> x) const { return narrow(x != 0); }
};
template <class To> struct cast_lanes<boolean_lane, To> {
  static constexpr int n = lanes<To>;
  FLAME_INLINE vec<To, n> operator()(vec<i32, n> x) const {
    return __builtin_convertvector(x & 1, vec<To, n>);
  }
};
template <> struct cast_lanes<boolean_lane, boolean_lane> {};

// To u8, whose values are computed as i32.
template <bool FromFloating> struct cast_u8 {
  static constexpr int n = lanes<i32>;
  FLAME_INLINE vec<i32, n> operator()(vec<i32, n> x) const {
    if constexpr (FromFloating)
      return simd::max(vec<i32, n>{}, simd::min(splat<vec<i32, n>>(255), x));
    else
      return x & 255;
  }
};

// To bf16 or f16, whose values are computed as f32.
template <class Half> struct round_lanes {
  static constexpr int n = lanes<float>;
  FLAME_INLINE vec<float, n> operator()(vec<float, n> x) const {
    return convert_elements<float, Half>(convert_elements<Half, float>(x));
  }
};

template <class From, class To, class F> void cast_loop(const step& s, const tile& t) {
  const From* x = t.at<From>(s.a);
  To* y = t.at<To>(s.result);
  for (i64 i = 0, n = t.size(s.at); i < n; i += F::n) store(y + i, F{}(load<vec<From, F::n>>(x + i)));
}

// ---- Choice of the loop; none where the operation does not take the type ----

template <op Code> step_loop floating_unary(lane l) {
  if (l == lane::f32) return unary_loop<float, elementwise<Code>>;
  if (l == lane::f64) return unary_loop<double, elementwise<Code>>;
  return nullptr;
}
template <op Code> step_loop number_unary(lane l) {
  if (l == lane::i32) return unary_loop<i32, elementwise<Code>>;
  if (l == lane::i64) return unary_loop<i64, elementwise<Code>>;
  return floating_unary<Code>(l);
}

[[nodiscard]] inline step_loop unary_for(op code, lane l) {
  switch (code) {
    case op::neg: return number_unary<op::neg>(l);
    case op::abs: return number_unary<op::abs>(l);
    case op::sign: return number_unary<op::sign>(l);
    case op::floor: return floating_unary<op::floor>(l);
    case op::exp: return floating_unary<op::exp>(l);
    case op::expm1: return floating_unary<op::expm1>(l);
    case op::log: return floating_unary<op::log>(l);
    case op::log1p: return floating_unary<op::log1p>(l);
    case op::sqrt: return floating_unary<op::sqrt>(l);
    case op::rsqrt: return floating_unary<op::rsqrt>(l);
    case op::reciprocal: return floating_unary<op::reciprocal>(l);
    case op::sin: return floating_unary<op::sin>(l);
    case op::cos: return floating_unary<op::cos>(l);
    case op::tanh: return floating_unary<op::tanh>(l);
    case op::sigmoid: return floating_unary<op::sigmoid>(l);
    case op::erf: return floating_unary<op::erf>(l);
    case op::is_finite: return floating_unary<op::is_finite>(l);
    case op::is_nan: return floating_unary<op::is_nan>(l);
    case op::logical_not: return l == lane::mask ? unary_loop<i32, elementwise<op::logical_not>> : nullptr;
    default: return nullptr;
  }
}

template <op Code, class T> step_loop binary_of(form a, form b) {
  using F = elementwise<Code>;
  if constexpr (std::is_floating_point_v<T> &&
                (Code == op::add || Code == op::sub || Code == op::mul || Code == op::div ||
                 Code == op::minimum || Code == op::maximum)) {
    if (b == form::each_row) return row_loop<T, false, F>;
    if (a == form::each_row) return row_loop<T, true, F>;
  }
  if (a == form::each_row || b == form::each_row) return nullptr;
  if (a == form::one) return binary_loop<T, form::one, form::many, F>;
  if (b == form::one) return binary_loop<T, form::many, form::one, F>;
  return binary_loop<T, form::many, form::many, F>;
}
template <op Code> step_loop floating_binary(lane l, form a, form b) {
  if (l == lane::f32) return binary_of<Code, float>(a, b);
  if (l == lane::f64) return binary_of<Code, double>(a, b);
  return nullptr;
}
template <op Code> step_loop number_binary(lane l, form a, form b) {
  if (l == lane::i32) return binary_of<Code, i32>(a, b);
  if (l == lane::i64) return binary_of<Code, i64>(a, b);
  return floating_binary<Code>(l, a, b);
}

// No loop is given for forms that the operation lacks, either: such an operand is expanded.
[[nodiscard]] inline step_loop binary_for(op code, lane l, form a, form b) {
  lane same = l == lane::mask ? lane::i32 : l;
  switch (code) {
    case op::add: return number_binary<op::add>(l, a, b);
    case op::sub: return number_binary<op::sub>(l, a, b);
    case op::mul: return number_binary<op::mul>(l, a, b);
    case op::div: return floating_binary<op::div>(l, a, b);
    case op::pow: return floating_binary<op::pow>(l, a, b);
    case op::minimum: return number_binary<op::minimum>(l, a, b);
    case op::maximum: return number_binary<op::maximum>(l, a, b);
    case op::less: return number_binary<op::less>(l, a, b);
    case op::less_equal: return number_binary<op::less_equal>(l, a, b);
    case op::equal: return number_binary<op::equal>(same, a, b);
    case op::not_equal: return number_binary<op::not_equal>(same, a, b);
    case op::logical_and: return l == lane::mask ? binary_of<op::logical_and, i32>(a, b) : nullptr;
    case op::logical_or: return l == lane::mask ? binary_of<op::logical_or, i32>(a, b) : nullptr;
    default: return nullptr;
  }
}

template <class T> step_loop where_of(form a, form b) {
  if (a == form::one && b == form::one) return where_loop<T, form::one, form::one>;
  if (a == form::one) return where_loop<T, form::one, form::many>;
  if (b == form::one) return where_loop<T, form::many, form::one>;
  return where_loop<T, form::many, form::many>;
}
[[nodiscard]] inline step_loop where_for(lane l, form a, form b) {
  return bytes_of(l) == 4 ? where_of<i32>(a, b) : where_of<i64>(a, b);
}

[[nodiscard]] inline step_loop expand_for(lane l, level from) {
  if (bytes_of(l) == 4) return from == level::row ? expand_loop<i32, true> : expand_loop<i32, false>;
  return from == level::row ? expand_loop<i64, true> : expand_loop<i64, false>;
}

template <class From> step_loop cast_from(lane to) {
  constexpr bool boolean = std::is_same_v<From, boolean_lane>;
  using Store = std::conditional_t<boolean, i32, From>;
  switch (to) {
    case lane::f32: return cast_loop<Store, float, cast_lanes<From, float>>;
    case lane::f64: return cast_loop<Store, double, cast_lanes<From, double>>;
    case lane::i32: return cast_loop<Store, i32, cast_lanes<From, i32>>;
    case lane::i64: return cast_loop<Store, i64, cast_lanes<From, i64>>;
    case lane::mask:
      if constexpr (boolean)
        return nullptr;
      else
        return cast_loop<Store, i32, cast_lanes<From, boolean_lane>>;
  }
  return nullptr;
}
[[nodiscard]] inline step_loop cast_for(lane from, lane to) {
  switch (from) {
    case lane::f32: return cast_from<float>(to);
    case lane::f64: return cast_from<double>(to);
    case lane::i32: return cast_from<i32>(to);
    case lane::i64: return cast_from<i64>(to);
    case lane::mask: return cast_from<boolean_lane>(to);
  }
  return nullptr;
}
[[nodiscard]] inline step_loop round_for(dtype half) {
  return half == dtype::bf16 ? cast_loop<float, float, round_lanes<bf16>>
                             : cast_loop<float, float, round_lanes<f16>>;
}
[[nodiscard]] inline step_loop cast_u8_for(bool from_floating) {
  return from_floating ? cast_loop<i32, i32, cast_u8<true>> : cast_loop<i32, i32, cast_u8<false>>;
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
