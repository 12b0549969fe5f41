// Blocks of a model that are functions of their own: many of one kind, or one.
#pragma once
#include <flame/nn/place.hpp>

namespace flame {

// N instances of one block, N known at run time. The block is traced as a function of its own. Kept: what of
// each instance is kept for the backward (graph/function.hpp); keep::inputs computes it again there.
template <class Place, template <class> class Block, keep Kept = keep::caller> struct stack {
  using path_type = typename Place::path_type;
  using block = Block<root<typename Place::mode>>;
  static constexpr bool is_stack = true;

  // h = block(h, ...) for each instance: see expr/function.hpp, repeat.
  template <class... A> constexpr auto operator()(const A&... operands) const {
    return repeat<path_type, Kept>(block{}, operands...);
  }
};

// One block as a function of its own: all members of one block, whatever their Places, are one function,
// traced, differentiated and compiled once for each list of operand types. What is around it is not fused
// with it.
template <class Place, template <class> class Block, keep Kept = keep::caller> struct as_function {
  using path_type = typename Place::path_type;
  using block = Block<root<typename Place::mode>>;
  static constexpr bool is_function = true;

  template <class... A> constexpr auto operator()(const A&... operands) const {
    return call<path_type, Kept>(block{}, operands...);
  }
};

}  // namespace flame
