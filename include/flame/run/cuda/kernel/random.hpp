// Elements of random tensors in kernels: the draws of base/philox.hpp, in registers alone.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/run/cuda/kernel/trig.hpp>

namespace flame::kernel {

// Element i of the uniform tensor of `key`.
template <class T> __device__ __forceinline__ T uniform_element(u64 key, u64 i) {
  if constexpr (sizeof(T) == 4) {
    const philox_block b = philox(key, i / 4);
    const u32 even = i & 2 ? b.word[2] : b.word[0], odd = i & 2 ? b.word[3] : b.word[1];
    return uniform01(i & 1 ? odd : even);
  } else {
    const philox_block b = philox(key, i / 2);
    return i & 1 ? uniform01(b.word[2], b.word[3]) : uniform01(b.word[0], b.word[1]);
  }
}

// cos (first) or sin of 2 pi u, 0 <= u < 1: of a quarter turn, exactly halved, no reduction is left.
__device__ __forceinline__ float of_turn(float u, bool first) {
  const float n = ::rintf(4.0f * u);
  return sine_in((4.0f * u - n) * 0x1.921fb6p+0f, static_cast<u32>(n) + (first ? 1u : 0u));
}
__device__ __forceinline__ double of_turn(double u, bool first) {
  const double n = ::rint(4.0 * u);
  return sine_in((4.0 * u - n) * 0x1.921fb54442d18p+0, static_cast<u32>(n) + (first ? 1u : 0u));
}

// Element i of the normal tensor of `key`: see box_muller.
template <class T> __device__ __forceinline__ T normal_element(u64 key, u64 i) {
  if constexpr (sizeof(T) == 4) {
    const philox_block b = philox(key, i / 4);
    const u32 radius = i & 2 ? b.word[2] : b.word[0], angle = i & 2 ? b.word[3] : b.word[1];
    const float u = static_cast<float>(radius) * 0x1p-32f + 0x1p-33f;
    return ::sqrtf(-2.0f * ::logf(u)) * of_turn(uniform01(angle), (i & 1) == 0);
  } else {
    const philox_block b = philox(key, i / 2);
    const double u = uniform01(b.word[0], b.word[1]) + 0x1p-53;
    return ::sqrt(-2.0 * ::log(u)) * of_turn(uniform01(b.word[2], b.word[3]), (i & 1) == 0);
  }
}

}  // namespace flame::kernel
