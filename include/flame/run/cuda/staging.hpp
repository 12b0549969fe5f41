// Values on their way from the host to the device: copied into pinned memory, from where the device takes
// them in the order of a stream. The caller's memory is free at once, and the host waits for the stream only
// where all of it is under way.
#pragma once
#include <flame/base/config.hpp>
#include <flame/run/cuda/check.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>

namespace flame::cuda_code {

// Of one device. Thread-safe. Its memory is pinned when it is first needed and kept as long as the process
// lives.
class staging {
 public:
  static constexpr i64 least = i64{64} << 10;  // CUDA itself takes less along with the call
  static constexpr i64 part = i64{1} << 20;
  static constexpr int parts = 16;

  void send(void* to, const void* from, i64 bytes, cudaStream_t stream) {
    const std::lock_guard hold(lock_);
    for (i64 at = 0; at < bytes; at += part) {
      slot& s = slots_[next_];
      next_ = (next_ + 1) % parts;
      if (!s.memory) {
        cuda_kernels::check(cudaEventCreateWithFlags(&s.sent, cudaEventDisableTiming), "flame::tensor",
                            "cudaEventCreateWithFlags");
        cuda_kernels::check(cudaHostAlloc(&s.memory, static_cast<std::size_t>(part), cudaHostAllocDefault),
                            "flame::tensor", "cudaHostAlloc");
      } else {
        cuda_kernels::check(cudaEventSynchronize(s.sent), "flame::tensor", "cudaEventSynchronize");
      }
      const std::size_t count = static_cast<std::size_t>(std::min(part, bytes - at));
      std::memcpy(s.memory, static_cast<const std::byte*>(from) + at, count);
      cuda_kernels::check(
          cudaMemcpyAsync(static_cast<std::byte*>(to) + at, s.memory, count, cudaMemcpyHostToDevice, stream),
          "flame::tensor", "cudaMemcpyAsync");
      cuda_kernels::check(cudaEventRecord(s.sent, stream), "flame::tensor", "cudaEventRecord");
    }
  }

 private:
  struct slot {
    void* memory = nullptr;
    cudaEvent_t sent = nullptr;  // the device has read what lies there
  };
  std::mutex lock_;
  slot slots_[parts];
  int next_ = 0;
};

}  // namespace flame::cuda_code
