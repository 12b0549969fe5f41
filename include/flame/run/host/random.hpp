// Random arrays on the host: Philox several blocks at a time, as base/philox.hpp defines each element.
#pragma once
#include <cstddef>
#include <flame/base/config.hpp>
#include <flame/base/philox.hpp>
#include <flame/run/host/math.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace math {

// The words 0, 1 and the words 2, 3 of as many consecutive blocks as there are lanes, low word first.
struct philox_lanes {
  u64v front, back;
};

FLAME_INLINE philox_lanes philox(u64 key, u64 counter) {
  // A word is the lower half of its lane; what collects in the upper half is never read.
  u64v w0 = splat<u64v>(counter) + lane_index<u64v>(), w1 = w0 >> 32, w2{}, w3{};
  u64v m0 = splat<u64v>(philox_multiplier_0), m1 = splat<u64v>(philox_multiplier_1);
  u32 key0 = static_cast<u32>(key), key1 = static_cast<u32>(key >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    u64v p = multiply_low_words(m0, w0), q = multiply_low_words(m1, w2);
    w0 = (q >> 32) ^ w1 ^ u64 { key0 };
    w1 = q;
    w2 = (p >> 32) ^ w3 ^ u64 { key1 };
    w3 = p;
    key0 += philox_weyl_0;
    key1 += philox_weyl_1;
  }
  constexpr u64 low = 0xffffffffu;
  return {(w0 & low) | (w1 << 32), (w2 & low) | (w3 << 32)};
}

// uniform01 of base/philox.hpp, lane by lane.
FLAME_INLINE f32v uniform01(u32v word) { return convert<float>(as<i32v>(word >> 8)) * 0x1p-24f; }
FLAME_INLINE f64v uniform01(u64v words) {
  // A number of 53 bits from its two halves, each placed in the mantissa of a power of two that is then taken
  // off.
  u64v k = words >> 11;
  f64v high = as<f64v>((k >> 32) | 0x4530000000000000u) - (0x1p84 + 0x1p52);
  return (high + as<f64v>((k & 0xffffffffu) | 0x4330000000000000u)) * 0x1p-53;
}

// box_muller of base/philox.hpp, lane by lane, with this machine's log, sin and cos.
template <floating_vector V> FLAME_INLINE normal_pair<V> box_muller(V u, V t) {
  V r = simd::sqrt(-2 * log(u));
  return {r * cos(t), r * sin(t)};
}

}  // namespace math
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace array {

// Calls step(block, p), which writes the elements of lanes<u64> blocks to p, so that out[i] becomes element
// first + i.
template <class T, class Step> FLAME_INLINE void fill_by_blocks(T* out, i64 first, i64 count, Step step) {
  constexpr i64 in_block = 16 / static_cast<i64>(sizeof(T)), in_step = in_block * simd::lanes<u64>;
  u64 block = static_cast<u64>(first / in_block);
  i64 skip = first % in_block;
  T buffer[static_cast<std::size_t>(in_step)];
  while (count > 0) {
    bool direct = skip == 0 && count >= in_step;
    step(block, direct ? out : buffer);
    i64 taken = in_step - skip < count ? in_step - skip : count;
    if (!direct) __builtin_memcpy(out, buffer + skip, static_cast<unsigned long>(taken) * sizeof(T));
    out += taken;
    count -= taken;
    block += simd::lanes<u64>;
    skip = 0;
  }
}

// out[i] = element first + i of the uniform tensor of `key`, in [0, 1), the same bits as uniform_element<T>.
template <class T> FLAME_NOINLINE void fill_uniform(T* out, i64 first, i64 count, u64 key) {
  fill_by_blocks(
      out, first, count, [key](u64 block, T * p) __attribute__((always_inline)) {
        using V = simd::vec<T>;
        math::philox_lanes b = math::philox(key, block);
        simd::u64v low = simd::interleave_low(b.front, b.back), high = simd::interleave_high(b.front, b.back);
        using bits = simd::unsigned_of<V>;
        simd::store<V>(p, math::uniform01(simd::as<bits>(low)));
        simd::store<V>(p + simd::lanes<T>, math::uniform01(simd::as<bits>(high)));
      });
}

// out[i] = element first + i of the standard normal tensor of `key`: a function of key and index alone,
// within a few units in the last place of normal_element<T>.
template <class T> FLAME_NOINLINE void fill_normal(T* out, i64 first, i64 count, u64 key) {
  fill_by_blocks(
      out, first, count, [key](u64 block, T * p) __attribute__((always_inline)) {
        using V = simd::vec<T>;
        math::philox_lanes b = math::philox(key, block);
        V u, t;
        if constexpr (sizeof(T) == 4) {
          constexpr u64 low = 0xffffffffu;
          simd::u32v radius = simd::as<simd::u32v>((b.front & low) | (b.back << 32));
          simd::u32v angle = simd::as<simd::u32v>((b.front >> 32) | (b.back & ~low));
          u = simd::fma(simd::convert<float>(radius), simd::splat<V>(0x1p-32f), simd::splat<V>(0x1p-33f));
          t = 6.2831853f * math::uniform01(angle);
        } else {
          u = math::uniform01(b.front) + 0x1p-53;
          t = 6.283185307179586 * math::uniform01(b.back);
        }
        normal_pair<V> pair = math::box_muller(u, t);
        simd::store<V>(p, simd::interleave_low(pair.first, pair.second));
        simd::store<V>(p + simd::lanes<T>, simd::interleave_high(pair.first, pair.second));
      });
}

}  // namespace array
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
