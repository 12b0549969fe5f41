// Tensors as text, as NumPy lays them out: columns aligned, four decimals, an ellipsis where there are more
// than 1,000 elements; below the brackets the element type and the axes.
#pragma once
#include <flame/run/print_interface.hpp>
#include <flame/run/tensor.hpp>

#include <ostream>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/run/print_definitions.hpp>
#endif

namespace flame {

// A number, or brackets and a line such as f32[row 2, col 3].
template <class Backend, class Element, class... Axes>
[[nodiscard]] std::string to_string(const basic_tensor<Backend, Element, Axes...>& t,
                                    const print_options& options = {}) {
  return printing::tensor_text(to<host>(t).view(), shape<Element, Axes...>::value(), options);
}

template <class Backend, class Element, class... Axes>
std::ostream& operator<<(std::ostream& out, const basic_tensor<Backend, Element, Axes...>& t) {
  return out << to_string(t);
}

}  // namespace flame
