// Windows over images times weights: what a convolution and the gradient of its images both are.
//
// Nothing is unfolded (im2col): the sweep reads windows where they lie, from the image or from a copy of a
// few of its rows with the padding around them.
#pragma once
#include <flame/run/host/product.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace algebra {

// The taps of a kernel along one axis: where they read, relative to the window, and which weights they are.
struct tap_line {
  i64 count = 0;
  i64 first = 0, step = 1;          // the pixel that a tap reads
  i64 weight = 0, weight_step = 1;  // the index of its weight

  [[nodiscard]] i64 lowest() const { return step < 0 ? first + (count - 1) * step : first; }
  [[nodiscard]] i64 highest() const { return step < 0 ? first : first + (count - 1) * step; }
};

// Images [batch, height, width, channels] as windows see them: pixels outside are zeros.
struct window_source {
  const void* images = nullptr;
  i64 height = 0, width = 0, channels = 0;
  i64 left = 0, columns = 0;  // the columns [left, left + columns) that windows read
  bool copied = true;         // numbers are converted or padding is added

  // Numbers from one row of a window to the next.
  [[nodiscard]] i64 pitch() const { return (copied ? columns : width) * channels; }

  // Rows [begin, end) of an image, from column `left` on; valid until this thread's next window.
  [[nodiscard]] const void* window(const kernels& type, i64 image, i64 begin, i64 end) const {
    const void* from = further(images, image * height * width * channels, type.size);
    if (!copied) return further(from, (begin * width + left) * channels, type.size);
    const i64 before = std::clamp<i64>(-left, 0, columns), skipped = std::max<i64>(left, 0);
    const i64 inside = std::clamp<i64>(width - skipped, 0, columns - before);
    char* to = static_cast<char*>(sum_scratch(scratch_use::image, type, (end - begin) * pitch()));
    const void* window = to;
    auto put = [&](const void* pixels, i64 count) {
      const i64 bytes = count * channels * type.sum_size;
      if (pixels)
        type.widen_row(pixels, count * channels, to);
      else
        std::memset(to, 0, static_cast<std::size_t>(bytes));
      to += bytes;
    };
    for (i64 row = begin; row < end; ++row) {
      if (row < 0 || row >= height) {
        put(nullptr, columns);
        continue;
      }
      put(nullptr, before);
      put(further(from, (row * width + skipped) * channels, type.size), inside);
      put(nullptr, columns - before - inside);
    }
    return window;
  }
};

// result(i, j, c) = sum over taps (s, t) and channels d of source(i step_h + h(s), j step_w + w(t), d)
// weights(s, t, d, c), for each group of channels d and c.
struct correlation {
  const kernels* type = nullptr;
  window_source source;
  i64 batch = 0, groups = 1, source_group = 0, result_group = 0;  // channels of a group
  i64 rows = 0, columns = 0, step_h = 1, step_w = 1;
  tap_line h, w;
  // Strides of weights by tap, by channel of the source, of the result, and by group.
  const void* weights = nullptr;
  i64 weights_h = 0, weights_w = 0, weights_source = 0, weights_result = 0, weights_group = 0;
  const void* bias = nullptr;  // of each channel of the result, side by side; where numbers are converted
  void* result = nullptr;
  i64 result_image = 0, result_row = 0, result_column = 0;

  [[nodiscard]] i64 depth() const { return h.count * w.count * source_group; }
  [[nodiscard]] i64 top(i64 row) const { return row * step_h + h.lowest(); }
  [[nodiscard]] i64 bottom(i64 row) const { return row * step_h + h.highest() + 1; }

  // Finds what of the source the windows read.
  void settle() {
    source.left = w.lowest();
    source.columns = (columns - 1) * step_w + w.highest() + 1 - source.left;
    source.copied = type->converts || source.left < 0 || source.left + source.columns > source.width ||
                    top(0) < 0 || bottom(rows - 1) > source.height;
  }

  // The first tap of the first result of some rows of an image.
  [[nodiscard]] const void* window(i64 image, i64 row, i64 some) const {
    const i64 offset = (h.first - h.lowest()) * source.pitch() + (w.first - w.lowest()) * source.channels;
    return further(source.window(*type, image, top(row), bottom(row + some - 1)), offset, type->sum_size);
  }
  // Offsets of taps and channels in a window (operand 0) and in the weights (operand 1), from the first on.
  [[nodiscard]] axis_run<2> taps() const {
    axis_run<2> run;
    run.push(h.count, h.step * source.pitch(), h.weight_step * weights_h);
    run.push(w.count, w.step * source.channels, w.weight_step * weights_w);
    run.push(source_group, 1, weights_source);
    return run;
  }
  // Offsets of some rows of results in a window (0) and in the result (1).
  [[nodiscard]] axis_run<2> results(i64 some) const {
    axis_run<2> run;
    run.push(some, step_h * source.pitch(), result_row);
    run.push(columns, step_w * source.channels, result_column);
    return run;
  }
  // Rows of results that make a task: worth starting, and with a window that the second cache holds.
  [[nodiscard]] i64 rows_of_task() const {
    const i64 task_work = 1 << 22, window = 256 * 1024 / type->sum_size;
    const i64 work = columns * depth() * result_group * groups;
    const i64 most = std::max<i64>(std::min(task_work / work, window / (step_h * source.pitch())), 1);
    return even_part(rows, most, 1);
  }
};

