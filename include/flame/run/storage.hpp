// Memory of a backend, and a tensor in it as programs see one: no types any more.
#pragma once
#include <flame/run/backend.hpp>
#include <flame/run/large_blocks.hpp>
#include <flame/type/tensor_type.hpp>

#include <cstddef>
#include <memory>
#include <new>

namespace flame {

// Released with its last tensor; 64-byte aligned, so that vectors may be loaded from its beginning. Large
// memory is kept for later tensors: see run/large_blocks.hpp.
template <class Backend> class storage;

template <> class storage<host> {
 public:
  static constexpr std::align_val_t alignment{64};

  storage() = default;
  explicit storage(i64 bytes) : bytes_(bytes) {
    if (bytes >= detail::large_blocks::least) {
      i64 size = 0;
      std::byte* block = detail::large_blocks::instance().take(bytes, size);
      memory_ = {block, [size](std::byte* p) { detail::large_blocks::instance().give(p, size); }};
    } else {
      memory_ = {
          static_cast<std::byte*>(::operator new(static_cast<std::size_t>(bytes > 0 ? bytes : 1), alignment)),
          [](std::byte* p) { ::operator delete(p, alignment); }};
    }
  }
  [[nodiscard]] std::byte* data() const { return memory_.get(); }
  [[nodiscard]] i64 bytes() const { return bytes_; }

 private:
  std::shared_ptr<std::byte> memory_;
  i64 bytes_ = 0;
};

// Where a tensor lies. Strides count elements.
struct tensor_view {
  dtype element = dtype::f32;
  void* data = nullptr;
  int rank = 0;
  i64 extents[max_rank] = {};
  i64 strides[max_rank] = {};

  [[nodiscard]] i64 size() const {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= extents[i];
    return n;
  }
  // Row-major without gaps.
  [[nodiscard]] bool is_contiguous() const {
    i64 expected = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (extents[i] == 0) return true;
      if (extents[i] != 1 && strides[i] != expected) return false;
      expected *= extents[i];
    }
    return true;
  }
};

template <element Element> [[nodiscard]] tensor_view scalar_view(Element& number) {
  tensor_view v;
  v.element = dtype_of<Element>;
  v.data = &number;
  return v;
}

// f(i, j) for each element in row-major order, i and j counting by two lists of strides.
template <class F> void walk(int rank, const i64* extents, const i64* a, const i64* b, F&& f) {
  for (int k = 0; k < rank; ++k)
    if (extents[k] == 0) return;
  const int last = rank - 1;
  const i64 row = rank > 0 ? extents[last] : 1, step_a = rank > 0 ? a[last] : 0,
            step_b = rank > 0 ? b[last] : 0;
  i64 at[max_rank + 1] = {}, i = 0, j = 0;
  for (;;) {
    for (i64 n = 0; n < row; ++n) f(i + n * step_a, j + n * step_b);
    int k = last - 1;
    for (; k >= 0; --k) {
      i += a[k], j += b[k];
      if (++at[k] < extents[k]) break;
      i -= a[k] * extents[k], j -= b[k] * extents[k];
      at[k] = 0;
    }
    if (k < 0) return;
  }
}

}  // namespace flame
