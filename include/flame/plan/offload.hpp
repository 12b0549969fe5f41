// Operands that wait for their backward in the host's memory: keep::offload.
#pragma once
#include <flame/plan/own_steps.hpp>
#include <flame/plan/share.hpp>

namespace flame {

namespace planning {

struct waiting_byte : dim<> {};

// Two steps of a program between which a buffer is not used, and which are far apart: it is copied aside
// behind the one and back before the other.
class offloading {
 public:
  // least: bytes of a buffer for which it is worth while. A block of few is over before it could wait: an
  // eighth of the program must lie between.
  offloading(program& p, i64 least)
      : p_(p), bytes_(least), steps_(p.steps.size() / 8 > 8 ? p.steps.size() / 8 : 8) {}

  void run() {
    list<wait> all;
    for (int b = 0; b < p_.buffers.size(); ++b)
      if (const wait w = longest(b); w.to - w.from > steps_) all.push(w);
    if (all.empty()) return;
    sort(all, [](const wait& a, const wait& b) { return a.to < b.to; });
    // What is needed next is on its way while the one before is used: it is fetched where that was needed.
    list<list<int>> behind, before;  // by step: buffers that are copied then
    behind.resize(p_.steps.size()), before.resize(p_.steps.size());
    list<int> back;  // by buffer: where it stands again
    back.resize(p_.buffers.size(), -1);
    for (int i = 0; i < all.size(); ++i) {
      const wait& w = all[i];
      int at = w.to;
      for (int k = i - 1; k >= 0 && at == w.to; --k) at = all[k].to;
      if (at <= w.from) at = w.to;
      behind[w.from].push(w.buffer), before[at].push(w.buffer);
    }
    list<int> aside;  // by buffer
    aside.resize(p_.buffers.size(), -1);
    list<program_step> old = static_cast<list<program_step>&&>(p_.steps);
    p_.steps = list<program_step>();
    for (int i = 0; i < old.size(); ++i) {
      for (int b : before[i]) {
        const i64 bytes = p_.buffers[b].bytes;
        back[b] = p_.buffers.push({buffer_kind::arena, bytes});
        copy(aside[b], back[b], bytes);
      }
      // Only uses behind the gap: what is fetched early is still read from the old place till then.
      for (located& t : old[i].tensors)
        if (t.buffer >= 0 && t.buffer < back.size() && back[t.buffer] >= 0) t.buffer = back[t.buffer];
      p_.steps.push(static_cast<program_step&&>(old[i]));
      for (int b : behind[i]) {
        const i64 bytes = p_.buffers[b].bytes;
        aside[b] = p_.buffers.push({buffer_kind::aside, bytes});
        copy(b, aside[b], bytes);
      }
    }
  }

 private:
  struct wait {
    int buffer = -1, from = 0, to = 0;  // steps that use it, one after the other
  };

  // The longest time that a buffer waits between two uses; behind it nothing writes it.
  [[nodiscard]] wait longest(int b) const {
    wait found;
    const buffer& of = p_.buffers[b];
    if (!of.may_wait || of.kind != buffer_kind::arena || of.bytes < bytes_) return found;
    int last = -1;
    for (int i = 0; i < p_.steps.size(); ++i) {
      bool uses = false, changes = false;
      for (int k = 0; k < p_.steps[i].tensors.size(); ++k) {
        if (p_.steps[i].tensors[k].buffer != b) continue;
        uses = true, changes = changes || p_.steps[i].writes[k];
      }
      if (!uses) continue;
      if (changes) found = {};
      if (last >= 0 && !changes && i - last > found.to - found.from) found = {b, last, i};
      last = i;
    }
    return found;
  }
  void copy(int from, int to, i64 bytes) {
    located a;
    a.element = dtype::uint8, a.rank = 1, a.axes[0] = axis_ptr<waiting_byte>;
    a.extents[0] = bytes, a.strides[0] = 1, a.buffer = from;
    located b = a;
    b.buffer = to;
    add_copy(p_, a, b);
  }
  program& p_;
  i64 bytes_;
  int steps_;
};

}  // namespace planning

// Buffers of so many bytes that may wait do, where it is long. The order of steps is kept.
inline void put_aside(program& p, i64 least = i64{64} << 10) { planning::offloading(p, least).run(); }

// Bytes of the host's memory in which values wait.
[[nodiscard]] inline i64 bytes_aside(const program& p) {
  i64 bytes = 0;
  for (const buffer& b : p.buffers)
    if (b.kind == buffer_kind::aside) bytes += b.bytes;
  return bytes;
}

}  // namespace flame
