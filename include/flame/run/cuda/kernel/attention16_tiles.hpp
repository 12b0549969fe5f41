// Tiles of attention on tensor cores: how rows of bf16 and f16 come to shared memory, which instructions
// multiply them, and what is made of a score.
#pragma once
#include <flame/run/cuda/kernel/attention_place.hpp>
#include <flame/run/cuda/kernel/product16.hpp>

namespace flame::kernel {

#if defined(__CUDACC__)

FLAME_DEVICE void load_matrices(u32 (&to)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
FLAME_DEVICE void load_turned_matrices(u32 (&to)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
FLAME_DEVICE float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// Two numbers as a word of 16-bit ones, low in the lower half.
template <int Element> FLAME_DEVICE u32 packed(float low, float high) {
  u32 word;
  if constexpr (Element == 2)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

// Tiles of rows in shared memory, [row][Dims + 8], and the pieces of them that instructions multiply.
template <int Element, int Dims, int Vector, int Kind> struct attention16 {
  static constexpr int threads = 128, pitch = Dims + 8, steps = Dims / 16, columns = Dims / 8;

  const attention_place<Kind>& p;
  int lane, warp;

  FLAME_DEVICE explicit attention16(const attention_place<Kind>& place)
      : p(place), lane(static_cast<int>(threadIdx.x) % 32), warp(static_cast<int>(threadIdx.x) / 32) {}

  FLAME_DEVICE i64 row_offset(int tensor, bool queries, int row) const {
    return queries ? p.query(tensor, row) : p.key(tensor, row);
  }
  // Begins to fetch Rows rows from `from` on; zeros beyond the tensor.
  template <int Rows> FLAME_DEVICE void load(u16* to, int tensor, i64 start, bool queries, int from) const {
    constexpr int across = Dims / Vector;
    const int rows = queries ? p.a.queries : p.a.keys;
    const u16* memory = static_cast<const u16*>(p.memory.at[tensor]) + start;
#pragma unroll
    for (int i = static_cast<int>(threadIdx.x); i < Rows * across; i += threads) {
      const int row = i / across, d = i % across * Vector;
      const bool inside = from + row < rows && d < p.a.dims;
      const u16* at = memory + (inside ? row_offset(tensor, queries, from + row) + d : 0);
      fetch<2 * Vector>(shared_address(to + row * pitch + d), at, inside);
    }
  }
  // Rows first, first + 1, ... of a tile, 16 by 16, as an instruction's first operand.
  FLAME_DEVICE void rows(u32 (&to)[4], const u16* tile, int first, int dim, int line = pitch) const {
    load_matrices(to, shared_address(tile + (first + lane % 16) * line + dim + lane / 16 * 8));
  }
  // Two times 8 rows as columns of its second operand, 16 dims deep.
  FLAME_DEVICE void as_columns(u32 (&to)[4], const u16* tile, int first, int dim) const {
    load_matrices(to,
                  shared_address(tile + (first + lane / 16 * 8 + lane % 8) * pitch + dim + lane / 8 % 2 * 8));
  }
  // 16 rows deep, two times 8 dims as columns.
  FLAME_DEVICE void as_depth(u32 (&to)[4], const u16* tile, int first, int dim) const {
    load_turned_matrices(to, shared_address(tile + (first + lane % 16) * pitch + dim + lane / 16 * 8));
  }
  // sums[j] += the warp's 16 rows, held, times columns 8 j, 8 j + 1, ...: rows of a tile, over all dims.
  template <int Columns>
  FLAME_DEVICE void over_dims(float (&sums)[Columns / 8][4], const u32 (&held)[steps][4],
                              const u16* tile) const {
#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int j = 0; j < Columns / 8; j += 2) {
        u32 b[4];
        as_columns(b, tile, j * 8, s * 16);
        multiply_add<Element>(sums[j], held[s], {b[0], b[1]});
        multiply_add<Element>(sums[j + 1], held[s], {b[2], b[3]});
      }
  }
  // sums += weights [16, Depth] times a tile's first Depth rows.
  template <int Depth>
  FLAME_DEVICE void over_rows(float (&sums)[columns][4], const float (&weights)[Depth / 8][4],
                              const u16* tile) const {
#pragma unroll
    for (int s = 0; s < Depth / 16; ++s) {
      const u32 a[4] = {packed<Element>(weights[2 * s][0], weights[2 * s][1]),
                        packed<Element>(weights[2 * s][2], weights[2 * s][3]),
                        packed<Element>(weights[2 * s + 1][0], weights[2 * s + 1][1]),
                        packed<Element>(weights[2 * s + 1][2], weights[2 * s + 1][3])};
      depth_step(sums, a, tile, s * 16);
    }
  }
  FLAME_DEVICE void depth_step(float (&sums)[columns][4], const u32 (&a)[4], const u16* tile,
                               int first) const {
#pragma unroll
    for (int j = 0; j < columns; j += 2) {
      u32 b[4];
      as_depth(b, tile, first, j * 8);
      multiply_add<Element>(sums[j], a, {b[0], b[1]});
      multiply_add<Element>(sums[j + 1], a, {b[2], b[3]});
    }
  }
  // The warp's 16 rows of a result, from row `from` on; share: what rows lane / 4 and 8 more are multiplied
  // by.
  FLAME_DEVICE void store(const float (&sums)[columns][4], int tensor, i64 start, bool queries, int from,
                          float low, float high) const {
    const int rows = queries ? p.a.queries : p.a.keys;
    u16* memory = static_cast<u16*>(p.memory.at[tensor]) + start;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = from + lane / 4 + h * 8;
      if (row >= rows) continue;
      u16* at = memory + row_offset(tensor, queries, row);
      const float share = h ? high : low;
#pragma unroll
      for (int j = 0; j < columns; ++j) {
        const int d = j * 8 + lane % 4 * 2;
        if (d < p.a.dims)
          *reinterpret_cast<u32*>(at + d) =
              packed<Element>(sums[j][2 * h] * share, sums[j][2 * h + 1] * share);
      }
    }
  }
};

inline constexpr float log2_of_e = 1.4426950408889634f, ln_of_2 = 0.6931471805599453f;

// Of one score: its weight P, and from it and dP the slope dS.
template <int Element, int Kind> struct attention16_slope {
  const attention_place<Kind>& p;
  i64 mask;
  bool plain;  // nothing is hidden

  FLAME_DEVICE void operator()(float& weight, float& slope, float sum, float delta, int row, int key,
                               int position) const {
    const float hidden = hidden_score<float>(), scale = static_cast<float>(p.a.scale);
    const float score = plain ? weight * scale : masked_score<Element>(p, weight, mask, row, key, position);
    weight = sum == hidden || score == hidden ? 0 : power_of_2((score - sum) * log2_of_e);
    slope = weight * (slope - delta) * scale;
  }
};

#endif

}  // namespace flame::kernel
