// The elementary functions of the host backend: of short vectors, and of arrays.
#pragma once
#include <flame/base/config.hpp>
#include <flame/run/host/math_erf.hpp>
#include <flame/run/host/math_exp.hpp>
#include <flame/run/host/math_log.hpp>
#include <flame/run/host/math_pow.hpp>
#include <flame/run/host/math_trig.hpp>
#include <flame/run/host/simd.hpp>

// Errors stay below these, in units in the last place, with every instruction set (tests/run/math.cpp; f32
// swept over every 61st bit pattern, every 257th without a fused multiply-add; f64 sampled):
//   f32  1.0 log log1p pow, 1.3 exp erf, 1.7 expm1 sin cos tanh rsqrt, 2 sigmoid
//   f64  1.0 log log1p pow, 1.3 exp erf, 1.7 expm1 sin cos rsqrt, 2 sigmoid, 2.5 tanh
// sqrt, reciprocal and floor are exact. Special values are C99's: infinities, NaN, subnormals and -0
// included. All machines with a fused multiply-add give the same bits (beyond sin_limit, as far as their libm
// does), and so do all compilers and -ffp-contract settings. -ffast-math and other rounding modes are not
// supported.
namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

using simd::floor;
using simd::sqrt;

// -0 gives -infinity, as 1 / sqrt(x) does.
template <floating_vector V> FLAME_INLINE V rsqrt(V x) { return 1 / simd::sqrt(x); }
template <floating_vector V> FLAME_INLINE V reciprocal(V x) { return 1 / x; }

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels

// y[i] = f(x[i]) for i < n; y may be x; no alignment needed. An element's result depends on its value alone,
// not on where it lies or how many there are: the last lanes go through the same code as all others.
namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace array {

template <class T, class F> FLAME_INLINE void map(const T* x, T* y, int n, F f) {
  using V = simd::vec<T>;
  constexpr int step = simd::lanes<T>;
  for (int i = 0; i < n; i += step) {
    int left = n - i;
    bool full = left >= step;
    V v = full ? simd::load<V>(x + i) : simd::load_first(x + i, left, simd::splat<V>(1));
    v = f(v);
    if (full)
      simd::store(y + i, v);
    else
      simd::store_first(y + i, left, v);
  }
}

#define FLAME_HOST_ARRAY_FUNCTION(name)                                                      \
  FLAME_NOINLINE inline void name(const float* x, float* y, int n) {                         \
    map(                                                                                     \
        x, y, n, [](simd::f32v v) __attribute__((always_inline)) { return math::name(v); }); \
  }                                                                                          \
  FLAME_NOINLINE inline void name(const double* x, double* y, int n) {                       \
    map(                                                                                     \
        x, y, n, [](simd::f64v v) __attribute__((always_inline)) { return math::name(v); }); \
  }

FLAME_HOST_ARRAY_FUNCTION(exp)
FLAME_HOST_ARRAY_FUNCTION(expm1)
FLAME_HOST_ARRAY_FUNCTION(log)
FLAME_HOST_ARRAY_FUNCTION(log1p)
FLAME_HOST_ARRAY_FUNCTION(sin)
FLAME_HOST_ARRAY_FUNCTION(cos)
FLAME_HOST_ARRAY_FUNCTION(tanh)
FLAME_HOST_ARRAY_FUNCTION(sigmoid)
FLAME_HOST_ARRAY_FUNCTION(erf)
FLAME_HOST_ARRAY_FUNCTION(sqrt)
FLAME_HOST_ARRAY_FUNCTION(rsqrt)
FLAME_HOST_ARRAY_FUNCTION(reciprocal)
FLAME_HOST_ARRAY_FUNCTION(floor)
#undef FLAME_HOST_ARRAY_FUNCTION

// out[i] = pow(x[i], y[i]); out may be x or y.
template <class T> FLAME_NOINLINE void pow(const T* x, const T* y, T* out, int n) {
  using V = simd::vec<T>;
  constexpr int step = simd::lanes<T>;
  for (int i = 0; i < n; i += step) {
    int left = n - i;
    bool full = left >= step;
    V a = full ? simd::load<V>(x + i) : simd::load_first(x + i, left, simd::splat<V>(1));
    V b = full ? simd::load<V>(y + i) : simd::load_first(y + i, left, simd::splat<V>(1));
    a = math::pow(a, b);
    if (full)
      simd::store(out + i, a);
    else
      simd::store_first(out + i, left, a);
  }
}

}  // namespace array
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
