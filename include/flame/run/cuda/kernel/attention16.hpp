// Attention of bf16 and f16 on tensor cores: tiles of 64 queries or keys, sums and the softmax in f32 (Dao
// 2023, FlashAttention-2). Dims: of a head, rounded up to 16; Vector: neighbours along dim that are fetched
// at once.
#pragma once
#include <flame/run/cuda/kernel/attention16_tiles.hpp>

namespace flame::kernel {

#if defined(__CUDACC__)

// Blocks: 64 queries of each batch. Keys: of a tile.
template <int Element, int Dims, int Vector, int Keys, int Kind>
FLAME_KERNEL void __launch_bounds__(128, Dims == 16 ? 4 : 0)
    attend16(attention_arguments a, attention_addresses memory) {
  using tiles = attention16<Element, Dims, Vector, Kind>;
  constexpr int tile = Keys * tiles::pitch,
                room = 4 * tile > 64 * tiles::pitch ? 4 * tile : 64 * tiles::pitch;
  __shared__ alignas(16) u16 shared[room];  // of two stages, keys and values
  begin_kernel();
  int tile_number;
  const attention_place<Kind> p(a, memory, tile_number);
  const tiles t(p);
  const int query = tile_number * 64, past = p.seen(query, 64);
  const i64 k = p.start(attention_k), v = p.start(attention_v), mask = p.masked ? p.start(attention_mask) : 0;
  const float hidden = hidden_score<float>(), scale = static_cast<float>(a.scale) * log2_of_e;

  u32 held[tiles::steps][4];
  t.template load<64>(shared, attention_q, p.start(attention_q), true, query);
  end_fetches();
  wait_for_fetches<0>();
  __syncthreads();
#pragma unroll
  for (int s = 0; s < tiles::steps; ++s) t.rows(held[s], shared, t.warp * 16, s * 16);
  __syncthreads();

  const int first = query + t.warp * 16 + t.lane / 4;  // this thread's rows: first, first + 8
  const int position[2] = {p.causal ? p.position(first) : 0, p.causal ? p.position(first + 8) : 0};
  float sums[tiles::columns][4] = {}, top[2] = {hidden, hidden}, total[2] = {0, 0};
  auto fetch_tile = [&](int key, int stage) {
    t.template load<Keys>(shared + stage * 2 * tile, attention_k, k, false, key);
    if (p.has(attention_v))
      t.template load<Keys>(shared + stage * 2 * tile + tile, attention_v, v, false, key);
  };
  if (past > 0) fetch_tile(0, 0);
  end_fetches();
  for (int key = 0, stage = 0; key < past; key += Keys, stage ^= 1) {
    if (key + Keys < past) fetch_tile(key + Keys, stage ^ 1);
    end_fetches();
    wait_for_fetches<1>();
    __syncthreads();
    float scores[Keys / 8][4] = {};
    t.template over_dims<Keys>(scores, held, shared + stage * 2 * tile);
    const bool plain = !p.masked && !p.causal && key + Keys <= a.keys;
    float largest[2] = {top[0], top[1]};
#pragma unroll
    for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& x = scores[j][i];
        if (plain)
          x *= scale;
        else
          x = masked_score<Element>(p, x, mask, first + i / 2 * 8, key + j * 8 + t.lane % 4 * 2 + i % 2,
                                    position[i / 2]) *
              log2_of_e;
        largest[i / 2] = x > largest[i / 2] || x != x ? x : largest[i / 2];
      }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& m = largest[h];
#pragma unroll
      for (int far = 1; far <= 2; far *= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, m, far);
        m = m > other || m != m ? m : other;
      }
      const float shift = m == hidden ? 0 : m, shrink = power_of_2(top[h] - shift);
      top[h] = m;
      total[h] *= shrink;
#pragma unroll
      for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
        for (int i = 2 * h; i < 2 * h + 2; ++i) total[h] += scores[j][i] = power_of_2(scores[j][i] - shift);
#pragma unroll
      for (int j = 0; j < tiles::columns; ++j) sums[j][2 * h] *= shrink, sums[j][2 * h + 1] *= shrink;
    }
    if (p.has(attention_out)) t.template over_rows<Keys>(sums, scores, shared + stage * 2 * tile + tile);
    __syncthreads();
  }
  float share[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int far = 1; far <= 2; far *= 2) total[h] += __shfl_xor_sync(0xffffffffu, total[h], far);
    share[h] = total[h] == 0 ? 0 : 1 / total[h];
    const int row = first + h * 8;
    if (p.has(attention_out_sums) && t.lane % 4 == 0 && row < a.queries)
      p.template row_value<float>(attention_out_sums, p.start(attention_out_sums), row) =
          total[h] == 0 ? hidden : top[h] * ln_of_2 + ::logf(total[h]);
  }
  if (p.has(attention_out))
    t.store(sums, attention_out, p.start(attention_out), true, query + t.warp * 16, share[0], share[1]);
}

