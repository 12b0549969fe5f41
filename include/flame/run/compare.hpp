// Whether two tensors are equal, or nearly so. (a == b is an expression: elementwise.)
#pragma once
#include <flame/run/tensor.hpp>

#include <cmath>

namespace flame {

namespace detail {
// like(x, y) for each pair of elements, in the order of memory; false where extents differ.
template <class Tensor, class Like> bool all_alike(const Tensor& first, const Tensor& second, Like&& like) {
  if (first.shape() != second.shape()) return false;
  bool alike = true;
  const auto a = to<host>(first), b = to<host>(second);
  const tensor_view x = a.view(), y = b.view();
  walk(x.rank, x.extents, x.strides, y.strides,
       [&](i64 i, i64 j) { alike = alike && like(a.data()[i], b.data()[j]); });
  return alike;
}
}  // namespace detail

// Equal extents and equal elements; NaN is unlike everything (numpy.array_equal).
template <class Backend, class Element, class... Axes>
[[nodiscard]] bool all_equal(const basic_tensor<Backend, Element, Axes...>& a,
                             const basic_tensor<Backend, Element, Axes...>& b) {
  return detail::all_alike(a, b, [](const Element& p, const Element& q) {
    if constexpr (is_half<Element>)
      return static_cast<float>(p) == static_cast<float>(q);
    else
      return p == q;
  });
}

// Equal extents, and everywhere a = b or |a - b| <= absolute + relative |b| (numpy.allclose).
template <class Backend, class Element, class... Axes>
[[nodiscard]] bool all_close(const basic_tensor<Backend, Element, Axes...>& a,
                             const basic_tensor<Backend, Element, Axes...>& b, double relative = 1e-5,
                             double absolute = 1e-8) {
  return detail::all_alike(a, b, [&](const Element& p, const Element& q) {
    const double x = element_cast<double>(p), y = element_cast<double>(q);
    return x == y || (std::isfinite(y) && std::abs(x - y) <= absolute + relative * std::abs(y));
  });
}

}  // namespace flame
