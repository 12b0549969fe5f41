// The kernel of every fused group: threads walk rows in packs, hold each value of a row in registers, reduce
// along rows together, and sum over rows each for itself.
//
// A block has Rows teams of Lanes threads. A team holds one row, or, in a group that reduces no row, a tile
// of one: N packs of V elements a thread. Where a row is too long for that, Rounds are made over it: one for
// each reduction that waits for another, each computing anew what it needs.
#pragma once
#include <flame/run/cuda/kernel/arguments.hpp>
#include <flame/run/cuda/kernel/code.hpp>

namespace flame::kernel {

__device__ __forceinline__ u32 quotient(u32 n, const divisor& d) {
  return static_cast<u32>((u64{__umulhi(n, d.multiplier)} + n) >> d.shift);
}

// ---- Registers ----

template <int I, class T, int N> struct cell { T item[N]; };
template <class Code, int N, class I> struct bank_of;
template <class Code, int I, int N> inline constexpr int items_of = Code::at(I) == width::full ? N : 1;
template <class Code, int N, int... I>
struct bank_of<Code, N, indices<I...>> : cell<I, computed<Code::stores(I) ? i32_ : Code::value(I)>,
                                              Code::stores(I) ? 1 : items_of<Code, I, N>>... {};
template <class Code, int N> using bank = bank_of<Code, N, typename make_indices<Code::size>::type>;

template <int I, class T, int N> __device__ __forceinline__ cell<I, T, N>& get(cell<I, T, N>& c) { return c; }

// What values are summed over rows.
template <class Code, int I, bool Is> struct sum_type { using type = char; };
template <class Code, int I> struct sum_type<Code, I, true> {
  using type = typename reduction<Code::operation(I), computed<Code::element(I)>>::state;
};
template <class Code, int N, class I> struct sums_of;
template <class Code, int N, int... I>
struct sums_of<Code, N, indices<I...>>
    : cell<I, typename sum_type<Code, I, Code::accumulates(I)>::type,
           Code::accumulates(I) && Code::mode(I) == reduce::column ? N : 1>... {};
template <class Code, int N> using sums = sums_of<Code, N, typename make_indices<Code::size>::type>;

// ---- One block ----

template <class Code, int V, int Packs, int Lanes, int Rows, bool Wide, bool Tail, bool Simple, class Index>
struct worker {
  static constexpr int N = V * Packs;
  static constexpr bool quick = Code::only_halves();
  static constexpr bool has_rows = Code::any(Code::reduces_row);
  static constexpr bool has_sums = Code::any(Code::accumulates);

  const arguments<Code::slots>& args;
  int lane, team;
  Index first_column = 0;  // of the tile
  u32 row = 0, batch = 0, tile = 0, row_block = 0;
  bool active = true;                               // the team has a row
  Index offset[Code::slots > 0 ? Code::slots : 1];  // of the row
  bank<Code, N> values;
  sums<Code, N> totals;

  __device__ __forceinline__ explicit worker(const arguments<Code::slots>& a)
      : args(a), lane(static_cast<int>(threadIdx.x % Lanes)), team(static_cast<int>(threadIdx.x / Lanes)) {}

  __device__ __forceinline__ Index column(int pack) const {
    return first_column + static_cast<Index>((pack * Lanes + lane) * V);
  }
  __device__ __forceinline__ bool inside(int pack) const {
    return active && column(pack) < static_cast<Index>(args.over.inner);
  }

  // Element v of a pack that begins inside.
  __device__ __forceinline__ bool inside(int pack, int v) const {
    return !Tail || column(pack) + static_cast<Index>(v) < static_cast<Index>(args.over.inner);
  }
  __device__ __forceinline__ bool whole(int pack) const { return inside(pack, V - 1); }

  // ---- Where ----

