// From a graph in one constant evaluation to a function with static storage, which a template argument can name.
//
// Nothing that a constant evaluation allocates outlives it, and how much it makes is known only at its end. So it
// leaves a record, an aggregate with ample room; a graph that needs more is made again, into a record of its size.
#pragma once
#include <flame/graph/words.hpp>
#include <type_traits>

namespace flame {

// What a maker returns: a graph with its outputs, and the leaves in the order of a call's operands.
struct draft {
  graph g;
  list<const leaf_info*> operands;
  list<const leaf_info*> states;  // what outputs first_state and after renew
  int first_state = 0;
  const function_info* derivative = nullptr;
};

// Room is cheap in g++ and clang; nvcc pays some 2 us for each element, used or not.
struct room_for_expressions {
  static constexpr int words = 192, axes = 32, leaves = 32, functions = 8, outputs = 8, states = 0;
};
struct room_for_functions {  // four transformer blocks
  static constexpr int words = 2048, axes = 128, leaves = 256, functions = 64, outputs = 128, states = 32;
};

// What a graph is encoded as (graph/words.hpp), in arrays.
template <class Room>
struct record {
  u64 words[static_cast<unsigned>(Room::words) + 1] = {};
  const axis_info* axes[static_cast<unsigned>(Room::axes) + 1] = {};
  const leaf_info* leaves[static_cast<unsigned>(Room::leaves) + 1] = {};
  const function_info* functions[static_cast<unsigned>(Room::functions) + 1] = {};
  u32 output_heads[static_cast<unsigned>(Room::outputs) + 1] = {};  // element, rank, stack: 8 bits each
  const axis_info* output_axes[static_cast<unsigned>(Room::outputs) * max_rank + 1] = {};
  const leaf_info* states[static_cast<unsigned>(Room::states) + 1] = {};
  int word_count = 0, axis_count = 0, leaf_count = 0, function_count = 0, output_count = 0, state_count = 0;
  int first_state = 0;
  u64 id = 0;
  const function_info* derivative = nullptr;

  [[nodiscard]] constexpr bool complete() const {
    return word_count <= Room::words && axis_count <= Room::axes && leaf_count <= Room::leaves &&
           function_count <= Room::functions && output_count <= Room::outputs && state_count <= Room::states;
  }
  [[nodiscard]] constexpr tensor_type output(int i) const {
    tensor_type t;
    t.element = static_cast<dtype>(output_heads[i] & 0xff);
    t.stack = static_cast<u8>(output_heads[i] >> 16);
    for (int k = 0; k < static_cast<int>((output_heads[i] >> 8) & 0xff); ++k) t.push(output_axes[i * max_rank + k]);
    return t;
  }
};

template <class Room>
[[nodiscard]] constexpr record<Room> record_of(const draft& d) {
  const encoded e = encode(d.g, d.operands);
  record<Room> r;
  r.word_count = e.words.count, r.axis_count = e.axes.count, r.leaf_count = e.leaves.count;
  r.function_count = e.functions.count, r.output_count = e.outputs.count, r.state_count = d.states.count;
  r.first_state = d.first_state;
  r.id = d.derivative ? mix(e.id, d.derivative->id) : e.id;
  r.derivative = d.derivative;
  if (!r.complete()) return r;
  for (int i = 0; i < r.word_count; ++i) r.words[i] = e.words.items[i];
  for (int i = 0; i < r.axis_count; ++i) r.axes[i] = e.axes.items[i];
  for (int i = 0; i < r.leaf_count; ++i) r.leaves[i] = e.leaves.items[i];
  for (int i = 0; i < r.function_count; ++i) r.functions[i] = e.functions.items[i];
  for (int i = 0; i < r.state_count; ++i) r.states[i] = d.states.items[i];
  for (int i = 0; i < r.output_count; ++i) {
    const tensor_type& t = e.outputs.items[i];
    r.output_heads[i] = static_cast<u32>(t.element) | static_cast<u32>(t.rank) << 8 | static_cast<u32>(t.stack) << 16;
    for (int k = 0; k < t.rank; ++k) r.output_axes[i * max_rank + k] = t.axes[k];
  }
  return r;
}

// Maker: `static constexpr draft make()`.
template <class Maker, class Room>
struct first_record {
  static constexpr record<Room> value = record_of<Room>(Maker::make());
};
template <class Maker, class Room>
struct exact_record {
  using first = first_record<Maker, Room>;
  struct room {
    static constexpr int words = first::value.word_count, axes = first::value.axis_count,
                         leaves = first::value.leaf_count, functions = first::value.function_count,
                         outputs = first::value.output_count, states = first::value.state_count;
  };
  static constexpr record<room> value = record_of<room>(Maker::make());
};
template <class Maker, class Room>
struct recorded : std::conditional_t<first_record<Maker, Room>::value.complete(), first_record<Maker, Room>,
                                     exact_record<Maker, Room>> {};

// Maker: also `static constexpr text name`.
template <class Maker>
struct frozen {
  using made = recorded<Maker, room_for_functions>;
  struct storage {
    u64 words[static_cast<unsigned>(made::value.word_count)] = {};
    const axis_info* axes[static_cast<unsigned>(made::value.axis_count) + 1] = {};
    const leaf_info* leaves[static_cast<unsigned>(made::value.leaf_count) + 1] = {};
    const function_info* functions[static_cast<unsigned>(made::value.function_count) + 1] = {};
    const leaf_info* states[static_cast<unsigned>(made::value.state_count) + 1] = {};
    tensor_type outputs[static_cast<unsigned>(made::value.output_count) + 1] = {};
  };
  template <class Record>
  static constexpr storage trimmed(const Record& r) {
    storage s;
    for (int i = 0; i < r.word_count; ++i) s.words[i] = r.words[i];
    for (int i = 0; i < r.axis_count; ++i) s.axes[i] = r.axes[i];
    for (int i = 0; i < r.leaf_count; ++i) s.leaves[i] = r.leaves[i];
    for (int i = 0; i < r.function_count; ++i) s.functions[i] = r.functions[i];
    for (int i = 0; i < r.state_count; ++i) s.states[i] = r.states[i];
    for (int i = 0; i < r.output_count; ++i) s.outputs[i] = r.output(i);
    return s;
  }
  static constexpr storage data = trimmed(made::value);
  template <class Record>
  static constexpr function_info described(const Record& r) {
    function_info f;
    f.id = r.id, f.name = Maker::name;
    f.words = data.words, f.word_count = r.word_count;
    f.axes = data.axes, f.axis_count = r.axis_count;
    f.leaves = data.leaves, f.leaf_count = r.leaf_count;
    f.functions = data.functions, f.function_count = r.function_count;
    f.outputs = data.outputs, f.output_count = r.output_count;
    f.states = data.states, f.state_count = r.state_count, f.first_state = r.first_state;
    f.derivative = r.derivative;
    return f;
  }
  static constexpr function_info info = described(made::value);
};

}  // namespace flame
