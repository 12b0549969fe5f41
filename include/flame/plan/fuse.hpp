// Fusion: a graph as steps, of which the groups are lists of instructions.
#pragma once
#include <flame/plan/fuse_memory.hpp>

namespace flame {

// Part of a fused step's result for each node.
struct fused_step {
  bool library = false;  // else a group
  bool call = false;
  int node = -1;  // library, call; or what a copy copies
  group code;
  int height = 0;
};

struct fusion {
  list<fused_step> steps;  // operands before readers
  list<u8> stored;         // by node: some step writes it to memory of its own
  list<u8> wide;           // by node: it is stored in f32, though its type has 16 bits
  list<making> how;        // by node
};

namespace fusing {

// Whether node n, of a group, is a cast from 16 bits to more, or reads one that is made again.
[[nodiscard]] constexpr bool widens(const state& s, int n) {
  const graph& g = s.g;
  if (g.is(n, op::cast) && has_16_bits(g.type(g.arg(n, 0)).element) && !has_16_bits(g.type(n).element))
    return true;
  for (int k = 0; k < g[n].arg_count; ++k)
    if (const int a = meant(g, g.arg(n, k)); s.how[a] == making::again && widens(s, a)) return true;
  return false;
}

// Instructions of one group: members in topological order, what they read as slots.
struct writer {
  state& s;
  const graph& g;
  group code;
  const list<u8>&memory, &wide;
  list<int> value;    // by node: its instruction, or -1
  list<int> written;  // nodes whose `value` is set

  constexpr int slot(slot_kind kind, dtype element, int node) {
    group_slot wanted{kind, element, node};
    int at = code.slots.find(wanted);
    return at >= 0 ? at : code.slots.push(wanted);
  }
  constexpr dtype stored_as(int n) const { return wide[n] ? dtype::f32 : g.type(n).element; }
  constexpr level level_of(int n) const {
    const tensor_type& t = g.type(n);
    if (t.rank == 0) return level::uniform;
    if (code.inner.empty() || !rows) return level::full;
    for (const axis_info* a : code.inner)
      if (t.has(a)) return level::full;
    return level::row;
  }
  bool rows = false;
  // What is stored in 16 bits is rounded before others of the group read it: where one of them is f32 itself,
  // so that it is made of what other kernels and libraries read.
  bool rounds = false;

