// Working memory of the executors: each thread has its own, which grows to what was needed and is then
// reused.
#pragma once
#include <flame/run/host/simd_native.hpp>
#include <new>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// Who holds a buffer: one thread asking twice for one use gets the same memory, so that what works on behalf
// of something else has uses of its own.
enum class scratch_use : u8 {
  // Of the thread that starts an operation, and read or written by all that work on it.
  operand,
  sums,
  weights,
  gradient,
  // Of each thread that works.
  block_offsets,
  block_panels,
  block_packed,
  block_numbers,
  block_sums,
  finish_offsets,
  batch_offsets,
  image,
  image_offsets,
  count
};

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
      memory = nullptr, bytes = 0;  // should there be no more memory
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

// At least `count` elements, uninitialised, aligned to 64 bytes; valid until this thread asks for the same
// use again.
template <class T> [[nodiscard]] T* scratch(scratch_use use, i64 count) {
  return static_cast<T*>(reserve_scratch(use, count * static_cast<i64>(sizeof(T))));
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
