// Indices that must lie in an axis, on CUDA.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/copying.hpp>
#include <flame/run/cuda/kernel/range.hpp>

namespace flame::cuda_kernels {

// in_range as the host's. An index that is neither in the axis nor the ignored one is handed on all the same
// and sets the fault word to this step's number; fault_text says it in words once the host has read the word.
class prepared_range {
 public:
  // step: what a fault is reported as, from 1 on.
  prepared_range(const library::range_check& x, u32 step) : what_(x) {
    axis_list<2> axes;
    for (int i = 0; i < x.rank; ++i) axes.push(x.extents[i], x.strides[i], x.out_strides[i]);
    count_ = axes.size();
    axes.sort_by(1), axes.join();
    axes_ = for_kernel(axes);
    shape_.extent = x.extent, shape_.ignored = x.ignored, shape_.ignores = static_cast<i32>(x.ignores),
    shape_.step = step;
    names_.push_back(kernel_name("in_range", {static_cast<int>(x.element)}));
  }

  // What it starts.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] std::string fault_text(const kernel::fault& found) const {
    return what_.refusal(found.value);
  }
  // ignored: read where the ignored one is an operand.
  void run(launcher& start, const void* index, const void* ignored, void* out, kernel::fault* wrong,
           cudaStream_t stream) const {
    if (count_ == 0) return;
    launch_each(start, names_[0], count_, stream, shape_, axes_, count_, index, ignored, out, wrong);
  }

 private:
  library::range_check what_;
  i64 count_ = 0;
  kernel::two_strides axes_{};
  kernel::range_check shape_{};
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
