// The gradient of a traced function with respect to some of its leaves, as a function.
#pragma once
#include <flame/expr/gradient.hpp>
#include <flame/nn/pattern.hpp>
#include <flame/pass/gradient.hpp>

namespace flame {

namespace detail {

// The leaves of F to differentiate: its parameters that Select may choose.
template <const function_info* F, class Select> constexpr mask select_parameters() {
  mask m;
  for (int i = 0; i < F->leaf_count; ++i)
    if (F->leaves[i]->kind == leaf_kind::parameter && Select::may_have(F->leaves[i]->name)) m.add(i);
  return m;
}

template <mask In> struct leaves_in {
  static constexpr bool has(int i) { return In.has(i); }
};

}  // namespace detail

// F's outputs (the first a scalar), then the gradient of the first times a scale, one operand more, with
// respect to each leaf in In, in the order of the leaves.
template <const function_info* F, mask In, keep Policy = keep::cut>
inline constexpr const function_info* gradient_of = gradient_function<F, detail::leaves_in<In>, Policy, true>;

}  // namespace flame
