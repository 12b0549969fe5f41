// Elementwise operators and functions. Axes align by name; the axes of one operand must contain the other's.
#pragma once
#include <flame/expr/emit.hpp>
#include <flame/expr/refusals.hpp>

namespace flame {

template <class A, class B>
concept binary_operands = (operand_type<A> && (operand_type<B> || number_type<B>)) ||
                          (number_type<A> && operand_type<B>);

namespace detail {

template <class T> inline constexpr bool shapeless = number_type<T> || is_structural<std::remove_cvref_t<T>>;

// Whether a number is of a kind that an integer would silently cut off: any of a floating C++ type, whatever
// its value, and of the numbers that are part of the type those that are not whole.
template <class A> constexpr bool is_fractional() {
  if constexpr (is_structural<A>)
    return !(A::value > -0x1p53 && A::value < 0x1p53) ||
           static_cast<double>(static_cast<i64>(A::value)) != A::value;
  else
    return std::is_floating_point_v<A>;
}

// A bare number takes the element type of its neighbour.
template <class Element, class A> constexpr auto take_element(const A& a) {
  if constexpr (shapeless<A> && is_integer(dtype_of<Element>))
    static_assert(!is_fractional<A>(),
                  "flame: a floating number beside an integer operand: cast it, as in cast<f32>(a) * 0.5");
  if constexpr (number_type<A>) {
    number<Element> n;
    n.value = static_cast<double>(a);
    return n;
  } else if constexpr (is_structural<A>) {
    return structural_of<Element, A::bits>{};
  } else {
    return a;
  }
}

template <class A, class B> struct common_element { using type = element_of<shape_of<A>>; };
template <class A, class B>
requires(shapeless<A>) struct common_element<A, B> {
  using type = element_of<shape_of<B>>;
};

}  // namespace detail

namespace detail {
// The number that decimal digits spell: exact where it has at most 15 of them and its power of ten is
// below 23. No lambda: g++ 12 would warn that its variables shadow the user's globals.
template <char... Digits> constexpr u64 spelled() {
  static_assert(((Digits == '.' || Digits == 'e' || Digits == 'E' || Digits == '+' || Digits == '-' ||
                  Digits == '\'' || (Digits >= '0' && Digits <= '9')) &&
                 ...),
                "flame: a literal such as 2_c or 1e-5_c is a decimal number");
  const char digits[] = {Digits...};
  double number = 0, power = 1;
  int places = 0, exponent = 0, sign = 1;
  bool fraction = false, behind_e = false;
  for (char digit : digits) {
    if (digit == '.') fraction = true;
    if (digit == 'e' || digit == 'E') behind_e = true;
    if (digit == '-') sign = -1;
    if (digit < '0' || digit > '9') continue;
    if (behind_e)
      exponent = exponent * 10 + (digit - '0');
    else
      number = number * 10 + (digit - '0'), places += fraction;
  }
  exponent = sign * exponent - places;
  for (int i = 0; i < (exponent < 0 ? -exponent : exponent); ++i) power *= 10;
  return bits_of(exponent < 0 ? number / power : number * power);
}
}  // namespace detail

// The literal of a number that is part of the type: 2_c, 0.5_c.
namespace literals {
template <char... Digits> constexpr auto operator""_c() { return structural<detail::spelled<Digits...>()>{}; }
}  // namespace literals

#define FLAME_BINARY(name, code)                                                         \
  template <class A, class B>                                                            \
  requires binary_operands<A, B>                                                         \
  constexpr auto name(const A& a, const B& b) {                                          \
    using element = typename detail::common_element<A, B>::type;                         \
    auto x = detail::take_element<element>(a);                                           \
    auto y = detail::take_element<element>(b);                                           \
    using X = shape_of<decltype(x)>;                                                     \
    using Y = shape_of<decltype(y)>;                                                     \
    using with = inferred<code, on_axes<>, with_numbers<>, X, Y>;                        \
    FLAME_REFUSALS("flame::" #name "(a, b)", (detail::anonymous_fault<X, Y>));           \
    FLAME_REFUSALS("flame::" #name "(a, b)", with::why);                                 \
    static_assert(detail::nested<X, Y>,                                                  \
                  "flame::" #name                                                        \
                  "(a, b): the axes of one operand must contain the axes of the other; " \
                  "broadcast(x, axes...) repeats x along axes that it lacks");           \
    return emit<code>(x, y);                                                             \
  }

FLAME_BINARY(add, op::add)
FLAME_BINARY(sub, op::sub)
FLAME_BINARY(mul, op::mul)
FLAME_BINARY(div, op::div)
FLAME_BINARY(pow, op::pow)
FLAME_BINARY(minimum, op::minimum)  // NaN if either is
FLAME_BINARY(maximum, op::maximum)  // NaN if either is
FLAME_BINARY(less, op::less)
FLAME_BINARY(less_equal, op::less_equal)
FLAME_BINARY(equal, op::equal)
FLAME_BINARY(not_equal, op::not_equal)
FLAME_BINARY(logical_and, op::logical_and)
FLAME_BINARY(logical_or, op::logical_or)
#undef FLAME_BINARY

#define FLAME_OPERATOR(symbol, call) \
  template <class A, class B>        \
  requires binary_operands<A, B>     \
  constexpr auto operator symbol(const A& a, const B& b) { return call; }
FLAME_OPERATOR(+, add(a, b))
FLAME_OPERATOR(-, sub(a, b))
FLAME_OPERATOR(*, mul(a, b))
FLAME_OPERATOR(/, div(a, b))
FLAME_OPERATOR(<, less(a, b))
FLAME_OPERATOR(<=, less_equal(a, b))
FLAME_OPERATOR(>, less(b, a))
FLAME_OPERATOR(>=, less_equal(b, a))
FLAME_OPERATOR(==, equal(a, b))
FLAME_OPERATOR(!=, not_equal(a, b))
FLAME_OPERATOR(&&, logical_and(a, b))
FLAME_OPERATOR(||, logical_or(a, b))
#undef FLAME_OPERATOR

#define FLAME_UNARY(name, code)                                          \
  template <operand_type A> constexpr auto name(const A& a) {            \
    using with = inferred<code, on_axes<>, with_numbers<>, shape_of<A>>; \
    FLAME_REFUSALS("flame::" #name "(x)", with::why);                    \
    return emit<code>(a);                                                \
  }

FLAME_UNARY(neg, op::neg)
FLAME_UNARY(abs, op::abs)    // derivative 0 at 0, as in PyTorch
FLAME_UNARY(sign, op::sign)  // 0 at 0 and at NaN, as in PyTorch
FLAME_UNARY(floor, op::floor)
FLAME_UNARY(exp, op::exp)
FLAME_UNARY(expm1, op::expm1)
FLAME_UNARY(log, op::log)
FLAME_UNARY(log1p, op::log1p)
FLAME_UNARY(sqrt, op::sqrt)
FLAME_UNARY(rsqrt, op::rsqrt)
FLAME_UNARY(reciprocal, op::reciprocal)
FLAME_UNARY(sin, op::sin)
FLAME_UNARY(cos, op::cos)
FLAME_UNARY(tanh, op::tanh)
FLAME_UNARY(sigmoid, op::sigmoid)
FLAME_UNARY(erf, op::erf)
FLAME_UNARY(isfinite, op::is_finite)
FLAME_UNARY(isnan, op::is_nan)
FLAME_UNARY(logical_not, op::logical_not)
FLAME_UNARY(stop_gradient, op::stop_gradient)
#undef FLAME_UNARY

template <operand_type A> constexpr auto operator-(const A& a) { return neg(a); }
template <operand_type A> constexpr auto operator!(const A& a) { return logical_not(a); }

// Numbers that are part of the type, among themselves: -1_c, 1_c / 3_c.
#define FLAME_STRUCTURAL(symbol)                                                                       \
  template <u64 A, u64 B> constexpr auto operator symbol(const structural<A>&, const structural<B>&) { \
    return structural<bits_of(structural<A>::value symbol structural<B>::value)>{};                    \
  }
FLAME_STRUCTURAL(+)
FLAME_STRUCTURAL(-)
FLAME_STRUCTURAL(*)
FLAME_STRUCTURAL(/)
#undef FLAME_STRUCTURAL
template <u64 A> constexpr auto operator-(const structural<A>&) {
  return structural<bits_of(-structural<A>::value)>{};
}

// x in another element type: rounds to nearest, truncates towards zero to integers, false and true are 0
// and 1. cast<f32>(1_c) is a scalar, for where no neighbour says its element type.
template <element To, operand_type A> constexpr auto cast(const A& a) {
  if constexpr (is_structural<A>)
    return structural_of<To, A::bits>{};
  else if constexpr (std::is_same_v<To, element_of<shape_of<A>>>)
    return a;
  else
    return emit<op::cast, on_axes<>, with_numbers<static_cast<u64>(dtype_of<To>)>>(a);
}

// condition ? a : b, elementwise. Neither a nor b is computed less often for it; NaN in the other one does
// not show.
template <operand_type C, class A, class B>
requires(operand_type<A> || number_type<A>) &&
    (operand_type<B> || number_type<B>)constexpr auto where(const C& condition, const A& a, const B& b) {
  static_assert(!(detail::shapeless<A> && detail::shapeless<B>),
                "flame::where(condition, a, b): one of a and b must be a tensor, to give the element type");
  using element = typename detail::common_element<A, B>::type;
  auto x = detail::take_element<element>(a);
  auto y = detail::take_element<element>(b);
  using with = inferred<op::where, on_axes<>, with_numbers<>, shape_of<C>, shape_of<decltype(x)>,
                        shape_of<decltype(y)>>;
  FLAME_REFUSALS("flame::where(condition, a, b)", with::why);
  return emit<op::where>(condition, x, y);
}

}  // namespace flame
