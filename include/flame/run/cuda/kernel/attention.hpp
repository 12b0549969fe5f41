// Attention without tensor cores, for every element type, head size and layout: tiles of queries and of keys
// in shared memory, scores in registers, one pass over the keys (Dao et al. 2022, FlashAttention).
#pragma once
#include <flame/run/cuda/kernel/attention_place.hpp>

namespace flame::kernel {

#if defined(__CUDACC__)

FLAME_DEVICE float exponential(float x) { return ::expf(x); }
FLAME_DEVICE double exponential(double x) { return ::exp(x); }
FLAME_DEVICE float logarithm(float x) { return ::logf(x); }
FLAME_DEVICE double logarithm(double x) { return ::log(x); }

// Tiles of Rows queries and Rows keys, sixteen by sixteen threads, each with Each rows and columns of the
// scores; dims are walked through in pieces of `piece`.
template <int Element, int Dims, int Rows, int Kind> struct attention_tiles {
  using numbers = number<Element>;
  using stored = typename numbers::stored;
  using T = typename numbers::sum;
  static constexpr int piece = 32, pieces = Dims / piece, each = Rows / 16, pitch = Rows + 4;
  static constexpr int threads = 256;
  static constexpr int side = piece * pitch, square = Rows * pitch;

  const attention_place<Kind>& p;
  T* first;  // [piece][pitch]: rows turned, or [Rows][piece + 2] as they lie
  T* second;
  T* scores;  // [key][query]
  int x, y;   // columns x * each ..., rows y * each ...

  FLAME_DEVICE attention_tiles(const attention_place<Kind>& place, T* shared)
      : p(place),
        first(shared),
        second(shared + side),
        scores(shared + 2 * side),
        x(static_cast<int>(threadIdx.x) % 16),
        y(static_cast<int>(threadIdx.x) / 16) {}

  FLAME_DEVICE i64 row_offset(int tensor, bool queries, int row) const {
    return queries ? p.query(tensor, row) : p.key(tensor, row);
  }
  // Rows from `from` on of a tensor, `piece` of its dims: zeros beyond.
  template <bool Turned>
  FLAME_DEVICE void load(T* to, int tensor, i64 start, bool queries, int from, int dim) const {
    const int rows = queries ? p.a.queries : p.a.keys;
    const stored* memory = static_cast<const stored*>(p.memory.at[tensor]) + start;
    const i32 step = p.a.strides[tensor].dim;
    constexpr int count = Rows * piece / threads;  // all on their way before the first is waited for
    T values[count];
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = (static_cast<int>(threadIdx.x) + i * threads) / piece,
                d = static_cast<int>(threadIdx.x) % piece;
      values[i] = 0;
      if (from + row < rows && dim + d < p.a.dims)
        values[i] = numbers::widen(
            memory[row_offset(tensor, queries, from + row) + static_cast<i64>(dim + d) * step]);
    }
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = (static_cast<int>(threadIdx.x) + i * threads) / piece,
                d = static_cast<int>(threadIdx.x) % piece;
      to[Turned ? d * pitch + row : row * (piece + 2) + d] = values[i];
    }
  }
  // sums[i][j] += sum over dims of rows i of `a` (queries) and rows j of `b` (keys).
  FLAME_DEVICE void multiply(T (&sums)[each][each], int a, i64 a_start, int query, int b, i64 b_start,
                             int key) const {
#pragma unroll 1
    for (int dim = 0; dim < p.a.dims; dim += piece) {
      __syncthreads();
      load<true>(first, a, a_start, true, query, dim);
      load<true>(second, b, b_start, false, key, dim);
      __syncthreads();
      const int deep = p.a.dims - dim < piece ? p.a.dims - dim : piece;
#pragma unroll 4
      for (int d = 0; d < deep; ++d) {
        T rows[each], columns[each];
#pragma unroll
        for (int i = 0; i < each; ++i)
          rows[i] = first[d * pitch + y * each + i], columns[i] = second[d * pitch + x * each + i];
#pragma unroll
        for (int i = 0; i < each; ++i)
#pragma unroll
          for (int j = 0; j < each; ++j) sums[i][j] += rows[i] * columns[j];
      }
    }
  }
  // What each thread has of a block of scores, to shared memory: [key][query] or [query][key].
  template <bool ByKey> FLAME_DEVICE void put(const T (&values)[each][each]) const {
#pragma unroll
    for (int i = 0; i < each; ++i)
#pragma unroll
      for (int j = 0; j < each; ++j)
        scores[ByKey ? (x * each + j) * pitch + y * each + i : (y * each + i) * pitch + x * each + j] =
            values[i][j];
  }
  // sums[c][i][.] += sum over `deep` lines of scores[line][rows i] times the tensor's row of that line, dims
  // x * 2 ... of piece c.
  FLAME_DEVICE void gather(T (&sums)[pieces][each][2], int tensor, i64 start, bool queries, int from,
                           int deep) const {
#pragma unroll
    for (int c = 0; c < pieces; ++c) {
      if (c * piece >= p.a.dims) break;
      __syncthreads();
      load<false>(first, tensor, start, queries, from, c * piece);
      __syncthreads();
#pragma unroll 4
      for (int line = 0; line < deep; ++line) {
        const T low = first[line * (piece + 2) + x * 2], high = first[line * (piece + 2) + x * 2 + 1];
#pragma unroll
        for (int i = 0; i < each; ++i) {
          const T weight = scores[line * pitch + y * each + i];
          sums[c][i][0] += weight * low, sums[c][i][1] += weight * high;
        }
      }
    }
  }
  // Rows from `from` on of a result.
  FLAME_DEVICE void store(const T (&sums)[pieces][each][2], int tensor, i64 start, bool queries,
                          int from) const {
    const int rows = queries ? p.a.queries : p.a.keys;
    stored* memory = static_cast<stored*>(p.memory.at[tensor]) + start;
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int row = from + y * each + i;
      if (row >= rows) continue;
      const i64 at = row_offset(tensor, queries, row);
#pragma unroll
      for (int c = 0; c < pieces; ++c)
#pragma unroll
        for (int v = 0; v < 2; ++v) {
          const int d = c * piece + x * 2 + v;
          if (d < p.a.dims)
            memory[at + static_cast<i64>(d) * p.a.strides[tensor].dim] = numbers::narrow(sums[c][i][v]);
        }
    }
  }
};

