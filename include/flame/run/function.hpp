// compile<Backend>(e): an expression or a function ready to run; eval(e): once, eagerly.
#pragma once
#include <flame/expr/gradient.hpp>
#include <flame/run/program_cache.hpp>

namespace flame {

namespace detail {

// An expression as a function: its leaves in the order of its type.
template <class E>
struct expr_function {
  static constexpr int outputs = static_cast<int>(E::words[0] >> 32);
  struct output_list {
    tensor_type at[static_cast<unsigned>(outputs)] = {};
  };
  static constexpr output_list find_outputs() {
    output_list o;
    graph g = E::to_graph();
    for (int i = 0; i < outputs; ++i) o.at[i] = g.type(g.outputs[i]);
    return o;
  }
  static constexpr output_list types = find_outputs();
  static constexpr function_info make() {
    function_info f;
    f.name = "expression";
    f.words = E::words;
    f.word_count = static_cast<int>(sizeof(E::words) / sizeof(u64));
    word_view v = E::view();
    f.axes = v.axes, f.leaves = v.leaves, f.functions = v.functions;
    f.leaf_count = E::leaves::count;
    f.outputs = types.at;
    f.output_count = outputs;
    u64 h = 0;
    for (int i = 0; i < f.word_count; ++i) h = mix(h, f.words[i]);
    for (int i = 0; i < f.leaf_count; ++i) h = mix(h, f.leaves[i]->id);
    f.id = h;
    return f;
  }
  static constexpr function_info info = make();
};

// A tensor given to a leaf by name: f(x(a), y(b)).
template <class Leaf, class Tensor>
struct named_argument {
  Tensor tensor;
};
template <class T>
inline constexpr bool is_named = false;
template <class L, class T>
inline constexpr bool is_named<named_argument<L, T>> = true;

template <class Shapes>
struct output_shapes {
  using type = types<Shapes>;
};
template <class... S>
struct output_shapes<shapes<S...>> {
  using type = types<S...>;
};

template <class Backend, class Shape>
auto make_output(const std::vector<i64>& extents) {
  return typename tensor_for<Backend, Shape>::type(extents);
}

template <class Backend, class... S>
auto run_function(program_cache& cache, const std::vector<bound_value>& in, types<S...>) {
  std::vector<std::vector<i64>> extents = cache.output_extents(in);
  auto make = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple<typename tensor_for<Backend, S>::type...>{make_output<Backend, S>(extents[I])...};
  };
  auto out = make(std::make_index_sequence<sizeof...(S)>{});
  std::vector<bound_value> results;
  std::apply([&](const auto&... t) { (results.push_back(t.view()), ...); }, out);
  cache.run(in, results);
  if constexpr (sizeof...(S) == 1)
    return std::get<0>(out);
  else
    return out;
}

}  // namespace detail

// Gives a tensor to an input by name.
template <leaf_type Leaf, class Tensor>
auto give(const Leaf&, const Tensor& t) {
  static_assert(std::is_same_v<typename Tensor::held_shape, shape_of<Leaf>>,
                "flame::give(input, tensor): the tensor must have the input's element type and axes");
  return detail::named_argument<std::remove_cvref_t<Leaf>, Tensor>{t};
}

// An expression on a backend. Called with its inputs by name, f(give(x, a), give(y, b)), or, where compile was told
// their order, compile<host>(e, x, y), by position: f(a, b). Gives one tensor or a tuple.
template <class Backend, class E, class... Order>
class function {
 public:
  explicit function(const E& e) : e_(e), cache_(detail::expr_function<E>::info) {}

  template <class... A>
  auto operator()(const A&... a) {
    std::vector<bound_value> in = bind(a...);
    return detail::run_function<Backend>(cache_, in, typename detail::output_shapes<typename E::type>::type{});
  }
  // The plan for these arguments: explain(f.plan(a, b)).
  template <class... A>
  const program& plan(const A&... a) {
    return cache_.plan(bind(a...));
  }

