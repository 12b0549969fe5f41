// What a step of attention computes, in numbers.
#pragma once
#include <flame/graph/attention.hpp>
#include <flame/plan/library.hpp>

namespace flame {

namespace library {

// The step's tensors: the node's operands, then the results that `made` names; its data: the node's, then
// `made`. Axes are gone: batches are axes of q and k, queries those of q alone, each any number of them.
struct attention {
  static constexpr int room = 8;
  // made, of op::attend; of gradients, whose step is named after its first.
  static constexpr int result = 1, statistics = 2;
  static constexpr int of_query = 1, of_key = 2, of_value = 4;

  bool backward = false;
  int made = 0;
  dtype element = dtype::f32, mask_element = dtype::boolean;
  double scale = 1;
  bool causal = false;
  int position = 0;  // the query axis whose place is compared with the key's, where causal
  int batch_rank = 0, query_rank = 0;
  i64 batch[room] = {}, query[room] = {}, keys = 0, dims = 0;

  // A tensor: which of the step's (-1: there is none) and its strides in elements, 0 along axes that it
  // lacks.
  struct operand {
    int tensor = -1;
    i64 batch[room] = {}, query[room] = {}, key = 0, dim = 0;
    [[nodiscard]] bool there() const { return tensor >= 0; }
  };
  operand q, k, v, mask, d, sums, delta;  // sums: statistics, read by gradients
  operand out, out_sums;                  // of attention
  operand dq, dk, dv;                     // of gradients

  [[nodiscard]] i64 batches() const { return product(batch, batch_rank); }
  [[nodiscard]] i64 queries() const { return product(query, query_rank); }
  // Multiplications and additions of the products; a causal one's are half.
  [[nodiscard]] i64 flops() const {
    const i64 each = 2 * batches() * queries() * keys * dims;
    int products = 2;
    if (backward) products = 2 + ((made & of_query) != 0) + ((made & of_key) != 0) + ((made & of_value) != 0);
    if (!v.there()) products = 1;
    return (causal ? each / 2 : each) * products;
  }

 private:
  static i64 product(const i64* extents, int rank) {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= extents[i];
    return n;
  }
};

[[nodiscard]] inline attention attention_of(const program_step& s) {
  attention c;
  c.backward = s.library != op::attend && s.library != op::attend_statistics;
  c.made = static_cast<int>(s.data[2]);
  int results = 0;
  for (int bit = c.made; bit; bit >>= 1) results += bit & 1;
  const int operands = s.tensors.size() - results;
  const attention_operands at(s.library, operands);
  const located &q = s.tensors[0], &k = s.tensors[1];
  const axis_info *key = s.axes[0], *dim = s.axes[1], *position = s.axes[2];
  c.element = q.element;
  c.causal = s.data[0] != 0;
  c.keys = k.extents[k.find(key)], c.dims = q.extents[q.find(dim)];
  c.scale = __builtin_bit_cast(double, s.data[1]);
  if (c.scale != c.scale) c.scale = 1 / __builtin_sqrt(static_cast<double>(c.dims));
  list<const axis_info*> batch, query;
  for (int i = 0; i < q.rank; ++i) {
    if (q.axes[i] == dim) continue;
    if (k.find(q.axes[i]) >= 0) {
      c.batch[c.batch_rank++] = q.extents[i];
      batch.push(q.axes[i]);
    } else {
      if (q.axes[i] == position) c.position = c.query_rank;
      c.query[c.query_rank++] = q.extents[i];
      query.push(q.axes[i]);
    }
  }
  auto operand = [&](int tensor) {
    attention::operand o;
    o.tensor = tensor;
    if (tensor < 0) return o;
    const located& t = s.tensors[tensor];
    auto stride = [&](const axis_info* a) { return t.find(a) < 0 ? i64{0} : t.strides[t.find(a)]; };
    for (int i = 0; i < batch.size(); ++i) o.batch[i] = stride(batch[i]);
    for (int i = 0; i < query.size(); ++i) o.query[i] = stride(query[i]);
    o.key = stride(key), o.dim = stride(dim);
    return o;
  };
  c.q = operand(0), c.k = operand(1), c.v = operand(at.value), c.mask = operand(at.mask);
  c.d = operand(at.cotangent), c.sums = operand(at.statistics), c.delta = operand(at.delta);
  if (at.mask >= 0) c.mask_element = s.tensors[at.mask].element;
  int next = operands;
  auto result = [&](int bit) { return operand(c.made & bit ? next++ : -1); };
  if (c.backward)
    c.dq = result(attention::of_query), c.dk = result(attention::of_key), c.dv = result(attention::of_value);
  else
    c.out = result(attention::result), c.out_sums = result(attention::statistics);
  return c;
}

// Statistics and what is made of them alone keep their type where a program stores 16 bits
// (plan/precision.hpp).
[[nodiscard]] inline bool keeps_type(const program_step& s, int tensor) {
  if (s.code || !is_attention(s.library)) return false;
  const attention c = attention_of(s);
  return tensor == c.sums.tensor || tensor == c.delta.tensor || tensor == c.out_sums.tensor;
}

}  // namespace library

}  // namespace flame
