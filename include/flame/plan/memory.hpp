// The memory plan: steps that nobody needs are dropped, and buffers that do not live together share one
// arena.
#pragma once
#include <flame/plan/order_for_memory.hpp>

namespace flame {

// Removes steps whose results nobody reads. kept: buffers that must be written.
inline void drop_dead(program& p, const list<u8>& kept) {
  list<u8> needed = kept;
  needed.resize(p.buffers.size(), 0);
  list<program_step> alive;
  for (int i = p.steps.size() - 1; i >= 0; --i) {
    program_step& s = p.steps[i];
    bool used = false;
    for (int k = 0; k < s.tensors.size(); ++k)
      if (planning::writes(s, k)) {
        if (needed[s.tensors[k].buffer] && s.tensors[k].elements() > 0)
          used = true;
        else if (s.code)
          s.tensors[k].buffer = -1;  // a group does not write it
      }
    if (!used) continue;
    for (int k = 0; k < s.tensors.size(); ++k)
      if (planning::reads(s, k)) needed[s.tensors[k].buffer] = 1;
    alive.push(static_cast<program_step&&>(s));
  }
  list<program_step> ordered;
  ordered.reserve(alive.size());
  for (int i = alive.size() - 1; i >= 0; --i) ordered.push(static_cast<program_step&&>(alive[i]));
  p.steps = static_cast<list<program_step>&&>(ordered);
}

// Best fit, largest first: each buffer at the lowest offset free during its life. A result that may be
// written over an operand which dies with the step stands where the operand stood.
inline void place_buffers(program& p) {
  constexpr i64 alignment = 64;
  list<int> steps, order, done;
  for (int i = 0; i < p.steps.size(); ++i) steps.push(i);
  const planning::lives lives(p, steps);
  const list<int> ends = lives.ends();
  for (int b = 0; b < p.buffers.size(); ++b) {
    buffer& at = p.buffers[b];
    at.first = lives.first[b], at.last = lives.last[b], at.home = lives.home[b];
    if (at.kind == buffer_kind::arena && at.first >= 0 && at.home == b) order.push(b);
  }
  sort(order, [&](int a, int b) { return p.buffers[a].bytes > p.buffers[b].bytes; });
  p.arena_bytes = 0;
  for (int i : order) {
    buffer& b = p.buffers[i];
    i64 bytes = (b.bytes + alignment - 1) / alignment * alignment, at = 0, best = -1, best_gap = 0;
    // `done` is sorted by offset.
    for (int d : done) {
      const buffer& o = p.buffers[d];
      if (ends[d] < b.first || o.first > ends[i]) continue;
      if (i64 gap = o.offset - at; gap >= bytes && (best < 0 || gap < best_gap)) best = at, best_gap = gap;
      i64 end = o.offset + (o.bytes + alignment - 1) / alignment * alignment;
      if (end > at) at = end;
    }
    b.offset = best >= 0 ? best : at;
    if (b.offset + bytes > p.arena_bytes) p.arena_bytes = b.offset + bytes;
    int k = done.push(i);
    for (; k > 0 && p.buffers[done[k - 1]].offset > b.offset; --k) done[k] = done[k - 1];
    done[k] = i;
  }
  for (buffer& b : p.buffers)
    if (b.kind == buffer_kind::arena && b.first >= 0) b.offset = p.buffers[b.home].offset;
}

}  // namespace flame
