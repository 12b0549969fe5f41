// What a block reduces: along rows by shuffles and, where a team has several warps, through shared memory;
// over rows each thread for itself, and the block's part of it into memory at the end.
#pragma once
#include <flame/run/cuda/kernel/walk.hpp>

namespace flame::kernel {

template <class Code, int I> using reduction_at = reduction<Code::operation(I), computed<Code::element(I)>>;
template <class Code, int I, bool Is> struct state_type { using type = char; };
template <class Code, int I> struct state_type<Code, I, true> {
  using type = typename reduction_at<Code, I>::state;
};

// What values are summed over rows: of a column N numbers a thread.
template <class Code, int N, class I> struct sums_of;
template <class Code, int N, int... I>
struct sums_of<Code, N, indices<I...>>
    : cell<I, typename state_type<Code, I, Code::accumulates(I)>::type,
           Code::accumulates(I) && Code::mode(I) == reduce::column ? N : 1>... {};
template <class Code, int N> using sums = sums_of<Code, N, typename make_indices<Code::size>::type>;

// What values are reduced along a row, by this thread so far.
template <class Code, class I> struct row_states_of;
template <class Code, int... I>
struct row_states_of<Code, indices<I...>>
    : cell<I, typename state_type<Code, I, Code::reduces_row(I)>::type, 1>... {};
template <class Code> using row_states = row_states_of<Code, typename make_indices<Code::size>::type>;

// ---- Along rows ----

template <class R, int Lanes> __device__ __forceinline__ typename R::state over_warp(typename R::state x) {
#pragma unroll
  for (int mask = (Lanes < 32 ? Lanes : 32) / 2; mask > 0; mask /= 2) x = R::both(x, shuffle(x, mask));
  return x;
}

// Of the packs at hand.
template <int I, class W> __device__ __forceinline__ auto reduce_packs(W& w) {
  using Code = typename W::Code;
  using R = reduction_at<Code, I>;
  typename R::state x = R::none();
#pragma unroll
  for (int p = 0; p < W::at_once; ++p) {
    if (!w.inside(p)) continue;
#pragma unroll
    for (int v = 0; v < W::V; ++v)
      if (w.inside(p, v))
        x = R::both(
            x, R::of(operand<Code, Code::a(I)>(w.values, p * W::V + v), static_cast<i64>(w.column(p)) + v));
  }
  return x;
}

template <class Code> consteval bool reduces_in(int i, int round) {
  return Code::reduces_row(i) && Code::round(i) == round;
}
template <class Code> consteval bool any_reduces_in(int round) {
  for (int i = 0; i < Code::size; ++i)
    if (reduces_in<Code>(i, round)) return true;
  return false;
}

// A team of several warps meets in shared memory. Each reduction has two places there, which rows use in
// turn: one barrier is enough, and all reductions of a round share it.
template <int I, class W> __device__ __forceinline__ auto* shared_place(W& w, char* shared, int turn) {
  using Code = typename W::Code;
  constexpr int warps = W::Lanes / 32, bytes = 16 * warps * W::Rows;
  return reinterpret_cast<typename reduction_at<Code, I>::state*>(
             shared + (2 * Code::place(I, Code::reduces_row) + turn) * bytes) +
         w.team * warps;
}
template <int I, int Round, class W>
__device__ __forceinline__ void reduce_warp(W& w, typename reduction_at<typename W::Code, I>::state x,
                                            char* shared, int turn) {
  using R = reduction_at<typename W::Code, I>;
  x = over_warp<R, W::Lanes>(x);
  if constexpr (W::Lanes > 32) {
    if (threadIdx.x % 32 == 0) shared_place<I>(w, shared, turn)[w.lane / 32] = x;
  } else {
    get<I>(w.values).item[0] = R::result(x);
  }
}
template <int I, int Round, class W>
__device__ __forceinline__ void reduce_team(W& w, char* shared, int turn) {
  if constexpr (W::Lanes > 32 && reduces_in<typename W::Code>(I, Round)) {
    using R = reduction_at<typename W::Code, I>;
    const auto* all = shared_place<I>(w, shared, turn);
    typename R::state x = all[0];
#pragma unroll
    for (int k = 1; k < W::Lanes / 32; ++k) x = R::both(x, all[k]);
    get<I>(w.values).item[0] = R::result(x);
  }
}
template <int Round, class W, int... I>
__device__ __forceinline__ void reduce_teams(W& w, indices<I...>, char* shared, int turn) {
  if constexpr (W::Lanes > 32 && any_reduces_in<typename W::Code>(Round)) __syncthreads();
  (reduce_team<I, Round>(w, shared, turn), ...);
}

// ---- Over rows ----

template <int I, class W, class Sums> __device__ __forceinline__ void clear(W&, Sums& totals) {
  if constexpr (W::Code::accumulates(I))
    for (auto& x : get<I>(totals).item) x = reduction_at<typename W::Code, I>::none();
}

// part: the first of the packs at hand.
template <int I, class W, class Sums>
__device__ __forceinline__ void accumulate(W& w, Sums& totals, int part) {
  using Code = typename W::Code;
  using R = reduction_at<Code, I>;
  constexpr int K = Code::a(I), V = W::V;
  auto& to = get<I>(totals).item;
  if constexpr (Code::mode(I) == reduce::column) {
#pragma unroll
    for (int p = 0; p < W::at_once; ++p) {
      if (!w.inside(p)) continue;
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (w.inside(p, v)) {
          auto& x = to[(part + p) * V + v];
          x = R::both(x, R::of(operand<Code, K>(w.values, p * V + v), i64{w.row}));
        }
    }
  } else if constexpr (Code::at(K) != width::row) {  // one number for all: once for each
#pragma unroll
    for (int p = 0; p < W::at_once; ++p) {
      if (!w.inside(p)) continue;
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (w.inside(p, v))
          to[0] = R::both(to[0], R::of(operand<Code, K>(w.values, p * V + v),
                                       i64{w.row} * w.args.inner + static_cast<i64>(w.column(p)) + v));
    }
  } else if (w.active && w.lane == 0) {
    to[0] = R::both(to[0], R::of(operand<Code, K>(w.values, 0), i64{w.row}));
  }
}

// Where a row is longer than a team holds, so are the sums: the block keeps them where it leaves them, and a
// column is one thread's.
template <int I, class W> __device__ __forceinline__ void accumulate_in_memory(W& w) {
  using Code = typename W::Code;
  using R = reduction_at<Code, I>;
  using state = typename R::state;
  constexpr int K = Code::a(I), D = Code::element(I), V = W::V;
  constexpr bool by_packs = !W::tail && Code::operation(I) != op::argmax && sizeof(state) >= 4;
  state* to = static_cast<state*>(w.args.partial[Code::place(I, Code::accumulates)]) +
              (i64{w.batch} * w.args.row_blocks.number + w.row_block) * w.args.inner;
  const bool first = w.row == w.row_block * w.args.rows_a_block;
#pragma unroll
  for (int p = 0; p < W::at_once; ++p) {
    if (!w.inside(p)) continue;
    state sum[V];
#pragma unroll
    for (int v = 0; v < V; ++v) sum[v] = R::none();
    if constexpr (by_packs) {
      if (!first) pack<D, V>::read(to, static_cast<i64>(w.column(p)), sum);
    } else {
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (!first && w.inside(p, v)) sum[v] = to[static_cast<i64>(w.column(p)) + v];
    }
#pragma unroll
    for (int v = 0; v < V; ++v)
      sum[v] = R::both(sum[v], R::of(operand<Code, K>(w.values, p * V + v), i64{w.row}));
    if constexpr (by_packs) {
      pack<D, V>::write(to, static_cast<i64>(w.column(p)), sum);
    } else {
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (w.inside(p, v)) to[static_cast<i64>(w.column(p)) + v] = sum[v];
    }
  }
}

// What the block has summed: over its teams in their order, then to its place.
template <int I, class W, class Sums>
__device__ __forceinline__ void finish_sum(W& w, Sums& totals, char* shared) {
  using Code = typename W::Code;
  if constexpr (Code::accumulates(I)) {
    using R = reduction_at<Code, I>;
    using state = typename R::state;
    constexpr int V = W::V, N = W::Packs * V, Lanes = W::Lanes, Rows = W::Rows;
    state* all = reinterpret_cast<state*>(shared);
    state* partial = static_cast<state*>(w.args.partial[Code::place(I, Code::accumulates)]);
    auto& mine = get<I>(totals).item;
    if constexpr (Code::mode(I) == reduce::total) {
      // Every lane of every team has a part.
      __syncthreads();
      const state x = over_warp<R, 32>(mine[0]);
      if (threadIdx.x % 32 == 0) all[threadIdx.x / 32] = x;
      __syncthreads();
      if (threadIdx.x == 0) {
        state sum = x;
        for (int k = 1; k < Lanes * Rows / 32; ++k) sum = R::both(sum, all[k]);
        partial[blockIdx.x] = sum;
      }
    } else {
      constexpr int columns = Lanes * N;
      partial += (i64{w.batch} * w.args.row_blocks.number + w.row_block) * w.args.inner;
      if constexpr (Rows > 1) {
        __syncthreads();
#pragma unroll
        for (int e = 0; e < N; ++e) all[w.team * columns + (e / V * Lanes + w.lane) * V + e % V] = mine[e];
        __syncthreads();
        for (int c = static_cast<int>(threadIdx.x); c < columns; c += Lanes * Rows) {
          state x = all[c];
          for (int t = 1; t < Rows; ++t) x = R::both(x, all[t * columns + c]);
          const i64 at = static_cast<i64>(w.first_column) + c;
          if (at < w.args.inner) partial[at] = x;
        }
      } else {
#pragma unroll
        for (int e = 0; e < N; ++e) {
          const i64 at = static_cast<i64>(w.first_column) + (e / V * Lanes + w.lane) * V + e % V;
          if (at < w.args.inner) partial[at] = mine[e];
        }
      }
    }
  }
}

}  // namespace flame::kernel
