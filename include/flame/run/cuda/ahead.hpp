// Kernels compiled beforehand: tables that a program links, which kernel stores look through before they
// compile.
#pragma once
#include <flame/base/config.hpp>

// Little is included: nvcc compiles this with every table. kernels/cuda/ahead.cpp has the definitions.
namespace flame::cuda_kernels {

struct ahead_kernel {
  const char* name;      // the name expression that kernel_store::prepare takes
  const void* function;  // what cudaLaunchKernel takes
};

// Kernels that were compiled for the same architectures, known to all kernel stores while the table lives.
// flame_kernels_ahead (cmake/flame-kernels.cmake) writes tables as static objects. Thread-safe.
class ahead_table {
 public:
  // architectures: those that there is machine code for, as nvcc calls them: "90", "80,90a". The last of the
  // kernels is none, so that a table may be empty.
  template <unsigned N>
  ahead_table(const char* architectures, const ahead_kernel (&kernels)[N])
      : architectures_(architectures), kernels_(kernels), size_(N - 1) {
    add();
  }
  ~ahead_table();
  ahead_table(const ahead_table&) = delete;
  ahead_table& operator=(const ahead_table&) = delete;

  // All tables, one after the other.
  [[nodiscard]] static const ahead_table* first();
  [[nodiscard]] const ahead_table* next() const { return next_; }

  [[nodiscard]] const char* architectures() const { return architectures_; }
  [[nodiscard]] const ahead_kernel* begin() const { return kernels_; }
  [[nodiscard]] const ahead_kernel* end() const { return kernels_ + size_; }

 private:
  void add();

  const char* architectures_;
  const ahead_kernel* kernels_;
  unsigned size_;
  ahead_table* next_ = nullptr;
};

// Whether machine code for one of some architectures runs on a device, 90 for compute capability 9.0: that of
// a lower minor number does, that for "90a" on 9.0 alone, and that for a family, "100f", as if it had no
// letter.
[[nodiscard]] bool runs_on(const char* architectures, int device);

// The kernel of this name for a device; null where no table has it.
[[nodiscard]] const void* find_ahead(const char* name, int device);

// Appends the name to the file that the environment variable FLAME_KERNEL_LIST names, if it does: a line of a
// list for flame_kernels_ahead. Several processes may write to one file. Throws flame::error where it cannot
// be written.
void record_kernel(const char* name);

}  // namespace flame::cuda_kernels
