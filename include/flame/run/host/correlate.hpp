// Windows over images times weights: what a convolution and the gradient of its images both are.
//
// Nothing is unfolded (im2col): the sweep reads windows where they lie, from the image or from a copy of a
// few of its rows with the padding around them.
#pragma once
#include <flame/run/host/product.hpp>
#include <flame/run/host/threads.hpp>

namespace flame::host::inline FLAME_HOST_ISA {

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
template <class E> struct window_source {
  using T = computed<E>;
  const E* images = nullptr;
  i64 height = 0, width = 0, channels = 0;
  i64 left = 0, columns = 0;  // the columns [left, left + columns) that windows read
  bool copied = true;         // numbers are converted or padding is added

  // Numbers from one row of a window to the next.
  [[nodiscard]] i64 pitch() const { return (copied ? columns : width) * channels; }

  // Rows [begin, end) of an image, from column `left` on; valid until this thread's next window.
  const T* window(i64 image, i64 begin, i64 end) const {
    const E* from = images + image * height * width * channels;
    if constexpr (std::is_same_v<E, T>)
      if (!copied) return from + (begin * width + left) * channels;
    const i64 before = std::clamp<i64>(-left, 0, columns), skipped = std::max<i64>(left, 0);
    const i64 inside = std::clamp<i64>(width - skipped, 0, columns - before);
    T* to = scratch<T>(scratch_use::image, (end - begin) * pitch());
    const T* window = to;
    for (i64 row = begin; row < end; ++row, to += columns * channels) {
      if (row < 0 || row >= height) {
        std::fill_n(to, columns * channels, T{});
        continue;
      }
      std::fill_n(to, before * channels, T{});
      array::convert<T, E>(from + (row * width + skipped) * channels, to + before * channels,
                           inside * channels);
      std::fill_n(to + (before + inside) * channels, (columns - before - inside) * channels, T{});
    }
    return window;
  }
};

// result(i, j, c) = sum over taps (s, t) and channels d of source(i step_h + h(s), j step_w + w(t), d)
// weights(s, t, d, c), for each group of channels d and c.
template <class E> struct correlation {
  window_source<E> source;
  i64 batch = 0, groups = 1, source_group = 0, result_group = 0;  // channels of a group
  i64 rows = 0, columns = 0, step_h = 1, step_w = 1;
  tap_line h, w;
  // Strides of weights by tap, by channel of the source, of the result, and by group.
  const E* weights = nullptr;
  i64 weights_h = 0, weights_w = 0, weights_source = 0, weights_result = 0, weights_group = 0;
  E* result = nullptr;
  i64 result_image = 0, result_row = 0, result_column = 0;

  [[nodiscard]] i64 depth() const { return h.count * w.count * source_group; }
  [[nodiscard]] i64 top(i64 row) const { return row * step_h + h.lowest(); }
  [[nodiscard]] i64 bottom(i64 row) const { return row * step_h + h.highest() + 1; }

  // Finds what of the source the windows read.
  void settle() {
    source.left = w.lowest();
    source.columns = (columns - 1) * step_w + w.highest() + 1 - source.left;
    source.copied = !std::is_same_v<E, computed<E>> || source.left < 0 ||
                    source.left + source.columns > source.width || top(0) < 0 ||
                    bottom(rows - 1) > source.height;
  }
  // Offsets in a window (operand 0) and in the weights (operand 1) of taps and channels; its start is in
  // offset().
  [[nodiscard]] axis_run<2> taps() const {
    axis_run<2> run;
    run.push(h.count, h.step * source.pitch(), h.weight_step * weights_h);
    run.push(w.count, w.step * source.channels, w.weight_step * weights_w);
    run.push(source_group, 1, weights_source);
    return run;
  }
  [[nodiscard]] i64 offset() const {
    return (h.first - h.lowest()) * source.pitch() + (w.first - w.lowest()) * source.channels;
  }
  // Offsets in a window (0) and in the result (1) of some rows of results.
  [[nodiscard]] axis_run<2> results(i64 some) const {
    axis_run<2> run;
    run.push(some, step_h * source.pitch(), result_row);
    run.push(columns, step_w * source.channels, result_column);
    return run;
  }
  // Rows of results that make a task: worth starting, and with a window that the second cache holds.
  [[nodiscard]] i64 rows_of_task() const {
    constexpr i64 task_work = 1 << 20, window = 256 * 1024 / static_cast<i64>(sizeof(computed<E>));
    const i64 work = columns * depth() * result_group * groups;
    const i64 most = std::max<i64>(std::min(task_work / work, window / (step_h * source.pitch())), 1);
    return even_part(rows, most, 1);
  }
};

// Weights as panels: of each group, block of taps and panel of result channels, in this order.
template <class E>
const computed<E>* pack_weights(const correlation<E>& x, const panel_layout<computed<E>>& layout, i64 block) {
  using T = computed<E>;
  const i64 depth = x.depth(), blocks = ceil_div(depth, block), n = x.result_group;
  T* packed = scratch<T>(scratch_use::weights, x.groups * layout.packed_size(depth));
  const axis_run<2> taps = x.taps();
  const i64 first = x.h.weight * x.weights_h + x.w.weight * x.weights_w;
  parallel_for(x.groups * blocks, 1, [&](i64 task, i64) {
    const i64 group = task / blocks, p = task % blocks * block, some = std::min(block, depth - p);
    i64* rows = scratch<i64>(scratch_use::block_offsets, some + n);
    i64* columns = rows + some;
    taps.offsets(1, p, some, rows);
    for (i64 j = 0; j < n; ++j) columns[j] = j * x.weights_result;
    T* to = packed + group * layout.packed_size(depth) + layout.packed_size(p);
    for (i64 i = 0; i < layout.count; ++i)
      pack(layout, i, some, x.weights + first + group * x.weights_group, rows, columns,
           to + layout.first(i) * some);
  });
  return packed;
}

template <class E> void correlate(const correlation<E>& x) {
  using T = computed<E>;
  const i64 depth = x.depth(), block = even_part(depth, depth_block, 1), n = x.result_group;
  const panel_layout<T> layout(n);
  const T* packed = pack_weights(x, layout, block);
  const i64 rows = x.rows_of_task(), parts = ceil_div(x.rows, rows), most = rows * x.columns;
  i64* offsets = scratch<i64>(scratch_use::image_offsets, depth + 2 * most);
  i64 *taps = offsets, *windows = taps + depth, *results = windows + most;
  x.taps().offsets(0, 0, depth, taps);
  x.results(rows).offsets(0, 0, most, windows);
  x.results(rows).offsets(1, 0, most, results);

  parallel_for(x.batch * parts, 1, [&](i64 task, i64) {
    const i64 image = task / parts, row = task % parts * rows, some = std::min(rows, x.rows - row);
    const i64 count = some * x.columns;
    const T* window = x.source.window(image, x.top(row), x.bottom(row + some - 1)) + x.offset();
    E* result = x.result + image * x.result_image + row * x.result_row;
    auto* panels = scratch<panel<T>>(scratch_use::block_panels, layout.count);
    for (i64 group = 0; group < x.groups; ++group) {
      auto sum = [&](T* to, const i64* to_rows) {
        for (i64 p = 0; p < depth; p += block) {
          const i64 now = std::min(block, depth - p);
          const T* from = packed + group * layout.packed_size(depth) + layout.packed_size(p);
          for (i64 i = 0; i < layout.count; ++i)
            panels[i] = layout.at(i, from + layout.first(i) * now, layout.width(i));
          sweep(now, window + group * x.source_group, windows, count, taps + p, panels, layout.count, to,
                to_rows, p > 0);
        }
      };
      if constexpr (std::is_same_v<E, T>) {
        sum(result + group * n, results);
      } else {
        T* sums = scratch<T>(scratch_use::block_sums, count * n);
        i64* lines = scratch<i64>(scratch_use::block_offsets, count);
        for (i64 i = 0; i < count; ++i) lines[i] = i * n;
        sum(sums, lines);
        for (i64 i = 0; i < count; ++i)
          array::convert<E, T>(sums + i * n, result + results[i] + group * n, n);
      }
    }
  });
}

// The gradient of a correlation's weights: result(s, t, d, c) = sum over images, i and j of source(i step_h +
// h(s), j step_w + w(t), d) given(i, j, c), where `given` lies as the correlation's result would. Sums go to
// `sums`, one [groups, taps and channels d, channels c] after another, each of some images and rows; how many
// is returned.
template <class E> struct weight_cut {
  i64 rows, parts, units;  // rows of results of a part, parts of an image, parts of all images
  i64 splits, split;       // sums, and parts that go to each
  i64 taps, tap_parts;     // taps of a task

  explicit weight_cut(const correlation<E>& x) {
    constexpr i64 wanted_tasks = 16, room = 1 << 21;
    const i64 depth = x.depth(), size = depth * x.result_group * x.groups;
    rows = x.rows_of_task(), parts = ceil_div(x.rows, rows), units = x.batch * parts;
    split = ceil_div(units, std::clamp<i64>(room / size, 1, wanted_tasks)), splits = ceil_div(units, split);
    taps = even_part(depth, std::max<i64>(ceil_div(depth, ceil_div(wanted_tasks, splits)), 8 * tile_rows),
                     tile_rows);
    tap_parts = ceil_div(depth, taps);
  }
};

template <class E>
void correlate_weights(const correlation<E>& x, const E* given, const weight_cut<E>& by, computed<E>* sums) {
  using T = computed<E>;
  const i64 depth = x.depth(), n = x.result_group, most = by.rows * x.columns;
  const panel_layout<T> layout(n);
  i64* offsets = scratch<i64>(scratch_use::image_offsets, 2 * depth + 2 * most + n);
  i64 *taps = offsets, *to_rows = taps + depth, *windows = to_rows + depth, *results = windows + most;
  i64* columns = results + most;
  x.taps().offsets(0, 0, depth, taps);
  x.results(by.rows).offsets(0, 0, most, windows);
  x.results(by.rows).offsets(1, 0, most, results);
  for (i64 p = 0; p < depth; ++p) to_rows[p] = p * n;
  for (i64 j = 0; j < n; ++j) columns[j] = j;

  parallel_for(by.splits * by.tap_parts, 1, [&](i64 task, i64) {
    const i64 split = task / by.tap_parts, tap = task % by.tap_parts * by.taps;
    const i64 begin = split * by.split, end = std::min(begin + by.split, by.units);
    const i64 some_taps = std::min(by.taps, depth - tap);
    auto* panels = scratch<panel<T>>(scratch_use::block_panels, layout.count);
    T* packed = scratch<T>(scratch_use::block_packed, layout.packed_size(std::min(most, depth_block)));
    for (i64 unit = begin; unit < end; ++unit) {
      const i64 image = unit / by.parts, row = unit % by.parts * by.rows,
                some = std::min(by.rows, x.rows - row);
      const i64 count = some * x.columns, block = even_part(count, depth_block, 1);
      const T* window = x.source.window(image, x.top(row), x.bottom(row + some - 1)) + x.offset();
      for (i64 group = 0; group < x.groups; ++group)
        for (i64 p = 0; p < count; p += block) {
          const i64 now = std::min(block, count - p);
          const E* b = given + image * x.result_image + row * x.result_row + group * n;
          for (i64 i = 0; i < layout.count; ++i) {
            if constexpr (std::is_same_v<E, T>)
              if (layout.whole(i)) {
                panels[i] = layout.at(i, b + results[p] + layout.first(i), x.result_column);
                continue;
              }
            T* to = packed + layout.first(i) * now;
            pack(layout, i, now, b, results + p, columns, to);
            panels[i] = layout.at(i, to, layout.width(i));
          }
          sweep(now, window + group * x.source_group, taps + tap, some_taps, windows + p, panels,
                layout.count, sums + (split * x.groups + group) * depth * n, to_rows + tap,
                unit > begin || p > 0);
        }
    }
  });
}

}  // namespace algebra

}  // namespace flame::host::inline FLAME_HOST_ISA
