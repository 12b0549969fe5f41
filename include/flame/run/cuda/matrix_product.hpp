// Products of matrices as a BLAS knows them, and how operands are aligned.
#pragma once
#include <flame/plan/library.hpp>

namespace flame::cuda_kernels {

// result[m, n] = first[m, k] second[k, n], or += it, for each of `batch`, all column-major: element (i, j) at
// i + j ld, or at j + i ld where the operand is transposed.
struct matrix_product {
  dtype element = dtype::f32;
  i64 m = 1, n = 1, k = 1, batch = 1;
  bool first_transposed = false, second_transposed = false, accumulate = false;
  i64 first_ld = 1, second_ld = 1, result_ld = 1;
  i64 first_batch = 0, second_batch = 0, result_batch = 0;  // strides, in elements
  // Bytes to which the memory of every such product is aligned.
  i64 first_alignment = 16, second_alignment = 16, result_alignment = 16;
};

// Bytes to which operands will be aligned, each a power of 2.
struct operand_alignment {
  i64 a = 16, b = 16, out = 16, bias = 16;
};

// The alignment, up to 16 bytes, of what lies so many bytes behind memory that is aligned to 16.
[[nodiscard]] inline i64 alignment_at(i64 bytes) {
  i64 to = 16;
  while (bytes % to != 0) to /= 2;
  return to;
}

// Of a tensor's first element, in a buffer that is aligned so.
[[nodiscard]] inline i64 tensor_alignment(i64 buffer, const located& t) {
  const i64 offset = alignment_at(t.offset * size_of(t.element));
  return buffer < offset ? buffer : offset;
}

// Whether cuBLASLt adds the bias: not in f64, and it reads 16 bytes at once.
[[nodiscard]] inline bool blas_takes_bias(const library::contraction& x, const operand_alignment& alignment) {
  return x.element != dtype::f64 && alignment.bias >= 16;
}

}  // namespace flame::cuda_kernels
