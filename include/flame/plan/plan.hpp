// Planning: a function and the extents of its operands become a program. Calls are unrolled here, stacks
// instance by instance; values that are zero for want of extent are known, and steps that nobody needs are
// dropped.
#pragma once
#include <flame/pass/simplify.hpp>
#include <flame/plan/copies.hpp>
#include <flame/plan/memory.hpp>
#include <flame/plan/shared_code.hpp>

namespace flame {

namespace planning {

// Row-major, in the order of the type's axes.
[[nodiscard]] inline located contiguous(const tensor_type& t, const extents& e, int buffer, i64 offset = 0) {
  located l;
  l.element = t.element;
  l.buffer = buffer, l.offset = offset;
  l.rank = t.rank;
  i64 stride = 1;
  for (int i = t.rank - 1; i >= 0; --i) {
    l.axes[i] = t.axes[i];
    l.extents[i] = e[t.axes[i]];
    l.strides[i] = stride;
    stride *= l.extents[i];
  }
  return l;
}

// What errors call a leaf: by its name, an argument of a function by its place from 1 on, and the tensors and
// numbers that an expression holds by theirs from #0 on.
struct leaf_words {
  text kind = "argument ", name;

  leaf_words(const leaf_info& l, int place) : name(l.name) {
    if (l.kind != leaf_kind::argument) return;
    if (l.name[0] == '#') kind = "operand ";
    if (!(l.name == text("argument"))) return;
    int n = place + 1, first = sizeof digits_;
    for (; first > 0 && n > 0; n /= 10) digits_[--first] = static_cast<char>('0' + n % 10);
    name = text(digits_ + first, static_cast<int>(sizeof digits_) - first);
  }
  leaf_words(const leaf_words&) = delete;
  leaf_words& operator=(const leaf_words&) = delete;

 private:
  char digits_[8] = {};
};

// The extents of a function's leaves. The axes of a stack stand for its first instance: each instance binds
// its own when it is planned.
inline void bind_leaves(extents& e, const function_info& f, const list<placed>& operands) {
  for (bool stacks : {false, true})
    for (int k = 0; k < f.leaf_count; ++k) {
      const leaf_info& l = *f.leaves[k];
      if ((l.type.stack > 0) != stacks) continue;
      const placed* one = &operands[k];
      const leaf_words words(l, k);
      bool empty = false;
      for (int i = 0; i < l.type.stack && !empty; ++i) {
        e.bind(l.type.axes[i], one->instances.size(), {words.kind, words.name});
        empty = one->instances.empty();
        if (!empty) one = &one->instances[0];
      }
      for (int i = l.type.stack; i < l.type.rank && !empty; ++i)
        if (!stacks || !e.known(l.type.axes[i]))
          e.bind(l.type.axes[i], one->one.extents[i - l.type.stack], {words.kind, words.name});
    }
}

}  // namespace planning

class planner {
 public:
  explicit planner(program& p) : program_(p) {}

  int external(i64 bytes) { return program_.buffers.push({buffer_kind::external, bytes}); }

