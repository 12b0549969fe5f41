// Functions: traced once for each list of argument shapes, called, and repeated over a stack of bundles.
#pragma once
#include <flame/expr/outer_leaves.hpp>
#include <flame/pass/derive.hpp>

namespace flame {

// ---- Arguments ----------------------------------------------------------------------------------------------------

// How an operand of `repeat` reaches the instances; plain operands are shared as they are.
template <class T>
struct carried {
  T value;
};
template <class T>
struct each_of {
  T value;
};
template <class T>
struct keyed_by {
  T value;
};
template <class T>
constexpr carried<T> carry(const T& value) { return {value}; }  // handed from one instance to the next
template <class T>
constexpr each_of<T> each(const T& value) { return {value}; }  // one of N
template <class T>
constexpr keyed_by<T> keyed(const T& value) { return {value}; }  // a random key, another one in every instance

// Several results of a function.
template <class... T>
constexpr std::tuple<T...> outputs(const T&... values) { return {values...}; }

namespace detail {

template <int Index, class Shape>
struct argument {
  static constexpr leaf_info info{mix(0xA46, static_cast<u64>(Index)), leaf_kind::argument, Shape::value(), "argument"};
};

template <class T>
struct result_shapes {
  using type = types<shape_of<T>>;
};
template <class... T>
struct result_shapes<std::tuple<T...>> {
  using type = types<shape_of<T>...>;
};

// Symbols for arguments, the call, and the graph with the function's results as outputs.
template <keep Kept, class Fn, class... Shapes>
struct kept_trace {
  using result_type = decltype(Fn{}(std::declval<typename sym_for<Shapes>::type>()...));
  using results = typename result_shapes<result_type>::type;
  using ample = room<4096, 128, 1024, 64, 32, 64>;  // eight transformer blocks, or a network of 40 stacks
  static constexpr text name = type_name<Fn>();

