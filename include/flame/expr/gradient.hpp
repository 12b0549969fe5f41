// grad, value_and_grad, vjp and jvp: of expressions, giving expressions, and of functions, giving functions.
#pragma once
#include <flame/expr/function.hpp>

namespace flame {

namespace detail {

template <class E>
inline constexpr bool is_scalar = shape_of<E>::rank == 0 && is_floating(dtype_of<element_of<shape_of<E>>>);

enum class wanted : u8 { gradients, value_and_gradients };

// Cotangent: of the output; void for 1.
template <class E, class Cotangent, class... Leaves>
struct gradient_source {
  static constexpr int count(bool calls) {
    if constexpr (leaf_type<E>)
      return calls ? 0 : 1;
    else
      return calls ? count_calls(E::words) : node_count(E::words);
  }
  static constexpr int node_room = static_cast<int>(sizeof...(Leaves)) + count(false);
  static constexpr int call_room = count(true);
  static constexpr graph from(array_view<const function_info*> forwards = {}) {
    graph g;
    (g.leaf(&leaf_of<Leaves>::info), ...);
    if constexpr (leaf_type<E>)
      g.outputs.push(g.leaf(&leaf_of<E>::info));
    else
      g.outputs = decode(g, E::view(), {}, forwards);
    return g;
  }
  static constexpr list<int> outputs(const graph& g) { return g.outputs; }
  static constexpr list<int> wrt(const graph&) {
    list<int> w;
    for (int i = 0; i < static_cast<int>(sizeof...(Leaves)); ++i) w.push(i);
    return w;
  }
  static constexpr list<const leaf_info*> cotangents() {
    list<const leaf_info*> l;
    if constexpr (std::is_void_v<Cotangent>)
      l.push(nullptr);
    else
      l.push(&leaf_of<Cotangent>::info);
    return l;
  }
};

template <class Source, keep Policy, wanted Want>
struct gradient_maker {
  using ample = room<512, 32, 32, 16, 8>;
  static constexpr draft make() {
    draft d;
    d.g = derived_calls<Source, Policy>::differentiated();
    if (Want == wanted::gradients) {
      const list<int>& all = d.g.outputs;
      const int count = Source::wrt(d.g).count;
      d.g.outputs = list<int>(all.items + all.count - count, count);
    }
    return d;
  }
};

template <class Shapes>
struct one_or_many {
  using type = Shapes;
};
template <class Shape>
struct one_or_many<shapes<Shape>> {
  using type = Shape;
};

template <class Maker, class Shapes, class E>
constexpr auto make_expr(const E& e) {
  using held_shapes = typename holding<E>::shapes;
  using held_values = typename holding<E>::values;
  expr_of<Maker, typename one_or_many<Shapes>::type, held_shapes, held_values> r;
  r.values = holding<E>::take(e);
  return r;
}

// The derivative of a call is a type, and the graph that is being traced a value.
[[noreturn]] inline void refuse_gradient_through_a_call_inside_a_function() {
  throw error("flame::grad(e, x): inside a function that is traced, a gradient does not lead through call or repeat");
}

// Inside a function: on the graph that is being traced.
template <class S, class... X>
constexpr list<int> traced_gradients(const S& loss, const X&... x) {
  graph& g = *loss.g;
  list<int> wrt, r;
  (wrt.push(import_into(g, x)), ...);
  const int one = g.constant(1, g.type(loss.n).element);
  const activity act = analyse(g, {&loss.n, 1}, wrt);
  if (!act.calls.empty()) refuse_gradient_through_a_call_inside_a_function();
  reverse_sweep sweep{g, act.active, {}, nullptr, {}, {}, backward{g}};
  sweep.run({&loss.n, 1}, {&one, 1});
  for (int n : wrt) r.push(sweep.cotangent[n] >= 0 ? sweep.rule.full(sweep.cotangent[n], n) : zeros(g, tensor_type(g.type(n))));
  return r;
}

}  // namespace detail

// The gradient of a scalar with respect to leaves: an expression of the leaf's shape, or several for several leaves.
// Inside a traced function, of any value with respect to any value that it was made from; there it does not lead
// through call or repeat.
template <operand_type E, operand_type... X>
constexpr auto grad(const E& e, const X&... x) {
  static_assert(detail::is_scalar<E>,
                "flame::grad(e, x): e must be a scalar of floating type; sum it over its axes first");
  static_assert((is_floating(dtype_of<element_of<shape_of<X>>>) && ...),
                "flame::grad(e, x): x must have a floating element type; nothing is differentiated by integers");
  if constexpr (detail::is_scalar<E> && (is_floating(dtype_of<element_of<shape_of<X>>>) && ...)) {
    if constexpr (is_sym<E>) {
      list<int> d = detail::traced_gradients(e, x...);
      int i = 0;
      auto one = [&]<class Y>(const Y&) {
        return typename detail::sym_for<shape_of<Y>>::type{{}, e.g, d[i++]};
      };
      if constexpr (sizeof...(X) == 1)
        return (one(x), ...);
      else
        return std::tuple{one(x)...};
    } else {
      static_assert((leaf_type<X> && ...),
                    "flame::grad(e, x): x must be a leaf of e, such as an input; a tensor is given to what "
                    "compile<host>(grad(e, x), x) makes");
      if constexpr ((leaf_type<X> && ...)) {
        using source = detail::gradient_source<E, void, std::remove_cvref_t<X>...>;
        using maker = detail::gradient_maker<source, keep::cut, detail::wanted::gradients>;
        return detail::make_expr<maker, shapes<shape_of<X>...>>(e);
      }
    }
  }
}

// The value of a scalar and its gradients: one expression with outputs (value, gradients...).
template <operand_type E, operand_type... X>
constexpr auto value_and_grad(const E& e, const X&...) {
  static_assert(detail::is_scalar<E>,
                "flame::value_and_grad(e, x): e must be a scalar of floating type; sum it over its axes first");
  static_assert((leaf_type<X> && ...),
                "flame::value_and_grad(e, x): x must be a leaf of e, such as an input; a tensor is given to what "
                "compile<host>(value_and_grad(e, x), x) makes");
  static_assert((is_floating(dtype_of<element_of<shape_of<X>>>) && ...),
                "flame::value_and_grad(e, x): x must have a floating element type; nothing is differentiated by integers");
  if constexpr (detail::is_scalar<E> && (leaf_type<X> && ...) &&
                (is_floating(dtype_of<element_of<shape_of<X>>>) && ...)) {
    using source = detail::gradient_source<E, void, std::remove_cvref_t<X>...>;
    using maker = detail::gradient_maker<source, keep::cut, detail::wanted::value_and_gradients>;
    return detail::make_expr<maker, shapes<shape_of<E>, shape_of<X>...>>(e);
  }
}

// The vector-Jacobian product <d, de/dx>: d is a leaf of e's shape.
template <operand_type E, leaf_type D, leaf_type... X>
constexpr auto vjp(const E& e, const D&, const X&...) {
  constexpr bool fits = std::is_same_v<shape_of<E>, shape_of<D>>;
  static_assert(fits, "flame::vjp(e, d, x): d must have the shape of e");
  static_assert((is_floating(dtype_of<element_of<shape_of<X>>>) && ...),
                "flame::vjp(e, d, x): x must have a floating element type; nothing is differentiated by integers");
  if constexpr (fits && (is_floating(dtype_of<element_of<shape_of<X>>>) && ...)) {
    using source = detail::gradient_source<E, std::remove_cvref_t<D>, std::remove_cvref_t<X>...>;
    using maker = detail::gradient_maker<source, keep::cut, detail::wanted::gradients>;
    return detail::make_expr<maker, shapes<shape_of<X>...>>(e);
  }
}

namespace detail {
template <class Shape>
struct cotangent_leaf : operand {
  using leaf_shape = Shape;
  static constexpr leaf_kind kind = leaf_kind::input;
  static constexpr text leaf_name() { return "flame::cotangent"; }
};
}  // namespace detail

// The Jacobian-vector product de/dx t: t is a leaf of x's shape. The vector-Jacobian product is linear in its vector,
// so its own vector-Jacobian product is this (the one differentiation, applied twice).
template <operand_type E, leaf_type T, leaf_type X>
constexpr auto jvp(const E& e, const T& t, const X& x) {
  constexpr bool fits = std::is_same_v<shape_of<X>, shape_of<T>>;
  static_assert(fits, "flame::jvp(e, t, x): t must have the shape of x");
  if constexpr (fits) {
    using leaf = detail::cotangent_leaf<shape_of<E>>;
    return vjp(vjp(e, leaf{}, x), t, leaf{});
  }
}

}  // namespace flame
