// Pooling of images: maxima, means, and their transposes, in vectors over the channels.
#pragma once
#include <algorithm>
#include <flame/run/host/dispatch.hpp>
#include <flame/run/host/pack.hpp>
#include <flame/run/host/scratch.hpp>
#include <flame/run/host/threads.hpp>

namespace flame::host::inline FLAME_HOST_ISA {

// Images [batch, height, width, channels] and what pooling leaves of them, [batch, out_height, out_width,
// channels], both contiguous. The window of the small image's pixel (i, j) is the kernel_h by kernel_w pixels
// of the large one from (i stride_h - pad_h, j stride_w - pad_w) on; pixels outside count as zeros in a mean,
// and not at all in a maximum.
struct pooling {
  dtype element = dtype::f32;
  i64 batch = 0, height = 0, width = 0, channels = 0, out_height = 0, out_width = 0;
  i64 kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
};

namespace algebra {

// The pixels of an image that a window covers.
struct pool_window {
  i64 top, bottom, left, right;

  pool_window(const pooling& p, i64 i, i64 j)
      : top(std::max<i64>(i * p.stride_h - p.pad_h, 0)),
        bottom(std::min(i * p.stride_h - p.pad_h + p.kernel_h, p.height)),
        left(std::max<i64>(j * p.stride_w - p.pad_w, 0)),
        right(std::min(j * p.stride_w - p.pad_w + p.kernel_w, p.width)) {}

