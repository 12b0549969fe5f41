// Lives of buffers under an order of steps, and results that take over the memory of an operand which dies
// with them.
#pragma once
#include <flame/plan/program.hpp>

namespace flame::planning {

[[nodiscard]] inline bool reads(const program_step& s, int i) {
  return !s.writes[i] && s.tensors[i].buffer >= 0;
}
[[nodiscard]] inline bool writes(const program_step& s, int i) {
  return s.writes[i] && s.tensors[i].buffer >= 0;
}

// Whether tensors i and k of a group lie alike: the same element of both belongs to each point of the group's
// space.
[[nodiscard]] inline bool lie_alike(const program_step& s, int i, int k) {
  const located &a = s.tensors[i], &b = s.tensors[k];
  if (size_of(a.element) != size_of(b.element) || a.offset != b.offset) return false;
  const bound_group& g = s.bound;
  for (int r = 0; r < g.batch_rank + g.outer_rank + g.inner_rank; ++r)
    if (g.extents[r] > 1 && g.slots[i].strides[r] != g.slots[k].strides[r]) return false;
  return true;
}

// Whether a tensor is all of its buffer.
[[nodiscard]] inline bool covers(const program& p, const located& t) {
  return t.offset == 0 && t.contiguous() && t.elements() * size_of(t.element) == p.buffers[t.buffer].bytes;
}

// Whether each point of a group's space has an element of its own in tensor i.
[[nodiscard]] inline bool full(const program_step& s, int i) {
  const bound_group& g = s.bound;
  i64 points = 1;
  for (int r = 0; r < g.batch_rank + g.outer_rank + g.inner_rank; ++r) {
    points *= g.extents[r];
    if (g.extents[r] > 1 && g.slots[i].strides[r] == 0) return false;
  }
  return points > 0 && points == s.tensors[i].elements();
}

// Whether a step may write tensor `out` over its operand `in`. Executors read every element of an operand
// that lies like a result before they write the result's. Libraries read elements again and again.
[[nodiscard]] inline bool may_overwrite(const program& p, const program_step& s, int in, int out) {
  if (!s.code || s.code->slots[in].kind != slot_kind::input || !full(s, in) || !full(s, out)) return false;
  if (!lie_alike(s, in, out)) return false;
  const int from = s.tensors[in].buffer, to = s.tensors[out].buffer;
  if (p.buffers[from].bytes != p.buffers[to].bytes) return false;
  for (const instruction& i : s.code->body)
    if (i.code == code_store && i.a == out &&
        (i.at != level::full || s.code->body[i.b].reduce != reduce_mode::none))
      return false;
  for (int k = 0; k < s.tensors.size(); ++k) {
    if (s.tensors[k].buffer == to && k != out) return false;
    if (s.tensors[k].buffer == from && !lie_alike(s, k, in)) return false;
  }
  return true;
}

[[nodiscard]] inline bool of_arena(const program& p, int buffer) {
  return p.buffers[buffer].kind == buffer_kind::arena;
}

// Which steps write and read each buffer.
struct buffer_users {
  list<int> writer, writers, reads;  // the last step that writes it, how many do, how often it is read
  list<list<int>> readers;           // steps, each once

  explicit buffer_users(const program& p) {
    const int n = p.buffers.size();
    writer.resize(n, -1), writers.resize(n, 0), reads.resize(n, 0);
    readers.resize(n);
    for (int i = 0; i < p.steps.size(); ++i)
      for (int k = 0; k < p.steps[i].tensors.size(); ++k) {
        const int b = p.steps[i].tensors[k].buffer;
        if (b < 0) continue;
        if (p.steps[i].writes[k]) {
          writer[b] = i, ++writers[b];
          continue;
        }
        ++reads[b];
        if (!readers[b].has(i)) readers[b].push(i);
      }
  }
};

// The program without these steps.
inline void take_away(program& p, const list<u8>& gone) {
  list<program_step> left;
  for (int i = 0; i < p.steps.size(); ++i)
    if (!gone[i]) left.push(static_cast<program_step&&>(p.steps[i]));
  p.steps = static_cast<list<program_step>&&>(left);
}

// By buffer; positions are places in an order of steps.
struct lives {
  list<int> first, last;  // -1 where no step uses it
  list<int> home;         // the buffer whose memory it is: itself, or the first of those that it takes over

  // order: of the program's steps.
  lives(const program& p, const list<int>& order) {
    const int n = p.buffers.size();
    first.resize(n, -1), last.resize(n, -1), home.resize(n, -1);
    for (int at = 0; at < order.size(); ++at)
      for (const located& t : p.steps[order[at]].tensors)
        if (t.buffer >= 0) {
          if (first[t.buffer] < 0) first[t.buffer] = at;
          last[t.buffer] = at;
        }
    for (int b = 0; b < n; ++b) home[b] = b;
    list<u8> taken;
    taken.resize(n, 0);
    for (int at = 0; at < order.size(); ++at) {
      const program_step& s = p.steps[order[at]];
      if (!s.code) continue;
      for (int out = 0; out < s.tensors.size(); ++out) {
        const int to = s.tensors[out].buffer;
        if (!writes(s, out) || !of_arena(p, to) || first[to] != at) continue;
        for (int in = 0; in < s.tensors.size(); ++in) {
          const int from = s.tensors[in].buffer;
          if (!reads(s, in) || !of_arena(p, from) || last[from] != at || taken[from]) continue;
          if (!may_overwrite(p, s, in, out)) continue;
          home[to] = home[from];
          taken[from] = 1;
          break;
        }
      }
    }
  }

  // The last step of all whose memory buffer b is, by buffer.
  [[nodiscard]] list<int> ends() const {
    list<int> end;
    end.resize(home.size(), -1);
    for (int b = 0; b < home.size(); ++b)
      if (last[b] > end[home[b]]) end[home[b]] = last[b];
    return end;
  }

  // The most bytes that are alive at once.
  [[nodiscard]] i64 peak(const program& p, int steps) const {
    list<i64> change;
    change.resize(steps + 1, 0);
    const list<int> end = ends();
    for (int b = 0; b < home.size(); ++b)
      if (of_arena(p, b) && first[b] >= 0 && home[b] == b)
        change[first[b]] += p.buffers[b].bytes, change[end[b] + 1] -= p.buffers[b].bytes;
    i64 live = 0, most = 0;
    for (i64 c : change) {
      live += c;
      if (live > most) most = live;
    }
    return most;
  }
};

}  // namespace flame::planning
