// Pooling of images: maxima, means, and their transposes, in vectors over the channels.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/host/product.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

using library::pooling;

namespace algebra {

// The pixels of an image that a window covers.
struct pool_window {
  i64 top, bottom, left, right;

  pool_window(const pooling& p, i64 i, i64 j)
      : top(std::max<i64>(i * p.stride_h - p.pad_h, 0)),
        bottom(std::min(i * p.stride_h - p.pad_h + p.kernel_h, p.height)),
        left(std::max<i64>(j * p.stride_w - p.pad_w, 0)),
        right(std::min(j * p.stride_w - p.pad_w + p.kernel_w, p.width)) {}

  // f(offset of the pixel in the image, its number in the window), row by row.
  template <class F> FLAME_INLINE void each(const pooling& p, F f) const {
    if (bottom - top == 2 && right - left == 2) {
      const i64 first = (top * p.width + left) * p.channels, below = first + p.width * p.channels;
      f(first, 0), f(first + p.channels, 1), f(below, 2), f(below + p.channels, 3);
      return;
    }
    int n = 0;
    for (i64 row = top; row < bottom; ++row)
      for (i64 column = left; column < right; ++column) f((row * p.width + column) * p.channels, n++);
  }
};

// Lanes where a later candidate beats the best so far: NaN is the largest, the first of equals stays, but of
// several NaN the last is taken, as in PyTorch.
template <class V> FLAME_INLINE auto beats(V later, V best) { return (later > best) | (later != later); }

// The loops below work on the channels [first, past) of one image, in vectors; the memory of others is not
// touched.

// f(window, offset in the small image, c, n) for each window of the rows [begin, end) and vector of n
// channels from c on.
template <class T, class F>
FLAME_INLINE void each_window(const pooling& p, i64 begin, i64 end, i64 first, i64 past, F f) {
  for (i64 i = begin; i < end; ++i)
    for (i64 j = 0; j < p.out_width; ++j) {
      const pool_window window(p, i, j);
      const i64 at = (i * p.out_width + j) * p.channels;
      for (i64 c = first; c < past; c += simd::lanes<T>) f(window, at + c, c, past - c);
    }
}

template <class T>
FLAME_NOINLINE void take_rows(const pooling& p, const void* image, const void* numbers, void* out, i64 begin,
                              i64 end) {
  using V = simd::vec<T>;
  const T *x = static_cast<const T*>(image), *u = static_cast<const T*>(numbers);
  each_window<T>(p, begin, end, 0, p.channels, [&](const pool_window& window, i64 to, i64 c, i64 n) {
    V best{}, taken{};
    window.each(p, [&](i64 offset, int k) {
      const V v = read_vector<V>(x + offset + c, n), w = read_vector<V>(u + offset + c, n);
      const auto better = beats(v, best);
      best = k == 0 ? v : simd::select(better, v, best);
      taken = k == 0 ? w : simd::select(better, w, taken);
    });
    write_vector(static_cast<T*>(out) + to, taken, n);
  });
}

template <class T>
FLAME_NOINLINE void mean_rows(const pooling& p, const void* image, const void*, void* out, i64 begin,
                              i64 end) {
  using V = simd::vec<T>;
  const T* x = static_cast<const T*>(image);
  const T cells = static_cast<T>(p.kernel_h * p.kernel_w);
  each_window<T>(p, begin, end, 0, p.channels, [&](const pool_window& window, i64 to, i64 c, i64 n) {
    V sum{};
    window.each(p, [&](i64 offset, int) { sum += read_vector<V>(x + offset + c, n); });
    write_vector(static_cast<T*>(out) + to, sum / cells, n);
  });
}

// Every pixel is in one window: what is put there is all.
inline bool covers_once(const pooling& p) {
  return p.kernel_h == p.stride_h && p.kernel_w == p.stride_w && p.pad_h == 0 && p.pad_w == 0 &&
         p.height == p.out_height * p.stride_h && p.width == p.out_width * p.stride_w;
}

template <class T> void zero_channels(const pooling& p, T* dx, i64 first, i64 past) {
  for (i64 pixel = 0; pixel < p.height * p.width; ++pixel)
    std::fill(dx + pixel * p.channels + first, dx + pixel * p.channels + past, T{});
}

template <class T>
FLAME_NOINLINE void put_channels(const pooling& p, const void* image, const void* given, void* out, i64 first,
                                 i64 past) {
  using V = simd::vec<T>;
  using I = simd::signed_of<V>;
  const T *x = static_cast<const T*>(image), *dy = static_cast<const T*>(given);
  T* dx = static_cast<T*>(out);
  const bool once = covers_once(p);
  if (!once) zero_channels(p, dx, first, past);
  each_window<T>(p, 0, p.out_height, first, past, [&](const pool_window& window, i64 from, i64 c, i64 n) {
    V best{};
    I chosen{};
    window.each(p, [&](i64 offset, int k) {
      const V v = read_vector<V>(x + offset + c, n);
      const auto better = beats(v, best);
      best = k == 0 ? v : simd::select(better, v, best);
      chosen = k == 0 ? I{} : simd::select(better, simd::splat<I>(k), chosen);
    });
    const V value = read_vector<V>(dy + from, n);
    window.each(p, [&](i64 offset, int k) {
      T* to = dx + offset + c;
      const V put = simd::select(chosen == simd::splat<I>(k), value, V{});
      write_vector(to, once ? put : read_vector<V>(to, n) + put, n);
    });
  });
}

template <class T>
FLAME_NOINLINE void put_means(const pooling& p, const void*, const void* given, void* out, i64 first,
                              i64 past) {
  using V = simd::vec<T>;
  const T* dy = static_cast<const T*>(given);
  T* dx = static_cast<T*>(out);
  const T cells = static_cast<T>(p.kernel_h * p.kernel_w);
  const bool once = covers_once(p);
  if (!once) zero_channels(p, dx, first, past);
  each_window<T>(p, 0, p.out_height, first, past, [&](const pool_window& window, i64 from, i64 c, i64 n) {
    const V put = read_vector<V>(dy + from, n) / cells;
    window.each(p, [&](i64 offset, int) {
      T* to = dx + offset + c;
      write_vector(to, once ? put : read_vector<V>(to, n) + put, n);
    });
  });
}

// A loop over part of an image: operands (null where it has none), the result, and the part.
using image_loop = void (*)(const pooling&, const void*, const void*, void*, i64, i64);

// An operand's image in numbers of the type that is computed in.
inline const void* image_as_sums(const kernels& type, scratch_use use, const void* images, i64 image,
                                 i64 size) {
  if (!images) return nullptr;
  const void* from = further(images, image * size, type.size);
  if (!type.converts) return from;
  void* to = sum_scratch(use, type, size);
  type.widen_row(from, size, to);
  return to;
}

// For each image, out = loop(a, b) over some of its `parts` at a time; over all of them where elements are
// converted.
inline void each_image(const pooling& p, const kernels& type, image_loop loop, const void* a, i64 a_size,
                       const void* b, i64 b_size, void* out, i64 out_size, i64 parts, i64 unit) {
  constexpr i64 task_work = 1 << 15;
  const i64 work = std::max<i64>((a_size + b_size + out_size) / ceil_div(parts, unit), 1);
  const i64 all = ceil_div(parts, unit),
            grain = type.converts ? all : std::clamp<i64>(task_work / work, 1, all);
  const i64 tasks = ceil_div(all, grain);
  in_chunks(p.batch * tasks, std::max<i64>(task_work / (work * grain), 1), [&](i64 begin, i64 end) {
    for (i64 task = begin; task < end; ++task) {
      const i64 image = task / tasks, first = task % tasks * grain * unit;
      const void* x = image_as_sums(type, scratch_use::image, a, image, a_size);
      const void* y = image_as_sums(type, scratch_use::block_numbers, b, image, b_size);
      void* result = further(out, image * out_size, type.size);
      void* sums = type.converts ? sum_scratch(scratch_use::block_sums, type, out_size) : result;
      loop(p, x, y, sums, first, std::min(first + grain * unit, parts));
      if (type.converts) type.narrow_row(sums, out_size, result);
    }
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

// y from x, and u where it takes numbers of another image; by rows of y.
inline void pool_down(const pooling& p, const kernels& type, image_loop loop, const void* x, const void* u,
                      void* y) {
  const i64 large = p.height * p.width * p.channels, small = p.out_height * p.out_width * p.channels;
  if (p.batch * small > 0) each_image(p, type, loop, x, large, u, u ? large : 0, y, small, p.out_height, 1);
}

// dx from dy, and x where it says where to put it; by channels, so that windows come in their order.
inline void pool_up(const pooling& p, const kernels& type, image_loop loop, const void* x, const void* dy,
                    void* dx) {
  const i64 large = p.height * p.width * p.channels, small = p.out_height * p.out_width * p.channels;
  if (p.batch * large > 0)
    each_image(p, type, loop, x, x ? large : 0, dy, small, dx, large, p.channels, 4 * type.lanes);
}

}  // namespace algebra

// y = u at the first maximum of x in each window (NaN is the largest): with u = x, max pooling. Throws
// flame::error if a window lies in the padding alone.
inline void pool_take(const pooling& p, const void* x, const void* u, void* y) {
  const kernels& type = kernels_for("pool_take", p.element);
  algebra::check_windows(p, "pool_take");
  algebra::pool_down(p, type, type.sum_size == 8 ? &algebra::take_rows<double> : &algebra::take_rows<float>,
                     x, u, y);
}

// dx = sums of dy, each put where the first maximum of x stands in its window. Throws as pool_take.
inline void pool_put(const pooling& p, const void* x, const void* dy, void* dx) {
  const kernels& type = kernels_for("pool_put", p.element);
  algebra::check_windows(p, "pool_put");
  algebra::pool_up(p, type,
                   type.sum_size == 8 ? &algebra::put_channels<double> : &algebra::put_channels<float>, x, dy,
                   dx);
}

// y = the mean of each window of x, a kernel's worth of pixels each.
inline void pool_mean(const pooling& p, const void* x, void* y) {
  const kernels& type = kernels_for("pool_mean", p.element);
  algebra::pool_down(p, type, type.sum_size == 8 ? &algebra::mean_rows<double> : &algebra::mean_rows<float>,
                     x, nullptr, y);
}

// dx = sums of dy / (kernel_h kernel_w), put on each pixel of its window.
inline void pool_mean_put(const pooling& p, const void* dy, void* dx) {
  const kernels& type = kernels_for("pool_mean_put", p.element);
  algebra::pool_up(p, type, type.sum_size == 8 ? &algebra::put_means<double> : &algebra::put_means<float>,
                   nullptr, dy, dx);
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
