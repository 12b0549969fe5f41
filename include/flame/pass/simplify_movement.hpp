// Identities of what moves elements, and of reductions over several axes: those whose right side is one node.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame::identity {

// Axes in the order of their ids: of a reduction, a set.
constexpr bool sort_axes(list<const axis_info*>& axes) {
  bool sorted = true;
  for (int i = 1; i < axes.size(); ++i) sorted = sorted && axes[i - 1]->id <= axes[i]->id;
  if (!sorted) sort(axes, by_id{});
  return !sorted;
}

// permute(permute(x)) = permute(x), permute to the order it has, rename there and back,
// broadcast(broadcast(x)), sum over no axes, sum(sum(x)) over all their axes, split(merge(x)) and
// merge(split(x)) of the same parts
constexpr int moving(graph& g, op code, int a, array_view<const axis_info*> axes) {
  auto rotated = [&](int n) {  // the parts of a split, then its axis, are those of a merge
    int k = axes.size();
    if (g[n].axis_count != k) return false;
    bool merge = code == op::merge;
    for (int i = 0; i + 1 < k; ++i)
      if (g.axis(n, merge ? i + 1 : i) != axes[merge ? i : i + 1]) return false;
    return g.axis(n, merge ? 0 : k - 1) == axes[merge ? k - 1 : 0];
  };
  const tensor_type& t = g.type(a);
  switch (code) {
    case op::permute:
    case op::broadcast: {
      if (t.rank == axes.size()) {
        bool equal = true;
        for (int i = 0; i < t.rank; ++i) equal = equal && t.axes[i] == axes[i];
        if (equal) return a;
        if (code == op::broadcast) return g.with_axes(op::permute, a, axes);
      }
      if (g.is(a, op::broadcast)) return g.with_axes(op::broadcast, g.arg(a, 0), axes);
      if (code == op::permute && g.is(a, op::permute)) return g.with_axes(op::permute, g.arg(a, 0), axes);
      return -1;
    }
    case op::rename:
      if (axes[0] == axes[1]) return a;
      if (g.is(a, op::rename) && g.axis(a, 1) == axes[0]) {
        if (g.axis(a, 0) == axes[1]) return g.arg(a, 0);
        const axis_info* both[] = {g.axis(a, 0), axes[1]};
        return g.with_axes(op::rename, g.arg(a, 0), both);
      }
      return -1;
    case op::split: return g.is(a, op::merge) && rotated(a) ? g.arg(a, 0) : -1;
    case op::merge: return g.is(a, op::split) && rotated(a) ? g.arg(a, 0) : -1;
    case op::sum:
    case op::prod:
    case op::max:
    case op::min: {
      if (axes.empty()) return a;
      list<const axis_info*> all(axes);
      if (g.is(a, code)) {
        all.append(g.axes_of(a));
        sort_axes(all);
        return g.with_axes(code, g.arg(a, 0), all);
      }
      return sort_axes(all) ? g.with_axes(code, a, all) : -1;
    }
    default: return -1;
  }
}

// slice(broadcast(x)) = broadcast(x) along an axis that x lacks, where the slice does not tell how long its
// axis is
constexpr int sliced(graph& g, int n) {
  const int a = g.arg(n, 0);
  if (!g.is(a, op::broadcast) || static_cast<i64>(g.number(n, 2)) != as_result ||
      g.type(g.arg(a, 0)).has(g.axis(n, 0)))
    return -1;
  const tensor_type t = g.type(n);
  return g.with_axes(op::broadcast, g.arg(a, 0), {t.axes, t.rank});
}

}  // namespace flame::identity
