// One operation on operands: its shape by graph/infer.hpp, then a node of the traced graph or an expression type.
#pragma once
#include <flame/expr/operand.hpp>
#include <flame/pass/freeze.hpp>

namespace flame {

namespace detail {

// ---- From the type of a node as a value back to a type ----

template <int I, class T>
struct indexed {
  using type = T;
};
template <class Sequence, class... T>
struct index_set;
template <int... I, class... T>
struct index_set<std::integer_sequence<int, I...>, T...> : indexed<I, T>... {};
template <int I, class T>
indexed<I, T> pick(const indexed<I, T>*);

template <class... Tags>
struct candidates {
  static constexpr int count = sizeof...(Tags);
  static constexpr const axis_info* at[sizeof...(Tags) + 1] = {axis_ptr<Tags>..., nullptr};
  using set = index_set<std::make_integer_sequence<int, count>, Tags...>;
  template <int I>
  using tag = typename decltype(pick<I>(static_cast<const set*>(nullptr)))::type;
  static constexpr int find(const axis_info* a) {
    for (int i = 0; i < count; ++i)
      if (at[i] == a) return i;
    return -1;
  }
};

template <class A, class B>
struct joined;
template <class... A, class... B>
struct joined<candidates<A...>, candidates<B...>> {
  using type = candidates<A..., B...>;
};

template <class... C>
struct join {
  using type = candidates<>;
};
template <class C>
struct join<C> {
  using type = C;
};
template <class C, class D, class... Rest>
struct join<C, D, Rest...> : join<typename joined<C, D>::type, Rest...> {};

template <class Shape>
struct axes_in;
template <class Element, class... Axes>
struct axes_in<shape<Element, Axes...>> {
  using type = candidates<Axes...>;
};

template <dtype D>
struct element_for;
template <> struct element_for<dtype::f32> { using type = f32; };
template <> struct element_for<dtype::f64> { using type = f64; };
template <> struct element_for<dtype::bf16> { using type = bf16; };
template <> struct element_for<dtype::f16> { using type = f16; };
template <> struct element_for<dtype::int32> { using type = i32; };
template <> struct element_for<dtype::int64> { using type = i64; };
template <> struct element_for<dtype::uint8> { using type = u8; };
template <> struct element_for<dtype::boolean> { using type = bool; };
template <> struct element_for<dtype::key> { using type = key; };

// Value: a type with `static constexpr tensor_type value`.
template <class Value, class Candidates, class Sequence>
struct lifted;
template <class Value, class Candidates, int... K>
struct lifted<Value, Candidates, std::integer_sequence<int, K...>> {
  using type = shape<typename element_for<Value::value.element>::type,
                     typename Candidates::template tag<Candidates::find(Value::value.axes[K])>...>;
};
template <class Value, class Candidates>
using lift = typename lifted<Value, Candidates, std::make_integer_sequence<int, Value::value.rank>>::type;

}  // namespace detail

// What an operation says besides its operands: axis tags and numbers.
template <class... Axes>
struct on_axes {
  static constexpr list<const axis_info*> value() {
    list<const axis_info*> l;
    (l.push(axis_ptr<std::remove_cvref_t<Axes>>), ...);
    return l;
  }
  using candidates = detail::candidates<std::remove_cvref_t<Axes>...>;
};
template <u64... Numbers>
struct with_numbers {
  static constexpr list<u64> value() {
    list<u64> l;
    (l.push(Numbers), ...);
    return l;
  }
};

// The result of an operation on shapes, or why it is refused.
template <op Code, class Axes, class Numbers, class... Shapes>
struct inferred {
  struct outcome {
    tensor_type type;
    fault why;
  };
  static constexpr outcome compute() {
    const list<const axis_info*> axes = Axes::value();
    const list<u64> numbers = Numbers::value();
    const tensor_type types[] = {Shapes::value()..., tensor_type{}};
    operation o;
    o.code = Code;
    for (int i = 0; i < static_cast<int>(sizeof...(Shapes)); ++i) o.operands.push(&types[i]);
    o.axes = axes;
    o.data = numbers;
    outcome r{};
    r.why = infer(o, r.type);
    return r;
  }
  static constexpr outcome result = compute();
  static constexpr fault why = result.why;
  static constexpr tensor_type value = result.type;
};

namespace detail {

template <op Code, class Axes, class Numbers, class... Shapes>
struct result_shape {
  using i = inferred<Code, Axes, Numbers, Shapes...>;
  using type = lift<i, typename join<typename axes_in<Shapes>::type..., typename Axes::candidates>::type>;
};
// Most operations: floating operands of one shape that keep it.
template <op Code>
inline constexpr bool keeps_shape =
    is_elementwise(Code) && Code != op::cast && Code != op::fold && Code != op::where &&
    !(Code >= op::is_finite && Code <= op::logical_not) && !(Code >= op::less && Code <= op::logical_or);
template <op Code, class Axes, class Numbers, class Shape, class... Shapes>
  requires(keeps_shape<Code> && is_floating(dtype_of<element_of<Shape>>) && (std::is_same_v<Shape, Shapes> && ...))
struct result_shape<Code, Axes, Numbers, Shape, Shapes...> {
  using type = Shape;
};

// ---- While tracing: operands become nodes of one graph ----

template <class T>
constexpr int import_into(graph& g, const T& a) {
  using U = std::remove_cvref_t<T>;
  if constexpr (is_sym<U>) {
    return a.n;
  } else if constexpr (leaf_type<U>) {
    return g.leaf(&leaf_of<U>::info);
  } else if constexpr (requires { typename U::structural_tag; }) {
    return g.constant(U::value, dtype_of<element_of<typename U::type>>);
  } else if constexpr (is_expr<U>) {
    static_assert(U::held_values::size == 0, "flame: inside a function, numbers are written where they are used; "
                                              "an expression that holds values cannot be used there");
    return decode(g, U::view())[0];
  } else {
    return g.constant(a.value, dtype_of<element_of<typename U::type>>);
  }
}

template <class T>
constexpr graph* graph_in(const T& a) {
  if constexpr (is_sym<T>)
    return a.g;
  else
    return nullptr;
}

template <class Shape>
struct sym_for;
template <class Element, class... Axes>
struct sym_for<shape<Element, Axes...>> {
  using type = sym<Element, Axes...>;
};

// ---- Outside: one type ----

// How an operand gives its values to the expression that it becomes part of.
template <class T>
struct holding {
  using shapes = types<>;
  using values = types<>;
  static constexpr std::tuple<> take(const T&) { return {}; }
};
template <class Element>
struct holding<number<Element>> {
  using shapes = types<shape<Element>>;
  using values = types<double>;
  static constexpr std::tuple<double> take(const number<Element>& n) { return {n.value}; }
};
template <class S, class L, class HS, class HV, class F, class A, u64... W>
struct holding<expr<S, L, HS, HV, F, A, W...>> {
  using shapes = HS;
  using values = HV;
  static constexpr auto take(const expr<S, L, HS, HV, F, A, W...>& e) { return e.values; }
};
// A tensor: held by the expression. A tensor type says `using held_shape`.
template <class T>
concept tensor_operand = operand_type<T> && requires { typename T::held_shape; };
template <tensor_operand T>
struct holding<T> {
  using shapes = types<typename T::held_shape>;
  using values = types<T>;
  static constexpr std::tuple<T> take(const T& t) { return {t}; }
};

template <class... T>
struct concat {
  using type = types<>;
};
template <class... A>
struct concat<types<A...>> {
  using type = types<A...>;
};
template <class... A, class... B, class... Rest>
struct concat<types<A...>, types<B...>, Rest...> : concat<types<A..., B...>, Rest...> {};

// The held leaves of an operand whose first one has number First in the whole.
template <int First, class Shapes, class Sequence>
struct held_leaves;
template <int First, class... Shapes, int... I>
struct held_leaves<First, types<Shapes...>, std::integer_sequence<int, I...>> {
  static constexpr const leaf_info* at[sizeof...(I) + 1] = {&held<First + I, Shapes>::info..., nullptr};
};

template <class T, int First>
constexpr int import_held(graph& g) {
  using U = std::remove_cvref_t<T>;
  using H = typename holding<U>::shapes;
  if constexpr (is_expr<U>) {
    using leaves = held_leaves<First, H, std::make_integer_sequence<int, H::size>>;
    using own = held_leaves<0, H, std::make_integer_sequence<int, H::size>>;
    list<int> in;
    for (int i = 0; i < U::leaves::count; ++i) {
      const leaf_info* l = U::leaves::at[i];
      for (int k = 0; k < H::size; ++k)
        if (own::at[k] == U::leaves::at[i]) l = leaves::at[k];
      in.push(g.leaf(l));
    }
    return decode(g, U::view(), in)[0];
  } else if constexpr (H::size == 1) {
    using leaves = held_leaves<First, H, std::make_integer_sequence<int, 1>>;
    return g.leaf(leaves::at[0]);
  } else {
    return import_into(g, U{});
  }
}

template <class... T>
struct firsts {
  static constexpr int size(int upto) {
    int sizes[] = {holding<T>::shapes::size..., 0}, sum = 0;
    for (int i = 0; i < upto; ++i) sum += sizes[i];
    return sum;
  }
};

// Maker: `static constexpr draft make()`. Shape: of the result.
template <class Made, class Shape, class HeldShapes, class HeldValues, int... W, int... A, int... L, int... F>
auto take_expr(std::integer_sequence<int, W...>, std::integer_sequence<int, A...>, std::integer_sequence<int, L...>,
               std::integer_sequence<int, F...>)
    -> expr<Shape, leaf_refs<Made::value.leaves[L]...>, HeldShapes, HeldValues,
            function_refs<Made::value.functions[F]...>, axis_refs<Made::value.axes[A]...>, Made::value.words[W]...>;

template <class Maker, class Shape, class HeldShapes = types<>, class HeldValues = types<>>
using expr_of = decltype(take_expr<recorded<Maker>, Shape, HeldShapes, HeldValues>(
    std::make_integer_sequence<int, recorded<Maker>::value.word_count>{},
    std::make_integer_sequence<int, recorded<Maker>::value.axis_count>{},
    std::make_integer_sequence<int, recorded<Maker>::value.leaf_count>{},
    std::make_integer_sequence<int, recorded<Maker>::value.function_count>{}));

template <op Code, class Axes, class Numbers, class... A>
struct one_operation {
  using ample = room<192, 32, 32, 8, 1>;
  template <int... I>
  static constexpr draft build(std::integer_sequence<int, I...>) {
    draft d;
    list<int> in;
    (in.push(import_held<A, firsts<A...>::size(I)>(d.g)), ...);
    d.g.outputs.push(simplest(d.g, d.g.put(Code, in, Axes::value(), Numbers::value())));
    return d;
  }
  static constexpr draft make() { return build(std::make_integer_sequence<int, sizeof...(A)>{}); }
};

// A leaf by itself, as the expression that simplification leaves where nothing happens to it.
template <class Leaf>
struct leaf_alone {
  using ample = room<8, 1, 1, 1, 1>;
  static constexpr draft make() {
    draft d;
    d.g.outputs.push(d.g.leaf(&leaf_of<Leaf>::info));
    return d;
  }
};
template <class T>
struct as_expression {
  using type = T;
};
template <leaf_type T>
struct as_expression<T> {
  using type = expr_of<leaf_alone<T>, typename T::leaf_shape>;
};

}  // namespace detail

// Two expressions or functions are one type; a leaf counts as the expression that it is by itself (x * 1_c).
template <class A, class B>
inline constexpr bool same = std::is_same_v<typename detail::as_expression<std::remove_cvref_t<A>>::type,
                                            typename detail::as_expression<std::remove_cvref_t<B>>::type>;

// The operation on operands that are no bare numbers any more. Shapes were checked by the caller (expr/refusals.hpp).
template <op Code, class Axes = on_axes<>, class Numbers = with_numbers<>, class... A>
constexpr auto emit(const A&... a) {
  using result = typename detail::result_shape<Code, Axes, Numbers, shape_of<A>...>::type;
  if constexpr ((is_sym<A> || ...)) {
    graph* g = nullptr;
    ((g = g ? g : detail::graph_in(a)), ...);
    list<int> in;
    (in.push(detail::import_into(*g, a)), ...);
    typename detail::sym_for<result>::type s;
    s.g = g;
    s.n = simplest(*g, g->put(Code, in, Axes::value(), Numbers::value()));
    return s;
  } else {
    using held_shapes = typename detail::concat<typename detail::holding<A>::shapes...>::type;
    using held_values = typename detail::concat<typename detail::holding<A>::values...>::type;
    using type = detail::expr_of<detail::one_operation<Code, Axes, Numbers, A...>, result, held_shapes, held_values>;
    type e;
    e.values = std::tuple_cat(detail::holding<A>::take(a)...);
    return e;
  }
}

}  // namespace flame
