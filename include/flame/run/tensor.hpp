// Tensors: memory with an element type and named axes, shared by copies of the handle.
#pragma once
#include <flame/base/error.hpp>
#include <flame/expr/emit.hpp>
#include <flame/run/backend.hpp>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

namespace flame {

// Memory of a backend, released with its last tensor. 64-byte aligned.
template <class Backend>
class storage;

template <>
class storage<host_backend> {
 public:
  storage() = default;
  explicit storage(i64 bytes)
      : memory_(static_cast<std::byte*>(::operator new(static_cast<std::size_t>(bytes > 0 ? bytes : 1), std::align_val_t{64})),
                [](std::byte* p) { ::operator delete(p, std::align_val_t{64}); }),
        bytes_(bytes) {}
  [[nodiscard]] std::byte* data() const { return memory_.get(); }
  [[nodiscard]] i64 bytes() const { return bytes_; }

 private:
  std::shared_ptr<std::byte> memory_;
  i64 bytes_ = 0;
};

// An extent given to an axis: batch(128).
struct axis_extent {
  const axis_info* axis;
  i64 extent;
};

// What a program is told of a tensor: no types any more.
struct tensor_view {
  dtype element = dtype::f32;
  void* data = nullptr;
  int rank = 0;
  i64 extents[max_rank] = {};
  i64 strides[max_rank] = {};
};

// A tensor of a backend. The axes are part of the type, their extents are known at run time at the latest. Copies share
// the memory; clone() does not.
template <class Backend, class Element, class... Axes>
class basic_tensor : public operand {
 public:
  using backend = Backend;
  using element_type = Element;
  using held_shape = shape<Element, Axes...>;
  using type = held_shape;
  static constexpr int rank = sizeof...(Axes);

  basic_tensor() = default;
  // Uninitialised, with these extents in the order of the axes.
  explicit basic_tensor(const std::vector<i64>& extents) {
    if (static_cast<int>(extents.size()) != rank)
      throw error("flame::tensor: " + std::to_string(extents.size()) + " extents are given, expected " + std::to_string(rank));
    const i64 fixed[] = {Axes::extent..., 0};
    i64 n = 1;
    for (int i = 0; i < rank; ++i) {
      extents_[i] = extents[static_cast<std::size_t>(i)];
      if (extents_[i] < 0 || (fixed[i] != dynamic && fixed[i] != extents_[i]))
        throw error("flame::tensor: axis " + std::to_string(i) + " is given extent " + std::to_string(extents_[i]) +
                    (fixed[i] != dynamic ? ", its type says " + std::to_string(fixed[i]) : ", expected 0 or more"));
      n *= extents_[i];
    }
    memory_ = storage<Backend>(n * static_cast<i64>(sizeof(Element)));
    data_ = reinterpret_cast<Element*>(memory_.data());
  }
  // A view of memory that `owner` keeps.
  basic_tensor(storage<Backend> owner, Element* data, const i64* extents) : memory_(std::move(owner)), data_(data) {
    for (int i = 0; i < rank; ++i) extents_[i] = extents[i];
  }
  basic_tensor(const std::vector<i64>& extents, std::span<const Element> values) : basic_tensor(extents) {
    if (static_cast<i64>(values.size()) != size())
      throw error("flame::tensor: " + std::to_string(values.size()) + " values are given, expected " + std::to_string(size()));
    if (size() > 0) std::memcpy(static_cast<void*>(data_), values.data(), values.size() * sizeof(Element));
  }

  [[nodiscard]] i64 size() const {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= extents_[i];
    return n;
  }
  [[nodiscard]] i64 extent(int i) const { return extents_[i]; }
  template <axis Axis>
  [[nodiscard]] i64 extent(const Axis&) const {
    constexpr int at = held_shape::value().find(axis_ptr<std::remove_cvref_t<Axis>>);
    static_assert(at >= 0, "flame::tensor::extent(axis): the tensor has no such axis");
    return extents_[at];
  }
  [[nodiscard]] std::vector<i64> shape_vector() const { return std::vector<i64>(extents_, extents_ + rank); }
  [[nodiscard]] Element* data() const { return data_; }
  [[nodiscard]] std::span<Element> values() const { return {data_, static_cast<std::size_t>(size())}; }
  [[nodiscard]] const storage<Backend>& memory() const { return memory_; }

  // The one element of a tensor that has one.
  [[nodiscard]] Element item() const {
    if (size() != 1) throw error("flame::tensor::item(): the tensor has " + std::to_string(size()) + " elements, expected 1");
    return data_[0];
  }
  [[nodiscard]] basic_tensor clone() const {
    return basic_tensor(shape_vector(), std::span<const Element>(data_, static_cast<std::size_t>(size())));
  }

  [[nodiscard]] tensor_view view() const {
    tensor_view v;
    v.element = dtype_of<Element>;
    v.data = data_;
    v.rank = rank;
    i64 stride = 1;
    for (int i = rank - 1; i >= 0; --i) {
      v.extents[i] = extents_[i], v.strides[i] = stride;
      stride *= extents_[i];
    }
    return v;
  }

 private:
  storage<Backend> memory_;
  Element* data_ = nullptr;
  i64 extents_[static_cast<unsigned>(rank) + 1] = {};
};

// tensor<f32, batch, channel>: on the host.
template <class Element, const auto&... Axes>
using tensor = basic_tensor<host_backend, Element, tag_of<Axes>...>;

namespace detail {
template <class Backend, class Shape>
struct tensor_for;
template <class Backend, class Element, class... Axes>
struct tensor_for<Backend, shape<Element, Axes...>> {
  using type = basic_tensor<Backend, Element, Axes...>;
};
}  // namespace detail

}  // namespace flame
