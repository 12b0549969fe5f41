// A thread on its way through the rows of a block: where it stands, and how it reads and writes what lies
// there.
//
// A block has Rows teams of Lanes threads. A team goes through a row, or a tile of one, Packs packs of V
// elements a thread, of which the registers hold AtOnce at a time.
#pragma once
#include <flame/run/cuda/kernel/values.hpp>

namespace flame::kernel {

template <class Group, int Elements, int Packs_, int AtOnce, int Lanes_, int Rows_, bool Tail, bool Simple,
          class Index>
struct walker {
  using Code = Group;
  static constexpr bool simple = Simple, tail = Tail;
  static constexpr int V = Elements, Packs = Packs_, at_once = AtOnce, N = V * AtOnce, Lanes = Lanes_,
                       Rows = Rows_;

  const arguments<Code::slots>& args;
  int lane, team;
  int part = 0;            // the first of the packs at hand
  Index first_column = 0;  // of the tile
  u32 row = 0, batch = 0, tile = 0, row_block = 0;
  bool active = true;                               // the team has a row
  Index offset[Code::slots > 0 ? Code::slots : 1];  // of the row
  bank<Code, N> values;

  __device__ __forceinline__ explicit walker(const arguments<Code::slots>& a)
      : args(a), lane(static_cast<int>(threadIdx.x % Lanes)), team(static_cast<int>(threadIdx.x / Lanes)) {}

  // Of pack `pack` of those at hand.
  __device__ __forceinline__ Index column(int pack) const {
    return first_column + static_cast<Index>(((part + pack) * Lanes + lane) * V);
  }
  __device__ __forceinline__ bool inside(int pack) const {
    return active && column(pack) < static_cast<Index>(args.inner);
  }

  // Element v of a pack that begins inside.
  __device__ __forceinline__ bool inside(int pack, int v) const {
    return !Tail || column(pack) + static_cast<Index>(v) < static_cast<Index>(args.inner);
  }
  __device__ __forceinline__ bool whole(int pack) const { return inside(pack, V - 1); }

  // ---- Where ----

  using offsets = Index[Code::slots > 0 ? Code::slots : 1];
  template <int S> __device__ __forceinline__ void origin(offsets& to) const {
    to[S] = Code::kind(S) == slot::index ? static_cast<Index>(args.word[S]) : Index{0};
  }
  template <int S> __device__ __forceinline__ void move(offsets& to, u32 steps, int axis) const {
    if constexpr (Code::kind(S) != slot::uniform && Code::reached(S) != access::none)
      to[S] += static_cast<Index>(steps) * static_cast<Index>(args.strides[axis][S]);
  }
  template <int... S> __device__ __forceinline__ void locate(offsets& to, u32 at_row, indices<S...>) const {
    (origin<S>(to), ...);
    if constexpr (Simple) {
      (move<S>(to, at_row, 0), ...);
      return;
    }
    u32 rest = at_row;
    int axis = args.over.batch_rank + args.over.outer_rank - 1;
    for (; axis > args.over.batch_rank; --axis) {
      const u32 q = quotient(rest, args.over.axes[axis]), steps = rest - q * args.over.axes[axis].number;
      (move<S>(to, steps, axis), ...);
      rest = q;
    }
    if (axis == args.over.batch_rank) (move<S>(to, rest, axis), ...);
    if (args.over.batch_rank == 0) return;
    rest = batch;
    for (axis = args.over.batch_rank - 1; axis > 0; --axis) {
      const u32 q = quotient(rest, args.over.axes[axis]), steps = rest - q * args.over.axes[axis].number;
      (move<S>(to, steps, axis), ...);
      rest = q;
    }
    (move<S>(to, rest, 0), ...);
  }
  __device__ __forceinline__ void locate(offsets& to, u32 at_row) const {
    locate(to, at_row, typename make_indices<Code::slots>::type{});
  }
  __device__ __forceinline__ void locate() { locate(offset, row); }

  // Of a column, relative to the row.
  template <int S> __device__ __forceinline__ Index along(Index at) const {
    const int first = args.over.batch_rank + args.over.outer_rank;
    if constexpr (Code::reached(S) == access::vector) {
      return at;
    } else if constexpr (Code::reached(S) == access::one) {
      return 0;
    } else if constexpr (Code::reached(S) == access::strided) {
      return at * static_cast<Index>(args.strides[first][S]);
    } else {
      Index to = 0;
      u32 rest = static_cast<u32>(at);
      for (int k = args.over.inner_rank - 1; k >= 0; --k) {
        const u32 q = quotient(rest, args.over.axes[first + k]);
        to += static_cast<Index>(rest - q * args.over.axes[first + k].number) *
              static_cast<Index>(args.strides[first + k][S]);
        rest = q;
      }
      return to;
    }
  }

