// What kernels of fused groups are launched with: the same layout for whoever fills it and for the kernel.
#pragma once
#include <flame/base/config.hpp>

namespace flame::kernel {

inline constexpr int most_axes = 8;
inline constexpr int most_sums = 8;

// Division of 32-bit numbers by one that the host knows: q = (n + high(n * multiplier)) >> shift (Granlund,
// Montgomery, "Division by invariant integers using multiplication", 1994).
struct divisor {
  u32 number = 1, multiplier = 0, shift = 0;

  divisor() = default;
  FLAME_HOST_DEVICE explicit divisor(u32 d) : number(d) {
    while (shift < 32 && (u64{1} << shift) < d) ++shift;
    multiplier = static_cast<u32>((u64{1} << 32) * ((u64{1} << shift) - d) / d + 1);
  }
};

#if defined(__CUDACC__)
__device__ __forceinline__ u32 quotient(u32 n, const divisor& d) {
  return static_cast<u32>((u64{__umulhi(n, d.multiplier)} + n) >> d.shift);
}
#endif

struct space {
  divisor axes[most_axes] = {};  // batch, outer, inner
  int batch_rank = 0, outer_rank = 0, inner_rank = 0;
  i64 batch = 1, outer = 1, inner = 1;
};

// Of each slot a word: of a tensor, its address; of a uniform number, its bits as it is computed (an f32's
// for half types); of an index, its value at the origin. Strides count elements, by axis and slot. What a
// kernel reads when it starts lies first and side by side: constant memory is slow the first time that a line
// of it is read.

// Of groups that reduce nothing.
template <int Slots, int Words, int Numbers, int Rank, class Index> struct map_arguments {
  u64 elements;
  u64 word[Words];                        // of all slots but those of uniform numbers of up to 32 bits
  u32 number[Numbers > 0 ? Numbers : 1];  // an array of none is no C++
  Index strides[Rank][Slots];
  divisor axes[Rank];
  divisor across, down;  // blocks of squares along the last axis and the one before it, where there are more
};

// Of groups that reduce. Axes: batch, outer, inner.
struct group_head {
  i64 inner = 1, outer = 1;
  u32 rows_a_block = 1;
  u32 zero = 0;               // a number that compilers do not know
  divisor tiles, row_blocks;  // blocks are numbered by batch, then rows, then tiles of columns
};
template <int Slots> struct arguments : group_head {
  u64 word[Slots];
  i64 strides[most_axes][Slots];
  // By accumulated value: sums of each block, [batch][row block][column], or, of totals, [batch][row
  // block][tile].
  void* partial[most_sums];
  space over;
};

// Sums of one type and one shape are finished together.
struct finish_arguments {
  i64 chunks = 1, columns = 1;
  divisor blocks;                       // of 32 columns
  space over;                           // batch and inner axes
  const void* partial[most_sums] = {};  // [batch][chunk][column]
  struct result {
    void* memory = nullptr;
    i64 strides[most_axes] = {};
  } out[most_sums];
};

}  // namespace flame::kernel
