// sin and cos of short vectors.
#pragma once
#include <flame/run/host/math_exp.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

// pi / 2 as a sum of parts. With a fused multiply-add each part may be a full number: x - n pi / 2 loses
// nothing by steps. Without, n times all parts but the last must be exact: 33 bits each in f64, and f32 goes
// through f64.
template <class T, bool Fused> struct half_pi;
template <> struct half_pi<float, true> {
  static constexpr float high = 0x1.921fb6p+0f, middle = -0x1.777a5cp-25f, low = -0x1.ee59dap-50f;
};
template <> struct half_pi<double, true> {
  static constexpr double high = 0x1.921fb54442d18p+0, middle = 0x1.1a62633145c07p-54,
                          low = -0x1.f1976b7ed8fbcp-110;
};
template <> struct half_pi<double, false> {
  static constexpr double high = 0x1.921fb544p+0, middle = 0x1.0b4611a6p-34, low = 0x1.3198a2e037073p-69;
};

// Beyond these, libm: n would outgrow the exactness above.
template <class T> inline constexpr T sin_limit = sizeof(T) == 4 ? T(1e5) : T(1e6);

// x = n pi / 2 + r, |r| <= pi / 4 and a little more; the low bits of `quadrant` are n's.
template <floating_vector V> FLAME_INLINE void reduce_half_pi(V x, V& r, unsigned_of<V>& quadrant) {
  using T = element_of<V>;
  if constexpr (sizeof(T) == 4 && !has_fma) {
    using D = rebind<half_of<V>, double>;
    D low, high;
    unsigned_of<D> quadrant_low, quadrant_high;
    reduce_half_pi<D>(convert<double>(low_half(x)), low, quadrant_low);
    reduce_half_pi<D>(convert<double>(high_half(x)), high, quadrant_high);
    r = join(convert<float>(low), convert<float>(high));
    quadrant = join(convert<u32>(quadrant_low), convert<u32>(quadrant_high));
  } else {
    using P = half_pi<T, has_fma>;
    constexpr T rounder = format<T>::rounder, inverse = static_cast<T>(0x1.45f306dc9c883p-1);
    V t = simd::fma(x, splat<V>(inverse), splat<V>(rounder)), n = t - rounder;
    r = simd::fma(n, splat<V>(-P::high), x);
    r = simd::fma(n, splat<V>(-P::middle), r);
    r = simd::fma(n, splat<V>(-P::low), r);
    quadrant = as<unsigned_of<V>>(t);
  }
}

// sin(r + quadrant pi / 2): of sin r = r + r z S(z) and cos r = 1 + z C(z), z = r^2, the one or the other, by
// choosing coefficients lane by lane.
template <floating_vector V> FLAME_INLINE V sin_of_quadrant(V r, unsigned_of<V> quadrant) {
  using T = element_of<V>;
  auto even = (quadrant & 1) == 0;
  auto either = [even](T s, T c) { return select(even, splat<V>(s), splat<V>(c)); };
  V z = r * r, base = select(even, r, splat<V>(1)), p;
  if constexpr (sizeof(T) == 4) {
    p = either(0x1.7b5872p-19f, 0x1.99de6ap-16f);
    p = simd::fma(p, z, either(-0x1.a056a2p-13f, -0x1.6c0c14p-10f));
    p = simd::fma(p, z, either(0x1.111172p-7f, 0x1.55554ap-5f));
    p = simd::fma(p, z, either(-0x1.555556p-3f, -0.5f));
  } else {
    p = either(-0x1.a120896161129p-41, -0x1.8f8b7644e993ap-37);
    p = simd::fma(p, z, either(0x1.610bc9c629fd1p-33, 0x1.1ee9a7ab36107p-29));
    p = simd::fma(p, z, either(-0x1.ae642f16d459fp-26, -0x1.27e4f7a4ef9edp-22));
    p = simd::fma(p, z, either(0x1.71de3a355fe6bp-19, 0x1.a01a019c24eebp-16));
    p = simd::fma(p, z, either(-0x1.a01a019fff4a5p-13, -0x1.6c16c16c14bcfp-10));
    p = simd::fma(p, z, either(0x1.111111111106cp-7, 0x1.5555555555549p-5));
    p = simd::fma(p, z, either(-0x1.5555555555555p-3, -0.5));
  }
  return flip(simd::fma(base * z, p, base), (quadrant & 2) << (8 * sizeof(T) - 2));
}

// y = f(x) by libm in the lanes that the reduction cannot take, infinities and NaN among them.
template <class T, bool Sine> FLAME_NOINLINE void trig_of_large(const T* x, T* y, int n) {
  for (int i = 0; i < n; ++i) {
    if (x[i] <= sin_limit<T> && x[i] >= -sin_limit<T>) continue;
    if constexpr (sizeof(T) == 4)
      y[i] = Sine ? __builtin_sinf(x[i]) : __builtin_cosf(x[i]);
    else
      y[i] = Sine ? __builtin_sin(x[i]) : __builtin_cos(x[i]);
  }
}

template <bool Sine, floating_vector V> FLAME_INLINE V trig(V x) {
  using T = element_of<V>;
  V r;
  unsigned_of<V> quadrant;
  reduce_half_pi(x, r, quadrant);
  r = sin_of_quadrant<V>(r, Sine ? quadrant : quadrant + 1);
  if constexpr (Sine) r = select(x == 0, x, r);  // -0
  if (any(~(abs(x) <= sin_limit<T>))) [[unlikely]] {
    T in[lane_count<V>], out[lane_count<V>];
    store(in, x);
    store(out, r);
    trig_of_large<T, Sine>(in, out, lane_count<V>);
    r = load<V>(out);
  }
  return r;
}

// NaN of an infinity.
template <floating_vector V> FLAME_INLINE V sin(V x) { return trig<true>(x); }
template <floating_vector V> FLAME_INLINE V cos(V x) { return trig<false>(x); }

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
