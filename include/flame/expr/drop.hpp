// Stochastic depth.
#pragma once
#include <flame/expr/random.hpp>

namespace flame {

// drop_path(x, p, key, axes...) = x / (1 - p) where a uniform draw is at least p, else 0, one draw for each
// place of the given axes: of the batch, say, where each sample's branch is dropped as a whole (Huang et al.
// 2016).
template <u64 Site = 0, operand_type A, operand_type Key, axis... Axes>
constexpr auto drop_path(const A& x, double p, const Key& k, const Axes&... axes) {
  constexpr bool has = (shape_of<A>::value().has(axis_ptr<std::remove_cvref_t<Axes>>) && ...);
  static_assert(sizeof...(Axes) >= 1,
                "flame::drop_path(x, p, key, axes...): name the axes that are drawn for");
  static_assert(has, "flame::drop_path(x, p, key, axes...): an axis that is named is no axis of the operand");
  if constexpr (has && sizeof...(Axes) >= 1)
    return where(uniform<element_of<shape_of<A>>, Site>(k, axes...) >= p, x * (1 / (1 - p)), 0);
}

}  // namespace flame
