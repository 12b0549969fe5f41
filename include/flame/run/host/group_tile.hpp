// What the steps of a prepared group work on: a tile of rows and columns, whose values stand in registers of
// memory.
#pragma once
#include <flame/run/host/group_access.hpp>
#include <flame/run/host/simd.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

using namespace simd;

// The element type of a register. Booleans are 32 bits, all ones or all zeros; keys are i64.
enum class lane : u8 { f32, f64, i32, i64, mask };

[[nodiscard]] constexpr lane lane_for(dtype d) {
  switch (compute_type(d)) {
    case dtype::f64: return lane::f64;
    case dtype::int32: return lane::i32;
    case dtype::int64:
    case dtype::key: return lane::i64;
    case dtype::boolean: return lane::mask;
    default: return lane::f32;
  }
}
[[nodiscard]] constexpr int bytes_of(lane l) { return l == lane::f64 || l == lane::i64 ? 8 : 4; }

// A comparison's result as a register of booleans holds it, and back.
template <any_vector M> FLAME_INLINE auto narrow(M m) { return __builtin_convertvector(m, rebind<M, i32>); }
template <any_vector V> FLAME_INLINE auto widen(rebind<V, i32> m) {
  return __builtin_convertvector(m, signed_of<V>);
}

// Registers have room for whole vectors: every loop over one runs past its end to a multiple of this.
inline constexpr i64 register_pad = 16;
inline constexpr int uniform_bytes = 64;  // a uniform value, with the room of a whole vector
static_assert(lanes<float> <= register_pad && FLAME_VECTOR_BYTES <= uniform_bytes);

// Values are pointers: to a register, to the element of an input or output at which the tile begins, to a
// number.
struct tile {
  void** values = nullptr;
  const access* slots = nullptr;
  const i64* origins = nullptr;          // of each slot at the tile's batch
  void* const* sums = nullptr;           // accumulators of each column and total reduction
  const i64* periods = nullptr;          // and how many
  i64 row = 0, column = 0;               // the first, in outer and inner
  i64 rows = 1, columns = 1, count = 1;  // count = rows * columns
  i64 inner = 1;                         // extent of the whole of inner

  template <class T> [[nodiscard]] T* at(int value) const { return static_cast<T*>(values[value]); }
  [[nodiscard]] i64 size(level at) const { return at == level::full ? count : at == level::row ? rows : 1; }
};

// One instruction, bound to its loop.
struct step {
  void (*loop)(const step&, const tile&) = nullptr;
  level at = level::full;                   // of the result, or of what is stored
  int result = -1, a = -1, b = -1, c = -1;  // values
  int slot = -1;
  int reduction = -1;
  int cost = 1;  // of one number, about, in additions
};
using step_loop = void (*)(const step&, const tile&);

// Calls f(block) for the blocks of a slot under the tile, block::at counted from the slot's memory.
template <class F> FLAME_INLINE void each_block(const step& s, const tile& t, F f) {
  const access& slot = t.slots[s.slot];
  i64 origin = t.origins[s.slot];
  auto shifted = [&](block b) {
    b.at += origin;
    f(b);
  };
  if (s.at == level::full) {
    each_block(slot.outer, slot.inner, t.row, t.rows, t.column, t.columns, shifted);
  } else {
    // Values side by side, one for each row.
    constexpr stride_list none;
    each_block(none, s.at == level::row ? slot.outer : none, 0, 1, s.at == level::row ? t.row : 0,
               t.size(s.at), shifted);
  }
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
