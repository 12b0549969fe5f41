// The gradient of a function as a function.
#pragma once
#include <flame/pass/derive.hpp>

namespace flame {

namespace detail {

// By what a loss is multiplied before it is differentiated.
inline constexpr leaf_info make_loss_scale(dtype element) {
  leaf_info l;
  l.id = mix(0x5CA1E, static_cast<u64>(element));
  l.kind = leaf_kind::argument;
  l.type.element = element;
  l.name = "argument";
  return l;
}
template <dtype Element> inline constexpr leaf_info loss_scale = make_loss_scale(Element);

template <const function_info* F, class Select, bool Scaled> struct loss_source : function_source<F> {
  static constexpr list<int> outputs(const graph& g) { return list<int>(g.outputs.items, 1); }
  static constexpr list<int> wrt(const graph&) {
    list<int> w;
    for (int i = 0; i < F->leaf_count; ++i)
      if (Select::has(i)) w.push(i);  // graph_of: leaf i is node i
    return w;
  }
  static constexpr list<const leaf_info*> cotangents() {
    list<const leaf_info*> one;
    one.push(Scaled ? &loss_scale<F->outputs[0].element> : nullptr);
    return one;
  }
};

template <const function_info* F, class Select, keep Policy, bool Scaled> struct loss_gradient_maker {
  using source = loss_source<F, Select, Scaled>;
  using ample =
      room<4 * F->word_count + 128, F->axis_count + 32, F->leaf_count + Scaled,
           F->function_count + 2 * source::call_room, F->output_count + F->leaf_count, F->state_count>;
  static constexpr text name = F->name;
  static constexpr draft make() {
    draft d;
    d.g = derived_calls<source, Policy>::differentiated();
    d.operands.append({F->leaves, F->leaf_count});
    if (Scaled) d.operands.push(source::cotangents()[0]);
    d.states.append({F->states, F->state_count});
    d.first_state = F->first_state;
    return d;
  }
};

}  // namespace detail

// F's outputs, of which the first is a scalar, then its gradient with respect to each leaf for which
// Select::has(its number) holds, in their order. Scaled: of the loss times one operand more, the last; the
// outputs are as they are.
template <const function_info* F, class Select, keep Policy = keep::cut, bool Scaled = false>
inline constexpr const function_info* gradient_function =
    &frozen<detail::loss_gradient_maker<F, Select, Policy, Scaled>>::info;

}  // namespace flame
