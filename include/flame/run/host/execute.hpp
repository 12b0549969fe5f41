// The host backend: programs run by the executors of groups, contractions, convolutions, pooling and
// indexing.
//
// Compiling the executors takes some twenty seconds, so they are compiled once: into flame::kernels
// (kernels/host.cpp), whose users see FLAME_HOST_COMPILED and this interface alone, or into every file of a
// header-only user.
#pragma once
#include <flame/plan/program.hpp>
#include <flame/run/backend.hpp>
#include <flame/run/large_blocks.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace flame::host_code {

// Memory that grows to what the largest of its users needs.
class arena {
 public:
  std::byte* reserve(i64 bytes) {
    if (bytes > size_) {
      memory_.reset();
      size_ = 0;
      memory_ = {detail::large_blocks::fresh(bytes), release{bytes}};
      size_ = bytes;
    }
    return memory_.get();
  }
  [[nodiscard]] i64 bytes() const { return size_; }

 private:
  struct release {
    i64 size;
    void operator()(std::byte* p) const { detail::large_blocks::free(p, size); }
  };
  std::unique_ptr<std::byte, release> memory_;
  i64 size_ = 0;
};

// A program on the host. Externals are given at each run, by buffer.
class executable {
 public:
  explicit executable(program p);
  executable(executable&&) noexcept;
  ~executable();
  [[nodiscard]] const program& plan() const { return program_; }

  // externals[b]: the memory of external buffer b. seconds: where given, how long each step took.
  void run(const std::vector<void*>& externals, arena& memory, std::vector<double>* seconds = nullptr);

 private:
  struct lowered;
  program program_;
  std::unique_ptr<lowered> lowered_;
};

// How many threads the host uses: FLAME_THREADS, else all cores.
int thread_count();
void set_thread_count(int n);

}  // namespace flame::host_code
