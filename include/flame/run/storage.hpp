// Memory of a backend, and a tensor in it as programs see one: no types any more.
#pragma once
#include <flame/base/error.hpp>
#include <flame/run/backend.hpp>
#include <flame/run/large_blocks.hpp>
#include <flame/type/tensor_type.hpp>
#if defined(FLAME_CUDA)
#include <flame/run/cuda/memory.hpp>
#endif

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace flame {

// Released with its last tensor; 64-byte aligned, so that vectors may be loaded from its beginning. Large
// memory is kept for later tensors: see run/large_blocks.hpp.
template <class Backend> class storage {
  static_assert(
      !std::is_same_v<Backend, cuda>,
      "flame: tensors of the backend cuda need the target flame::cuda; this file is compiled without it");
};

template <> class storage<host> {
 public:
  static constexpr std::align_val_t alignment{64};
  static constexpr bool on_host = true;  // elements can be read and written where they lie

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
  bool is_number = false;  // a number of the host's, on any backend: what it is now goes with the run

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

#if defined(FLAME_CUDA)
// On the device of the thread that makes it; 256-byte aligned.
template <> class storage<cuda> {
 public:
  static constexpr bool on_host = false;

  storage() = default;
  explicit storage(i64 bytes)
      : memory_(cuda_code::allocate(bytes)), bytes_(bytes), device_(cuda_code::current_device()) {}
  // Memory that others own, on this thread's device: `keep` is held as long as a tensor lies there, else it
  // is the caller's to keep. Throws flame::error for memory that the device does not reach.
  [[nodiscard]] static storage around(void* memory, i64 bytes, std::shared_ptr<void> keep = nullptr) {
    if (bytes > 0) cuda_code::require_reachable(memory);
    storage s;
    s.memory_ = {std::move(keep), static_cast<std::byte*>(memory)};
    s.bytes_ = bytes, s.device_ = cuda_code::current_device();
    return s;
  }
  [[nodiscard]] std::byte* data() const { return memory_.get(); }
  [[nodiscard]] i64 bytes() const { return bytes_; }
  [[nodiscard]] int device() const { return device_; }

  // Between the host and this device; `read` waits for what was begun before.
  void read(void* to, const void* from, i64 bytes) const {
    require_here();
    if (bytes > 0) cuda_code::copy_to_host(to, from, bytes);
  }
  void write(void* to, const void* from, i64 bytes) const {
    require_here();
    if (bytes > 0) cuda_code::copy_to_device(to, from, bytes);
  }
  // On this device, of equal extents.
  void copy(const tensor_view& to, const tensor_view& from) const {
    require_here();
    if (to.size() == 0) return;
    if (to.is_contiguous() && from.is_contiguous())
      cuda_code::copy_on_device(to.data, from.data, to.size() * size_of(to.element));
    else
      cuda_code::copy_strided(to.data, from.data,
                              {to.element, to.rank, to.extents, to.strides, from.strides});
  }
  using elsewhere = cuda_code::elsewhere;  // this thread uses another device for a while
  // From memory of another device to this one.
  void fetch(void* to, const storage& owner, const void* from, i64 bytes) const {
    require_here();
    if (bytes > 0) cuda_code::copy_from_device(owner.device_, to, from, bytes);
  }
  // value: on the host.
  void fill(const tensor_view& to, const void* value) const {
    const i64 element = size_of(to.element), count = to.size();
    require_here();
    if (count == 0) return;
    if (count == 1) return write(to.data, value, element);
    bool zeros = true;
    for (i64 i = 0; i < element; ++i)
      zeros = zeros && static_cast<const std::byte*>(value)[i] == std::byte{0};
    if (zeros && to.is_contiguous()) return cuda_code::clear(to.data, count * element);
    const storage one(element);
    one.write(one.data(), value, element);
    const i64 strides[max_rank] = {};
    cuda_code::copy_strided(to.data, one.data(), {to.element, to.rank, to.extents, to.strides, strides});
  }

  [[nodiscard]] bool is_here() const { return device_ < 0 || device_ == cuda_code::current_device(); }
  // Throws flame::error where this thread uses another device.
  void require_here() const {
    if (!is_here())
      throw error("flame: a tensor lies on device " + std::to_string(device_) +
                  " of cuda, this thread uses device " + std::to_string(cuda_code::current_device()) +
                  "; say cuda::set_device(" + std::to_string(device_) + ")");
  }

 private:
  std::shared_ptr<std::byte> memory_;
  i64 bytes_ = 0;
  int device_ = -1;
};
#endif

template <class Element> [[nodiscard]] tensor_view scalar_view(const Element& number) {
  tensor_view v;
  v.element = dtype_of<Element>;
  v.data = const_cast<Element*>(&number);
  v.is_number = true;
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