  constexpr int add(int n, const instruction& i) {
    value[n] = code.body.push(i);
    written.push(n);
    return value[n];
  }
  constexpr int rounded(int n, const instruction& i) {
    instruction r;
    r.code = static_cast<u8>(op::cast);
    r.element = g.type(n).element;
    r.at = i.at;
    r.a = code.body.push(i);
    return add(n, r);
  }
  // The instruction whose value is what n means; loads, numbers and scalars are made on the way.
  constexpr int use(int n) {
    n = meant(g, n);
    if (value[n] >= 0) return value[n];
    instruction i;
    i.at = level_of(n);
    switch (s.how[n]) {
      case making::immediate:
        i.code = code_load;
        i.element = compute_type(g.type(n).element);
        i.a = slot(g.is(n, op::iota) ? slot_kind::index : slot_kind::uniform, g.type(n).element, n);
        return add(n, i);
      case making::uniform:
      case making::again: return compute(n);
      default:
        i.code = code_load;
        i.element = compute_type(g.type(n).element);
        i.a = slot(g.type(n).rank == 0 ? slot_kind::uniform : slot_kind::input, stored_as(n), n);
        return add(n, i);
    }
  }
  constexpr int compute(int n) {
    instruction i;
    const node& o = g[n];
    i.code = static_cast<u8>(o.code);
    i.at = level_of(n);
    dtype element = o.arg_count ? g.type(g.arg(n, o.code == op::where ? 1 : 0)).element : g.type(n).element;
    i.element = compute_type(o.code == op::cast ? g.type(n).element : element);
    if (kind_of(o.code) == op_kind::random) {
      i.element = compute_type(g.type(n).element);
      instruction site;  // the draw's own key: fold(key, site)
      site.code = code_load;
      site.element = dtype::int64;
      site.at = level::uniform;
      site.a = slot(slot_kind::uniform, dtype::int64, n);
      instruction own;
      own.code = static_cast<u8>(op::fold);
      own.element = dtype::key;
      own.at = level::uniform;
      own.a = use(g.arg(n, 0));
      own.b = code.body.push(site);
      i.a = code.body.push(own);
      instruction index;
      index.code = code_load;
      index.element = dtype::int64;
      index.at = i.at;
      index.a = slot(slot_kind::index, dtype::int64, n);
      i.b = code.body.push(index);
    } else {
      int in[3] = {-1, -1, -1};
      for (int k = 0; k < o.arg_count; ++k) in[k] = use(g.arg(n, k));
      i.a = in[0], i.b = in[1], i.c = in[2];
      // A scalar that a row's reduction gives is not known before the group starts.
      for (int k : in)
        if (k >= 0 && i.at == level::uniform && code.body[k].at == level::row) i.at = level::row;
    }
    if (is_reduction(g, n)) {
      const tensor_type& t = g.type(g.arg(n, 0));
      i.reduce = s.row[n]                 ? reduce_mode::row
                 : o.axis_count == t.rank ? reduce_mode::total
                                          : reduce_mode::column;
      i.at = s.row[n] ? level::row : level::full;
    }
    if (rounds && memory[n] && !is_reduction(g, n) && i.at != level::uniform && has_16_bits(stored_as(n)))
      return rounded(n, i);
    return add(n, i);
  }
  constexpr void store(int n) {
    instruction i;
    i.code = code_store;
    i.element = compute_type(g.type(n).element);
    i.b = use(n);
    i.at = code.body[i.b].at == level::uniform ? level_of(n) : code.body[i.b].at;
    i.reduce = code.body[i.b].reduce == reduce_mode::row ? reduce_mode::none : code.body[i.b].reduce;
    i.a = slot(slot_kind::output, stored_as(n), n);
    code.body.push(i);
  }
  constexpr void clear() {
    for (int n : written) value[n] = -1;
    written.clear();
    code = group{};
  }
  constexpr void axes(const space& sp) {
    rows = sp.has_inner;
    tensor_type outer = sp.all, batch;
    if (sp.has_inner) {
      outer = minus(sp.all, sp.inner);
      for (int i = 0; i < sp.inner.rank; ++i) code.inner.push(sp.inner.axes[i]);
    } else if (sp.has_columns) {
      batch = state::batch_of(sp.all, sp.columns);
      tensor_type kept = minus(minus(sp.all, sp.columns), batch);
      outer = tensor_type{};
      for (int i = 0; i < sp.all.rank; ++i)
        if (sp.columns.has(sp.all.axes[i])) outer.push(sp.all.axes[i]);
      for (int i = 0; i < kept.rank; ++i) code.inner.push(kept.axes[i]);
    } else if (outer.rank > 0) {
      code.inner.push(outer.axes[outer.rank - 1]);
      --outer.rank;
    }
    for (int i = 0; i < batch.rank; ++i) code.batch.push(batch.axes[i]);
    for (int i = 0; i < outer.rank; ++i) code.outer.push(outer.axes[i]);
  }
};

// The steps of a graph whose groups are found.
[[nodiscard]] constexpr fusion steps_of(state& s) {
  const graph& g = s.g;
  fusion f;
  const int n = g.size();
  f.stored.resize(n, 0);
  f.how = s.how;
  const list<u8> memory = fusing::find_memory(s);
  f.wide = fusing::find_wide(s, memory);
  auto reordered = [&](int i) { return fusing::is_reordered(s, i); };
  // Copies: values without a step that must stand in memory after all.
  auto copies = [&](int i) {
    if (!memory[i] || reordered(i)) return false;
    if (s.how[i] == making::immediate || s.how[i] == making::uniform) return true;
    if (g.is(i, op::broadcast)) return true;
    return s.output[i] && (s.how[i] == making::leaf || s.how[i] == making::alias || s.how[i] == making::view);
  };

  list<list<int>> members;
  members.resize(s.spaces.size());
  list<list<int>> orders;
  orders.resize(s.spaces.size());
  for (int i = 0; i < n; ++i) {
    if (s.how[i] == making::fused) members[s.find(s.group_of[i])].push(i);
    if (reordered(i)) orders[s.find(s.group_of[fusing::meant(g, i)])].push(i);
  }

  fusing::writer w{s, g, {}, memory, f.wide, {}, {}};
  w.value.resize(n, -1);
  list<fused_step> unordered;
  list<u8> copied;  // by step
  for (int q = 0; q < members.size(); ++q) {
    if (members[q].empty()) continue;
    w.axes(s.spaces[q]);
    w.rounds = false;
    for (int i : members[q]) w.rounds = w.rounds || f.wide[i] || fusing::widens(s, i);
    for (int i : members[q])
      if (w.value[i] < 0) w.compute(i);
    for (int i : members[q])
      if (memory[i]) w.store(i), f.stored[i] = 1;
    for (int i : orders[q]) w.store(i), f.stored[i] = 1;
    fused_step step;
    step.node = members[q].back();
    step.height = s.group_height[q];
    step.code = w.code;
    unordered.push(step), copied.push(0);
    w.clear();
  }
  for (int i = 0; i < n; ++i) {
    fused_step step;
    step.node = i;
    step.height = s.height[i];
    if (s.how[i] == making::library || s.how[i] == making::call) {
      step.library = s.how[i] == making::library, step.call = s.how[i] == making::call;
      f.stored[i] = step.library;
      unordered.push(step), copied.push(0);
    } else if (copies(i)) {
      fusing::space sp;
      sp.all = g.type(i);
      w.axes(sp);
      w.rounds = false;
      if (s.how[i] == making::leaf || s.how[i] == making::view || g.is(i, op::permute)) {
        instruction load;  // the view itself is what the copy reads
        load.code = code_load;
        load.element = compute_type(g.type(i).element);
        load.at = w.level_of(i);
        load.a = w.slot(g.type(i).rank == 0 ? slot_kind::uniform : slot_kind::input, g.type(i).element, i);
        w.add(i, load);
      }
      int from = w.value[i] >= 0 ? w.value[i] : w.use(i);
      instruction store;
      store.code = code_store;
      store.element = compute_type(g.type(i).element);
      store.at = w.level_of(i);
      store.a = w.slot(slot_kind::output, g.type(i).element, i);
      store.b = from;
      w.code.body.push(store);
      step.code = w.code;
      f.stored[i] = s.how[i] == making::leaf || s.how[i] == making::view || g.is(i, op::permute) ? 0 : 1;
      unordered.push(step), copied.push(1);
      w.clear();
    }
  }
  // By height, from the highest; steps of one height in the order of their nodes, copies of what the others
  // write last.
  int highest = 0;
  for (const fused_step& step : unordered) fusing::state::raise(highest, step.height);
  list<list<int>> by_height;
  by_height.resize(highest + 1);
  for (int i = 0; i < unordered.size(); ++i) by_height[unordered[i].height].push(i);
  for (int h = highest; h >= 0; --h) {
    sort(by_height[h], [&](int a, int b) {
      return copied[a] != copied[b] ? copied[a] < copied[b] : unordered[a].node < unordered[b].node;
    });
    for (int i : by_height[h]) f.steps.push(unordered[i]);
  }
  return f;
}

}  // namespace fusing

// The graph as steps. Every output has memory of its own.
[[nodiscard]] constexpr fusion fuse(const graph& g) {
  fusing::state s(g);
  s.run();
  const list<u8> again = fusing::recomputed(s);
  bool any = false;
  for (u8 one : again) any = any || one;
  if (!any) return fusing::steps_of(s);
  fusing::state anew(g, again);
  anew.run();
  return fusing::steps_of(anew);
}

}  // namespace flame
