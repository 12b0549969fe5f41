// One call while it is planned: what is known of its extents, where its nodes' values stand and shall stand.
#pragma once
#include <flame/plan/bind.hpp>
#include <flame/plan/stacks.hpp>

namespace flame::planning {

struct frame {
  program& p;
  const planned_function& fn;
  extents e = {};
  // By node.
  list<placed> values = {};
  list<u8> known = {};
  list<placed> targets = {};
  list<located> parts = {};  // where groups write into a concatenation; empty where there is none

  frame(program& into, const planned_function& f) : p(into), fn(f) {
    values.resize(fn.g.size());
    known.resize(fn.g.size(), 0);
    targets.resize(fn.g.size());
  }

  void set(int n, const placed& v) { values[n] = v, known[n] = 1; }
  void set(int n, const located& l) { values[n].one = l, known[n] = 1; }

  // Node n's value: a step's, or a view of one, found when it is first asked for.
  placed& value(int n) {
    if (known[n]) return values[n];
    const graph& g = fn.g;
    placed v;
    switch (g[n].code) {
      case op::result: v = value(g.arg(n, 0)).instances[static_cast<int>(g.number(n, 0))]; break;
      case op::permute:
      case op::rename:
      case op::split:
      case op::merge:
      case op::slice: v.one = view(n, value(g.arg(n, 0)).one); break;
      default: refuse(g[n].code, fault::operands_clash);
    }
    set(n, v);
    return values[n];
  }

  // Where node n is written: its target if it has one of its own order, else new memory.
  [[nodiscard]] located destination(int n) {
    const placed& t = targets[n];
    located l = contiguous(fn.g.type(n), e, -1);
    if (fn.f.wide[n]) l.element = dtype::f32;
    if (!t.stacked && t.one.buffer >= 0 && t.one.contiguous()) {
      l.buffer = t.one.buffer, l.offset = t.one.offset;
      return l;
    }
    return new_like(p, l);
  }
  // Where a group writes node n.
  [[nodiscard]] located destination_of_group(int n) {
    return !parts.empty() && parts[n].buffer >= 0 ? parts[n] : destination(n);
  }

 private:
  [[nodiscard]] located view(int n, const located& from) {
    if (merges_in_place(fn.g, n, from)) return view_of(fn.g, n, e, from);
    const located dense = new_like(p, from);
    add_copy(p, from, dense, fn.info, n);
    return view_of(fn.g, n, e, dense);
  }
};

}  // namespace flame::planning
