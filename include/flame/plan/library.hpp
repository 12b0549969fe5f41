// What a library step computes, in numbers: axes are gone, extents and strides are left. One reading of a
// step for every backend.
#pragma once
#include <flame/plan/program.hpp>

namespace flame::library {

// out[batch, m, n] = scale * sum over k of a[batch, m, k] b[batch, k, n] + bias, where batch, m, n and k are
// any number of axes each: first all of batch, then m, n and k. f32, f64, and bf16 and f16, whose sums are
// f32 until they are stored.
struct contraction {
  static constexpr int room = 16;
  dtype element = dtype::f32;
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
  bool accumulate = false;  // out += the sum
  double scale = 1;
  bool biased = false;  // a vector along the axis of out that bias_strides is 1 for, elsewhere 0
  int batch_rank = 0, m_rank = 0, n_rank = 0, k_rank = 0;
  i64 extents[room] = {};
  // In elements. 0 repeats; the stride of an axis that an operand lacks is not read (a: n; b: m; out: k).
  i64 a_strides[room] = {}, b_strides[room] = {}, out_strides[room] = {}, bias_strides[room] = {};
};

// A step's tensors are a, b, where it has one a bias (plan/epilogue.hpp), where it adds to a sum that sum
// (plan/accumulate.hpp), and the result; its data, where it has any, the bits of the scale, and whether there
// is a sum.
[[nodiscard]] inline contraction contraction_of(const program_step& s) {
  const located &a = s.tensors[0], &b = s.tensors[1], &out = s.tensors.back();
  contraction c;
  c.accumulate = s.data.size() > 1 && s.data[1] != 0;
  c.biased = s.tensors.size() == (c.accumulate ? 5 : 4);
  if (!s.data.empty()) c.scale = __builtin_bit_cast(double, s.data[0]);
  c.element = out.element;
  int rank = 0;
  auto add = [&](const axis_info* axis, i64 extent) {
    int i = a.find(axis), j = b.find(axis), k = out.find(axis);
    c.extents[rank] = extent;
    c.a_strides[rank] = i < 0 ? 0 : a.strides[i];
    c.b_strides[rank] = j < 0 ? 0 : b.strides[j];
    c.out_strides[rank] = k < 0 ? 0 : out.strides[k];
    c.bias_strides[rank] = c.biased && s.tensors[2].find(axis) >= 0 ? 1 : 0;
    ++rank;
  };
  for (int i = 0; i < out.rank; ++i)
    if (a.find(out.axes[i]) >= 0 && b.find(out.axes[i]) >= 0)
      add(out.axes[i], out.extents[i]), ++c.batch_rank;
  for (int i = 0; i < out.rank; ++i)
    if (a.find(out.axes[i]) >= 0 && b.find(out.axes[i]) < 0) add(out.axes[i], out.extents[i]), ++c.m_rank;
  for (int i = 0; i < out.rank; ++i)
    if (a.find(out.axes[i]) < 0 && b.find(out.axes[i]) >= 0) add(out.axes[i], out.extents[i]), ++c.n_rank;
  for (int i = 0; i < a.rank; ++i)
    if (out.find(a.axes[i]) < 0) add(a.axes[i], a.extents[i]), ++c.k_rank;
  return c;
}

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

[[nodiscard]] inline convolution convolution_of(const program_step& s) {
  // axes: xh xw kh kw cx cw oh ow co; data: stride h w, padding h w, dilation h w, groups. Tensors: two
  // operands, where it has one a bias (plan/epilogue.hpp), the result.
  const located &a = s.tensors[0], &b = s.tensors[1], &out = s.tensors.back();
  const located& x = s.library == op::conv_data ? out : a;
  const located& w = s.library == op::conv_weight ? out : b;
  const located& y = s.library == op::conv ? out : s.library == op::conv_data ? a : b;
  convolution c;
  c.element = out.element;
  c.batch = 1;
  for (int i = 0; i < x.rank - 3; ++i) c.batch *= x.extents[i];
  c.height = x.extents[x.rank - 3], c.width = x.extents[x.rank - 2], c.in = x.extents[x.rank - 1];
  c.out_height = y.extents[y.rank - 3], c.out_width = y.extents[y.rank - 2], c.out = y.extents[y.rank - 1];
  c.kernel_h = w.extents[1], c.kernel_w = w.extents[2];
  auto number = [&](int i) { return static_cast<i64>(s.data[i]); };
  c.stride_h = number(0), c.stride_w = number(1), c.pad_h = number(2), c.pad_w = number(3);
  c.dilation_h = number(4), c.dilation_w = number(5), c.groups = number(6);
  return c;
}

// Images [batch, height, width, channels] and what pooling leaves of them, [batch, out_height, out_width,
// channels], both contiguous. The window of the small image's pixel (i, j) is the kernel_h by kernel_w pixels
// of the large one from (i stride_h - pad_h, j stride_w - pad_w) on; pixels outside count as zeros in a mean,
// and not at all in a maximum.
struct pooling {
  dtype element = dtype::f32;
  i64 batch = 0, height = 0, width = 0, channels = 0, out_height = 0, out_width = 0;
  i64 kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
};

[[nodiscard]] inline pooling pooling_of(const program_step& s) {
  // axes: xh xw oh ow; data: kernel h w, stride h w, padding h w
  bool grows = s.library == op::pool_put || s.library == op::pool_mean_put;
  const located &out = s.tensors[s.tensors.size() - 1], &last = s.tensors[s.tensors.size() - 2];
  const located &x = grows ? out : s.tensors[0], &y = grows ? last : out;
  pooling c;
  c.element = out.element;
  c.batch = 1;
  for (int i = 0; i < x.rank - 3; ++i) c.batch *= x.extents[i];
  c.height = x.extents[x.rank - 3], c.width = x.extents[x.rank - 2], c.channels = x.extents[x.rank - 1];
  c.out_height = y.extents[y.rank - 3], c.out_width = y.extents[y.rank - 2];
  auto number = [&](int i) { return static_cast<i64>(s.data[i]); };
  c.kernel_h = number(0), c.kernel_w = number(1), c.stride_h = number(2), c.stride_w = number(3);
  c.pad_h = number(4), c.pad_w = number(5);
  return c;
}

// Walks axes; at each of their elements, index gives a place along one more axis, of the table that is read
// (gather) or of the result that is added to (scatter_add). Strides count elements and are 0 along axes that
// an operand lacks.
struct indexing {
  static constexpr int room = 16;
  dtype element = dtype::f32;          // of the values that are read and written
  dtype index_element = dtype::int32;  // i32, i64 or u8
  const void* from = nullptr;          // the table, or the values
  const void* index = nullptr;
  void* out = nullptr;
  i64 extent = 0;  // of the indexed axis
  i64 stride = 0;  // of the indexed axis, in the table or in the result
  int rank = 0;
  i64 extents[room] = {}, from_strides[room] = {}, index_strides[room] = {}, out_strides[room] = {};
};

[[nodiscard]] inline indexing indexing_of(const program_step& s) {
  // gather: (table, index) -> out; scatter_add: (index, values) -> out
  bool gather = s.library == op::gather;
  const located &from = s.tensors[gather ? 0 : 1], &index = s.tensors[gather ? 1 : 0], &out = s.tensors[2];
  const axis_info* axis = s.axes[0];
  const located& indexed = gather ? from : out;
  indexing c;
  c.element = out.element, c.index_element = index.element;
  c.extent = indexed.extents[indexed.find(axis)], c.stride = indexed.strides[indexed.find(axis)];
  auto add = [&](const axis_info* a, i64 extent) {
    if (a == axis) return;
    int i = from.find(a), j = index.find(a), k = out.find(a);
    c.extents[c.rank] = extent;
    c.from_strides[c.rank] = i < 0 ? 0 : from.strides[i];
    c.index_strides[c.rank] = j < 0 ? 0 : index.strides[j];
    c.out_strides[c.rank] = k < 0 ? 0 : out.strides[k];
    ++c.rank;
  };
  for (int i = 0; i < out.rank; ++i) add(out.axes[i], out.extents[i]);
  for (int i = 0; i < from.rank; ++i)
    if (out.find(from.axes[i]) < 0) add(from.axes[i], from.extents[i]);
  for (int i = 0; i < index.rank; ++i)
    if (out.find(index.axes[i]) < 0 && from.find(index.axes[i]) < 0) add(index.axes[i], index.extents[i]);
  return c;
}

// out = index, row-major, whose elements must lie in [0, extent) or be the ignored one.
struct range_check {
  static constexpr int room = 16;
  indexed_by by = indexed_by::one_hot;
  dtype element = dtype::int32;  // i32, i64 or u8
  i64 extent = 0;
  enum class ignoring : u8 { nothing, number, operand } ignores = ignoring::nothing;
  i64 ignored = 0;  // the number
  int rank = 0;
  i64 extents[room] = {}, strides[room] = {}, out_strides[room] = {};

  [[nodiscard]] std::string refusal(i64 index) const {
    const text name = name_of(by);
    return std::string(name.data, static_cast<std::size_t>(name.size)) + " " + std::to_string(index) +
           " is out of range, the axis has extent " + std::to_string(extent);
  }
};

[[nodiscard]] inline range_check range_check_of(const program_step& s) {
  const located &index = s.tensors[0], &out = s.tensors.back();
  range_check c;
  c.by = static_cast<indexed_by>(s.data[0]), c.element = index.element,
  c.extent = static_cast<i64>(s.data[1]);
  if (s.tensors.size() == 3)
    c.ignores = range_check::ignoring::operand;
  else if (s.data.size() == 3)
    c.ignores = range_check::ignoring::number, c.ignored = static_cast<i64>(s.data[2]);
  c.rank = out.rank;
  for (int i = 0; i < out.rank; ++i)
    c.extents[i] = out.extents[i], c.strides[i] = index.strides[i], c.out_strides[i] = out.strides[i];
  return c;
}

}  // namespace flame::library
