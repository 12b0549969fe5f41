// Steps of attention in numbers, [batch, token, head, dim]: tensors q, k, v, then result and statistics
// forwards, d, statistics, delta, the result, dq, dk and dv backwards.
#pragma once
#include <flame/plan/library_attention.hpp>

namespace flame::cuda_tests {

struct lengths {
  i64 batch, heads, queries, keys, dims;
};

// [batch, token, head, dim]
inline library::attention::operand rows(int tensor, i64 tokens, const lengths& s, bool queries) {
  library::attention::operand o;
  o.tensor = tensor;
  o.batch[0] = tokens * s.heads * s.dims, o.batch[1] = s.dims, o.dim = 1;
  (queries ? o.query[0] : o.key) = s.heads * s.dims;
  return o;
}
inline library::attention::operand sums(int tensor, const lengths& s) {  // [batch, token, head]
  library::attention::operand o;
  o.tensor = tensor, o.batch[0] = s.queries * s.heads, o.batch[1] = 1, o.query[0] = s.heads;
  return o;
}
inline library::attention forwards(const lengths& s, dtype element = dtype::bf16) {
  library::attention f;
  f.element = element, f.scale = 0.125, f.batch_rank = 2, f.query_rank = 1;
  f.batch[0] = s.batch, f.batch[1] = s.heads, f.query[0] = s.queries, f.keys = s.keys, f.dims = s.dims;
  f.q = rows(0, s.queries, s, true), f.k = rows(1, s.keys, s, false), f.v = rows(2, s.keys, s, false);
  f.made = library::attention::result | library::attention::statistics;
  f.out = rows(3, s.queries, s, true), f.out_sums = sums(4, s);
  return f;
}
inline library::attention backwards(const lengths& s, dtype element = dtype::bf16) {
  library::attention b = forwards(s, element);
  b.backward = true, b.made = 7, b.out = {}, b.out_sums = {};
  b.d = rows(3, s.queries, s, true), b.sums = sums(4, s), b.delta = sums(5, s);
  b.attended = rows(6, s.queries, s, true);
  b.dq = rows(7, s.queries, s, true), b.dk = rows(8, s.keys, s, false), b.dv = rows(9, s.keys, s, false);
  return b;
}

}  // namespace flame::cuda_tests
