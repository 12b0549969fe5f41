// The kernel of every group that reduces nothing: a thread loads packs of neighbours, then computes and
// stores one after the other.
//
// The space is one row of elements, decomposed into axes for the slots that do not lie side by side all along
// it: once for each pack, which never crosses the end of the last axis. Of two axes, threads lie along the
// last one as the compiler knows, and nothing is divided. Where a slot's neighbours lie along another axis
// than the last (a permuted operand), a thread computes a square of V x V elements, so that both are read and
// written V at a time and all turning happens in registers.
#pragma once
#include <flame/run/cuda/kernel/values.hpp>

namespace flame::kernel {

template <class Code, int Rank, class Index>
struct map_words : map_arguments<Code::slots, Code::slots - Code::short_before(Code::slots),
                                 Code::short_before(Code::slots), Rank, Index> {};

// How the space is cut into blocks.
enum class cut : u8 {
  line,     // along one row of elements
  rows,     // of two axes: a block has whole rows, each of Across threads
  grid,     // of two axes: blocks lie along both, with Across threads along the last
  squares,  // along the last two axes, with Across threads along the last
};
// What blocks do where the space ends.
enum class ends : u8 {
  exact,  // nothing: they divide it
  packs,  // some packs are none
  tail,   // V does not divide the one axis that there is
};

template <class Code, int V, int Packs, int Threads, int Across, int Rank, cut Cut, ends Ends, class Index>
struct mapper {
  static constexpr bool Square = Cut == cut::squares;
  static constexpr int packs = Square ? V : Packs;
  static constexpr bool Tail = Ends == ends::tail;
  // The last two axes of squares: a warp has 8 x 4 of them.
  static constexpr int X = Rank - 1, Y = Rank > 1 ? Rank - 2 : 0;

  const map_words<Code, Rank, Index>& args;
  bank<Code, V, V> values;   // of the pack at hand
  Index first[packs];        // the number of each pack's first element
  bool here[packs];          // the pack begins inside; of a square, of its only place
  Index place[packs][Rank];  // along each axis
  u32 later = 0;             // 0, which the compiler sees late: it reads numbers behind what is loaded

  __device__ __forceinline__ explicit mapper(const map_words<Code, Rank, Index>& a) : args(a) {}

  // Constant memory is slow the first time that a line of it is read: loads of tensors shall be on their way
  // then.
  __device__ __forceinline__ void read_numbers_later() {
    if constexpr (Code::short_before(Code::slots) > 1)
      asm volatile("{ .reg .u32 lane; mov.u32 lane, %%laneid; shr.u32 %0, lane, 5; }" : "=r"(later));
  }
  __device__ __forceinline__ void locate() {
    if constexpr (Square) {
      const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
      const u32 x = lane % 8 + warp % (Across / 8) * 8, y = lane / 8 + warp / (Across / 8) * 4;
      u32 across = blockIdx.x, down = blockIdx.y;
      if constexpr (Rank > 2) {
        const u32 q = quotient(blockIdx.x, args.across), rest = quotient(q, args.down);
        across = blockIdx.x - q * args.across.number, down = q - rest * args.down.number;
        decompose<Rank - 2>(0, rest);
      }
      place[0][X] = (across * Across + x) * V;
      place[0][Y] = (down * (Threads / Across) + y) * V;
      here[0] =
          Ends == ends::exact || (place[0][X] < args.axes[X].number && place[0][Y] < args.axes[Y].number);
    } else if constexpr (Cut == cut::rows) {
      const u32 number = blockIdx.x * Threads + threadIdx.x;
      first[0] = static_cast<Index>(number) * V;
      here[0] = Ends == ends::exact || first[0] < static_cast<Index>(args.elements);
      place[0][X] = static_cast<Index>(threadIdx.x % Across * V);
      place[0][Y] = static_cast<Index>(blockIdx.x * (Threads / Across) + threadIdx.x / Across);
    } else if constexpr (Cut == cut::grid) {
      const u32 x = (blockIdx.x * Across + threadIdx.x % Across) * V, columns = args.axes[X].number;
      const u32 row = blockIdx.y * (Threads / Across) + threadIdx.x / Across;
      first[0] = static_cast<Index>(row) * static_cast<Index>(columns) + static_cast<Index>(x);
      here[0] = Ends == ends::exact || (x < columns && first[0] < static_cast<Index>(args.elements));
      place[0][X] = static_cast<Index>(x), place[0][Y] = static_cast<Index>(row);
    } else {
#pragma unroll
      for (int p = 0; p < packs; ++p) {
        first[p] = (static_cast<Index>(blockIdx.x) * (Threads * packs) + static_cast<Index>(p * Threads) +
                    static_cast<Index>(threadIdx.x)) *
                   V;
        here[p] = Ends == ends::exact || first[p] < static_cast<Index>(args.elements);
        if constexpr (Rank > 1) decompose<Rank>(p, static_cast<u32>(first[p]));
      }
    }
  }
  template <int Axes> __device__ __forceinline__ void decompose(int p, u32 rest) {
#pragma unroll
    for (int k = Axes - 1; k > 0; --k) {
      const u32 q = quotient(rest, args.axes[k]);
      place[p][k] = static_cast<Index>(rest - q * args.axes[k].number);
      rest = q;
    }
    if constexpr (Axes > 0) place[p][0] = static_cast<Index>(rest);
  }