 private:
  template <class... A>
  std::vector<bound_value> bind(const A&... a) {
    const function_info& f = cache_.function();
    std::vector<bound_value> in(static_cast<std::size_t>(f.leaf_count));
    std::vector<char> given(in.size(), 0);
    auto set = [&](const leaf_info* leaf, const tensor_view& v) {
      for (int i = 0; i < f.leaf_count; ++i)
        if (f.leaves[i] == leaf) {
          if (given[static_cast<std::size_t>(i)]) throw error("argument " + detail::text_of(leaf->name) + ": it is given twice");
          given[static_cast<std::size_t>(i)] = 1;
          in[static_cast<std::size_t>(i)] = v;
          return;
        }
    };
    if constexpr ((detail::is_named<A> && ...) && sizeof...(A) > 0) {
      (set(leaf_in(a), a.tensor.view()), ...);
    } else {
      static_assert(sizeof...(A) == sizeof...(Order),
                    "flame::compile(e, x, y...): the function takes one argument for each input that compile was told, "
                    "or all by name, f(give(x, a))");
      static_assert((std::is_same_v<typename A::held_shape, shape_of<Order>> && ...),
                    "flame::compile(e, x, y...): an argument has another element type or other axes than its input");
      (set(&leaf_of<Order>::info, a.view()), ...);
    }
    held(in, given, typename E::held_shapes{}, std::make_index_sequence<E::held_values::size>{});
    for (int i = 0; i < f.leaf_count; ++i)
      if (!given[static_cast<std::size_t>(i)]) throw error("argument " + detail::text_of(f.leaves[i]->name) + ": it is not given");
    return in;
  }
  template <class L, class T>
  static const leaf_info* leaf_in(const detail::named_argument<L, T>&) {
    return &leaf_of<L>::info;
  }
  template <class... S, std::size_t... I>
  void held(std::vector<bound_value>& in, std::vector<char>& given, types<S...>, std::index_sequence<I...>) {
    const function_info& f = cache_.function();
    auto one = [&](const leaf_info* leaf, auto& value, auto& scalar) {
      tensor_view v;
      using V = std::remove_cvref_t<decltype(value)>;
      if constexpr (std::is_same_v<V, double>) {
        using scalar_type = std::remove_cvref_t<decltype(scalar)>;
        if constexpr (std::is_same_v<scalar_type, bf16> || std::is_same_v<scalar_type, f16>)
          scalar = scalar_type(static_cast<float>(value));
        else
          scalar = static_cast<scalar_type>(value);
        v.element = dtype_of<scalar_type>;
        v.data = &scalar;
      } else {
        v = value.view();
      }
      for (int i = 0; i < f.leaf_count; ++i)
        if (f.leaves[i] == leaf) in[static_cast<std::size_t>(i)] = v, given[static_cast<std::size_t>(i)] = 1;
    };
    (one(&flame::held<static_cast<int>(I), S>::info, std::get<I>(e_.values), std::get<I>(scalars_)), ...);
  }

  template <class T>
  struct scalars_of;
  template <class... S>
  struct scalars_of<types<S...>> {
    using type = std::tuple<element_of<S>...>;
  };

  E e_;
  program_cache cache_;
  typename scalars_of<typename E::held_shapes>::type scalars_{};
};

template <class Backend, class E, class... Order>
  requires is_expr<E>
auto compile(const E& e, const Order&...) {
  return function<Backend, E, std::remove_cvref_t<Order>...>(e);
}

// Runs an expression of tensors now: one kernel for an elementwise chain, no temporaries. The program is kept for each
// type of expression.
template <class E>
  requires is_expr<E>
auto eval(const E& e) {
  static thread_local program_cache cache(detail::expr_function<E>::info);
  std::vector<bound_value> in(static_cast<std::size_t>(E::leaves::count));
  auto fill = [&]<class... S, std::size_t... I>(types<S...>, std::index_sequence<I...>) {
    std::tuple<element_of<S>...> scalars;
    auto one = [&](const leaf_info* leaf, const auto& value, auto& scalar) {
      tensor_view v;
      using V = std::remove_cvref_t<decltype(value)>;
      using scalar_type = std::remove_cvref_t<decltype(scalar)>;
      if constexpr (std::is_same_v<V, double>) {
        if constexpr (std::is_same_v<scalar_type, bf16> || std::is_same_v<scalar_type, f16>)
          scalar = scalar_type(static_cast<float>(value));
        else
          scalar = static_cast<scalar_type>(value);
        v.element = dtype_of<scalar_type>;
        v.data = &scalar;
      } else {
        v = value.view();
      }
      for (int i = 0; i < E::leaves::count; ++i)
        if (E::leaves::at[i] == leaf) in[static_cast<std::size_t>(i)] = v;
    };
    (one(&held<static_cast<int>(I), S>::info, std::get<I>(e.values), std::get<I>(scalars)), ...);
    return detail::run_function<host_backend>(cache, in, typename detail::output_shapes<typename E::type>::type{});
  };
  return fill(typename E::held_shapes{}, std::make_index_sequence<E::held_values::size>{});
}

}  // namespace flame
