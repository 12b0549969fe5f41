// Working memory of the executors: each thread has its own, which grows to what was needed and is then
// reused. What one worker of the pool needed all of them are given before long (threads.hpp): whether a step
// allocates must not depend on which thread takes which part of it.
#pragma once
#include <atomic>
#include <flame/base/config.hpp>
#include <new>

namespace flame::host_kernels {

// Who holds a buffer: one thread asking twice for one use gets the same memory, so that what works on behalf
// of something else has uses of its own.
enum class scratch_use : u8 {
  // Of the thread that starts an operation, and read or written by all that work on it.
  operand,
  sums,
  weights,
  gradient,
  group_frame,
  group_partials,
  attention_scores,
  attention_operands,
  // Of each thread that works.
  block_offsets,
  block_panels,
  block_packed,
  block_numbers,
  block_sums,
  finish_offsets,
  finish_bias,
  batch_offsets,
  image,
  image_offsets,
  group_tile,
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

  void grow(i64 wanted) {
    if (wanted <= bytes) return;
    ::operator delete(memory, alignment);
    memory = nullptr, bytes = 0;  // should there be no more memory
    memory = ::operator new(static_cast<unsigned long>(wanted), alignment);
    bytes = wanted;
  }
};

namespace detail {

inline constexpr int scratch_uses = static_cast<int>(scratch_use::count);
inline constexpr int first_worker_use = static_cast<int>(scratch_use::block_offsets);

// The most that any thread asked for, of the uses of each thread that works.
struct scratch_needs {
  std::atomic<i64> bytes[scratch_uses] = {};
  std::atomic<u64> version{1};  // raised after a need

  void raise(int use, i64 wanted) {
    i64 known = bytes[use].load(std::memory_order_relaxed);
    while (known < wanted && !bytes[use].compare_exchange_weak(known, wanted, std::memory_order_relaxed)) {
    }
    if (known < wanted) version.fetch_add(1, std::memory_order_release);
  }
};
inline constinit scratch_needs needs;

// The buffers of one thread.
struct thread_scratch {
  scratch_buffer buffers[scratch_uses];
  u64 version = 0;  // of the needs that they meet

  // Grows to what any thread needed. Of a thread that is at work only that thread itself may say so.
  void meet_needs() {
    const u64 now = needs.version.load(std::memory_order_acquire);
    if (version == now) return;
    for (int use = first_worker_use; use < scratch_uses; ++use)
      buffers[use].grow(needs.bytes[use].load(std::memory_order_relaxed));
    version = now;
  }
};

// Those of a worker of the pool belong to the pool, which sets this in the worker.
inline constinit thread_local thread_scratch* worker_scratch = nullptr;

[[nodiscard]] inline thread_scratch& own_scratch() {
  if (worker_scratch) return *worker_scratch;
  thread_local thread_scratch own;
  return own;
}

}  // namespace detail

[[nodiscard]] inline void* reserve_scratch(scratch_use use, i64 bytes) {
  const int i = static_cast<int>(use);
  scratch_buffer& b = detail::own_scratch().buffers[i];
  if (bytes > b.bytes) {
    if (i >= detail::first_worker_use) detail::needs.raise(i, bytes);
    b.grow(bytes);
  }
  return b.memory;
}

// At least `count` elements, uninitialised, aligned to 64 bytes; valid until this thread asks for the same
// use again.
template <class T> [[nodiscard]] T* scratch(scratch_use use, i64 count) {
  return static_cast<T*>(reserve_scratch(use, count * static_cast<i64>(sizeof(T))));
}

}  // namespace flame::host_kernels
