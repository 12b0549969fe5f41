// Convolution and its gradients by kernels of FLAME's own: any floating type and any geometry, at no great
// speed.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/kernel/conv.hpp>
#include <flame/run/cuda/launcher.hpp>

namespace flame::cuda_kernels {

[[nodiscard]] inline const char* convolution_name(op operation) {
  switch (operation) {
    case op::conv: return "conv";
    case op::conv_data: return "conv_data";
    case op::conv_weight: return "conv_weight";
    default: throw error("convolution: the operation is none of conv, conv_data, conv_weight");
  }
}

inline void check_convolution(op operation, const library::convolution& c) {
  const char* name = convolution_name(operation);
  require_floating(name, c.element);
  if (c.groups < 1 || c.in % c.groups || c.out % c.groups || c.stride_h < 1 || c.stride_w < 1 ||
      c.dilation_h < 1 || c.dilation_w < 1)
    throw error(name, ": groups must divide the channels, strides and dilations be at least 1");
}

// conv (x, w) -> y, conv_data (dy, w) -> dx, conv_weight (x, dy) -> dw. Sums are f64 for f64 and else f32, in
// a fixed order.
class direct_convolution {
 public:
  direct_convolution(op operation, const library::convolution& c) : operation_(operation) {
    check_convolution(operation, c);
    shape_ = {c.batch, c.height,     c.width,      c.in,       c.out_height, c.out_width,
              c.out,   c.kernel_h,   c.kernel_w,   c.stride_h, c.stride_w,   c.pad_h,
              c.pad_w, c.dilation_h, c.dilation_w, c.groups};
    const int number = static_cast<int>(c.element);
    if (operation == op::conv) count_ = c.batch * c.out_height * c.out_width * c.out;
    if (operation == op::conv_data) count_ = c.batch * c.height * c.width * c.in;
    names_.push_back(kernel_name(convolution_name(operation), {number}));
    if (operation != op::conv_weight) return;
    count_ = c.out * c.kernel_h * c.kernel_w * (c.in / c.groups);
    if (count_ == 0) return;
    const i64 pixels = c.batch * c.out_height * c.out_width;
    parts_ = (i64{1} << 17) / count_;
    parts_ = parts_ < pixels / 32 ? parts_ : pixels / 32;
    if (parts_ < 1) parts_ = 1;
    some_ = (pixels + parts_ - 1) / parts_;
    if (some_ > 0) parts_ = (pixels + some_ - 1) / some_;
    names_.push_back(kernel_name("add_parts", {number}));
    workspace_ = parts_ * count_ * (c.element == dtype::f64 ? 8 : 4);
  }

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] i64 workspace() const { return workspace_; }

  void run(launcher& start, const void* a, const void* b, void* out, void* workspace,
           cudaStream_t stream) const {
    if (operation_ != op::conv_weight)
      return launch_each(start, names_[0], count_, stream, shape_, a, b, out);
    launch_each(start, names_[0], parts_ * count_, stream, shape_, parts_, some_, a, b, workspace);
    launch_each(start, names_[1], count_, stream, parts_, count_, static_cast<const void*>(workspace), out);
  }

 private:
  op operation_;
  kernel::convolution shape_{};
  i64 count_ = 0, parts_ = 1, some_ = 0, workspace_ = 0;
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
