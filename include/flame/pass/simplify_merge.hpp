// Elementwise operations before merges of axes instead of behind them.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame::identity {

// f(merge(x), y) = merge(f(x, split(y))) for elementwise f and a computed x, where splitting each other
// operand moves nothing: it has not the merged axis, or lies in memory, or is merged of the same parts. What
// is made of parts is then one kernel with what follows, and the merge a view at its end: group norm, scale,
// SiLU. simplest(g, n) is what the rules make of a new node.
constexpr int merged_outside(graph& g, int n, int (*simplest)(graph&, int)) {
  const node o = g[n];
  int first = -1;
  for (int i = 0; i < o.arg_count && first < 0; ++i) {
    const int x = g.arg(n, i);
    if (g.is(x, op::merge) && is_elementwise(g[g.arg(x, 0)].code)) first = x;
  }
  if (first < 0) return -1;
  const list<const axis_info*> parts(g.axes_of(first));
  const axis_info* to = parts.back();
  list<const axis_info*> apart;  // to, then its parts: a split
  apart.push(to);
  for (int i = 0; i + 1 < parts.size(); ++i) apart.push(parts[i]);
  auto in_memory = [&](int x) {
    while (kind_of(g[x].code) == op_kind::movement && g[x].arg_count == 1 && !g.is(x, op::broadcast))
      x = g.arg(x, 0);
    const op_kind k = kind_of(g[x].code);
    return g.is(x, op::leaf) || g.is(x, op::result) || k == op_kind::library;
  };
  auto same_parts = [&](int x) {
    if (!g.is(x, op::merge) || g[x].axis_count != parts.size()) return false;
    for (int i = 0; i < parts.size(); ++i)
      if (g.axis(x, i) != parts[i]) return false;
    return true;
  };
  for (int i = 0; i < o.arg_count; ++i) {
    const int y = g.arg(n, i);
    if (g.type(y).stack || (g.type(y).has(to) && !same_parts(y) && !in_memory(y))) return -1;
    for (int k = 0; k + 1 < parts.size(); ++k)
      if (!same_parts(y) && g.type(y).has(parts[k])) return -1;
    if (!same_parts(y) && g.type(y).has(to) && g.type(y).rank + parts.size() - 2 > max_rank) return -1;
  }
  int in[3] = {};
  for (int i = 0; i < o.arg_count; ++i) {
    const int y = g.arg(n, i);
    in[i] = same_parts(y)       ? g.arg(y, 0)
            : g.type(y).has(to) ? simplest(g, g.with_axes(op::split, y, apart))
                                : y;
  }
  const int made = simplest(g, g.put(o.code, {in, o.arg_count}, {}, g.numbers_of(n)));
  const tensor_type& t = g.type(made);
  for (int i = 0; i < t.rank; ++i)
    if (t.axes[i] == parts[0]) {
      for (int k = 0; k + 1 < parts.size(); ++k)
        if (i + k >= t.rank || t.axes[i + k] != parts[k]) return -1;
      return g.with_axes(op::merge, made, parts);
    }
  return -1;
}

}  // namespace flame::identity
