// The order in which a tile runs the steps of a group, and a register for each value.
#pragma once
#include <flame/run/host/group_build.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA {

namespace tiles {

struct orderer {
  const built_group& b;
  program& to;
  bool late;  // stores stand at the end
  list<bool> done = {};

  void push(const step& s, step_role role) {
    to.steps.push(s);
    to.roles.push(role);
  }
  void need(int v) {
    if (v >= 0 && b.maker[v] >= 0 && !done[b.maker[v]]) emit(b.maker[v]);
  }
  // What is stored: the value, or what it was expanded to.
  [[nodiscard]] int from(const stored& o) const {
    return b.of(o.value).at == o.at ? o.value : b.expanded[o.at == level::full][o.value];
  }
  void store(const stored& o) {
    step s;
    s.loop = store_for(b.g.slots[o.slot].element);
    s.at = o.at;
    s.cost = cost_of(b.g.slots[o.slot].element);
    s.a = from(o);
    s.b = o.value;
    s.slot = o.slot;
    need(s.a);
    push(s, step_role::store);
  }
  // Whether the store follows the step that computes its value.
  [[nodiscard]] bool follows(const stored& o) const {
    return !late && b.of(o.value).at == o.at && b.maker[o.value] >= 0 && !b.waits[b.maker[o.value]];
  }
  void emit(int n) {
    const step& s = b.code[n];
    done[n] = true;
    need(s.a), need(s.b), need(s.c);
    push(s, s.a < 0 ? step_role::load : b.waits[n] ? step_role::expand : step_role::compute);
    for (const stored& o : b.stores)
      if (s.result >= 0 && o.value == s.result && follows(o)) store(o);
  }
  void run() {
    done.resize(b.code.size(), false);
    for (int n = 0; n < b.code.size(); ++n)
      if (!done[n] && !b.waits[n]) emit(n);
    if (late)
      for (const stored& o : b.stores) need(from(o));
    for (const stored& o : b.stores)
      if (!follows(o)) store(o);
  }
};

// A register is free again in the step that last reads it: every loop allows its result to be an operand.
inline void assign(const built_group& b, program& to) {
  to.registers.resize(b.p.values.size(), -1);
  list<int> free[register_kinds];
  for (int n = 0; n < to.steps.size(); ++n) {
    const step& s = to.steps[n];
    int operands[3] = {s.a, s.b, s.c};
    for (int k = 0; k < 3; ++k) {
      int v = operands[k];
      bool again = (k > 0 && operands[0] == v) || (k > 1 && operands[1] == v);
      if (v >= 0 && !again && to.registers[v] >= 0 && to.last_used[v] == n)
        free[register_kind(b.of(v).at, b.of(v).type)].push(to.registers[v]);
    }
    if (s.result < 0) continue;
    int kind = register_kind(b.of(s.result).at, b.of(s.result).type);
    if (free[kind].empty()) {
      to.registers[s.result] = to.register_count[kind]++;
    } else {
      to.registers[s.result] = free[kind].back();
      free[kind].pop();
    }
    if (to.last_used[s.result] < 0) free[kind].push(to.registers[s.result]);
  }
}

// late: stores stand at the end.
inline void order(const built_group& b, program& to, bool late) {
  orderer o{b, to, late};
  o.run();
  to.made.resize(b.p.values.size(), -1);
  to.last_used.resize(b.p.values.size(), -1);
  for (int n = 0; n < to.steps.size(); ++n) {
    const step& s = to.steps[n];
    if (s.result >= 0) to.made[s.result] = n;
    for (int v : {s.a, s.b, s.c})
      if (v >= 0) to.last_used[v] = n;
  }
  assign(b, to);
}

}  // namespace tiles

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA
