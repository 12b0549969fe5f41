// Concatenation and padding: parts of a result, made where they stand or copied there.
#pragma once
#include <flame/plan/copies.hpp>
#include <flame/plan/frame.hpp>

namespace flame::planning {

// What a concatenation joins is written where it stands there, if a group makes it for nothing else.
inline void place_parts(frame& fr) {
  const graph& g = fr.fn.g;
  list<int> uses;
  list<u8> grouped;
  for (int n = 0; n < g.size(); ++n) {
    if (!g.is(n, op::concatenate) || g.type(n).stack) continue;
    if (uses.empty()) {
      uses.resize(g.size(), 0), grouped.resize(g.size(), 0), fr.parts.resize(g.size());
      for (int k = 0; k < g.size(); ++k)
        for (int i = 0; i < g[k].arg_count; ++i) ++uses[g.arg(k, i)];
      for (int o : g.outputs) ++uses[o];
      for (const fused_step& s : fr.fn.f.steps)
        for (const group_slot& slot : s.code.slots)
          if (slot.kind == slot_kind::output && !copies(s)) grouped[slot.node] = 1;
    }
    const located out = fr.destination(n);
    fr.targets[n].one = out;
    i64 begin = 0;
    for (int i = 0; i < g[n].arg_count; ++i) {
      const i64 extent = fr.e[g.axis(n, i)];
      located at = part_of(out, g.axis(n, g[n].axis_count - 1), g.axis(n, i), begin, 1, extent);
      int a = g.arg(n, i);
      while (at.buffer >= 0 && uses[a] == 1 && g[a].arg_count == 1 &&
             kind_of(g[a].code) == op_kind::movement && !grouped[a])
        at = below_view(g, a, fr.e, at), a = g.arg(a, 0);
      if (at.buffer >= 0 && uses[a] == 1 && grouped[a] && fr.parts[a].buffer < 0)
        fr.parts[a] = in_order(g.type(a), at);
      begin += extent;
    }
  }
}

// The steps of node n, a concatenation or a padding: what does not stand there yet is copied.
inline void plan_parts(frame& fr, int n) {
  const graph& g = fr.fn.g;
  located out = fr.destination(n);
  bool pad = g.is(n, op::pad);
  const axis_info* to = pad ? g.axis(n, 1) : g.axis(n, g[n].axis_count - 1);
  const int at = out.find(to);
  i64 begin = 0, step = 1;
  if (pad) {
    begin = static_cast<i64>(g.number(n, 0)), step = static_cast<i64>(g.number(n, 3));
    for (int k = 2; k < g[n].axis_count; ++k) begin += fr.e[g.axis(n, k)];
    add_fill(fr.p, out, __builtin_bit_cast(double, g.number(n, 2)));
  }
  for (int i = 0; i < g[n].arg_count; ++i) {
    const located from = fr.value(g.arg(n, i)).one;
    const i64 extent = fr.e[g.axis(n, pad ? 0 : i)];
    const located part = part_of(out, to, to, begin, step, extent);
    located ordered = from;  // the operand's axes in the result's order
    for (int k = 0; k < out.rank; ++k) {
      int have = from.find(k == at ? g.axis(n, pad ? 0 : i) : out.axes[k]);
      ordered.axes[k] = from.axes[have], ordered.extents[k] = from.extents[have];
      ordered.strides[k] = from.strides[have];
    }
    const bool made_there = !from.zero && from.buffer == part.buffer && from.offset == part.offset;
    if (part.elements() > 0 && !made_there) {
      if (from.zero)
        add_fill(fr.p, part, 0);
      else
        add_copy(fr.p, ordered, part, fr.fn.info, n);
    }
    begin += extent;
  }
  fr.set(n, out);
}

}  // namespace flame::planning