// The sum, or the largest, over the sixteen threads of a row.
template <class T, class Join> FLAME_DEVICE T over_row(T value, Join join) {
#pragma unroll
  for (int far = 8; far > 0; far /= 2) value = join(value, __shfl_xor_sync(0xffffffffu, value, far));
  return value;
}

// Blocks: tiles of queries of each batch.
template <int Element, int Dims, int Rows, int Kind>
FLAME_KERNEL void __launch_bounds__(256, 2) attend(attention_arguments a, attention_addresses memory) {
  using tiles = attention_tiles<Element, Dims, Rows, Kind>;
  using T = typename tiles::T;
  constexpr int each = tiles::each;
  __shared__ alignas(16) T shared[2 * tiles::side + tiles::square];
  begin_kernel();
  int tile_number;
  const attention_place<Kind> p(a, memory, tile_number);
  const tiles t(p, shared);
  const int query = tile_number * Rows;
  const i64 q = p.start(attention_q), k = p.start(attention_k), v = p.start(attention_v),
            mask = p.masked ? p.start(attention_mask) : 0;
  const T hidden = hidden_score<T>();
  T top[each], total[each], sums[tiles::pieces][each][2] = {};
  int positions[each];
#pragma unroll
  for (int i = 0; i < each; ++i) {
    top[i] = hidden, total[i] = 0;
    positions[i] = p.causal ? p.position(query + t.y * each + i) : 0;
  }
  const int past = p.seen(query, Rows);
  for (int key = 0; key < past; key += Rows) {
    T scores[each][each] = {};
    t.multiply(scores, attention_q, q, query, attention_k, k, key);
#pragma unroll
    for (int i = 0; i < each; ++i) {
      T largest = top[i];
#pragma unroll
      for (int j = 0; j < each; ++j) {
        scores[i][j] = masked_score<Element>(p, scores[i][j], mask, query + t.y * each + i,
                                             key + t.x * each + j, positions[i]);
        largest = scores[i][j] > largest || scores[i][j] != scores[i][j] ? scores[i][j] : largest;
      }
      largest = over_row(largest, [](T m, T n) { return m > n || m != m ? m : n; });
      // A row that has seen no key yet has nothing to scale.
      const T shift = largest == hidden ? 0 : largest;
      const T shrink = exponential(top[i] - shift);
      top[i] = largest;
      T part = 0;
#pragma unroll
      for (int j = 0; j < each; ++j) part += scores[i][j] = exponential(scores[i][j] - shift);
      total[i] = total[i] * shrink + over_row(part, [](T m, T n) { return m + n; });
#pragma unroll
      for (int c = 0; c < tiles::pieces; ++c) sums[c][i][0] *= shrink, sums[c][i][1] *= shrink;
    }
    if (!p.has(attention_out)) continue;
    __syncthreads();
    t.template put<true>(scores);
    t.gather(sums, attention_v, v, false, key, past - key < Rows ? past - key : Rows);
  }
#pragma unroll
  for (int i = 0; i < each; ++i) {
    const T share = total[i] == 0 ? T(0) : T(1) / total[i];
#pragma unroll
    for (int c = 0; c < tiles::pieces; ++c) sums[c][i][0] *= share, sums[c][i][1] *= share;
    const int row = query + t.y * each + i;
    if (p.has(attention_out_sums) && t.x == 0 && row < a.queries)
      p.template row_value<T>(attention_out_sums, p.start(attention_out_sums), row) =
          total[i] == 0 ? hidden : top[i] + logarithm(total[i]);
  }
  if (p.has(attention_out)) t.store(sums, attention_out, p.start(attention_out), true, query);
}

