// What the vector registers of one machine can do that the language's operators cannot say.
#pragma once
#include <flame/base/config.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// The instruction set is part of the name of everything compiled for it (an inline namespace), so that files
// built with different -march flags link into one program and each runs its own code.
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define FLAME_HOST_ISA avx512
#define FLAME_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define FLAME_HOST_ISA avx2
#define FLAME_VECTOR_BYTES 32
#elif defined(__FMA__)
#define FLAME_HOST_ISA fma3
#define FLAME_VECTOR_BYTES 16
#elif defined(__SSE4_1__)
#define FLAME_HOST_ISA sse4
#define FLAME_VECTOR_BYTES 16
#elif defined(__aarch64__)
#define FLAME_HOST_ISA neon
#define FLAME_VECTOR_BYTES 16
#else
#define FLAME_HOST_ISA plain
#define FLAME_VECTOR_BYTES 16
#endif

// Each function here also exists in simd.hpp as a template for every vector; these overloads, being no
// templates, are preferred to it where they exist.
namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace simd {

#if defined(__FMA__) || defined(__aarch64__)
inline constexpr bool has_fma = true;
#else
inline constexpr bool has_fma = false;
#endif

template <class T, int N> struct vector_type { typedef T type __attribute__((vector_size(N * sizeof(T)))); };
template <class T> inline constexpr int lanes = FLAME_VECTOR_BYTES / static_cast<int>(sizeof(T));

// N numbers of type T. Operators work lane by lane, a scalar operand is repeated; a comparison gives a vector
// of integers of the same width, all ones where it holds.
template <class T, int N = lanes<T>> using vec = typename vector_type<T, N>::type;

#if FLAME_VECTOR_BYTES == 64

using f32x16 = vec<float, 16>;
using f64x8 = vec<double, 8>;

FLAME_INLINE f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  return (f32x16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
FLAME_INLINE f64x8 fma(f64x8 a, f64x8 b, f64x8 c) {
  return (f64x8)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
// Masked forms with a full mask: the plain ones read an undefined value and warn (GCC bug 105593).
FLAME_INLINE f32x16 sqrt(f32x16 x) { return (f32x16)_mm512_maskz_sqrt_ps(0xffff, (__m512)x); }
FLAME_INLINE f64x8 sqrt(f64x8 x) { return (f64x8)_mm512_maskz_sqrt_pd(0xff, (__m512d)x); }
FLAME_INLINE f32x16 floor(f32x16 x) { return (f32x16)_mm512_maskz_roundscale_ps(0xffff, (__m512)x, 9); }
FLAME_INLINE f64x8 floor(f64x8 x) { return (f64x8)_mm512_maskz_roundscale_pd(0xff, (__m512d)x, 9); }
FLAME_INLINE f32x16 scale(f32x16 x, f32x16 n) {
  return (f32x16)_mm512_maskz_scalef_ps(0xffff, (__m512)x, (__m512)n);
}
FLAME_INLINE f64x8 scale(f64x8 x, f64x8 n) {
  return (f64x8)_mm512_maskz_scalef_pd(0xff, (__m512d)x, (__m512d)n);
}
// x = m 2^k, m in [0.75, 1.5): k = -infinity for 0, infinity for infinity; m = NaN for negative x and for
// NaN.
FLAME_INLINE void split(f32x16 x, f32x16& k, f32x16& m) {
  __m512 mantissa = _mm512_maskz_getmant_ps(0xffff, (__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  k = (f32x16)_mm512_maskz_getexp_ps(0xffff, (__m512)x);
  m = (f32x16)mantissa;
  k = m < 1.0f ? k + 1.0f : k;
}
FLAME_INLINE void split(f64x8 x, f64x8& k, f64x8& m) {
  __m512d mantissa = _mm512_maskz_getmant_pd(0xff, (__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  k = (f64x8)_mm512_maskz_getexp_pd(0xff, (__m512d)x);
  m = (f64x8)mantissa;
  k = m < 1.0 ? k + 1.0 : k;
}
FLAME_INLINE bool any(vec<i32, 16> mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
FLAME_INLINE bool any(vec<i64, 8> mask) { return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0; }
FLAME_INLINE vec<u64, 8> multiply_low_words(vec<u64, 8> a, vec<u64, 8> b) {
  return (vec<u64, 8>)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
}
FLAME_INLINE f32x16 load_first(const float* p, int n, f32x16 rest) {
  return (f32x16)_mm512_mask_loadu_ps((__m512)rest, static_cast<__mmask16>((1u << n) - 1u), p);
}
FLAME_INLINE f64x8 load_first(const double* p, int n, f64x8 rest) {
  return (f64x8)_mm512_mask_loadu_pd((__m512d)rest, static_cast<__mmask8>((1u << n) - 1u), p);
}
FLAME_INLINE void store_first(float* p, int n, f32x16 v) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), (__m512)v);
}
FLAME_INLINE void store_first(double* p, int n, f64x8 v) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), (__m512d)v);
}

#endif
#if FLAME_VECTOR_BYTES >= 32

using f32x8 = vec<float, 8>;
using f64x4 = vec<double, 4>;

FLAME_INLINE f32x8 fma(f32x8 a, f32x8 b, f32x8 c) {
  return (f32x8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
FLAME_INLINE f64x4 fma(f64x4 a, f64x4 b, f64x4 c) {
  return (f64x4)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
FLAME_INLINE f32x8 sqrt(f32x8 x) { return (f32x8)_mm256_sqrt_ps((__m256)x); }
FLAME_INLINE f64x4 sqrt(f64x4 x) { return (f64x4)_mm256_sqrt_pd((__m256d)x); }
FLAME_INLINE f32x8 floor(f32x8 x) { return (f32x8)_mm256_floor_ps((__m256)x); }
FLAME_INLINE f64x4 floor(f64x4 x) { return (f64x4)_mm256_floor_pd((__m256d)x); }
FLAME_INLINE bool any(vec<i32, 8> mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
FLAME_INLINE bool any(vec<i64, 4> mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }
FLAME_INLINE vec<u64, 4> multiply_low_words(vec<u64, 4> a, vec<u64, 4> b) {
  return (vec<u64, 4>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}

#endif

using f32x4 = vec<float, 4>;
using f64x2 = vec<double, 2>;

#if defined(__x86_64__)

#if defined(__FMA__)
FLAME_INLINE f32x4 fma(f32x4 a, f32x4 b, f32x4 c) {
  return (f32x4)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
}
FLAME_INLINE f64x2 fma(f64x2 a, f64x2 b, f64x2 c) {
  return (f64x2)_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)c);
}
#endif
#if defined(__SSE4_1__)
FLAME_INLINE f32x4 floor(f32x4 x) { return (f32x4)_mm_floor_ps((__m128)x); }
FLAME_INLINE f64x2 floor(f64x2 x) { return (f64x2)_mm_floor_pd((__m128d)x); }
#endif
FLAME_INLINE f32x4 sqrt(f32x4 x) { return (f32x4)_mm_sqrt_ps((__m128)x); }
FLAME_INLINE f64x2 sqrt(f64x2 x) { return (f64x2)_mm_sqrt_pd((__m128d)x); }
FLAME_INLINE bool any(vec<i32, 4> mask) { return _mm_movemask_ps((__m128)mask) != 0; }
FLAME_INLINE bool any(vec<i64, 2> mask) { return _mm_movemask_pd((__m128d)mask) != 0; }
FLAME_INLINE vec<u64, 2> multiply_low_words(vec<u64, 2> a, vec<u64, 2> b) {
  return (vec<u64, 2>)_mm_mul_epu32((__m128i)a, (__m128i)b);
}

#elif defined(__aarch64__)

FLAME_INLINE f32x4 fma(f32x4 a, f32x4 b, f32x4 c) {
  return (f32x4)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
FLAME_INLINE f64x2 fma(f64x2 a, f64x2 b, f64x2 c) {
  return (f64x2)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
FLAME_INLINE f32x4 sqrt(f32x4 x) { return (f32x4)vsqrtq_f32((float32x4_t)x); }
FLAME_INLINE f64x2 sqrt(f64x2 x) { return (f64x2)vsqrtq_f64((float64x2_t)x); }
FLAME_INLINE f32x4 floor(f32x4 x) { return (f32x4)vrndmq_f32((float32x4_t)x); }
FLAME_INLINE f64x2 floor(f64x2 x) { return (f64x2)vrndmq_f64((float64x2_t)x); }
FLAME_INLINE bool any(vec<i32, 4> mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
FLAME_INLINE bool any(vec<i64, 2> mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
FLAME_INLINE vec<u64, 2> multiply_low_words(vec<u64, 2> a, vec<u64, 2> b) {
  return (vec<u64, 2>)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
}

#endif

}  // namespace simd
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
