// Arrays from one element type to another.
#pragma once
#include <algorithm>
#include <cstddef>
#include <flame/base/config.hpp>
#include <flame/run/host/simd.hpp>
#include <flame/type/dtype.hpp>
#include <limits>
#include <type_traits>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace simd {

// bf16 is the upper half of f32. Round to nearest, ties to even; NaN stays NaN: the bits of flame::bf16.
template <any_vector V> FLAME_INLINE rebind<V, float> widen_bf16(V bits) {
  return as<rebind<V, float>>(convert<u32>(bits) << 16);
}
template <floating_vector V> FLAME_INLINE rebind<V, u16> narrow_bf16(V x) {
  using U = unsigned_of<V>;
  U b = as<U>(x), rounded = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
  return convert<u16>(select(x == x, rounded, (b >> 16) | 0x40u));
}

// f16 by bits, where the machine cannot: a half's exponent and mantissa, moved to a float's place, are that
// number times 2^-112, its subnormals included.
template <any_vector V> FLAME_INLINE rebind<V, float> widen_f16(V bits) {
  using I = rebind<V, i32>;
  using F = rebind<V, float>;
  I h = convert<i32>(bits), magnitude = (h & 0x7fff) << 13;
  I y = select(magnitude < (0x7c00 << 13), as<I>(as<F>(magnitude) * 0x1p112f), magnitude | 0x7f800000);
  return as<F>(as<rebind<V, u32>>(y) | (as<rebind<V, u32>>(h & 0x8000) << 16));
}
// Round to nearest, ties to even; subnormals are kept, overflow gives infinity, NaN the one quiet NaN of its
// sign: the bits of flame::f16.
template <floating_vector V> FLAME_INLINE rebind<V, u16> narrow_f16(V x) {
  using I = signed_of<V>;
  I magnitude = as<I>(abs(x)), sign = as<I>(sign_bit(x) >> 16);
  I normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  I small = as<I>(abs(x) + 0.5f) - 0x3f000000;  // 0.5's last place is the subnormals' 2^-24
  I h = select(magnitude < 0x38800000, small, normal);
  h = select(magnitude < 0x477ff000, h, splat<I>(0x7c00));
  h = select(magnitude > 0x7f800000, splat<I>(0x7e00), h);
  return convert<u16>(h | sign);
}

