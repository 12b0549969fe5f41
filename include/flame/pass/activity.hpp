// Activity: which nodes carry a derivative from the leaves asked for to the outputs, through calls and stacks too.
#pragma once
#include <flame/graph/words.hpp>

namespace flame {

// A set of up to 256 operands; scalars only, so that it can be a template argument in every compiler.
struct mask {
  u64 w0 = 0, w1 = 0, w2 = 0, w3 = 0;

  constexpr u64& word(int i) { return i < 64 ? w0 : i < 128 ? w1 : i < 192 ? w2 : w3; }
  [[nodiscard]] constexpr bool has(int i) const {
    return ((i < 64 ? w0 : i < 128 ? w1 : i < 192 ? w2 : w3) >> (i % 64)) & 1;
  }
  constexpr void add(int i) { word(i) |= 1ull << (i % 64); }
  [[nodiscard]] constexpr bool any() const { return w0 | w1 | w2 | w3; }
  [[nodiscard]] constexpr int count() const {
    return __builtin_popcountll(w0) + __builtin_popcountll(w1) + __builtin_popcountll(w2) + __builtin_popcountll(w3);
  }
  friend constexpr mask operator|(mask a, mask b) { return {a.w0 | b.w0, a.w1 | b.w1, a.w2 | b.w2, a.w3 | b.w3}; }
  friend constexpr mask operator&(mask a, mask b) { return {a.w0 & b.w0, a.w1 & b.w1, a.w2 & b.w2, a.w3 & b.w3}; }
  friend constexpr bool operator==(const mask&, const mask&) = default;
};

// Whether the derivative of an operation reaches operand i.
[[nodiscard]] constexpr bool differentiates(const graph& g, int n, int i) {
  switch (g[n].code) {
    case op::sign: case op::floor: case op::is_finite: case op::is_nan: case op::logical_not: case op::stop_gradient:
    case op::fold: case op::less: case op::less_equal: case op::equal: case op::not_equal: case op::logical_and:
    case op::logical_or: case op::argmax: case op::uniform: case op::normal:
      return false;
    case op::where: return i > 0;
    case op::gather: return i == 0;
    case op::scatter_add: case op::pool_take: case op::pool_put: return i == 1;
    case op::cast: return is_floating(g.type(n).element) && is_floating(g.type(g.arg(n, 0)).element);
    default: return true;
  }
}

// For each output of a function, the operands that it depends on differentiably.
[[nodiscard]] constexpr list<mask> dependencies(const function_info& f);

// The same for a call: through a stack, an output depends on what any instance's does.
[[nodiscard]] constexpr list<mask> dependencies(const function_info& f, const call_info& c) {
  list<mask> d = dependencies(f);
  if (!c.repeat) return d;
  for (bool changed = true; changed;) {
    changed = false;
    for (int j = 0; j < d.size(); ++j)
      for (int i = 0; i < c.operands.size(); ++i)
        if (c.operands[i].mode == operand_mode::carry && d[j].has(i)) {
          mask wider = d[j] | d[c.operands[i].index];
          if (!(wider == d[j])) d[j] = wider, changed = true;
        }
  }
  return d;
}

constexpr list<mask> dependencies(const function_info& f) {
  graph g = graph_of(f);
  list<mask> m;
  m.resize(g.size());
  for (int n = 0; n < g.size(); ++n) {
    if (g.is(n, op::leaf)) {
      if (is_floating(g.type(n).element)) m[n].add(n);  // graph_of: leaf i is node i
    } else if (g.is(n, op::result)) {
      int call = g.arg(n, 0);
      list<mask> d = dependencies(*g[call].function, g.call_of(call));
      const mask& through = d[static_cast<int>(g.number(n, 0))];
      for (int i = 0; i < g[call].arg_count; ++i)
        if (through.has(i)) m[n] = m[n] | m[g.arg(call, i)];
    } else if (!g.is(n, op::call)) {
      for (int i = 0; i < g[n].arg_count; ++i)
        if (differentiates(g, n, i)) m[n] = m[n] | m[g.arg(n, i)];
    }
  }
  list<mask> out;
  for (int o : g.outputs) out.push(m[o]);
  return out;
}

// What a call must give when it is differentiated.
struct call_activity {
  int node = -1;
  mask in;       // operands whose gradient is asked for
  mask out;      // outputs that have a cotangent
  mask carried;  // operands handed from instance to instance: the caller does not hold what the others got
};

struct activity {
  list<u8> active;            // by node: lies between what is asked for and the outputs
  list<call_activity> calls;  // in the order of their nodes
};

[[nodiscard]] constexpr activity analyse(const graph& g, const list<int>& outputs, const list<int>& wrt) {
  list<u8> from, to;
  from.resize(g.size(), 0);
  to.resize(g.size(), 0);
  list<list<mask>> deps;  // of each call node, kept for the way back
  list<int> call_nodes;
  for (int n : wrt) from[n] = 1;
  for (int n = 0; n < g.size(); ++n) {
    if (g.is(n, op::call)) {
      call_nodes.push(n);
      deps.push(dependencies(*g[n].function, g.call_of(n)));
    } else if (g.is(n, op::result)) {
      int call = g.arg(n, 0);
      const mask& d = deps[call_nodes.find(call)][static_cast<int>(g.number(n, 0))];
      for (int i = 0; i < g[call].arg_count; ++i)
        if (d.has(i) && from[g.arg(call, i)]) from[n] = 1;
    } else if (is_floating(g.type(n).element)) {
      for (int i = 0; i < g[n].arg_count; ++i)
        if (from[g.arg(n, i)] && differentiates(g, n, i)) from[n] = 1;
    }
  }
  activity a;
  list<call_activity> reversed;
  list<mask> out;
  out.resize(call_nodes.size());
  for (int n : outputs) to[n] = 1;
  for (int n = g.size() - 1; n >= 0; --n) {
    if (g.is(n, op::call)) {
      int c = call_nodes.find(n);
      if (!out[c].any()) continue;
      call_info info = g.call_of(n);
      call_activity r;
      r.node = n, r.out = out[c];
      for (bool changed = true; changed;) {  // a cotangent of one output is one of the states it came through
        changed = false;
        for (int i = 0; i < info.operands.size(); ++i) {
          bool reaches = false, starts = from[g.arg(n, i)] != 0;
          for (int j = 0; j < info.outputs.size(); ++j) reaches = reaches || (r.out.has(j) && deps[c][j].has(i));
          if (info.operands[i].mode == operand_mode::carry) {
            r.carried.add(i);
            const mask& d = deps[c][info.operands[i].index];
            for (int k = 0; k < info.operands.size(); ++k) starts = starts || (d.has(k) && from[g.arg(n, k)]);
          }
          if (!reaches || !starts) continue;
          if (!r.in.has(i)) r.in.add(i), changed = true;
          if (info.operands[i].mode == operand_mode::carry && !r.out.has(info.operands[i].index))
            r.out.add(info.operands[i].index), changed = true;
        }
      }
      for (int i = 0; i < info.operands.size(); ++i)
        if (r.in.has(i) && from[g.arg(n, i)]) to[g.arg(n, i)] = 1;
      reversed.push(r);
    } else if (to[n] && from[n]) {
      if (g.is(n, op::result)) {
        out[call_nodes.find(g.arg(n, 0))].add(static_cast<int>(g.number(n, 0)));
      } else {
        for (int i = 0; i < g[n].arg_count; ++i)
          if (from[g.arg(n, i)] && differentiates(g, n, i)) to[g.arg(n, i)] = 1;
      }
    }
  }
  for (int i = reversed.size() - 1; i >= 0; --i) a.calls.push(reversed[i]);
  for (int n = 0; n < g.size(); ++n) a.active.push(from[n] && to[n]);
  return a;
}

}  // namespace flame
