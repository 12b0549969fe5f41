// What a block reduces: along rows by shuffles and, where a team has several warps, through shared memory;
// over rows each thread for itself, and the block's part of it into memory at the end.
#pragma once
#include <flame/run/cuda/kernel/stage.hpp>
#include <flame/run/cuda/kernel/walk.hpp>

namespace flame::kernel {

template <class Code, int I> using reduction_at = reduction<Code::operation(I), computed<Code::element(I)>>;
template <class Code, int I, bool Is> struct state_type { using type = char; };
template <class Code, int I> struct state_type<Code, I, true> {
  using type = typename reduction_at<Code, I>::state;
};

// How the blocks of a cluster share rows; alone, a block has them to itself.
template <class W> inline constexpr int warps_of_row = W::Lanes / 32 * W::Cluster;

template <class Code> consteval bool any_columns() {
  for (int i = 0; i < Code::size; ++i)
    if (Code::accumulates(i) && Code::mode(i) == reduce::column) return true;
  return false;
}
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

// N states by twos: a chain of them would be waited for.
template <class R, int N> __device__ __forceinline__ typename R::state of_all(typename R::state (&x)[N]) {
#pragma unroll
  for (int half = 1; half < N; half *= 2)
#pragma unroll
    for (int k = 0; k + half < N; k += 2 * half) x[k] = R::both(x[k], x[k + half]);
  return x[0];
}
template <class Code> consteval bool is_row_index(int n) {
  return Code::loads(n) && Code::at(n) == width::full && Code::kind(Code::a(n)) == slot::index &&
         Code::reached(Code::a(n)) == access::vector;
}
// Whether what is summed along a row is one number of it, x where an index is the row's and else 0: then all
// but one pack of the row are passed over.
template <class Code> consteval bool picks(int i) {
  if (!Code::reduces_row(i) || Code::operation(i) != op::sum) return false;
  const int k = Code::a(i);
  if (Code::loads(k) || Code::at(k) != width::full || Code::operation(k) != op::where) return false;
  const int same = Code::a(k), other = Code::c(k);
  if (Code::loads(same) || Code::operation(same) != op::equal) return false;
  return is_row_index<Code>(Code::a(same)) != is_row_index<Code>(Code::b(same)) &&
         Code::at(is_row_index<Code>(Code::a(same)) ? Code::b(same) : Code::a(same)) == width::row &&
         Code::loads(other) && Code::at(other) == width::uniform && Code::repeats(Code::a(other));
}
template <int I, class W> __device__ __forceinline__ auto pick(W& w) {
  using Code = typename W::Code;
  using R = reduction_at<Code, I>;
  constexpr int same = Code::a(Code::a(I)), first = Code::a(same), second = Code::b(same);
  constexpr bool index_first = Code::loads(first) && Code::kind(Code::a(first)) == slot::index;
  constexpr int index = index_first ? first : second, wanted = index_first ? second : first;
  typename R::state x = R::none();
#pragma unroll
  for (int p = 0; p < W::at_once; ++p) {
    using T = computed<Code::element(index)>;
    const T at = operand<Code, wanted>(w.values, 0) - static_cast<T>(w.offset[Code::a(index)] + w.column(p));
    if (w.inside(p) && at >= 0 && at < W::V)
#pragma unroll
      for (int v = 0; v < W::V; ++v)
        if (at == v) x = R::both(x, R::of(operand<Code, Code::b(Code::a(I))>(w.values, p * W::V + v), 0));
  }
  return x;
}
// Of the packs at hand. Numbers in registers are added in a chain, since what is multiplied and then added is
// one instruction there; of what was fetched to shared memory, a pack at a time, by twos.
template <int I, class W> __device__ __forceinline__ auto reduce_packs(W& w) {
  using Code = typename W::Code;
  using R = reduction_at<Code, I>;
  auto state_of = [&](int p, int v) {
    return R::of(operand<Code, Code::a(I)>(w.values, p * W::V + v), static_cast<i64>(w.column(p)) + v);
  };
  if constexpr (!W::tail && picks<Code>(I)) {
    return pick<I>(w);
  } else if constexpr (W::at_once == 1 && W::stages > 0 && !W::sums_columns) {
    typename R::state x[W::V];
#pragma unroll
    for (int v = 0; v < W::V; ++v) x[v] = state_of(0, v);
    return w.inside(0) ? of_all<R>(x) : R::none();
  } else {
    typename R::state x = R::none();
#pragma unroll
    for (int p = 0; p < W::at_once; ++p) {
      if (!w.inside(p)) continue;
#pragma unroll
      for (int v = 0; v < W::V; ++v)
        if (w.inside(p, v)) x = R::both(x, state_of(p, v));
    }
    return x;
  }
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
  constexpr int warps = warps_of_row<W>, bytes = 16 * warps * W::Rows;
  return reinterpret_cast<typename reduction_at<Code, I>::state*>(
             shared + (2 * Code::place(I, Code::reduces_row) + turn) * bytes) +
         w.team * warps;
}
template <int I, int Round, class W>
__device__ __forceinline__ void reduce_warp(W& w, typename reduction_at<typename W::Code, I>::state x,
                                            char* shared, int turn) {
  using R = reduction_at<typename W::Code, I>;
  x = over_warp<R, W::Lanes>(x);
  if constexpr (W::Cluster > 1) {
    const u32 in_warp = threadIdx.x % 32;
    auto* mine = shared_place<I>(w, shared, turn) + w.tile * (W::Lanes / 32) + w.lane / 32;
    if (in_warp < W::Cluster) w.meeting.tell(static_cast<u32>(__cvta_generic_to_shared(mine)), in_warp, x);
    __syncwarp();
  } else if constexpr (W::Lanes > 32) {
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
    constexpr int warps = warps_of_row<W>;
    typename R::state x = R::none();
    if constexpr (warps > 16) {
#pragma unroll
      for (int k = 0; k < warps; k += 32)
        if (k + 32 <= warps || k + static_cast<int>(threadIdx.x % 32) < warps)
          x = R::both(x, all[k + static_cast<int>(threadIdx.x % 32)]);
      x = over_warp<R, 32>(x);
    } else {
      typename R::state from[warps];
#pragma unroll
      for (int k = 0; k < warps; ++k) from[k] = all[k];
      x = of_all<R>(from);
    }
    get<I>(w.values).item[0] = R::result(x);
  }
}
template <int I, int Round, class W> consteval int bytes_in() {
  if constexpr (reduces_in<typename W::Code>(I, Round))
    return told_bytes<typename reduction_at<typename W::Code, I>::state>;
  else
    return 0;
}
template <int Round, class W, int... I>
__device__ __forceinline__ void reduce_teams(W& w, indices<I...>, char* shared, int turn) {
  if constexpr (any_reduces_in<typename W::Code>(Round)) {
    if constexpr (W::Cluster > 1)
      w.meeting.meet((bytes_in<I, Round, W>() + ... + 0) * warps_of_row<W>);
    else if constexpr (W::Lanes > 32)
      __syncthreads();
  }
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
  } else if (w.active && w.lane == 0 && w.first_column == 0) {
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
        using Index = decltype(w.first_column);
#pragma unroll
        for (int p = 0; p < W::Packs; ++p) {
          const Index at = w.first_column + static_cast<Index>((p * Lanes + w.lane) * V);
          if (!(at < static_cast<Index>(w.args.inner))) continue;
          state* to = partial + at;
#pragma unroll
          for (int v = 0; v < V; ++v)
            if (!W::tail || at + static_cast<Index>(v) < static_cast<Index>(w.args.inner))
              to[v] = mine[p * V + v];
        }
      }
    }
  }
}

