// Random numbers of a group: Philox in vectors, many blocks at a time. Numbers are defined in
// base/philox.hpp.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/run/host/group_memory.hpp>
#include <flame/run/host/math.hpp>

namespace flame::host::inline FLAME_HOST_ISA::tiles {

// Words of the blocks `counter`, the low half of each lane; the high half holds nothing of use.
struct philox_words {
  u64v word[4];

  FLAME_INLINE philox_words(u64 key, u64v counter) {
    u32 key0 = static_cast<u32>(key), key1 = static_cast<u32>(key >> 32);
    u64v a = counter, b = counter >> 32, c{}, d{};
    for (int round = 0; round < philox_rounds; ++round) {
      u64v p = multiply_low_words(a, splat<u64v>(philox_multiplier_0));
      u64v q = multiply_low_words(c, splat<u64v>(philox_multiplier_1));
      a = (q >> 32) ^ b ^ u64 { key0 };
      b = q;
      c = (p >> 32) ^ d ^ u64 { key1 };
      d = p;
      key0 += philox_weyl_0;
      key1 += philox_weyl_1;
    }
    word[0] = a, word[1] = b, word[2] = c, word[3] = d;
  }
  // word[high]:word[low], 64 bits.
  FLAME_INLINE u64v pair(int low, int high) const { return (word[low] & 0xffffffffu) | (word[high] << 32); }
};

// a0 b0 a1 b1 ..., in two vectors.
template <any_vector V> FLAME_INLINE void interleave(V a, V b, V& low, V& high) {
  constexpr int n = lane_count<V>;
  [&]<int... I>(std::integer_sequence<int, I...>) {
    low = __builtin_shufflevector(a, b, (I / 2 + I % 2 * n)...);
    high = __builtin_shufflevector(a, b, (n / 2 + I / 2 + I % 2 * n)...);
  }
  (std::make_integer_sequence<int, n>{});
}

// How many numbers one block of four words gives.
template <class T> inline constexpr int per_block = 16 / static_cast<int>(sizeof(T));
template <class T> inline constexpr int per_draw = per_block<T>* lanes<u64>;

FLAME_INLINE f32v uniform01(u32v word) { return convert<float>(as<i32v>(word >> 8)) * 0x1p-24f; }
FLAME_INLINE f64v uniform01(u64v words) { return convert<double>(as<i64v>(words >> 11)) * 0x1p-53; }

// Number i of the blocks, where f32v c holds the first cosine of each block, then the second of each, and s
// the sines.
[[nodiscard]] constexpr int normal_lane(int i) {
  return i / 4 + i / 2 % 2 * lanes<u64> + i % 2 * lanes<float>;
}

// All numbers of the blocks, per_draw<T> of them.
template <class T, bool Normal> FLAME_INLINE void draw(u64 key, u64v blocks, T* to) {
  philox_words w(key, blocks);
  constexpr int half = lanes<u64>;
  if constexpr (!Normal) {
    u64v low, high;
    interleave(w.pair(0, 1), w.pair(2, 3), low, high);
    if constexpr (sizeof(T) == 4) {
      store(to, uniform01(as<u32v>(low)));
      store(to + 2 * half, uniform01(as<u32v>(high)));
    } else {
      store(to, uniform01(low));
      store(to + half, uniform01(high));
    }
  } else if constexpr (sizeof(T) == 4) {
    auto words = [&](int i, int j) __attribute__((always_inline)) {  // word i of all blocks, then word j
      return join(__builtin_convertvector(w.word[i], rebind<u64v, u32>),
                  __builtin_convertvector(w.word[j], rebind<u64v, u32>));
    };
    f32v u = convert<float>(words(0, 2)) * 0x1p-32f + 0x1p-33f, angle = 6.2831853f * uniform01(words(1, 3));
    f32v r = simd::sqrt(-2.0f * math::log(u)), c = r * math::cos(angle), s = r * math::sin(angle);
    [&]<int... I>(std::integer_sequence<int, I...>) {
      constexpr int n = 2 * half;
      store(to, __builtin_shufflevector(c, s, normal_lane(I)...));
      store(to + n, __builtin_shufflevector(c, s, normal_lane(I + n)...));
    }
    (std::make_integer_sequence<int, 2 * half>{});
  } else {
    f64v u = uniform01(w.pair(0, 1)) + 0x1p-53, angle = 6.283185307179586 * uniform01(w.pair(2, 3));
    f64v r = simd::sqrt(-2.0 * math::log(u)), low, high;
    interleave(r * math::cos(angle), r * math::sin(angle), low, high);
    store(to, low);
    store(to + half, high);
  }
}

// Numbers first, first + 1, ... of the tensor. An element's bits do not depend on where a run begins.
template <class T, bool Normal> FLAME_NOINLINE void draw_run(u64 key, i64 first, T* to, i64 n) {
  constexpr i64 width = per_draw<T>;
  i64 skip = first % per_block<T>;  // numbers of the first block that come before
  u64v blocks = splat<u64v>(static_cast<u64>(first / per_block<T>)) + lane_index<u64v>();
  for (i64 at = -skip; at < n; at += width, blocks += lanes<u64>) {
    if (at >= 0 && at + width <= n) {
      draw<T, Normal>(key, blocks, to + at);
    } else {
      T all[width];
      draw<T, Normal>(key, blocks, all);
      for (i64 i = at < 0 ? -at : 0; i < width && at + i < n; ++i) to[at + i] = all[i];
    }
  }
}

// Numbers first, first + stride, ...
template <class T, bool Normal, class Index>
FLAME_NOINLINE void draw_each(u64 key, T* to, i64 n, Index index) {
  for (i64 i = 0; i < n; i += lanes<u64>) {
    u64v at{};
    for (int k = 0; k < lanes<u64>; ++k)
      if (i + k < n) at[k] = static_cast<u64>(index(i + k));
    T all[per_draw<T>];
    draw<T, Normal>(key, at / static_cast<u64>(per_block<T>), all);
    for (int k = 0; k < lanes<u64>; ++k)
      if (i + k < n) to[i + k] = all[k * per_block<T> + static_cast<int>(at[k] % per_block<T>)];
  }
}

// a: the key. The numbers' positions are those of the index slot.
template <class T, bool Normal> void random_slot_loop(const step& s, const tile& t) {
  u64 key = static_cast<u64>(*t.at<i64>(s.a));
  T* to = t.at<T>(s.result);
  i64 pitch = t.columns;
  each_block(s, t, [&](const block& b) {
    bool run = is_run(b, pitch);
    i64 rows = run ? 1 : b.rows, columns = run ? b.rows * b.columns : b.columns;
    for (i64 r = 0; r < rows; ++r) {
      T* y = to + (b.row + r) * pitch + b.column;
      i64 first = b.at + r * b.row_stride;
      if (b.column_stride == 1)
        draw_run<T, Normal>(key, first, y, columns);
      else
        draw_each<T, Normal>(key, y, columns, [&](i64 c) { return first + c * b.column_stride; });
    }
  });
}

// a: the key, b: positions, i64.
template <class T, bool Normal> void random_loop(const step& s, const tile& t) {
  const i64* index = t.at<i64>(s.b);
  draw_each<T, Normal>(static_cast<u64>(*t.at<i64>(s.a)), t.at<T>(s.result), t.size(s.at),
                       [&](i64 i) { return index[i]; });
}

[[nodiscard]] inline step_loop random_for(op code, lane l, bool by_slot) {
  bool normal = code == op::normal;
  if (l == lane::f32) {
    if (by_slot) return normal ? random_slot_loop<float, true> : random_slot_loop<float, false>;
    return normal ? random_loop<float, true> : random_loop<float, false>;
  }
  if (l == lane::f64) {
    if (by_slot) return normal ? random_slot_loop<double, true> : random_slot_loop<double, false>;
    return normal ? random_loop<double, true> : random_loop<double, false>;
  }
  return nullptr;
}

}  // namespace flame::host::inline FLAME_HOST_ISA::tiles