// P and dS of a tile of queries and one of keys.
template <int Element, class Tiles, class T, int each>
FLAME_DEVICE void slopes(const Tiles& t, int query, int key, T (&weights)[each][each],
                         T (&slopes)[each][each]) {
  const auto& p = t.p;
  const T hidden = hidden_score<T>();
  const i64 mask = p.masked ? p.start(attention_mask) : 0;
  t.multiply(weights, attention_q, p.start(attention_q), query, attention_k, p.start(attention_k), key);
  t.multiply(slopes, attention_d, p.start(attention_d), query, attention_v, p.start(attention_v), key);
#pragma unroll
  for (int i = 0; i < each; ++i) {
    const int row = query + t.y * each + i;
    T sum = hidden, delta = 0;
    if (row < p.a.queries) {
      sum = p.template row_value<T>(attention_sums, p.start(attention_sums), row);
      delta = p.template row_value<T>(attention_delta, p.start(attention_delta), row);
    }
    const int position = p.causal ? p.position(row) : 0;
#pragma unroll
    for (int j = 0; j < each; ++j) {
      const T score = masked_score<Element>(p, weights[i][j], mask, row, key + t.x * each + j, position);
      weights[i][j] = sum == hidden || score == hidden ? T(0) : exponential(score - sum);
      slopes[i][j] = weights[i][j] * (slopes[i][j] - delta) * static_cast<T>(p.a.scale);
    }
  }
}

// Gradients, those whose bits stand in Made: 2 of keys, 4 of values; 1 of queries, where one tile has all
// keys. Blocks: tiles of keys of each batch.
template <int Element, int Dims, int Rows, int Kind, int Made>
FLAME_KERNEL void __launch_bounds__(256, 2) attend_keys(attention_arguments a, attention_addresses memory) {
  using tiles = attention_tiles<Element, Dims, Rows, Kind>;
  using T = typename tiles::T;
  constexpr int each = tiles::each;
  __shared__ alignas(16) T shared[2 * tiles::side + tiles::square];
  begin_kernel();
  int tile_number;
  const attention_place<Kind> p(a, memory, tile_number);
  const tiles t(p, shared);
  const int key = tile_number * Rows;
  const int keys = a.keys - key < Rows ? a.keys - key : Rows;
  T dk[Made & 2 ? tiles::pieces : 1][each][2] = {}, dv[Made & 4 ? tiles::pieces : 1][each][2] = {};
  // Of causal ones with one axis of queries, those before the tile's first key see none of it.
  const int first = p.causal && !p.several ? key / Rows * Rows : 0;
  for (int query = first; query < a.queries; query += Rows) {
    const int rows = a.queries - query < Rows ? a.queries - query : Rows;
    T weights[each][each] = {}, slope[each][each] = {};
    slopes<Element>(t, query, key, weights, slope);
    if constexpr ((Made & 4) != 0) {
      __syncthreads();
      t.template put<false>(weights);
      t.gather(dv, attention_d, p.start(attention_d), true, query, rows);
    }
    if constexpr ((Made & 2) != 0) {
      __syncthreads();
      t.template put<false>(slope);
      t.gather(dk, attention_q, p.start(attention_q), true, query, rows);
    }
    if constexpr ((Made & 1) != 0) {
      T dq[tiles::pieces][each][2] = {};
      __syncthreads();
      t.template put<true>(slope);
      t.gather(dq, attention_k, p.start(attention_k), false, key, keys);
      t.store(dq, attention_out, p.start(attention_out), true, query);
    }
  }
  if constexpr ((Made & 2) != 0) t.store(dk, attention_dk, p.start(attention_dk), false, key);
  if constexpr ((Made & 4) != 0) t.store(dv, attention_dv, p.start(attention_dv), false, key);
}

// The gradient of queries. Blocks: tiles of queries of each batch.
template <int Element, int Dims, int Rows, int Kind>
FLAME_KERNEL void __launch_bounds__(256, 2)
    attend_queries(attention_arguments a, attention_addresses memory) {
  using tiles = attention_tiles<Element, Dims, Rows, Kind>;
  using T = typename tiles::T;
  constexpr int each = tiles::each;
  __shared__ alignas(16) T shared[2 * tiles::side + tiles::square];
  begin_kernel();
  int tile_number;
  const attention_place<Kind> p(a, memory, tile_number);
  const tiles t(p, shared);
  const int query = tile_number * Rows, past = p.seen(query, Rows);
  T dq[tiles::pieces][each][2] = {};
  for (int key = 0; key < past; key += Rows) {
    T weights[each][each] = {}, slope[each][each] = {};
    slopes<Element>(t, query, key, weights, slope);
    __syncthreads();
    t.template put<true>(slope);
    t.gather(dq, attention_k, p.start(attention_k), false, key, past - key < Rows ? past - key : Rows);
  }
  t.store(dq, attention_out, p.start(attention_out), true, query);
}

#endif

}  // namespace flame::kernel
