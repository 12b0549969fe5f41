// Which nodes become one kernel. Near-linear: one walk from the outputs, groups joined by union-find.
//
// Every step has a height, greater than that of every step that reads it; steps of one height do not depend
// on each other. A node joins the groups of its highest readers, and so joins them with each other, where
// their iteration spaces fit; else it begins a group one higher. Reductions over trailing axes (rows) may
// stand between pointwise nodes; other reductions (columns, totals) end a group and join the one that
// computes their operand. At last, a group joins the one that makes what it reads, where that stores no more.
#pragma once
#include <flame/graph/graph.hpp>
#include <flame/plan/group.hpp>

namespace flame {

// How a node's value comes to be.
enum class making : u8 {
  dead,
  leaf,       // given
  immediate,  // constant, extent, iota: made where it is read
  uniform,    // a scalar's arithmetic: made where it is read
  alias,      // permute, broadcast: for an elementwise reader the same value; else a view, or a copy
  view,       // rename, split, merge, slice: the operand's memory under other axes
  fused,      // pointwise or a reduction: part of a group
  again,      // pointwise: made in every group that reads it
  library,    // a step of its own
  call,       // a step of its own; its results are views
};

namespace fusing {

[[nodiscard]] constexpr bool is_pointwise(const graph& g, int n) {
  return is_elementwise(g[n].code) || kind_of(g[n].code) == op_kind::random;
}
[[nodiscard]] constexpr bool is_reduction(const graph& g, int n) {
  return kind_of(g[n].code) == op_kind::reduction;
}

// The value that an elementwise reader means: order and repetition of axes are the iteration space's affair.
[[nodiscard]] constexpr int meant(const graph& g, int n) {
  while (g.is(n, op::permute) || g.is(n, op::broadcast)) n = g.arg(n, 0);
  return n;
}
[[nodiscard]] constexpr bool equal_sets(const tensor_type& a, const tensor_type& b) {
  return a.rank == b.rank && within(a, b);
}
[[nodiscard]] constexpr tensor_type minus(const tensor_type& a, const tensor_type& b) {
  tensor_type r;
  for (int i = 0; i < a.rank; ++i)
    if (!b.has(a.axes[i])) r.push(a.axes[i]);
  return r;
}

// True if the axes of `last` are the last of t.
[[nodiscard]] constexpr bool trailing(const tensor_type& t, const tensor_type& last) {
  for (int i = 0; i < t.rank; ++i)
    if (last.has(t.axes[i]) != (i >= t.rank - last.rank)) return false;
  return true;
}

// What the members of a group have in common.
struct space {
  tensor_type all;      // the iteration space
  tensor_type inner;    // rows: the trailing axes that are reduced in the middle
  tensor_type columns;  // what column reductions sum over
  bool has_inner = false, has_columns = false, has_total = false,
       repeats = false;  // repeats: a total of what lacks axes of its operand's type
};

// The space of two groups that become one.
[[nodiscard]] constexpr bool join(const space& a, const space& b, space& out) {
  if (a.has_inner && b.has_inner && !equal_sets(a.inner, b.inner)) return false;
  if (a.has_columns && b.has_columns && !equal_sets(a.columns, b.columns)) return false;
  out = a.has_inner || !b.has_inner ? a : b;
  if (a.has_columns || b.has_columns)
    out.columns = a.has_columns ? a.columns : b.columns, out.has_columns = true;
  if (!equal_sets(a.all, b.all)) {
    // The smaller one must live on the rows of the larger one.
    const space &large = a.all.rank > b.all.rank ? a : b, &small = a.all.rank > b.all.rank ? b : a;
    if (small.has_inner || small.has_columns || small.all.rank == 0) return false;
    tensor_type rest = minus(large.all, small.all);
    if (large.has_inner ? !equal_sets(rest, large.inner) : !trailing(large.all, rest)) return false;
    if (small.all.rank + rest.rank != large.all.rank) return false;
    out.all = large.all, out.inner = rest, out.has_inner = true;
  }
  if (out.has_inner && out.has_columns && !equal_sets(minus(out.all, out.inner), out.columns)) return false;
  out.has_total = a.has_total || b.has_total, out.repeats = a.repeats || b.repeats;
  if (out.repeats && out.has_inner) return false;
  if (out.has_total && out.has_columns) {
    int last = -1;
    for (int i = 0; i < out.all.rank; ++i)
      if (out.columns.has(out.all.axes[i])) last = i;
    for (int i = 0; i < last; ++i)
      if (!out.columns.has(out.all.axes[i])) return false;
  }
  return true;
}

struct state {
  const graph& g;
  list<making> how;
  list<list<int>> readers;  // by node; an elementwise reader of an alias reads what is meant
  list<u8> output, row, waiting;
  list<int> group_of, height;  // by node; height of a fused node is its group's
  list<space> spaces;          // by group
  list<int> parent, group_height;

