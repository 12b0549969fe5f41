// The gradient of a convolution's weights as a product of matrices: the windows of the images laid out, times
// what came back.
#pragma once
#include <flame/run/cuda/blas.hpp>
#include <flame/run/cuda/direct_convolution.hpp>

namespace flame::cuda_kernels {

// conv_weight (x, dy) -> dw without groups: dw[out, window] = sum over pixels of dy[pixel, out]
// windows[pixel, window]. For f32 and f64, where cuDNN's engines without TF32 are slow (measured on an H200:
// 717 us where this takes some 25, 128 images of 14x14, 16 to 32 channels).
class unfolded_convolution {
 public:
  static constexpr i64 most_bytes = i64{256} << 20;  // of windows

  [[nodiscard]] static bool takes(op operation, const library::convolution& c) {
    const i64 elements = pixels(c) * window(c);
    return operation == op::conv_weight && c.groups == 1 &&
           (c.element == dtype::f32 || c.element == dtype::f64) && elements > 0 &&
           elements < (i64{1} << 31) && elements * size_of(c.element) <= most_bytes;
  }

  // options: of the product; their alignment is that of dy and dw.
  unfolded_convolution(blas& with, const library::convolution& c, contraction_options options)
      : blas_(&with) {
    options.alignment.b = 16;
    shape_ = {c.batch, c.height,     c.width,      c.in,       c.out_height, c.out_width,
              c.out,   c.kernel_h,   c.kernel_w,   c.stride_h, c.stride_w,   c.pad_h,
              c.pad_w, c.dilation_h, c.dilation_w, c.groups};
    count_ = pixels(c) * window(c);
    bytes_ = padded(count_ * size_of(c.element));
    library::contraction x;
    x.element = c.element;
    x.m_rank = x.n_rank = x.k_rank = 1;
    const i64 extents[] = {c.out, window(c), pixels(c)};
    const i64 a[] = {1, 0, c.out}, b[] = {0, 1, window(c)}, out[] = {window(c), 1, 0};
    for (int i = 0; i < 3; ++i)
      x.extents[i] = extents[i], x.a_strides[i] = a[i], x.b_strides[i] = b[i], x.out_strides[i] = out[i];
    product_ = with.prepare(x, options);
    names_ = product_.names();
    names_.push_back(kernel_name("unfold", {static_cast<int>(c.element)}));
  }

  // How many ways there are to do the product.
  [[nodiscard]] int candidates() const { return product_.candidates(); }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] std::vector<std::string> names_of_all() const {
    std::vector<std::string> all = product_.names_of_all();
    all.push_back(names_.back());
    return all;
  }
  [[nodiscard]] i64 workspace() const { return bytes_ + product_.workspace(); }
  [[nodiscard]] std::string engine() const {
    return std::string("windows times gradients, ").append(product_.engine());
  }

  void run(launcher& start, const void* x, const void* dy, void* dw, void* workspace,
           cudaStream_t stream) const {
    launch_each(start, names_.back(), count_, stream, shape_, x, workspace);
    blas_->run(product_, dy, workspace, dw, stream, further(workspace, bytes_));
  }

 private:
  static i64 pixels(const library::convolution& c) { return c.batch * c.out_height * c.out_width; }
  static i64 window(const library::convolution& c) { return c.kernel_h * c.kernel_w * c.in; }

  blas* blas_;
  kernel::convolution shape_{};
  i64 count_ = 0, bytes_ = 0;
  prepared_contraction product_;
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
