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
  keep kept = keep::caller;
};

// Room is cheap in g++ and clang; nvcc pays some 2 us for each element, used or not.
// No room for leaves: they are known without the record.
template <int Words, int Axes, int Leaves, int Functions, int Outputs, int States = 0>
struct room {
  static constexpr int words = Words, axes = Axes, leaves = Leaves, functions = Functions, outputs = Outputs,
                       states = States;
};

// Types of tensors, in arrays.
template <int Room>
struct type_record {
  u32 heads[static_cast<unsigned>(Room) + 1] = {};  // element, rank, stack: 8 bits each
  const axis_info* axes[static_cast<unsigned>(Room) * max_rank + 1] = {};

  constexpr void set(int i, const tensor_type& t) {
    heads[i] = static_cast<u32>(t.element) | static_cast<u32>(t.rank) << 8 | static_cast<u32>(t.stack) << 16;
    for (int k = 0; k < t.rank; ++k) axes[i * max_rank + k] = t.axes[k];
  }
  [[nodiscard]] constexpr tensor_type operator[](int i) const {
    tensor_type t;
    t.element = static_cast<dtype>(heads[i] & 0xff);
    t.stack = static_cast<u8>(heads[i] >> 16);
    for (int k = 0; k < static_cast<int>((heads[i] >> 8) & 0xff); ++k) t.push(axes[i * max_rank + k]);
    return t;
  }
};

// What a graph is encoded as (graph/words.hpp), in arrays.
template <class Room>
struct record {
  u64 words[static_cast<unsigned>(Room::words) + 1] = {};
  const axis_info* axes[static_cast<unsigned>(Room::axes) + 1] = {};
  const leaf_info* leaves[static_cast<unsigned>(Room::leaves) + 1] = {};
  const function_info* functions[static_cast<unsigned>(Room::functions) + 1] = {};
  type_record<Room::outputs> outputs;
  const leaf_info* states[static_cast<unsigned>(Room::states) + 1] = {};
  int word_count = 0, axis_count = 0, leaf_count = 0, function_count = 0, output_count = 0, state_count = 0;
  int first_state = 0;
  u64 id = 0;
  const function_info* derivative = nullptr;
  keep kept = keep::caller;

  [[nodiscard]] constexpr bool complete() const {
    return word_count <= Room::words && axis_count <= Room::axes && (leaf_count <= Room::leaves || Room::leaves == 0) &&
           function_count <= Room::functions && output_count <= Room::outputs && state_count <= Room::states;
  }
  constexpr void set(const encoded& e) {
    word_count = e.words.count, axis_count = e.axes.count, leaf_count = e.leaves.count;
    function_count = e.functions.count, output_count = e.outputs.count;
    id = e.id;
    if (complete()) {
      for (int i = 0; i < word_count; ++i) words[i] = e.words.items[i];
      for (int i = 0; i < axis_count; ++i) axes[i] = e.axes.items[i];
      for (int i = 0; i < leaf_count && Room::leaves > 0; ++i) leaves[i] = e.leaves.items[i];
      for (int i = 0; i < function_count; ++i) functions[i] = e.functions.items[i];
      for (int i = 0; i < output_count; ++i) outputs.set(i, e.outputs.items[i]);
    }
  }
};

template <class Room>
[[nodiscard]] constexpr record<Room> record_of(const draft& d) {
  record<Room> r;
  r.state_count = d.states.count;
  r.first_state = d.first_state;
  r.set(encode(d.g, d.operands));
  if (r.complete())
    for (int i = 0; i < r.state_count; ++i) r.states[i] = d.states.items[i];
  if (d.derivative) r.id = mix(r.id, d.derivative->id);
  r.derivative = d.derivative;
  r.kept = d.kept;
  return r;
}

// What a maker makes: in its ample room, or, where that is too small, in a room of its size.
// Maker: `static constexpr draft make()`, and `ample` if it knows how much it makes at most.
template <class Maker>
struct ample_record {
  static constexpr auto find_room() {
    if constexpr (requires { typename Maker::ample; })
      return typename Maker::ample{};
    else
      return room<2048, 128, 256, 64, 64, 32>{};
  }
  static constexpr auto value = record_of<decltype(find_room())>(Maker::make());
};
template <class Maker>
struct exact_record {
  using ample = ample_record<Maker>;
  static constexpr auto value =
      record_of<room<ample::value.word_count, ample::value.axis_count, ample::value.leaf_count,
                     ample::value.function_count, ample::value.output_count, ample::value.state_count>>(Maker::make());
};
template <class Maker>
struct recorded
    : std::conditional_t<ample_record<Maker>::value.complete(), ample_record<Maker>, exact_record<Maker>> {};

