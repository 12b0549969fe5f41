// Convolution of images, and its gradients with respect to the images and to the weights.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/host/depthwise.hpp>
#include <flame/run/host/gemm.hpp>
#include <numeric>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

using library::convolution;

namespace algebra {

inline const kernels& check(const convolution& c, const char* operation, const void* bias = nullptr) {
  if (c.groups < 1 || c.in % c.groups || c.out % c.groups || c.stride_h < 1 || c.stride_w < 1 ||
      c.dilation_h < 1 || c.dilation_w < 1)
    throw error(std::string(operation).append(
        ": groups must divide the channels, strides and dilations be at least 1"));
  const kernels& type = kernels_for(operation, c.element);
  if (bias && !type.converts)
    throw error(std::string(operation).append(": a bias is added in bf16 and f16 alone"));
  return type;
}

inline void fill_zeros(void* to, i64 count, const kernels& type) {
  if (count > 0) std::memset(to, 0, static_cast<std::size_t>(count * type.size));
}
// What no window reaches: the bias, or zeros where there is none.
inline void fill_pixels(void* to, i64 pixels, i64 channels, const void* bias, const kernels& type) {
  if (!bias) return fill_zeros(to, pixels * channels, type);
  for (i64 i = 0; i < pixels; ++i)
    std::memcpy(further(to, i * channels, type.size), bias, static_cast<std::size_t>(channels * type.size));
}

inline correlation forward(const convolution& c, const kernels& type, const void* x, const void* w, void* y,
                           const void* bias = nullptr) {
  correlation to;
  to.type = &type;
  to.source.images = x, to.source.height = c.height, to.source.width = c.width, to.source.channels = c.in;
  to.batch = c.batch, to.groups = c.groups, to.source_group = c.in / c.groups,
  to.result_group = c.out / c.groups;
  to.rows = c.out_height, to.columns = c.out_width, to.step_h = c.stride_h, to.step_w = c.stride_w;
  to.h = {c.kernel_h, -c.pad_h, c.dilation_h};
  to.w = {c.kernel_w, -c.pad_w, c.dilation_w};
  to.weights = w;
  to.weights_source = 1, to.weights_w = to.source_group, to.weights_h = c.kernel_w * to.weights_w;
  to.weights_result = c.kernel_h * to.weights_h, to.weights_group = to.result_group * to.weights_result;
  to.result = y, to.bias = bias;
  to.result_column = c.out, to.result_row = c.out_width * c.out,
  to.result_image = c.out_height * to.result_row;
  to.settle();
  return to;
}

// The taps whose windows cover input rows (or columns) phase, phase + stride, ...: of y's pixel i + first + t
// step, where i counts these rows.
inline tap_line taps_of_phase(i64 phase, i64 kernel, i64 stride, i64 pad, i64 dilation) {
  tap_line to;
  to.weight_step = stride / std::gcd(stride, dilation);
  to.step = -to.weight_step * dilation / stride;
  while (to.weight < kernel && (phase + pad - to.weight * dilation) % stride != 0) ++to.weight;
  if (to.weight >= kernel) return to;
  to.count = (kernel - to.weight - 1) / to.weight_step + 1;
  to.first = (phase + pad - to.weight * dilation) / stride;
  return to;
}

// A convolution that is a product of matrices: every pixel for itself.
inline bool is_product(const convolution& c) {
  return c.kernel_h * c.kernel_w == 1 && c.stride_h * c.stride_w == 1 && c.pad_h == 0 && c.pad_w == 0 &&
         c.groups == 1 && c.out_height == c.height && c.out_width == c.width;
}

// c [m, n] = a [m, k] b [k, n] + bias [n], strides of the rows and columns of a and b.
inline void multiply_plain(const kernels& type, i64 m, i64 n, i64 k, const void* a, i64 a_row, i64 a_column,
                           const void* b, i64 b_row, i64 b_column, void* c, const void* bias = nullptr) {
  product x;
  x.type = &type;
  x.a = a, x.b = b, x.c = c, x.bias = bias;
  x.m.push(m, n, a_row), x.n.push(n, 1, b_column, 1), x.k.push(k, a_column, b_row);
  multiply(x);
}

inline void correlate_any(const correlation& x) {
  if (is_depthwise(x))
    correlate_depthwise(x);
  else
    correlate(x);
}
inline void correlate_weights_any(const correlation& x, const void* given, void* result) {
  if (is_depthwise(x))
    correlate_weights_depthwise(x, given, result);
  else
    correlate_weights(x, given, result);
}

}  // namespace algebra

