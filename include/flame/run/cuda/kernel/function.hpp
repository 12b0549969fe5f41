// The functions of elementwise operations on one element.
#pragma once
#include <flame/run/cuda/kernel/trig.hpp>
#include <flame/run/cuda/kernel/types.hpp>

namespace flame::kernel {

template <class T> inline constexpr bool is_float = false;
template <> inline constexpr bool is_float<float> = true;
template <> inline constexpr bool is_float<double> = true;

template <class T> __device__ __forceinline__ T infinity() {
  if constexpr (sizeof(T) == 4)
    return __int_as_float(0x7f800000);
  else
    return __longlong_as_double(0x7ff0000000000000ll);
}

// ---- Functions ----

// f32 functions without branches, so that the elements of a thread are computed side by side. Errors in units
// in the last place: quotient and root 0.5 but for results or remainders below 2^-126 (then 2);
// error_function 1.5; logistic 2. Infinities, NaN, zeros and subnormals are C99's.
namespace function {

__device__ __forceinline__ float reciprocal_of_normal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float power_of_2(float x) {  // 0 below 2^-126
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// a < 1 ? x : y, both computed: compilers make a jump of what they see.
__device__ __forceinline__ float below_1(float a, float x, float y) {
  float z;
  asm("{ .reg .pred p; setp.lt.f32 p, %1, 0f3F800000; selp.f32 %0, %2, %3, p; }"
      : "=f"(z)
      : "f"(a), "f"(x), "f"(y));
  return z;
}

// An estimate, and its remainder over b. Scaled so that the reciprocal is a normal number.
__device__ __forceinline__ float quotient(float a, float b) {
  const float size = ::fabsf(b), scale = size > 0x1p100f ? 0x1p-64f : size < 0x1p-100f ? 0x1p64f : 1.0f;
  const float r = reciprocal_of_normal(b * scale) * scale, q = a * r, rest = ::fmaf(-b, q, a);
  return ::fabsf(rest) < __int_as_float(0x7f800000) ? ::fmaf(rest, r, q) : q;
}
__device__ __forceinline__ double quotient(double a, double b) { return a / b; }

__device__ __forceinline__ float root(float x) {
  const float r = ::rsqrtf(x), y = x * r, better = ::fmaf(::fmaf(-y, y, x), 0.5f * r, y);
  float z;
  asm("{ .reg .pred p, q; setp.eq.f32 p, %1, 0f00000000; setp.eq.or.f32 q, %1, 0f7F800000, p; selp.f32 %0, "
      "%1, %2, q; }"
      : "=f"(z)
      : "f"(x), "f"(better));
  return z;
}
__device__ __forceinline__ double root(double x) { return ::sqrt(x); }

// Below 1: x + x P(x^2). Above: 1 - 2^Q(|x|), 1 - erf |x| being 2^Q. Coefficients as on the host
// (run/host/math_erf.hpp), those of Q times log2 e.
__device__ __forceinline__ float error_function(float x) {
  float a;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(a) : "f"(::fabsf(x)), "f"(4.0f));
  const float z = a * a;
  float p = 0x1.4771fep-14f;
  p = ::fmaf(p, z, -0x1.a3515ep-11f);
  p = ::fmaf(p, z, 0x1.53f224p-8f);
  p = ::fmaf(p, z, -0x1.b7f71ap-6f);
  p = ::fmaf(p, z, 0x1.ce2ce6p-4f);
  p = ::fmaf(p, z, -0x1.81273ep-2f);
  p = ::fmaf(p, z, 0x1.06eba8p-3f);
  float q = 0x1.19ef9p-12f;
  q = ::fmaf(q, a, -0x1.16b09cp-8f);
  q = ::fmaf(q, a, 0x1.021774p-5f);
  q = ::fmaf(q, a, -0x1.30a45ep-3f);
  q = ::fmaf(q, a, -0x1.d75f4cp-1f);
  q = ::fmaf(q, a, -0x1.a04488p+0f);
  q = ::fmaf(q, a, -0x1.02583p-11f);
  return below_1(a, ::fmaf(x, p, x), ::copysignf(1.0f - power_of_2(q), x));
}
__device__ __forceinline__ double error_function(double x) { return ::erf(x); }

// e^-|x| is at most 1: nothing overflows.
__device__ __forceinline__ float logistic(float x) {
  const float e = ::expf(-::fabsf(x)), d = 1.0f + e, r = reciprocal_of_normal(d);
  return ::fmaf(::fmaf(-d, r, 1.0f), r, r) * (x < 0.0f ? e : 1.0f);
}
__device__ __forceinline__ double logistic(double x) { return 1.0 / (1.0 + ::exp(-x)); }

__device__ __forceinline__ float power(float x, float y) { return ::powf(x, y); }
__device__ __forceinline__ double power(double x, double y) { return ::pow(x, y); }

#define FLAME_BOTH(name, f32_call, f64_call)                          \
  __device__ __forceinline__ float name(float x) { return f32_call; } \
  __device__ __forceinline__ double name(double x) { return f64_call; }
FLAME_BOTH(exponential, ::expf(x), ::exp(x))
FLAME_BOTH(exponential_minus_1, ::expm1f(x), ::expm1(x))
FLAME_BOTH(logarithm, ::logf(x), ::log(x))
FLAME_BOTH(logarithm_of_1_plus, ::log1pf(x), ::log1p(x))
FLAME_BOTH(inverse_root, ::rsqrtf(x), ::rsqrt(x))
FLAME_BOTH(hyperbolic_tangent, ::tanhf(x), ::tanh(x))
FLAME_BOTH(whole_below, ::floorf(x), ::floor(x))
FLAME_BOTH(magnitude, ::fabsf(x), ::fabs(x))
#undef FLAME_BOTH

}  // namespace function

// Where every number that a kernel reads or writes element by element has 16 bits, f32 functions may be off
// by some 2^-20: far below what storing rounds away.
namespace quick {
__device__ __forceinline__ float exponential(float x) { return function::power_of_2(x * 1.44269504f); }
__device__ __forceinline__ float quotient(float a, float b) {
  float y;
  asm("div.full.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
__device__ __forceinline__ float root(float x) {
  float y;
  asm("sqrt.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// As function::logistic.
__device__ __forceinline__ float logistic(float x) {
  const float e = exponential(-::fabsf(x)), r = function::reciprocal_of_normal(1.0f + e);
  return r * (x < 0.0f ? e : 1.0f);
}
__device__ __forceinline__ float hyperbolic_tangent(float x) {
  const float a = ::fabsf(x), e = exponential(-2.0f * a);
  const float large = (1.0f - e) * function::reciprocal_of_normal(1.0f + e), z = x * x;
  const float small = ::fmaf(x * z, ::fmaf(z, 0.13333333f, -0.33333333f), x);
  return a < 0.05f ? small : ::copysignf(large, x);
}
}  // namespace quick

}  // namespace flame::kernel