  template <int S> __device__ __forceinline__ void origin() {
    offset[S] = Code::kind(S) == slot::index ? static_cast<Index>(args.slots[S].bits) : Index{0};
  }
  template <int S> __device__ __forceinline__ void move(u32 steps, int axis) {
    if constexpr (Code::kind(S) != slot::uniform && Code::reached(S) != access::none && !Code::repeats(S))
      offset[S] += static_cast<Index>(steps) * static_cast<Index>(args.slots[S].strides[axis]);
  }
  template <int... S> __device__ __forceinline__ void locate(indices<S...>) {
    (origin<S>(), ...);
    if constexpr (Simple) {
      (move<S>(row, 0), ...);
      return;
    }
    u32 rest = row;
    int axis = args.over.batch_rank + args.over.outer_rank - 1;
    for (; axis > args.over.batch_rank; --axis) {
      const u32 q = quotient(rest, args.over.axes[axis]), steps = rest - q * args.over.axes[axis].number;
      (move<S>(steps, axis), ...);
      rest = q;
    }
    if (axis == args.over.batch_rank) (move<S>(rest, axis), ...);
    if (args.over.batch_rank == 0) return;
    rest = batch;
    for (axis = args.over.batch_rank - 1; axis > 0; --axis) {
      const u32 q = quotient(rest, args.over.axes[axis]), steps = rest - q * args.over.axes[axis].number;
      (move<S>(steps, axis), ...);
      rest = q;
    }
    (move<S>(rest, 0), ...);
  }
  __device__ __forceinline__ void locate() { locate(typename make_indices<Code::slots>::type{}); }

  // Of a column, relative to the row.
  template <int S> __device__ __forceinline__ Index along(Index at) const {
    const slot_argument& s = args.slots[S];
    const int first = args.over.batch_rank + args.over.outer_rank;
    if constexpr (Code::reached(S) == access::vector) {
      return at;
    } else if constexpr (Code::reached(S) == access::one) {
      return 0;
    } else if constexpr (Code::reached(S) == access::strided) {
      return at * static_cast<Index>(s.strides[first]);
    } else {
      Index to = 0;
      u32 rest = static_cast<u32>(at);
      for (int k = args.over.inner_rank - 1; k >= 0; --k) {
        const u32 q = quotient(rest, args.over.axes[first + k]);
        to += static_cast<Index>(rest - q * args.over.axes[first + k].number) *
              static_cast<Index>(s.strides[first + k]);
        rest = q;
      }
      return to;
    }
  }

  // ---- Loads ----

  template <int I> __device__ __forceinline__ void load() {
    constexpr int S = Code::a(I), D = Code::slot_element(S);
    auto& to = get<I>(values).item;
    const slot_argument& s = args.slots[S];
    if constexpr (Code::kind(S) == slot::uniform) {
      if constexpr (Code::reached(S) != access::none)
        to[0] = element<D>::read(*static_cast<const stored<D>*>(s.memory));
      else if constexpr (!is_float<computed<D>>)
        to[0] = static_cast<computed<D>>(s.bits);
      else if constexpr (sizeof(computed<D>) == 4)
        to[0] = __uint_as_float(static_cast<u32>(s.bits));
      else
        to[0] = __longlong_as_double(static_cast<i64>(s.bits));
    } else if constexpr (Code::kind(S) == slot::index) {
      if constexpr (Code::at(I) == width::row) {
        to[0] = static_cast<computed<Code::element(I)>>(offset[S]);
      } else {
#pragma unroll
        for (int p = 0; p < Packs; ++p)
#pragma unroll
          for (int v = 0; v < V; ++v)
            to[p * V + v] = static_cast<computed<Code::element(I)>>(
                offset[S] + along<S>(column(p) + static_cast<Index>(v)));
      }
    } else if constexpr (Code::at(I) == width::row) {
      to[0] = computed<D>{};
      if (active) to[0] = element<D>::read(static_cast<const stored<D>*>(s.memory)[offset[S]]);
    } else {
#pragma unroll
      for (int p = 0; p < Packs; ++p) {
        computed<D>* pack_of = to + p * V;
        if (!inside(p)) {
#pragma unroll
          for (int v = 0; v < V; ++v) pack_of[v] = computed<D>{};
        } else if (Code::reached(S) == access::vector && whole(p)) {
          pack<D, V>::read(s.memory, static_cast<i64>(offset[S] + column(p)), pack_of);
        } else if constexpr (Code::reached(S) == access::one) {
          pack_of[0] = element<D>::read(static_cast<const stored<D>*>(s.memory)[offset[S]]);
#pragma unroll
          for (int v = 1; v < V; ++v) pack_of[v] = pack_of[0];
        } else {
#pragma unroll
          for (int v = 0; v < V; ++v) {
            pack_of[v] = computed<D>{};
            if (inside(p, v))
              pack_of[v] = element<D>::read(static_cast<const stored<D>*>(
                  s.memory)[offset[S] + along<S>(column(p) + static_cast<Index>(v))]);
          }
        }
      }
    }
  }

