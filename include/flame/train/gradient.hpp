// The gradient of a traced function with respect to some of its leaves, as a function.
#pragma once
#include <flame/expr/gradient.hpp>
#include <flame/nn/pattern.hpp>

namespace flame {

namespace detail {

// The leaves of F to differentiate: its parameters that Select may choose.
template <const function_info* F, class Select>
constexpr mask select_parameters() {
  mask m;
  for (int i = 0; i < F->leaf_count; ++i)
    if (F->leaves[i]->kind == leaf_kind::parameter && Select::may_have(F->leaves[i]->name)) m.add(i);
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
