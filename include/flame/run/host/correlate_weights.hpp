// The gradient of a correlation's weights.
#pragma once
#include <flame/run/host/correlate.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {
namespace algebra {

// result(s, t, d, c) = sum over images, i and j of source(i step_h + h(s), j step_w + w(t), d) given(i, j,
// c), where `given` lies as the correlation's result would. Parts of images add to several sums [groups, taps
// and channels d, channels c], which are added up in their order.
struct weight_cut {
  i64 rows, parts, units;  // rows of results of a part, parts of an image, parts of all images
  i64 splits, split;       // sums, and parts that go to each
  i64 taps, tap_parts;     // taps and channels d of a task

  explicit weight_cut(const correlation& x) {
    constexpr i64 wanted_tasks = 16, room = 1 << 21;
    const i64 depth = x.depth(), size = depth * x.result_group * x.groups;
    rows = x.rows_of_task(), parts = ceil_div(x.rows, rows), units = x.batch * parts;
    split = ceil_div(units, std::clamp<i64>(room / size, 1, wanted_tasks)), splits = ceil_div(units, split);
    taps = even_part(depth, std::max<i64>(ceil_div(depth, ceil_div(wanted_tasks, splits)), 8 * tile_rows),
                     tile_rows);
    tap_parts = ceil_div(depth, taps);
  }
};

inline void sum_weights(const correlation& x, const void* given, const weight_cut& by, void* sums) {
  const kernels& type = *x.type;
  const i64 depth = x.depth(), n = x.result_group, most = by.rows * x.columns;
  const panel_layout layout(n, type.lanes);
  i64* taps = scratch<i64>(scratch_use::image_offsets, 2 * depth + 2 * most + n);
  i64 *to_rows = taps + depth, *windows = to_rows + depth, *results = windows + most,
      *columns = results + most;
  x.taps().offsets(0, 0, depth, taps);
  x.results(by.rows).offsets(0, 0, most, windows);
  x.results(by.rows).offsets(1, 0, most, results);
  for (i64 p = 0; p < depth; ++p) to_rows[p] = p * n;
  for (i64 j = 0; j < n; ++j) columns[j] = j;

  each_task(by.splits * by.tap_parts, [&](i64 task) {
    const i64 split = task / by.tap_parts, tap = task % by.tap_parts * by.taps;
    const i64 begin = split * by.split, end = std::min(begin + by.split, by.units);
    panel* panels = scratch<panel>(scratch_use::block_panels, layout.count);
    void* packed =
        sum_scratch(scratch_use::block_packed, type, layout.packed_size(std::min(most, depth_block)));
    for (i64 unit = begin; unit < end; ++unit) {
      const i64 image = unit / by.parts, row = unit % by.parts * by.rows,
                some = std::min(by.rows, x.rows - row);
      const i64 count = some * x.columns, block = even_part(count, depth_block, 1);
      const void* window = x.window(image, row, some);
      const void* part = further(given, image * x.result_image + row * x.result_row, type.size);
      for (i64 group = 0; group < x.groups; ++group)
        for (i64 p = 0; p < count; p += block) {
          const i64 now = std::min(block, count - p);
          const void* b = further(part, group * n, type.size);
          for (i64 i = 0; i < layout.count; ++i)
            if (!type.converts && layout.whole(i)) {
              panels[i] = layout.at(i, further(b, results[p] + layout.first(i), type.size), x.result_column);
            } else {
              void* to = further(packed, layout.first(i) * now, type.sum_size);
              type.pack(layout, i, now, b, results + p, columns, to);
              panels[i] = layout.at(i, to, layout.width(i));
            }
          type.sweep(now, further(window, group * x.source_group, type.sum_size), taps + tap,
                     std::min(by.taps, depth - tap), windows + p, panels, layout.count,
                     further(sums, (split * x.groups + group) * depth * n, type.sum_size), to_rows + tap,
                     unit > begin || p > 0);
        }
    }
  });
}

// The taps lie one after another in `result`, as in memory [groups, channels c, taps and channels d].
inline void correlate_weights(const correlation& x, const void* given, void* result) {
  constexpr i64 some = 16;  // channels, of as many lines of a cache
  const kernels& type = *x.type;
  const weight_cut by(x);
  const i64 depth = x.depth(), n = x.result_group, size = x.groups * depth * n, parts = ceil_div(n, some);
  void* sums = sum_scratch(scratch_use::gradient, type, by.splits * size);
  sum_weights(x, given, by, sums);
  each_task(x.groups * parts, [&](i64 task) {
    const i64 group = task / parts, first = task % parts * some, channels = std::min(some, n - first);
    i64 offsets[some];
    for (i64 j = 0; j < channels; ++j) offsets[j] = j * depth;
    for (i64 p = 0; p < depth; ++p)
      type.finish(further(sums, (group * depth + p) * n + first, type.sum_size), by.splits, size, false,
                  offsets, channels, further(result, (group * n + first) * depth + p, type.size));
  });
}

}  // namespace algebra
}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
