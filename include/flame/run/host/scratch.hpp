// Working memory of the executors: each thread has its own, which grows to what was needed and is then reused.
#pragma once
#include <flame/base/config.hpp>
#include <new>

namespace flame::host {

// Who holds a buffer. The same use twice on one thread at one time would be the same memory, so that what calls
// something else holds a use of its own.
enum class scratch_use : u8 {
  packed,          // an operand, rearranged: of the thread that starts a product, read by all that work on it
  partial,         // sums that are not yet the result: of that thread too
  weights,         // of a convolution: as packed
  offsets,         // addresses of rows and columns: of that thread too
  result,          // a gradient of a convolution's weights, before it is rounded: of that thread too
  own_offsets,     // from here on: of each thread that works
  own_operand,
  own_packed,
  own_panels,
  own_image,
  count
};

namespace detail {

struct scratch_buffer {
  static constexpr std::align_val_t alignment{64};
  void* memory = nullptr;
  i64 bytes = 0;

  scratch_buffer() = default;
  scratch_buffer(const scratch_buffer&) = delete;
  scratch_buffer& operator=(const scratch_buffer&) = delete;
  ~scratch_buffer() { ::operator delete(memory, alignment); }

  void* reserve(i64 wanted) {
    if (wanted > bytes) {
      ::operator delete(memory, alignment);
      memory = nullptr, bytes = 0;  // whatever the next line throws
      memory = ::operator new(static_cast<unsigned long>(wanted), alignment);
      bytes = wanted;
    }
    return memory;
  }
};

inline void* reserve_scratch(scratch_use use, i64 bytes) {
  thread_local scratch_buffer buffers[static_cast<int>(scratch_use::count)];
  return buffers[static_cast<int>(use)].reserve(bytes);
}

}  // namespace detail

// At least `count` elements, uninitialised, aligned to 64 bytes; valid until this thread asks for the same use again.
template <class T>
[[nodiscard]] T* scratch(scratch_use use, i64 count) {
  return static_cast<T*>(detail::reserve_scratch(use, count * static_cast<i64>(sizeof(T))));
}

}  // namespace flame::host
