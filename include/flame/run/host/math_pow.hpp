// pow of short vectors.
#pragma once
#include <flame/run/host/math_exp.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

// high + low, the rounded result and what rounding took.
template <class V> struct two { V high, low; };

// |a| >= |b|, or a = 0.
template <floating_vector V> FLAME_INLINE two<V> add_exact(V a, V b) {
  V s = a + b;
  return {s, b - (s - a)};
}

// The low part by a fused multiply-add, or by splitting both factors in halves (Dekker 1971).
template <floating_vector V> FLAME_INLINE two<V> multiply_exact(V a, V b) {
  static_assert(sizeof(element_of<V>) == 8);
  V p = a * b;
  if constexpr (has_fma) {
    return {p, simd::fma(a, b, -p)};
  } else {
    constexpr double splitter = 0x1p27 + 1;
    V x = a * splitter, y = b * splitter, a1 = x - (x - a), b1 = y - (y - b), a2 = a - a1, b2 = b - b1;
    return {p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2};
  }
}

// |x|^y in f64 for f32: 2^(y log2 |x|), good to 2^-34.
template <floating_vector D> FLAME_INLINE D pow_through_f64(D x, D y) {
  D k, m;
  split(x, k, m);
  D f = m - 1, s = f / (f + 2), z = s * s;
  D p = polynomial(z, 0x1.555555592157ap-1, 0x1.99998f2e4727fp-2, 0x1.2496eb9a9417fp-2, 0x1.c551a8fa366efp-3,
                   0x1.9c337580d3b3ep-3);
  D log2 = simd::fma(simd::fma(s * z, p, s + s), splat<D>(natural<double>::log2_e), k);
  D e = clamp(y * log2, -1000, 1000), n = (e + format<double>::rounder) - format<double>::rounder, r = e - n;
  D q = polynomial(r, 1.0, 0x1.62e42fef7a79ap-1, 0x1.ebfbdff7c5b93p-3, 0x1.c6b08defbfb83p-5,
                   0x1.3b2ab7f384becp-7, 0x1.5d8729790bd73p-10, 0x1.4306c17a98052p-13, 0x1.00ee04fd206efp-16,
                   0x1.6634128d7cd7ep-20);
  return q * power_of_two(n);
}

// |x|^y in f64: y log |x| in two numbers, then exp. log m = 2 s + s^3 (2/3 + s^2 P(s^2)), s = (m - 1) / (m +
// 1), of which all but P is kept in two numbers, so that the exponent is good to 2^-62 of itself.
template <floating_vector V> FLAME_INLINE V pow_in_two(V x, V y) {
  using N = natural<double>;
  constexpr double third = 0x1.5555555555555p-1, third_low = 0x1.5555555555555p-55;  // 2/3
  V k, m;
  split(x, k, m);
  V f = m - 1, d = m + 1, d_low = m - (d - 1), inverse = 1 / d;
  V s = f * inverse;
  two<V> sd = multiply_exact(s, d);
  V s_low = simd::fma(-s, d_low, (f - sd.high) - sd.low) * inverse;
  two<V> z = multiply_exact(s, s), cube = multiply_exact(z.high, s);
  V z_low = simd::fma(s + s, s_low, z.low),
    cube_low = simd::fma(z.high, s_low, simd::fma(z_low, s, cube.low));
  V p = polynomial(z.high, 0.0, 0x1.9999999999967p-2, 0x1.2492492498f14p-2, 0x1.c71c71bc4f147p-3,
                   0x1.745d1bd13e480p-3, 0x1.3b12964082d0cp-3, 0x1.113a552ab9b0bp-3, 0x1.dac9467304d0bp-4,
                   0x1.0193904520244p-3);
  two<V> c = add_exact(splat<V>(third), p);
  two<V> t = multiply_exact(cube.high, c.high);
  V t_low = simd::fma(cube.high, c.low + third_low, simd::fma(cube_low, c.high, t.low));
  two<V> log_m = add_exact(s + s, t.high), sum = add_exact(k * N::ln2_high, log_m.high);
  V rest = simd::fma(k, splat<V>(N::ln2_low), log_m.low + simd::fma(splat<V>(2), s_low, t_low));
  two<V> log_x = add_exact(sum.high, sum.low + rest);
  log_x.high = select(abs(k) < 2000, log_x.high, k);  // infinite for 0 and infinity
  V bounded = clamp(y, -0x1p64, 0x1p64);  // no finite result lies beyond, and products stay finite
  two<V> e = multiply_exact(bounded, log_x.high);
  V e_low = simd::fma(bounded, log_x.low, e.low);
  return exp(e.high, select(abs(e.high) < 1000, e_low, V{}));  // of an infinity the low part is NaN
}

// As C99's pow: pow(x, 0) = pow(1, y) = 1 even for NaN, NaN for negative x and y not whole, signed zeros and
// infinities for odd y.
template <floating_vector V> FLAME_INLINE V pow(V x, V y) {
  using T = element_of<V>;
  using F = format<T>;
  V a = abs(x), r;
  if constexpr (sizeof(T) == 4) {
    using D = rebind<half_of<V>, double>;
    D low = pow_through_f64<D>(convert<double>(low_half(a)), convert<double>(low_half(y)));
    D high = pow_through_f64<D>(convert<double>(high_half(a)), convert<double>(high_half(y)));
    r = join(convert<float>(low), convert<float>(high));
  } else {
    r = pow_in_two(a, y);
  }
  V half = y * T(0.5);
  auto whole = floor(y) == y, odd = whole & (floor(half) != half);
  r = select(a == 1, splat<V>(1), r);  // (-1)^infinity too
  r = flip(r, as<unsigned_of<V>>(odd) & sign_bit(x));
  r = select((x < 0) & (x > -F::infinity) & ~whole, splat<V>(F::nan), r);
  r = select((x != x) | (y != y), x + y, r);
  return select((x == 1) | (y == 0), splat<V>(1), r);
}

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
