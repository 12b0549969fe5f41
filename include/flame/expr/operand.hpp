// What the user's operators work on: leaves, numbers, symbols while a function is traced, and expressions.
//
// A function is traced by value: sym<Element, Axes...> has the tensor type as a type, so that shapes are refused by
// static_assert, and the node as a value. An expression written outside a function is a type: expr<...>.
#pragma once
#include <flame/graph/words.hpp>
#include <flame/pass/simplify.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

namespace flame {

// Base of all that operators accept; the operators are found through it.
struct operand {};

template <class T>
concept operand_type = std::is_base_of_v<operand, std::remove_cvref_t<T>>;
template <class T>
concept number_type = std::is_arithmetic_v<std::remove_cvref_t<T>>;

template <class... T>
struct types {
  static constexpr int size = sizeof...(T);
};

// ---- Leaves -------------------------------------------------------------------------------------------------------

// The type of an axis given as a template argument. Axis and tag share a name, so the name there is the object; it is
// taken by reference, because nvcc 13.0 loses class values among template arguments ("__T0 was not declared").
template <const auto& Axis>
using tag_of = std::remove_cvref_t<decltype(Axis)>;

// Base of an input: `inline constexpr struct x : input<f32, batch, channel> {} x;`
template <class Element, const auto&... Axes>
struct input : operand {
  static_assert(element<Element>, "flame::input<Element, axes...>: the first argument must be an element type");
  static_assert((axis<tag_of<Axes>> && ...), "flame::input<Element, axes...>: axes are objects of dim<> structs");
  using leaf_shape = shape<Element, tag_of<Axes>...>;
  static constexpr leaf_kind kind = leaf_kind::input;
};

template <class T>
concept leaf_type = operand_type<T> && requires { typename std::remove_cvref_t<T>::leaf_shape; };

template <class Leaf>
struct leaf_of {
  static constexpr text name() {
    if constexpr (requires { Leaf::leaf_name(); })
      return Leaf::leaf_name();
    else
      return type_name<Leaf>();
  }
  static constexpr u64 id() { return mix(hash_of(name()), static_cast<u64>(Leaf::kind)); }
  static constexpr leaf_info info{id(), Leaf::kind, Leaf::leaf_shape::value(), name(),
                                  requires { Leaf::leaf_name(); }};
};

// ---- Symbols ------------------------------------------------------------------------------------------------------

template <class Element, class... Axes>
struct sym : operand {
  using type = shape<Element, Axes...>;
  graph* g = nullptr;
  int n = -1;
};

template <class T>
inline constexpr bool is_sym = false;
template <class Element, class... Axes>
inline constexpr bool is_sym<sym<Element, Axes...>> = true;

// ---- Numbers ------------------------------------------------------------------------------------------------------

// A number whose value is no part of an expression's type: it reaches kernels as an argument.
template <class Element>
struct number : operand {
  using type = shape<Element>;
  double value;
};

[[nodiscard]] constexpr u64 bits_of(double v) { return __builtin_bit_cast(u64, v); }

// A number that is: 2_c * x. Bits of a double, since clang 14 takes no floating template argument.
template <u64 Bits>
struct structural : operand {
  static constexpr u64 bits = Bits;
  static constexpr double value = __builtin_bit_cast(double, Bits);
};

template <class T>
inline constexpr bool is_structural = false;
template <u64 Bits>
inline constexpr bool is_structural<structural<Bits>> = true;

// A structural number that took the element type of its neighbour.
template <class Element, u64 Bits>
struct structural_of : operand {
  using type = shape<Element>;
  using structural_tag = void;
  static constexpr double value = __builtin_bit_cast(double, Bits);
};

// ---- Expressions --------------------------------------------------------------------------------------------------

template <const axis_info*... A>
struct axis_refs {
  static constexpr const axis_info* at[sizeof...(A) + 1] = {A..., nullptr};
};
template <const leaf_info*... L>
struct leaf_refs {
  static constexpr int count = sizeof...(L);
  static constexpr const leaf_info* at[sizeof...(L) + 1] = {L..., nullptr};
};
template <const function_info*... F>
struct function_refs {
  static constexpr const function_info* at[sizeof...(F) + 1] = {F..., nullptr};
};

// A leaf that stands for a value held by the expression object: a number, or a tensor of eager work. It has no name but
// its place among them, #0, #1, ...
template <int Index, class Shape>
struct held {
  static_assert(Index < 1000, "flame: an expression holds at most 1,000 numbers and tensors");
  static constexpr int digits = Index < 10 ? 1 : Index < 100 ? 2 : 3;
  static constexpr char name[] = {'#', static_cast<char>('0' + Index / (digits == 3 ? 100 : digits == 2 ? 10 : 1)),
                                  static_cast<char>('0' + Index / (digits == 3 ? 10 : 1) % 10),
                                  static_cast<char>('0' + Index % 10)};
  static constexpr leaf_info info{mix(0x8E1D, static_cast<u64>(Index)), leaf_kind::argument, Shape::value(),
                                  text(name, digits + 1)};
};

// Several shapes: what an expression with several outputs is.
template <class... Shapes>
struct shapes {
  static constexpr int size = sizeof...(Shapes);
};

// An expression: what tensor it is, what it reads, the functions it calls, its nodes as words (graph/words.hpp), and
// the shapes and values that the object holds.
template <class Shape, class Leaves, class HeldShapes, class HeldValues, class Functions, class Axes, u64... Words>
struct expr;

template <class Shape, class Leaves, class... HeldShapes, class... HeldValues, class Functions, class Axes,
          u64... Words>
struct expr<Shape, Leaves, types<HeldShapes...>, types<HeldValues...>, Functions, Axes, Words...> : operand {
  using type = Shape;
  using leaves = Leaves;
  using held_shapes = types<HeldShapes...>;
  using held_values = types<HeldValues...>;
  static constexpr u64 words[sizeof...(Words)] = {Words...};
  static constexpr word_view view() { return {words, Axes::at, Leaves::at, Functions::at}; }

  // The expression's graph by itself.
  static constexpr graph to_graph() {
    graph g;
    g.outputs = decode(g, view());
    return g;
  }

  [[no_unique_address]] std::tuple<HeldValues...> values;
};

template <class T>
inline constexpr bool is_expr = false;
template <class S, class L, class HS, class HV, class F, class A, u64... W>
inline constexpr bool is_expr<expr<S, L, HS, HV, F, A, W...>> = true;

// ---- Shapes of operands -------------------------------------------------------------------------------------------

namespace detail {
template <class T>
struct shape_trait {
  using type = typename T::type;
};
template <leaf_type T>
struct shape_trait<T> {
  using type = typename T::leaf_shape;
};
}  // namespace detail

template <class T>
using shape_of = typename detail::shape_trait<std::remove_cvref_t<T>>::type;

template <class Shape>
using element_of = typename Shape::element_type;

}  // namespace flame
