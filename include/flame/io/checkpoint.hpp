// A model's weights in a safetensors file, under their paths, as PyTorch lays them out.
#pragma once
#include <flame/io/safetensors.hpp>
#include <flame/nn/model.hpp>

#include <map>

namespace flame {

namespace detail {

// Convolution weights are [out, row, column, in] in memory and [out, in, row, column] in files.
inline bool is_convolution(const weight& w) {
  return w.leaf->type.rank - w.leaf->type.stack == 4 && w.axis_names.size() == 4 && w.axis_names[1] == text("tap_row");
}
template <class Element>
std::vector<Element> reordered(const std::vector<i64>& shape, const Element* from, bool to_file) {
  i64 out = shape[0], rows = shape[1], columns = shape[2], in = shape[3];
  std::vector<Element> r(static_cast<std::size_t>(out * rows * columns * in));
  for (i64 o = 0; o < out; ++o)
    for (i64 i = 0; i < in; ++i)
      for (i64 y = 0; y < rows; ++y)
        for (i64 x = 0; x < columns; ++x) {
          i64 memory = ((o * rows + y) * columns + x) * in + i, file = ((o * in + i) * rows + y) * columns + x;
          r[static_cast<std::size_t>(to_file ? file : memory)] = from[to_file ? memory : file];
        }
  return r;
}

inline std::string shape_text(const std::vector<i64>& shape) {
  std::string s = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

}  // namespace detail

// Writes every parameter and state, atomically: on any error the file that was there stays whole.
template <class Model>
void save(const std::string& path, const Model& m, const std::map<std::string, std::string>& metadata = {}) {
  using E = typename Model::element_type;
  std::vector<safetensors::tensor_entry> entries;
  std::vector<std::vector<E>> kept;
  kept.reserve(m.weights().size());
  for (const weight& w : m.weights()) {
    safetensors::tensor_entry e;
    e.name = w.path;
    e.dtype = safetensors::from_flame(dtype_of<E>);
    std::span<E> values = m.values(w);
    e.shape = w.extents;
    e.data = reinterpret_cast<const std::byte*>(values.data());
    e.bytes = values.size() * sizeof(E);
    if (detail::is_convolution(w)) {
      e.shape = {w.extents[0], w.extents[3], w.extents[1], w.extents[2]};
      kept.push_back(detail::reordered<E>(w.extents, values.data(), true));
      e.data = reinterpret_cast<const std::byte*>(kept.back().data());
    }
    entries.push_back(std::move(e));
  }
  safetensors::metadata_map more(metadata.begin(), metadata.end());
  more.emplace("format", "pt");
  safetensors::write(path, entries, more);
}

// Reads every parameter and state; f32, f64, bf16 and f16 in the file become the model's element type. Throws
// flame::error if a path is missing, one is left over, or a shape is another; the model is unchanged then.
// prefix: what stands before every path in the file.
template <class Model>
void load(const std::string& path, Model& m, const std::string& prefix = "") {
  using E = typename Model::element_type;
  safetensors::reader file(path);
  std::vector<std::pair<const weight*, const safetensors::tensor_entry*>> found;
  for (const weight& w : m.weights()) {
    const safetensors::tensor_entry* e = file.find(prefix + w.path);
    if (!e) throw error("flame::load: " + path + " has no tensor " + prefix + w.path);
    std::vector<i64> expected = w.extents;
    if (detail::is_convolution(w)) expected = {w.extents[0], w.extents[3], w.extents[1], w.extents[2]};
    if (e->shape != expected)
      throw error("flame::load: " + path + ": tensor " + e->name + " has shape " + detail::shape_text(e->shape) +
                  ", the model's is " + detail::shape_text(expected));
    std::optional<dtype> d = safetensors::to_flame(e->dtype);
    if (!d || !is_floating(*d))
      throw error("flame::load: " + path + ": tensor " + e->name + " has element type " +
                  std::string(safetensors::name_of(e->dtype)) + ", expected a floating one");
    found.emplace_back(&w, e);
  }
  std::size_t with_prefix = 0;
  for (const safetensors::tensor_entry& e : file.entries()) with_prefix += e.name.starts_with(prefix) ? 1 : 0;
  if (with_prefix != found.size())
    for (const safetensors::tensor_entry& e : file.entries()) {
      bool used = false;
      for (const auto& [w, f] : found) used = used || f == &e;
      if (!used && e.name.starts_with(prefix))
        throw error("flame::load: " + path + " has a tensor " + e.name + " that the model does not have");
    }
  for (const auto& [w, e] : found) {
    std::span<E> to = m.values(*w);
    std::vector<E> values(to.size());
    auto read = [&]<class From>(From) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        From f;
        std::memcpy(&f, e->data + i * sizeof(From), sizeof(From));
        if constexpr (std::is_same_v<From, E>)
          values[i] = f;
        else if constexpr (std::is_same_v<E, bf16> || std::is_same_v<E, f16>)
          values[i] = E(static_cast<float>(f));
        else
          values[i] = static_cast<E>(f);
      }
    };
    switch (*safetensors::to_flame(e->dtype)) {
      case dtype::f64: read(double{}); break;
      case dtype::bf16: read(bf16{}); break;
      case dtype::f16: read(f16{}); break;
      default: read(float{}); break;
    }
    if (detail::is_convolution(*w)) values = detail::reordered<E>(w->extents, values.data(), false);
    std::copy(values.begin(), values.end(), to.begin());
  }
}

}  // namespace flame
