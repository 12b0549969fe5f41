// erf of short vectors.
#pragma once
#include <flame/run/host/math_exp.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

// Below 1: x + x P(x^2). Above: 1 - erfc |x|, where in f32 log erfc is a polynomial in |x|, and in f64
// e^(x^2) erfc is one in (|x| - 3) / (|x| + 3).
template <floating_vector V> FLAME_INLINE V erf(V x) {
  if constexpr (sizeof(element_of<V>) == 4) {
    V a = simd::min(splat<V>(4), abs(x)), z = a * a, n, r, low;
    V small = simd::fma(x,
                        polynomial(z, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f, -0x1.b7f71ap-6f,
                                   0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fep-14f),
                        x);
    reduce_ln2(polynomial(a, -0x1.66243ap-12f, -0x1.2088e8p+0f, -0x1.46baf8p-1f, -0x1.a652d6p-4f,
                          0x1.65ca7cp-6f, -0x1.8258a2p-9f, 0x1.86d894p-13f),
               n, r, low);
    V s = power_of_two(n), large = simd::fma(-s, simd::fma(r * r, exp_tail(r), r), 1 - s);
    return select(a < 1, small, flip(large, sign_bit(x)));
  } else {
    V a = simd::min(splat<V>(6), abs(x)), z = a * a, n, r, low;
    V small = simd::fma(x,
                        polynomial(z, 0x1.06eba8214db68p-3, -0x1.812746b03799dp-2, 0x1.ce2f21a03f8bbp-4,
                                   -0x1.b82ce311a98b9p-6, 0x1.565bcceedc223p-8, -0x1.c02daeb725213p-11,
                                   0x1.f9a296ae3a63cp-14, -0x1.f4c82da820a2fp-17, 0x1.b96b3bb25dbbfp-20,
                                   -0x1.5b8b4b41d1a21p-23, 0x1.d3d1bf17cf7bbp-27, -0x1.a20bb71c4fca1p-31),
                        x);
    V t = (a - 3) / (a + 3);
    V scaled =
        polynomial(t, 0x1.6e9827d229d2dp-3, -0x1.4e102b9cf8e6ap-2, 0x1.f6ff2040dc4fap-3,
                   -0x1.336ffbf09957ep-3, 0x1.258b13c26558ep-4, -0x1.8fa5843bfac09p-6, 0x1.17c9e48e528dcp-8,
                   0x1.735d26b0aad1cp-11, -0x1.37ed9028cca5fp-11, 0x1.a5ffdf6b6a4a4p-15,
                   0x1.2cde6b1c23af4p-14, -0x1.ab0dbe84483d2p-18, -0x1.b7eaa77ba32c9p-18);
    reduce_ln2(-z, n, r, low);
    V s = power_of_two(n), e = simd::fma(s, simd::fma(r * r, exp_tail(r), r), s);
    V large = simd::fma(-e, scaled, splat<V>(1));
    return select(a < 1, small, flip(large, sign_bit(x)));
  }
}

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
