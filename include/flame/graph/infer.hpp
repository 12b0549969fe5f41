// The shape and dtype rule of every primitive, in one place: used while tracing, by every pass and by the checker.
#pragma once
#include <flame/graph/attention.hpp>
#include <flame/graph/infer_call.hpp>

namespace flame {

namespace rule {

constexpr fault elementwise(const operation& o, tensor_type& out) {
  const operand_types& in = o.operands;
  int first = o.code == op::where ? 1 : 0;
  dtype element = in[first].element;
  if (o.code == op::fold) {
    if (in[0].element != dtype::key) return fault::needs_key;
    if (!is_integer(in[1].element)) return fault::needs_integer;
  } else {
    for (int i = first; i < in.size(); ++i)
      if (in[i].element != element) return fault::dtypes_differ;
    if (element == dtype::key && o.code != op::stop_gradient) return fault::needs_number;
  }
  if (o.code == op::add && in[0].stack && is_floating(element)) {  // instance by instance: sums of cotangents
    out = in[0];
    return in[0] == in[1] ? fault::none : fault::stacked;
  }
  if (fault f = align(in, 0, out); f != fault::none) return f;
  out.element = element;
  switch (o.code) {
    case op::less: case op::less_equal:
      if (element == dtype::boolean) return fault::needs_number;
      out.element = dtype::boolean;
      break;
    case op::equal: case op::not_equal: out.element = dtype::boolean; break;
    case op::is_finite: case op::is_nan:
      if (!is_floating(element)) return fault::needs_floating;
      out.element = dtype::boolean;
      break;
    case op::logical_and: case op::logical_or: case op::logical_not:
      if (element != dtype::boolean) return fault::needs_boolean;
      break;
    case op::where:
      if (in[0].element != dtype::boolean) return fault::needs_boolean;
      break;
    case op::cast:
      out.element = static_cast<dtype>(o.data[0]);
      if (out.element == dtype::key) return fault::needs_number;
      break;
    case op::fold: out.element = dtype::key; break;
    case op::stop_gradient: break;
    case op::neg: case op::abs: case op::sign: case op::add: case op::sub: case op::mul: case op::minimum:
    case op::maximum:
      if (element == dtype::boolean) return fault::needs_number;
      break;
    default:
      if (!is_floating(element)) return fault::needs_floating;
  }
  return fault::none;
}

constexpr fault reduction(const operation& o, tensor_type& out) {
  const tensor_type& in = o.operands[0];
  if (in.stack) return fault::stacked;
  bool logic = in.element == dtype::boolean && (o.code == op::max || o.code == op::min);
  if ((in.element == dtype::boolean && !logic) || in.element == dtype::key) return fault::needs_number;
  for (int i = 0; i < o.axes.size(); ++i) {
    if (!in.has(o.axes[i])) return fault::axis_missing;
    for (int k = 0; k < i; ++k)
      if (o.axes[k] == o.axes[i]) return fault::axis_twice;
  }
  out.element = o.code == op::argmax ? dtype::int32 : in.element;
  for (int i = 0; i < in.rank; ++i)
    if (!o.axes.has(in.axes[i])) out.push(in.axes[i]);
  return fault::none;
}

constexpr fault movement(const operation& o, tensor_type& out) {
  out = o.operands[0];
  if (out.stack) return fault::stacked;
  const array_view<const axis_info*> axes = o.axes;
  switch (o.code) {
    case op::permute: {
      const tensor_type& in = o.operands[0];
      if (fault f = listed(axes, 0, out); f != fault::none) return f;
      if (out.rank != in.rank || !within(out, in)) return fault::axis_missing;
      return fault::none;
    }
    case op::broadcast:
      if (fault f = listed(axes, 0, out); f != fault::none) return f;
      return within(o.operands[0], out) ? fault::none : fault::axis_missing;
    case op::rename:
      if (!extents_agree(axes[0]->extent, axes[1]->extent)) return fault::extents_clash;
      return replace(out, axes[0], axes[1]);
    case op::split: {
      int at = out.find(axes[0]);
      if (at < 0) return fault::axis_missing;
      const tensor_type in = out;
      int known = 1;
      bool all = axes[0]->extent != dynamic;
      out.rank = 0;
      for (int i = 0; i < in.rank; ++i) {
        if (i != at) {
          if (fault f = extend(out, in.axes[i]); f != fault::none) return f;
          continue;
        }
        for (int k = 1; k < axes.size(); ++k) {
          if (fault f = extend(out, axes[k]); f != fault::none) return f;
          if (axes[k]->extent == dynamic)
            all = false;
          else
            known *= axes[k]->extent;
        }
      }
      if (all && known != axes[0]->extent) return fault::extents_clash;
      if (axes[0]->extent != dynamic && known > 0 && axes[0]->extent % known) return fault::extents_clash;
      return fault::none;
    }
    case op::merge: {
      int parts = axes.size() - 1, at = out.find(axes[0]), known = 1;
      if (at < 0) return fault::axis_missing;
      bool all = axes[parts]->extent != dynamic;
      for (int k = 0; k < parts; ++k) {
        if (out.find(axes[k]) != at + k) return fault::axis_missing;
        if (axes[k]->extent == dynamic)
          all = false;
        else
          known *= axes[k]->extent;
      }
      if (all && known != axes[parts]->extent) return fault::extents_clash;
      const tensor_type in = out;
      out.rank = 0;
      for (int i = 0; i < in.rank; ++i) {
        if (i > at && i < at + parts) continue;
        if (fault f = extend(out, i == at ? axes[parts] : in.axes[i]); f != fault::none) return f;
      }
      return fault::none;
    }
    case op::slice:
    case op::pad: return replace(out, axes[0], axes[1]);
    case op::concatenate: {
      const axis_info* to = axes[axes.size() - 1];
      if (fault f = replace(out, axes[0], to); f != fault::none) return f;
      int total = 0;
      bool all = to->extent != dynamic;
      for (int i = 0; i < o.operands.size(); ++i) {
        tensor_type part = o.operands[i];
        if (part.element != out.element) return fault::dtypes_differ;
        if (fault f = replace(part, axes[i], to); f != fault::none) return f;
        if (part.rank != out.rank || !within(part, out)) return fault::axis_missing;
        if (axes[i]->extent == dynamic)
          all = false;
        else
          total += axes[i]->extent;
      }
      return all && total != to->extent ? fault::extents_clash : fault::none;
    }
    default: return fault::none;
  }
}

constexpr fault contraction(const operation& o, tensor_type& out) {
  const tensor_type &a = o.operands[0], &b = o.operands[1];
  if (a.stack || b.stack) return fault::stacked;
  if (a.element != b.element) return fault::dtypes_differ;
  if (!is_floating(a.element)) return fault::needs_floating;
  out.element = a.element;
  if (fault f = listed(o.axes, 0, out); f != fault::none) return f;
  for (int i = 0; i < out.rank; ++i)
    if (!a.has(out.axes[i]) && !b.has(out.axes[i])) return fault::axis_missing;
  for (int i = 0; i < a.rank; ++i)
    if (!b.has(a.axes[i]) && !out.has(a.axes[i])) return fault::not_contracted;
  for (int i = 0; i < b.rank; ++i)
    if (!a.has(b.axes[i]) && !out.has(b.axes[i])) return fault::not_contracted;
  return fault::none;
}

// True if the last axes of t, after its batch axes, are these.
[[nodiscard]] constexpr bool image(const tensor_type& t, const axis_info* h, const axis_info* w, const axis_info* c) {
  return t.rank >= 3 && t.axes[t.rank - 3] == h && t.axes[t.rank - 2] == w && t.axes[t.rank - 1] == c;
}

// True if the axes before the last three are the same, in the same order.
[[nodiscard]] constexpr bool same_batch(const tensor_type& a, const tensor_type& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank - 3; ++i)
    if (a.axes[i] != b.axes[i]) return false;
  return true;
}

constexpr fault batch_then(const tensor_type& from, int dropped, const axis_info* const* last, int n, tensor_type& out) {
  out.rank = 0;
  out.element = from.element;
  for (int i = 0; i < from.rank - dropped; ++i) out.push(from.axes[i]);
  for (int i = 0; i < n; ++i)
    if (fault f = extend(out, last[i]); f != fault::none) return f;
  return fault::none;
}

constexpr fault convolution(const operation& o, tensor_type& out) {
  const tensor_type &a = o.operands[0], &b = o.operands[1];
  const array_view<const axis_info*> x = o.axes;  // xh xw kh kw cx cw oh ow co
  if (a.stack || b.stack) return fault::stacked;
  if (a.element != b.element) return fault::dtypes_differ;
  if (!is_floating(a.element)) return fault::needs_floating;
  auto weight = [&](const tensor_type& w) {
    return w.rank == 4 && w.axes[0] == x[8] && w.axes[1] == x[2] && w.axes[2] == x[3] && w.axes[3] == x[5];
  };
  if (o.code == op::conv) {
    if (!image(a, x[0], x[1], x[4]) || !weight(b)) return fault::image_layout;
    if (x[4]->extent != dynamic && x[5]->extent != dynamic &&
        x[4]->extent != x[5]->extent * static_cast<int>(o.data[6]))
      return fault::extents_clash;
    const axis_info* last[] = {x[6], x[7], x[8]};
    return batch_then(a, 3, last, 3, out);
  }
  if (o.code == op::conv_data) {
    if (!image(a, x[6], x[7], x[8]) || !weight(b)) return fault::image_layout;
    const axis_info* last[] = {x[0], x[1], x[4]};
    return batch_then(a, 3, last, 3, out);
  }
  if (!image(a, x[0], x[1], x[4]) || !image(b, x[6], x[7], x[8]) || !same_batch(a, b)) return fault::image_layout;
  out.element = a.element;
  const axis_info* last[] = {x[8], x[2], x[3], x[5]};
  for (const axis_info* l : last)
    if (fault f = extend(out, l); f != fault::none) return f;
  return fault::none;
}

constexpr fault pooling(const operation& o, tensor_type& out) {
  const tensor_type& in = o.operands[0];
  const array_view<const axis_info*> x = o.axes;  // xh xw oh ow
  if (in.stack) return fault::stacked;
  if (!is_floating(in.element)) return fault::needs_floating;
  if (in.rank < 3) return fault::image_layout;
  const axis_info* c = in.axes[in.rank - 1];
  bool small = o.code == op::pool_mean_put;
  if (!image(in, small ? x[2] : x[0], small ? x[3] : x[1], c)) return fault::image_layout;
  if (o.code == op::pool_take || o.code == op::pool_put) {
    const tensor_type& u = o.operands[1];
    if (u.element != in.element) return fault::dtypes_differ;
    if (!image(u, o.code == op::pool_put ? x[2] : x[0], o.code == op::pool_put ? x[3] : x[1], c) ||
        !same_batch(in, u))
      return fault::image_layout;
  }
  bool large = o.code == op::pool_put || o.code == op::pool_mean_put;
  const axis_info* last[] = {large ? x[0] : x[2], large ? x[1] : x[3], c};
  return batch_then(in, 3, last, 3, out);
}

constexpr fault ordering(const operation& o, tensor_type& out) {
  out = o.operands[0];
  if (out.stack) return fault::stacked;
  if (out.element == dtype::boolean || out.element == dtype::key) return fault::needs_number;
  if (!out.has(o.axes[0])) return fault::axis_missing;
  if (o.code == op::cumsum) return fault::none;
  out.element = dtype::int32;
  return replace(out, o.axes[0], o.axes[1]);
}

constexpr fault indexing(const operation& o, tensor_type& out) {
  const tensor_type &a = o.operands[0], &b = o.operands[1];
  if (a.stack || b.stack) return fault::stacked;
  if (o.code == op::gather) {  // the index's axes stand where the axis stood
    if (!is_integer(b.element)) return fault::needs_integer;
    int at = a.find(o.axes[0]);
    if (at < 0) return fault::axis_missing;
    if (b.has(o.axes[0])) return fault::axis_twice;
    out.element = a.element;
    out.rank = 0;
    for (int i = 0; i < a.rank; ++i) {
      if (i == at) {
        for (int k = 0; k < b.rank; ++k)
          if (!a.has(b.axes[k]))
            if (fault f = extend(out, b.axes[k]); f != fault::none) return f;
      } else if (fault f = extend(out, a.axes[i]); f != fault::none) {
        return f;
      }
    }
    return fault::none;
  }
  if (!is_integer(a.element)) return fault::needs_integer;
  out.element = b.element;
  if (fault f = listed(o.axes, 1, out); f != fault::none) return f;
  if (!out.has(o.axes[0])) return fault::axis_missing;
  if (a.has(o.axes[0]) || b.has(o.axes[0])) return fault::axis_twice;
  return fault::none;
}

constexpr fault in_range(const operation& o, tensor_type& out) {
  const int operands = o.operands.size();
  if (operands != 1 && operands != 2) return fault::operands_clash;
  if (operands == 2 && (o.operands[1].rank > 0 || o.operands[1].element != dtype::int64)) return fault::operands_clash;
  out = o.operands[0];
  if (out.stack) return fault::stacked;
  if (!is_integer(out.element)) return fault::needs_integer;
  return fault::none;
}

constexpr fault attention(const operation& o, tensor_type& out) {
  const operand_types& in = o.operands;
  const attention_operands at(o.code, in.size());
  if (!at.fit) return fault::operands_clash;
  const axis_info *key = o.axes[0], *dim = o.axes[1], *position = o.axes[2];
  const tensor_type &q = in[0], &k = in[1];
  for (int i = 0; i < in.size(); ++i)
    if (in[i].stack) return fault::stacked;
  if (!is_floating(q.element)) return fault::needs_floating;
  if (k.element != q.element) return fault::dtypes_differ;
  if (!q.has(dim) || !k.has(dim) || !k.has(key) || (position != key && !q.has(position))) return fault::axis_missing;
  if (q.has(key) || (position != key && k.has(position))) return fault::axis_twice;
  for (int i = 0; i < k.rank; ++i)
    if (k.axes[i] != key && !q.has(k.axes[i])) return fault::axis_missing;
  auto alike = [](const tensor_type& a, const tensor_type& b) { return a.rank == b.rank && within(a, b); };
  const dtype sums = attention_sums(q.element);
  tensor_type scores, rows;  // q without dim, with key and without
  for (int i = 0; i < q.rank; ++i)
    if (q.axes[i] != dim)
      if (fault f = extend(rows, q.axes[i]); f != fault::none) return f;
  scores = rows;
  if (fault f = extend(scores, key); f != fault::none) return f;
  rows.element = sums;
  if (at.value >= 0) {
    if (in[at.value].element != q.element) return fault::dtypes_differ;
    if (!alike(in[at.value], k)) return fault::axis_missing;
  }
  if (at.cotangent >= 0) {
    if (in[at.cotangent].element != q.element) return fault::dtypes_differ;
    if (!alike(in[at.cotangent], q)) return fault::axis_missing;
    const int of_rows[] = {at.statistics, at.delta};
    for (int i : of_rows) {
      if (in[i].element != sums) return fault::dtypes_differ;
      if (!alike(in[i], rows)) return fault::axis_missing;
    }
  }
  if (at.mask >= 0) {
    const tensor_type& mask = in[at.mask];
    if (mask.element != dtype::boolean && mask.element != q.element) return fault::dtypes_differ;
    if (!within(mask, scores)) return fault::axis_missing;
  }
  switch (o.code) {
    case op::attend_statistics: out = rows; break;
    case op::attend_key:
    case op::attend_value: out = in[o.code == op::attend_key ? 1 : at.value]; break;
    default: out = q;
  }
  return fault::none;
}

}  // namespace rule

