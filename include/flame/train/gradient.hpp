// The gradient of a traced function with respect to some of its leaves, as a function.
#pragma once
#include <flame/expr/gradient.hpp>

namespace flame {

// Which parameters are trained, by path: `all_parameters`, or a pattern with * for any text, trainable<"*.lora_A", ...>.
[[nodiscard]] constexpr bool matches(text pattern, text t) {
  int p = 0, i = 0, star = -1, mark = 0;
  while (i < t.size) {
    if (p < pattern.size && pattern[p] == '*') {
      star = p++, mark = i;
    } else if (p < pattern.size && pattern[p] == t[i]) {
      ++p, ++i;
    } else if (star >= 0) {
      p = star + 1, i = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size && pattern[p] == '*') ++p;
  return p == pattern.size;
}

template <fixed_string... Patterns>
struct trainable {
  static constexpr bool has(text name) { return (matches(text(Patterns.chars, length(Patterns)), name) || ...); }
};
using all_parameters = trainable<"*">;

namespace detail {

// The leaves of F to differentiate: its parameters that Select names.
template <const function_info* F, class Select>
constexpr mask select_parameters() {
  mask m;
  for (int i = 0; i < F->leaf_count; ++i)
    if (F->leaves[i]->kind == leaf_kind::parameter && Select::has(F->leaves[i]->name)) m.add(i);
  return m;
}

template <const function_info* F, mask In>
struct loss_source {
  static constexpr graph from() { return graph_of(*F); }
  static constexpr list<int> outputs(const graph& g) {
    list<int> o;
    o.push(g.outputs[0]);
    return o;
  }
  static constexpr list<int> wrt(const graph&) {
    list<int> w;
    for (int i = 0; i < F->leaf_count; ++i)
      if (In.has(i)) w.push(i);
    return w;
  }
};

template <const function_info* F, mask In, keep Policy>
struct loss_gradient {
  static constexpr text name = "gradient";
  static constexpr draft make() {
    using source = loss_source<F, In>;
    graph g = source::from();
    list<const leaf_info*> one;
    one.push(nullptr);
    list<int> wrt = source::wrt(g);
    differentiated d = differentiate(g, source::outputs(g), one, wrt, derived_calls<source, Policy>::table.at);
    d.g.outputs = d.values;
    for (int i = 0; i < d.gradients.size(); ++i) {
      int n = d.gradients[i];
      if (n < 0) n = d.g.as_type(d.g.constant(0, g.type(wrt[i]).element), g.type(wrt[i]));
      d.g.outputs.push(n);
    }
    draft r;
    r.g = simplify(d.g);
    r.operands = list<const leaf_info*>(F->leaves, F->leaf_count);
    r.states = list<const leaf_info*>(F->states, F->state_count);
    r.first_state = F->first_state;
    return r;
  }
};

}  // namespace detail

// F's outputs (the first a scalar), then its gradient with respect to each leaf in In, in the order of the leaves.
template <const function_info* F, mask In, keep Policy = keep::cut>
inline constexpr const function_info* gradient_of = &frozen<detail::loss_gradient<F, In, Policy>>::info;

}  // namespace flame
