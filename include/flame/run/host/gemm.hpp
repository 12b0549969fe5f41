// Products of matrices, C (+)= A B, on all cores.
//
// How the work is cut follows from extents and strides alone, and every sum runs in one order: the number of
// threads changes no bit of the result.
#pragma once
#include <flame/run/host/product.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

namespace algebra {

// The tasks of a product over panels [first, past) and p in [start, stop), or over all p where it is split.
inline void run_tasks(const product& x, const panel_layout& layout, const product_cut& by, i64 first,
                      i64 past, i64 start, i64 stop, const void* packed, void* sums) {
  const i64 m = x.m.size(), n = x.n.size(), sum_size = x.type->sum_size;
  const i64 row_parts = ceil_div(m, by.rows), panel_parts = ceil_div(past - first, by.panels);
  const i64 width = layout.first(past) - layout.first(first);
  each_task(by.splits * row_parts * panel_parts, [&](i64 task) {
    const i64 split = task / (row_parts * panel_parts), row = task / panel_parts % row_parts * by.rows;
    const i64 panel = first + task % panel_parts * by.panels;
    block_worker worker(x, layout, by.source, row, std::min(by.rows, m - row), panel,
                        std::min(by.panels, past - panel));
    if (sums)
      worker.into_sums();
    else
      worker.into_result(row);
    void* c = sums ? further(sums, (split * m + row) * n, sum_size) : x.c;
    const i64 begin = start + split * by.split_depth, end = std::min(begin + by.split_depth, stop);
    for (i64 p = begin; p < end; p += depth_block) {
      worker.at_depth(p, std::min(depth_block, end - p));
      if (by.source == panel_source::shared)
        worker.take_panels(further(packed, (p - start) * width, sum_size), first);
      else
        worker.make_panels(x.b);
      worker.run(x.a, c, p > begin || start > 0 || (!sums && x.accumulate));
    }
  });
}

// As much of B at a time as the caches of all cores hold: packed by all, then read by all.
inline void run_shared(const product& x, const panel_layout& layout, const product_cut& by, void* sums) {
  const i64 k = x.k.size(), n = x.n.size(), sum_size = x.type->sum_size, room = 4 * 1024 * 1024 / sum_size;
  const i64 panels = std::clamp<i64>(room / (depth_block * tile_vectors * layout.lanes), 1, layout.count);
  for (i64 first = 0; first < layout.count; first += panels) {
    const i64 past = std::min(first + panels, layout.count), width = layout.first(past) - layout.first(first);
    const i64 depths = std::max<i64>(room / (depth_block * width), 1) * depth_block;
    for (i64 start = 0; start < k; start += depths) {
      const i64 stop = std::min(start + depths, k), blocks = ceil_div(stop - start, depth_block);
      void* packed = sum_scratch(scratch_use::operand, *x.type, width * (stop - start));
      each_task(blocks * (past - first), [&](i64 task) {
        const i64 block = task / (past - first), i = first + task % (past - first);
        const i64 p = start + block * depth_block, depth = std::min(depth_block, stop - p);
        i64* offsets = scratch<i64>(scratch_use::block_offsets, depth + n);
        x.k.offsets(1, p, depth, offsets);
        x.n.offsets(1, 0, n, offsets + depth);
        const i64 begin = (p - start) * width + (layout.first(i) - layout.first(first)) * depth;
        x.type->pack(layout, i, depth, x.b, offsets, offsets + depth, further(packed, begin, sum_size));
      });
      run_tasks(x, layout, by, first, past, start, stop, packed, sums);
    }
  }
}

// Products [begin, begin + count) of a batch, one after another, of an oriented x with something to sum.
inline void multiply_some(const product& x, const axis_run<4>& batch, i64 begin, i64 count) {
  const kernels& type = *x.type;
  const i64 m = x.m.size(), n = x.n.size(), k = x.k.size();
  i64* offsets = scratch<i64>(scratch_use::batch_offsets, 4 * count);
  for (int operand = 0; operand < 4; ++operand)
    batch.offsets(operand, begin, count, offsets + operand * count);
  product one = x;
  auto step = [&](i64 i) {
    one.c = further(x.c, offsets[i], type.size);
    one.a = further(x.a, offsets[count + i], type.size),
    one.b = further(x.b, offsets[2 * count + i], type.size);
    if (x.bias) one.bias = further(x.bias, offsets[3 * count + i], type.size);
  };
  if (wants_dots(x)) {
    for (i64 i = 0; i < count; ++i) step(i), run_dots(one, 0, n);
    return;
  }
  const panel_layout layout(n, type.lanes);
  void* sums = adds_in_place(x) ? nullptr : sum_scratch(scratch_use::block_sums, type, m * n);
  block_worker worker(x, layout, source_of_panels(x), 0, m, 0, layout.count);
  if (sums)
    worker.into_sums();
  else
    worker.into_result(0);
  for (i64 i = 0; i < count; ++i) {
    step(i);
    for (i64 p = 0; p < k; p += depth_block) {
      if (i == 0 || k > depth_block) worker.at_depth(p, std::min(depth_block, k - p));
      worker.make_panels(one.b);
      worker.run(one.a, sums ? sums : one.c, p > 0 || (!sums && x.accumulate));
    }
    if (sums) finish_rows(one, one.c, 0, m, sums, 1, 0);
  }
}

}  // namespace algebra

