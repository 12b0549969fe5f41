// What the tests of graph/ share: axes, leaves, short ways to say lists, and functions as data.
#pragma once
#include <flame/graph/words.hpp>
#include <initializer_list>
#include <vector>

namespace flame::tests {

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct part : dim<> {
} part;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct layer : dim<> {
} layer;
inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct four : dim<4> {
} four;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct kernel_height : dim<> {
} kernel_height;
inline constexpr struct kernel_width : dim<> {
} kernel_width;
inline constexpr struct channel_part : dim<> {
} channel_part;
inline constexpr struct out_height : dim<> {
} out_height;
inline constexpr struct out_width : dim<> {
} out_width;
inline constexpr struct out : dim<> {
} out;

template <class... Axes> list<const axis_info*> over() {
  list<const axis_info*> l;
  (l.push(axis_ptr<Axes>), ...);
  return l;
}

template <class... N> constexpr list<int> nodes(N... n) {
  list<int> l;
  (l.push(n), ...);
  return l;
}

template <class... N> constexpr list<u64> numbers(N... n) {
  list<u64> l;
  (l.push(static_cast<u64>(n)), ...);
  return l;
}

constexpr u64 bits(double x) { return __builtin_bit_cast(u64, x); }

template <class Element, class... Axes>
constexpr leaf_info leaf_of(text name, leaf_kind kind = leaf_kind::input) {
  return {mix(hash_of(name), static_cast<u64>(kind)), kind, shape<Element, Axes...>::value(), name};
}

// A leaf whose first axis counts instances.
template <class Element, class... Axes> constexpr leaf_info stack_of(text name) {
  leaf_info l = leaf_of<Element, Axes...>(name);
  l.type.stack = 1;
  return l;
}

// A graph's words as a function; it must outlive the graphs that call it.
struct function {
  encoded code;
  function_info info;

  function(text name, const graph& g, std::initializer_list<const leaf_info*> operands) {
    list<const leaf_info*> leaves;
    for (const leaf_info* l : operands) leaves.push(l);
    code = encode(g, leaves);
    info.id = code.id;
    info.name = name;
    info.words = code.words.items, info.word_count = code.words.size();
    info.axes = code.axes.items, info.axis_count = code.axes.size();
    info.leaves = code.leaves.items, info.leaf_count = code.leaves.size();
    info.functions = code.functions.items, info.function_count = code.functions.size();
    info.outputs = code.outputs.items, info.output_count = code.outputs.size();
  }
  function(const function&) = delete;
  function& operator=(const function&) = delete;
};

inline int call(graph& g, const function& f, const list<int>& operands) {
  call_info info;
  for (int i = 0; i < operands.size(); ++i) info.operands.push({});
  for (int i = 0; i < f.info.output_count; ++i) info.outputs.push(output_mode::carry);
  list<u64> data;
  info.encode(data);
  return g.put(op::call, operands, {}, data, nullptr, &f.info);
}

inline int repeat(graph& g, const function& f, const axis_info* count, const list<int>& operands,
                  std::initializer_list<call_operand> modes, std::initializer_list<output_mode> outputs,
                  bool reverse = false) {
  call_info info;
  info.repeat = true, info.reverse = reverse;
  for (call_operand m : modes) info.operands.push(m);
  for (output_mode m : outputs) info.outputs.push(m);
  list<u64> data;
  info.encode(data);
  list<const axis_info*> axes;
  axes.push(count);
  return g.put(op::call, operands, axes, data, nullptr, &f.info);
}

}  // namespace flame::tests
