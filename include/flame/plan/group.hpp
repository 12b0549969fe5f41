// A fused group: instructions over one iteration space, the same for the host's interpreter and for CUDA
// kernels.
//
// The space is (batch | outer | inner), each a list of axes. A value lives on one of three levels: full (one
// for each element of the space), row (one for each (batch, outer), the same along inner), uniform (one for
// the group, known before it starts). Reductions read full values: `row` reduces inner and gives a row value
// that later instructions use; `column` reduces outer and gives one value for each (batch, inner); `total`
// reduces outer and inner and gives one value for each batch; of a row value it reduces outer alone (the mean
// of a loss over its rows). Column and total results can only be stored. A row group has an empty batch; a
// map has neither batch nor reductions, and its axes are outer and inner as suits the executor.
#pragma once
#include <flame/base/list.hpp>
#include <flame/graph/op.hpp>
#include <flame/type/tensor_type.hpp>

namespace flame {

enum class level : u8 { uniform, row, full };
enum class reduce_mode : u8 { none, row, column, total };

// What a slot is to the group.
enum class slot_kind : u8 {
  input,    // a buffer that is read, through strides over the space
  output,   // a buffer that is written; its strides are 0 along axes that it lacks
  uniform,  // a number known before the group starts: a constant, an extent, a scalar buffer, a random key
  index,    // no memory: the linear index that the strides give (iota, the counters of random numbers)
};

struct group_slot {
  slot_kind kind = slot_kind::input;
  dtype element = dtype::f32;
  int node = -1;  // in the function's graph: what is read, written or known
  friend constexpr bool operator==(const group_slot&, const group_slot&) = default;
};

// Codes are graph operations plus these.
inline constexpr u8 code_load = 200;   // a: slot. Gives the slot's value in the compute type of its element
inline constexpr u8 code_store = 201;  // a: slot, b: value

// One instruction: its value is referred to by its position. element: the type that it computes in; f32 for
// bf16 and f16 values (rounded only when stored), and for comparisons the type of their operands (they give a
// boolean). A cast to bf16 or f16 rounds an f32 value to it, and gives f32.
struct instruction {
  u8 code = 0;
  dtype element = dtype::f32;
  level at = level::full;
  reduce_mode reduce = reduce_mode::none;
  int a = -1, b = -1, c = -1;
  friend constexpr bool operator==(const instruction&, const instruction&) = default;

  // op 8, element 4, level 2, reduce 2, operands 12 bits each: the word that a kernel is made of.
  [[nodiscard]] constexpr u64 word() const {
    return static_cast<u64>(code) | static_cast<u64>(element) << 8 | static_cast<u64>(at) << 12 |
           static_cast<u64>(reduce) << 14 | static_cast<u64>(a + 1) << 16 | static_cast<u64>(b + 1) << 28 |
           static_cast<u64>(c + 1) << 40;
  }
};

struct group {
  list<const axis_info*> batch, outer, inner;
  list<group_slot> slots;
  list<instruction> body;

  [[nodiscard]] constexpr bool reduces() const {
    for (const instruction& i : body)
      if (i.reduce != reduce_mode::none) return true;
    return false;
  }
  // The canonical words: one of each slot (kind, element), then one of each instruction.
  [[nodiscard]] constexpr list<u64> words() const {
    list<u64> w;
    w.push(static_cast<u64>(slots.size()));
    for (const group_slot& s : slots) w.push(static_cast<u64>(s.kind) | static_cast<u64>(s.element) << 8);
    for (const instruction& i : body) w.push(i.word());
    return w;
  }
};

// The type in which values of an element type are computed.
[[nodiscard]] constexpr dtype compute_type(dtype d) {
  return d == dtype::bf16 || d == dtype::f16 ? dtype::f32 : d == dtype::uint8 ? dtype::int32 : d;
}

// A group with its extents and memory: what an executor runs. Strides count elements, in the order batch,
// outer, inner of the (collapsed) axes; 0 repeats.
struct bound_slot {
  void* memory = nullptr;  // input, output: the first element; null for an output that nobody needs
  i64 offset = 0;          // index: the value at the origin
  i64 strides[max_rank] = {};
  double number = 0;  // uniform: the value, unless memory is given (then it is read when the group starts)
  u64 bits = 0;       // uniform of dtype key or int64
};

struct bound_group {
  const group* code = nullptr;
  int batch_rank = 0, outer_rank = 0, inner_rank = 0;  // collapsed; ranks may be 0 (extent 1)
  i64 extents[max_rank] = {};
  list<bound_slot> slots;
};

// About how long an instruction takes, an addition 1.
[[nodiscard]] constexpr i64 cost_of(op code) {
  switch (code) {
    case op::exp:
    case op::expm1:
    case op::log:
    case op::log1p:
    case op::sin:
    case op::cos:
    case op::tanh:
    case op::sigmoid:
    case op::erf:
    case op::uniform: return 8;
    case op::normal: return 20;
    case op::pow: return 30;
    case op::div:
    case op::reciprocal:
    case op::sqrt:
    case op::rsqrt: return 3;
    default: return 1;
  }
}

}  // namespace flame