  template <int... I>
  static constexpr draft build(std::integer_sequence<int, I...>) {
    draft d;
    (d.operands.push(&argument<I, Shapes>::info), ...);
    graph& g = d.g;
    auto out = Fn{}(typename sym_for<Shapes>::type{{}, &g, g.leaf(&argument<I, Shapes>::info)}...);
    auto add = [&](const auto& one_result) { g.outputs.push(import_into(g, one_result)); };
    if constexpr (requires { std::tuple_size<decltype(out)>::value; })
      std::apply([&](const auto&... each) { (add(each), ...); }, out);
    else
      add(out);
    d.first_state = g.outputs.size();
    list<const leaf_info*> parameters;
    for (const graph::assignment& a : g.assigned) {
      d.states.push(g[g.leaf(a.state)].leaf);
      g.outputs.push(g.as_type(a.value, a.state->type));
    }
    const detail::needed_nodes used = find_needed(g, g.outputs);
    for (int n = 0; n < g.size(); ++n)
      if (used.needed[n] && g.is(n, op::leaf) && !d.operands.has(g[n].leaf)) parameters.push(g[n].leaf);
    for (const leaf_info* s : d.states)
      if (!parameters.has(s)) parameters.push(s);
    sort(parameters, by_id{});
    d.operands.append(parameters);
    d.kept = Kept;
    return d;
  }
  static constexpr draft make() { return build(std::make_integer_sequence<int, sizeof...(Shapes)>{}); }
};
template <class Fn, class... Shapes>
using trace = kept_trace<keep::caller, Fn, Shapes...>;

}  // namespace detail

namespace detail {

// Parameters stand in the order of their ids, so that two of one path are neighbours. -1: there are none.
[[nodiscard]] constexpr int path_used_twice(const function_info& f, int arguments) {
  for (int i = arguments; i + 1 < f.leaf_count; ++i)
    if (f.leaves[i]->id == f.leaves[i + 1]->id) return i;
  return -1;
}
template <const function_info* F, int I>
constexpr auto path_of_leaf() {
  fixed_string<F->leaves[I]->name.size + 1> chars;
  for (int i = 0; i < F->leaves[I]->name.size; ++i) chars.chars[i] = F->leaves[I]->name[i];
  return chars;
}
template <class Path, bool Dtypes>
struct refused_path {
  static_assert(Dtypes, "flame: one path names parameters of two shapes; tied parameters have one shape");
  static_assert(!Dtypes, "flame: one path names parameters of two element types; tied parameters have one");
};
// F, if its parameters can be told apart by their paths.
template <const function_info* F, int Arguments>
constexpr const function_info* checked() {
  constexpr int twice = path_used_twice(*F, Arguments);
  if constexpr (twice >= 0)
    (void)refused_path<path<path_of_leaf<F, twice>()>,
                       F->leaves[twice]->type.element != F->leaves[twice + 1]->type.element>{};
  return F;
}

}  // namespace detail

// A function of Fn on arguments of these shapes: its graph as data.
template <keep Kept, class Fn, class... Shapes>
inline constexpr const function_info* kept_function_of =
    detail::checked<&frozen<detail::kept_trace<Kept, Fn, Shapes...>>::info, static_cast<int>(sizeof...(Shapes))>();
template <class Fn, class... Shapes>
inline constexpr const function_info* function_of = kept_function_of<keep::caller, Fn, Shapes...>;

// The value that a state has after the program: assign(running_mean, ...) inside a traced function.
template <leaf_type State, operand_type A>
constexpr void assign(const State&, const A& value) {
  static_assert(State::kind == leaf_kind::state, "flame::assign(state, value): only a state of the model can be renewed");
  static_assert(within(shape_of<A>::value(), shape_of<State>::value()) &&
                    std::is_same_v<element_of<shape_of<A>>, element_of<shape_of<State>>>,
                "flame::assign(state, value): the value must have the state's axes and element type");
  static_assert(is_sym<A>, "flame::assign(state, value): a state is renewed inside a traced function");
  value.g->assigned.push({&leaf_of<State>::info, value.n});
}

namespace detail {

template <class T>
struct mode_of {
  using value_type = T;
  static constexpr operand_mode mode = operand_mode::plain;
  static constexpr const T& value(const T& t) { return t; }
};
template <class T>
struct mode_of<carried<T>> {
  using value_type = T;
  static constexpr operand_mode mode = operand_mode::carry;
  static constexpr const T& value(const carried<T>& t) { return t.value; }
};
template <class T>
struct mode_of<each_of<T>> {
  using value_type = T;
  static constexpr operand_mode mode = operand_mode::each;
  static constexpr const T& value(const each_of<T>& t) { return t.value; }
};
template <class T>
struct mode_of<keyed_by<T>> {
  using value_type = T;
  static constexpr operand_mode mode = operand_mode::keyed;
  static constexpr const T& value(const keyed_by<T>& t) { return t.value; }
};

// The shape that an instance sees: `each` operands lose the axis that counts them.
template <operand_mode Mode, class Shape>
struct inner_shape {
  using type = Shape;
};
template <class Element, class Count, class... Axes>
struct inner_shape<operand_mode::each, shape<Element, Count, Axes...>> {
  using type = shape<Element, Axes...>;
};

template <class Shape, class Count>
struct stacked_shape;
template <class Element, class... Axes, class Count>
struct stacked_shape<shape<Element, Axes...>, Count> {
  using type = shape<Element, Count, Axes...>;
};

template <class Results, class Count, int Carries, int... I>
constexpr auto call_results(graph* g, int node, std::integer_sequence<int, I...>) {
  auto one = [&]<int K, class S>(std::integral_constant<int, K>, types<S>) {
    using outer_shape = typename std::conditional_t<(K < Carries || std::is_void_v<Count>), std::type_identity<S>,
                                              stacked_shape<S, Count>>::type;
    return typename sym_for<outer_shape>::type{{}, g, g->result(node, K)};
  };
  auto all = [&]<class... S>(types<S...>) {
    if constexpr (sizeof...(S) == 1)
      return one(std::integral_constant<int, 0>{}, types<S...>{});
    else
      return std::tuple{one(std::integral_constant<int, I>{}, types<S>{})...};
  };
  return all(Results{});
}

// What is carried, and whether the block gives it as it takes it.
template <class... A>
struct carried_shapes {
  using type = typename concat<std::conditional_t<mode_of<A>::mode == operand_mode::carry,
                                                  types<shape_of<typename mode_of<A>::value_type>>, types<>>...>::type;
};
template <class Taken, class Given>
inline constexpr bool carries_fit = false;
template <class... G>
inline constexpr bool carries_fit<types<>, types<G...>> = true;
template <class First, class... T, class... G>
inline constexpr bool carries_fit<types<First, T...>, types<First, G...>> = carries_fit<types<T...>, types<G...>>;

template <class T>
constexpr graph* graph_behind(const T& t) {
  return graph_in(mode_of<T>::value(t));
}

}  // namespace detail

// fn(args...) as a call: fn is compiled once for each list of argument shapes, however often it is called. Its
// parameters stand in the caller under Path. Kept: what of it is kept for its backward; keep::inputs computes it
// again there (Chen et al. 2016; torch.utils.checkpoint).
template <class Path = path<"">, keep Kept = keep::caller, class Fn, class... A>
constexpr auto call(const Fn&, const A&... a) {
  static_assert((is_sym<A> || ...), "flame::call(fn, args...): a call belongs inside a function that is traced");
  using trace = detail::kept_trace<Kept, Fn, shape_of<A>...>;
  constexpr const function_info* f = kept_function_of<Kept, Fn, shape_of<A>...>;
  graph* g = nullptr;
  ((g = g ? g : detail::graph_in(a)), ...);
  list<int> in;
  (in.push(detail::import_into(*g, a)), ...);
  constexpr int given = sizeof...(A);
  using parameters = detail::outer_leaves<Path, f, given, false>;
  parameters::push(*g, in);
  call_info info;
  info.operands.resize(f->leaf_count);
  info.outputs.resize(f->output_count, output_mode::carry);
  list<u64> numbers;
  info.encode(numbers);
  int node = g->put(op::call, in, {}, numbers, nullptr, f);
  parameters::push_states(*g, node);
  return detail::call_results<typename trace::results, void, trace::results::size>(
      g, node, std::make_integer_sequence<int, trace::results::size>{});
}

// fn once for each instance of the stack at Path: h = fn(h, ...). fn gives the carried values first, in the order of
// the carried operands, then values of which each instance gives one. Its parameters are one of N. Kept: see call.
template <class Path, keep Kept = keep::caller, class Fn, class... A>
constexpr auto repeat(const Fn&, const A&... a) {
  using count = instances<Path>;
  constexpr int given = sizeof...(A);
  constexpr int carries = (0 + ... + (detail::mode_of<A>::mode == operand_mode::carry ? 1 : 0));
  static_assert(carries > 0, "flame::repeat(stack, operands...): at least one operand must be carry(h)");
  using trace =
      detail::kept_trace<Kept, Fn, typename detail::inner_shape<detail::mode_of<A>::mode,
                                                                shape_of<typename detail::mode_of<A>::value_type>>::type...>;
  static_assert(trace::results::size >= carries,
                "flame::repeat(stack, operands...): the block must give each carried value, first and in order");
  static_assert(trace::results::size < carries ||
                    detail::carries_fit<typename detail::carried_shapes<A...>::type, typename trace::results>,
                "flame::repeat(stack, operands...): the block must give each carried value with the axes and element "
                "type that it takes");
  static_assert(((detail::mode_of<A>::mode != operand_mode::keyed ||
                  std::is_same_v<element_of<shape_of<typename detail::mode_of<A>::value_type>>, key>)&&...),
                "flame::repeat(stack, operands...): a keyed operand is a random key");
  constexpr const function_info* f = detail::checked<&frozen<trace>::info, given>();
  graph* g = nullptr;
  ((g = g ? g : detail::graph_behind(a)), ...);
  list<int> in;
  (in.push(detail::import_into(*g, detail::mode_of<A>::value(a))), ...);
  using parameters = detail::outer_leaves<Path, f, given, true>;
  parameters::push(*g, in);
  call_info info;
  info.repeat = true;
  int next = 0;
  auto operand = [&](operand_mode given_mode) {
    call_operand one_operand;
    one_operand.mode = given_mode;
    if (given_mode == operand_mode::carry) one_operand.index = next++;
    info.operands.push(one_operand);
  };
  (operand(detail::mode_of<A>::mode), ...);
  for (int i = given; i < f->leaf_count; ++i) operand(operand_mode::each);
  for (int i = 0; i < f->output_count; ++i) info.outputs.push(i < carries ? output_mode::carry : output_mode::each);
  list<u64> numbers;
  info.encode(numbers);
  list<const axis_info*> with;
  with.push(axis_ptr<count>);
  int node = g->put(op::call, in, with, numbers, nullptr, f);
  parameters::push_states(*g, node);
  return detail::call_results<typename trace::results, count, carries>(
      g, node, std::make_integer_sequence<int, trace::results::size>{});
}

}  // namespace flame
