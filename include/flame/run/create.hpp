// Tensors made by rule: zeros<f32>(row == 2, col == 3), or zeros<f32>(2, 3) with anonymous axes. Extents come
// in the order of the axes; a static axis stands for its own. Backend is the second template argument where
// it is not the host.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/expr/random.hpp>
#include <flame/run/argument.hpp>

namespace flame {

// Uninitialised.
template <element Element, class Backend = host, class... Given>
[[nodiscard]] auto empty(const Given&... extents) {
  using made = detail::tensor_of<Backend, Element, Given...>;
  return typename made::type(made::extents(extents...));
}

// A tensor in memory that the caller keeps alive, row-major; of cuda, memory of this thread's device.
template <element Element, class Backend = host, class... Given>
[[nodiscard]] auto borrow(Element* data, const Given&... extents) {
  using made = detail::tensor_of<Backend, Element, Given...>;
  const std::vector<i64> n = made::extents(extents...);
  storage<Backend> memory;
  if constexpr (!storage<Backend>::on_host) {
    i64 bytes = sizeof(Element);
    for (i64 e : n) bytes *= e;
    memory = storage<Backend>::around(data, bytes);
  }
  return typename made::type(memory, data, n.data());
}

template <element Element, class Backend = host, class... Given>
[[nodiscard]] auto full(literal<Element> value, const Given&... extents) {
  auto t = empty<Element, Backend>(extents...);
  t.fill(value);
  return t;
}
template <element Element, class Backend = host, class... Given>
[[nodiscard]] auto zeros(const Given&... extents) {
  return full<Element, Backend>(Element{}, extents...);
}
template <element Element, class Backend = host, class... Given>
[[nodiscard]] auto ones(const Given&... extents) {
  return full<Element, Backend>(element_cast<Element>(1), extents...);
}
// Of the extents of another tensor.
template <class Backend, class Element, class... Axes>
[[nodiscard]] auto full_like(const basic_tensor<Backend, Element, Axes...>& t,
                             std::type_identity_t<literal<Element>> value) {
  basic_tensor<Backend, Element, Axes...> made(t.shape());
  made.fill(value);
  return made;
}
template <class Backend, class Element, class... Axes>
[[nodiscard]] auto zeros_like(const basic_tensor<Backend, Element, Axes...>& t) {
  return full_like(t, Element{});
}

// start, start + step, ...: element i is start + i step. arange<f32>(time == 5), arange<i32>(5).
template <element Element, class Backend = host, class Given>
[[nodiscard]] auto arange(const Given& extent, double start = 0, double step = 1) {
  auto t = empty<Element, host>(extent);
  for (i64 i = 0; i < t.size(); ++i)
    t.data()[i] = element_cast<Element>(start + static_cast<double>(i) * step);
  return to<Backend>(t);
}
// n numbers from first to last, both included, evenly apart.
template <element Element, class Backend = host, class Given>
[[nodiscard]] auto linspace(double first, double last, const Given& extent) {
  auto t = empty<Element, host>(extent);
  const double gaps = static_cast<double>(t.size() > 1 ? t.size() - 1 : 1);
  for (i64 i = 0; i < t.size(); ++i)
    t.data()[i] = element_cast<Element>(first + (last - first) * (static_cast<double>(i) / gaps));
  return to<Backend>(t);
}

namespace detail {
template <class Element> using drawn = std::conditional_t<std::is_same_v<Element, f64>, f64, f32>;
}  // namespace detail

// The draws of the language's uniform(k, axes...) and normal(k, axes...) at site 0, in [0, 1) and standard
// normal: a function of the key and the element's place alone (base/philox.hpp).
template <element Element = f32, class Backend = host, class... Given>
[[nodiscard]] auto uniform(key k, const Given&... extents) {
  auto t = empty<Element, host>(extents...);
  const u64 site = fold(k.bits, 0);
  for (i64 i = 0; i < t.size(); ++i)
    t.data()[i] = element_cast<Element>(uniform_element<detail::drawn<Element>>(site, static_cast<u64>(i)));
  return to<Backend>(t);
}
template <element Element = f32, class Backend = host, class... Given>
[[nodiscard]] auto normal(key k, const Given&... extents) {
  auto t = empty<Element, host>(extents...);
  const u64 site = fold(k.bits, 0);
  for (i64 i = 0; i < t.size(); ++i)
    t.data()[i] = element_cast<Element>(normal_element<detail::drawn<Element>>(site, static_cast<u64>(i)));
  return to<Backend>(t);
}

namespace detail {
template <class T> inline constexpr bool is_eager = tensor_operand<T>;
template <class S, class L, class HS, class HV, class F, class A, u64... W>
inline constexpr bool is_eager<expr<S, L, HS, HV, F, A, W...>> = true;

// A key as an operand beside x: a tensor, on the backend where x lies.
template <class X> [[nodiscard]] auto key_beside(const X&, key k) {
  basic_tensor<host, key> t{std::vector<i64>{}};
  *t.data() = k;
  return to<typename backend_among<typename holding<X>::values>::type>(t);
}
}  // namespace detail

// dropout with a key that is known now: eval(dropout(t, 0.5, key(1))).
template <u64 Site = 0, class X>
requires detail::is_eager<X>
[[nodiscard]] auto dropout(const X& x, double p, key k) {
  return dropout<Site>(x, p, detail::key_beside(x, k));
}
}  // namespace flame
