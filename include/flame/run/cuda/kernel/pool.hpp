// Pooling of images [batch, height, width, channels]: a thread makes Width neighbouring channels of a pixel.
#pragma once
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

// As library::pooling.
struct pooling {
  i64 batch, height, width, channels, out_height, out_width;
  i64 kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

// A thread's pixel of an image, and its first channel.
struct pool_place {
  i64 image, row, column, channel;
  bool inside;

  FLAME_DEVICE pool_place(i64 images, i64 rows, i64 columns, i64 channels, int width) {
    i64 n = thread_number();
    channel = split(n, channels / width) * width;
    column = split(n, columns);
    row = split(n, rows);
    image = n;
    inside = image < images;
  }
};

// The pixels of an image that a window covers.
struct pool_window {
  i64 top, bottom, left, right;

  FLAME_DEVICE pool_window(const pooling& p, i64 i, i64 j)
      : top(larger_of(i * p.stride_h - p.pad_h, 0)),
        bottom(smaller_of(i * p.stride_h - p.pad_h + p.kernel_h, p.height)),
        left(larger_of(j * p.stride_w - p.pad_w, 0)),
        right(smaller_of(j * p.stride_w - p.pad_w + p.kernel_w, p.width)) {}
};

// The windows that cover a pixel: rows [top, bottom), columns [left, right) of the small image.
FLAME_DEVICE pool_window windows_over(const pooling& p, i64 row, i64 column) {
  pool_window w(p, 0, 0);
  w.top = quotient_up(row + p.pad_h - p.kernel_h + 1, p.stride_h);
  w.bottom = smaller_of((row + p.pad_h) / p.stride_h + 1, p.out_height);
  w.left = quotient_up(column + p.pad_w - p.kernel_w + 1, p.stride_w);
  w.right = smaller_of((column + p.pad_w) / p.stride_w + 1, p.out_width);
  return w;
}

FLAME_DEVICE i64 large_offset(const pooling& p, const pool_place& at, i64 row, i64 column) {
  return ((at.image * p.height + row) * p.width + column) * p.channels + at.channel;
}
FLAME_DEVICE i64 small_offset(const pooling& p, const pool_place& at, i64 row, i64 column) {
  return ((at.image * p.out_height + row) * p.out_width + column) * p.channels + at.channel;
}

// A later candidate replaces the best so far: NaN is the largest, the first of equals stays, of several NaN the last.
template <class T> FLAME_DEVICE bool beats(T later, T best) { return later > best || later != later; }

// The window's maxima, as the pixels' numbers in it, row by row.
template <int Element, int Width> struct pool_chosen {
  i32 at[Width];

  FLAME_DEVICE pool_chosen(const pooling& p, const pool_place& place, const pool_window& w, const void* x) {
    using vector = numbers<Element, Width>;
    vector best = vector::all(0);
    i32 number = 0;
    for (int c = 0; c < Width; ++c) at[c] = 0;
    for (i64 row = w.top; row < w.bottom; ++row)
      for (i64 column = w.left; column < w.right; ++column, ++number) {
        const vector v = vector::read(x, large_offset(p, place, row, column));
        for (int c = 0; c < Width; ++c)
          if (number == 0 || beats(v.at[c], best.at[c])) best.at[c] = v.at[c], at[c] = number;
      }
  }
};

// y = u at the first maximum of x in each window. A thread for each vector of y.
template <int Element, int Width>
FLAME_KERNEL void pool_take(pooling p, const void* x, const void* u, void* y) {
  using vector = numbers<Element, Width>;
  const pool_place place(p.batch, p.out_height, p.out_width, p.channels, Width);
  if (!place.inside) return;
  const pool_window w(p, place.row, place.column);
  vector best = vector::all(0), taken = vector::all(0);
  bool first = true;
  for (i64 row = w.top; row < w.bottom; ++row)
    for (i64 column = w.left; column < w.right; ++column) {
      const i64 offset = large_offset(p, place, row, column);
      const vector v = vector::read(x, offset), other = x == u ? v : vector::read(u, offset);
      for (int c = 0; c < Width; ++c)
        if (first || beats(v.at[c], best.at[c])) best.at[c] = v.at[c], taken.at[c] = other.at[c];
      first = false;
    }
  taken.write(y, small_offset(p, place, place.row, place.column));
}

// dx = sums of dy, each put where the first maximum of x stands in its window, windows in their order. A
// thread for each vector of dx.
template <int Element, int Width>
FLAME_KERNEL void pool_put(pooling p, const void* x, const void* dy, void* dx) {
  using vector = numbers<Element, Width>;
  const pool_place place(p.batch, p.height, p.width, p.channels, Width);
  if (!place.inside) return;
  const pool_window over = windows_over(p, place.row, place.column);
  vector sum = vector::all(0);
  for (i64 i = over.top; i < over.bottom; ++i)
    for (i64 j = over.left; j < over.right; ++j) {
      const pool_window w(p, i, j);
      const pool_chosen<Element, Width> chosen(p, place, w, x);
      const i64 here = (place.row - w.top) * (w.right - w.left) + place.column - w.left;
      const vector put = vector::read(dy, small_offset(p, place, i, j));
      for (int c = 0; c < Width; ++c)
        if (chosen.at[c] == here) sum.at[c] += put.at[c];
    }
  sum.write(dx, large_offset(p, place, place.row, place.column));
}

// The same where every pixel is in exactly one window. A thread for each vector of dy.
template <int Element, int Width>
FLAME_KERNEL void pool_put_once(pooling p, const void* x, const void* dy, void* dx) {
  using vector = numbers<Element, Width>;
  const pool_place place(p.batch, p.out_height, p.out_width, p.channels, Width);
  if (!place.inside) return;
  const pool_window w(p, place.row, place.column);
  const pool_chosen<Element, Width> chosen(p, place, w, x);
  const vector value = vector::read(dy, small_offset(p, place, place.row, place.column));
  i32 number = 0;
  for (i64 row = w.top; row < w.bottom; ++row)
    for (i64 column = w.left; column < w.right; ++column, ++number) {
      vector put = vector::all(0);
      for (int c = 0; c < Width; ++c)
        if (chosen.at[c] == number) put.at[c] = value.at[c];
      put.write(dx, large_offset(p, place, row, column));
    }
}

// y = the mean of each window of x, a kernel's worth of pixels each. A thread for each vector of y.
template <int Element, int Width> FLAME_KERNEL void pool_mean(pooling p, const void* x, void* y) {
  using vector = numbers<Element, Width>;
  const pool_place place(p.batch, p.out_height, p.out_width, p.channels, Width);
  if (!place.inside) return;
  const pool_window w(p, place.row, place.column);
  vector sum = vector::all(0);
  for (i64 row = w.top; row < w.bottom; ++row)
    for (i64 column = w.left; column < w.right; ++column) {
      const vector v = vector::read(x, large_offset(p, place, row, column));
      for (int c = 0; c < Width; ++c) sum.at[c] += v.at[c];
    }
  const auto cells = static_cast<typename vector::sum>(p.kernel_h * p.kernel_w);
  for (int c = 0; c < Width; ++c) sum.at[c] /= cells;
  sum.write(y, small_offset(p, place, place.row, place.column));
}

// dx = sums of dy / (kernel_h kernel_w), put on each pixel of its window, windows in their order. A thread
// for each vector of dx.
template <int Element, int Width> FLAME_KERNEL void pool_mean_put(pooling p, const void* dy, void* dx) {
  using vector = numbers<Element, Width>;
  const pool_place place(p.batch, p.height, p.width, p.channels, Width);
  if (!place.inside) return;
  const pool_window over = windows_over(p, place.row, place.column);
  const auto cells = static_cast<typename vector::sum>(p.kernel_h * p.kernel_w);
  vector sum = vector::all(0);
  for (i64 i = over.top; i < over.bottom; ++i)
    for (i64 j = over.left; j < over.right; ++j) {
      const vector put = vector::read(dy, small_offset(p, place, i, j));
      for (int c = 0; c < Width; ++c) sum.at[c] += put.at[c] / cells;
    }
  sum.write(dx, large_offset(p, place, place.row, place.column));
}

}  // namespace flame::kernel
