// From a graph in one constant evaluation to a function with static storage, which a template argument can name.
#pragma once
#include <flame/graph/words.hpp>

namespace flame {

// What a maker returns: a graph with its outputs, and the leaves in the order of a call's operands.
struct draft {
  graph g;
  list<const leaf_info*> operands;
  list<const leaf_info*> states;  // what outputs first_state and after renew
  int first_state = 0;
  const function_info* derivative = nullptr;
};

struct frozen_sizes {
  int words, axes, leaves, functions, outputs, states;
};

template <int Words, int Axes, int Leaves, int Functions, int Outputs, int States>
struct frozen_storage {
  u64 words[static_cast<unsigned>(Words)] = {};
  const axis_info* axes[static_cast<unsigned>(Axes) + 1] = {};
  const leaf_info* leaves[static_cast<unsigned>(Leaves) + 1] = {};
  const function_info* functions[static_cast<unsigned>(Functions) + 1] = {};
  tensor_type outputs[static_cast<unsigned>(Outputs) + 1] = {};
  const leaf_info* states[static_cast<unsigned>(States) + 1] = {};
  int first_state = 0;
  u64 id = 0;
  const function_info* derivative = nullptr;
};

[[nodiscard]] constexpr frozen_sizes sizes_of(const draft& d) {
  encoded e = encode(d.g, d.operands);
  return {e.words.size(), e.axes.size(), e.leaves.size(), e.functions.size(), e.outputs.size(), d.states.size()};
}

template <class Storage>
[[nodiscard]] constexpr Storage store(const draft& d) {
  encoded e = encode(d.g, d.operands);
  Storage s;
  for (int i = 0; i < e.words.size(); ++i) s.words[i] = e.words[i];
  for (int i = 0; i < e.axes.size(); ++i) s.axes[i] = e.axes[i];
  for (int i = 0; i < e.leaves.size(); ++i) s.leaves[i] = e.leaves[i];
  for (int i = 0; i < e.functions.size(); ++i) s.functions[i] = e.functions[i];
  for (int i = 0; i < e.outputs.size(); ++i) s.outputs[i] = e.outputs[i];
  for (int i = 0; i < d.states.size(); ++i) s.states[i] = d.states[i];
  s.first_state = d.first_state;
  s.id = d.derivative ? mix(e.id, d.derivative->id) : e.id;
  s.derivative = d.derivative;
  return s;
}

// Maker: `static constexpr draft make()` and `static constexpr text name`.
template <class Maker>
struct frozen {
  static constexpr frozen_sizes n = sizes_of(Maker::make());
  using storage = frozen_storage<n.words, n.axes, n.leaves, n.functions, n.outputs, n.states>;
  static constexpr storage data = store<storage>(Maker::make());
  static constexpr function_info info{data.id,        Maker::name, data.words,     n.words,
                                      data.axes,      n.axes,      data.leaves,    n.leaves,
                                      data.functions, n.functions, data.outputs,   n.outputs,
                                      data.states,    n.states,    data.first_state, data.derivative};
};

}  // namespace flame