#if defined(__F16C__)
FLAME_INLINE vec<float, 8> widen_f16(vec<u16, 8> bits) {
  return (vec<float, 8>)_mm256_cvtph_ps((__m128i)bits);
}
FLAME_INLINE vec<u16, 8> narrow_f16(vec<float, 8> x) {
  using U = vec<u32, 8>;
  x = x == x ? x : (vec<float, 8>)(((U)x & 0x80000000u) | 0x7fc00000u);
  return (vec<u16, 8>)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#endif
#if FLAME_VECTOR_BYTES == 64
FLAME_INLINE vec<float, 16> widen_f16(vec<u16, 16> bits) {
  return (vec<float, 16>)_mm512_maskz_cvtph_ps(0xffff, (__m256i)bits);
}
FLAME_INLINE vec<u16, 16> narrow_f16(vec<float, 16> x) {
  using U = vec<u32, 16>;
  x = x == x ? x : (vec<float, 16>)(((U)x & 0x80000000u) | 0x7fc00000u);
  return (vec<u16, 16>)_mm512_maskz_cvtps_ph(0xffff, (__m512)x,
                                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#endif

#if defined(__aarch64__)
FLAME_INLINE vec<float, 4> widen_f16(vec<u16, 4> bits) {
  return (vec<float, 4>)vcvt_f32_f16((float16x4_t)bits);
}
FLAME_INLINE vec<u16, 4> narrow_f16(vec<float, 4> x) {
  using U = vec<u32, 4>;
  x = x == x ? x : (vec<float, 4>)(((U)x & 0x80000000u) | 0x7fc00000u);
  return (vec<u16, 4>)vcvt_f16_f32((float32x4_t)x);
}
#endif

// Toward zero; what I cannot hold becomes its nearest end, NaN becomes 0: as CUDA converts.
template <class I, floating_vector V> FLAME_INLINE rebind<V, I> to_integer(V x) {
  using T = element_of<V>;
  constexpr I top = std::numeric_limits<I>::max(), bottom = std::numeric_limits<I>::min();
  constexpr bool exact = std::numeric_limits<I>::digits <= std::numeric_limits<T>::digits;
  // Else the float next below 2^digits.
  constexpr T last = exact ? T(top) : T(top / 2 + 1) * (2 - std::numeric_limits<T>::epsilon());
  V bounded = max(splat<V>(T(bottom)), min(splat<V>(last), select(x == x, x, V{})));
  rebind<V, I> y = convert<I>(bounded);
  if constexpr (!exact) y = select(convert<std::make_signed_t<I>>(x > last), splat<rebind<V, I>>(top), y);
  return y;
}

// What an element type is in memory.
template <class T> struct stored { using type = T; };
template <> struct stored<bf16> { using type = u16; };
template <> struct stored<f16> { using type = u16; };
template <> struct stored<bool> { using type = u8; };
template <class T> using stored_as = typename stored<T>::type;

// One vector of To from one of From. Between half types and anything but f32, by way of f32.
template <class To, class From, any_vector V> FLAME_INLINE rebind<V, stored_as<To>> convert_elements(V v) {
  if constexpr (std::is_same_v<To, From>)
    return v;
  else if constexpr (std::is_same_v<From, bf16>)
    return convert_elements<To, float>(widen_bf16(v));
  else if constexpr (std::is_same_v<From, f16>)
    return convert_elements<To, float>(widen_f16(v));
  else if constexpr (std::is_same_v<To, bf16>)
    return narrow_bf16(convert_elements<float, From>(v));
  else if constexpr (std::is_same_v<To, f16>)
    return narrow_f16(convert_elements<float, From>(v));
  else if constexpr (std::is_same_v<To, bool>)
    return convert<u8>(v != 0) & 1;
  else if constexpr (std::is_floating_point_v<To> && sizeof(V) < 4 * lane_count<V>)
    return convert<To>(convert<i32>(v));  // GCC's way from bytes to floats is slow
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>)
    return to_integer<To>(v);
  else
    return convert<To>(v);
}

}  // namespace simd
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace array {

// y[i] = x[i] as To, for i < n; x and y may be the same memory where the elements are equally wide, else they
// must not overlap. To floating types rounding is to nearest, ties to even (f64 and integers to half types by
// way of f32); to integers toward zero, saturating, NaN to 0; to bool, whether it is not 0 (NaN is not).
template <element To, element From>
requires(!std::is_same_v<To, key> && !std::is_same_v<From, key>) FLAME_NOINLINE
    void convert(const From* x, To* y, i64 n) {
  using from = simd::stored_as<From>;
  using to = simd::stored_as<To>;
  constexpr std::size_t widest = std::max({sizeof(from), sizeof(to), sizeof(float)});
  constexpr int step = FLAME_VECTOR_BYTES / static_cast<int>(widest);
  using V = simd::vec<from, step>;
  using W = simd::vec<to, step>;
  for (i64 i = 0; i < n; i += step) {
    V v{};
    std::size_t count = static_cast<std::size_t>(std::min<i64>(step, n - i));
    if (count == step) [[likely]] {
      __builtin_memcpy(&v, x + i, sizeof(V));
      W w = simd::convert_elements<To, From>(v);
      __builtin_memcpy(static_cast<void*>(y + i), &w, sizeof(W));
    } else {
      __builtin_memcpy(&v, x + i, count * sizeof(from));
      W w = simd::convert_elements<To, From>(v);
      __builtin_memcpy(static_cast<void*>(y + i), &w, count * sizeof(to));
    }
  }
}

}  // namespace array
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
