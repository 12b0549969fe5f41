// compile<Backend>(e): an expression or a function ready to run; eval(e): once, eagerly.
#pragma once
#include <flame/expr/gradient.hpp>
#include <flame/run/argument.hpp>
#include <flame/run/program_cache.hpp>
#include <flame/run/tensor.hpp>

namespace flame {

namespace detail {

// An expression as a function of its leaves, in the order of its type, and of Inputs that it may have lost,
// as the gradient of a sum does: their axes can still be what the result's extents are known from.
template <class E, class... Inputs> struct expr_function {
  static constexpr int outputs = static_cast<int>(E::words[0] >> 32);
  struct leaf_array {
    const leaf_info* at[static_cast<unsigned>(E::leaves::count) + sizeof...(Inputs) + 1] = {};
    int count = 0;
    constexpr void add(const leaf_info* leaf) {
      for (int i = 0; i < count; ++i)
        if (at[i] == leaf) return;
      at[count++] = leaf;
    }
  };
  static constexpr leaf_array find_leaves() {
    leaf_array l;
    for (int i = 0; i < E::leaves::count; ++i) l.add(E::leaves::at[i]);
    (l.add(&leaf_of<Inputs>::info), ...);
    return l;
  }
  static constexpr leaf_array leaves = find_leaves();
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
    f.axes = v.axes, f.functions = v.functions;
    f.leaves = leaves.at, f.leaf_count = leaves.count;
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

// What is given to a leaf by name: give(x, a), give(x, 0.5).
template <class Element> struct number_argument { Element value; };
template <class Leaf, class Tensor> struct named_argument {
  using leaf = Leaf;
  Tensor tensor;
};
template <class T> inline constexpr bool is_named = false;
template <class L, class T> inline constexpr bool is_named<named_argument<L, T>> = true;

template <class Shapes> struct output_shapes { using type = types<Shapes>; };
template <class... S> struct output_shapes<shapes<S...>> { using type = types<S...>; };

// A number for a scalar of this element type, or a key for a key.
template <class T, class Shape>
inline constexpr bool number_for = Shape::rank == 0 &&
                                   (std::is_arithmetic_v<T> || std::is_same_v<T, element_of<Shape>>);

// Runs an expression's program again and again: memory for arguments and results is kept between calls.
template <class Backend, class E, class... Inputs> class runner {
 public:
  runner() : cache_(expr_function<E, Inputs...>::info, functions_of<Backend>()) {
    const std::size_t leaves = static_cast<std::size_t>(cache_.function().leaf_count);
    in_.resize(leaves), given_.resize(leaves);
  }
  [[nodiscard]] program_cache& cache() { return cache_; }
  [[nodiscard]] const std::vector<bound_value>& arguments() const { return in_; }

  void clear() { given_.assign(given_.size(), 0); }
  void set(const leaf_info* leaf, const tensor_view& v) {
    const function_info& f = cache_.function();
    for (int i = 0; i < f.leaf_count; ++i) {
      if (f.leaves[i] != leaf) continue;
      if (given_[static_cast<std::size_t>(i)]++) refuse(leaf, "is given twice, expected once");
      if (!v.data) refuse(leaf, "is a tensor without memory");
      in_[static_cast<std::size_t>(i)].one = v;
      return;
    }
  }
  // The numbers and tensors that the expression itself holds.
  void set_held(const E& e) {
    set_held(e, typename E::held_shapes{}, std::make_index_sequence<E::held_values::size>{});
  }
  void check() const {
    for (std::size_t i = 0; i < given_.size(); ++i)
      if (!given_[i]) refuse(cache_.function().leaves[i], "is not given");
  }

  auto run() { return run(typename output_shapes<typename E::type>::type{}); }

 private:
  [[noreturn]] static void refuse(const leaf_info* leaf, const char* why) {
    if (leaf->kind == leaf_kind::argument)
      throw error("flame::eval(e): operand " + text_of(leaf->name) +
                  " of e, of the tensors and numbers in it from #0 on, " + why);
    throw error("flame::compile(e)(arguments...): argument " + text_of(leaf->name) + " " + why);
  }
  template <class... S, std::size_t... I> void set_held(const E& e, types<S...>, std::index_sequence<I...>) {
    (set_one<S>(&held<static_cast<int>(I), S>::info, std::get<I>(e.values), std::get<I>(scalars_)), ...);
  }
  template <class Shape, class Value>
  void set_one(const leaf_info* leaf, const Value& value, element_of<Shape>& scalar) {
    if constexpr (std::is_same_v<Value, double>)
      scalar = element_cast<element_of<Shape>>(value), set(leaf, scalar_view(scalar));
    else
      set(leaf, argument_view(value));
  }
  template <class... S> auto run(types<S...>) {
    const std::vector<std::vector<i64>>& extents = cache_.output_extents(in_);
    auto make = [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple<typename tensor_for<Backend, S>::type...>{
          typename tensor_for<Backend, S>::type(extents[I])...};
    };
    auto out = make(std::make_index_sequence<sizeof...(S)>{});
    results_.clear();
    std::apply([&](const auto&... t) { (results_.push_back(t.view()), ...); }, out);
    cache_.run(in_, results_);
    if constexpr (sizeof...(S) == 1)
      return std::get<0>(out);
    else
      return out;
  }
  template <class Shapes> struct scalars_of;
  template <class... S> struct scalars_of<types<S...>> { using type = std::tuple<element_of<S>...>; };

  program_cache cache_;
  std::vector<bound_value> in_, results_;
  std::vector<char> given_;  // by leaf: how often
  typename scalars_of<typename E::held_shapes>::type scalars_{};
};

}  // namespace detail

// Gives a tensor, or a number for a scalar, to an input by name.
template <leaf_type Leaf, class Tensor> auto give(const Leaf&, const Tensor& t) {
  using wanted = shape_of<Leaf>;
  if constexpr (detail::number_for<Tensor, wanted>) {
    using number = detail::number_argument<element_of<wanted>>;
    return detail::named_argument<std::remove_cvref_t<Leaf>, number>{{element_cast<element_of<wanted>>(t)}};
  } else {
    static_assert(std::is_same_v<typename Tensor::held_shape, wanted>,
                  "flame::give(input, tensor): the tensor must have the input's element type and axes");
    return detail::named_argument<std::remove_cvref_t<Leaf>, Tensor>{t};
  }
}

// An expression on a backend. Called with its inputs by name, f(give(x, a), give(y, b)), or, where compile
// was told their order, compile<host>(e, x, y), by position: f(a, b). A scalar input takes a number too.
// Gives one tensor or a tuple. The program is planned at the first call with new extents; a later call
// allocates its results and nothing else.
template <class Backend, class E, class... Order> class function {
 public:
  explicit function(const E& e) : e_(e) {}

  template <class... A> auto operator()(const A&... a) {
    bind(a...);
    return run_.run();
  }
  // The plan for these arguments: see explain(f, a, b).
  template <class... A> const program& plan(const A&... a) {
    bind(a...);
    return run_.cache().plan(run_.arguments());
  }

 private:
  template <class... A> void bind(const A&... a) {
    constexpr bool named = (detail::is_named<A> && ...) && sizeof...(A) > 0;
    static_assert(named || !(detail::is_named<A> || ...),
                  "flame::compile(e, x, y...): arguments are given either all by name or all by position");
    run_.clear();
    if constexpr (named) {
      (run_.set(&leaf_of<typename A::leaf>::info, view_of(a.tensor)), ...);
    } else {
      static_assert(
          sizeof...(A) == sizeof...(Order),
          "flame::compile(e, x, y...): the function takes one argument for each input that compile was told, "
          "or all by name, f(give(x, a))");
      if constexpr (sizeof...(A) == sizeof...(Order))
        bind_in_order(std::index_sequence_for<Order...>{}, a...);
    }
    run_.set_held(e_);
    run_.check();
  }
  template <std::size_t... I, class... A> void bind_in_order(std::index_sequence<I...>, const A&... a) {
    (run_.set(&leaf_of<Order>::info, view_of<shape_of<Order>>(a, std::get<I>(numbers_))), ...);
  }
  template <class Element> static tensor_view view_of(const detail::number_argument<Element>& n) {
    return scalar_view(n.value);
  }
  template <class Tensor> static tensor_view view_of(const Tensor& t) {
    static_assert(
        detail::lies_on<Tensor, Backend>,
        "flame::compile<Backend>(e): an argument lies on another backend; move it with to<Backend>(t)");
    return detail::argument_view(t);
  }
  template <class Shape, class A> static tensor_view view_of(const A& a, element_of<Shape>& number) {
    if constexpr (detail::number_for<A, Shape>) {
      number = element_cast<element_of<Shape>>(a);
      return scalar_view(number);
    } else {
      static_assert(
          std::is_same_v<typename A::held_shape, Shape>,
          "flame::compile(e, x, y...): an argument has another element type or other axes than its input");
      return view_of(a);
    }
  }

  E e_;
  detail::runner<Backend, E, Order...> run_;
  std::tuple<element_of<shape_of<Order>>...> numbers_{};
};

template <class Backend, class E, class... Order>
requires is_expr<E>
auto compile(const E& e, const Order&...) {
  static_assert((leaf_type<Order> && ...), "flame::compile(e, x, y...): x and y are inputs");
  static_assert(
      detail::all_lie_on<typename E::held_values, Backend>,
      "flame::compile<Backend>(e): e holds a tensor of another backend; move it with to<Backend>(t)");
  detail::require_operations<Backend, detail::expr_function<E, std::remove_cvref_t<Order>...>::info>();
  return function<Backend, E, std::remove_cvref_t<Order>...>(e);
}

// Runs an expression of tensors now, where they lie: one kernel for an elementwise chain, no temporaries. The
// program is kept for each type of expression and each thread.
template <class E>
requires is_expr<E>
auto eval(const E& e) {
  using backend = typename detail::backend_among<typename E::held_values>::type;
  static_assert(detail::all_lie_on<typename E::held_values, backend>,
                "flame::eval(e): the tensors of e lie on different backends; move them with to<cuda>(t) or "
                "to<host>(t)");
  static thread_local detail::runner<backend, E> run;
  run.clear();
  run.set_held(e);
  run.check();
  return run.run();
}

// ---- Refusals in words ----

template <class T>
requires(!is_expr<T>) auto eval(const T&) {
  static_assert(
      !detail::tensor_operand<T>,
      "flame::eval(t): t is a tensor, which is computed already; eval takes an expression of tensors, "
      "t.clone() copies");
  static_assert(
      !leaf_type<T>,
      "flame::eval(e): e is an input, which has no value; compile<host>(f(x), x) makes what takes one");
  static_assert(detail::tensor_operand<T> || leaf_type<T>,
                "flame::eval(e): e is no expression of tensors, such as a * 2 + b");
}
template <class Backend, class F, class... Order>
requires(!is_expr<F>) auto compile(const F&, const Order&...) {
  static_assert(is_expr<F>,
                "flame::compile<Backend>(e, x, y...): e is no expression; call a function with the inputs "
                "first, as in compile<host>(f(x, y), x, y)");
}

}  // namespace flame