  template <int S> __device__ __forceinline__ u64 word() const {
    if constexpr (Code::is_short(S))
      return args.number[Code::short_before(S) + later];
    else
      return args.word[S - Code::short_before(S)];
  }
  template <int S> __device__ __forceinline__ Index stride(int axis) const {
    constexpr access A = Code::reached(S);
    if (A == access::one) return 0;
    if ((A == access::pack && axis == X) || (Square && A == access::turned && axis == Y)) return 1;
    if (Square && Code::repeats(S) && axis == Y) return 0;
    return args.strides[axis][S];
  }
  // Of the first element of pack p as it is loaded and stored.
  template <int S> __device__ __forceinline__ Index origin(int p) const {
    if constexpr (Code::reached(S) == access::one) {
      return 0;
    } else if constexpr (Square) {
      Index at = static_cast<Index>(p) * stride<S>(Code::reached(S) == access::turned ? X : Y);
#pragma unroll
      for (int k = 0; k < Rank; ++k) at += place[0][k] * stride<S>(k);
      return at;
    } else if constexpr (Code::reached(S) == access::vector) {
      return first[p];
    } else if constexpr (Rank == 1) {
      return first[p] * stride<S>(0);
    } else if constexpr (Code::reached(S) == access::pack && Code::repeats(S)) {
      return place[p][X];
    } else {
      Index at = 0;
#pragma unroll
      for (int k = 0; k < Rank; ++k) at += place[p][k] * stride<S>(k);
      return at;
    }
  }
  // Between elements of a pack.
  template <int S> __device__ __forceinline__ Index step() const {
    if constexpr (Code::reached(S) == access::vector) return 1;
    return stride<S>(Code::reached(S) == access::turned ? Y : X);
  }
  __device__ __forceinline__ bool begins(int p) const { return Ends == ends::exact || here[Square ? 0 : p]; }
  __device__ __forceinline__ bool inside(int p, int v) const {
    return !Tail || first[p] + static_cast<Index>(v) < static_cast<Index>(args.elements);
  }

  // ---- Memory ----

  static consteval bool by_packs(int s) {
    return Code::reached(s) == access::vector || Code::reached(s) == access::pack ||
           Code::reached(s) == access::turned;
  }
  static consteval bool is_same(int s) {
    return Code::reached(s) == access::one || Code::reached(s) == access::repeated;
  }
  template <int S> using words_of = typename pack<Code::slot_element(S), V>::words;
  template <int S> __device__ __forceinline__ auto* memory_of() const {
    return reinterpret_cast<stored<Code::slot_element(S)>*>(word<S>());
  }

  // What is loaded, as it lies in memory. What is the same for a whole pack is its first element.
  static consteval bool reads(int i) { return Code::loads(i) && Code::kind(Code::a(i)) == slot::input; }
  template <int I, bool Reads> struct loaded_type { using type = char; };
  template <int I> struct loaded_type<I, true> { using type = words_of<Code::a(I)>; };
  template <class I> struct loaded_packs;
  template <int... I>
  struct loaded_packs<indices<I...>>
      : cell<I, typename loaded_type<I, reads(I)>::type, reads(I) ? packs : 1>... {};
  loaded_packs<typename make_indices<Code::size>::type> loaded;

  template <int I> __device__ __forceinline__ void load_pack(int p) {
    constexpr int S = Code::a(I), D = Code::slot_element(S);
    auto& to = get<I>(loaded).item[p];
    to = {};
    if (!begins(p)) return;
    const auto* memory = memory_of<S>();
    const Index at = origin<S>(p);
    if constexpr (is_same(S)) {
      to.set(0, memory[at]);
    } else if (by_packs(S) && inside(p, V - 1)) {
      to = Square ? pack<D, V>::read_line(memory, static_cast<i64>(at))
                  : pack<D, V>::read(memory, static_cast<i64>(at));
    } else {
#pragma unroll
      for (int v = 0; v < (by_packs(S) ? V - 1 : V); ++v)  // not the last, or the pack would be whole
        if (inside(p, v)) to.set(v, memory[at + static_cast<Index>(v) * step<S>()]);
    }
  }
  template <int I> __device__ __forceinline__ void load() {
    if constexpr (reads(I)) {
      constexpr int S = Code::a(I);
      constexpr bool once = Code::reached(S) == access::one || (Square && Code::repeats(S));
#pragma unroll
      for (int p = 0; p < packs; ++p) {
        if (once && p > 0 && Square)
          get<I>(loaded).item[p] = get<I>(loaded).item[0];
        else
          load_pack<I>(p);
      }
    } else if constexpr (Code::loads(I) && Code::kind(Code::a(I)) == slot::uniform) {
      get<I>(values).item[0] = uniform_number<Code, Code::a(I)>(word<Code::a(I)>());
    }
  }

