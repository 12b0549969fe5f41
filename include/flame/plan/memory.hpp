// The memory plan: an order of steps that frees early, and one arena in which buffers that do not live together share.
#pragma once
#include <flame/plan/program.hpp>

namespace flame {

namespace planning {

[[nodiscard]] inline bool reads(const program_step& s, int i) { return !s.writes[i] && s.tensors[i].buffer >= 0; }
[[nodiscard]] inline bool writes(const program_step& s, int i) { return s.writes[i] && s.tensors[i].buffer >= 0; }

}  // namespace planning

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

// Reorders steps greedily: among those that are ready, the one that frees most beyond what it takes; then the one that
// stood first. Writers of one buffer keep their order.
inline void order_for_memory(program& p) {
  const int n = p.steps.size();
  list<list<int>> after;  // by step: steps that wait for it
  list<int> waits, readers_left, last_writer;
  list<list<int>> readers_since;  // by buffer, since the last write
  after.resize(n), waits.resize(n, 0);
  last_writer.resize(p.buffers.size(), -1), readers_left.resize(p.buffers.size(), 0);
  readers_since.resize(p.buffers.size());
  auto depend = [&](int before, int step) {
    if (before < 0 || before == step || (!after[before].empty() && after[before].back() == step)) return;
    after[before].push(step);
    ++waits[step];
  };
  list<list<int>> read_buffers, made_buffers;
  read_buffers.resize(n), made_buffers.resize(n);
  for (int i = 0; i < n; ++i) {
    const program_step& s = p.steps[i];
    for (int k = 0; k < s.tensors.size(); ++k) {
      int b = s.tensors[k].buffer;
      if (b < 0) continue;
      if (!s.writes[k]) {
        depend(last_writer[b], i);
        readers_since[b].push(i);
        if (!read_buffers[i].has(b)) read_buffers[i].push(b), ++readers_left[b];
      }
    }
    for (int k = 0; k < s.tensors.size(); ++k) {
      int b = s.tensors[k].buffer;
      if (b < 0 || !s.writes[k]) continue;
      depend(last_writer[b], i);
      for (int r : readers_since[b]) depend(r, i);
      readers_since[b].clear();
      if (last_writer[b] < 0) made_buffers[i].push(b);
      last_writer[b] = i;
    }
  }
  list<int> ready, order;
  for (int i = 0; i < n; ++i)
    if (!waits[i]) ready.push(i);
  while (!ready.empty()) {
    int best = 0;
    i64 best_gain = 0;
    for (int c = 0; c < ready.size(); ++c) {
      i64 gain = 0;
      int i = ready[c];
      for (int b : read_buffers[i])
        if (readers_left[b] == 1 && p.buffers[b].kind == buffer_kind::arena) gain += p.buffers[b].bytes;
      for (int b : made_buffers[i])
        if (p.buffers[b].kind == buffer_kind::arena) gain -= p.buffers[b].bytes;
      if (c == 0 || gain > best_gain || (gain == best_gain && i < ready[best])) best = c, best_gain = gain;
    }
    int i = ready[best];
    ready[best] = ready.back();
    ready.pop();
    order.push(i);
    for (int b : read_buffers[i]) --readers_left[b];
    for (int a : after[i])
      if (--waits[a] == 0) ready.push(a);
  }
  list<program_step> steps;
  steps.reserve(n);
  for (int i : order) steps.push(static_cast<program_step&&>(p.steps[i]));
  p.steps = static_cast<list<program_step>&&>(steps);
}

// Best fit, largest first: each buffer at the lowest offset free during its life.
inline void place_buffers(program& p) {
  constexpr i64 alignment = 64;
  for (buffer& b : p.buffers) b.first = b.last = -1;
  for (int i = 0; i < p.steps.size(); ++i)
    for (const located& t : p.steps[i].tensors)
      if (t.buffer >= 0) {
        buffer& b = p.buffers[t.buffer];
        if (b.first < 0) b.first = i;
        b.last = i;
      }
  list<int> order, done;
  for (int i = 0; i < p.buffers.size(); ++i)
    if (p.buffers[i].kind == buffer_kind::arena && p.buffers[i].first >= 0) order.push(i);
  sort(order, [&](int a, int b) { return p.buffers[a].bytes > p.buffers[b].bytes; });
  p.arena_bytes = 0;
  for (int i : order) {
    buffer& b = p.buffers[i];
    i64 bytes = (b.bytes + alignment - 1) / alignment * alignment, at = 0, best = -1, best_gap = 0;
    // `done` is sorted by offset.
    for (int d : done) {
      const buffer& o = p.buffers[d];
      if (o.last < b.first || o.first > b.last) continue;
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
}

}  // namespace flame