  // ---- Loads ----

  template <int S> __device__ __forceinline__ auto* memory_of() const {
    return reinterpret_cast<stored<Code::slot_element(S)>*>(args.word[S]);
  }

  // The elements of a pack as they lie in memory; 0 outside.
  template <int S> using words_of = typename pack<Code::slot_element(S), V>::words;
  template <int S> __device__ __forceinline__ words_of<S> read_words(int p) const {
    constexpr int D = Code::slot_element(S);
    stored<D>* memory = memory_of<S>();
    words_of<S> x{};
    if (!inside(p)) return x;
    if (Code::reached(S) == access::vector && whole(p)) {
      x = pack<D, V>::read(memory, static_cast<i64>(offset[S] + column(p)));
    } else {
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (inside(p, v)) x.set(v, memory[offset[S] + along<S>(column(p) + static_cast<Index>(v))]);
    }
    return x;
  }

  template <int I> __device__ __forceinline__ void load() {
    constexpr int S = Code::a(I), D = Code::slot_element(S);
    auto& to = get<I>(values).item;
    if constexpr (Code::kind(S) == slot::uniform) {
      to[0] = uniform_number<Code, S>(args.word[S]);
    } else if constexpr (Code::kind(S) == slot::index) {
      if constexpr (Code::at(I) == width::row) {
        to[0] = static_cast<computed<Code::element(I)>>(offset[S]);
      } else {
#pragma unroll
        for (int p = 0; p < at_once; ++p)
#pragma unroll
          for (int v = 0; v < V; ++v)
            to[p * V + v] = static_cast<computed<Code::element(I)>>(
                offset[S] + along<S>(column(p) + static_cast<Index>(v)));
      }
    } else if constexpr (Code::at(I) == width::row) {
      to[0] = computed<D>{};
      if (active) to[0] = element<D>::read(memory_of<S>()[offset[S]]);
    } else if constexpr (Code::reached(S) == access::one) {
#pragma unroll
      for (int p = 0; p < at_once; ++p) {
        computed<D> x{};
        if (inside(p)) x = element<D>::read(memory_of<S>()[offset[S]]);
#pragma unroll
        for (int v = 0; v < V; ++v) to[p * V + v] = x;
      }
    } else {
#pragma unroll
      for (int p = 0; p < at_once; ++p) take<I>(p, read_words<S>(p));
    }
  }
  template <int I> __device__ __forceinline__ void take(int p, const words_of<Code::a(I)>& from) {
#pragma unroll
    for (int v = 0; v < V; ++v) get<I>(values).item[p * V + v] = from.get(v);
  }

  // ---- Stores ----

  // Of what K has summed over rows.
  template <int I, int K, class X> __device__ __forceinline__ void store_sum(Index at, X x) {
    if constexpr (Code::stores(I)) {
      constexpr int S = Code::a(I), D = Code::slot_element(S);
      if constexpr (Code::b(I) == K && Code::reached(S) != access::none)
        memory_of<S>()[offset[S] + along<S>(at)] = element<D>::write(static_cast<computed<D>>(x));
    }
  }

  template <int I> __device__ __forceinline__ void store() {
    constexpr int S = Code::a(I), K = Code::b(I), D = Code::slot_element(S);
    if constexpr (Code::reached(S) != access::none && !Code::accumulates(K)) {
      if constexpr (Code::at(I) == width::uniform) {
        if (threadIdx.x == 0 && blockIdx.x == 0)
          *memory_of<S>() = element<D>::write(operand<Code, K>(values, 0));
      } else if constexpr (Code::at(I) == width::row) {
        if (active && lane == 0 && first_column == 0)
          memory_of<S>()[offset[S]] = element<D>::write(operand<Code, K>(values, 0));
      } else {
#pragma unroll
        for (int p = 0; p < at_once; ++p) {
          if (!inside(p)) continue;
          computed<D> out[V];
#pragma unroll
          for (int v = 0; v < V; ++v) out[v] = operand<Code, K>(values, p * V + v);
          if (Code::reached(S) == access::vector && whole(p)) {
            pack<D, V>::write(memory_of<S>(), static_cast<i64>(offset[S] + column(p)), out);
          } else {
#pragma unroll
            for (int v = 0; v < V; ++v)
              if (inside(p, v))
                memory_of<S>()[offset[S] + along<S>(column(p) + static_cast<Index>(v))] =
                    element<D>::write(out[v]);
          }
        }
      }
    }
  }
};

}  // namespace flame::kernel
