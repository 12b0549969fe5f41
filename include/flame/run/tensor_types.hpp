// The types of tensors: from extents as they are given, from literals, from views.
#pragma once
#include <flame/expr/emit.hpp>
#include <flame/run/backend.hpp>
#include <flame/run/element.hpp>
#include <flame/run/tensor_layout.hpp>

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

// The shape without its first axis; that of a matrix with rows as columns, where anonymous axes change
// places.
template <class Shape> struct without_first;
template <class Element, class First, class... Rest> struct without_first<shape<Element, First, Rest...>> {
  using type = shape<Element, Rest...>;
};
template <class Shape> struct turned;
template <class Element, class A, class B> struct turned<shape<Element, A, B>> {
  using type = std::conditional_t<axis_ptr<A>->from_last >= 0,
                                  shape<Element, anonymous<1, B::extent>, anonymous<0, A::extent>>,
                                  shape<Element, B, A>>;
};

// {1, 2}, {{1, 2}, {3, 4}}, ...
template <class Element, int Rank> struct literals_of {
  using type = std::initializer_list<typename literals_of<Element, Rank - 1>::type>;
};
template <class Element> struct literals_of<Element, 0> { using type = literal<Element>; };

// Their extents, outermost first; lists of unequal lengths are refused. axis(i): what errors call axis i.
template <class Element, class T>
void measure_literals(std::vector<i64>& extents, std::initializer_list<T> values, std::string (*axis)(int)) {
  extents.push_back(static_cast<i64>(values.size()));
  if constexpr (!std::is_same_v<T, literal<Element>>) {
    if (values.size() == 0) return;
    const std::size_t depth = extents.size();
    measure_literals<Element>(extents, *values.begin(), axis);
    for (const T& v : values)
      if (static_cast<i64>(v.size()) != extents[depth])
        refuse_tensor("{values...}", "along axis " + axis(static_cast<int>(depth)) + " one list has " +
                                         std::to_string(v.size()) + " values, another " +
                                         std::to_string(extents[depth]));
  }
}
template <class Element> void write_literals(Element*& to, literal<Element> value) { *to++ = value.value; }
template <class Element, class T> void write_literals(Element*& to, std::initializer_list<T> values) {
  for (const T& v : values) write_literals(to, v);
}

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

}  // namespace detail

}  // namespace flame
