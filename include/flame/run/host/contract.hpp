// The contraction of two tensors over any of their axes, as products of matrices.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/host/gemm.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

using library::contraction;

// out = scale * out + bias, one element after the other: f32's and f64's products do not take them at their
// end, and programs have none there but for tests (backend_functions::folds).
inline void scale_and_add(const contraction& x, const void* bias) {
  const int rank = x.batch_rank + x.m_rank + x.n_rank;
  i64 count = 1;
  for (int i = 0; i < rank; ++i) count *= x.extents[i];
  auto each = [&]<class E>(E) {
    for (i64 n = 0; n < count; ++n) {
      i64 rest = n, at = 0, at_bias = 0;
      for (int i = rank - 1; i >= 0; --i) {
        at += rest % x.extents[i] * x.out_strides[i], at_bias += rest % x.extents[i] * x.bias_strides[i];
        rest /= x.extents[i];
      }
      E& to = static_cast<E*>(x.out)[at];
      to = static_cast<E>(x.scale) * to + (bias ? static_cast<const E*>(bias)[at_bias] : E{});
    }
  };
  if (x.element == dtype::f64)
    each(double{});
  else
    each(float{});
}

// Runs a contraction; bias: null where it has none. Where k has no elements, the sums are zeros, or out is as
// it was. Elements of out do not overlap one another or the operands. Throws flame::error if the element type
// is not floating or there are more than 16 axes.
inline void contract(const contraction& x, const void* bias = nullptr) {
  if (x.batch_rank + x.m_rank + x.n_rank + x.k_rank > contraction::room)
    throw error("contract: more than 16 axes, expected at most 8 of each operand");
  product one;
  one.type = &kernels_for("contract", x.element);
  one.a = x.a, one.b = x.b, one.c = x.out;
  one.accumulate = x.accumulate;
  if (one.type->converts) one.scale = x.scale, one.bias = bias;
  axis_run<4> batch;
  int i = 0;
  for (int past = i + x.batch_rank; i < past; ++i)
    batch.push(x.extents[i], x.out_strides[i], x.a_strides[i], x.b_strides[i], x.bias_strides[i]);
  for (int past = i + x.m_rank; i < past; ++i)
    one.m.push(x.extents[i], x.out_strides[i], x.a_strides[i], x.bias_strides[i]);
  for (int past = i + x.n_rank; i < past; ++i)
    one.n.push(x.extents[i], x.out_strides[i], x.b_strides[i], x.bias_strides[i]);
  for (int past = i + x.k_rank; i < past; ++i) one.k.push(x.extents[i], x.a_strides[i], x.b_strides[i]);
  if (batch.size() == 0 || one.m.size() == 0 || one.n.size() == 0) return;
  batch.collapse();
  multiply_each(one, batch);
  if (!one.type->converts && (bias || x.scale != 1)) scale_and_add(x, bias);
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
