// A fused group made ready to run: each instruction bound to its loop, each value to a register.
#pragma once
#include <flame/run/host/group_accumulate.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA {

namespace tiles {

// Registers are of four kinds: of the whole tile or of its rows, 4 or 8 bytes for a number.
inline constexpr int register_kinds = 4;
[[nodiscard]] constexpr int register_kind(level at, lane l) {
  return (at == level::row ? 2 : 0) + (bytes_of(l) == 8 ? 1 : 0);
}

struct value {
  lane type = lane::f32;
  level at = level::full;
};

// An expansion runs past its result's end, so that it can only go to a register.
enum class step_role : u8 { compute, expand, load, store };

// Steps in the order in which they run in each tile.
struct program {
  list<step> steps;
  list<step_role> roles;
  list<int> registers;        // of each value: which of its kind; -1 if it never is in this program
  list<int> made, last_used;  // of each value: by which step
  int register_count[register_kinds] = {};
};

// A column or total reduction and where its result goes.
struct reduction {
  reduce_mode mode = reduce_mode::column;
  reduction_code code;
  int result = -1;
  list<step> stores;
};

// The value of a uniform or scalar slot, known before the first tile.
struct known_number {
  int value = -1, slot = -1;
};

}  // namespace tiles

// What `prepare` makes and `run` needs; it owns everything and refers to nothing.
struct prepared_group {
  list<group_slot> slots;
  list<tiles::value> values;
  list<tiles::known_number> numbers;
  list<tiles::step> uniform_steps;   // once, before the tiles
  list<tiles::step> uniform_stores;  // once, after them
  tiles::program immediate;          // stores as soon as a value is there
  tiles::program deferred;  // stores at the end: for outputs whose memory a later step still reads as input
  list<tiles::reduction> reductions;
  bool whole_rows = false;  // a tile needs the whole of inner
  i64 cost = 1;             // of one element, about, in additions
};

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA
