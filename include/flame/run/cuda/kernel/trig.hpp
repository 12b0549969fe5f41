// sin and cos of f32 and f64 for kernels, for numbers of any size, in registers alone: CUDA's own reduce
// large numbers in an array of the stack. The polynomials by pi / 2 are the host's (run/host/math_trig.hpp).
#pragma once
#include <flame/base/config.hpp>

namespace flame::kernel {

// The bits of 2 / pi, behind 64 zeros.
static __constant__ const u64 two_over_pi[20] = {
    0x0000000000000000ull, 0xa2f9836e4e441529ull, 0xfc2757d1f534ddc0ull, 0xdb6295993c439041ull,
    0xfe5163abdebbc561ull, 0xb7246e3a424dd2e0ull, 0x06492eea09d1921cull, 0xfe1deb1cb129a73eull,
    0xe88235f52ebb4484ull, 0xe99c7026b45f7e41ull, 0x3991d639835339f4ull, 0x9c845f8bbdf9283bull,
    0x1ff897ffde05980full, 0xef2f118b5a0a6d1full, 0x6d367ecf27cb09b7ull, 0x4f463f669e5fea2dull,
    0x7527bac7ebe5f17bull, 0x3d0739f78a5292eaull, 0x6bfb5fb11f8d5d08ull, 0x56033046fc7b6babull};

// x = n pi / 2 + r, |r| <= pi / 4, for 2^-2 <= |x|, infinities and NaN giving NaN; the low bits of `quadrant`
// are n's. Of 2 / pi only the bits count whose product with x is below 4 and above what rounding takes
// (Payne, Hanek, "Radian reduction for trigonometric functions", 1983): 192 of them, in fixed point.
__device__ __forceinline__ double reduce_large(double x, u32& quadrant) {
  const u64 bits = static_cast<u64>(__double_as_longlong(x));
  const u32 exponent = static_cast<u32>(bits >> 52) & 0x7ff;
  const u64 m = (bits & 0xfffffffffffffull) | u64{1} << 52;  // |x| = m 2^(exponent - 1075)
  const u32 first = exponent - 1075 - 1 + 63;                // of the bits that count
  const u32 word = exponent == 0x7ff ? 0 : first >> 6, shift = first & 63;
  auto window = [&](u32 i) {
    return two_over_pi[word + i] << shift | two_over_pi[word + i + 1] >> 1 >> (63 - shift);
  };
  const u64 w1 = window(1), w2 = window(2);
  // The product as a multiple of 2^-126, modulo 4.
  u64 low = m * w1, high = m * window(0) + __umul64hi(m, w1);
  const u64 more = __umul64hi(m, w2);
  low += more;
  high += low < more ? 1 : 0;
  const u32 n = static_cast<u32>((high + (u64{1} << 61)) >> 62);
  high -= u64{n} << 62;
  const bool negative = static_cast<i64>(high) < 0;
  if (negative) high = ~high + (low == 0 ? 1 : 0), low = ~low + 1;
  double r = ::fma(static_cast<double>(low), 0x1p-126, static_cast<double>(high) * 0x1p-62);
  r *= 0x1.921fb54442d18p+0;
  const bool flipped = static_cast<i64>(bits) < 0;
  quadrant = flipped ? 0 - n : n;
  return exponent == 0x7ff ? x - x : negative != flipped ? -r : r;
}

// sin (Quarters 0) or cos (1) of x up to `most_quick`: beyond it n would outgrow the sum of parts that is pi
// or pi / 2. f32 is reduced by pi, to r + r z P(z) of |r| <= pi / 2 with the sign of n, for there are as few
// coefficients as by pi / 2 and nothing to choose from: at most 1.75 units in the last place off. f64 by pi /
// 2, to sine_in.
template <class T> inline constexpr T most_quick = sizeof(T) == 4 ? T(1e5) : T(1e6);

template <u32 Quarters> __device__ __forceinline__ float quick_sine(float x) {
  float t, n;
  u32 odd;
  if constexpr (Quarters == 0) {
    t = ::fmaf(x, 0x1.45f306p-2f, 0x1.8p+23f), n = t - 0x1.8p+23f;
    odd = __float_as_uint(t);
  } else {
    t = ::fmaf(x, 0x1.45f306p-2f, -0.5f) + 0x1.8p+23f, n = (t - 0x1.8p+23f) + 0.5f;
    odd = __float_as_uint(t) + 1;
  }
  float r = ::fmaf(n, -0x1.921fb6p+1f, x);
  r = ::fmaf(n, 0x1.777a5cp-24f, r);
  r = ::fmaf(n, 0x1.ee59dap-49f, r);
  const float z = r * r;
  float p = 0x1.5dbce8p-19f;
  p = ::fmaf(p, z, -0x1.9f6feep-13f);
  p = ::fmaf(p, z, 0x1.110ed4p-7f);
  p = ::fmaf(p, z, -0x1.55554cp-3f);
  const float y = __uint_as_float(__float_as_uint(::fmaf(r * z, p, r)) ^ odd << 31);
  return Quarters == 0 && x == 0.0f ? x : y;  // -0
}

// sin(r + quadrant pi / 2), |r| <= pi / 4: r + r z S(z) or 1 + z C(z), z = r^2.
__device__ __forceinline__ float sine_in(float r, u32 quadrant) {
  const bool even = (quadrant & 1) == 0;
  const float z = r * r, base = even ? r : 1.0f;
  float p = even ? 0x1.7b5872p-19f : 0x1.99de6ap-16f;
  p = ::fmaf(p, z, even ? -0x1.a056a2p-13f : -0x1.6c0c14p-10f);
  p = ::fmaf(p, z, even ? 0x1.111172p-7f : 0x1.55554ap-5f);
  p = ::fmaf(p, z, even ? -0x1.555556p-3f : -0.5f);
  const float y = ::fmaf(base * z, p, base);
  return quadrant & 2 ? -y : y;
}
__device__ __forceinline__ double sine_in(double r, u32 quadrant) {
  const bool even = (quadrant & 1) == 0;
  const double z = r * r, base = even ? r : 1.0;
  double p = even ? -0x1.a120896161129p-41 : -0x1.8f8b7644e993ap-37;
  p = ::fma(p, z, even ? 0x1.610bc9c629fd1p-33 : 0x1.1ee9a7ab36107p-29);
  p = ::fma(p, z, even ? -0x1.ae642f16d459fp-26 : -0x1.27e4f7a4ef9edp-22);
  p = ::fma(p, z, even ? 0x1.71de3a355fe6bp-19 : 0x1.a01a019c24eebp-16);
  p = ::fma(p, z, even ? -0x1.a01a019fff4a5p-13 : -0x1.6c16c16c14bcfp-10);
  p = ::fma(p, z, even ? 0x1.111111111106cp-7 : 0x1.5555555555549p-5);
  p = ::fma(p, z, even ? -0x1.5555555555555p-3 : -0.5);
  const double y = ::fma(base * z, p, base);
  return quadrant & 2 ? -y : y;
}
template <u32 Quarters> __device__ __forceinline__ double quick_sine(double x) {
  const double t = ::fma(x, 0x1.45f306dc9c883p-1, 0x1.8p+52), n = t - 0x1.8p+52;
  double r = ::fma(n, -0x1.921fb54442d18p+0, x);
  r = ::fma(n, -0x1.1a62633145c07p-54, r);
  r = ::fma(n, 0x1.f1976b7ed8fbcp-110, r);
  const double y = sine_in(r, static_cast<u32>(__double_as_longlong(t)) + Quarters);
  return Quarters == 0 && x == 0.0 ? x : y;
}
template <u32 Quarters, class T> __device__ __forceinline__ T slow_sine(T x) {
  u32 quadrant;
  const T r = static_cast<T>(reduce_large(static_cast<double>(x), quadrant));
  return sine_in(r, quadrant + Quarters);
}

// sin or cos of N numbers of any size. Those of a thread wait for each other only where one is large, and
// then one copy of that code takes them in turn.
template <u32 Quarters, int N, class T> __device__ __forceinline__ void sines(const T (&x)[N], T (&y)[N]) {
  bool quick = true;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    y[i] = quick_sine<Quarters>(x[i]);
    quick = quick && ::fabs(x[i]) <= most_quick<T>;
  }
  if (quick) return;
#pragma unroll 1
  for (int i = 0; i < N; ++i) {
    T at = x[0];
#pragma unroll
    for (int k = 1; k < N; ++k) at = k == i ? x[k] : at;
    if (::fabs(at) <= most_quick<T>) continue;
    at = slow_sine<Quarters>(at);
#pragma unroll
    for (int k = 0; k < N; ++k) y[k] = k == i ? at : y[k];
  }
}
template <u32 Quarters, class T> __device__ __forceinline__ T sine_of(T x) {
  const T from[1] = {x};
  T to[1];
  sines<Quarters>(from, to);
  return to[0];
}
template <class T> __device__ __forceinline__ T sine(T x) { return sine_of<0>(x); }
template <class T> __device__ __forceinline__ T cosine(T x) { return sine_of<1>(x); }

}  // namespace flame::kernel