// Sums that end where they were summed: by the block, or by a cluster of Together blocks, in the order of
// their teams and blocks.
template <int K, class W, class X, int... I>
__device__ __forceinline__ void store_sums(W& w, i64 column, X x, indices<I...>) {
  using Index = decltype(w.first_column);
  (w.template store_sum<I, K>(static_cast<Index>(column), x), ...);
}
template <int I, int Together, class W, class Sums>
__device__ __forceinline__ void finish_here(W& w, Sums& totals, char* shared) {
  using Code = typename W::Code;
  if constexpr (Code::accumulates(I)) {
    using R = reduction_at<Code, I>;
    using state = typename R::state;
    constexpr bool total = Code::mode(I) == reduce::total;
    constexpr int V = W::V, N = total ? 1 : W::Packs * V, Lanes = total ? 1 : W::Lanes;
    constexpr int threads = W::Lanes * W::Rows, columns = Lanes * N;
    constexpr int parts = Lanes < 32 ? threads / 32 : W::Rows;
    state* all = reinterpret_cast<state*>(shared);
    auto& mine = get<I>(totals).item;
    const int lane = static_cast<int>(threadIdx.x) % Lanes;
    const int part = static_cast<int>(threadIdx.x) / (Lanes < 32 ? 32 : Lanes);
    __syncthreads();
#pragma unroll
    for (int e = 0; e < N; ++e) {
#pragma unroll
      for (int mask = 16; mask >= Lanes; mask /= 2) mine[e] = R::both(mine[e], shuffle(mine[e], mask));
      if (Lanes >= 32 || threadIdx.x % 32 < Lanes)
        all[part * columns + (e / V * Lanes + lane) * V + e % V] = mine[e];
    }
    __syncthreads();
    const i64 first = total ? 0 : static_cast<i64>(w.first_column), past = total ? 1 : w.args.inner;
    for (int c = static_cast<int>(threadIdx.x); c < columns; c += threads) {
      state x = all[c];
#pragma unroll 8
      for (int t = 1; t < parts; ++t) x = R::both(x, all[t * columns + c]);
      if constexpr (Together > 1)
        all[c] = x;
      else if (first + c < past)
        store_sums<I>(w, first + c, R::result(x), typename make_indices<Code::size>::type{});
    }
    if constexpr (Together > 1) {
      begin_cluster_barrier(), end_cluster_barrier();
      for (int c = static_cast<int>(w.row_block) * threads + static_cast<int>(threadIdx.x); c < columns;
           c += Together * threads) {
        const u32 at = static_cast<u32>(__cvta_generic_to_shared(all + c));
        state from[Together];
#pragma unroll
        for (int k = 0; k < Together; ++k) ask(at, static_cast<u32>(k), from[k]);
#pragma unroll
        for (int k = 1; k < Together; ++k) from[0] = R::both(from[0], from[k]);
        if (first + c < past)
          store_sums<I>(w, first + c, R::result(from[0]), typename make_indices<Code::size>::type{});
      }
      begin_cluster_barrier(), end_cluster_barrier();  // what others still read is not written again
    }
  }
}

}  // namespace flame::kernel
