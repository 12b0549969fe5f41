// Short vectors: the widest registers of the machine compiled for, through the compilers' vector extension.
#pragma once
#include <flame/base/config.hpp>
#include <flame/run/host/simd_native.hpp>
#include <type_traits>
#include <utility>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace simd {

// ---- Types ----

template <class V> using element_of = std::remove_cvref_t<decltype(std::declval<V&>()[0])>;
template <class V>
concept any_vector = !std::is_class_v<V> && !std::is_pointer_v<V> && !std::is_array_v<V> && requires(V v) {
  requires std::is_arithmetic_v<std::remove_cvref_t<decltype(v[0])>>;
};
template <class V>
concept floating_vector = any_vector<V> && std::is_floating_point_v<element_of<V>>;

template <any_vector V> inline constexpr int lane_count = static_cast<int>(sizeof(V) / sizeof(element_of<V>));

template <int Bytes> struct integers;
template <> struct integers<1> {
  using sign = i8;
  using plain = u8;
};
template <> struct integers<2> {
  using sign = i16;
  using plain = u16;
};
template <> struct integers<4> {
  using sign = i32;
  using plain = u32;
};
template <> struct integers<8> {
  using sign = i64;
  using plain = u64;
};

// As many lanes of another type; the signed and unsigned integers of the same width.
template <class V, class T> using rebind = vec<T, lane_count<V>>;
template <class V> using signed_of = rebind<V, typename integers<sizeof(element_of<V>)>::sign>;
template <class V> using unsigned_of = rebind<V, typename integers<sizeof(element_of<V>)>::plain>;

using f32v = vec<float>;
using f64v = vec<double>;
using i32v = vec<i32>;
using u32v = vec<u32>;
using i64v = vec<i64>;
using u64v = vec<u64>;

// ---- Making, reading, writing ----

// x in every lane. Not V{} + x: that would turn -0 into +0.
template <any_vector V> FLAME_INLINE V splat(element_of<V> x) { return x - V{}; }

// 0, 1, 2, ...
template <any_vector V> FLAME_INLINE V lane_index() {
  return []<int... I>(std::integer_sequence<int, I...>) { return V{static_cast<element_of<V>>(I)...}; }
  (std::make_integer_sequence<int, lane_count<V>>{});
}

// Any alignment.
template <any_vector V> FLAME_INLINE V load(const element_of<V>* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}
template <any_vector V> FLAME_INLINE void store(element_of<V>* p, V v) { __builtin_memcpy(p, &v, sizeof(V)); }

// The first n lanes, 0 < n < lane_count<V>: memory past them is not touched, lanes past them are as in
// `rest`.
template <any_vector V> FLAME_INLINE V load_first(const element_of<V>* p, int n, V rest) {
  for (int i = 0; i < n; ++i) rest[i] = p[i];
  return rest;
}
template <any_vector V> FLAME_INLINE void store_first(element_of<V>* p, int n, V v) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}

template <any_vector V> FLAME_INLINE element_of<V> lane(V v, int i) { return v[i]; }

// ---- Conversion ----

// The same bits as another type of vector of the same size.
template <any_vector To, any_vector From> FLAME_INLINE To as(From v) {
  static_assert(sizeof(To) == sizeof(From));
  return (To)v;
}

// Lane by lane as static_cast; a number that the integer type cannot hold is undefined, as in the language.
// Integers change their width by doublings and halvings: GCC takes longer steps apart into scalars.
template <class T, any_vector V> FLAME_INLINE rebind<V, T> convert(V v) {
  using S = element_of<V>;
  if constexpr (std::is_integral_v<S> && std::is_integral_v<T> && sizeof(T) > 2 * sizeof(S)) {
    using I = integers<2 * sizeof(S)>;
    return convert<T>(
        convert<std::conditional_t<std::is_signed_v<S>, typename I::sign, typename I::plain>>(v));
  } else if constexpr (std::is_integral_v<S> && std::is_integral_v<T> && sizeof(S) > 2 * sizeof(T)) {
    return convert<T>(convert<typename integers<sizeof(S) / 2>::plain>(v));
  } else {
    return __builtin_convertvector(v, rebind<V, T>);
  }
}

template <any_vector V> using half_of = vec<element_of<V>, lane_count<V> / 2>;