  // ---- Elementwise ----

  // Element e of operand K of instruction I.
  template <int I, int K> __device__ __forceinline__ auto operand(int e) {
    return get<K>(values).item[items_of<Code, K, N> == 1 ? 0 : e];
  }

  template <int I> __device__ __forceinline__ void compute() {
    constexpr op O = Code::operation(I);
    auto& to = get<I>(values).item;
    constexpr int count = items_of<Code, I, N>;
#pragma unroll
    for (int e = 0; e < count; ++e) {
      if constexpr (O == op::uniform) {
        to[e] = uniform_element<computed<Code::element(I)>>(operand<I, Code::a(I)>(e),
                                                            static_cast<u64>(operand<I, Code::b(I)>(e)));
      } else if constexpr (O == op::normal) {
        to[e] = normal_element<computed<Code::element(I)>>(operand<I, Code::a(I)>(e),
                                                           static_cast<u64>(operand<I, Code::b(I)>(e)));
      } else if constexpr (O == op::fold) {
        to[e] =
            fold(operand<I, Code::a(I)>(e), static_cast<u64>(static_cast<i64>(operand<I, Code::b(I)>(e))));
      } else if constexpr (O == op::cast) {
        to[e] = convert<computed<Code::element(I)>>(operand<I, Code::a(I)>(e));
      } else if constexpr (O == op::where) {
        to[e] = operand<I, Code::a(I)>(e) ? operand<I, Code::b(I)>(e) : operand<I, Code::c(I)>(e);
      } else if constexpr (Code::b(I) >= 0) {
        to[e] = binary<O, quick>(operand<I, Code::a(I)>(e), operand<I, Code::b(I)>(e));
      } else {
        to[e] = unary<O, quick>(operand<I, Code::a(I)>(e));
      }
    }
  }

  // ---- Along rows ----

  static constexpr int warps = Lanes / 32 > 0 ? Lanes / 32 : 1;  // of a team

  template <class R> static __device__ __forceinline__ typename R::state over_warp(typename R::state x) {
    constexpr int in_warp = Lanes < 32 ? Lanes : 32;
#pragma unroll
    for (int mask = in_warp / 2; mask > 0; mask /= 2) x = R::both(x, shuffle(x, mask));
    return x;
  }

  template <int I> using reduction_at = reduction<Code::operation(I), computed<Code::element(I)>>;

  template <int I> __device__ __forceinline__ auto reduce_packs() {
    using R = reduction_at<I>;
    constexpr int K = Code::a(I);
    typename R::state x = R::none();
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      if (!inside(p)) continue;
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (inside(p, v)) x = R::both(x, R::of(operand<I, K>(p * V + v), static_cast<i64>(column(p)) + v));
    }
    return x;
  }

