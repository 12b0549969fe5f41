// Running sums along an axis, its largest elements, and values put where an index says.
#pragma once
#include <flame/expr/image.hpp>

#include <tuple>

namespace flame {

// cumsum(x, axis)[i] = sum of x[0] to x[i] along the axis (torch.cumsum). Its derivative is the same from the
// end.
template <operand_type A, axis Axis> constexpr auto cumsum(const A& x, const Axis&) {
  using over = on_axes<std::remove_cvref_t<Axis>>;
  using with = inferred<op::cumsum, over, with_numbers<0>, shape_of<A>>;
  FLAME_REFUSALS("flame::cumsum(x, axis)", with::why);
  return emit<op::cumsum, over, with_numbers<0>>(x);
}

// The indices, i32, of the largest elements along `from`, as many as the axis `to` is long, the largest
// first: equal ones in their order, NaN counts as the largest. With `to` as long as `from` it sorts.
template <operand_type A, axis From, axis To> constexpr auto top_indices(const A& x, const From&, const To&) {
  using over = on_axes<std::remove_cvref_t<From>, std::remove_cvref_t<To>>;
  using with = inferred<op::top, over, with_numbers<>, shape_of<A>>;
  FLAME_REFUSALS("flame::top_indices(x, from, to)", with::why);
  constexpr int have = std::remove_cvref_t<From>::extent, wanted = std::remove_cvref_t<To>::extent;
  static_assert(have == dynamic || wanted == dynamic || wanted <= have,
                "flame::top_indices(x, from, to): `to` has more elements than `from`");
  return emit<op::top, over>(x);
}

// auto [values, indices] = top_k(x, from, to): the largest elements along `from`, the largest first, and
// where they stand (torch.topk). The values have a derivative, as those of gather have.
template <operand_type A, axis From, axis To>
constexpr auto top_k(const A& x, const From& from, const To& to) {
  using F = std::remove_cvref_t<From>;
  using T = std::remove_cvref_t<To>;
  constexpr bool has = shape_of<A>::value().has(axis_ptr<F>), two = !std::is_same_v<F, T>;
  static_assert(has, "flame::top_k(x, from, to): an axis that is named is no axis of the operand");
  static_assert(two, "flame::top_k(x, from, to): `to` must be another axis than `from`");
  if constexpr (has && two) {
    auto at = top_indices(x, from, to);
    return std::tuple{gather(x, at, from), at};
  }
}

namespace detail {
template <class Shape> struct scatter_axes;
template <class E, class... X> struct scatter_axes<shape<E, X...>> {
  template <class Axis> using of = on_axes<Axis, X...>;
  using all = on_axes<X...>;
};
template <class A, class I, class V, class Axis> constexpr bool scatters() {
  const tensor_type x = shape_of<A>::value(), index = shape_of<I>::value(), values = shape_of<V>::value();
  if (!x.has(axis_ptr<Axis>) || !is_integer(index.element) || index.has(axis_ptr<Axis>)) return false;
  for (int i = 0; i < x.rank; ++i)
    if (x.axes[i] != axis_ptr<Axis> && !values.has(x.axes[i])) return false;
  for (int i = 0; i < index.rank; ++i)
    if (!values.has(index.axes[i])) return false;
  for (int i = 0; i < values.rank; ++i)
    if (!x.has(values.axes[i]) && !index.has(values.axes[i])) return false;
  return x.element == values.element && !values.has(axis_ptr<Axis>);
}
}  // namespace detail

#define FLAME_SCATTER_REFUSALS(call)                                                                \
  static_assert(shape_of<A>::value().has(axis_ptr<std::remove_cvref_t<Axis>>),                      \
                call ": an axis that is named is no axis of the operand");                          \
  static_assert(                                                                                    \
      detail::scatters<A, I, V, std::remove_cvref_t<Axis>>() ||                                     \
          !shape_of<A>::value().has(axis_ptr<std::remove_cvref_t<Axis>>),                           \
      call                                                                                          \
      ": the values must have x's element type, x's axes but the axis, and the axes of the index, " \
      "which holds integers")

// x with the values added where the index says, along the axis: out[..., index[i], ...] += values[..., i,
// ...] (torch.Tensor.scatter_add, index_add). The values have the axes of the index in the axis's place;
// where several meet they are added up, always in one order.
template <operand_type A, operand_type I, operand_type V, axis Axis>
constexpr auto scatter_add(const A& x, const I& index, const V& values, const Axis&) {
  FLAME_SCATTER_REFUSALS("flame::scatter_add(x, index, values, axis)");
  using to = std::remove_cvref_t<Axis>;
  if constexpr (detail::scatters<A, I, V, to>())
    return x +
           emit<op::scatter_add, typename detail::scatter_axes<shape_of<A>>::template of<to>>(index, values);
}

// x with the values in the places that the index says, along the axis (torch.Tensor.scatter). An index that
// stands there twice gives the sum of its values, where PyTorch gives one of them.
template <operand_type A, operand_type I, operand_type V, axis Axis>
constexpr auto scatter(const A& x, const I& index, const V& values, const Axis&) {
  FLAME_SCATTER_REFUSALS("flame::scatter(x, index, values, axis)");
  using to = std::remove_cvref_t<Axis>;
  if constexpr (detail::scatters<A, I, V, to>()) {
    using axes = typename detail::scatter_axes<shape_of<A>>::template of<to>;
    using zero = structural_of<element_of<shape_of<A>>, 0>;
    using one = structural_of<element_of<shape_of<V>>, bits_of(1.0)>;
    auto hits = emit<op::scatter_add, axes>(
        index, emit<op::broadcast, typename detail::scatter_axes<shape_of<V>>::all>(one{}));
    return where(hits > zero{}, emit<op::scatter_add, axes>(index, values), x);
  }
}

}  // namespace flame
