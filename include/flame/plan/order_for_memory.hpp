// An order of a program's steps in which little memory is alive at once.
#pragma once
#include <flame/plan/share.hpp>
#include <flame/plan/step_order.hpp>

namespace flame {

namespace planning {

// Which steps must stand before which, and what each reads and makes in the arena.
class ordering {
 public:
  explicit ordering(const program& p) : p_(p) {
    const int n = p.steps.size();
    before_.resize(n), after_.resize(n), reads_.resize(n), makes_.resize(n);
    readers_.resize(p.buffers.size());
    list<i64> base;  // by buffer: no two share a place yet
    i64 end = 0;
    for (const buffer& b : p.buffers) base.push(end), end += b.bytes;
    list<u8> written;
    written.resize(p.buffers.size(), 0);
    step_order order;
    for (int i = 0; i < n; ++i) {
      const program_step& s = p.steps[i];
      for (int k = 0; k < s.tensors.size(); ++k) {
        const int b = s.tensors[k].buffer;
        if (b < 0) continue;
        const stretch mine = stretch_of(s.tensors[k], base[b]);
        if (writes(s, k)) {
          order.write(mine);
          if (of_arena(p, b) && !written[b]) makes_[i].push(b);
          written[b] = 1;
        } else {
          order.read(mine);
          if (of_arena(p, b) && !reads_[i].has(b)) reads_[i].push(b), readers_[b].push(i);
        }
      }
      for (int w : order.next()) before_[i].push(w), after_[w].push(i);
    }
  }

  // The best of the order in which the steps stand and a greedy one, each improved.
  [[nodiscard]] list<int> best() const {
    list<int> given;
    for (int i = 0; i < p_.steps.size(); ++i) given.push(i);
    best_so_far found{given, peak(given)};
    improve(given, found);
    improve(greedy(), found);
    return found.order;
  }

 private:
  struct best_so_far {
    list<int> order;
    i64 peak;
  };

  [[nodiscard]] i64 bytes(const list<int>& buffers) const {
    i64 n = 0;
    for (int b : buffers) n += p_.buffers[b].bytes;
    return n;
  }
  [[nodiscard]] i64 peak(const list<int>& order) const { return lives(p_, order).peak(p_, order.size()); }

  // Among the steps that are ready, the one that frees most beyond what it takes; then the one that stood
  // first.
  [[nodiscard]] list<int> greedy() const {
    const int n = p_.steps.size();
    list<int> waits, left, ready, order;
    for (int i = 0; i < n; ++i) {
      waits.push(before_[i].size());
      if (before_[i].empty()) ready.push(i);
    }
    for (const list<int>& r : readers_) left.push(r.size());
    while (!ready.empty()) {
      int best = 0;
      i64 best_gain = 0;
      for (int c = 0; c < ready.size(); ++c) {
        const int i = ready[c];
        i64 gain = -bytes(makes_[i]);
        for (int b : reads_[i])
          if (left[b] == 1) gain += p_.buffers[b].bytes;
        if (c == 0 || gain > best_gain || (gain == best_gain && i < ready[best])) best = c, best_gain = gain;
      }
      const int i = ready[best];
      ready[best] = ready.back();
      ready.pop();
      order.push(i);
      for (int b : reads_[i]) --left[b];
      for (int a : after_[i])
        if (--waits[a] == 0) ready.push(a);
    }
    return order;
  }

  // Steps that take memory move towards those that read it, steps that free it towards those that they wait
  // for, as long as this lowers the peak.
  void improve(list<int> order, best_so_far& found) const {
    constexpr int rounds = 4;
    list<int> at;  // by step: its place
    at.resize(order.size());
    for (int i = 0; i < order.size(); ++i) at[order[i]] = i;
    i64 last = 0;
    for (int round = 0; round < rounds; ++round) {
      for (int i = order.size() - 1; i >= 0; --i) delay(order, at, i);
      for (int i = 0; i < order.size(); ++i) advance(order, at, i);
      const i64 now = peak(order);
      if (now < found.peak) found.order = order, found.peak = now;
      if (round > 0 && now >= last) return;
      last = now;
    }
  }
  // Bytes that die with the step, if it stands at `place`.
  [[nodiscard]] i64 freed(int step, const list<int>& at, int place) const {
    i64 n = 0;
    for (int b : reads_[step]) {
      bool last = true;
      for (int r : readers_[b]) last = last && (r == step || at[r] < place);
      if (last) n += p_.buffers[b].bytes;
    }
    return n;
  }
  void delay(list<int>& order, list<int>& at, int from) const {
    const int step = order[from];
    if (after_[step].empty()) return;
    int to = order.size();
    for (int a : after_[step])
      if (at[a] < to) to = at[a];
    if (--to > from && bytes(makes_[step]) > freed(step, at, to + 1)) move(order, at, from, to);
  }
  void advance(list<int>& order, list<int>& at, int from) const {
    const int step = order[from];
    int to = 0;
    for (int b : before_[step])
      if (at[b] >= to) to = at[b] + 1;
    if (to < from && freed(step, at, from) > bytes(makes_[step])) move(order, at, from, to);
  }
  static void move(list<int>& order, list<int>& at, int from, int to) {
    const int step = order[from];
    for (int i = from; i < to; ++i) order[i] = order[i + 1], at[order[i]] = i;
    for (int i = from; i > to; --i) order[i] = order[i - 1], at[order[i]] = i;
    order[to] = step, at[step] = to;
  }

  const program& p_;
  list<list<int>> before_, after_;  // by step
  list<list<int>> reads_, makes_;   // by step: buffers of the arena
  list<list<int>> readers_;         // by buffer of the arena: steps
};

}  // namespace planning

// Reorders the steps so that little memory is alive at once. What each step reads stays the same.
inline void order_for_memory(program& p) {
  const list<int> order = planning::ordering(p).best();
  list<program_step> steps;
  steps.reserve(order.size());
  for (int i : order) steps.push(static_cast<program_step&&>(p.steps[i]));
  p.steps = static_cast<list<program_step>&&>(steps);
}

}  // namespace flame