// The lanes i / Divide + i % Divide * Apart + From of a followed by b, for i = 0, 1, ....
template <int Divide, int Apart, int From, any_vector V, int... I>
FLAME_INLINE vec<element_of<V>, sizeof...(I)> shuffle(V a, V b, std::integer_sequence<int, I...>) {
#if defined(__CUDACC__)  // nvcc 13.0 loses the expansion of a pack among a builtin's arguments
  vec<element_of<V>, sizeof...(I)> r;
  auto lane_of = [&](int i) { return i < lane_count<V> ? a[i] : b[i - lane_count<V>]; };
  ((r[I] = lane_of(I / Divide + I % Divide * Apart + From)), ...);
  return r;
#else
  return __builtin_shufflevector(a, b, (I / Divide + I % Divide * Apart + From)...);
#endif
}
template <any_vector V> FLAME_INLINE half_of<V> low_half(V v) {
  return shuffle<1, 0, 0>(v, v, std::make_integer_sequence<int, lane_count<V> / 2>{});
}
template <any_vector V> FLAME_INLINE half_of<V> high_half(V v) {
  return shuffle<1, 0, lane_count<V> / 2>(v, v, std::make_integer_sequence<int, lane_count<V> / 2>{});
}
template <any_vector V> FLAME_INLINE vec<element_of<V>, lane_count<V> * 2> join(V low, V high) {
  return shuffle<1, 0, 0>(low, high, std::make_integer_sequence<int, lane_count<V> * 2>{});
}
// a0 b0 a1 b1 ... of the lower halves of a and b, and of the upper.
template <any_vector V> FLAME_INLINE V interleave_low(V a, V b) {
  return shuffle<2, lane_count<V>, 0>(a, b, std::make_integer_sequence<int, lane_count<V>>{});
}
template <any_vector V> FLAME_INLINE V interleave_high(V a, V b) {
  return shuffle<2, lane_count<V>, lane_count<V> / 2>(a, b, std::make_integer_sequence<int, lane_count<V>>{});
}

// ---- Choice ----

// a where the comparison's result `mask` holds, else b.
template <class M, any_vector V> FLAME_INLINE V select(M mask, V a, V b) { return mask ? a : b; }

// The second operand where one is NaN.
template <any_vector V> FLAME_INLINE V min(V a, V b) { return a < b ? a : b; }
template <any_vector V> FLAME_INLINE V max(V a, V b) { return a > b ? a : b; }

// NaN where either operand is.
template <floating_vector V> FLAME_INLINE V minimum(V a, V b) { return a != a ? a : min(a, b); }
template <floating_vector V> FLAME_INLINE V maximum(V a, V b) { return a != a ? a : max(a, b); }

// Whether the comparison's result `mask` holds in any lane.
template <any_vector M> FLAME_INLINE bool any(M mask) {
  if constexpr (std::is_same_v<element_of<M>, long>) {  // GCC's own type of a comparison of doubles
    return any(as<rebind<M, i64>>(mask));
  } else {
    bool found = false;
    for (int i = 0; i < lane_count<M>; ++i) found |= mask[i] != 0;
    return found;
  }
}

// ---- Arithmetic that the operators lack ----

// a * b + c: rounded once where has_fma, else twice. Formulas here use it wherever a product meets a sum, so
// that no -ffp-contract changes a result and every inlined copy gives the same bits.
template <floating_vector V> FLAME_INLINE V fma(V a, V b, V c) { return a * b + c; }

template <floating_vector V> FLAME_INLINE V sqrt(V x) {
  for (int i = 0; i < lane_count<V>; ++i) x[i] = static_cast<element_of<V>>(__builtin_sqrt(x[i]));
  return x;
}

// The low 32 bits of each lane of a and b, multiplied to 64.
template <any_vector V> FLAME_INLINE V multiply_low_words(V a, V b) {
  constexpr u64 low = 0xffffffffu;
  return (a & low) * (b & low);
}

// ---- Bits of floating-point numbers ----

template <class T> struct format;
template <> struct format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr u32 sign = 0x80000000u, rounder_bits = 0x4b400000u;
  static constexpr float infinity = __builtin_inff(), nan = __builtin_nanf(""), smallest_normal = 0x1p-126f;
  static constexpr float whole = 0x1p23f;      // from here on every number is an integer
  static constexpr float rounder = 0x1.8p23f;  // x + rounder has the integer nearest x in its low bits
};
template <> struct format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr u64 sign = 0x8000000000000000u, rounder_bits = 0x4338000000000000u;
  static constexpr double infinity = __builtin_inf(), nan = __builtin_nan(""), smallest_normal = 0x1p-1022;
  static constexpr double whole = 0x1p52;
  static constexpr double rounder = 0x1.8p52;
};

