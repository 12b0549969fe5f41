// What attention's kernels are told, where a block's rows lie, and one score with its mask.
#pragma once
#include <flame/run/cuda/kernel/arguments.hpp>
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

inline constexpr int attention_batch_axes = 4, attention_query_axes = 3;

// Which tensor is which: the same places in arguments and addresses.
enum attention_tensor : int {
  attention_q,
  attention_k,
  attention_v,
  attention_mask,
  attention_d,
  attention_sums,
  attention_delta,
  attention_out,
  attention_dk,
  attention_dv,  // out: the result, or dq
  attention_out_sums,
  attention_tensors
};

// What a kernel is compiled for, so that it holds no code for what is not asked of it: fetching code takes as
// long as small ones compute.
enum attention_kind : int {
  attention_masked = 1,
  attention_causal = 2,
  attention_several = 4
};  // axes of queries

// Strides count elements.
struct attention_strides {
  i64 batch[attention_batch_axes] = {};
  i32 query[attention_query_axes] = {};
  i32 key = 0, dim = 0;
};

struct attention_arguments {
  i32 queries, keys, dims;
  i32 position;  // the query axis whose place a causal query compares
  i32 mask;      // 0: none, 1: boolean, 2: of the operands' type
  alignas(8) i32 batch_rank;
  i32 query_rank;  // the two ranks lie so that one load fetches both
  double scale;
  divisor tiles;  // of each batch
  divisor batch[attention_batch_axes], query[attention_query_axes];
  attention_strides strides[attention_tensors];
};

// Null where there is none.
struct attention_addresses {
  void* at[attention_tensors];
};

#if defined(__CUDACC__)

// Where a block's batch begins in each tensor, and what its rows are.
template <int Kind> struct attention_place {
  static constexpr bool masked = Kind & attention_masked, causal = Kind & attention_causal,
                        several = Kind & attention_several;
  const attention_arguments& a;
  const attention_addresses& memory;
  u32 index[attention_batch_axes];

  // tile: becomes which of its batch's tiles the block has.
  FLAME_DEVICE attention_place(const attention_arguments& arguments, const attention_addresses& addresses,
                               int& tile)
      : a(arguments), memory(addresses) {
    const u32 whole = quotient(blockIdx.x, a.tiles);
    u32 batch = whole;
#pragma unroll
    for (int i = attention_batch_axes - 1; i >= 0; --i) {
      index[i] = 0;
      if (i >= a.batch_rank) continue;
      const u32 above = quotient(batch, a.batch[i]);
      index[i] = batch - above * a.batch[i].number;
      batch = above;
    }
    tile = static_cast<int>(blockIdx.x - whole * a.tiles.number);
  }
  FLAME_DEVICE bool has(int tensor) const { return memory.at[tensor] != nullptr; }
  FLAME_DEVICE i64 start(int tensor) const {
    i64 offset = 0;
#pragma unroll
    for (int i = 0; i < attention_batch_axes; ++i)
      if (i < a.batch_rank) offset += static_cast<i64>(index[i]) * a.strides[tensor].batch[i];
    return offset;
  }
  // How far query `row` lies from the batch's first.
  FLAME_DEVICE i64 query(int tensor, int row) const {
    if constexpr (!several) return static_cast<i64>(row) * a.strides[tensor].query[0];
    i64 offset = 0;
    u32 rest = static_cast<u32>(row);
#pragma unroll
    for (int i = attention_query_axes - 1; i >= 0; --i) {
      if (i >= a.query_rank) continue;
      const u32 above = quotient(rest, a.query[i]);
      offset += static_cast<i64>(rest - above * a.query[i].number) * a.strides[tensor].query[i];
      rest = above;
    }
    return offset;
  }
  // Query `row`'s number of a tensor that has one a query.
  template <class T> FLAME_DEVICE T& row_value(int tensor, i64 start, int row) const {
    return static_cast<T*>(memory.at[tensor])[start + query(tensor, row)];
  }
  FLAME_DEVICE i64 key(int tensor, int row) const { return static_cast<i64>(row) * a.strides[tensor].key; }
  // The place that a causal query compares with its keys'.
  FLAME_DEVICE int position(int row) const {
    if constexpr (!several) return row;
    u32 rest = static_cast<u32>(row), place = 0;
#pragma unroll
    for (int i = attention_query_axes - 1; i >= 0; --i) {
      if (i >= a.query_rank) continue;
      const u32 above = quotient(rest, a.query[i]);
      if (i == a.position) place = rest - above * a.query[i].number;
      rest = above;
    }
    return static_cast<int>(place);
  }
  // Keys that any of `count` queries from `first` on may look at: those below. All where queries have several
  // axes.
  FLAME_DEVICE int seen(int first, int count) const {
    if constexpr (!causal || several) return a.keys;
    const int past = (first + count < a.queries ? first + count : a.queries);
    return past < a.keys ? past : a.keys;
  }
};

template <class T> FLAME_DEVICE T hidden_score() {
  return static_cast<T>(float_of(0xff800000u));
}  // -infinity

// The score of one query and one key: scaled, masked; -infinity where it may not be looked at.
template <int Element, int Kind, class T>
FLAME_DEVICE T masked_score(const attention_place<Kind>& p, T score, i64 mask_start, int row, int key,
                            int position) {
  const T hidden = hidden_score<T>();
  if (row >= p.a.queries || key >= p.a.keys || (p.causal && position < key)) return hidden;
  score *= static_cast<T>(p.a.scale);
  if constexpr ((Kind & attention_masked) == 0) return score;
  const i64 at = mask_start + p.query(attention_mask, row) + p.key(attention_mask, key);
  if (p.a.mask == 1) return static_cast<const u8*>(p.memory.at[attention_mask])[at] ? score : hidden;
  using numbers = number<Element>;
  return score +
         numbers::widen(static_cast<const typename numbers::stored*>(p.memory.at[attention_mask])[at]);
}

#endif

}  // namespace flame::kernel