  constexpr int find(int q) {
    while (parent[q] != q) q = parent[q] = parent[parent[q]];
    return q;
  }
  constexpr int found(const space& s, int at) {
    spaces.push(s);
    group_height.push(at);
    return parent.push(parent.size());
  }

  // again: by node, what is made where it is read (see recomputed); none where it is empty.
  constexpr explicit state(const graph& graph_, const list<u8>& again = {}) : g(graph_) {
    const int n = g.size();
    how.resize(n, making::dead);
    readers.resize(n);
    output.resize(n, 0), row.resize(n, 0), waiting.resize(n, 0);
    group_of.resize(n, -1), height.resize(n, 0);
    list<u8> alive;
    alive.resize(n, 0);
    for (int o : g.outputs) alive[o] = output[o] = 1;
    for (int i = n - 1; i >= 0; --i)
      if (alive[i])
        for (int k = 0; k < g[i].arg_count; ++k) alive[g.arg(i, k)] = 1;
    for (int i = 0; i < n; ++i)
      if (alive[i]) how[i] = again.size() && again[i] ? making::again : making_of(i);
    for (int i = 0; i < n; ++i) {
      if (!alive[i]) continue;
      bool computes = how[i] == making::fused || how[i] == making::uniform || how[i] == making::again;
      for (int k = 0; k < g[i].arg_count; ++k) {
        int a = computes ? meant(g, g.arg(i, k)) : g.arg(i, k);
        if (readers[a].empty() || readers[a].back() != i) readers[a].push(i);
      }
    }
    for (int i = 0; i < n; ++i)
      if (how[i] == making::fused && is_reduction(g, i)) row[i] = is_row(i);
  }

  constexpr making making_of(int n) const {
    switch (g[n].code) {
      case op::leaf: return making::leaf;
      case op::constant:
      case op::extent:
      case op::iota: return making::immediate;
      case op::permute:
      case op::broadcast: return making::alias;
      case op::rename:
      case op::split:
      case op::merge:
      case op::slice:
      case op::result: return making::view;
      case op::call: return making::call;
      default: break;
    }
    if (g.type(n).stack) return making::library;  // a sum, instance by instance
    if (is_pointwise(g, n)) return g.type(n).rank == 0 ? making::uniform : making::fused;
    return is_reduction(g, n) ? making::fused : making::library;
  }

  // The reduced axes are the operand's last, and something is left, or the result comes back to the operand's
  // axes.
  constexpr bool is_row(int n) const {
    const tensor_type& t = g.type(g.arg(n, 0));
    tensor_type over = reduced_by(n);
    if (!trailing(t, over)) return false;
    if (over.rank < t.rank) return true;
    list<int> walk;
    walk.push(n);
    for (int i = 0; i < walk.size() && i < 32; ++i)
      for (int r : readers[walk[i]]) {
        if (how[r] == making::fused && equal_sets(g.type(r), t)) return true;
        if (how[r] == making::uniform && !walk.has(r)) walk.push(r);
      }
    return false;
  }
  constexpr tensor_type reduced_by(int n) const {
    tensor_type r;
    for (int k = 0; k < g[n].axis_count; ++k) r.push(g.axis(n, k));
    return r;
  }
  constexpr space space_of(int n) const {
    space s;
    s.all = is_reduction(g, n) ? g.type(g.arg(n, 0)) : g.type(n);
    if (is_reduction(g, n)) {
      tensor_type over = reduced_by(n);
      if (row[n])
        s.inner = over, s.has_inner = true;
      else if (over.rank < s.all.rank)
        s.columns = over, s.has_columns = true;
      else
        s.has_total = true, s.repeats = !equal_sets(g.type(meant(g, g.arg(n, 0))), s.all);
    }
    return s;
  }

