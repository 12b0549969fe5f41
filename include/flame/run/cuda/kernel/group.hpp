// The kernel of every fused group that reduces: rows reduced along, and sums over rows.
//
// How a row is held. Values: every value of a row in registers, once computed. Loads: what was read of a row
// stays in registers as it lay in memory, and each round computes anew what it needs, a pack at a time: many
// more bytes of a row fit. Nothing: rows too long for registers are read again in each round. A round is what
// reductions that wait for others wait for.
#pragma once
#include <flame/run/cuda/kernel/reduce.hpp>

namespace flame::kernel {

enum class held { values, loads, nothing };

template <class Walker, held Held> struct worker : Walker {
  using W = Walker;
  using Code = typename W::Code;
  using all = typename make_indices<Code::size>::type;
  static constexpr bool has_rows = Code::any(Code::reduces_row);
  static constexpr bool has_sums = Code::any(Code::accumulates);

  sums<Code, Held == held::nothing ? 1 : W::Packs * W::V> totals;
  __device__ __forceinline__ explicit worker(const arguments<Code::slots>& a) : Walker(a) {}

  // What the whole group has in common.
  template <int I> __device__ __forceinline__ void uniform_step() {
    if constexpr (Code::at(I) == width::uniform && !Code::accumulates(I)) {
      if constexpr (Code::loads(I))
        this->template load<I>();
      else if constexpr (Code::stores(I))
        this->template store<I>();
      else
        compute<Code, I>(this->values);
    }
  }
  template <int... I> __device__ __forceinline__ void begin(indices<I...>) {
    (uniform_step<I>(), ...);
    (clear<I>(*this, totals), ...);
  }
  template <int... I> __device__ __forceinline__ void end(indices<I...>, char* shared) {
    (end_sum<I>(shared), ...);
  }

  template <int I> __device__ __forceinline__ void end_sum(char* shared) {
    if constexpr (Code::accumulates(I) && !in_memory(I)) finish_sum<I>(*this, totals, shared);
  }

  // ---- Values in registers ----

  template <int I, int Round> __device__ __forceinline__ void step() {
    if constexpr (Code::round(I) != Round || (Code::at(I) == width::uniform && !Code::accumulates(I)) ||
                  Code::reduces_row(I)) {
    } else if constexpr (Code::loads(I)) {
      this->template load<I>();
    } else if constexpr (Code::stores(I)) {
      this->template store<I>();
    } else if constexpr (Code::accumulates(I)) {
      accumulate<I>(*this, totals, 0);
    } else {
      compute<Code, I>(this->values);
    }
  }
  template <int I, int Round> __device__ __forceinline__ void reduce_row(char* shared, int turn) {
    if constexpr (reduces_in<Code>(I, Round))
      reduce_warp<I, Round>(*this, reduce_packs<I>(*this), shared, turn);
  }
  template <int Round, int... I>
  __device__ __forceinline__ void rounds(indices<I...>, char* shared, int turn) {
    (step<I, Round>(), ...);
    (reduce_row<I, Round>(shared, turn), ...);
    reduce_teams<Round>(*this, all{}, shared, turn);
    if constexpr (Round < Code::rounds()) rounds<Round + 1>(all{}, shared, turn);
  }

  // ---- Loads in registers, or nothing ----

  row_states<Code> states;

  // Summed over rows there, not in registers.
  static consteval bool in_memory(int i) {
    return Held == held::nothing && Code::accumulates(i) && Code::mode(i) == reduce::column;
  }

  // Full values, of the packs at hand.
  template <int I, int Round> __device__ __forceinline__ void part_step(int part) {
    constexpr bool last = Round == Code::rounds();
    if constexpr (Code::at(I) == width::full && !Code::accumulates(I) && !Code::reduces_row(I)) {
      if constexpr (Code::loads(I)) {
        if constexpr (holds(I))
          this->template take<I>(0, get<I>(kept).item[part]);
        else
          this->template load<I>();
      } else if constexpr (Code::stores(I)) {
        if constexpr (last) this->template store<I>();
      } else if constexpr (Code::round(I) <= Round) {
        compute<Code, I>(this->values);
      }
    } else if constexpr (in_memory(I)) {
      if constexpr (last) accumulate_in_memory<I>(*this);
    } else if constexpr (Code::accumulates(I)) {
      if constexpr (last && Code::at(Code::a(I)) != width::row) accumulate<I>(*this, totals, part);
    }
    if constexpr (reduces_in<Code>(I, Round)) {
      auto& x = get<I>(states).item[0];
      x = reduction_at<Code, I>::both(x, reduce_packs<I>(*this));
    }
  }
  // Row values that wait for this round's reductions and no others; loads of row values before the first.
  template <int I, int Round> __device__ __forceinline__ void row_step() {
    constexpr bool last = Round == Code::rounds();
    if constexpr (reduces_in<Code>(I, Round)) {
      get<I>(states).item[0] = reduction_at<Code, I>::none();
    } else if constexpr (Code::at(I) == width::row && !Code::reduces_row(I) && !Code::accumulates(I)) {
      if constexpr (Code::loads(I)) {
        if constexpr (Round == 0) this->template load<I>();
      } else if constexpr (Code::stores(I)) {
        if constexpr (last) this->template store<I>();
      } else if constexpr (Code::round(I) == Round) {
        compute<Code, I>(this->values);
      }
    } else if constexpr (Code::accumulates(I) && !in_memory(I)) {
      if constexpr (last && Code::at(Code::a(I)) == width::row) accumulate<I>(*this, totals, 0);
    }
  }
  template <int I, int Round> __device__ __forceinline__ void part_end(char* shared, int turn) {
    if constexpr (reduces_in<Code>(I, Round))
      reduce_warp<I, Round>(*this, get<I>(states).item[0], shared, turn);
  }
  template <int Round, int... I>
  __device__ __forceinline__ void part_rounds(indices<I...>, char* shared, int turn) {
    (row_step<I, Round>(), ...);
    if constexpr (Held == held::loads) {
#pragma unroll
      for (int p = 0; p < W::Packs; ++p) {
        this->part = p;
        (part_step<I, Round>(p), ...);
      }
      this->part = 0;
      (forget<I>(), ...);
    } else {
      for (decltype(this->first_column) at = 0; at < this->args.inner; at += W::Lanes * W::N) {
        this->first_column = at;
        (part_step<I, Round>(0), ...);
      }
      this->first_column = 0;
    }
    (part_end<I, Round>(shared, turn), ...);
    reduce_teams<Round>(*this, all{}, shared, turn);
    if constexpr (Round < Code::rounds()) part_rounds<Round + 1>(all{}, shared, turn);
  }

  // What of a row is held as it lay in memory.
  static consteval bool holds(int i) {
    return Held == held::loads && Code::loads(i) && Code::at(i) == width::full &&
           Code::kind(Code::a(i)) == slot::input && Code::reached(Code::a(i)) != access::one &&
           !Code::repeats(Code::a(i));
  }
  template <int I, bool Holds> struct kept_type { using type = char; };
  template <int I> struct kept_type<I, true> { using type = typename W::template words_of<Code::a(I)>; };
  template <class I> struct kept_packs;
  template <int... I>
  struct kept_packs<indices<I...>>
      : cell<I, typename kept_type<I, holds(I)>::type, holds(I) ? W::Packs : 1>... {};
  kept_packs<typename make_indices<Held == held::loads ? Code::size : 0>::type> kept;

  template <int I> __device__ __forceinline__ void hold() {
    if constexpr (holds(I)) {
#pragma unroll
      for (int p = 0; p < W::Packs; ++p) get<I>(kept).item[p] = this->template read_words<Code::a(I)>(p);
    }
  }
  // Compilers would keep what they have computed from it, of which there is more; they do not know that this
  // is 0.
  template <int I> __device__ __forceinline__ void forget() {
    if constexpr (holds(I)) {
#pragma unroll
      for (auto& x : get<I>(kept).item) {
#pragma unroll
        for (u32& w : x.word) w ^= this->args.zero;
      }
    }
  }
  template <int... I> __device__ __forceinline__ void hold(indices<I...>) { (hold<I>(), ...); }

  // ---- The block ----

  __device__ __forceinline__ void run(char* shared) {
    u32 rest = blockIdx.x;
    const auto& args = this->args;
    if constexpr (!has_rows) {
      rest = quotient(blockIdx.x, args.tiles);
      this->tile = blockIdx.x - rest * args.tiles.number;
    }
    this->row_block = rest;
    if constexpr (!W::simple) {
      this->batch = quotient(rest, args.row_blocks);
      this->row_block = rest - this->batch * args.row_blocks.number;
    }
    if constexpr (Held != held::nothing) this->first_column = this->tile * (W::Lanes * W::Packs * W::V);
    const u32 first = this->row_block * args.rows_a_block, outer = static_cast<u32>(args.outer);
    const u32 past = first + args.rows_a_block < outer ? first + args.rows_a_block : outer;
    this->row = first;
    this->locate();
    begin(all{});
    int turn = 0;
    for (u32 r = first; r < past; r += W::Rows, turn ^= 1) {
      this->row = r + static_cast<u32>(this->team);
      if constexpr (W::Rows > 1) this->active = this->row < past;
      this->locate();
      if constexpr (Held == held::values) {
        rounds<0>(all{}, shared, turn);
      } else {
        if constexpr (Held == held::loads) hold(all{});
        part_rounds<0>(all{}, shared, turn);
      }
    }
    this->active = true;
    if constexpr (has_sums) end(all{}, shared);
  }
};

// Tail: V does not divide the one row that there is. Simple: no batch, and at most one outer axis.
template <int V, int Packs, int Lanes, int Rows, int Held, bool Tail, bool Simple, class Index, u64... W>
__global__ void __launch_bounds__(Lanes* Rows)
    group(const __grid_constant__ arguments<code<W...>::slots> args) {
  extern __shared__ __align__(16) char shared[];
  begin_kernel();
  constexpr held how = static_cast<held>(Held);
  worker<walker<code<W...>, V, Packs, how == held::loads ? 1 : Packs, Lanes, Rows, Tail, Simple, Index>, how>
      w(args);
  w.run(shared);
}

}  // namespace flame::kernel
