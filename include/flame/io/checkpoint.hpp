// A model's weights in a safetensors file, under their paths, as PyTorch lays them out.
#pragma once
#include <flame/io/safetensors.hpp>
#include <flame/nn/model.hpp>

#include <algorithm>
#include <list>
#include <map>
#include <set>

namespace flame {

namespace detail {

// Convolution weights are [out, row, column, in] in memory and [out, in, row, column] in files.
inline bool is_convolution(const weight& w) {
  return w.axis_names.size() == 4 && w.axis_names[1] == text("tap_row");
}
template <class Element>
std::vector<Element> reordered(const std::vector<i64>& shape, const Element* from, bool to_file) {
  i64 out = shape[0], rows = shape[1], columns = shape[2], in = shape[3];
  std::vector<Element> r(static_cast<std::size_t>(out * rows * columns * in));
  for (i64 o = 0; o < out; ++o)
    for (i64 i = 0; i < in; ++i)
      for (i64 y = 0; y < rows; ++y)
        for (i64 x = 0; x < columns; ++x) {
          i64 memory = ((o * rows + y) * columns + x) * in + i,
              file = ((o * in + i) * rows + y) * columns + x;
          r[static_cast<std::size_t>(to_file ? file : memory)] = from[to_file ? memory : file];
        }
  return r;
}

inline std::string shape_text(const std::vector<i64>& shape) {
  std::string s = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}
inline std::vector<i64> file_shape(const weight& w) {
  if (!is_convolution(w)) return w.extents;
  return {w.extents[0], w.extents[3], w.extents[1], w.extents[2]};
}

template <class Select> bool in_checkpoint(const weight& w) { return !w.is_idle() && chosen<Select>(w); }

// Tensors laid out as weights are, gathered for one file.
class checkpoint_writer {
 public:
  // The values must live until `write`.
  template <class Element> void add(const std::string& name, const weight& w, std::span<Element> values) {
    safetensors::tensor_entry e;
    e.name = name;
    e.dtype = safetensors::from_flame(dtype_of<std::remove_const_t<Element>>);
    e.shape = file_shape(w);
    e.data = reinterpret_cast<const std::byte*>(values.data());
    e.bytes = values.size_bytes();
    if (is_convolution(w)) {
      const auto turned = reordered<std::remove_const_t<Element>>(w.extents, values.data(), true);
      kept_.emplace_back(reinterpret_cast<const std::byte*>(turned.data()),
                         reinterpret_cast<const std::byte*>(turned.data() + turned.size()));
      e.data = kept_.back().data();
    }
    entries_.push_back(std::move(e));
  }
  void write(const std::string& path, const std::map<std::string, std::string>& metadata) const {
    safetensors::metadata_map more(metadata.begin(), metadata.end());
    more.emplace("format", "pt");
    safetensors::write(path, entries_, more);
  }

 private:
  std::vector<safetensors::tensor_entry> entries_;
  std::list<std::vector<std::byte>> kept_;
};

// A file whose tensors are first all checked, then read.
class checkpoint_reader {
 public:
  explicit checkpoint_reader(const std::string& path) : path_(path), file_(path) {}

  void expect(const std::string& name, const weight& w) {
    const safetensors::tensor_entry* e = file_.find(name);
    if (!e) refuse("has no tensor " + name);
    if (e->shape != file_shape(w))
      refuse("tensor " + name + " has shape " + shape_text(e->shape) + ", the model's is " +
             shape_text(file_shape(w)));
    const std::optional<dtype> d = safetensors::to_flame(e->dtype);
    if (!d || !is_floating(*d))
      refuse("tensor " + name + " has element type " + std::string(safetensors::name_of(e->dtype)) +
             ", expected a floating one");
    expected_.insert(name);
  }
  void refuse_others(const std::string& prefix) const {
    for (const safetensors::tensor_entry& e : file_.entries())
      if (e.name.starts_with(prefix) && !expected_.contains(e.name))
        refuse("has a tensor " + e.name + " that the model does not have");
  }
  template <class Element> void read(const std::string& name, const weight& w, std::span<Element> to) const {
    const safetensors::tensor_entry& e = file_.at(name);
    std::vector<Element> values(to.size());
    auto take = [&]<class From>(From) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        From f;
        std::memcpy(&f, e.data + i * sizeof(From), sizeof(From));
        values[i] = element_cast<Element>(f);
      }
    };
    switch (*safetensors::to_flame(e.dtype)) {
      case dtype::f64: take(f64{}); break;
      case dtype::bf16: take(bf16{}); break;
      case dtype::f16: take(f16{}); break;
      default: take(f32{}); break;
    }
    if (is_convolution(w)) values = reordered<Element>(w.extents, values.data(), false);
    std::ranges::copy(values, to.begin());
  }
  [[nodiscard]] const safetensors::metadata_map& metadata() const { return file_.metadata(); }
  [[noreturn]] void refuse(const std::string& why) const {
    throw error("flame::load: " + path_ + ": " + why);
  }

 private:
  std::string path_;
  safetensors::reader file_;
  std::set<std::string> expected_;
};

}  // namespace detail

// Writes every parameter and state, or those that Select chooses (save<all_adapters>), atomically: on any
// error the file that was there stays whole. Adapters of rank 0 are not written.
template <class Select = all_parameters, class Backend, class Element>
void save(const std::string& path, const model_weights<Backend, Element>& m,
          const std::map<std::string, std::string>& metadata = {}) {
  const auto flat = to<host>(m.flat());
  detail::checkpoint_writer writer;
  for (const weight& w : m.weights())
    if (detail::in_checkpoint<Select>(w))
      writer.add(w.path, w, detail::values_at(flat.values(), w, w.offset));
  writer.write(path, metadata);
}

// Reads what save writes; f32, f64, bf16 and f16 in the file become the model's element type. Throws
// flame::error if a path is missing, one is left over, or a shape is another; the model is unchanged then.
// prefix: what stands before every path in the file; what begins otherwise is passed over.
template <class Select = all_parameters, class Backend, class Element>
void load(const std::string& path, const model_weights<Backend, Element>& m, const std::string& prefix = "") {
  detail::checkpoint_reader reader(path);
  for (const weight& w : m.weights())
    if (detail::in_checkpoint<Select>(w)) reader.expect(prefix + w.path, w);
  reader.refuse_others(prefix);
  edit_on_host(m.flat(), [&](std::span<Element> flat) {
    for (const weight& w : m.weights())
      if (detail::in_checkpoint<Select>(w))
        reader.read(prefix + w.path, w, detail::values_at(flat, w, w.offset));
  });
}

}  // namespace flame
