// log and log1p of short vectors.
#pragma once
#include <flame/run/host/math_exp.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

// k ln 2 + log(1 + f), f in [-0.25, 0.5). f32: f - f^2 / 2 + f^3 P(f). f64: with s = f / (2 + f),
// log(1 + f) = 2 s + s R(s^2) = f - (f^2 / 2 - s (f^2 / 2 + R)), the form of fdlibm's log.
template <floating_vector V> FLAME_INLINE V log_sum(V k, V f) {
  using N = natural<element_of<V>>;
  V low = k * N::ln2_low;
  if constexpr (sizeof(element_of<V>) == 4) {
    V p = polynomial(f, 0x1.5555a4p-2f, -0x1.00002cp-2f, 0x1.9968c6p-3f, -0x1.54f5acp-3f, 0x1.28a0e4p-3f,
                     -0x1.0d6852p-3f, 0x1.aaa4c6p-4f, -0x1.6d8728p-5f);
    V tail = simd::fma(f * f, simd::fma(f, p, splat<V>(-0.5f)), low);
    return simd::fma(k, splat<V>(N::ln2_high), f + tail);
  } else {
    V s = f / (2 + f), z = s * s, half = 0.5 * f;
    V p =
        polynomial(z, 0x1.555555555554fp-1, 0x1.999999999c187p-2, 0x1.24924921e32e4p-2, 0x1.c71c7490db821p-3,
                   0x1.745c4a959812ep-3, 0x1.3b35c9fc15972p-3, 0x1.0dcaf89421d11p-3, 0x1.1b85c76c25394p-3);
    V tail = simd::fma(-half, f, simd::fma(s, simd::fma(z, p, half * f), low));
    return simd::fma(k, splat<V>(N::ln2_high), f + tail);
  }
}

// log(0) = -infinity; NaN below 0.
template <floating_vector V> FLAME_INLINE V log(V x) {
  V k, m;
  split(x, k, m);
  return log_sum(k, m - 1);
}

// log(u) with u = 1 + x rounded, and what rounding took from it put back into f.
template <floating_vector V> FLAME_INLINE V log1p(V x) {
  using T = element_of<V>;
  using F = format<T>;
  V u = 1 + x, b = u - 1, lost = (1 - (u - b)) + (x - b), k, m;
  split(u, k, m);
  V f = simd::fma(lost, power_of_two(-simd::min(splat<V>(F::bias - 1), k)), m - 1);
  V y = log_sum(k, f);
  y = select(x < F::infinity, y, x);
  y = select(x == -1, splat<V>(-F::infinity), y);
  y = select(x < -1, splat<V>(F::nan), y);
  return select(x == 0, x, y);  // -0
}

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
