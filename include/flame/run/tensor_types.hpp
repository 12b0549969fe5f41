// The types of tensors: from extents as they are given, from literals, from views.
#pragma once
#include <flame/expr/emit.hpp>
#include <flame/run/backend.hpp>
#include <flame/run/element.hpp>

#include <initializer_list>
#include <string>
#include <vector>

namespace flame {

template <class Backend, class Element, class... Axes> class basic_tensor;

namespace detail {

template <class Backend, class Shape> struct tensor_for;
template <class Backend, class Element, class... Axes> struct tensor_for<Backend, shape<Element, Axes...>> {
  using type = basic_tensor<Backend, Element, Axes...>;
};

// The shape without an axis, and with another in its place (types<> is none).
template <class Shape, class Axis, class... Other> struct replaced_axis;
template <class Element, class... X, class Axis, class... Other>
struct replaced_axis<shape<Element, X...>, Axis, Other...> {
  template <class... Y> static auto value(types<Y...>) -> shape<Element, Y...>;
  using type = decltype(value(
      typename concat<std::conditional_t<std::is_same_v<X, Axis>, types<Other...>, types<X>>...>::type{}));
};

// {1, 2}, {{1, 2}, {3, 4}}, ...
template <class Element, int Rank> struct literals_of {
  using type = std::initializer_list<typename literals_of<Element, Rank - 1>::type>;
};
template <class Element> struct literals_of<Element, 0> { using type = literal<Element>; };

// Extents as they are given: row == 2, a static axis by itself, or plain numbers for anonymous axes.
template <int FromLast, class Given> struct given_extent {
  static_assert(
      std::is_integral_v<Given>,
      "flame: an extent is given as axis == n, as a static axis, or as a number for an anonymous axis");
  using type = anonymous<FromLast>;
  static constexpr bool named = false;
  static i64 value(Given n) { return static_cast<i64>(n); }
};
template <int FromLast, class Axis> struct given_extent<FromLast, sized<Axis>> {
  using type = Axis;
  static constexpr bool named = true;
  static i64 value(sized<Axis> n) { return n.extent; }
};
template <int FromLast, axis Axis> struct given_extent<FromLast, Axis> {
  static_assert(Axis::extent != dynamic,
                "flame: the extent of a run-time axis must be given, as in axis == n");
  using type = Axis;
  static constexpr bool named = true;
  static i64 value(const Axis&) { return Axis::extent; }
};

template <class Backend, class Element, class Sequence, class... Given> struct given_tensor;
template <class Backend, class Element, int... I, class... Given>
struct given_tensor<Backend, Element, std::integer_sequence<int, I...>, Given...> {
  static constexpr int last = static_cast<int>(sizeof...(Given)) - 1;
  static_assert((given_extent<last - I, Given>::named && ...) ||
                    (!given_extent<last - I, Given>::named && ...),
                "flame: either all axes of a tensor are named, or none is");
  using type = basic_tensor<Backend, Element, typename given_extent<last - I, Given>::type...>;
  static std::vector<i64> extents(const Given&... n) { return {given_extent<last - I, Given>::value(n)...}; }
};
template <class Backend, class Element, class... Given>
using tensor_of = given_tensor<Backend, Element,
                               std::make_integer_sequence<int, static_cast<int>(sizeof...(Given))>, Given...>;

template <class Backend, class Element, class Sequence> struct anonymous_tensor;
template <class Backend, class Element, int... I>
struct anonymous_tensor<Backend, Element, std::integer_sequence<int, I...>> {
  using type = basic_tensor<Backend, Element, anonymous<static_cast<int>(sizeof...(I)) - 1 - I>...>;
};

inline std::string extents_text(const i64* extents, int rank) {
  std::string s = "(";
  for (int i = 0; i < rank; ++i) s += (i ? ", " : "") + std::to_string(extents[i]);
  return s + ")";
}

}  // namespace detail

}  // namespace flame