  // A team of several warps meets in shared memory. Each reduction has two places there, which rows use in
  // turn: one barrier is enough, and all reductions of a round share it.
  static constexpr int place_bytes = 16 * warps * Rows;
  template <int I> __device__ __forceinline__ auto* shared_place(char* shared, int turn) const {
    using state = typename reduction_at<I>::state;
    return reinterpret_cast<state*>(shared + (2 * Code::place(I, Code::reduces_row) + turn) * place_bytes) +
           team * warps;
  }
  template <int I, int Round>
  __device__ __forceinline__ void reduce_warp(typename reduction_at<I>::state x, char* shared, int turn) {
    using R = reduction_at<I>;
    x = over_warp<R>(x);
    if constexpr (Lanes > 32) {
      if (threadIdx.x % 32 == 0) shared_place<I>(shared, turn)[lane / 32] = x;
    } else {
      get<I>(values).item[0] = R::result(x);
    }
  }
  template <int I, int Round> __device__ __forceinline__ void reduce_team(char* shared, int turn) {
    if constexpr (Lanes > 32 && reduces_in(I, Round)) {
      using R = reduction_at<I>;
      const auto* all = shared_place<I>(shared, turn);
      typename R::state x = all[0];
#pragma unroll
      for (int w = 1; w < warps; ++w) x = R::both(x, all[w]);
      get<I>(values).item[0] = R::result(x);
    }
  }
  static consteval bool reduces_in(int i, int round) {
    return Code::reduces_row(i) && Code::round(i) == round;
  }
  static consteval bool any_reduces_in(int round) {
    for (int i = 0; i < Code::size; ++i)
      if (reduces_in(i, round)) return true;
    return false;
  }
  template <int Round, int... I>
  __device__ __forceinline__ void reduce_teams(indices<I...>, char* shared, int turn) {
    if constexpr (Lanes > 32 && any_reduces_in(Round)) __syncthreads();
    (reduce_team<I, Round>(shared, turn), ...);
  }

  // ---- Over rows ----

  template <int I> __device__ __forceinline__ void accumulate() {
    using R = reduction_at<I>;
    constexpr int K = Code::a(I);
    auto& to = get<I>(totals).item;
    if constexpr (Code::mode(I) == reduce::column) {
#pragma unroll
      for (int p = 0; p < Packs; ++p) {
        if (!inside(p)) continue;
#pragma unroll
        for (int v = 0; v < V; ++v)
          if (inside(p, v)) to[p * V + v] = R::both(to[p * V + v], R::of(operand<I, K>(p * V + v), i64{row}));
      }
    } else if constexpr (Code::at(K) != width::row) {  // one number for all: once for each
#pragma unroll
      for (int p = 0; p < Packs; ++p) {
        if (!inside(p)) continue;
#pragma unroll
        for (int v = 0; v < V; ++v)
          if (inside(p, v))
            to[0] = R::both(to[0], R::of(operand<I, K>(p * V + v),
                                         i64{row} * args.over.inner + static_cast<i64>(column(p)) + v));
      }
    } else if (active && lane == 0) {
      to[0] = R::both(to[0], R::of(operand<I, K>(0), i64{row}));
    }
  }

