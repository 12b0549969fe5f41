// exp, expm1, tanh and sigmoid of short vectors.
#pragma once
#include <flame/run/host/simd.hpp>

// Polynomials are minimax fits; tests/run/math_coefficients.py makes them and prints their errors.
namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

using namespace simd;

// c0 + c1 x + c2 x^2 + ...
template <floating_vector V> FLAME_INLINE V polynomial(V, element_of<V> c) { return splat<V>(c); }
template <floating_vector V, class... C> FLAME_INLINE V polynomial(V x, element_of<V> c, C... rest) {
  return simd::fma(polynomial(x, rest...), x, splat<V>(c));
}

template <class T> struct natural;
template <> struct natural<float> {
  static constexpr float log2_e = 0x1.715476p+0f;
  static constexpr float ln2_high = 0x1.62e4p-1f,
                         ln2_low = 0x1.7f7d1cp-20f;  // high times an exponent is exact
};
template <> struct natural<double> {
  static constexpr double log2_e = 0x1.71547652b82fep+0;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
};

// x = n ln 2 + r + low, n whole, |r| <= ln 2 / 2, for |x| within the exponent's range; low is what rounding
// took from r.
template <floating_vector V> FLAME_INLINE void reduce_ln2(V x, V& n, V& r, V& low) {
  using T = element_of<V>;
  using N = natural<T>;
  constexpr T rounder = format<T>::rounder;
  n = simd::fma(x, splat<V>(N::log2_e), splat<V>(rounder)) - rounder;
  V high = simd::fma(n, splat<V>(-N::ln2_high), x);
  r = simd::fma(n, splat<V>(-N::ln2_low), high);
  low = simd::fma(n, splat<V>(-N::ln2_low), high - r);
}

// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2.
template <floating_vector V> FLAME_INLINE V exp_tail(V r) {
  if constexpr (sizeof(element_of<V>) == 4)
    return polynomial(r, 0x1.fffffcp-2f, 0x1.55548cp-3f, 0x1.55585ap-5f, 0x1.123d72p-7f, 0x1.6ab8e2p-10f);
  else
    return polynomial(r, 0x1.000000000000ap-1, 0x1.55555555554f9p-3, 0x1.55555555507f5p-5,
                      0x1.1111111127e21p-7, 0x1.6c16c18449dd9p-10, 0x1.a01a0129d36cep-13,
                      0x1.a01999b117063p-16, 0x1.71df25eca9dedp-19, 0x1.28adcb41cbd81p-22,
                      0x1.ad7f5da1418e2p-26);
}

// Where e^x is infinite and where it is 0, a little beyond; between them reduction and scaling are safe.
template <class T> inline constexpr T exp_top = sizeof(T) == 4 ? T(89) : T(710);
template <class T> inline constexpr T exp_bottom = sizeof(T) == 4 ? T(-104) : T(-746);

// NaN stays NaN.
template <floating_vector V> FLAME_INLINE V clamp(V x, element_of<V> low, element_of<V> high) {
  return simd::max(splat<V>(low), simd::min(splat<V>(high), x));
}

template <floating_vector V> FLAME_INLINE V exp(V x) {
  using T = element_of<V>;
  using N = natural<T>;
  x = clamp(x, exp_bottom<T>, exp_top<T>);
  V n = simd::fma(x, splat<V>(N::log2_e), splat<V>(format<T>::rounder)) - format<T>::rounder;
  V r = simd::fma(n, splat<V>(-N::ln2_low), simd::fma(n, splat<V>(-N::ln2_high), x));
  return scale(simd::fma(r * r, exp_tail(r), r) + 1, n);
}

// e^(x + more), more at most a few units in the last place of x.
template <floating_vector V> FLAME_INLINE V exp(V x, V more) {
  using T = element_of<V>;
  V n, r, low;
  reduce_ln2(clamp(x, exp_bottom<T>, exp_top<T>), n, r, low);
  low = low + more;
  V sum = r + low;
  low = low - (sum - r);
  return scale(sum + simd::fma(sum * sum, exp_tail(sum), low) + 1, n);
}

// e^x - 1 = 2^n (e^r - 1) + (2^n - 1), by halves so that 2^n stays finite.
template <floating_vector V> FLAME_INLINE V expm1(V x) {
  using T = element_of<V>;
  V n, r, low;
  reduce_ln2(clamp(x, sizeof(T) == 4 ? T(-20) : T(-40), exp_top<T>), n, r, low);
  V half = power_of_two(n - 1);
  V p = r + simd::fma(r * r, exp_tail(r), low);
  V y = 2 * simd::fma(half, p, half - T(0.5));
  return select(x == 0, x, y);  // -0
}

// f32: a polynomial below 0.625, 1 - 2 / (e^2|x| + 1) above. f64: (e^2|x| - 1) / (e^2|x| + 1).
template <floating_vector V> FLAME_INLINE V tanh(V x) {
  using T = element_of<V>;
  if constexpr (sizeof(T) == 4) {
    V a = abs(x), z = a * a, n, r, low;
    reduce_ln2(2 * simd::min(splat<V>(10), a), n, r, low);
    V s = power_of_two(n), e = simd::fma(s, simd::fma(r * r, exp_tail(r), r), s);
    V p = polynomial(z, -0x1.555532p-2f, 0x1.1106f6p-3f, -0x1.b835a4p-5f, 0x1.51f8cep-6f, -0x1.750ce2p-8f);
    V y = select(a < 0.625f, simd::fma(a * z, p, a), 1 - 2 / (e + 1));
    return flip(y, sign_bit(x));
  } else {
    V t = expm1(2 * simd::min(splat<V>(20), abs(x)));
    return flip(t / (t + 2), sign_bit(x));
  }
}

// 1 / (1 + e^-x) from e = e^-|x|, so that both tails keep their relative accuracy: e / (1 + e) or 1 / (1 +
// e), corrected by what rounding took from 1 + e.
template <floating_vector V> FLAME_INLINE V sigmoid(V x) {
  using T = element_of<V>;
  V n, r, low;
  reduce_ln2(simd::max(splat<V>(exp_bottom<T>), -abs(x)), n, r, low);
  V e = scale(r + simd::fma(r * r, exp_tail(r), low) + 1, n), d = 1 + e, lost = e - (d - 1);
  V y = select(x < 0, e, splat<V>(1)) / d, inverse = select(x < 0, 1 - y, y);
  return simd::fma(-y * lost, inverse, y);
}

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
