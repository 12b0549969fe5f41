// Philox4x32-10, the counter-based generator behind every random tensor, and what its words mean as numbers.
#pragma once
#include <flame/base/config.hpp>

// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
//
// Element i of a random tensor is a function of (key, i) alone. With block(c) = philox(key, c), four words:
//   uniform f32  uniform01(block(i / 4).word[i % 4])
//   uniform f64  uniform01(low, high) of words 2j and 2j + 1 of block(i / 2), where j = i % 2
//   normal  f32  box_muller(a, b) of words 2j and 2j + 1 of block(i / 4), where j = i % 4 / 2: the first of
//                the pair where i is even, the second where it is odd
//   normal  f64  box_muller(w0, w1, w2, w3) of block(i / 2): the first where i is even, else the second
// Half types are drawn as f32 and rounded.
namespace flame {

struct philox_block {
  u32 word[4] = {};

  friend FLAME_HOST_DEVICE constexpr bool operator==(const philox_block& a, const philox_block& b) {
    return a.word[0] == b.word[0] && a.word[1] == b.word[1] && a.word[2] == b.word[2] &&
           a.word[3] == b.word[3];
  }
};

inline constexpr u32 philox_multiplier_0 = 0xd2511f53u, philox_multiplier_1 = 0xcd9e8d57u;
inline constexpr u32 philox_weyl_0 = 0x9e3779b9u, philox_weyl_1 = 0xbb67ae85u;  // golden ratio; sqrt(3) - 1
inline constexpr int philox_rounds = 10;

// The generator as published: four counter words, two key words, four random words.
[[nodiscard]] FLAME_HOST_DEVICE constexpr philox_block philox4x32(philox_block counter, u32 key0, u32 key1) {
  for (int round = 0; round < philox_rounds; ++round) {
    u64 p = u64{philox_multiplier_0} * counter.word[0], q = u64{philox_multiplier_1} * counter.word[2];
    counter = {{static_cast<u32>(q >> 32) ^ counter.word[1] ^ key0, static_cast<u32>(q),
                static_cast<u32>(p >> 32) ^ counter.word[3] ^ key1, static_cast<u32>(p)}};
    key0 += philox_weyl_0;
    key1 += philox_weyl_1;
  }
  return counter;
}

// Block `counter` of the stream `key`: key words (low, high) of the key, counter words (low, high, 0, 0).
[[nodiscard]] FLAME_HOST_DEVICE constexpr philox_block philox(u64 key, u64 counter) {
  return philox4x32({{static_cast<u32>(counter), static_cast<u32>(counter >> 32), 0, 0}},
                    static_cast<u32>(key), static_cast<u32>(key >> 32));
}

// A new key for (key, data). Third counter word "fold": no draw of the parent's stream has it, so a child's
// key is never a number that the parent draws.
[[nodiscard]] FLAME_HOST_DEVICE constexpr u64 fold(u64 key, u64 data) {
  philox_block b = philox4x32({{static_cast<u32>(data), static_cast<u32>(data >> 32), 0x666f6c64u, 0}},
                              static_cast<u32>(key), static_cast<u32>(key >> 32));
  return u64{b.word[1]} << 32 | b.word[0];
}

// The 24 upper bits, in [0, 1).
[[nodiscard]] FLAME_HOST_DEVICE constexpr float uniform01(u32 word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

// The 53 upper bits of high:low, in [0, 1).
[[nodiscard]] FLAME_HOST_DEVICE constexpr double uniform01(u32 low, u32 high) {
  return static_cast<double>((u64{high} << 32 | low) >> 11) * 0x1p-53;
}

template <class T> struct normal_pair { T first, second; };

// Two standard normals, r cos t and r sin t, with r = sqrt(-2 log u) and t = 2 pi uniform01(angle) (Box,
// Muller 1958). u = (radius + 1/2) / 2^32 in (0, 1], rounded to f32: all 32 bits, so that tails reach 6.7,
// not 5.8. The host's arrays and CUDA's kernels use their own log, sqrt, sin and cos: equal to rounding, not
// in bits.
[[nodiscard]] FLAME_HOST_DEVICE inline normal_pair<float> box_muller(u32 radius, u32 angle) {
  float u =
      static_cast<float>(radius) * 0x1p-32f + 0x1p-33f;  // the product is exact: contraction changes nothing
  float t = 6.2831853f * uniform01(angle);
#if defined(__CUDA_ARCH__)
  float r = sqrtf(-2.0f * logf(u));
  return {r * cosf(t), r * sinf(t)};
#else
  float r = __builtin_sqrtf(-2.0f * __builtin_logf(u));
  return {r * __builtin_cosf(t), r * __builtin_sinf(t)};
#endif
}

// The same in f64: u = uniform01(w0, w1) + 2^-53 in (0, 1], t = 2 pi uniform01(w2, w3).
[[nodiscard]] FLAME_HOST_DEVICE inline normal_pair<double> box_muller(u32 w0, u32 w1, u32 w2, u32 w3) {
  double u = uniform01(w0, w1) + 0x1p-53;
  double t = 6.283185307179586 * uniform01(w2, w3);
#if defined(__CUDA_ARCH__)
  double r = ::sqrt(-2.0 * ::log(u));
  return {r * ::cos(t), r * ::sin(t)};
#else
  double r = __builtin_sqrt(-2.0 * __builtin_log(u));
  return {r * __builtin_cos(t), r * __builtin_sin(t)};
#endif
}

// Element i of the normal tensor of `key`: the definition above, one element at a time.
template <class T> [[nodiscard]] FLAME_HOST_DEVICE T normal_element(u64 key, u64 i) {
  if constexpr (sizeof(T) == 4) {
    philox_block b = philox(key, i / 4);
    normal_pair<T> pair = i & 2 ? box_muller(b.word[2], b.word[3]) : box_muller(b.word[0], b.word[1]);
    return i & 1 ? pair.second : pair.first;
  } else {
    philox_block b = philox(key, i / 2);
    normal_pair<T> pair = box_muller(b.word[0], b.word[1], b.word[2], b.word[3]);
    return i & 1 ? pair.second : pair.first;
  }
}

// Element i of the uniform tensor of `key`.
template <class T> [[nodiscard]] FLAME_HOST_DEVICE constexpr T uniform_element(u64 key, u64 i) {
  if constexpr (sizeof(T) == 4) {
    return uniform01(philox(key, i / 4).word[i % 4]);
  } else {
    philox_block b = philox(key, i / 2);
    return i & 1 ? uniform01(b.word[2], b.word[3]) : uniform01(b.word[0], b.word[1]);
  }
}

}  // namespace flame
