// Views: located tensors made of others by other axes, extents, strides and offsets, in the same memory.
#pragma once
#include <flame/plan/program.hpp>

namespace flame::planning {

// Row-major, in the order of the type's axes.
[[nodiscard]] inline located contiguous(const tensor_type& t, const extents& e, int buffer, i64 offset = 0) {
  located l;
  l.element = t.element;
  l.buffer = buffer, l.offset = offset;
  l.rank = t.rank;
  i64 stride = 1;
  for (int i = t.rank - 1; i >= 0; --i) {
    l.axes[i] = t.axes[i];
    l.extents[i] = e[t.axes[i]];
    l.strides[i] = stride;
    stride *= l.extents[i];
  }
  return l;
}

// A tensor like this one in memory of its own, row-major, of which only the buffer is not known yet.
[[nodiscard]] inline located row_major(const located& like) {
  located dense = like;
  i64 stride = 1;
  for (int i = dense.rank - 1; i >= 0; --i) dense.strides[i] = stride, stride *= dense.extents[i];
  dense.offset = 0;
  dense.zero = false;
  dense.buffer = -1;
  return dense;
}

inline void take_axis(located& to, int i, const located& from, int k) {
  to.axes[i] = from.axes[k], to.extents[i] = from.extents[k], to.strides[i] = from.strides[k];
}

// The same tensor with its axes in the order of the type's.
[[nodiscard]] inline located in_order(const tensor_type& t, const located& at) {
  located l = at;
  for (int i = 0; i < t.rank; ++i) take_axis(l, i, at, at.find(t.axes[i]));
  return l;
}

// Part of a tensor along an axis, which has another name there.
[[nodiscard]] inline located part_of(const located& whole, const axis_info* axis, const axis_info* name,
                                     i64 begin, i64 step, i64 extent) {
  located part = whole;
  const int at = whole.find(axis);
  part.axes[at] = name, part.extents[at] = extent;
  part.offset += begin * whole.strides[at];
  part.strides[at] = step * whole.strides[at];
  return part;
}

// Whether node n of g, if it merges axes, merges such as lie one within the other in `from`: else it is no
// view. Where there is one element, strides say nothing.
[[nodiscard]] inline bool merges_in_place(const graph& g, int n, const located& from) {
  if (!g.is(n, op::merge) || from.zero) return true;
  const int parts = g[n].axis_count - 1, at = from.find(g.axis(n, 0));
  for (int k = 0, outer = -1; k < parts; ++k) {
    if (from.extents[at + k] == 1) continue;
    if (outer >= 0 && from.strides[at + outer] != from.strides[at + k] * from.extents[at + k]) return false;
    outer = k;
  }
  return true;
}

// Node n of g, a movement, of the tensor `from`. e: the extents of the call.
[[nodiscard]] inline located view_of(const graph& g, int n, const extents& e, const located& from) {
  located l = from;
  switch (g[n].code) {
    case op::permute:
      for (int i = 0; i < l.rank; ++i) take_axis(l, i, from, from.find(g.axis(n, i)));
      return l;
    case op::rename: l.axes[l.find(g.axis(n, 0))] = g.axis(n, 1); return l;
    case op::split: {
      int at = from.find(g.axis(n, 0)), parts = g[n].axis_count - 1;
      l.rank = from.rank + parts - 1;
      for (int i = from.rank - 1; i > at; --i) take_axis(l, i + parts - 1, from, i);
      i64 stride = from.strides[at];
      for (int k = parts - 1; k >= 0; --k) {
        l.axes[at + k] = g.axis(n, k + 1);
        l.extents[at + k] = e[g.axis(n, k + 1)];
        l.strides[at + k] = stride;
        stride *= l.extents[at + k];
      }
      return l;
    }
    case op::merge: {
      int parts = g[n].axis_count - 1, at = from.find(g.axis(n, 0));
      int inner = parts - 1;
      i64 all = 1;
      for (int k = 0; k < parts; ++k) {
        all *= from.extents[at + k];
        if (from.extents[at + k] != 1) inner = k;
      }
      l.rank = from.rank - parts + 1;
      l.axes[at] = g.axis(n, parts);
      l.extents[at] = all;
      l.strides[at] = from.strides[at + inner];
      for (int i = at + parts; i < from.rank; ++i) take_axis(l, i - parts + 1, from, i);
      return l;
    }
    default: {  // slice
      int at = l.find(g.axis(n, 0));
      i64 begin = static_cast<i64>(g.number(n, 0)), step = static_cast<i64>(g.number(n, 1));
      for (int k = 2; k < g[n].axis_count; ++k) begin += e[g.axis(n, k)];
      l.axes[at] = g.axis(n, 1);
      l.extents[at] = e[g.axis(n, 1)];
      l.offset += begin * from.strides[at];
      l.strides[at] = step * from.strides[at];
      return l;
    }
  }
}

// The other way round: where the operand of the view n must stand for n to stand at `at`; no buffer where
// that cannot be.
[[nodiscard]] inline located below_view(const graph& g, int n, const extents& e, const located& at) {
  const int last = g[n].axis_count - 1;
  located l = contiguous(g.type(g.arg(n, 0)), e, -1);
  for (int i = 0; i < l.rank; ++i) {
    const axis_info* a = l.axes[i];  // as the view calls it
    i64 steps = 1;                   // what a step along it is there
    if (g.is(n, op::rename)) {
      if (a == g.axis(n, 0)) a = g.axis(n, 1);
    } else if (g.is(n, op::split)) {  // into axes of which one has all elements
      if (a == g.axis(n, 0)) {
        a = g.axis(n, last);
        for (int k = 1; k <= last && e[a] != l.extents[i]; ++k) a = g.axis(n, k);
        if (e[a] != l.extents[i]) return l;
      }
    } else if (g.is(n, op::merge)) {
      int part = 0;
      while (part < last && g.axis(n, part) != l.axes[i]) ++part;
      if (part < last) a = g.axis(n, last);
      for (int k = part + 1; k < last; ++k) steps *= e[g.axis(n, k)];
    } else if (!g.is(n, op::permute)) {
      return l;
    }
    l.strides[i] = at.strides[at.find(a)] * steps;
  }
  l.buffer = at.buffer, l.offset = at.offset;
  return l;
}

}  // namespace flame::planning