// y from x and w. bias, in bf16 and f16 alone: null, or what is added to each channel of the result before it
// is rounded; of conv_data too.
inline void conv(const convolution& c, const void* x, const void* w, void* y, const void* bias = nullptr) {
  const kernels& type = algebra::check(c, "conv", bias);
  const i64 pixels = c.batch * c.out_height * c.out_width;
  if (pixels * c.out == 0) return;
  if (c.kernel_h * c.kernel_w * c.in == 0) return algebra::fill_pixels(y, pixels, c.out, bias, type);
  if (algebra::is_product(c))
    algebra::multiply_plain(type, pixels, c.out, c.in, x, c.in, 1, w, 1, c.in, y, bias);
  else
    algebra::correlate_any(algebra::forward(c, type, x, w, y, bias));
}

// dx, the gradient with respect to x of sum(y dy). Pixels of x that are stride_h and stride_w apart see the
// same weights: each such phase is a correlation of dy with some of them.
inline void conv_data(const convolution& c, const void* dy, const void* w, void* dx,
                      const void* bias = nullptr) {
  const kernels& type = algebra::check(c, "conv_data", bias);
  const i64 pixels = c.batch * c.height * c.width;
  if (pixels * c.in == 0) return;
  if (c.out_height * c.out_width * c.out == 0) return algebra::fill_pixels(dx, pixels, c.in, bias, type);
  if (algebra::is_product(c))
    return algebra::multiply_plain(type, pixels, c.in, c.out, dy, c.out, 1, w, c.in, 1, dx, bias);
  auto line_h = [&](i64 i) {
    return algebra::taps_of_phase(i, c.kernel_h, c.stride_h, c.pad_h, c.dilation_h);
  };
  auto line_w = [&](i64 j) {
    return algebra::taps_of_phase(j, c.kernel_w, c.stride_w, c.pad_w, c.dilation_w);
  };
  bool covered = true;
  for (i64 i = 0; i < c.stride_h; ++i) covered = covered && line_h(i).count > 0;
  for (i64 j = 0; j < c.stride_w; ++j) covered = covered && line_w(j).count > 0;
  if (!covered) algebra::fill_pixels(dx, pixels, c.in, bias, type);

  algebra::correlation to;
  to.type = &type;
  to.batch = c.batch, to.groups = c.groups, to.source_group = c.out / c.groups,
  to.result_group = c.in / c.groups;
  to.source.images = dy, to.source.height = c.out_height, to.source.width = c.out_width,
  to.source.channels = c.out;
  to.weights = w, to.bias = bias;
  to.weights_result = 1, to.weights_w = to.result_group, to.weights_h = c.kernel_w * to.weights_w;
  to.weights_source = c.kernel_h * to.weights_h, to.weights_group = to.source_group * to.weights_source;
  to.result_image = c.height * c.width * c.in;
  to.result_row = c.stride_h * c.width * c.in, to.result_column = c.stride_w * c.in;
  for (i64 i = 0; i < std::min(c.stride_h, c.height); ++i)
    for (i64 j = 0; j < std::min(c.stride_w, c.width); ++j) {
      to.h = line_h(i), to.w = line_w(j);
      if (to.h.count == 0 || to.w.count == 0) continue;
      to.rows = algebra::ceil_div(c.height - i, c.stride_h),
      to.columns = algebra::ceil_div(c.width - j, c.stride_w);
      to.result = algebra::further(dx, (i * c.width + j) * c.in, type.size);
      to.settle();
      algebra::correlate_any(to);
    }
}

// dw, the gradient with respect to w of sum(y dy).
inline void conv_weight(const convolution& c, const void* x, const void* dy, void* dw) {
  const kernels& type = algebra::check(c, "conv_weight");
  const i64 pixels = c.batch * c.out_height * c.out_width, taps = c.kernel_h * c.kernel_w * (c.in / c.groups);
  if (c.out * taps == 0) return;
  if (pixels == 0) return algebra::fill_zeros(dw, c.out * taps, type);
  if (algebra::is_product(c))
    algebra::multiply_plain(type, c.out, c.in, pixels, dy, 1, c.out, x, c.in, 1, dw);
  else
    algebra::correlate_weights_any(algebra::forward(c, type, x, nullptr, nullptr), dy, dw);
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