  // Plans one call of f. operands: one for each leaf, in order. targets: for each output where it must stand,
  // or a value without a buffer. Returns where each output stands.
  list<placed> call(const function_info& f, const list<placed>& operands, const list<placed>& targets,
                    const extents* outside) {
    const planning::planned_function& fn = planning::planned(f);
    frame fr{fn, {}, {}, {}};
    fr.values.resize(fn.g.size());
    fr.known.resize(fn.g.size(), 0);
    planning::bind_leaves(fr.e, f, operands);
    if (outside) inherit(fr, *outside);
    resolve(fn.g, fr.e);
    for (int n = 0; n < fn.g.size(); ++n) {
      if (fn.g.is(n, op::argmax) && fr.e[fn.g.axis(n, 0)] == 0 && fr.e.elements(fn.g.type(n)) > 0)
        throw error("flame::argmax: axis " + string_of(fn.g.axis(n, 0)) + " has no elements");
      if (!fn.g.is(n, op::leaf)) continue;
      for (int i = 0; i < f.leaf_count; ++i)
        if (f.leaves[i] == fn.g[n].leaf) fr.values[n] = operands[i], fr.known[n] = 1;
    }
    fr.targets.resize(fn.g.size());
    for (int i = 0; i < fn.g.outputs.size() && i < targets.size(); ++i)
      if (has_target(targets[i]) && !has_target(fr.targets[fn.g.outputs[i]]))
        fr.targets[fn.g.outputs[i]] = targets[i];
    place_parts(fr);
    for (const fused_step& s : fn.f.steps) {
      if (s.call)
        plan_call(fr, s.node);
      else if (s.library)
        plan_library(fr, s.node);
      else
        plan_group(fr, s);
    }
    list<placed> out;
    for (int i = 0; i < fn.g.outputs.size(); ++i) {
      const placed& v = value(fr, fn.g.outputs[i]);
      if (i < targets.size() && has_target(targets[i])) {
        deliver(v, targets[i]);
        out.push(targets[i]);
      } else {
        out.push(v);
      }
    }
    return out;
  }

  // Puts a value where it must stand, if it does not stand there already.
  void deliver(const placed& v, const placed& target) {
    if (target.stacked) {
      for (int i = 0; i < target.instances.size(); ++i) deliver(v.instances[i], target.instances[i]);
      return;
    }
    const located &a = v.one, &b = target.one;
    if (b.elements() == 0 || (a.buffer == b.buffer && a.offset == b.offset && !a.zero)) return;
    if (a.zero)
      fill(b, 0);
    else
      copy(a, b, nullptr, -1);
  }

 private:
  struct frame {
    const planning::planned_function& fn;
    extents e;
    list<placed> values;
    list<u8> known;
    list<placed> targets = {};
    list<located> parts =
        {};  // by node: where groups write it into a concatenation; empty where there is none
  };

  static bool has_target(const placed& p) { return p.stacked ? !p.instances.empty() : p.one.buffer >= 0; }

  int arena(i64 bytes) { return program_.buffers.push({buffer_kind::arena, bytes}); }
  located fresh(const tensor_type& t, const extents& e) {
    located l = planning::contiguous(t, e, -1);
    l.buffer = arena(l.elements() * size_of(t.element));
    return l;
  }

  // Axes that a pruned function lost: as the caller knows them.
  static void inherit(frame& fr, const extents& outside) {
    for (const extents::binding& b : outside.bindings)
      if (!fr.e.known(b.axis)) fr.e.bindings.push(b);
  }

  // ---- Values ----

  placed& value(frame& fr, int n) {
    if (fr.known[n]) return fr.values[n];
    const graph& g = fr.fn.g;
    placed v;
    switch (g[n].code) {
      case op::result: v = value(fr, g.arg(n, 0)).instances[static_cast<int>(g.number(n, 0))]; break;
      case op::permute:
      case op::rename:
      case op::split:
      case op::merge:
      case op::slice: v.one = view(fr, n, value(fr, g.arg(n, 0)).one); break;
      default: refuse(g[n].code, fault::operands_clash);
    }
    fr.values[n] = v;
    fr.known[n] = 1;
    return fr.values[n];
  }