  // What reader r asks of the height of what it reads, if they do not share a step.
  constexpr int above(int r) {
    if (how[r] == making::view || how[r] == making::alias || how[r] == making::uniform ||
        how[r] == making::again)
      return height[r];
    return (how[r] == making::fused ? group_height[find(group_of[r])] : height[r]) + 1;
  }

  constexpr void run() {
    for (int n = g.size() - 1; n >= 0; --n) {
      if (how[n] == making::dead) continue;
      if (how[n] == making::fused && is_reduction(g, n) && !row[n]) {
        height[n] = 0;
        for (int r : readers[n]) raise(height[n], waiting[r] ? height[r] + 1 : above(r));
        int operand = meant(g, g.arg(n, 0));
        if (how[operand] == making::fused && (!is_reduction(g, operand) || row[operand]) &&
            equal_sets(g.type(operand), g.type(g.arg(n, 0))))
          waiting[n] = 1;  // for the group that computes its operand
        else
          group_of[n] = found(space_of(n), height[n]);
        continue;
      }
      if (how[n] != making::fused) {
        for (int r : readers[n]) raise(height[n], above(r));
        continue;
      }
      while (!settle(n)) {
      }
    }
    for (int n = 0; n < g.size(); ++n)
      if (how[n] == making::fused && is_reduction(g, n) && !row[n]) share(n);
    absorb();
  }

  // Groups that stand lower than they need: one joins the group that makes what it reads, if no more values
  // have to be stored then. (A gradient's operands, of which the gradient itself is wanted earlier.)
  constexpr void absorb() {
    list<list<int>> members;
    members.resize(spaces.size());
    for (int n = 0; n < g.size(); ++n)
      if (how[n] == making::fused) members[find(group_of[n])].push(n);
    for (int n = 0; n < g.size(); ++n) {
      if (how[n] != making::fused) continue;
      const int from = find(group_of[n]);
      if (members[from].empty() || members[from][0] != n) continue;  // once for each group
      int into = -1;
      for (int m : members[from])
        for (int k = 0; k < g[m].arg_count; ++k) {
          const int a = meant(g, g.arg(m, k));
          if (how[a] != making::fused || find(group_of[a]) == from) continue;
          if (int q = find(group_of[a]); into < 0 || group_height[q] < group_height[into]) into = q;
        }
      space wider;
      if (into < 0 || !join(spaces[into], spaces[from], wider) ||
          !equal_sets(spaces[into].all, spaces[from].all))
        continue;
      int stored = 0, spared = 0;
      bool fits = true;
      for (int m : members[from]) {
        fits = fits && !(wider.has_inner && is_reduction(g, m) && !row[m] && batched(m));
        for (int k = 0; k < g[m].arg_count; ++k) fits = fits && made_before(g.arg(m, k), from, into);
        stored += output[m] || read_outside(m, from, from);
      }
      for (int m : members[into]) {
        fits = fits && !(wider.has_inner && is_reduction(g, m) && !row[m] && batched(m));
        spared += equal_sets(g.type(m), spaces[into].all) && !output[m] && !read_outside(m, into, from) &&
                  read_outside(m, into, into);
      }
      if (!fits || spared < stored) continue;
      parent[from] = into;
      spaces[into] = wider;
      members[into].append(members[from]);
      members[from].clear();
    }
  }
  // Whether group `into` may read n, an operand in group `from`: a value of one of the two, or one that is
  // there before.
  constexpr bool made_before(int n, int from, int into) {
    const int a = meant(g, n);
    switch (how[a]) {
      case making::leaf:
      case making::immediate: return true;
      case making::fused: {
        const int q = find(group_of[a]);
        if (q == into)
          return !is_reduction(g, a) || row[a];  // a column or total is there when the group has ended
        return q == from || group_height[q] > group_height[into];
      }
      case making::library:
      case making::call: return height[a] > group_height[into];
      case making::uniform:
      case making::again:
        for (int k = 0; k < g[a].arg_count; ++k)
          if (!made_before(g.arg(a, k), from, into)) return false;
        return true;
      default: {  // a view, whose operand must stand in memory
        const int of = g.arg(a, 0),
                  q = how[meant(g, of)] == making::fused ? find(group_of[meant(g, of)]) : -1;
        return (q < 0 || (q != from && q != into)) && made_before(of, from, into);
      }
    }
  }
  // Whether n, of group a, is read by anything but groups a and b.
  constexpr bool read_outside(int n, int a, int b) {
    for (int r : readers[n])
      if (how[r] != making::fused || (find(group_of[r]) != a && find(group_of[r]) != b)) return true;
    return false;
  }
  // A column sum of what is in memory joins a group that reads it too.
  constexpr void share(int n) {
    int operand = meant(g, g.arg(n, 0)), own = find(group_of[n]);
    if (how[operand] == making::fused || how[operand] == making::immediate) return;
    for (int r : readers[operand]) {
      if (how[r] != making::fused || find(group_of[r]) == own) continue;
      int q = find(group_of[r]);
      space wider;
      if (group_height[q] < group_height[own] || !equal_sets(spaces[q].all, spaces[own].all)) continue;
      if (!join(spaces[q], spaces[own], wider) || (wider.has_inner && batched(n))) continue;
      parent[own] = q;
      spaces[q] = wider;
      return;
    }
  }
  static constexpr void raise(int& h, int to) {
    if (to > h) h = to;
  }