// The distinct axes of leaves, and which of them each axis of each leaf is: function_info says so to its calls.
template <int Leaves>
struct leaf_axis_list {
  static constexpr int most = 64;
  const axis_info* axes[most] = {};
  u8 numbers[static_cast<unsigned>(Leaves) * max_rank + 1] = {};
  int count = 0;  // 0 also where there are more than `most`

  constexpr void set(const leaf_info* const* leaves) {
    int n = 0, found = 0;
    for (int i = 0; i < Leaves && found <= most; ++i) {
      const tensor_type& t = leaves[i]->type;
      for (int k = 0; k < t.rank && found <= most; ++k) {
        int at = 0;
        while (at < found && axes[at] != t.axes[k]) ++at;
        if (at == found && ++found <= most) axes[at] = t.axes[k];
        numbers[n++] = static_cast<u8>(at);
      }
    }
    count = found <= most ? found : 0;
  }
};

// A record as a function. Made: `static constexpr const record<...>& made()`, `static constexpr const leaf_info* const*
// leaves()`, and its name.
template <class Made>
struct stored {
  static constexpr int callable = Made::made().leaf_count <= 255 ? Made::made().leaf_count : 0;  // graph/words.hpp
  struct storage {
    u64 words[static_cast<unsigned>(Made::made().word_count)] = {};
    const axis_info* axes[static_cast<unsigned>(Made::made().axis_count) + 1] = {};
    const leaf_info* leaves[static_cast<unsigned>(Made::made().leaf_count) + 1] = {};
    const function_info* functions[static_cast<unsigned>(Made::made().function_count) + 1] = {};
    const leaf_info* states[static_cast<unsigned>(Made::made().state_count) + 1] = {};
    tensor_type outputs[static_cast<unsigned>(Made::made().output_count) + 1] = {};
    leaf_axis_list<callable> axes_of_leaves;
  };
  template <class Record>
  static constexpr storage trimmed(const Record& r, const leaf_info* const* leaves) {
    storage s;
    for (int i = 0; i < r.word_count; ++i) s.words[i] = r.words[i];
    for (int i = 0; i < r.axis_count; ++i) s.axes[i] = r.axes[i];
    for (int i = 0; i < r.leaf_count; ++i) s.leaves[i] = leaves[i];
    for (int i = 0; i < r.function_count; ++i) s.functions[i] = r.functions[i];
    for (int i = 0; i < r.state_count; ++i) s.states[i] = r.states[i];
    for (int i = 0; i < r.output_count; ++i) s.outputs[i] = r.outputs[i];
    if (callable > 0) s.axes_of_leaves.set(leaves);
    return s;
  }
  static constexpr storage data = trimmed(Made::made(), Made::leaves());
  template <class Record>
  static constexpr function_info described(const Record& r) {
    function_info f;
    f.id = r.id, f.name = Made::name;
    f.words = data.words, f.word_count = r.word_count;
    f.axes = data.axes, f.axis_count = r.axis_count;
    f.leaves = data.leaves, f.leaf_count = r.leaf_count;
    f.functions = data.functions, f.function_count = r.function_count;
    f.outputs = data.outputs, f.output_count = r.output_count;
    f.states = data.states, f.state_count = r.state_count, f.first_state = r.first_state;
    if (data.axes_of_leaves.count > 0) {
      f.leaf_axes = data.axes_of_leaves.axes, f.leaf_axis_count = data.axes_of_leaves.count;
      f.axis_of_leaf = data.axes_of_leaves.numbers;
    }
    f.derivative = r.derivative;
    f.kept = r.kept;
    return f;
  }
  static constexpr function_info info = described(Made::made());
};

template <class Maker>
struct recorded_function {
  static constexpr text name = Maker::name;
  static constexpr const auto& made() { return recorded<Maker>::value; }
  static constexpr const leaf_info* const* leaves() { return recorded<Maker>::value.leaves; }
};

// A maker's graph as a function. Maker: also `static constexpr text name`.
template <class Maker>
struct frozen : stored<recorded_function<Maker>> {};

}  // namespace flame
