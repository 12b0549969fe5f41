// Partition: which values of the forward are kept for the backward, and which the backward makes anew.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame {

// all: every value that the backward reads. cut: the minimum cut between what is costly and what the backward reads,
// weighed by bytes. inputs: nothing but the operands.
enum class keep : u8 { all, cut, inputs };

namespace flow {

// Maximum flow (Dinic 1970) on small graphs, without recursion.
struct network {
  list<int> head, next, to;
  list<i64> room;
  list<int> level, at;

  constexpr explicit network(int nodes) { head.resize(nodes, -1); }
  constexpr void edge(int a, int b, i64 capacity) {
    next.push(head[a]), to.push(b), room.push(capacity), head[a] = to.size() - 1;
    next.push(head[b]), to.push(a), room.push(0), head[b] = to.size() - 1;
  }
  constexpr bool levels(int source, int sink) {
    level.clear();
    level.resize(head.size(), -1);
    list<int> queue;
    queue.push(source);
    level[source] = 0;
    for (int i = 0; i < queue.size(); ++i)
      for (int e = head[queue[i]]; e >= 0; e = next[e])
        if (room[e] > 0 && level[to[e]] < 0) {
          level[to[e]] = level[queue[i]] + 1;
          queue.push(to[e]);
        }
    return level[sink] >= 0;
  }
  constexpr void run(int source, int sink) {
    while (levels(source, sink)) {
      at = head;
      list<int> path;  // edges
      int n = source;
      for (;;) {
        if (n == sink) {
          i64 least = room[path[0]];
          for (int e : path)
            if (room[e] < least) least = room[e];
          for (int e : path) room[e] -= least, room[e ^ 1] += least;
          path.clear();
          n = source;
          continue;
        }
        int e = at[n];
        while (e >= 0 && !(room[e] > 0 && level[to[e]] == level[n] + 1)) e = next[e];
        at[n] = e;
        if (e >= 0) {
          path.push(e);
          n = to[e];
        } else if (n == source) {
          break;
        } else {
          e = path.back();
          path.pop();
          n = to[e ^ 1];
          at[n] = next[e];
        }
      }
    }
  }
  // After run: on the source's side of the minimum cut.
  [[nodiscard]] constexpr bool reached(int n) const { return level[n] >= 0; }
};

}  // namespace flow

// Never kept: made anew from nothing, or from what is kept anyway.
[[nodiscard]] constexpr bool is_free(op code) {
  return code == op::constant || code == op::extent || code == op::iota || code == op::broadcast ||
         code == op::uniform || code == op::normal || code == op::fold;
}
// Never made anew under `cut`.
[[nodiscard]] constexpr bool is_costly(op code) {
  op_kind k = kind_of(code);
  return k == op_kind::library || k == op_kind::function;
}

// Bytes of a value, an axis known only at run time counted as 64.
[[nodiscard]] constexpr i64 estimated_bytes(const tensor_type& t) {
  i64 n = size_of(t.element);
  for (int i = 0; i < t.rank; ++i) n *= t.axes[i]->extent == dynamic ? 64 : t.axes[i]->extent > 0 ? t.axes[i]->extent : 1;
  return n;
}

// The nodes to keep. g: a joint graph whose first `values` outputs are the forward's and whose other outputs are
// gradients. held: leaves that the backward is given anyway.
[[nodiscard]] constexpr list<int> partition(const graph& g, int values, const list<u8>& held, keep policy) {
  list<u8> forward, reading, kept;
  forward.resize(g.size(), 0);
  reading.resize(g.size(), 0);
  kept.resize(g.size(), 0);
  for (int i = 0; i < g.outputs.size(); ++i) (i < values ? forward : reading)[g.outputs[i]] = 1;
  for (int n = g.size() - 1; n >= 0; --n)
    for (int i = 0; i < g[n].arg_count; ++i) {
      if (forward[n]) forward[g.arg(n, i)] = 1;
    }
  // What the backward reads: it is made of all that is no value of the forward's.
  for (int n = g.size() - 1; n >= 0; --n)
    if (reading[n] && !forward[n])
      for (int i = 0; i < g[n].arg_count; ++i) reading[g.arg(n, i)] = 1;
  auto leaf = [&](int n) { return g.is(n, op::leaf); };

  if (policy == keep::cut) {
    constexpr i64 infinite = 1ll << 60;
    const int source = 2 * g.size(), sink = source + 1;
    flow::network net(sink + 1);
    for (int n = 0; n < g.size(); ++n) {
      if (!forward[n]) continue;
      bool call = g.is(n, op::call), costly = is_costly(g[n].code);
      if (leaf(n) && held[n]) continue;
      net.edge(2 * n, 2 * n + 1, call || is_free(g[n].code) ? infinite : estimated_bytes(g.type(n)));
      if (costly || leaf(n)) net.edge(source, 2 * n, infinite);
      if (reading[n]) net.edge(2 * n + 1, sink, infinite);
      if (!costly)
        for (int i = 0; i < g[n].arg_count; ++i) net.edge(2 * g.arg(n, i) + 1, 2 * n, infinite);
    }
    net.run(source, sink);
    for (int n = 0; n < g.size(); ++n)
      kept[n] = forward[n] && net.reached(2 * n) && !net.reached(2 * n + 1) && !is_free(g[n].code);
  } else {
    for (int n = g.size() - 1; n >= 0; --n) {
      if (!forward[n] || !reading[n]) continue;
      if (leaf(n))
        kept[n] = !held[n];
      else if (policy == keep::all && !is_free(g[n].code) && !g.is(n, op::call))
        kept[n] = 1;
      else
        for (int i = 0; i < g[n].arg_count; ++i) reading[g.arg(n, i)] = 1;
    }
  }
  list<int> nodes;
  for (int n = 0; n < g.size(); ++n)
    if (kept[n]) nodes.push(n);
  return nodes;
}

}  // namespace flame