// Gradients, those whose bits stand in Made: 2 of keys, 4 of values; 1 of queries, where one tile has all
// keys. Blocks: 64 keys of each batch. Queries: of a tile.
template <int Element, int Dims, int Vector, int Queries, int Kind, int Made>
FLAME_KERNEL void __launch_bounds__(128) attend_keys16(attention_arguments a, attention_addresses memory) {
  using tiles = attention16<Element, Dims, Vector, Kind>;
  constexpr int side = 64 * tiles::pitch, tile = Queries * tiles::pitch, line = 64 + 8;
  __shared__ alignas(16) u16 shared[2 * side + 2 * tile + (Made & 1 ? Queries * line : 0)];
  __shared__ float row_sums[Queries], row_deltas[Queries];
  u16 *keys = shared, *values = shared + side, *queries = shared + 2 * side, *cotangents = queries + tile,
      *slopes = cotangents + tile;
  begin_kernel();
  int tile_number;
  const attention_place<Kind> p(a, memory, tile_number);
  const tiles t(p);
  const int key = tile_number * 64;
  const i64 q = p.start(attention_q), d = p.start(attention_d), sums_start = p.start(attention_sums),
            delta_start = p.start(attention_delta);
  t.template load<64>(keys, attention_k, p.start(attention_k), false, key);
  t.template load<64>(values, attention_v, p.start(attention_v), false, key);
  float dk[Made & 2 ? tiles::columns : 1][4] = {}, dv[Made & 4 ? tiles::columns : 1][4] = {};
  const int first_key = key + t.warp * 16 + t.lane / 4;  // this thread's keys: first_key, 8 more
  const int first = p.causal && !p.several ? key / Queries * Queries : 0;
  for (int query = first; query < a.queries; query += Queries) {
    t.template load<Queries>(queries, attention_q, q, true, query);
    t.template load<Queries>(cotangents, attention_d, d, true, query);
    end_fetches();
    for (int i = static_cast<int>(threadIdx.x); i < Queries; i += tiles::threads) {
      const bool inside = query + i < a.queries;
      row_sums[i] =
          inside ? p.template row_value<float>(attention_sums, sums_start, query + i) : hidden_score<float>();
      row_deltas[i] = inside ? p.template row_value<float>(attention_delta, delta_start, query + i) : 0;
    }
    wait_for_fetches<0>();
    __syncthreads();
    float weights[Queries / 8][4] = {}, slope[Queries / 8][4] = {};
#pragma unroll
    for (int s = 0; s < tiles::steps; ++s) {
      u32 of_keys[4], of_values[4];
      t.rows(of_keys, keys, t.warp * 16, s * 16), t.rows(of_values, values, t.warp * 16, s * 16);
#pragma unroll
      for (int j = 0; j < Queries / 8; j += 2) {
        u32 b[4];
        t.as_columns(b, queries, j * 8, s * 16);
        multiply_add<Element>(weights[j], of_keys, {b[0], b[1]});
        multiply_add<Element>(weights[j + 1], of_keys, {b[2], b[3]});
        t.as_columns(b, cotangents, j * 8, s * 16);
        multiply_add<Element>(slope[j], of_values, {b[0], b[1]});
        multiply_add<Element>(slope[j + 1], of_values, {b[2], b[3]});
      }
    }
    const attention16_slope<Element, Kind> finish{
        p, p.masked ? p.start(attention_mask) : 0,
        !p.masked && !p.causal && key + 64 <= a.keys && query + Queries <= a.queries};
#pragma unroll
    for (int j = 0; j < Queries / 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = j * 8 + t.lane % 4 * 2 + i % 2;
        finish(weights[j][i], slope[j][i], row_sums[row], row_deltas[row], query + row, first_key + i / 2 * 8,
               p.causal ? p.position(query + row) : 0);
      }
    if constexpr ((Made & 4) != 0) t.template over_rows<Queries>(dv, weights, cotangents);
    if constexpr ((Made & 2) != 0) t.template over_rows<Queries>(dk, slope, queries);
    if constexpr ((Made & 1) != 0) {
#pragma unroll
      for (int j = 0; j < Queries / 8; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          slopes[(j * 8 + t.lane % 4 * 2 + i % 2) * line + t.warp * 16 + t.lane / 4 + i / 2 * 8] =
              number<Element>::narrow(slope[j][i]).bits;
      __syncthreads();
      if (t.warp * 16 < Queries) {
        float dq[tiles::columns][4] = {};
#pragma unroll
        for (int s = 0; s < 4; ++s) {
          u32 of_slopes[4];
          t.rows(of_slopes, slopes, t.warp * 16, s * 16, line);
          t.depth_step(dq, of_slopes, keys, s * 16);
        }
        t.store(dq, attention_out, p.start(attention_out), true, query + t.warp * 16, 1, 1);
      }
    }
    __syncthreads();
  }
  wait_for_fetches<0>();
  if constexpr ((Made & 2) != 0)
    t.store(dk, attention_dk, p.start(attention_dk), false, key + t.warp * 16, 1, 1);
  if constexpr ((Made & 4) != 0)
    t.store(dv, attention_dv, p.start(attention_dv), false, key + t.warp * 16, 1, 1);
}

// The gradient of queries. Blocks: 64 queries of each batch. Keys: of a tile.
template <int Element, int Dims, int Vector, int Keys, int Kind>
FLAME_KERNEL void __launch_bounds__(128) attend_queries16(attention_arguments a, attention_addresses memory) {
  using tiles = attention16<Element, Dims, Vector, Kind>;
  constexpr int tile = Keys * tiles::pitch, side = 64 * tiles::pitch,
                room = 4 * tile > side ? 4 * tile : side;
  __shared__ alignas(16) u16 shared[room];
  begin_kernel();
  int tile_number;
  const attention_place<Kind> p(a, memory, tile_number);
  const tiles t(p);
  const int query = tile_number * 64, past = p.seen(query, 64);
  const i64 k = p.start(attention_k), v = p.start(attention_v);
  u32 queries[tiles::steps][4], cotangents[tiles::steps][4];
  auto hold = [&](u32(&to)[tiles::steps][4], int tensor) {
    t.template load<64>(shared, tensor, p.start(tensor), true, query);
    end_fetches();
    wait_for_fetches<0>();
    __syncthreads();
#pragma unroll
    for (int s = 0; s < tiles::steps; ++s) t.rows(to[s], shared, t.warp * 16, s * 16);
    __syncthreads();
  };
  hold(queries, attention_q);
  hold(cotangents, attention_d);
  const int first = query + t.warp * 16 + t.lane / 4;
  float sum[2], delta[2];
  int position[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = first + h * 8;
    const bool inside = row < a.queries;
    sum[h] = inside ? p.template row_value<float>(attention_sums, p.start(attention_sums), row)
                    : hidden_score<float>();
    delta[h] = inside ? p.template row_value<float>(attention_delta, p.start(attention_delta), row) : 0;
    position[h] = p.causal ? p.position(row) : 0;
  }
  float dq[tiles::columns][4] = {};
  auto fetch_tile = [&](int key, int stage) {
    t.template load<Keys>(shared + stage * 2 * tile, attention_k, k, false, key);
    t.template load<Keys>(shared + stage * 2 * tile + tile, attention_v, v, false, key);
  };
  if (past > 0) fetch_tile(0, 0);
  end_fetches();
  for (int key = 0, stage = 0; key < past; key += Keys, stage ^= 1) {
    if (key + Keys < past) fetch_tile(key + Keys, stage ^ 1);
    end_fetches();
    wait_for_fetches<1>();
    __syncthreads();
    const u16* of_keys = shared + stage * 2 * tile;
    float weights[Keys / 8][4] = {}, slope[Keys / 8][4] = {};
    t.template over_dims<Keys>(weights, queries, of_keys);
    t.template over_dims<Keys>(slope, cotangents, of_keys + tile);
    const attention16_slope<Element, Kind> finish{
        p, p.masked ? p.start(attention_mask) : 0,
        !p.masked && !p.causal && key + Keys <= a.keys && query + 64 <= a.queries};
#pragma unroll
    for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        finish(weights[j][i], slope[j][i], sum[i / 2], delta[i / 2], first + i / 2 * 8,
               key + j * 8 + t.lane % 4 * 2 + i % 2, position[i / 2]);
    t.template over_rows<Keys>(dq, slope, of_keys);
    __syncthreads();
  }
  t.store(dq, attention_out, p.start(attention_out), true, query + t.warp * 16, 1, 1);
}

#endif

}  // namespace flame::kernel
