// The contraction of two tensors over any of their axes, as products of matrices.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/host/gemm.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

using library::contraction;

// Runs a contraction. Where k has no elements, out is zeros, or as it was. Elements of out do not overlap one
// another or the operands. Throws flame::error if the element type is not floating or there are more than 16
// axes.
inline void contract(const contraction& x) {
  if (x.batch_rank + x.m_rank + x.n_rank + x.k_rank > contraction::room)
    throw error("contract: more than 16 axes, expected at most 8 of each operand");
  product one;
  one.type = &kernels_for("contract", x.element);
  one.a = x.a, one.b = x.b, one.c = x.out;
  one.accumulate = x.accumulate;
  axis_run<3> batch;
  int i = 0;
  for (int past = i + x.batch_rank; i < past; ++i)
    batch.push(x.extents[i], x.out_strides[i], x.a_strides[i], x.b_strides[i]);
  for (int past = i + x.m_rank; i < past; ++i) one.m.push(x.extents[i], x.out_strides[i], x.a_strides[i]);
  for (int past = i + x.n_rank; i < past; ++i) one.n.push(x.extents[i], x.out_strides[i], x.b_strides[i]);
  for (int past = i + x.k_rank; i < past; ++i) one.k.push(x.extents[i], x.a_strides[i], x.b_strides[i]);
  if (batch.size() == 0 || one.m.size() == 0 || one.n.size() == 0) return;
  batch.collapse();
  multiply_each(one, batch);
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
