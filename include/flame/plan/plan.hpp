// Planning: a function and the extents of its operands become a program. Calls are unrolled here, stacks
// instance by instance; values that are zero for want of extent are known, and steps that nobody needs are
// dropped.
#pragma once
#include <flame/pass/simplify.hpp>
#include <flame/plan/attention.hpp>
#include <flame/plan/memory.hpp>
#include <flame/plan/parts.hpp>

namespace flame {

class planner {
 public:
  explicit planner(program& p) : program_(p) {}

  int external(i64 bytes) { return program_.buffers.push({buffer_kind::external, bytes}); }

  // Plans one call of f. operands: one for each leaf, in order. targets: for each output where it must stand,
  // or a value without a buffer. Returns where each output stands.
  list<placed> call(const function_info& f, const list<placed>& operands, const list<placed>& targets,
                    const extents* outside) {
    const planning::planned_function& fn = planning::planned(f);
    if (f.kept == keep::backward)
      for (const placed& operand : operands)
        if (!operand.stacked && operand.one.buffer >= 0) program_.buffers[operand.one.buffer].may_wait = true;
    frame fr(program_, fn);
    planning::bind_leaves(fr.e, f, operands);
    if (outside) planning::inherit(fr.e, *outside);
    resolve(fn.g, fr.e);
    for (int n = 0; n < fn.g.size(); ++n) {
      if (fn.g.is(n, op::argmax) && fr.e[fn.g.axis(n, 0)] == 0 && fr.e.elements(fn.g.type(n)) > 0)
        throw error("flame::argmax: axis " + string_of(fn.g.axis(n, 0)) + " has no elements");
      if (!fn.g.is(n, op::leaf)) continue;
      for (int i = 0; i < f.leaf_count; ++i)
        if (f.leaves[i] == fn.g[n].leaf) {
          placed v = operands[i];
          planning::rename_axes(v, f.leaves[i]->type);  // the caller may have axes of its own for it
          fr.set(n, v);
        }
    }
    for (int i = 0; i < fn.g.outputs.size() && i < targets.size(); ++i)
      if (planning::has_target(targets[i]) && !planning::has_target(fr.targets[fn.g.outputs[i]]))
        fr.targets[fn.g.outputs[i]] = targets[i];
    // An output that only names the axes of a value anew: the value is written there.
    for (int i = 0; i < fn.g.outputs.size() && i < targets.size(); ++i) {
      int n = fn.g.outputs[i];
      while (fn.g.is(n, op::merge) || fn.g.is(n, op::split) || fn.g.is(n, op::rename)) n = fn.g.arg(n, 0);
      if (targets[i].stacked || targets[i].one.buffer < 0 || !targets[i].one.contiguous() ||
          planning::has_target(fr.targets[n]) || fn.g.type(n).stack > 0)
        continue;
      located own = planning::contiguous(fn.g.type(n), fr.e, targets[i].one.buffer, targets[i].one.offset);
      own.element = targets[i].one.element;
      fr.targets[n].one = own;
    }
    planning::place_parts(fr);
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
      const placed& v = fr.value(fn.g.outputs[i]);
      if (i < targets.size() && planning::has_target(targets[i])) {
        deliver(v, targets[i]);
        out.push(targets[i]);
      } else {
        out.push(v);
      }
    }
    return out;
  }

  // Puts a value where it must stand, if it does not stand there already.
  void deliver(const placed& v, const placed& target) { planning::deliver(program_, v, target); }

 private:
  using frame = planning::frame;

  // ---- Groups ----

