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

// Stages: how many rows are held or on their way in shared memory, if any. Cluster: how many blocks share a
// row, each a tile of it. Together: how many blocks add up what they have summed over rows; 0: they leave it
// in memory for others to add up.
template <class Walker, held Held, int Stages = 0, int Cluster_ = 1, int Together = 0>
struct worker : Walker {
  using W = Walker;
  using Code = typename W::Code;
  static constexpr int Cluster = Cluster_, stages = Stages;
  using all = typename make_indices<Code::size>::type;
  static constexpr bool has_rows = Code::any(Code::reduces_row);
  static constexpr bool has_sums = Code::any(Code::accumulates);
  static constexpr bool sums_columns = any_columns<Code>();

  meeting_place meeting;  // of the blocks that share a row
  sums<Code, Held == held::nothing ? 1 : W::Packs * W::V> totals;
  __device__ __forceinline__ explicit worker(const arguments<Code::slots>& a) : Walker(a) {}

  // What comes through shared memory.
  static consteval int pack_bytes(int i) { return W::V * size_of_element(Code::slot_element(Code::a(i))); }
  static consteval bool staged(int i) {
    return Stages > 0 && Code::loads(i) && Code::at(i) == width::full &&
           Code::kind(Code::a(i)) == slot::input && Code::reached(Code::a(i)) == access::vector &&
           !Code::repeats(Code::a(i)) && pack_bytes(i) % 4 == 0;
  }

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
    if constexpr (Code::accumulates(I) && Together > 0)
      finish_here<I, Together>(*this, totals, shared);
    else if constexpr (Code::accumulates(I) && !in_memory(I))
      finish_sum<I>(*this, totals, shared);
  }

  // ---- Values in registers ----

  template <int I, int Round> __device__ __forceinline__ void step() {
    if constexpr (Code::round(I) != Round || (Code::at(I) == width::uniform && !Code::accumulates(I)) ||
                  Code::reduces_row(I)) {
    } else if constexpr (staged(I)) {
#pragma unroll
      for (int p = 0; p < W::Packs; ++p) this->template take<I>(p, staged_words<I>(p));
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
    if constexpr (Stages > 0 && Round == 0) {
      aim(this->row + Stages * W::Rows);
#pragma unroll
      for (int p = 0; p < W::Packs; ++p) (fetch<I>(p), ...);
    }
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
        if constexpr (staged(I))
          this->template take<I>(0, staged_words<I>(part));
        else if constexpr (holds(I))
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
      if constexpr (Stages > 0 && Round == last_read()) aim(this->row + Stages * W::Rows);
#pragma unroll
      for (int p = 0; p < W::Packs; ++p) {
        this->part = p;
        (part_step<I, Round>(p), ...);
        if constexpr (Stages > 0 && Round == last_read()) (fetch<I>(0), ...);
      }
      this->part = 0;
      (forget<I>(), ...);
      if constexpr (Stages > 0) asm volatile("" ::: "memory");  // read it again, do not keep it
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
    return Held == held::loads && !staged(i) && Code::loads(i) && Code::at(i) == width::full &&
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

  // ---- Rows on their way ----

  static constexpr int threads = W::Lanes * W::Rows;
  typename W::offsets ahead;  // of the row that is fetched next
  bool fetches = false;       // there is one
  u32 past = 0;               // the last row
  char* stage = nullptr;      // where the row at hand lies, and then the next one to be fetched

  // Before it in a stage.
  static consteval int stage_place(int i) {
    int bytes = 0;
    for (int k = 0; k < i; ++k)
      if (staged(k)) bytes += W::Packs * threads * pack_bytes(k);
    return bytes;
  }
  static constexpr int stage_bytes = stage_place(Code::size);

  // The last round that reads rows element by element.
  static consteval int last_read() {
    int last = 0;
    for (int i = 0; i < Code::size; ++i)
      if (Code::reduces_row(i) && Code::round(i) > last)
        last = Code::round(i);
      else if (Code::stores(i) ? Code::at(i) == width::full && Code::reached(Code::a(i)) != access::none &&
                                     !Code::accumulates(Code::b(i))
                               : Code::accumulates(i) && Code::at(Code::a(i)) != width::row)
        return Code::rounds();
    return last;
  }

  // What a thread reads of a pack at a time; threads' parts lie side by side.
  template <int I> static constexpr int part_bytes = pack_bytes(I) < 16 ? pack_bytes(I) : 16;
  template <int I> __device__ __forceinline__ char* stage_of(int p, int n) const {
    return stage + stage_place(I) +
           ((p * (pack_bytes(I) / part_bytes<I>)+n) * threads + static_cast<int>(threadIdx.x)) *
               part_bytes<I>;
  }
  // Of the packs at hand.
  template <int I> __device__ __forceinline__ void fetch(int p) {
    if constexpr (staged(I)) {
      constexpr int S = Code::a(I), bytes = part_bytes<I>;
      if (!fetches || !(this->column(p) < static_cast<decltype(this->column(p))>(this->args.inner))) return;
      const char* from =
          reinterpret_cast<const char*>(this->template memory_of<S>() + (ahead[S] + this->column(p)));
#pragma unroll
      for (int n = 0; n < pack_bytes(I) / bytes; ++n)
        copy_later<bytes>(static_cast<u32>(__cvta_generic_to_shared(stage_of<I>(this->part + p, n))),
                          from + n * bytes);
    }
  }
  __device__ __forceinline__ void aim(u32 row) {
    fetches = row < past;
    this->locate(ahead, row);
  }
  template <int... I> __device__ __forceinline__ void fetch_row(indices<I...>) {
    const int now = this->part;
#pragma unroll
    for (int p = 0; p < W::Packs; ++p) {
      this->part = p;
      (fetch<I>(0), ...);
    }
    this->part = now;
  }
  template <int I> __device__ __forceinline__ auto staged_words(int p) const {
    constexpr int bytes = part_bytes<I>;
    struct alignas(bytes) piece {
      u32 word[bytes / 4];
    };
    typename W::template words_of<Code::a(I)> x;
#pragma unroll
    for (int n = 0; n < pack_bytes(I) / bytes; ++n) {
      const piece from = *reinterpret_cast<const piece*>(stage_of<I>(p, n));
#pragma unroll
      for (int k = 0; k < bytes / 4; ++k) x.word[n * (bytes / 4) + k] = from.word[k];
    }
    return x;
  }

  // ---- The block ----

  __device__ __forceinline__ void run(char* shared) {
    u32 rest = blockIdx.x;
    const auto& args = this->args;
    if constexpr (!has_rows || Cluster > 1) {
      rest = quotient(blockIdx.x, args.tiles);
      this->tile = blockIdx.x - rest * args.tiles.number;
    }
    this->row_block = rest;
    if constexpr (Together > 0) {
      this->row_block = blockIdx.x % Together;
      const u32 number = blockIdx.x / Together;
      this->batch = quotient(number, args.tiles);
      this->tile = number - this->batch * args.tiles.number;
    } else if constexpr (!W::simple) {
      this->batch = quotient(rest, args.row_blocks);
      this->row_block = rest - this->batch * args.row_blocks.number;
    }
    if constexpr (Held != held::nothing) this->first_column = this->tile * (W::Lanes * W::Packs * W::V);
    const u32 first = this->row_block * args.rows_a_block, outer = static_cast<u32>(args.outer);
    past = first + args.rows_a_block < outer ? first + args.rows_a_block : outer;
    this->row = first;
    this->locate();
    if constexpr (Cluster > 1) {
      meeting.barriers = static_cast<u32>(__cvta_generic_to_shared(shared)) + Stages * stage_bytes +
                         2 * Code::count(Code::reduces_row) * 16 * warps_of_row<worker>;
      meeting.open();
      begin_cluster_barrier();  // no block tells another what was not started
    }
    char* const stages = shared;
    if constexpr (Stages > 0) {
      shared += Stages * stage_bytes;
#pragma unroll
      for (int k = 0; k < Stages; ++k) {
        stage = stages + k * stage_bytes;
        aim(first + static_cast<u32>(k * W::Rows + this->team));
        fetch_row(all{});
        end_copies();
      }
      stage = stages;
    }
    begin(all{});
    if constexpr (Cluster > 1) end_cluster_barrier();
    int turn = 0;
    for (u32 r = first; r < past; r += W::Rows, turn ^= 1) {
      this->row = r + static_cast<u32>(this->team);
      if constexpr (W::Rows > 1) this->active = this->row < past;
      this->locate();
      if constexpr (Stages > 0) wait_for_copies<Stages - 1>();
      if constexpr (Held == held::values) {
        rounds<0>(all{}, shared, turn);
      } else {
        if constexpr (Held == held::loads) hold(all{});
        part_rounds<0>(all{}, shared, turn);
      }
      if constexpr (Stages > 0) {
        end_copies();
        stage = stage == stages + (Stages - 1) * stage_bytes ? stages : stage + stage_bytes;
      }
    }
    this->active = true;
    if constexpr (Together > 0) this->row = 0, this->locate();
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

// Groups that reduce over rows alone, and add up all of it: as `group` with values held.
template <int V, int Packs, int Lanes, int Rows, int Together, int Stages, bool Tail, bool Simple,
          class Index, u64... W>
__global__ void __launch_bounds__(Lanes* Rows)
    columns(const __grid_constant__ arguments<code<W...>::slots> args) {
  extern __shared__ __align__(16) char shared[];
  begin_kernel();
  worker<walker<code<W...>, V, Packs, Packs, Lanes, Rows, Tail, Simple, Index>, held::values, Stages, 1,
         Together>
      w(args);
  w.run(shared);
}

// Rows that come through shared memory: as above, but for tails.
template <int V, int Packs, int Lanes, int Rows, int Held, int Stages, int Cluster, bool Simple, class Index,
          u64... W>
__global__ void __launch_bounds__(Lanes* Rows)
    staged(const __grid_constant__ arguments<code<W...>::slots> args) {
  extern __shared__ __align__(16) char shared[];
  begin_kernel();
  constexpr held how = static_cast<held>(Held);
  worker<walker<code<W...>, V, Packs, how == held::loads ? 1 : Packs, Lanes, Rows, false, Simple, Index>, how,
         Stages, Cluster>
      w(args);
  w.run(shared);
}

}  // namespace flame::kernel