  // Where a row is longer than a team holds, so are the sums: the block keeps them where it leaves them, and
  // a column is one thread's.
  template <int I> __device__ __forceinline__ void accumulate_in_memory() {
    using R = reduction_at<I>;
    using state = typename R::state;
    constexpr int K = Code::a(I), D = Code::element(I);
    constexpr bool by_packs = !Tail && Code::operation(I) != op::argmax && sizeof(state) >= 4;
    const i64 at = (i64{batch} * args.row_blocks.number + row_block) * args.over.inner;
    state* to = static_cast<state*>(args.partial[Code::place(I, Code::accumulates)]) + at;
    const bool first = row == row_block * args.rows_a_block;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      if (!inside(p)) continue;
      state sum[V];
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] = R::none();
      if constexpr (by_packs) {
        if (!first) pack<D, V>::read(to, static_cast<i64>(column(p)), sum);
      } else {
#pragma unroll
        for (int v = 0; v < V; ++v)
          if (!first && inside(p, v)) sum[v] = to[column(p) + static_cast<Index>(v)];
      }
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] = R::both(sum[v], R::of(operand<I, K>(p * V + v), i64{row}));
      if constexpr (by_packs) {
        pack<D, V>::write(to, static_cast<i64>(column(p)), sum);
      } else {
#pragma unroll
        for (int v = 0; v < V; ++v)
          if (inside(p, v)) to[column(p) + static_cast<Index>(v)] = sum[v];
      }
    }
  }
  // Summed there, not in registers.
  static consteval bool in_memory(int i) {
    return Wide && Code::accumulates(i) && Code::mode(i) == reduce::column;
  }

  // ---- Stores ----

  template <int I> __device__ __forceinline__ void store() {
    constexpr int S = Code::a(I), K = Code::b(I), D = Code::slot_element(S);
    if constexpr (Code::reached(S) != access::none && !Code::accumulates(K)) {
      const slot_argument& s = args.slots[S];
      if constexpr (Code::at(I) == width::uniform) {
        if (threadIdx.x == 0 && blockIdx.x == 0)
          *static_cast<stored<D>*>(s.memory) = element<D>::write(operand<I, K>(0));
      } else if constexpr (Code::at(I) == width::row) {
        if (active && lane == 0 && first_column == 0)
          static_cast<stored<D>*>(s.memory)[offset[S]] = element<D>::write(operand<I, K>(0));
      } else {
#pragma unroll
        for (int p = 0; p < Packs; ++p) {
          if (!inside(p)) continue;
          computed<D> out[V];
#pragma unroll
          for (int v = 0; v < V; ++v) out[v] = operand<I, K>(p * V + v);
          if (Code::reached(S) == access::vector && whole(p)) {
            pack<D, V>::write(s.memory, static_cast<i64>(offset[S] + column(p)), out);
          } else {
#pragma unroll
            for (int v = 0; v < V; ++v)
              if (inside(p, v))
                static_cast<stored<D>*>(s.memory)[offset[S] + along<S>(column(p) + static_cast<Index>(v))] =
                    element<D>::write(out[v]);
          }
        }
      }
    }
  }

  // ---- The body ----

  // What all rows have in common is read once where it takes few registers, else with each row.
  static consteval bool loads_once(int i) { return Code::loads_once(i) && !Wide && N <= 8; }

  // Uniform values, and what all rows have in common.
  template <int I> __device__ __forceinline__ void uniform_step() {
    if constexpr (loads_once(I)) {
      load<I>();
    } else if constexpr (Code::at(I) == width::uniform && !Code::accumulates(I)) {
      if constexpr (Code::loads(I))
        load<I>();
      else if constexpr (Code::stores(I))
        store<I>();
      else
        compute<I>();
    }
  }
  // Values of a row, or of a tile of it, that wait for the reductions of so many rounds.
  template <int I, int Round> __device__ __forceinline__ void step() {
    if constexpr (Code::round(I) != Round || (Code::at(I) == width::uniform && !Code::accumulates(I))) {
    } else if constexpr (loads_once(I) || Code::reduces_row(I)) {
    } else if constexpr (Code::loads(I)) {
      load<I>();
    } else if constexpr (Code::stores(I)) {
      store<I>();
    } else if constexpr (Code::accumulates(I)) {
      accumulate<I>();
    } else {
      compute<I>();
    }
  }
  template <int I, int Round> __device__ __forceinline__ void reduce(char* shared, int turn) {
    if constexpr (reduces_in(I, Round)) reduce_warp<I, Round>(reduce_packs<I>(), shared, turn);
  }

  template <int... I> __device__ __forceinline__ void begin(indices<I...>) {
    (uniform_step<I>(), ...);
    (clear<I>(), ...);
  }
  template <int I> __device__ __forceinline__ void clear() {
    if constexpr (Code::accumulates(I)) {
      using R = reduction_at<I>;
      for (auto& x : get<I>(totals).item) x = R::none();
    }
  }
  template <int Round, int... I>
  __device__ __forceinline__ void body(indices<I...> all, char* shared, int turn) {
    (step<I, Round>(), ...);
    (reduce<I, Round>(shared, turn), ...);
    reduce_teams<Round>(all, shared, turn);
    if constexpr (Round < Code::rounds()) body<Round + 1>(all, shared, turn);
  }

  // ---- Rows that registers do not hold ----

  template <int I> __device__ __forceinline__ void wide_step(int round) {
    if constexpr (Code::at(I) == width::full && !Code::accumulates(I) && !Code::reduces_row(I)) {
      if constexpr (Code::loads(I)) {
        load<I>();
      } else if constexpr (Code::stores(I)) {
        if (round == Code::rounds()) store<I>();
      } else if (Code::round(I) <= round) {
        compute<I>();
      }
    } else if constexpr (in_memory(I)) {
      if (round == Code::rounds()) accumulate_in_memory<I>();
    } else if constexpr (Code::accumulates(I)) {
      if (round == Code::rounds() && Code::at(Code::a(I)) != width::row) accumulate<I>();
    }
  }
  template <int I, int Round> __device__ __forceinline__ void wide_reduce() {
    if constexpr (Code::reduces_row(I) && Code::round(I) == Round) {
      using R = reduction_at<I>;
      get<I>(row_states).item[0] = R::both(get<I>(row_states).item[0], reduce_packs<I>());
    }
  }
  template <int I, int Round> __device__ __forceinline__ void wide_begin() {
    if constexpr (Code::reduces_row(I) && Code::round(I) == Round)
      get<I>(row_states).item[0] = reduction_at<I>::none();
  }
  template <int I, int Round> __device__ __forceinline__ void wide_end(char* shared, int turn) {
    if constexpr (reduces_in(I, Round)) reduce_warp<I, Round>(get<I>(row_states).item[0], shared, turn);
  }
  // Row values that wait for this round's reductions and no others; loads of row values before the first.
  template <int I, int Round> __device__ __forceinline__ void wide_row() {
    if constexpr (Code::at(I) == width::row && !Code::reduces_row(I) && !Code::accumulates(I)) {
      if constexpr (Code::loads(I)) {
        if constexpr (Round == 0) load<I>();
      } else if constexpr (Code::stores(I)) {
        if constexpr (Round == Code::rounds()) store<I>();
      } else if constexpr (Code::round(I) == Round) {
        compute<I>();
      }
    } else if constexpr (Code::accumulates(I) && !in_memory(I)) {
      if constexpr (Round == Code::rounds() && Code::at(Code::a(I)) == width::row) accumulate<I>();
    }
  }
  template <int Round, int... I>
  __device__ __forceinline__ void wide_round(indices<I...> all, char* shared, int turn) {
    (wide_row<I, Round>(), ...);
    (wide_begin<I, Round>(), ...);
    for (Index at = 0; at < static_cast<Index>(args.over.inner); at += Lanes * N) {
      first_column = at;
      (wide_step<I>(Round), ...);
      (wide_reduce<I, Round>(), ...);
    }
    first_column = 0;
    (wide_end<I, Round>(shared, turn), ...);
    reduce_teams<Round>(all, shared, turn);
    if constexpr (Round < Code::rounds()) wide_round<Round + 1>(all, shared, turn);
  }
  template <class Code_, class I> struct states_of;
  template <class Code_, int... I>
  struct states_of<Code_, indices<I...>>
      : cell<I, typename sum_type<Code_, I, Code_::reduces_row(I)>::type, 1>... {};
  states_of<Code, typename make_indices<Wide ? Code::size : 0>::type> row_states;

  // ---- The end ----

  // What the block has summed: over its teams in their order, then to its place.
  template <int I> __device__ __forceinline__ void finish(char* shared) {
    if constexpr (Code::accumulates(I) && !in_memory(I)) {
      using R = reduction_at<I>;
      using state = typename R::state;
      constexpr int number = Code::place(I, Code::accumulates);
      state* all = reinterpret_cast<state*>(shared);
      auto& mine = get<I>(totals).item;
      __syncthreads();
      if constexpr (Code::mode(I) == reduce::total) {
        // Every lane of every team has a part.
        state x = mine[0];
#pragma unroll
        for (int mask = 16; mask > 0; mask /= 2) x = R::both(x, shuffle(x, mask));
        if (threadIdx.x % 32 == 0) all[threadIdx.x / 32] = x;
        __syncthreads();
        if (threadIdx.x == 0) {
          for (int w = 1; w < Lanes * Rows / 32; ++w) x = R::both(x, all[w]);
          static_cast<state*>(args.partial[number])[blockIdx.x] = x;
        }
      } else {
        constexpr int columns = Lanes * N;
        if constexpr (Rows > 1) {
#pragma unroll
          for (int e = 0; e < N; ++e) all[team * columns + (e / V * Lanes + lane) * V + e % V] = mine[e];
          __syncthreads();
          for (int c = static_cast<int>(threadIdx.x); c < columns; c += Lanes * Rows) {
            state x = all[c];
            for (int t = 1; t < Rows; ++t) x = R::both(x, all[t * columns + c]);
            const i64 at = static_cast<i64>(first_column) + c;
            if (at < args.over.inner)
              static_cast<state*>(
                  args.partial[number])[(i64{batch} * args.row_blocks.number + row_block) * args.over.inner +
                                        at] = x;
          }
        } else {
#pragma unroll
          for (int e = 0; e < N; ++e) {
            const i64 at = static_cast<i64>(first_column) + (e / V * Lanes + lane) * V + e % V;
            if (at < args.over.inner)
              static_cast<state*>(
                  args.partial[number])[(i64{batch} * args.row_blocks.number + row_block) * args.over.inner +
                                        at] = mine[e];
          }
        }
      }
    }
  }
  template <int... I> __device__ __forceinline__ void end(indices<I...>, char* shared) {
    (finish<I>(shared), ...);
  }

  __device__ __forceinline__ void run(char* shared) {
    using all = typename make_indices<Code::size>::type;
    u32 rest = blockIdx.x;
    if constexpr (!has_rows) {
      rest = quotient(blockIdx.x, args.tiles);
      tile = blockIdx.x - rest * args.tiles.number;
    }
    row_block = rest;
    if constexpr (!Simple) {
      batch = quotient(rest, args.row_blocks);
      row_block = rest - batch * args.row_blocks.number;
    }
    if constexpr (!Wide) first_column = static_cast<Index>(tile) * (Lanes * N);
    row = row_block * args.rows_a_block;
    const u32 outer = static_cast<u32>(args.over.outer);
    const u32 past = row + args.rows_a_block < outer ? row + args.rows_a_block : outer;
    locate();
    begin(all{});
    int turn = 0;
    for (u32 r = row; r < past; r += Rows, turn ^= 1) {
      row = r + static_cast<u32>(team);
      if constexpr (Rows > 1) active = row < past;
      locate();
      if constexpr (Wide)
        wide_round<0>(all{}, shared, turn);
      else
        body<0>(all{}, shared, turn);
    }
    active = true;
    if constexpr (has_sums) end(all{}, shared);
  }
};

// Wide: rows are longer than a team holds. Tail: V does not divide the one row that there is. Simple: no
// batch, and at most one outer axis.
template <int V, int Packs, int Lanes, int Rows, bool Wide, bool Tail, bool Simple, class Index, u64... W>
__global__ void __launch_bounds__(Lanes* Rows)
    group(const __grid_constant__ arguments<code<W...>::slots> args) {
  extern __shared__ __align__(16) char shared[];
  begin_kernel();
  worker<code<W...>, V, Packs, Lanes, Rows, Wide, Tail, Simple, Index> w(args);
  w.run(shared);
}

}  // namespace flame::kernel