  // Finds the group of node n; false if a waiting reader had to be given a group of its own first.
  constexpr bool settle(int n) {
    int need = 0, top = -1;
    for (int r : readers[n]) {
      bool shares = how[r] == making::fused && !waiting[r];
      int want = waiting[r] ? height[r] : shares ? group_height[find(group_of[r])] : above(r);
      raise(need, want);
      if (shares) raise(top, want);
    }
    space s = space_of(n);
    list<int> joined;
    bool joins = top >= 0 && top == need;
    if (joins)
      for (int r : readers[n]) {
        if (how[r] != making::fused || waiting[r]) continue;
        int q = find(group_of[r]);
        if (group_height[q] != need || joined.has(q)) continue;
        space wider;
        if (!join(s, spaces[q], wider)) {
          joins = false;
          break;
        }
        s = wider;
        joined.push(q);
      }
    if (!joins) {
      s = space_of(n);
      joined.clear();
      if (top == need && top >= 0) ++need;
    }
    for (int r : readers[n]) {
      if (!waiting[r]) continue;
      space wider;
      if (need >= height[r] && equal_sets(space_of(r).all, s.all) && join(s, space_of(r), wider) &&
          !(wider.has_inner && batched(r))) {
        s = wider;
        continue;
      }
      waiting[r] = 0;
      group_of[r] = found(space_of(r), height[r]);
      return false;
    }
    int q = joined.empty() ? found(s, need) : joined[0];
    for (int i = 1; i < joined.size(); ++i) parent[joined[i]] = q;
    spaces[q] = s;
    group_of[n] = q;
    for (int r : readers[n])
      if (waiting[r]) waiting[r] = 0, group_of[r] = q;
    return true;
  }

  // Kept axes stand before a reduced one.
  constexpr bool batched(int n) const { return batch_of(g.type(g.arg(n, 0)), reduced_by(n)).rank > 0; }
  static constexpr tensor_type batch_of(const tensor_type& t, const tensor_type& over) {
    tensor_type b;
    int last = -1;
    for (int i = 0; i < t.rank; ++i)
      if (over.has(t.axes[i])) last = i;
    for (int i = 0; i < last; ++i)
      if (!over.has(t.axes[i])) b.push(t.axes[i]);
    return b;
  }
};

}  // namespace fusing

}  // namespace flame
