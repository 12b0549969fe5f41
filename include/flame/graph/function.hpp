// What a graph knows of its leaves and of the functions it calls, and how a call hands over its operands.
#pragma once
#include <flame/base/list.hpp>
#include <flame/type/tensor_type.hpp>

namespace flame {

// input: bound by the caller, by name or position. parameter: of a model, by path. state: a parameter that the
// program itself renews (running statistics). argument: an operand of a function.
enum class leaf_kind : u8 { input, parameter, state, argument };

// Its address is its identity; the id orders leaves the same way in every compiler.
struct leaf_info {
  u64 id = 0;
  leaf_kind kind = leaf_kind::input;
  tensor_type type;
  text name;
  bool path = false;  // the name is a path in a model: wherever it is read, it is one leaf
};

// What of a function's forward is kept for its backward. all: every value that the backward reads. cut: the
// minimum cut between what is costly and what the backward reads, weighed by bytes: what is cheap is computed
// again. inputs: nothing but the operands; all of it is computed again. offload: as inputs, and where the device
// has memory of its own (cuda), operands that a program makes wait in pinned memory of the host from the forward
// to the backward (plan/offload.hpp). caller: as the function that calls it. backward: of no function but the
// backward of one with offload.
enum class keep : u8 { caller, all, cut, inputs, offload, backward };

// A function as data: its words (graph/words.hpp) and what they refer to. Its address names it in a template
// argument; its id is the hash of its content.
struct function_info {
  u64 id = 0;
  text name;
  const u64* words = nullptr;
  int word_count = 0;  // 0: the words stand in another file (expr/separate.hpp), and the compiler cannot read them
  const axis_info* const* axes = nullptr;
  int axis_count = 0;
  const leaf_info* const* leaves = nullptr;  // the operands of a call, in order
  int leaf_count = 0;
  const function_info* const* functions = nullptr;
  int function_count = 0;
  const tensor_type* outputs = nullptr;
  int output_count = 0;
  // The distinct axes of the leaves, and which of them each axis of each leaf is; null where nobody listed them.
  const axis_info* const* leaf_axes = nullptr;
  int leaf_axis_count = 0;
  const u8* axis_of_leaf = nullptr;
  // Outputs first_state, first_state + 1, ... renew these states, which are leaves of the function.
  const leaf_info* const* states = nullptr;
  int state_count = 0, first_state = 0;
  // Given by the user: (operands, cotangents of the outputs) -> cotangents of the floating operands, in order.
  const function_info* derivative = nullptr;
  keep kept = keep::caller;
};

// How an operand reaches the instances of a repeat. plain: all share it. each: one of N. carry: the state handed from
// one to the next, given back as output `index`. keyed: a random key, folded with the instance's number.
enum class operand_mode : u8 { plain, each, carry, keyed };
// What becomes of an output. carry: the last instance's. each: one of N. sum: added over the instances.
enum class output_mode : u8 { carry, each, sum };

struct call_operand {
  operand_mode mode = operand_mode::plain;
  int index = 0;  // carry: the output that hands it on
  friend constexpr bool operator==(const call_operand&, const call_operand&) = default;
};

// The numbers of a call node, read in place.
struct call_view {
  const u64* data;

  [[nodiscard]] constexpr bool repeat() const { return data[0] & 1; }
  [[nodiscard]] constexpr bool reverse() const { return (data[0] >> 1) & 1; }
  [[nodiscard]] constexpr int operand_count() const { return static_cast<int>((data[0] >> 8) & 0xffffff); }
  [[nodiscard]] constexpr int output_count() const { return static_cast<int>(data[0] >> 32); }
  [[nodiscard]] constexpr call_operand operand(int i) const {
    return {static_cast<operand_mode>(sixteen(i) & 3), static_cast<int>(sixteen(i) >> 2)};
  }
  [[nodiscard]] constexpr output_mode output(int i) const {
    return static_cast<output_mode>(sixteen(operand_count() + i));
  }

 private:
  [[nodiscard]] constexpr u64 sixteen(int i) const { return (data[1 + i / 4] >> (16 * (i % 4))) & 0xffff; }
};

// The data of a call node. A plain call is the call of one instance: no count, all operands plain, all outputs carry.
struct call_info {
  bool repeat = false;   // axes: the axis that counts the instances
  bool reverse = false;  // from the last instance to the first
  list<call_operand> operands;
  list<output_mode> outputs;

  constexpr void encode(list<u64>& data) const {
    data.push(static_cast<u64>(repeat) | static_cast<u64>(reverse) << 1 | static_cast<u64>(operands.size()) << 8 |
              static_cast<u64>(outputs.size()) << 32);
    u64 word = 0;
    int filled = 0;
    auto put = [&](u64 sixteen) {
      word |= sixteen << (16 * filled);
      if (++filled == 4) data.push(word), word = 0, filled = 0;
    };
    for (const call_operand& o : operands) put(static_cast<u64>(o.mode) | static_cast<u64>(o.index) << 2);
    for (output_mode m : outputs) put(static_cast<u64>(m));
    if (filled) data.push(word);
  }
  static constexpr call_info decode(const u64* data) {
    const call_view v{data};
    call_info c;
    c.repeat = v.repeat(), c.reverse = v.reverse();
    c.operands.resize(v.operand_count());
    c.outputs.resize(v.output_count());
    for (int i = 0; i < c.operands.count; ++i) c.operands.items[i] = v.operand(i);
    for (int i = 0; i < c.outputs.count; ++i) c.outputs.items[i] = v.output(i);
    return c;
  }
};

}  // namespace flame