  // f(offset of the pixel in an image of `pitch` numbers a pixel, its number in the window), row by row.
  template <class F> FLAME_INLINE void each(i64 width, i64 pitch, F f) const {
    if (bottom - top == 2 && right - left == 2) {
      const i64 first = (top * width + left) * pitch, below = first + width * pitch;
      f(first, 0), f(first + pitch, 1), f(below, 2), f(below + pitch, 3);
      return;
    }
    int n = 0;
    for (i64 row = top; row < bottom; ++row)
      for (i64 column = left; column < right; ++column) f((row * width + column) * pitch, n++);
  }
};

// Lanes where a later candidate beats the best so far: NaN is the largest, the first of equals stays.
template <class V> FLAME_INLINE auto beats(V later, V best) { return (best == best) & ~(later <= best); }

// y(window, channels) = f(image, window, first channel, channels), for each window and vector of channels.
template <class E, class F> void pool_into(const pooling& p, E* y, F f) {
  constexpr i64 lanes = simd::lanes<computed<E>>, task_work = 1 << 16;
  const i64 size = p.channels * p.out_width * p.kernel_h * p.kernel_w;
  parallel_for(p.batch * p.out_height, std::max<i64>(task_work / size, 1), [&](i64 begin, i64 end) {
    E* to = y + begin * p.out_width * p.channels;
    for (i64 row = begin; row < end; ++row)
      for (i64 j = 0; j < p.out_width; ++j, to += p.channels) {
        const pool_window window(p, row % p.out_height, j);
        const i64 image = row / p.out_height * p.height * p.width * p.channels;
        for (i64 c = 0; c < p.channels; c += lanes)
          write_vector(to + c, f(image + c, window, p.channels - c), p.channels - c);
      }
  });
}

// dx(pixel, channels) += put(n, dy) for each window, vector of channels, and pixel that is number n of the
// window, where f(image, window, first channel, channels) gives put. Images and channels are shared out;
// windows come in order.
template <class E, class F> void pool_from(const pooling& p, const E* dy, E* dx, F f) {
  using T = computed<E>;
  using V = simd::vec<T>;
  constexpr i64 lanes = simd::lanes<T>;
  const i64 pixels = p.height * p.width, small = p.out_height * p.out_width;
  const bool once = p.kernel_h == p.stride_h && p.kernel_w == p.stride_w && p.pad_h == 0 && p.pad_w == 0 &&
                    p.height == p.out_height * p.stride_h && p.width == p.out_width * p.stride_w;
  const i64 part = p.batch >= 16 ? p.channels : std::min(p.channels, 4 * lanes),
            parts = (p.channels + part - 1) / part;
  const i64 grain = std::max<i64>((1 << 15) / (pixels * part), 1);
  parallel_for(p.batch * parts, grain, [&](i64 begin, i64 end) {
    for (i64 task = begin; task < end; ++task) {
      const i64 image = task / parts, first = task % parts * part, some = std::min(part, p.channels - first);
      const i64 large = image * pixels * p.channels + first;
      const E* from = dy + image * small * p.channels + first;
      // Each pixel in one window: what is put there is all. Else sums, of half types in memory of their own.
      auto each_window = [&](auto add) {
        for (i64 i = 0; i < p.out_height; ++i)
          for (i64 j = 0; j < p.out_width; ++j) {
            const pool_window window(p, i, j);
            const E* at = from + (i * p.out_width + j) * p.channels;
            for (i64 c = 0; c < some; c += lanes) {
              const i64 n = some - c;
              add(window, c, n, f(large + c, window, n, read_vector<V>(at + c, n)));
            }
          }
      };
      if (once) {
        each_window([&](const pool_window& window, i64 c, i64 n, auto put) {
          window.each(p.width, p.channels,
                      [&](i64 offset, int k) { write_vector(dx + large + c + offset, put(k), n); });
        });
        continue;
      }
      const bool own = !std::is_same_v<E, T>;
      T* sums;
      if constexpr (std::is_same_v<E, T>)
        sums = dx + large;
      else
        sums = scratch<T>(scratch_use::image, pixels * some);
      const i64 pitch = own ? some : p.channels;
      for (i64 pixel = 0; pixel < pixels; ++pixel) std::fill_n(sums + pixel * pitch, some, T{});
      each_window([&](const pool_window& window, i64 c, i64 n, auto put) {
        window.each(p.width, pitch, [&](i64 offset, int k) {
          T* to = sums + c + offset;
          write_vector(to, read_vector<V>(to, n) + put(k), n);
        });
      });
      if constexpr (!std::is_same_v<E, T>)
        for (i64 pixel = 0; pixel < pixels; ++pixel)
          array::convert<E, T>(sums + pixel * pitch, dx + large + pixel * p.channels, some);
    }
  });
}

template <class E> void pool_take(const pooling& p, const E* x, const E* u, E* y) {
  using V = simd::vec<computed<E>>;
  pool_into(p, y, [=](i64 at, const pool_window& window, i64 n) {
    V best{}, taken{};
    window.each(p.width, p.channels, [&](i64 offset, int k) {
      const V v = read_vector<V>(x + at + offset, n), w = read_vector<V>(u + at + offset, n);
      const auto better = beats(v, best);
      best = k == 0 ? v : simd::select(better, v, best);
      taken = k == 0 ? w : simd::select(better, w, taken);
    });
    return taken;
  });
}

template <class E> void pool_put(const pooling& p, const E* x, const E* dy, E* dx) {
  using V = simd::vec<computed<E>>;
  using I = simd::signed_of<V>;
  pool_from(p, dy, dx, [=](i64 at, const pool_window& window, i64 n, V given) {
    V best{};
    I chosen{};
    window.each(p.width, p.channels, [&](i64 offset, int k) {
      const V v = read_vector<V>(x + at + offset, n);
      const auto better = beats(v, best);
      best = k == 0 ? v : simd::select(better, v, best);
      chosen = k == 0 ? I{} : simd::select(better, simd::splat<I>(k), chosen);
    });
    return [=](int k) { return simd::select(chosen == simd::splat<I>(k), given, V{}); };
  });
}

template <class E> void pool_mean(const pooling& p, const E* x, E* y) {
  using V = simd::vec<computed<E>>;
  const auto cells = static_cast<computed<E>>(p.kernel_h * p.kernel_w);
  pool_into(p, y, [=](i64 at, const pool_window& window, i64 n) {
    V sum{};
    window.each(p.width, p.channels, [&](i64 offset, int) { sum += read_vector<V>(x + at + offset, n); });
    return sum / cells;
  });
}

template <class E> void pool_mean_put(const pooling& p, const E* dy, E* dx) {
  using V = simd::vec<computed<E>>;
  const auto cells = static_cast<computed<E>>(p.kernel_h * p.kernel_w);
  pool_from(p, dy, dx, [=](i64, const pool_window&, i64, V given) {
    const V each = given / cells;
    return [=](int) { return each; };
  });
}

// Whether a maximum has nothing to choose from somewhere.
inline bool has_empty_window(const pooling& p) {
  auto outside = [](i64 extent, i64 out, i64 kernel, i64 stride, i64 pad) {
    return pad >= kernel || (out - 1) * stride - pad >= extent;
  };
  return outside(p.height, p.out_height, p.kernel_h, p.stride_h, p.pad_h) ||
         outside(p.width, p.out_width, p.kernel_w, p.stride_w, p.pad_w);
}

inline void check_windows(const pooling& p, const char* operation) {
  if (p.batch * p.channels * p.out_height * p.out_width != 0 && has_empty_window(p))
    throw error(std::string(operation).append(
        ": a window lies in the padding alone, expected one pixel of the image"));
}

}  // namespace algebra

// y = u at the first maximum of x in each window (NaN is the largest): with u = x, max pooling. Throws
// flame::error if a window lies in the padding alone.
inline void pool_take(const pooling& p, const void* x, const void* u, void* y) {
  algebra::check_windows(p, "pool_take");
  for_floating("pool_take", p.element, [&]<class E>(E) {
    if (p.batch * p.channels * p.out_height * p.out_width == 0) return;
    algebra::pool_take(p, static_cast<const E*>(x), static_cast<const E*>(u), static_cast<E*>(y));
  });
}

// dx = sums of dy, each put where the first maximum of x stands in its window. Throws as pool_take.
inline void pool_put(const pooling& p, const void* x, const void* dy, void* dx) {
  algebra::check_windows(p, "pool_put");
  for_floating("pool_put", p.element, [&]<class E>(E) {
    if (p.batch * p.channels * p.height * p.width == 0) return;
    algebra::pool_put(p, static_cast<const E*>(x), static_cast<const E*>(dy), static_cast<E*>(dx));
  });
}

// y = the mean of each window of x, a kernel's worth of pixels each.
inline void pool_mean(const pooling& p, const void* x, void* y) {
  for_floating("pool_mean", p.element, [&]<class E>(E) {
    if (p.batch * p.channels * p.out_height * p.out_width == 0) return;
    algebra::pool_mean(p, static_cast<const E*>(x), static_cast<E*>(y));
  });
}

// dx = sums of dy / (kernel_h kernel_w), put on each pixel of its window.
inline void pool_mean_put(const pooling& p, const void* dy, void* dx) {
  for_floating("pool_mean_put", p.element, [&]<class E>(E) {
    if (p.batch * p.channels * p.height * p.width == 0) return;
    algebra::pool_mean_put(p, static_cast<const E*>(dy), static_cast<E*>(dx));
  });
}

}  // namespace flame::host::inline FLAME_HOST_ISA
