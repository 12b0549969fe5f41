// sin and cos of short vectors.
#pragma once
#include <flame/run/host/math_exp.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host::inline FLAME_HOST_ISA::math {

// pi as a sum of parts. With a fused multiply-add each part may be a full number: x - n pi loses nothing by
// steps. Without, n times all parts but the last must be exact: 33 bits each in f64, and f32 goes through
// f64.
template <class T, bool Fused> struct pi_parts;
template <> struct pi_parts<float, true> {
  static constexpr float high = 0x1.921fb6p+1f, middle = -0x1.777a5cp-24f, low = -0x1.ee59dap-49f;
};
template <> struct pi_parts<double, true> {
  static constexpr double high = 0x1.921fb54442d18p+1, middle = 0x1.1a62633145c07p-53,
                          low = -0x1.f1976b7ed8fbcp-109;
};
template <> struct pi_parts<double, false> {
  static constexpr double high = 0x1.921fb544p+1, middle = 0x1.0b4611a6p-33, low = 0x1.3198a2e037073p-68;
};

// Beyond these, libm: n would outgrow the exactness above.
template <class T> inline constexpr T sin_limit = sizeof(T) == 4 ? T(1e5) : T(1e6);

// x = n pi + r, |r| <= pi / 2, for n whole (Shift 0) or n whole and a half (Shift 0.5); floor(n) odd in the
// sign bit of `odd`.
template <floating_vector V>
FLAME_INLINE void reduce_pi(V x, element_of<V> shift, V& r, unsigned_of<V>& odd) {
  using T = element_of<V>;
  if constexpr (sizeof(T) == 4 && !has_fma) {
    using D = rebind<half_of<V>, double>;
    D low, high;
    rebind<D, u64> odd_low, odd_high;
    reduce_pi<D>(convert<double>(low_half(x)), shift, low, odd_low);
    reduce_pi<D>(convert<double>(high_half(x)), shift, high, odd_high);
    r = join(convert<float>(low), convert<float>(high));
    odd = join(convert<u32>(odd_low >> 32), convert<u32>(odd_high >> 32));
  } else {
    using P = pi_parts<T, has_fma>;
    constexpr T rounder = format<T>::rounder, inverse_pi = static_cast<T>(0x1.45f306dc9c883p-2);
    V t = simd::fma(x, splat<V>(inverse_pi), splat<V>(-shift)) + rounder;
    V n = (t - rounder) + shift;
    r = simd::fma(n, splat<V>(-P::high), x);
    r = simd::fma(n, splat<V>(-P::middle), r);
    r = simd::fma(n, splat<V>(-P::low), r);
    odd = as<unsigned_of<V>>(t) << (8 * sizeof(T) - 1);
  }
}

// sin r for |r| <= pi / 2 and a little more.
template <floating_vector V> FLAME_INLINE V sin_reduced(V r) {
  V z = r * r, p;
  if constexpr (sizeof(element_of<V>) == 4)
    p = polynomial(z, -0x1.555556p-3f, 0x1.111136p-7f, -0x1.a023ccp-13f, 0x1.72cddcp-19f, -0x1.b6249ep-26f);
  else
    p = polynomial(z, -0x1.5555555555555p-3, 0x1.11111111110cep-7, -0x1.a01a01a01578cp-13,
                   0x1.71de3a5309f8cp-19, -0x1.ae64551aa5a17p-26, 0x1.6123e759bb43fp-33,
                   -0x1.ae4ec06ff11edp-41, 0x1.8abf1a07791d7p-49, -0x1.e8c947f032114p-60);
  return simd::fma(r * z, p, r);
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
  unsigned_of<V> odd;
  if constexpr (Sine) {
    reduce_pi(x, T(0), r, odd);
    r = select(x == 0, x, flip(sin_reduced(r), odd));  // -0
  } else {
    reduce_pi(x, T(0.5), r, odd);
    r = flip(sin_reduced(-r), odd);  // cos((n + 1/2) pi + r) = -(-1)^n sin r
  }
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

}  // namespace flame::host::inline FLAME_HOST_ISA::math
