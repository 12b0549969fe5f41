// Tensors as arguments of programs: on which backend they lie, and that it is the program's.
#pragma once
#include <flame/run/tensor.hpp>

namespace flame::detail {

// Whether what an expression holds, or a function is given, lies on this backend; numbers do not lie
// anywhere.
template <class Value, class Backend> inline constexpr bool lies_on = true;
template <class Other, class Element, class... Axes, class Backend>
inline constexpr bool lies_on<basic_tensor<Other, Element, Axes...>, Backend> =
    std::is_same_v<Other, Backend>;
template <class Values, class Backend> inline constexpr bool all_lie_on = true;
template <class... Values, class Backend>
inline constexpr bool all_lie_on<types<Values...>, Backend> = (lies_on<Values, Backend> && ...);

// The backend of the first tensor among values; the host where there is none.
template <class Values> struct backend_among { using type = host; };
template <class First, class... Rest>
struct backend_among<types<First, Rest...>> : backend_among<types<Rest...>> {};
template <class Backend, class Element, class... Axes, class... Rest>
struct backend_among<types<basic_tensor<Backend, Element, Axes...>, Rest...>> {
  using type = Backend;
};

// Throws flame::error for a tensor of another device than this thread's.
template <class Backend, class Element, class... Axes>
void require_here(const basic_tensor<Backend, Element, Axes...>& t) {
  if constexpr (!storage<Backend>::on_host) t.memory().require_here();
}

// A tensor as an argument of a program of this thread.
template <class Backend, class Element, class... Axes>
[[nodiscard]] tensor_view argument_view(const basic_tensor<Backend, Element, Axes...>& t) {
  require_here(t);
  return t.view();
}

}  // namespace flame::detail