template <floating_vector V> FLAME_INLINE V abs(V x) {
  return as<V>(as<unsigned_of<V>>(x) & ~format<element_of<V>>::sign);
}
template <floating_vector V> FLAME_INLINE unsigned_of<V> sign_bit(V x) {
  return as<unsigned_of<V>>(x) & format<element_of<V>>::sign;
}
template <floating_vector V> FLAME_INLINE V flip(V x, unsigned_of<V> bits) {
  return as<V>(as<unsigned_of<V>>(x) ^ bits);
}
template <floating_vector V> FLAME_INLINE V copysign(V magnitude, V sign) {
  return as<V>(as<unsigned_of<V>>(abs(magnitude)) | sign_bit(sign));
}

template <floating_vector V> FLAME_INLINE V floor(V x) {
  // Rounded to nearest by adding and taking away 2^(mantissa bits), then corrected.
  V whole = splat<V>(format<element_of<V>>::whole), r = copysign((abs(x) + whole) - whole, x);
  r = r - select(r > x, splat<V>(1), V{});
  return select(abs(x) < whole, copysign(r, x), x);
}

// 2^n for whole n of the normal range.
template <floating_vector V> FLAME_INLINE V power_of_two(V n) {
  using F = format<element_of<V>>;
  return as<V>((as<unsigned_of<V>>(n + F::rounder) - (F::rounder_bits - F::bias)) << F::mantissa);
}

// x 2^n for whole n, |n| at most twice the exponent's range: overflows to infinity, underflows by one
// rounding.
template <floating_vector V> FLAME_INLINE V scale(V x, V n) {
  using F = format<element_of<V>>;
  unsigned_of<V> biased = as<unsigned_of<V>>(n + F::rounder) - (F::rounder_bits - 2 * F::bias),
                 half = biased >> 1;
  return x * as<V>(half << F::mantissa) * as<V>((biased - half) << F::mantissa);
}

// x = m 2^k, m in [0.75, 1.5): k = -infinity for 0, infinity for infinity; m = NaN for negative x and for
// NaN.
template <floating_vector V> FLAME_INLINE void split(V x, V& k, V& m) {
  using T = element_of<V>;
  using F = format<T>;
  using U = unsigned_of<V>;
  constexpr auto one = static_cast<element_of<U>>(F::bias) << F::mantissa;
  constexpr auto half_unit = element_of<U>{1} << (F::mantissa - 1);  // carries into the exponent from 1.5 on
  constexpr auto whole_bits = static_cast<element_of<U>>(F::bias + F::mantissa) << F::mantissa;
  auto small = x < F::smallest_normal;
  U bits = as<U>(select(small, x * F::whole, x));
  U exponent = (bits + half_unit) >> F::mantissa;
  k = as<V>(exponent | whole_bits) - (F::whole + F::bias);
  k = select(small, k - F::mantissa, k);
  k = select(x == F::infinity, x, k);
  k = select(x == 0, splat<V>(-F::infinity), k);
  m = as<V>(bits - (exponent << F::mantissa) + one);
  m = select(x == F::infinity, splat<V>(1), m);
  m = select(x >= 0, m, splat<V>(F::nan));
}

// ---- Reductions over the lanes, in one fixed order: halves are combined until one lane is left ----

template <any_vector V, class F> FLAME_INLINE element_of<V> reduce(V v, F combine) {
  if constexpr (lane_count<V> == 2)
    return combine(v[0], v[1]);
  else
    return reduce(combine(low_half(v), high_half(v)), combine);
}
template <any_vector V> FLAME_INLINE element_of<V> sum(V v) {
  return reduce(v, [](auto a, auto b) { return a + b; });
}
// NaN if any lane is.
template <floating_vector V> FLAME_INLINE element_of<V> largest(V v) {
  return reduce(v, [](auto a, auto b) { return a != a ? a : a > b ? a : b; });
}
template <floating_vector V> FLAME_INLINE element_of<V> smallest(V v) {
  return reduce(v, [](auto a, auto b) { return a != a ? a : a < b ? a : b; });
}

}  // namespace simd
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
