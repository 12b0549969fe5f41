// What a step of attention computes, in numbers.
#pragma once
#include <flame/graph/attention.hpp>
#include <flame/plan/library.hpp>

namespace flame {

namespace library {

// The step's tensors: the node's operands, of gradients also the result where it is in memory (cuDNN reads
// it, delta does not do), then the results that `made` names; its data: the node's, then `made` and whether
// the result is there. Axes are gone: batches are axes of q and k, queries those of q alone, each any number
// of them.
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
  operand attended;                       // the result, read by cuDNN's gradients
  operand out, out_sums;                  // of attention
  operand dq, dk, dv;                     // of gradients

  static constexpr int tensors = 13;
  struct all_operands {
    const operand* at[tensors];
  };
  [[nodiscard]] all_operands all() const {
    return {{&q, &k, &v, &mask, &d, &sums, &delta, &attended, &out, &out_sums, &dq, &dk, &dv}};
  }

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

// The batch axes of an attention, or its query axes: joined where they lie one within the other in every
// tensor, those of one element left out; with join false each for itself.
struct attention_axes {
  int rank = 0;
  i64 extents[attention::room] = {};
  i64 strides[attention::room][attention::tensors] = {};  // in the order of attention::all()

  attention_axes(const attention& c, bool queries, bool join = true) {
    const auto all = c.all();
    const i64* of = queries ? c.query : c.batch;
    for (int i = 0; i < (queries ? c.query_rank : c.batch_rank); ++i) {
      auto stride = [&](int t) { return queries ? all.at[t]->query[i] : all.at[t]->batch[i]; };
      if (of[i] == 1 && join) continue;
      bool joined = join && rank > 0;
      for (int t = 0; t < attention::tensors && joined; ++t)
        joined = !all.at[t]->there() || strides[rank - 1][t] == stride(t) * of[i];
      if (joined)
        extents[rank - 1] *= of[i];
      else
        extents[rank++] = of[i];
      for (int t = 0; t < attention::tensors; ++t) strides[rank - 1][t] = stride(t);
    }
  }
};

// Why cuDNN does not do an attention, empty where it does, if it is 9.15.1 or newer and the tensors are
// aligned to 16 bytes. Its engines take bf16 and f16; heads of a multiple of 8 numbers that lie side by side,
// up to 512 forwards and 256 backwards; two axes of batches (batch and head) and one of queries, each head
// with keys of its own. A mask is refused since a query that may look at no key would get NaN.
[[nodiscard]] inline const char* cudnn_refusal(const attention& c) {
  if (c.element != dtype::bf16 && c.element != dtype::f16) return "not of 16 bits";
  if (c.mask.there()) return "a mask";
  if (!c.v.there()) return "statistics alone";
  if (c.batches() * c.queries() * c.keys * c.dims == 0) return "an extent is 0";
  if (c.dims % 8 || c.dims > (c.backward ? 256 : 512))
    return c.backward ? "heads of other than 8, 16, ... 256 numbers"
                      : "heads of other than 8, 16, ... 512 numbers";
  if (c.backward && !c.attended.there()) return "the result is not in memory";
  const attention_axes batch(c, false), query(c, true, !c.causal);
  if (batch.rank > 2 || query.rank > 1) return "too many axes";
  const auto all = c.all();
  for (int t = 0; t < attention::tensors; ++t) {
    const attention::operand& o = *all.at[t];
    if (!o.there() || &o == &c.sums || &o == &c.delta || &o == &c.out_sums) continue;
    auto apart = [](i64 stride, i64 extent) { return (stride > 0 || extent == 1) && stride % 8 == 0; };
    const bool of_keys = &o == &c.k || &o == &c.v || &o == &c.dk || &o == &c.dv;
    bool lies = o.dim == 1 && (!of_keys || apart(o.key, c.keys));
    for (int i = 0; i < batch.rank; ++i)
      lies = lies && batch.strides[i][t] > 0 && batch.strides[i][t] % 8 == 0;
    for (int i = 0; i < query.rank; ++i)
      lies = lies && (of_keys || apart(query.strides[i][t], query.extents[i]));
    if (!lies) return "heads that do not lie side by side";
  }
  return "";
}

[[nodiscard]] inline attention attention_of(const program_step& s) {
  attention c;
  c.backward = s.library != op::attend && s.library != op::attend_statistics;
  c.made = static_cast<int>(s.data[2]);
  int results = 0;
  for (int bit = c.made; bit; bit >>= 1) results += bit & 1;
  const int attended = static_cast<int>(s.data[3]), operands = s.tensors.size() - results - attended;
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
  c.attended = operand(attended ? operands : -1);
  int next = operands + attended;
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
