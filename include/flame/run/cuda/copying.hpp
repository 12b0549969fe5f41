// Copies between memory of any strides, and zeros there, as kernels.
#pragma once
#include <flame/run/cuda/axes.hpp>
#include <flame/run/cuda/launcher.hpp>

namespace flame::cuda_kernels {

// to = from for elements of any type, or to = zeros, along axes with strides in (from, to).
class prepared_copy {
 public:
  enum class source { memory, zeros };

  prepared_copy() = default;
  prepared_copy(axis_list<2> axes, dtype element, source from = source::memory) : from_(from) {
    if (from == source::zeros)
      for (int i = 0; i < axes.rank; ++i) axes.items[i].strides[0] = axes.items[i].strides[1];
    count_ = axes.size();
    axes.sort_by(1), axes.join();
    const int size = size_of(element);
    unit_ = static_cast<int>(unit_elements(axes, size));
    one_ = for_kernel(axes), several_ = for_kernel(in_units(axes, unit_));
    const char* kernel = from == source::memory ? "copy" : "fill_zeros";
    names_.push_back(kernel_name(kernel, {size}));
    if (unit_ > 1) names_.push_back(kernel_name(kernel, {size * unit_}));
    alignment_ = size * unit_;
  }

  // What it may start.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] i64 count() const { return count_; }

  // `from` is not read for zeros.
  void run(launcher& start, const void* from, void* to, cudaStream_t stream) const {
    const bool several =
        unit_ > 1 && aligned(to, alignment_) && (from_ == source::zeros || aligned(from, alignment_));
    const i64 count = several ? count_ / unit_ : count_;
    const kernel::two_strides& axes = several ? several_ : one_;
    if (count == 0) return;
    if (from_ == source::memory)
      launch_each(start, names_[several], count, stream, axes, count, from, to);
    else
      launch_each(start, names_[several], count, stream, axes, count, to);
  }

 private:
  source from_ = source::memory;
  i64 count_ = 0;
  int unit_ = 1;
  i64 alignment_ = 1;
  kernel::two_strides one_{}, several_{};
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