// The type of what an operation gives, or why it is refused. A call has no type of its own; its results have.
constexpr fault infer(const operation& o, tensor_type& out) {
  out = tensor_type{};
  const auto arity = op_table[static_cast<int>(o.code)].arity;
  if (arity >= 0 && arity != o.operands.size()) return fault::operands_clash;
  switch (o.code) {
    case op::leaf: out = o.leaf->type; return fault::none;
    case op::constant: out.element = static_cast<dtype>(o.data[1]); return fault::none;
    case op::extent: out.element = static_cast<dtype>(o.data[0]); return fault::none;
    case op::iota:
      out.element = static_cast<dtype>(o.data[0]);
      out.push(o.axes[0]);
      return fault::none;
    case op::uniform:
    case op::normal:
      if (o.operands[0].element != dtype::key) return fault::needs_key;
      out.element = static_cast<dtype>(o.data[1]);
      if (!is_floating(out.element)) return fault::needs_floating;
      return rule::listed(o.axes, 0, out);
    case op::contract: return rule::contraction(o, out);
    case op::conv: case op::conv_data: case op::conv_weight: return rule::convolution(o, out);
    case op::pool_take: case op::pool_put: case op::pool_mean: case op::pool_mean_put: return rule::pooling(o, out);
    case op::gather: case op::scatter_add: return rule::indexing(o, out);
    case op::cumsum: case op::top: return rule::ordering(o, out);
    case op::in_range: return rule::in_range(o, out);
    case op::attend: case op::attend_statistics: case op::attend_query: case op::attend_key: case op::attend_value:
      return rule::attention(o, out);
    case op::call: {
      rule::axis_map map;
      return rule::call(o, map);
    }
    default: break;
  }
  switch (kind_of(o.code)) {
    case op_kind::reduction: return rule::reduction(o, out);
    case op_kind::movement: return rule::movement(o, out);
    default: return rule::elementwise(o, out);
  }
}

}  // namespace flame