  void plan_group(frame& fr, const fused_step& step) {
    const graph& g = fr.fn.g;
    program_step s;
    s.code = &step.code;
    s.function = fr.fn.info, s.node = step.node;
    s.bound.slots.resize(step.code.slots.size());
    if (planning::copies(step)) {  // an output that is a view: `call` delivers it
      fr.value(step.code.slots[0].node);
      return;
    }
    for (int i = 0; i < step.code.slots.size(); ++i) {
      const group_slot& slot = step.code.slots[i];
      bound_slot& b = s.bound.slots[i];
      located l;
      l.element = slot.element;
      switch (slot.kind) {
        case slot_kind::input: l = fr.value(slot.node).one; break;
        case slot_kind::output:
          l = fr.destination_of_group(slot.node);
          fr.set(slot.node, l);
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
            l = fr.value(slot.node).one;
          }
          break;
        case slot_kind::index: l = planning::contiguous(g.type(slot.node), fr.e, -1); break;
      }
      s.tensors.push(l);
      s.writes.push(slot.kind == slot_kind::output);
    }
    planning::collapse_group(s, step.code, fr.e);
    program_.steps.push(s);
  }

  // ---- Library operations ----

  // The result is zero where operand i is.
  static bool scales(op code, int i) {
    switch (code) {
      case op::gather:
      case op::in_range: return i == 0;
      case op::top: return false;
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
      const placed a = fr.value(g.arg(n, 0)), b = fr.value(g.arg(n, 1));
      return fr.set(n, planning::sum_of(program_, a, b, fr.targets[n]));
    }
    if (o.code == op::concatenate || o.code == op::pad) return planning::plan_parts(fr, n);
    if (is_attention(o.code)) return planning::plan_attention(fr, n);
    program_step s;
    s.library = o.code;
    s.function = fr.fn.info, s.node = n;
    bool zero = false;
    // A constant is handed over as a number, so that no step has to write it.
    const bool numbered = o.code == op::in_range && o.arg_count > 1 && g.is(g.arg(n, 1), op::constant);
    for (int i = 0; i < o.arg_count - (numbered ? 1 : 0); ++i) {
      located l = fr.value(g.arg(n, i)).one;
      if (l.zero) {
        if (scales(o.code, i))
          zero = true;
        else
          l = planning::new_like(program_, l), planning::add_fill(program_, l, 0);
      } else if (o.code != op::contract && o.code != op::gather && o.code != op::scatter_add &&
                 o.code != op::in_range && !l.contiguous()) {
        located d = planning::new_like(program_, l);
        planning::add_copy(program_, l, d, fr.fn.info, n);
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
      return fr.set(n, l);
    }
    located out = fr.destination(n);
    s.tensors.push(out), s.writes.push(1);
    for (int i = 0; i < o.axis_count; ++i) s.axes.push(g.axis(n, i));
    for (int i = 0; i < o.data_count; ++i) s.data.push(g.number(n, i));
    if (o.code == op::in_range) s.data.push(static_cast<u64>(fr.e[g.axis(n, 0)]));
    if (numbered)
      s.data.push(static_cast<u64>(static_cast<i64>(__builtin_bit_cast(double, g.number(g.arg(n, 1), 0)))));
    fr.set(n, out);
    program_.steps.push(s);
  }

  // ---- Calls ----

  void plan_call(frame& fr, int n) {
    const graph& g = fr.fn.g;
    const function_info& f = *g[n].function;
    call_info info = g.call_of(n);
    list<placed> operands, targets;
    for (int i = 0; i < g[n].arg_count; ++i) operands.push(fr.value(g.arg(n, i)));
    targets.resize(f.output_count);
    for (int r = 0; r < g.size(); ++r)
      if (g.is(r, op::result) && g.arg(r, 0) == n && planning::has_target(fr.targets[r]))
        targets[static_cast<int>(g.number(r, 0))] = fr.targets[r];
    placed results;
    results.stacked = true;
    if (info.repeat)
      results.instances = repeat(fr, n, info, operands, targets);
    else
      results.instances = call(f, operands, targets, &fr.e);
    rename_results(fr, n, results);
    fr.set(n, results);
  }

  // A call for each instance of a stack, one after another.
  list<placed> repeat(frame& fr, int n, const call_info& info, const list<placed>& operands,
                      const list<placed>& targets) {
    const function_info& f = *fr.fn.g[n].function;
    i64 count = fr.e[fr.fn.g.axis(n, 0)];
    list<placed> results;  // by output
    results.resize(f.output_count);
    for (int j = 0; j < f.output_count; ++j)
      if (info.outputs[j] == output_mode::each) {
        results[j].stacked = true;
        results[j].instances.resize(static_cast<int>(count));
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
          case operand_mode::keyed: in.push(planning::add_key(program_, operands[i], instance)); break;
        }
      into.resize(f.output_count);
      for (int j = 0; j < f.output_count; ++j) {
        if (!planning::has_target(targets[j])) continue;
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
          results[j].instances[instance] = out[j];
        } else if (info.outputs[j] == output_mode::carry) {
          results[j] = out[j];
        } else if (k == 0) {
          results[j] =
              planning::has_target(into[j]) ? out[j] : planning::owned(program_, out[j], {out, made, j});
        } else {
          planning::accumulate(program_, out[j], results[j], {out, made, j});
        }
      }
      for (int i = 0; i < operands.size(); ++i)
        if (info.operands[i].mode == operand_mode::carry) state[i] = out[info.operands[i].index];
    }
    if (count == 0)
      for (int j = 0; j < f.output_count; ++j) empty_stack(fr, n, j, info, operands, results[j]);
    return results;
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
          out = planning::zeros(fr.fn.g.type(r), fr.e);
        }
  }

  // The caller's names for the axes of results.
  void rename_results(frame& fr, int n, placed& results) {
    const graph& g = fr.fn.g;
    for (int r = 0; r < g.size(); ++r) {
      if (!g.is(r, op::result) || g.arg(r, 0) != n) continue;
      placed& v = results.instances[static_cast<int>(g.number(r, 0))];
      planning::rename_axes(v, g.type(r));
    }
  }

  program& program_;
};

}  // namespace flame
