// Convolutions whose channels do not meet (as many groups as channels), and their gradients: in vectors over
// the channels, where the general correlation would have one column of a product for each group.
#pragma once
#include <flame/run/host/correlate_weights.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace algebra {

// A correlation with one channel of the source and of the result in each group.
inline bool is_depthwise(const correlation& x) {
  return x.source_group == 1 && x.result_group == 1 && x.groups > 1;
}

// Results of `count` windows, [count, channels], from weights [taps, channels].
using depthwise_loop = void (*)(const void* source, const i64* windows, i64 count, const i64* taps, i64 depth,
                                const void* weights, i64 channels, void* to, const i64* results);

// A vector of channels, of which a whole one needs no question how many of them there are.
template <bool Whole, class V, class T> FLAME_INLINE V read_channels(const T* from, i64 n) {
  if constexpr (Whole)
    return simd::load<V>(from);
  else
    return read_vector<V>(from, n);
}

// One vector of channels of some windows, which share what they read of the weights.
template <bool Whole, int Windows, class T>
FLAME_INLINE void depthwise_vector(const T* source, const i64* windows, const i64* taps, i64 depth,
                                   const T* weights, i64 channels, i64 n, T* to, const i64* results) {
  using V = simd::vec<T>;
  const T* from[Windows];
  V sums[Windows];
#pragma GCC unroll 4
  for (int i = 0; i < Windows; ++i) from[i] = source + windows[i], sums[i] = V{};
  for (i64 p = 0; p < depth; ++p, weights += channels) {
    const V w = read_channels<Whole, V>(weights, n);
    const i64 tap = taps[p];
#pragma GCC unroll 4
    for (int i = 0; i < Windows; ++i)
      sums[i] = simd::fma(read_channels<Whole, V>(from[i] + tap, n), w, sums[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < Windows; ++i) write_vector(to + results[i], sums[i], n);
}

template <class T, int Windows>
FLAME_INLINE void depthwise_windows(const T* source, const i64* windows, const i64* taps, i64 depth,
                                    const T* weights, i64 channels, T* to, const i64* results) {
  constexpr i64 lanes = simd::lanes<T>;
  i64 c = 0;
  for (; c + lanes <= channels; c += lanes)
    depthwise_vector<true, Windows>(source + c, windows, taps, depth, weights + c, channels, lanes, to + c,
                                    results);
  if (c < channels)
    depthwise_vector<false, Windows>(source + c, windows, taps, depth, weights + c, channels, channels - c,
                                     to + c, results);
}

template <class T>
FLAME_NOINLINE void depthwise_results(const void* source, const i64* windows, i64 count, const i64* taps,
                                      i64 depth, const void* weights, i64 channels, void* to,
                                      const i64* results) {
  const T *from = static_cast<const T*>(source), *w = static_cast<const T*>(weights);
  T* y = static_cast<T*>(to);
  i64 i = 0;
  for (; i + 4 <= count; i += 4)
    depthwise_windows<T, 4>(from, windows + i, taps, depth, w, channels, y, results + i);
  for (; i < count; ++i) depthwise_windows<T, 1>(from, windows + i, taps, depth, w, channels, y, results + i);
}

// y(i, j, c) = sum over taps of source(window(i, j) + tap, c) weights(tap, c).
inline void correlate_depthwise(const correlation& x) {
  const kernels& type = *x.type;
  const depthwise_loop loop = type.sum_size == 8 ? &depthwise_results<double> : &depthwise_results<float>;
  const i64 depth = x.depth(), channels = x.groups;
  const i64 rows = x.rows_of_task(), parts = ceil_div(x.rows, rows), most = rows * x.columns;
  i64* taps = scratch<i64>(scratch_use::image_offsets, 2 * depth + 3 * most + channels);
  i64 *of_weights = taps + depth, *windows = of_weights + depth, *results = windows + most,
      *lines = results + most, *columns = lines + most;
  x.taps().offsets(0, 0, depth, taps);
  x.taps().offsets(1, 0, depth, of_weights);
  x.results(rows).offsets(0, 0, most, windows);
  x.results(rows).offsets(1, 0, most, results);
  for (i64 i = 0; i < most; ++i) lines[i] = i * channels;
  for (i64 c = 0; c < channels; ++c) columns[c] = c * x.weights_group;
  void* weights = sum_scratch(scratch_use::weights, type, depth * channels);
  const i64 first = x.h.weight * x.weights_h + x.w.weight * x.weights_w;
  for (i64 p = 0; p < depth; ++p)
    type.widen(further(x.weights, first + of_weights[p], type.size), columns, channels,
               further(weights, p * channels, type.sum_size));

  each_task(x.batch * parts, [&](i64 task) {
    const i64 image = task / parts, row = task % parts * rows, some = std::min(rows, x.rows - row);
    const i64 count = some * x.columns;
    const void* window = x.window(image, row, some);
    void* to = further(x.result, image * x.result_image + row * x.result_row, type.size);
    if (!type.converts) return loop(window, windows, count, taps, depth, weights, channels, to, results);
    void* sums = sum_scratch(scratch_use::block_sums, type, count * channels);
    loop(window, windows, count, taps, depth, weights, channels, sums, lines);
    void* bias = x.bias ? sum_scratch(scratch_use::finish_bias, type, channels) : nullptr;
    if (bias) type.widen_row(x.bias, channels, bias);
    for (i64 i = 0; i < count; ++i) {
      void* pixel = further(sums, lines[i], type.sum_size);
      if (bias) type.scale_and_add(pixel, 1, bias, channels);
      type.narrow_row(pixel, channels, further(to, results[i], type.size));
    }
  });
}

// sums(tap, c) (+)= sum over windows of source(window + tap, c) given(window, c), for some taps in registers
// and one vector of channels.
template <bool Whole, int Taps, class T>
FLAME_INLINE void depthwise_taps_vector(const T* source, const i64* windows, i64 count, const i64* taps,
                                        const T* given, i64 channels, i64 n, T* sums, bool add) {
  using V = simd::vec<T>;
  i64 tap[Taps];
  V sum[Taps];
#pragma GCC unroll 16
  for (int p = 0; p < Taps; ++p) tap[p] = taps[p], sum[p] = V{};
  for (i64 i = 0; i < count; ++i, given += channels) {
    const V dy = read_channels<Whole, V>(given, n);
    const T* from = source + windows[i];
#pragma GCC unroll 16
    for (int p = 0; p < Taps; ++p) sum[p] = simd::fma(read_channels<Whole, V>(from + tap[p], n), dy, sum[p]);
  }
#pragma GCC unroll 16
  for (int p = 0; p < Taps; ++p, sums += channels)
    write_vector(sums, add ? read_vector<V>(sums, n) + sum[p] : sum[p], n);
}

template <class T, int Taps>
FLAME_INLINE void depthwise_taps(const T* source, const i64* windows, i64 count, const i64* taps,
                                 const T* given, i64 channels, T* sums, bool add) {
  constexpr i64 lanes = simd::lanes<T>;
  i64 c = 0;
  for (; c + lanes <= channels; c += lanes)
    depthwise_taps_vector<true, Taps>(source + c, windows, count, taps, given + c, channels, lanes, sums + c,
                                      add);
  if (c < channels)
    depthwise_taps_vector<false, Taps>(source + c, windows, count, taps, given + c, channels, channels - c,
                                       sums + c, add);
}

template <class T>
FLAME_NOINLINE void depthwise_sums(const void* source, const i64* windows, i64 count, const i64* taps,
                                   i64 depth, const void* given, i64 channels, void* to, bool add) {
  const T *from = static_cast<const T*>(source), *dy = static_cast<const T*>(given);
  T* sums = static_cast<T*>(to);
  i64 p = 0;
  for (; p + 9 <= depth; p += 9)
    depthwise_taps<T, 9>(from, windows, count, taps + p, dy, channels, sums + p * channels, add);
  for (; p + 3 <= depth; p += 3)
    depthwise_taps<T, 3>(from, windows, count, taps + p, dy, channels, sums + p * channels, add);
  for (; p < depth; ++p)
    depthwise_taps<T, 1>(from, windows, count, taps + p, dy, channels, sums + p * channels, add);
}

// result(c, tap) = sum over images, i and j of source(window(i, j) + tap, c) given(i, j, c): `given` [batch,
// rows, columns, channels] without gaps. Some images add to one of several sums, which are added up in their
// order.
inline void correlate_weights_depthwise(const correlation& x, const void* given, void* result) {
  constexpr i64 wanted_tasks = 16;
  const kernels& type = *x.type;
  const auto loop = type.sum_size == 8 ? &depthwise_sums<double> : &depthwise_sums<float>;
  const i64 depth = x.depth(), channels = x.groups, size = depth * channels;
  const i64 rows = x.rows_of_task(), parts = ceil_div(x.rows, rows), most = rows * x.columns;
  const i64 units = x.batch * parts, split = ceil_div(units, std::min(units, wanted_tasks)),
            splits = ceil_div(units, split);
  i64* taps = scratch<i64>(scratch_use::image_offsets, depth + most + channels);
  i64 *windows = taps + depth, *columns = windows + most;
  x.taps().offsets(0, 0, depth, taps);
  x.results(rows).offsets(0, 0, most, windows);
  for (i64 c = 0; c < channels; ++c) columns[c] = c * depth;
  void* sums = sum_scratch(scratch_use::gradient, type, splits * size);

  each_task(splits, [&](i64 task) {
    for (i64 unit = task * split; unit < std::min((task + 1) * split, units); ++unit) {
      const i64 image = unit / parts, row = unit % parts * rows,
                count = std::min(rows, x.rows - row) * x.columns;
      const void* window = x.window(image, row, count / x.columns);
      const void* dy = further(given, (image * x.rows + row) * x.columns * channels, type.size);
      if (type.converts) {
        void* wide = sum_scratch(scratch_use::block_numbers, type, count * channels);
        type.widen_row(dy, count * channels, wide);
        dy = wide;
      }
      loop(window, windows, count, taps, depth, dy, channels, further(sums, task * size, type.sum_size),
           unit > task * split);
    }
  });
  for (i64 p = 0; p < depth; ++p)
    type.finish(further(sums, p * channels, type.sum_size), splits, size, false, columns, channels,
                further(result, p, type.size));
}

}  // namespace algebra
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
