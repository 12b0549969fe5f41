// The CUDA backend: programs on one NVIDIA GPU. No header of CUDA is needed to include this.
#pragma once
#include <flame/base/error.hpp>
#include <flame/plan/program.hpp>
#include <flame/run/backend.hpp>
#include <flame/run/cuda/memory.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace flame::cuda_code {

// ---- Programs ----

// How fused groups are cut into blocks, where not by rule: see cuda_kernels::gpu_shape.
struct tuning {
  int packs = 0, threads = 0, blocks = 0, stages = 0, cluster = 0, vector = 0;
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
