// Tensors to files and back: NumPy's .npy, and entries of safetensors files.
#pragma once
#include <flame/io/npy.hpp>
#include <flame/io/safetensors_entry.hpp>
#include <flame/run/tensor.hpp>

namespace flame {

namespace detail {

// The same tensor on the host.
template <class Tensor> struct host_twin;
template <class Backend, class Element, class... Axes>
struct host_twin<basic_tensor<Backend, Element, Axes...>> {
  using type = basic_tensor<host, Element, Axes...>;
};

// A tensor of this type from row-major bytes. Throws "<name>: ..." for another element type, rank or extent
// of a static axis.
template <class Tensor>
Tensor tensor_from(const std::string& name, dtype element, const std::vector<i64>& shape,
                   std::span<const std::byte> data) {
  if (element != Tensor::dtype)
    throw error(name + ": the element type is " + name_of(element) + ", expected " + name_of(Tensor::dtype));
  const tensor_type type = Tensor::held_shape::value();
  bool fits = shape.size() == static_cast<std::size_t>(Tensor::rank);
  std::string expected;
  for (int i = 0; i < Tensor::rank; ++i) {
    const i64 fixed = type.axes[i]->extent;
    fits = fits && (fixed == dynamic || fixed == shape[static_cast<std::size_t>(i)]);
    expected += (i ? ", " : "") + (fixed == dynamic ? "any" : std::to_string(fixed));
  }
  if (!fits)
    throw error(name + ": the extents are " + extents_text(shape.data(), static_cast<int>(shape.size())) +
                ", expected (" + expected + ")");
  typename host_twin<Tensor>::type t(shape);
  if (data.size() != static_cast<std::size_t>(t.size()) * sizeof(typename Tensor::element_type))
    throw error(name + ": " + std::to_string(data.size()) + " bytes are no tensor of these extents");
  if (!data.empty()) std::memcpy(static_cast<void*>(t.data()), data.data(), data.size());
  return to<typename Tensor::backend>(t);
}

}  // namespace detail

// auto a = read_npy<tensor<f32, row, col>>("a.npy"). Throws flame::error for what read_npy refuses, another
// element type, rank or extent of a static axis.
template <class Tensor> [[nodiscard]] Tensor read_npy(const std::string& path) {
  const npy_array file = read_npy(path);
  return detail::tensor_from<Tensor>("read_npy: " + path, file.dtype, file.shape, file.data);
}

// Atomically; strided views as well. Throws flame::error for bf16, which NumPy lacks, and for every failure
// to write.
template <class Backend, class Element, class... Axes>
void write_npy(const std::string& path, const basic_tensor<Backend, Element, Axes...>& t) {
  const auto dense = to<host>(t).contiguous();
  write_npy(path, t.dtype, dense.shape(), std::as_bytes(dense.values()));
}

// An entry for safetensors::write. It points into the tensor's memory, which must be contiguous and live as
// long.
template <class Backend, class Element, class... Axes>
[[nodiscard]] safetensors::tensor_entry to_entry(std::string name,
                                                 const basic_tensor<Backend, Element, Axes...>& t) {
  const auto bytes = std::as_bytes(t.values());
  return {std::move(name), safetensors::from_flame(t.dtype), t.shape(), bytes.data(), bytes.size()};
}

// A copy of an entry: from_entry<tensor<f32, row, col>>(entry). Throws as read_npy does.
template <class Tensor> [[nodiscard]] Tensor from_entry(const safetensors::tensor_entry& e) {
  const auto element = safetensors::to_flame(e.dtype);
  if (!element)
    throw error("from_entry: " + quote_text(e.name) + ": FLAME has no " + std::string(name_of(e.dtype)));
  return detail::tensor_from<Tensor>("from_entry: " + quote_text(e.name), *element, e.shape,
                                     {e.data, static_cast<std::size_t>(e.bytes)});
}

}  // namespace flame
