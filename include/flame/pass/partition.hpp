// Partition: which values of the forward are kept for the backward, and which the backward makes anew.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame {

namespace flow {

// Maximum flow (Dinic 1970) on small networks, without recursion.
struct network {
  list<int> head;      // by vertex: its last edge
  list<int> next, to;  // by edge; edge e ^ 1 is e in the other direction
  list<i64> room;
  list<int> level, at;

  constexpr int vertex() { return head.push(-1); }
  constexpr void edge(int a, int b, i64 capacity) {
    next.push(head.items[a]), to.push(b), room.push(capacity), head.items[a] = to.count - 1;
    next.push(head.items[b]), to.push(a), room.push(0), head.items[b] = to.count - 1;
  }
  constexpr bool levels(int source, int sink) {
    list<int> queue;
    queue.reserve(head.count);
    for (int& l : level) l = -1;
    queue.push(source);
    level.items[source] = 0;
    for (int i = 0; i < queue.count; ++i) {
      const int n = queue.items[i];
      for (int e = head.items[n]; e >= 0; e = next.items[e])
        if (room.items[e] > 0 && level.items[to.items[e]] < 0) {
          level.items[to.items[e]] = level.items[n] + 1;
          queue.push(to.items[e]);
        }
    }
    return level.items[sink] >= 0;
  }
  constexpr void run(int source, int sink) {
    level.resize(head.count);
    while (levels(source, sink)) {
      at = head;
      list<int> path;  // edges
      int n = source;
      for (;;) {
        if (n == sink) {
          i64 least = room[path[0]];
          for (int e : path)
            if (room.items[e] < least) least = room.items[e];
          for (int e : path) room.items[e] -= least, room.items[e ^ 1] += least;
          path.clear();
          n = source;
          continue;
        }
        int e = at.items[n];
        while (e >= 0 && !(room.items[e] > 0 && level.items[to.items[e]] == level.items[n] + 1))
          e = next.items[e];
        at.items[n] = e;
        if (e >= 0) {
          path.push(e);
          n = to.items[e];
        } else if (n == source) {
          break;
        } else {
          e = path.back();
          path.pop();
          n = to.items[e ^ 1];
          at.items[n] = next.items[e];
        }
      }
    }
  }
  // After run: on the source's side of the minimum cut.
  [[nodiscard]] constexpr bool reached(int n) const { return level.items[n] >= 0; }
};

}  // namespace flow

// Never kept: made anew from nothing, or from what is kept anyway.
[[nodiscard]] constexpr bool is_free(op code) {
  return code == op::constant || code == op::extent || code == op::iota || code == op::broadcast ||
         code == op::uniform || code == op::normal || code == op::fold;
}
// Bytes of a value, an axis known only at run time counted as 64.
[[nodiscard]] constexpr i64 estimated_bytes(const tensor_type& t) {
  i64 n = size_of(t.element);
  for (int i = 0; i < t.rank; ++i)
    n *= t.axes[i]->extent == dynamic ? 64 : t.axes[i]->extent > 0 ? t.axes[i]->extent : 1;
  return n;
}

// Never made anew under `cut`: library operations and calls, but for batched products that are larger than
// both of their operands together. Those are attention's scores: quadratic in the number of tokens, and
// little work for each byte.
[[nodiscard]] constexpr bool is_costly(const graph& g, int n) {
  const op code = g.nodes.items[n].code;
  const op_kind k = kind_of(code);
  if (k != op_kind::library && k != op_kind::function) return false;
  if (code != op::contract) return true;
  const tensor_type &t = g.type(n), &a = g.type(g.arg(n, 0)), &b = g.type(g.arg(n, 1));
  bool batched = false;
  for (int i = 0; i < t.rank; ++i) batched = batched || (a.has(t.axes[i]) && b.has(t.axes[i]));
  return !batched || estimated_bytes(t) <= estimated_bytes(a) + estimated_bytes(b);
}