  located view(frame& fr, int n, const located& from) {
    const graph& g = fr.fn.g;
    located l = from;
    switch (g[n].code) {
      case op::permute:
        for (int i = 0; i < l.rank; ++i) {
          int at = from.find(g.axis(n, i));
          l.axes[i] = from.axes[at], l.extents[i] = from.extents[at], l.strides[i] = from.strides[at];
        }
        return l;
      case op::rename: l.axes[l.find(g.axis(n, 0))] = g.axis(n, 1); return l;
      case op::split: {
        int at = from.find(g.axis(n, 0)), parts = g[n].axis_count - 1;
        l.rank = from.rank + parts - 1;
        for (int i = from.rank - 1; i > at; --i) move(l, i + parts - 1, from, i);
        i64 stride = from.strides[at];
        for (int k = parts - 1; k >= 0; --k) {
          l.axes[at + k] = g.axis(n, k + 1);
          l.extents[at + k] = fr.e[g.axis(n, k + 1)];
          l.strides[at + k] = stride;
          stride *= l.extents[at + k];
        }
        return l;
      }
      case op::merge: {
        int parts = g[n].axis_count - 1, at = from.find(g.axis(n, 0));
        bool joined = true;
        for (int k = 0; k + 1 < parts; ++k)
          joined = joined && (from.strides[at + k] == from.strides[at + k + 1] * from.extents[at + k + 1] ||
                              from.extents[at + k] == 1);
        if (!joined && !from.zero) {
          located dense = planning::contiguous(type_like(from), fr.e, -1);
          dense.buffer = arena(dense.elements() * size_of(dense.element));
          copy(from, dense, fr.fn.info, n);
          return view(fr, n, dense);
        }
        i64 all = 1;
        for (int k = 0; k < parts; ++k) all *= from.extents[at + k];
        l.rank = from.rank - parts + 1;
        l.axes[at] = g.axis(n, parts);
        l.extents[at] = all;
        l.strides[at] = from.strides[at + parts - 1];
        for (int i = at + parts; i < from.rank; ++i) move(l, i - parts + 1, from, i);
        return l;
      }
      default: {  // slice
        int at = l.find(g.axis(n, 0));
        i64 begin = static_cast<i64>(g.number(n, 0)), step = static_cast<i64>(g.number(n, 1));
        for (int k = 2; k < g[n].axis_count; ++k) begin += fr.e[g.axis(n, k)];
        l.axes[at] = g.axis(n, 1);
        l.extents[at] = fr.e[g.axis(n, 1)];
        l.offset += begin * from.strides[at];
        l.strides[at] = step * from.strides[at];
        return l;
      }
    }
  }
  static void move(located& to, int i, const located& from, int k) {
    to.axes[i] = from.axes[k], to.extents[i] = from.extents[k], to.strides[i] = from.strides[k];
  }
  static tensor_type type_like(const located& l) {
    tensor_type t;
    t.element = l.element;
    for (int i = 0; i < l.rank; ++i) t.push(l.axes[i]);
    return t;
  }

