// The CUDA backend: programs on one NVIDIA GPU, and its memory. No header of CUDA is needed to include this.
#pragma once
#include <flame/base/error.hpp>
#include <flame/plan/program.hpp>
#include <flame/run/backend.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace flame::cuda_code {

// A CUDA stream, cudaStream_t; null is the library's own stream of the device, never the legacy default
// stream.
using stream_handle = void*;

// ---- The device ----

// How many GPUs there are; 0 where there is no driver. Throws flame::error if a driver is there and does not
// work, as one that is older than the toolkit.
int device_count();
// The GPU and the stream that this thread uses: what is made from here on lies on it.
int current_device();
void set_device(int device);
stream_handle current_stream();
void set_stream(stream_handle stream);
// Waits for the work of this thread's stream. Throws what kernels found wrong meanwhile, an index out of
// range say.
void synchronize();

// ---- Memory ----

struct memory_count {
  i64 used = 0, most = 0;  // bytes of tensors and arenas of the device
};
memory_count memory_use();

// On this thread's device and stream; released in its order. Throws flame::error with needed and free bytes.
std::shared_ptr<std::byte> allocate(i64 bytes);
void copy_to_device(void* to, const void* from, i64 bytes);
void copy_to_host(void* to, const void* from, i64 bytes);  // waits
void copy_on_device(void* to, const void* from, i64 bytes);
void clear(void* to, i64 bytes);

// ---- Programs ----

// How fused groups are cut into blocks, where not by rule: see cuda_kernels::gpu_shape.
struct tuning {
  int packs = 0, threads = 0, blocks = 0;
};

// A program on the device that is current when it is made. For one thread at a time.
class executable {
 public:
  explicit executable(program p, tuning t = {});
  executable(executable&&) noexcept;
  ~executable();
  [[nodiscard]] const program& plan() const { return program_; }
  // Bytes of the device that a run needs beside its externals.
  [[nodiscard]] i64 bytes() const;

  // externals[b]: the device memory of external buffer b. On this thread's stream; does not wait. A program
  // that is run again with the same memory is replayed as one CUDA graph.
  void run(const std::vector<void*>& externals);
  // Milliseconds of each step, each alone in a CUDA graph that runs it so often.
  std::vector<double> time(const std::vector<void*>& externals, int repetitions);

 private:
  struct lowered;
  program program_;
  std::unique_ptr<lowered> lowered_;
};

}  // namespace flame::cuda_code
