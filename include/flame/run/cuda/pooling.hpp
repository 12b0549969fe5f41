// Pooling of images on CUDA: maxima, means, and their transposes.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/kernel/pool.hpp>
#include <flame/run/cuda/launcher.hpp>

namespace flame::cuda_kernels {

// pool_take (x, u) -> y, pool_put (x, dy) -> dx, pool_mean (x) -> y, pool_mean_put (dy) -> dx, as the host's:
// NaN is the largest, the first of equal maxima is taken, what several windows put on a pixel is added up in
// their order. Floating elements; half types are added up in f32. The same bits at every run, and those of
// the host.
class prepared_pooling {
 public:
  // Throws flame::error for other element types, for strides below 1, and, where maxima are asked for, if a
  // window lies in the padding alone.
  prepared_pooling(op operation, const library::pooling& p) : operation_(operation) {
    const char* name = operation == op::pool_take       ? "pool_take"
                       : operation == op::pool_put      ? "pool_put"
                       : operation == op::pool_mean     ? "pool_mean"
                       : operation == op::pool_mean_put ? "pool_mean_put"
                                                        : nullptr;
    if (!name)
      throw error("prepared_pooling: the operation is none of pool_take, pool_put, pool_mean, pool_mean_put");
    require_floating(name, p.element);
    if (p.stride_h < 1 || p.stride_w < 1 || p.kernel_h < 1 || p.kernel_w < 1 || p.pad_h < 0 || p.pad_w < 0)
      throw error(name, ": kernels and strides must be at least 1, paddings at least 0");
    const bool maxima = operation == op::pool_take || operation == op::pool_put;
    if (maxima && p.batch * p.channels * p.out_height * p.out_width != 0 &&
        (has_empty_window(p.height, p.out_height, p.kernel_h, p.stride_h, p.pad_h) ||
         has_empty_window(p.width, p.out_width, p.kernel_w, p.stride_w, p.pad_w)))
      throw error(name, ": a window lies in the padding alone, expected one pixel of the image");
    shape_ = {p.batch,    p.height,   p.width,    p.channels, p.out_height, p.out_width,
              p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_h,      p.pad_w};
    const bool once = p.kernel_h == p.stride_h && p.kernel_w == p.stride_w && p.pad_h == 0 && p.pad_w == 0 &&
                      p.height == p.out_height * p.stride_h && p.width == p.out_width * p.stride_w;
    const bool by_windows =
        operation == op::pool_take || operation == op::pool_mean || (operation == op::pool_put && once);
    if (operation == op::pool_put && once) name = "pool_put_once";
    const i64 pixels = by_windows ? p.out_height * p.out_width : p.height * p.width;
    count_ = p.batch * pixels * p.channels;
    width_ = 16 / size_of(p.element);
    while (p.channels % width_ != 0) width_ /= 2;
    alignment_ = width_ * size_of(p.element);
    names_.push_back(kernel_name(name, {static_cast<int>(p.element), 1}));
    if (width_ > 1)
      names_.push_back(kernel_name(name, {static_cast<int>(p.element), static_cast<int>(width_)}));
  }

  // What it may start: the second where memory is aligned to it.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  // b is not read where the operation has one operand.
  void run(launcher& start, const void* a, const void* b, void* out, cudaStream_t stream) const {
    const bool two = operation_ == op::pool_take || operation_ == op::pool_put;
    const bool wide =
        width_ > 1 && aligned(a, alignment_) && aligned(out, alignment_) && (!two || aligned(b, alignment_));
    const i64 count = wide ? count_ / width_ : count_;
    if (two)
      launch_each(start, names_[wide], count, stream, shape_, a, b, out);
    else
      launch_each(start, names_[wide], count, stream, shape_, a, out);
  }

 private:
  static bool has_empty_window(i64 extent, i64 out, i64 kernel, i64 stride, i64 pad) {
    return pad >= kernel || (out - 1) * stride - pad >= extent;
  }

  op operation_;
  kernel::pooling shape_{};
  i64 count_ = 0, width_ = 1, alignment_ = 1;
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
