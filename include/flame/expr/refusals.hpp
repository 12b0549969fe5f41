// Every refusal at compile time, in one form: the call, then the rule, in the user's words.
//
// A macro, because the text of a static_assert must be a literal. `why` is a fault of graph/operation.hpp; the compiler
// prints the operands' types, with their axes' names, beside the text.
#pragma once
#include <flame/expr/operand.hpp>

#define FLAME_REFUSALS(call, why)                                                                                      \
  static_assert((why) != fault::dtypes_differ,                                                                         \
                call ": the element types differ; cast one operand, as in cast<f32>(b)");                              \
  static_assert((why) != fault::needs_floating, call ": the operand must have a floating element type");              \
  static_assert((why) != fault::needs_integer, call ": the indices must have an integer element type");               \
  static_assert((why) != fault::needs_boolean, call ": the condition must be boolean");                               \
  static_assert((why) != fault::needs_number, call ": the operand must be a number, not a boolean or a key");         \
  static_assert((why) != fault::needs_key, call ": the first operand must be a random key");                          \
  static_assert((why) != fault::axis_missing, call ": an axis that is named is no axis of the operand");              \
  static_assert((why) != fault::axis_twice, call ": an axis would stand twice in the result");                        \
  static_assert((why) != fault::extents_clash, call ": two extents that must be equal differ");                       \
  static_assert((why) != fault::ranks_clash, call ": anonymous operands must have equal ranks");                      \
  static_assert((why) != fault::rank_too_high, call ": the result would have more than 8 axes");                      \
  static_assert((why) != fault::not_contracted,                                                                        \
                call ": an axis of one operand alone is neither shared nor in the result");                            \
  static_assert((why) != fault::stacked, call ": a stack of instances is used where one tensor is needed");           \
  static_assert((why) != fault::image_layout,                                                                          \
                call ": an image has the axes [..., height, width, channel], "                                         \
                     "a weight [out, height, width, in]")

// An activation speaks of itself, not of the functions that it is made of; some would take integers, and round.
#define FLAME_ACTIVATION_REFUSALS(call, Shape)                                                                         \
  static_assert(is_floating(dtype_of<element_of<Shape>>), call ": the operand must have a floating element type")

// A composite of reductions speaks of itself, not of the reductions that it is made of. Shape: of the operand.
#define FLAME_COMPOSITE_REFUSALS(call, Shape, ...)                                                                     \
  static_assert(is_floating(dtype_of<element_of<Shape>>), call ": the operand must have a floating element type");    \
  static_assert((Shape::value().has(axis_ptr<std::remove_cvref_t<__VA_ARGS__>>) && ...),                              \
                call ": an axis that is named is no axis of the operand");                                             \
  static_assert(detail::distinct<std::remove_cvref_t<__VA_ARGS__>...>, call ": an axis is named twice")

namespace flame {

namespace detail {

template <class... Axes>
constexpr bool find_distinct() {
  const axis_info* axes[] = {axis_ptr<Axes>..., nullptr};
  for (int i = 0; i < static_cast<int>(sizeof...(Axes)); ++i)
    for (int k = 0; k < i; ++k)
      if (axes[i] == axes[k]) return false;
  return true;
}
template <class... Axes>
inline constexpr bool distinct = find_distinct<Axes...>();
// Whether a composite over these axes goes on: where it is refused, one error is enough.
template <class Shape, class... Axes>
inline constexpr bool composes =
    is_floating(dtype_of<element_of<Shape>>) && (Shape::value().has(axis_ptr<std::remove_cvref_t<Axes>>) && ...) &&
    distinct<std::remove_cvref_t<Axes>...>;

template <class A, class B>
inline constexpr bool nested = within(A::value(), B::value()) || within(B::value(), A::value());

// Anonymous axes align by position: equal ranks (or a scalar), equal extents.
template <class A, class B>
constexpr fault find_anonymous_fault() {
  tensor_type a = A::value(), b = B::value();
  bool any = false;
  for (int i = 0; i < a.rank; ++i) any = any || a.axes[i]->from_last >= 0;
  if (!any || a.rank == 0 || b.rank == 0) return fault::none;
  bool named = false;
  for (int i = 0; i < b.rank; ++i) named = named || b.axes[i]->from_last >= 0;
  if (!named) return fault::none;
  if (a.rank != b.rank) return fault::ranks_clash;
  for (int i = 0; i < a.rank; ++i)
    if (a.axes[i] != b.axes[i]) return fault::extents_clash;
  return fault::none;
}
template <class A, class B>
inline constexpr fault anonymous_fault = find_anonymous_fault<A, B>();

}  // namespace detail

}  // namespace flame