namespace detail {

// The minimum cut between what can be had only by keeping something (costly values, operands that the
// backward is not given) and what the backward reads. free: by node, made anew from nothing that has to be
// kept.
constexpr void cut(const graph& g, const list<u8>& reading, const list<u8>& free, list<u8>& kept) {
  constexpr i64 infinite = 1ll << 60;
  flow::network net;
  const int source = net.vertex(), sink = net.vertex();
  list<u8> wanted = reading;  // read, or made into something that is
  for (int n = g.size() - 1; n >= 0; --n)
    if (wanted.items[n] && !free.items[n] && !is_costly(g, n))
      for (int x : g.args_of(n)) wanted.items[x] = 1;
  list<int> before, after;  // by node: the vertices of what it is made from and of its value
  before.resize(g.size(), -1);
  after.resize(g.size(), -1);
  for (int n = 0; n < g.size(); ++n) {
    if (!wanted.items[n] || free.items[n]) continue;
    const op code = g.nodes.items[n].code;
    if (code == op::leaf || is_costly(g, n)) {
      before.items[n] = source;
    } else {
      int made_from = 0;
      for (int x : g.args_of(n))
        if (!free.items[x]) ++made_from, before.items[n] = after.items[x];
      if (made_from > 1) {
        before.items[n] = net.vertex();
        for (int x : g.args_of(n))
          if (!free.items[x]) net.edge(after.items[x], before.items[n], infinite);
      }
    }
    if (code == op::call || is_free(code)) {
      after.items[n] = before.items[n];
    } else {
      after.items[n] = net.vertex();
      net.edge(before.items[n], after.items[n], estimated_bytes(g.type(n)));
    }
    if (reading.items[n] && after.items[n] != source) net.edge(after.items[n], sink, infinite);
  }
  net.run(source, sink);
  for (int n = 0; n < g.size(); ++n)
    kept.items[n] =
        before.items[n] != after.items[n] && net.reached(before.items[n]) && !net.reached(after.items[n]);
}

}  // namespace detail

// The nodes to keep. g: a joint graph whose first `values` outputs are the forward's and whose other outputs
// are gradients. held: leaves that the backward is given anyway.
[[nodiscard]] constexpr list<int> partition(const graph& g, int values, const list<u8>& held, keep policy) {
  list<u8> forward, reading, free, kept;
  forward.resize(g.size(), 0);
  reading.resize(g.size(), 0);
  free.resize(g.size(), 0);
  kept.resize(g.size(), 0);
  for (int i = 0; i < values; ++i) forward[g.outputs[i]] = 1;
  for (int i = values; i < g.outputs.size(); ++i) reading[g.outputs[i]] = 1;
  for (int n = g.size() - 1; n >= 0; --n)
    if (forward.items[n])
      for (int x : g.args_of(n)) forward.items[x] = 1;
  // What a call of the forward keeps is the forward's too, and so is what is costly and made of the forward's
  // values alone: attention's statistics, which it makes on its way.
  for (int n = 0; n < g.size(); ++n) {
    if (forward.items[n] || g[n].arg_count == 0 || !(g.is(n, op::result) || is_costly(g, n))) continue;
    bool all = true;
    for (int x : g.args_of(n)) all = all && forward.items[x];
    forward.items[n] = all;
  }
  // What the backward reads: it is made of all that is no value of the forward's.
  for (int n = g.size() - 1; n >= 0; --n) {
    if (!reading.items[n]) continue;
    if (!forward.items[n])
      for (int x : g.args_of(n)) reading.items[x] = 1;
  }
  for (int n = 0; n < g.size(); ++n)
    if (!forward.items[n]) reading.items[n] = 0;
  if (policy == keep::cut) {
    for (int n = 0; n < g.size(); ++n) {
      const op code = g.nodes.items[n].code;
      u8 all = code == op::leaf ? held.items[n] : !is_costly(g, n);
      for (int x : g.args_of(n)) all = all && free.items[x];
      free.items[n] = all;
    }
    detail::cut(g, reading, free, kept);
  } else {
    for (int n = g.size() - 1; n >= 0; --n) {
      if (!reading.items[n]) continue;
      const op code = g.nodes.items[n].code;
      if (code == op::leaf)
        kept.items[n] = !held.items[n];
      else if (policy == keep::all && !is_free(code) && code != op::call)
        kept.items[n] = 1;
      else
        for (int x : g.args_of(n)) reading.items[x] = 1;
    }
  }
  list<int> nodes;
  for (int n = 0; n < g.size(); ++n)
    if (kept.items[n]) nodes.push(n);
  return nodes;
}

}  // namespace flame
