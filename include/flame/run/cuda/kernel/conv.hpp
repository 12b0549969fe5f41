// Convolution of images and its gradients, one element a thread: what runs where cuDNN has nothing.
#pragma once
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

// As library::convolution: x [batch, height, width, in], w [out, kernel_h, kernel_w, in / groups],
// y [batch, out_height, out_width, out].
struct convolution {
  i64 batch, height, width, in, out_height, out_width, out, kernel_h, kernel_w;
  i64 stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
};

// y from x and w. A thread for each element of y.
template <int Element> FLAME_KERNEL void conv(convolution c, const void* x, const void* w, void* y) {
  using type = number<Element>;
  using stored = typename type::stored;
  const i64 thread = thread_number();
  if (thread >= c.batch * c.out_height * c.out_width * c.out) return;
  i64 n = thread;
  const i64 o = split(n, c.out), j = split(n, c.out_width), i = split(n, c.out_height);
  const i64 depth = c.in / c.groups, first = o / (c.out / c.groups) * depth;
  typename type::sum sum = 0;
  for (i64 s = 0; s < c.kernel_h; ++s) {
    const i64 row = i * c.stride_h + s * c.dilation_h - c.pad_h;
    if (row < 0 || row >= c.height) continue;
    for (i64 t = 0; t < c.kernel_w; ++t) {
      const i64 column = j * c.stride_w + t * c.dilation_w - c.pad_w;
      if (column < 0 || column >= c.width) continue;
      const stored* pixel =
          static_cast<const stored*>(x) + ((n * c.height + row) * c.width + column) * c.in + first;
      const stored* weights = static_cast<const stored*>(w) + ((o * c.kernel_h + s) * c.kernel_w + t) * depth;
      for (i64 k = 0; k < depth; ++k) sum += type::widen(pixel[k]) * type::widen(weights[k]);
    }
  }
  static_cast<stored*>(y)[thread] = type::narrow(sum);
}

// dx from dy and w. A thread for each element of dx.
template <int Element> FLAME_KERNEL void conv_data(convolution c, const void* dy, const void* w, void* dx) {
  using type = number<Element>;
  using stored = typename type::stored;
  const i64 thread = thread_number();
  if (thread >= c.batch * c.height * c.width * c.in) return;
  i64 n = thread;
  const i64 channel = split(n, c.in), column = split(n, c.width), row = split(n, c.height);
  const i64 depth = c.in / c.groups, results = c.out / c.groups, group = channel / depth, k = channel % depth;
  typename type::sum sum = 0;
  for (i64 s = 0; s < c.kernel_h; ++s) {
    const i64 down = row + c.pad_h - s * c.dilation_h;
    if (down < 0 || down % c.stride_h != 0 || down / c.stride_h >= c.out_height) continue;
    for (i64 t = 0; t < c.kernel_w; ++t) {
      const i64 right = column + c.pad_w - t * c.dilation_w;
      if (right < 0 || right % c.stride_w != 0 || right / c.stride_w >= c.out_width) continue;
      const stored* pixel =
          static_cast<const stored*>(dy) +
          ((n * c.out_height + down / c.stride_h) * c.out_width + right / c.stride_w) * c.out;
      for (i64 o = group * results; o < (group + 1) * results; ++o)
        sum +=
            type::widen(pixel[o]) *
            type::widen(static_cast<const stored*>(w)[((o * c.kernel_h + s) * c.kernel_w + t) * depth + k]);
    }
  }
  static_cast<stored*>(dx)[thread] = type::narrow(sum);
}

// The windows of x, [batch, out_height, out_width, kernel_h, kernel_w, in], zeros outside of the image. A
// thread for each element; extents of 32 bits.
template <int Element> FLAME_KERNEL void unfold(convolution c, const void* x, void* windows) {
  using stored = typename number<Element>::stored;
  const i64 thread = thread_number();
  if (thread >= c.batch * c.out_height * c.out_width * c.kernel_h * c.kernel_w * c.in) return;
  u32 rest = static_cast<u32>(thread);
  auto last = [&](i64 extent) {
    const u32 q = rest / static_cast<u32>(extent), r = rest - q * static_cast<u32>(extent);
    rest = q;
    return static_cast<i64>(r);
  };
  const i64 k = last(c.in), t = last(c.kernel_w), s = last(c.kernel_h), j = last(c.out_width),
            i = last(c.out_height);
  const i64 row = i * c.stride_h + s * c.dilation_h - c.pad_h,
            column = j * c.stride_w + t * c.dilation_w - c.pad_w;
  stored value{};
  if (row >= 0 && row < c.height && column >= 0 && column < c.width)
    value = static_cast<const stored*>(
        x)[((static_cast<i64>(rest) * c.height + row) * c.width + column) * c.in + k];
  static_cast<stored*>(windows)[thread] = value;
}

// Parts of dw from x and dy: part i sums over the pixels [i some, (i + 1) some) of y. A thread for each
// element of each part, [parts, dw].
template <int Element>
FLAME_KERNEL void conv_weight(convolution c, i64 parts, i64 some, const void* x, const void* dy, void* sums) {
  using type = number<Element>;
  using stored = typename type::stored;
  const i64 thread = thread_number(), depth = c.in / c.groups;
  if (thread >= parts * c.out * c.kernel_h * c.kernel_w * depth) return;
  i64 n = thread;
  const i64 k = split(n, depth), t = split(n, c.kernel_w), s = split(n, c.kernel_h), o = split(n, c.out);
  const i64 channel = o / (c.out / c.groups) * depth + k;
  const i64 pixels = c.batch * c.out_height * c.out_width;
  i64 j = n * some, i = 0;
  const i64 past = smaller_of(j + some, pixels);
  i64 pixel = j;
  j = split(pixel, c.out_width), i = split(pixel, c.out_height);
  i64 image = pixel;
  typename type::sum sum = 0;
  for (i64 at = n * some; at < past; ++at) {
    const i64 row = i * c.stride_h + s * c.dilation_h - c.pad_h,
              column = j * c.stride_w + t * c.dilation_w - c.pad_w;
    if (row >= 0 && row < c.height && column >= 0 && column < c.width)
      sum += type::widen(static_cast<const stored*>(dy)[at * c.out + o]) *
             type::widen(static_cast<const stored*>(
                 x)[((image * c.height + row) * c.width + column) * c.in + channel]);
    if (++j == c.out_width) {
      j = 0;
      if (++i == c.out_height) i = 0, ++image;
    }
  }
  static_cast<typename type::sum*>(sums)[thread] = sum;
}

// out = the sum of `parts` rows of sums, first to last. A thread for each of the count elements.
template <int Element> FLAME_KERNEL void add_parts(i64 parts, i64 count, const void* sums, void* out) {
  using type = number<Element>;
  using sum_type = typename type::sum;
  const i64 thread = thread_number();
  if (thread >= count) return;
  sum_type sum = 0;
  for (i64 i = 0; i < parts; ++i) sum += static_cast<const sum_type*>(sums)[i * count + thread];
  static_cast<typename type::stored*>(out)[thread] = type::narrow(sum);
}

}  // namespace flame::kernel
