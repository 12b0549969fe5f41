// Convolution of images, and its gradients with respect to the images and to the weights.
#pragma once
#include <flame/run/host/correlate.hpp>
#include <flame/run/host/dispatch.hpp>
#include <flame/run/host/gemm.hpp>
#include <numeric>

namespace flame::host::inline FLAME_HOST_ISA {

// y[n, i, j, o] = sum over s, t, c of x[n, i stride_h + s dilation_h - pad_h, j stride_w + t dilation_w -
// pad_w, c] w[o, s, t, c], pixels outside x being zeros. x: [batch, height, width, in], w: [out, kernel_h,
// kernel_w, in / groups], y: [batch, out_height, out_width, out], contiguous; output channel o reads the
// input channels of its group. f32, f64, and bf16 and f16, whose sums are f32 until they are stored.
struct convolution {
  dtype element = dtype::f32;
  i64 batch = 0, height = 0, width = 0, in = 0;
  i64 out_height = 0, out_width = 0, out = 0;
  i64 kernel_h = 0, kernel_w = 0;
  i64 stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  i64 groups = 1;
};

namespace algebra {

template <class E> correlation<E> forward(const convolution& c, const E* x, const E* w, E* y) {
  correlation<E> to;
  to.source = {x, c.height, c.width, c.in};
  to.batch = c.batch, to.groups = c.groups, to.source_group = c.in / c.groups,
  to.result_group = c.out / c.groups;
  to.rows = c.out_height, to.columns = c.out_width, to.step_h = c.stride_h, to.step_w = c.stride_w;
  to.h = {c.kernel_h, -c.pad_h, c.dilation_h};
  to.w = {c.kernel_w, -c.pad_w, c.dilation_w};
  to.weights = w;
  to.weights_source = 1, to.weights_w = to.source_group, to.weights_h = c.kernel_w * to.weights_w;
  to.weights_result = c.kernel_h * to.weights_h, to.weights_group = to.result_group * to.weights_result;
  to.result = y;
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

template <class E> void conv(const convolution& c, const E* x, const E* w, E* y) {
  const i64 pixels = c.batch * c.out_height * c.out_width;
  if (pixels * c.out == 0) return;
  if (c.kernel_h * c.kernel_w * c.in == 0) {
    std::fill_n(y, pixels * c.out, E{});
  } else if (is_product(c)) {
    gemm<E>({x, pixels, c.in, c.in, 1}, {w, c.in, c.out, 1, c.in}, {y, pixels, c.out, c.out, 1});
  } else {
    correlate(forward(c, x, w, y));
  }
}

// Pixels of x that are stride_h and stride_w apart see the same weights: each such phase is a correlation of
// y's gradient with some of them.
template <class E> void conv_data(const convolution& c, const E* dy, const E* w, E* dx) {
  const i64 pixels = c.batch * c.height * c.width;
  if (pixels * c.in == 0) return;
  if (c.out_height * c.out_width * c.out == 0) {
    std::fill_n(dx, pixels * c.in, E{});
    return;
  }
  if (is_product(c)) {
    gemm<E>({dy, pixels, c.out, c.out, 1}, {w, c.out, c.in, c.in, 1}, {dx, pixels, c.in, c.in, 1});
    return;
  }
  correlation<E> to;
  to.batch = c.batch, to.groups = c.groups, to.source_group = c.out / c.groups,
  to.result_group = c.in / c.groups;
  to.weights = w;
  to.weights_result = 1, to.weights_w = to.result_group, to.weights_h = c.kernel_w * to.weights_w;
  to.weights_source = c.kernel_h * to.weights_h, to.weights_group = to.source_group * to.weights_source;
  to.result_image = c.height * c.width * c.in;
  to.result_row = c.stride_h * c.width * c.in, to.result_column = c.stride_w * c.in;
  bool covered = true;
  for (i64 i = 0; i < c.stride_h; ++i)
    covered = covered && taps_of_phase(i, c.kernel_h, c.stride_h, c.pad_h, c.dilation_h).count > 0;
  for (i64 j = 0; j < c.stride_w; ++j)
    covered = covered && taps_of_phase(j, c.kernel_w, c.stride_w, c.pad_w, c.dilation_w).count > 0;
  if (!covered) std::fill_n(dx, pixels * c.in, E{});
  for (i64 i = 0; i < std::min(c.stride_h, c.height); ++i)
    for (i64 j = 0; j < std::min(c.stride_w, c.width); ++j) {
      to.source = {dy, c.out_height, c.out_width, c.out};
      to.h = taps_of_phase(i, c.kernel_h, c.stride_h, c.pad_h, c.dilation_h);
      to.w = taps_of_phase(j, c.kernel_w, c.stride_w, c.pad_w, c.dilation_w);
      if (to.h.count == 0 || to.w.count == 0) continue;
      to.rows = ceil_div(c.height - i, c.stride_h), to.columns = ceil_div(c.width - j, c.stride_w);
      to.result = dx + (i * c.width + j) * c.in;
      to.settle();
      correlate(to);
    }
}

template <class E> void conv_weight(const convolution& c, const E* x, const E* dy, E* dw) {
  using T = computed<E>;
  const i64 pixels = c.batch * c.out_height * c.out_width, taps = c.kernel_h * c.kernel_w * (c.in / c.groups);
  if (c.out * taps == 0) return;
  if (pixels == 0) {
    std::fill_n(dw, c.out * taps, E{});
    return;
  }
  if (is_product(c)) {
    gemm<E>({dy, c.out, pixels, 1, c.out}, {x, pixels, c.in, c.in, 1}, {dw, c.out, c.in, c.in, 1});
    return;
  }
  const correlation<E> as = forward<E>(c, x, nullptr, nullptr);
  const weight_cut<E> by(as);
  const i64 n = as.result_group, size = c.groups * taps * n;
  T* sums = scratch<T>(scratch_use::gradient, by.splits * size);
  correlate_weights(as, dy, by, sums);
  constexpr i64 some = 16;  // channels
  parallel_for(c.groups * ceil_div(n, some), 1, [&](i64 task, i64) {
    const i64 group = task / ceil_div(n, some), first = task % ceil_div(n, some) * some,
              past = std::min(first + some, n);
    for (i64 p = 0; p < taps; ++p) {
      T* from = sums + (group * taps + p) * n;
      for (i64 s = 1; s < by.splits; ++s)
        for (i64 j = first; j < past; ++j) from[j] += from[s * size + j];
      for (i64 j = first; j < past; ++j) dw[(group * n + j) * taps + p] = static_cast<E>(from[j]);
    }
  });
}

inline void check(const convolution& c, const char* name) {
  if (c.groups < 1 || c.in % c.groups || c.out % c.groups || c.stride_h < 1 || c.stride_w < 1 ||
      c.dilation_h < 1 || c.dilation_w < 1)
    throw error(
        std::string(name).append(": groups must divide the channels, strides and dilations be at least 1"));
}

}  // namespace algebra

// y from x and w.
inline void conv(const convolution& c, const void* x, const void* w, void* y) {
  algebra::check(c, "conv");
  for_floating("conv", c.element, [&]<class E>(E) {
    algebra::conv(c, static_cast<const E*>(x), static_cast<const E*>(w), static_cast<E*>(y));
  });
}

// dx, the gradient with respect to x of sum(y dy).
inline void conv_data(const convolution& c, const void* dy, const void* w, void* dx) {
  algebra::check(c, "conv_data");
  for_floating("conv_data", c.element, [&]<class E>(E) {
    algebra::conv_data(c, static_cast<const E*>(dy), static_cast<const E*>(w), static_cast<E*>(dx));
  });
}

// dw, the gradient with respect to w of sum(y dy).
inline void conv_weight(const convolution& c, const void* x, const void* dy, void* dw) {
  algebra::check(c, "conv_weight");
  for_floating("conv_weight", c.element, [&]<class E>(E) {
    algebra::conv_weight(c, static_cast<const E*>(x), static_cast<const E*>(dy), static_cast<E*>(dw));
  });
}

}  // namespace flame::host::inline FLAME_HOST_ISA
