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

// Strides count elements, in the order batch, outer, inner. bits: of a uniform number, as it is computed (an
// f32's for half types); of an index, its value at the origin.
struct slot_argument {
  void* memory = nullptr;
  u64 bits = 0;
  i64 strides[most_axes] = {};
};

struct space {
  i64 batch = 1, outer = 1, inner = 1;
  int batch_rank = 0, outer_rank = 0, inner_rank = 0;
  divisor axes[most_axes] = {};
};

struct group_head {
  space over;
  u32 rows_a_block = 1;
  divisor tiles, row_blocks;  // blocks are numbered by batch, then rows, then tiles of columns
  // By accumulated value: sums of each block, [batch][row block][column], or, of totals, [batch][row
  // block][tile].
  void* partial[most_sums] = {};
};
template <int Slots> struct arguments : group_head { slot_argument slots[Slots]; };

// Sums of one type and one shape are finished together.
struct finish_arguments {
  i64 chunks = 1, columns = 1;
  divisor blocks;                       // of 32 columns
  space over;                           // batch and inner axes
  const void* partial[most_sums] = {};  // [batch][chunk][column]
  slot_argument out[most_sums];
};

}  // namespace flame::kernel
