// Composites that read their operand several times: what it holds, numbers and tensors of eager work, is held
// once.
//
// Equal nodes of an expression are one node, but two values that an expression holds are two, whatever they
// are: x * sigmoid(x) of x = t * 2.0 would hold t and 2.0 twice and multiply twice. So a composite of an
// operand that holds something is made of a leaf that stands for it, and the operand put in the leaf's place.
#pragma once
#include <flame/expr/emit.hpp>

namespace flame {

namespace detail {

template <class Shape> struct stand_in : operand {
  using leaf_shape = Shape;
  static constexpr leaf_kind kind = leaf_kind::input;
  static constexpr text leaf_name() { return "operand"; }
};

template <class X> inline constexpr bool holds = false;
template <operand_type X>
requires(!is_sym<X>) inline constexpr bool holds<X> = holding<X>::shapes::size > 0;

// R with X in the stand-in's place; what X holds comes first.
template <class R, class X> struct with_operand {
  using ample = room<384, 64, 64, 8, 1>;
  using own = typename holding<R>::shapes;
  static constexpr int first = holding<X>::shapes::size;
  using before = held_leaves<0, own, std::make_integer_sequence<int, own::size>>;
  using after = held_leaves<first, own, std::make_integer_sequence<int, own::size>>;

  static constexpr draft make() {
    draft d;
    const int x = import_held<X, 0>(d.g);
    list<int> in;
    for (int i = 0; i < R::leaves::count; ++i) {
      const leaf_info* l = R::leaves::at[i];
      if (l == &leaf_of<stand_in<shape_of<X>>>::info) {
        in.push(x);
        continue;
      }
      for (int k = 0; k < own::size; ++k)
        if (before::at[k] == R::leaves::at[i]) l = after::at[k];
      in.push(d.g.leaf(l));
    }
    d.g.outputs.push(decode(d.g, R::view(), in)[0]);
    return d;
  }
};

// of_stand_in: the composite of stand_in<shape_of<X>>.
template <class R, class X> constexpr auto put_in(const R& of_stand_in, const X& x) {
  using shapes = typename concat<typename holding<X>::shapes, typename holding<R>::shapes>::type;
  using values = typename concat<typename holding<X>::values, typename holding<R>::values>::type;
  expr_of<with_operand<R, X>, shape_of<R>, shapes, values> e;
  e.values = std::tuple_cat(holding<X>::take(x), holding<R>::take(of_stand_in));
  return e;
}

}  // namespace detail

}  // namespace flame

// In a composite: FLAME_HOLD_ONCE(x, silu(once)) gives the composite of an operand x that holds something.
#define FLAME_HOLD_ONCE(x, ...)                                                 \
  if constexpr (::flame::detail::holds<std::remove_cvref_t<decltype(x)>>) {     \
    constexpr ::flame::detail::stand_in<::flame::shape_of<decltype(x)>> once{}; \
    return ::flame::detail::put_in(__VA_ARGS__, x);                             \
  } else