  // What is stored along another axis than that of the packs waits until all of them are computed.
  static consteval bool waits(int i) {
    return Code::stores(i) && Code::at(i) != width::uniform && Code::reached(Code::a(i)) == access::turned;
  }
  template <int I, bool Waits> struct waiting_type { using type = char; };
  template <int I> struct waiting_type<I, true> { using type = computed<Code::slot_element(Code::a(I))>; };
  template <class I> struct waiting_packs;
  template <int... I>
  struct waiting_packs<indices<I...>>
      : cell<I, typename waiting_type<I, waits(I)>::type, waits(I) ? V * packs : 1>... {};
  waiting_packs<typename make_indices<Square ? Code::size : 0>::type> waiting;

  template <int S>
  __device__ __forceinline__ void store_pack(int p, const computed<Code::slot_element(S)>* from) const {
    constexpr int D = Code::slot_element(S);
    if (!begins(p)) return;
    auto* memory = memory_of<S>();
    const Index at = origin<S>(p);
    if (by_packs(S) && inside(p, V - 1)) {
      pack<D, V>::write(memory, static_cast<i64>(at), from);
      return;
    }
#pragma unroll
    for (int v = 0; v < (by_packs(S) ? V - 1 : V); ++v)
      if (inside(p, v)) memory[at + static_cast<Index>(v) * step<S>()] = element<D>::write(from[v]);
  }

  // ---- Instructions, of one pack ----

  template <int I> __device__ __forceinline__ void take(int p) {
    constexpr int S = Code::a(I);
    auto& to = get<I>(values).item;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      if constexpr (Code::kind(S) == slot::index)
        to[v] = static_cast<computed<Code::element(I)>>(static_cast<Index>(word<S>()) + origin<S>(p) +
                                                        static_cast<Index>(v) * step<S>());
      else if constexpr (Code::reached(S) == access::turned)
        to[v] = get<I>(loaded).item[v].get(p);
      else
        to[v] = get<I>(loaded).item[p].get(is_same(S) ? 0 : v);
    }
  }
  template <int I> __device__ __forceinline__ void store(int p) {
    constexpr int S = Code::a(I), K = Code::b(I), D = Code::slot_element(S);
    if constexpr (Code::reached(S) == access::none) {
    } else if constexpr (Code::at(I) == width::uniform) {
      if (p == 0 && threadIdx.x == 0 && blockIdx.x == 0)
        *memory_of<S>() = element<D>::write(operand<Code, K>(values, 0));
    } else {
      computed<D> out[V];
#pragma unroll
      for (int v = 0; v < V; ++v) out[v] = operand<Code, K>(values, v);
      if constexpr (waits(I)) {
#pragma unroll
        for (int v = 0; v < V; ++v) get<I>(waiting).item[v * V + p] = out[v];
      } else {
        store_pack<S>(p, out);
      }
    }
  }
  template <int I> __device__ __forceinline__ void step_of(int p) {
    if constexpr (Code::loads(I)) {
      if constexpr (Code::kind(Code::a(I)) != slot::uniform) take<I>(p);
    } else if constexpr (Code::stores(I)) {
      store<I>(p);
    } else {
      compute<Code, I>(values);
    }
  }
  template <int I> __device__ __forceinline__ void store_waiting() {
    if constexpr (waits(I)) {
#pragma unroll
      for (int p = 0; p < packs; ++p) store_pack<Code::a(I)>(p, get<I>(waiting).item + p * V);
    }
  }
  template <bool Few, int... I> __device__ __forceinline__ void run(indices<I...>) {
    if constexpr (Few) let_others_start();
    if constexpr (Few) read_numbers_later();
    locate();
    wait_for_others();
    (load<I>(), ...);
#pragma unroll
    for (int p = 0; p < packs; ++p) (step_of<I>(p), ...);
    (store_waiting<I>(), ...);
  }
};

// Rank: axes of the space. Cut, Ends: by the numbers of kernel::cut and kernel::ends. Few: all blocks run at
// once.
template <int V, int Packs, int Threads, int Across, int Rank, int Cut, int Ends, bool Few, class Index,
          u64... W>
__global__ void __launch_bounds__(Threads, Cut == static_cast<int>(cut::squares) ? 1 : 0)
    map(const __grid_constant__ map_words<code<W...>, Rank, Index> args) {
  mapper<code<W...>, V, Packs, Threads, Across, Rank, static_cast<cut>(Cut), static_cast<ends>(Ends), Index>
      m(args);
  m.template run<Few>(typename make_indices<code<W...>::size>::type{});
}

}  // namespace flame::kernel