// Weights as panels: of each group, block of taps and panel of result channels, in this order.
inline const void* pack_weights(const correlation& x, const panel_layout& layout, i64 block) {
  const kernels& type = *x.type;
  const i64 depth = x.depth(), blocks = ceil_div(depth, block), n = x.result_group;
  void* packed = sum_scratch(scratch_use::weights, type, x.groups * layout.packed_size(depth));
  const axis_run<2> taps = x.taps();
  const void* weights = further(x.weights, x.h.weight * x.weights_h + x.w.weight * x.weights_w, type.size);
  each_task(x.groups * blocks * layout.count, [&](i64 task) {
    const i64 panel = task % layout.count, group = task / layout.count / blocks;
    const i64 p = task / layout.count % blocks * block, some = std::min(block, depth - p);
    i64* rows = scratch<i64>(scratch_use::block_offsets, some + n);
    i64* columns = rows + some;
    taps.offsets(1, p, some, rows);
    for (i64 j = 0; j < n; ++j) columns[j] = j * x.weights_result;
    const i64 begin = group * layout.packed_size(depth) + layout.packed_size(p) + layout.first(panel) * some;
    type.pack(layout, panel, some, further(weights, group * x.weights_group, type.size), rows, columns,
              further(packed, begin, type.sum_size));
  });
  return packed;
}

inline void correlate(const correlation& x) {
  const kernels& type = *x.type;
  const i64 depth = x.depth(), block = even_part(depth, depth_block, 1), n = x.result_group;
  const panel_layout layout(n, type.lanes);
  const void* packed = pack_weights(x, layout, block);
  const i64 rows = x.rows_of_task(), parts = ceil_div(x.rows, rows), most = rows * x.columns;
  i64* taps = scratch<i64>(scratch_use::image_offsets, depth + 2 * most + n);
  i64 *windows = taps + depth, *results = windows + most, *channels = results + most;
  x.taps().offsets(0, 0, depth, taps);
  x.results(rows).offsets(0, 0, most, windows);
  x.results(rows).offsets(1, 0, most, results);
  for (i64 j = 0; j < n; ++j) channels[j] = j;

  each_task(x.batch * parts, [&](i64 task) {
    const i64 image = task / parts, row = task % parts * rows, some = std::min(rows, x.rows - row);
    const i64 count = some * x.columns;
    const void* window = x.window(image, row, some);
    void* result = further(x.result, image * x.result_image + row * x.result_row, type.size);
    panel* panels = scratch<panel>(scratch_use::block_panels, layout.count);
    void* sums = type.converts ? sum_scratch(scratch_use::block_sums, type, count * n) : nullptr;
    i64* lines = results;
    if (sums) {
      lines = scratch<i64>(scratch_use::block_offsets, count);
      for (i64 i = 0; i < count; ++i) lines[i] = i * n;
    }
    for (i64 group = 0; group < x.groups; ++group) {
      const void* from = further(window, group * x.source_group, type.sum_size);
      const void* weights = further(packed, group * layout.packed_size(depth), type.sum_size);
      void* to = further(result, group * n, type.size);
      void* bias = x.bias ? sum_scratch(scratch_use::finish_bias, type, n) : nullptr;
      if (bias) type.widen_row(further(x.bias, group * n, type.size), n, bias);
      for (i64 p = 0; p < depth; p += block) {
        const i64 now = std::min(block, depth - p);
        for (i64 i = 0; i < layout.count; ++i) {
          const i64 begin = layout.packed_size(p) + layout.first(i) * now;
          panels[i] = layout.at(i, further(weights, begin, type.sum_size), layout.width(i));
        }
        type.sweep(now, from, windows, count, taps + p, panels, layout.count, sums ? sums : to, lines, p > 0);
      }
      if (sums)
        for (i64 i = 0; i < count; ++i) {
          void* pixel = further(sums, i * n, type.sum_size);
          if (bias) type.scale_and_add(pixel, 1, bias, n);
          type.finish(pixel, 1, 0, false, channels, n, further(to, results[i], type.size));
        }
    }
  });
}

}  // namespace algebra
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
