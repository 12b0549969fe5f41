// Blocks of a model that are functions of their own: many of one kind, or one.
#pragma once
#include <flame/expr/random.hpp>
#include <flame/nn/place.hpp>

namespace flame {

namespace detail {

// A key of its own for each member: blocks are traced at the root of a model, where all have the same sites.
template <class Path, class A> constexpr auto own_key(const A& operand) {
  if constexpr (requires { operand.value; })
    return operand;
  else if constexpr (std::is_same_v<element_of<shape_of<A>>, key>)
    return fold(operand, static_cast<int>(hash_of(Path::name) >> 33));
  else
    return operand;
}
template <class Path, class A> constexpr auto own_key(const keyed_by<A>& operand) {
  return keyed(own_key<Path>(operand.value));
}

}  // namespace detail

// N instances of one block, N known at run time. The block is traced as a function of its own. A random key
// is handed on as keyed(key): each instance of each stack has draws of its own. Kept: what of each instance
// is kept for the backward (graph/function.hpp); keep::inputs computes it again there.
template <class Place, template <class> class Block, keep Kept = keep::caller> struct stack {
  using path_type = typename Place::path_type;
  using block = Block<root<typename Place::mode>>;
  static constexpr bool is_stack = true;

  // h = block(h, ...) for each instance: see expr/function.hpp, repeat.
  template <class... A> constexpr auto operator()(const A&... operands) const {
    return repeat<path_type, Kept>(block{}, detail::own_key<path_type>(operands)...);
  }
};

// One block as a function of its own: all members of one block, whatever their Places, are one function,
// traced, differentiated and compiled once for each list of operand types. What is around it is not fused
// with it. Each has random draws of its own. The paths of its members begin at the block, for adapters<...>
// as in a stack.
template <class Place, template <class> class Block, keep Kept = keep::caller> struct as_function {
  using path_type = typename Place::path_type;
  using block = Block<root<typename Place::mode>>;
  static constexpr bool is_function = true;

  template <class... A> constexpr auto operator()(const A&... operands) const {
    return call<path_type, Kept>(block{}, detail::own_key<path_type>(operands)...);
  }
};

}  // namespace flame
