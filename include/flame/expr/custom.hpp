// Functions with a derivative that the user gives.
#pragma once
#include <flame/expr/function.hpp>

namespace flame {

namespace detail {

// Lambdas have no name that two compilers agree on.
template <class Fn> constexpr text name_of_custom() {
  constexpr text name = type_name<Fn>();
  return name.size == 0 || name[0] == '<' || name[0] == '(' || name[0] == '{' ? text("custom") : name;
}

template <class... Shapes>
using floating_shapes = typename concat<
    std::conditional_t<is_floating(dtype_of<element_of<Shapes>>), types<Shapes>, types<>>...>::type;

// The gradients that a derivative gave, against the operands that they belong to.
template <class Given, class Wanted> inline constexpr bool gradients_fit = false;
template <class... G, class... W>
requires(sizeof...(G) == sizeof...(W)) inline constexpr bool gradients_fit<types<G...>, types<W...>> =
    ((within(G::value(), W::value()) && std::is_same_v<element_of<G>, element_of<W>>)&&...);

template <class Forward, class Derivative, class... Shapes> struct custom_trace {
  static constexpr text name = name_of_custom<Forward>();
  using forward = trace<Forward, Shapes...>;
  using results = typename forward::results;
  using wanted = floating_shapes<Shapes...>;

  template <class... Results>
  static trace<Derivative, Shapes..., Results...> find_backward(types<Results...>);
  using backward = decltype(find_backward(results{}));
  static constexpr bool fits = gradients_fit<typename backward::results, wanted>;

  // Gradients are repeated along the axes that they lack.
  struct backward_maker {
    static constexpr text name = custom_trace::name;
    template <class... W> static constexpr void complete(graph& g, types<W...>) {
      int i = 0;
      ((g.outputs[i] = g.as_type(g.outputs[i], W::value()), ++i), ...);
    }
    static constexpr draft make() {
      draft d = backward::make();
      complete(d.g, wanted{});
      return d;
    }
  };
  static constexpr draft make() {
    draft d = forward::make();
    if constexpr (fits) d.derivative = &frozen<backward_maker>::info;
    return d;
  }
};

// The call of a function on operands outside of any function: output Index as an expression.
template <class Traced, int Index, class... A> struct one_call {
  template <int... I> static constexpr draft build(std::integer_sequence<int, I...>) {
    draft d;
    list<int> in;
    (in.push(import_held<A, firsts<A...>::size(I)>(d.g)), ...);
    d.g.outputs.push(d.g.result(put_call(d.g, in, &frozen<Traced>::info), Index));
    return d;
  }
  static constexpr draft make() { return build(std::make_integer_sequence<int, sizeof...(A)>{}); }

  static constexpr int put_call(graph& g, const list<int>& in, const function_info* f) {
    call_info info;
    info.operands.resize(f->leaf_count);
    info.outputs.resize(f->output_count, output_mode::carry);
    list<u64> numbers;
    info.encode(numbers);
    return g.put(op::call, in, {}, numbers, nullptr, f);
  }
};

}  // namespace detail

// What custom(f, df) gives: see there.
template <class Forward, class Derivative> struct custom_function {
  template <operand_type... A> constexpr auto operator()(const A&... a) const {
    using traced = detail::custom_trace<Forward, Derivative, shape_of<A>...>;
    using results = typename traced::results;
    static_assert(
        traced::fits,
        "flame::custom(f, df)(x...): df(x..., d...) must give one gradient for each floating argument, "
        "in order, each of its element type and with no axis that it lacks; several as outputs(dx, dy)");
    static_assert(
        frozen<traced>::info.leaf_count == sizeof...(A),
        "flame::custom(f, df)(x...): f works on its arguments alone; hand it parameters as arguments");
    if constexpr (!traced::fits || frozen<traced>::info.leaf_count != sizeof...(A)) {
      return;
    } else if constexpr ((is_sym<A> || ...)) {
      graph* g = nullptr;
      ((g = g ? g : detail::graph_in(a)), ...);
      list<int> in;
      (in.push(detail::import_into(*g, a)), ...);
      const int node = detail::one_call<traced, 0>::put_call(*g, in, &frozen<traced>::info);
      return detail::call_results<results, void, results::size>(
          g, node, std::make_integer_sequence<int, results::size>{});
    } else {
      return expressions<traced>(results{}, std::make_integer_sequence<int, results::size>{}, a...);
    }
  }

 private:
  template <class Traced, class... R, int... I, class... A>
  static constexpr auto expressions(types<R...>, std::integer_sequence<int, I...>, const A&... a) {
    using held_shapes = typename detail::concat<typename detail::holding<A>::shapes...>::type;
    using held_values = typename detail::concat<typename detail::holding<A>::values...>::type;
    auto one = [&]<int K, class Shape>(std::integral_constant<int, K>, types<Shape>) {
      detail::expr_of<detail::one_call<Traced, K, A...>, Shape, held_shapes, held_values> e;
      e.values = std::tuple_cat(detail::holding<A>::take(a)...);
      return e;
    };
    if constexpr (sizeof...(R) == 1)
      return one(std::integral_constant<int, 0>{}, types<R...>{});
    else
      return std::tuple{one(std::integral_constant<int, I>{}, types<R>{})...};
  }
};

// A function whose derivative is df instead of what f's formula says: custom(f, df)(x, y) is f(x, y), and its
// gradient is df(x, y, d) with d the cotangent of the result, of its shape; one after another where f gives
// several outputs(...). df gives the gradient of each floating argument, in order, several as outputs(dx,
// dy). It is differentiated in its turn by its own formula. f and df are lambdas without captures or objects
// without state, made of the language's functions; the call is a function of its own, compiled once for each
// list of shapes.
//
//   inline constexpr auto round_through = custom([](auto x) { return floor(x + 0.5); }, [](auto, auto d) {
//   return d; });
template <class Forward, class Derivative>
constexpr custom_function<Forward, Derivative> custom(const Forward&, const Derivative&) {
  static_assert(std::is_empty_v<Forward> && std::is_empty_v<Derivative> &&
                    std::is_default_constructible_v<Forward> && std::is_default_constructible_v<Derivative>,
                "flame::custom(f, df): f and df must be without captures and without state");
  return {};
}

}  // namespace flame