  // What a concatenation joins is written where it stands there, if a group makes it for nothing else.
  void place_parts(frame& fr) {
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
            if (slot.kind == slot_kind::output && !planning::copies(s)) grouped[slot.node] = 1;
      }
      const located out = destination(fr, n);
      fr.targets[n].one = out;
      for (int i = 0, begin = 0; i < g[n].arg_count; ++i) {
        const i64 extent = fr.e[g.axis(n, i)];
        located at = part_of(out, g.axis(n, g[n].axis_count - 1), g.axis(n, i), begin, 1, extent);
        int a = g.arg(n, i);
        while (at.buffer >= 0 && uses[a] == 1 && g[a].arg_count == 1 &&
               kind_of(g[a].code) == op_kind::movement && !grouped[a])
          at = below(fr, a, at), a = g.arg(a, 0);
        if (at.buffer >= 0 && uses[a] == 1 && grouped[a] && fr.parts[a].buffer < 0)
          fr.parts[a] = in_order(g.type(a), at);
        begin += static_cast<int>(extent);
      }
    }
  }
  // Part of a tensor along an axis, which has another name there.
  static located part_of(const located& whole, const axis_info* axis, const axis_info* name, i64 begin,
                         i64 step, i64 extent) {
    located part = whole;
    const int at = whole.find(axis);
    part.axes[at] = name, part.extents[at] = extent;
    part.offset += begin * whole.strides[at];
    part.strides[at] = step * whole.strides[at];
    return part;
  }
  // Where the operand of a view must stand for the view n to stand at `at`; no buffer where that cannot be.
  static located below(frame& fr, int n, const located& at) {
    const graph& g = fr.fn.g;
    const int last = g[n].axis_count - 1;
    located l = planning::contiguous(g.type(g.arg(n, 0)), fr.e, -1);
    for (int i = 0; i < l.rank; ++i) {
      const axis_info* a = l.axes[i];  // as the view calls it
      if (g.is(n, op::rename)) {
        if (a == g.axis(n, 0)) a = g.axis(n, 1);
      } else if (g.is(n, op::split)) {  // into axes of which one has all elements
        if (a == g.axis(n, 0)) {
          a = g.axis(n, last);
          for (int k = 1; k <= last && fr.e[a] != l.extents[i]; ++k) a = g.axis(n, k);
          if (fr.e[a] != l.extents[i]) return l;
        }
      } else if (g.is(n, op::merge)) {  // of such axes
        for (int k = 0; k < last; ++k)
          if (l.axes[i] == g.axis(n, k)) {
            a = g.axis(n, last);
            if (l.extents[i] != 1 && l.extents[i] != fr.e[a]) return l;
          }
      } else if (!g.is(n, op::permute)) {
        return l;
      }
      l.strides[i] = at.strides[at.find(a)];
    }
    l.buffer = at.buffer, l.offset = at.offset;
    return l;
  }
  static located in_order(const tensor_type& t, const located& at) {
    located l = at;
    for (int i = 0; i < t.rank; ++i) move(l, i, at, at.find(t.axes[i]));
    return l;
  }

  // Where a group writes node n.
  located destination_of_group(frame& fr, int n) {
    return !fr.parts.empty() && fr.parts[n].buffer >= 0 ? fr.parts[n] : destination(fr, n);
  }
  // Where node n is written: its target if it has one of its own order, else new memory.
  located destination(frame& fr, int n) {
    const placed& t = fr.targets[n];
    located l = planning::contiguous(fr.fn.g.type(n), fr.e, -1);
    if (!t.stacked && t.one.buffer >= 0 && t.one.contiguous()) {
      l.buffer = t.one.buffer, l.offset = t.one.offset;
      return l;
    }
    return fresh(fr.fn.g.type(n), fr.e);
  }
  void set(frame& fr, int n, const located& l) {
    fr.values[n].one = l;
    fr.known[n] = 1;
  }

  // ---- Steps ----

  void fill(const located& to, double number) {
    program_step s;
    s.code = &planning::fill_code(to.element);
    located from;
    from.element = to.element;
    s.tensors.push(from), s.tensors.push(to);
    s.writes.push(0), s.writes.push(1);
    list<const axis_info*> all(to.axes, to.rank);
    s.bound.slots.resize(2);
    s.bound.slots[0].number = number;
    collapse(s, all, to);
    program_.steps.push(s);
  }
  void copy(const located& from, const located& to, const function_info* f, int n) {
    program_step s;
    s.code = &planning::copy_code(to.element);
    s.function = f, s.node = n;
    s.tensors.push(from), s.tensors.push(to);
    s.writes.push(0), s.writes.push(1);
    s.bound.slots.resize(2);
    located by_place = to;  // names may differ between caller and callee: axes go together by place
    for (int i = 0; i < to.rank; ++i) by_place.axes[i] = from.axes[i];
    s.tensors[1] = by_place;
    list<const axis_info*> all(by_place.axes, by_place.rank);
    collapse(s, all, by_place);
    program_.steps.push(s);
  }
  // to = a + b, where they lie; axes go together by place.
  void add(const located& a, const located& b, const located& to) {
    program_step s;
    s.code = &planning::add_code(to.element);
    located second = b, result = to;
    for (int i = 0; i < to.rank; ++i) second.axes[i] = result.axes[i] = a.axes[i];
    s.tensors.push(a), s.tensors.push(second), s.tensors.push(result);
    s.writes.push(0), s.writes.push(0), s.writes.push(1);
    s.bound.slots.resize(3);
    list<const axis_info*> all(result.axes, result.rank);
    collapse(s, all, result);
    program_.steps.push(s);
  }
  // New memory for a tensor like this one.
  located dense_like(const located& l) {
    located dense = l;
    i64 stride = 1;
    for (int i = dense.rank - 1; i >= 0; --i) dense.strides[i] = stride, stride *= dense.extents[i];
    dense.offset = 0;
    dense.zero = false;
    dense.buffer = arena(stride * size_of(dense.element));
    return dense;
  }
  // a + b, instance by instance where they are stacks.
  placed sum(const placed& a, const placed& b, const placed& target) {
    placed r = a;
    if (a.stacked) {
      for (int i = 0; i < a.instances.size(); ++i)
        r.instances[i] =
            sum(a.instances[i], b.instances[i], has_target(target) ? target.instances[i] : placed{});
      return r;
    }
    if (b.one.zero || a.one.elements() == 0) return a;
    if (a.one.zero) return b;
    r.one = has_target(target) ? target.one : dense_like(a.one);
    for (int i = 0; i < a.one.rank; ++i) r.one.axes[i] = a.one.axes[i];
    add(a.one, b.one, r.one);
    return r;
  }

  void plan_group(frame& fr, const fused_step& step) {
    const graph& g = fr.fn.g;
    program_step s;
    s.code = &step.code;
    s.function = fr.fn.info, s.node = step.node;
    s.bound.slots.resize(step.code.slots.size());
    if (planning::copies(step)) {  // an output that is a view: `call` delivers it
      value(fr, step.code.slots[0].node);
      return;
    }
    for (int i = 0; i < step.code.slots.size(); ++i) {
      const group_slot& slot = step.code.slots[i];
      bound_slot& b = s.bound.slots[i];
      located l;
      l.element = slot.element;
      switch (slot.kind) {
        case slot_kind::input: l = value(fr, slot.node).one; break;
        case slot_kind::output:
          l = destination_of_group(fr, slot.node);
          set(fr, slot.node, l);
          break;
        case slot_kind::uniform:
          if (g.is(slot.node, op::constant)) {
            b.number = __builtin_bit_cast(double, g.number(slot.node, 0));
            b.bits = static_cast<u64>(static_cast<i64>(b.number));
          } else if (g.is(slot.node, op::extent)) {
            b.number = static_cast<double>(fr.e[g.axis(slot.node, 0)]);
            b.bits = static_cast<u64>(fr.e[g.axis(slot.node, 0)]);
          } else if (kind_of(g[slot.node].code) == op_kind::random) {
            b.bits = g.number(slot.node, 0);
          } else {
            l = value(fr, slot.node).one;
          }
          break;
        case slot_kind::index: l = planning::contiguous(g.type(slot.node), fr.e, -1); break;
      }
      s.tensors.push(l);
      s.writes.push(slot.kind == slot_kind::output);
    }
    collapse_group(fr, s, step.code);
    program_.steps.push(s);
  }

  // Strides of each slot over the group's axes, neighbours joined where every slot allows it.
  void collapse_group(frame& fr, program_step& s, const group& code) {
    list<const axis_info*> all;
    int parts[3] = {code.batch.size(), code.outer.size(), code.inner.size()};
    all.append(code.batch), all.append(code.outer), all.append(code.inner);
    bool map = !code.reduces() && code.batch.empty() && !has_rows(code);
    list<i64> extent;
    for (const axis_info* a : all) extent.push(fr.e[a]);
    join(s, all, extent, parts, map);
  }
  static bool has_rows(const group& code) {
    for (const instruction& i : code.body)
      if (i.at == level::row) return true;
    return false;
  }
  void collapse(program_step& s, const list<const axis_info*>& all, const located& like) {
    list<i64> extent;
    for (int i = 0; i < like.rank; ++i) extent.push(like.extents[i]);
    int parts[3] = {0, 0, all.size()};
    join(s, all, extent, parts, true);
  }
  void join(program_step& s, const list<const axis_info*>& all, const list<i64>& extent, const int* parts,
            bool map) {
    bound_group& b = s.bound;
    b.code = s.code;
    list<list<i64>> strides;
    strides.resize(s.tensors.size());
    for (int k = 0; k < s.tensors.size(); ++k)
      for (const axis_info* a : all) {
        const located& t = s.tensors[k];
        int at = t.zero ? -1 : t.find(a);
        strides[k].push(at < 0 ? 0 : t.strides[at]);
      }
    int rank = 0;  // of the joined space so far
    auto segment = [&](int first, int count) {
      int begin = rank;
      for (int i = first; i < first + count; ++i) {
        if (extent[i] == 1) continue;
        bool joins = rank > begin;
        for (int k = 0; joins && k < s.tensors.size(); ++k)
          joins = b.slots[k].strides[rank - 1] == strides[k][i] * extent[i];
        if (!joins) {
          b.extents[rank] = 1;
          ++rank;
        }
        b.extents[rank - 1] *= extent[i];
        for (int k = 0; k < s.tensors.size(); ++k) b.slots[k].strides[rank - 1] = strides[k][i];
      }
      return rank - begin;
    };
    if (map) {
      int n = segment(0, all.size());
      b.inner_rank = n > 0 ? 1 : 0;
      b.outer_rank = n - b.inner_rank;
    } else {
      b.batch_rank = segment(0, parts[0]);
      b.outer_rank = segment(parts[0], parts[1]);
      b.inner_rank = segment(parts[0] + parts[1], parts[2]);
    }
  }

  // The result is zero where operand i is.
  static bool scales(op code, int i) {
    switch (code) {
      case op::gather: return i == 0;
      case op::scatter_add:
      case op::pool_take:
      case op::pool_put: return i == 1;
      default: return true;
    }
  }
  void plan_library(frame& fr, int n) {
    const graph& g = fr.fn.g;
    const node& o = g[n];
    if (g.type(n).stack) {
      fr.values[n] = sum(placed(value(fr, g.arg(n, 0))), placed(value(fr, g.arg(n, 1))), fr.targets[n]);
      fr.known[n] = 1;
      return;
    }
    if (o.code == op::concatenate || o.code == op::pad) return plan_parts(fr, n);
    program_step s;
    s.library = o.code;
    s.function = fr.fn.info, s.node = n;
    bool zero = false;
    for (int i = 0; i < o.arg_count; ++i) {
      located l = value(fr, g.arg(n, i)).one;
      if (l.zero) {
        if (scales(o.code, i))
          zero = true;
        else
          l = dense_like(l), fill(l, 0);
      } else if (o.code != op::contract && o.code != op::gather && o.code != op::scatter_add &&
                 !l.contiguous()) {
        located d = dense_like(l);
        copy(l, d, fr.fn.info, n);
        l = d;
      }
      s.tensors.push(l), s.writes.push(0);
    }
    if (o.code == op::contract) {
      const located &a = s.tensors[0], &b = s.tensors[1];
      for (int i = 0; i < a.rank; ++i)
        if (b.find(a.axes[i]) >= 0 && !g.type(n).has(a.axes[i]) && a.extents[i] == 0) zero = true;
    }
    if (zero) {
      located l = planning::contiguous(g.type(n), fr.e, -1);
      l.zero = true;
      return set(fr, n, l);
    }
    located out = destination(fr, n);
    s.tensors.push(out), s.writes.push(1);
    for (int i = 0; i < o.axis_count; ++i) s.axes.push(g.axis(n, i));
    for (int i = 0; i < o.data_count; ++i) s.data.push(g.number(n, i));
    set(fr, n, out);
    program_.steps.push(s);
  }

  // concatenate and pad: copies into parts of the result.
  void plan_parts(frame& fr, int n) {
    const graph& g = fr.fn.g;
    located out = destination(fr, n);
    bool pad = g.is(n, op::pad);
    const axis_info* to = pad ? g.axis(n, 1) : g.axis(n, g[n].axis_count - 1);
    const int at = out.find(to);
    i64 begin = 0, step = 1;
    if (pad) {
      begin = static_cast<i64>(g.number(n, 0)), step = static_cast<i64>(g.number(n, 3));
      for (int k = 2; k < g[n].axis_count; ++k) begin += fr.e[g.axis(n, k)];
      fill(out, __builtin_bit_cast(double, g.number(n, 2)));
    }
    for (int i = 0; i < g[n].arg_count; ++i) {
      const located from = value(fr, g.arg(n, i)).one;
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
          fill(part, 0);
        else
          copy(ordered, part, fr.fn.info, n);
      }
      begin += extent;
    }
    set(fr, n, out);
  }

  // ---- Calls ----

  void plan_call(frame& fr, int n) {
    const graph& g = fr.fn.g;
    const function_info& f = *g[n].function;
    call_info info = g.call_of(n);
    list<placed> operands, targets;
    for (int i = 0; i < g[n].arg_count; ++i) operands.push(value(fr, g.arg(n, i)));
    targets.resize(f.output_count);
    for (int r = 0; r < g.size(); ++r)
      if (g.is(r, op::result) && g.arg(r, 0) == n && has_target(fr.targets[r]))
        targets[static_cast<int>(g.number(r, 0))] = fr.targets[r];
    placed results;
    results.stacked = true;
    if (!info.repeat) {
      results.instances = call(f, operands, targets, &fr.e);
    } else {
      i64 count = fr.e[g.axis(n, 0)];
      results.instances.resize(f.output_count);
      for (int j = 0; j < f.output_count; ++j)
        if (info.outputs[j] == output_mode::each) {
          results.instances[j].stacked = true;
          results.instances[j].instances.resize(static_cast<int>(count));
        }
      list<placed> state;  // by operand
      state = operands;
      for (i64 k = 0; k < count; ++k) {
        int instance = static_cast<int>(info.reverse ? count - 1 - k : k);
        list<placed> in, into;
        for (int i = 0; i < operands.size(); ++i) switch (info.operands[i].mode) {
            case operand_mode::plain: in.push(operands[i]); break;
            case operand_mode::carry: in.push(state[i]); break;
            case operand_mode::each: in.push(operands[i].instances[instance]); break;
            case operand_mode::keyed: in.push(folded(operands[i], instance)); break;
          }
        into.resize(f.output_count);
        for (int j = 0; j < f.output_count; ++j) {
          if (!has_target(targets[j])) continue;
          if (info.outputs[j] == output_mode::each)
            into[j] = targets[j].instances[instance];
          else if ((info.outputs[j] == output_mode::sum && k == 0) ||
                   (info.outputs[j] == output_mode::carry && k + 1 == count))
            into[j] = targets[j];
        }
        const int made = program_.buffers.size();
        list<placed> out = call(f, in, into, &fr.e);
        for (int j = 0; j < f.output_count; ++j) {
          if (info.outputs[j] == output_mode::each) {
            results.instances[j].instances[instance] = out[j];
          } else if (info.outputs[j] == output_mode::carry) {
            results.instances[j] = out[j];
          } else if (k == 0) {
            results.instances[j] = has_target(into[j]) ? out[j] : owned(out[j], {out, made, j});
          } else {
            accumulate(out[j], results.instances[j], {out, made, j});
          }
        }
        for (int i = 0; i < operands.size(); ++i)
          if (info.operands[i].mode == operand_mode::carry) state[i] = out[info.operands[i].index];
      }
      if (count == 0)
        for (int j = 0; j < f.output_count; ++j) empty_stack(fr, n, j, info, operands, results.instances[j]);
    }
    rename_results(fr, n, results);
    fr.values[n] = results;
    fr.known[n] = 1;
  }

  // What of a call's outputs must have memory of its own, since sums are accumulated into it: made by the
  // call (buffers `first` and above) and for no other output.
  struct made_outputs {
    const list<placed>& all;
    int first;
    int index;  // the sum

    [[nodiscard]] static bool uses(const placed& v, int buffer) {
      if (!v.stacked) return v.one.buffer == buffer;
      for (const placed& i : v.instances)
        if (uses(i, buffer)) return true;
      return false;
    }
    [[nodiscard]] bool owns(int buffer) const {
      for (int i = 0; i < all.size(); ++i)
        if (i != index && uses(all[i], buffer)) return false;
      return buffer >= first;
    }
  };
  placed owned(const placed& v, const made_outputs& made) {
    placed r = v;
    if (v.stacked) {
      for (placed& i : r.instances) i = owned(placed(i), made);
    } else if (!v.one.zero && !made.owns(v.one.buffer)) {
      r.one = dense_like(v.one);
      copy(v.one, r.one, nullptr, -1);
    }
    return r;
  }
  // into += v
  void accumulate(const placed& v, placed& into, const made_outputs& made) {
    if (v.stacked) {
      for (int i = 0; i < v.instances.size(); ++i) accumulate(v.instances[i], into.instances[i], made);
    } else if (into.one.zero) {
      into = owned(v, made);
    } else if (!v.one.zero && v.one.elements() > 0) {
      add(v.one, into.one, into.one);
    }
  }

  // What a stack of no instances gives: the carried operands themselves, sums of nothing.
  void empty_stack(frame& fr, int n, int j, const call_info& info, const list<placed>& operands,
                   placed& out) {
    if (info.outputs[j] == output_mode::carry)
      for (int i = 0; i < operands.size(); ++i)
        if (info.operands[i].mode == operand_mode::carry && info.operands[i].index == j) out = operands[i];
    if (info.outputs[j] == output_mode::sum)
      for (int r = 0; r < fr.fn.g.size(); ++r)
        if (fr.fn.g.is(r, op::result) && fr.fn.g.arg(r, 0) == n &&
            static_cast<int>(fr.fn.g.number(r, 0)) == j) {
          out = zeros(fr.fn.g.type(r), fr.e, 0);
        }
  }
  static placed zeros(const tensor_type& t, const extents& e, int skipped) {
    placed p;
    if (skipped < t.stack) {
      p.stacked = true;
      for (i64 i = 0; i < e[t.axes[skipped]]; ++i) p.instances.push(zeros(t, e, skipped + 1));
      return p;
    }
    tensor_type one;
    one.element = t.element;
    for (int i = skipped; i < t.rank; ++i) one.push(t.axes[i]);
    p.one = planning::contiguous(one, e, -1);
    p.one.zero = true;
    return p;
  }

  // The caller's names for the axes of results.
  void rename_results(frame& fr, int n, placed& results) {
    const graph& g = fr.fn.g;
    for (int r = 0; r < g.size(); ++r) {
      if (!g.is(r, op::result) || g.arg(r, 0) != n) continue;
      placed& v = results.instances[static_cast<int>(g.number(r, 0))];
      rename(v, g.type(r), 0);
    }
  }
  static void rename(placed& v, const tensor_type& t, int from) {
    if (v.stacked) {
      for (placed& i : v.instances) rename(i, t, from + 1);
      return;
    }
    for (int i = 0; i < v.one.rank; ++i) v.one.axes[i] = t.axes[from + i];
  }

  // fold(key, instance), as a step.
  placed folded(const placed& key_value, int instance) {
    placed out;
    out.one.element = dtype::key;
    out.one.buffer = arena(8);
    program_step s;
    s.code = &planning::fold_code();
    s.bound.code = s.code;
    s.bound.slots.resize(3);
    s.bound.slots[1].bits = static_cast<u64>(instance);
    located none;
    none.element = dtype::int64;
    s.tensors.push(key_value.one), s.tensors.push(none), s.tensors.push(out.one);
    s.writes.push(0), s.writes.push(0), s.writes.push(1);
    program_.steps.push(s);
    return out;
  }

  program& program_;
};

}  // namespace flame