// One product. m and n have elements.
inline void multiply(product x) {
  using namespace algebra;
  if (x.k.size() == 0) return clear(x);
  orient(x);
  const i64 m = x.m.size(), n = x.n.size(), k = x.k.size();
  if (wants_dots(x))
    return in_chunks(n, std::max<i64>((1 << 16) / k, 1),
                     [&](i64 begin, i64 end) { run_dots(x, begin, end - begin); });
  if (wants_row_sums(x)) {
    // Parts of rows that are worth starting, and whose sums the first cache holds; none shorter than half a
    // page.
    const i64 part = std::clamp<i64>(ceil_div((1 << 18) / k, 64) * 64, 512, 4096);
    return in_chunks(n, part, [&](i64 begin, i64 end) { run_row_sums(x, begin, end - begin); });
  }
  const panel_layout layout(n, x.type->lanes);
  const product_cut by = cut(x, layout);
  const bool direct = adds_in_place(x) && by.splits == 1;
  void* sums = direct ? nullptr : sum_scratch(scratch_use::sums, *x.type, by.splits * m * n);
  if (by.source == panel_source::shared)
    run_shared(x, layout, by, sums);
  else
    run_tasks(x, layout, by, 0, layout.count, 0, k, nullptr, sums);
  if (direct) return;
  in_chunks(m, std::max<i64>((1 << 14) / (n * by.splits), 1), [&](i64 begin, i64 end) {
    finish_rows(x, x.c, begin, end - begin, further(sums, begin * n, x.type->sum_size), by.splits, m * n);
  });
}

// As many products as `batch` has elements, of matrices where its strides in c, a, b and bias lead: all cores
// on one after another where they are large, else several whole products to a core. m and n have elements.
inline void multiply_each(product x, axis_run<4> batch) {
  using namespace algebra;
  constexpr i64 large = 1 << 23, task_work = 1 << 19;
  const i64 work = x.m.size() * x.n.size() * x.k.size(), count = batch.size(), size = x.type->size;
  if (count == 1 || work == 0 || work >= large) {
    i64 at[4];
    for (i64 i = 0; i < count; ++i) {
      product one = x;
      for (int operand = 0; operand < 4; ++operand) batch.offsets(operand, i, 1, at + operand);
      one.c = further(x.c, at[0], size), one.a = further(x.a, at[1], size), one.b = further(x.b, at[2], size);
      if (x.bias) one.bias = further(x.bias, at[3], size);
      multiply(one);
    }
    return;
  }
  if (orient(x)) std::swap(batch.strides[1], batch.strides[2]);
  in_chunks(count, std::clamp<i64>(task_work / work, 1, count),
            [&](i64 begin, i64 end) { multiply_some(x, batch, begin, end - begin); });
}

// Elements (i, j) at data[i * row + j * column].
template <class E> struct matrix {
  E* data = nullptr;
  i64 rows = 0, columns = 0, row = 0, column = 0;
};

// c = a b, or c += a b, for matrices [m, k], [k, n] and [m, n] with any strides; f32, f64, and bf16 and f16,
// whose sums are f32 until they are stored. Without k, c is zeros, or as it was. Transposed operands are read
// where they lie. Throws flame::error if the extents do not fit each other.
template <class E> void gemm(matrix<const E> a, matrix<const E> b, matrix<E> c, bool accumulate = false) {
  if (a.rows != c.rows || b.columns != c.columns || a.columns != b.rows) {
    auto extents = [](const auto& x) {
      return std::string("[")
          .append(std::to_string(x.rows))
          .append(", ")
          .append(std::to_string(x.columns))
          .append("]");
    };
    throw error(std::string("gemm: the matrices are ")
                    .append(extents(a))
                    .append(", ")
                    .append(extents(b))
                    .append(" and ")
                    .append(extents(c))
                    .append(", expected [m, k], [k, n] and [m, n]"));
  }
  if (c.rows == 0 || c.columns == 0) return;
  product x;
  x.type = &kernels_for("gemm", dtype_of<E>);
  x.a = a.data, x.b = b.data, x.c = c.data;
  x.accumulate = accumulate;
  x.m.push(c.rows, c.row, a.row);
  x.n.push(c.columns, c.column, b.column);
  x.k.push(a.columns, a.column, b.row);
  multiply(x);
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
