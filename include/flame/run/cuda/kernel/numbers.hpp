// Numbers of the host's, written into device memory in the order of a stream.
#pragma once
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

// As many as one launch takes with its arguments.
struct number_block {
  static constexpr int room = 64;
  u64 words[room];
};

template <int> FLAME_KERNEL void put_numbers(number_block from, i64 count, void* to) {
  const i64 n = thread_number();
  if (n < count) static_cast<u64*>(to)[n] = from.words[n];
}

}  // namespace flame::kernel
