// Differentiation: one reverse sweep over the graph. The derivative of a call is a call of the derivative.
#pragma once
#include <flame/pass/activity.hpp>
#include <flame/pass/rules.hpp>

namespace flame {

// Where an operand of a backward function comes from, seen from the call that it is the derivative of.
struct operand_source {
  enum kind_type : u8 { cotangent, operand, residual } kind = operand;  // index: of the output, operand, output
  int index = 0;
};

// A function's derivative, split in two: what the forward keeps, what the backward makes of it (pass/derive.hpp).
struct derived_call {
  const function_info* forward = nullptr;   // the function's outputs, then the residual
  const function_info* backward = nullptr;  // gives a gradient for each operand in `in`, in order
  const operand_source* sources = nullptr;          // of each operand of `backward`
  int source_count = 0;
  mask in, out;
};

// The reverse sweep: adds to a graph the gradients of the sum over `outputs` of <output, cotangent>.
// Every active call gives its residual already.
struct reverse_sweep {
  graph& g;
  array_view<u8> active;            // by node
  array_view<call_activity> called;
  const derived_call* calls;        // for each of them, in order
  list<int> cotangent;              // by node
  list<list<int>> call_cotangents;  // by active call, by output
  backward rule{g};

  constexpr void accumulate(int& into, int d) {
    if (d >= 0) into = into < 0 ? d : rule.add(into, d);
  }

  // What the slices of a value hand back, where they tile an axis: the sum of parts among zeros is the parts
  // side by side.
  constexpr int tiled(int d) {
    if (!g.is(d, op::add)) return d;
    list<int> open, parts;  // of the sum; in the order of their places
    open.push(d);
    while (!open.empty()) {
      const int n = open.back();
      open.pop();
      if (g.is(n, op::add)) {
        open.push(g.arg(n, 0)), open.push(g.arg(n, 1));
        continue;
      }
      if (!g.is(n, op::pad) || g[n].axis_count != 2 || __builtin_bit_cast(double, g.number(n, 2)) != 0 ||
          g.number(n, 3) != 1 || (!parts.empty() && g.axis(n, 1) != g.axis(parts[0], 1)))
        return d;
      int at = parts.push(n);
      for (; at > 0 && g.number(parts[at - 1], 0) > g.number(n, 0); --at) parts[at] = parts[at - 1];
      parts[at] = n;
    }
    u64 end = 0;
    list<int> in;
    list<const axis_info*> with;
    for (int n : parts) {
      const axis_info* a = g.axis(n, 0);
      if (g.number(n, 0) != end || a->extent == dynamic) return d;
      end += static_cast<u64>(a->extent);
      in.push(g.arg(n, 0)), with.push(a);
    }
    with.push(g.axis(parts[0], 1));
    if (with.back()->extent == dynamic || end != static_cast<u64>(with.back()->extent)) return d;
    return rule.put(op::concatenate, in, with);
  }

  constexpr void run(array_view<int> outputs, array_view<int> cotangents) {
    const int size = active.count;
    list<int> call_index;
    call_index.resize(size, -1);
    for (int i = 0; i < called.count; ++i) call_index[called[i].node] = i;
    call_cotangents.resize(called.count);
    cotangent.resize(size, -1);
    for (int i = 0; i < outputs.size(); ++i) accumulate(cotangent[outputs[i]], cotangents[i]);
    for (int n = size - 1; n >= 0; --n) {
      if (call_index.items[n] >= 0) {
        through_call(n, call_index.items[n]);
        continue;
      }
      if (cotangent.items[n] < 0 || !active.items[n]) continue;
      const int d = cotangent.items[n] = tiled(cotangent.items[n]);
      const int count = g.nodes.items[n].arg_count;
      if (g.is(n, op::result)) {
        list<int>& of_call = call_cotangents[call_index[g.arg(n, 0)]];
        int index = static_cast<int>(g.number(n, 0));
        if (of_call.size() <= index) of_call.resize(index + 1, -1);
        accumulate(of_call[index], d);
        continue;
      }
      for (int i = 0; i < count; ++i) {
        int x = g.arg(n, i);
        if (active.items[x] && differentiates(g, n, i)) accumulate(cotangent.items[x], rule(n, i, d));
      }
    }
  }

  // The derivative of a call is a call of the derivative, of a repeat one in the other direction.
  constexpr void through_call(int n, int c) {
    const derived_call& d = calls[c];
    const call_info info = g.call_of(n);  // a copy: nodes are added below
    call_info reversed;
    reversed.repeat = info.repeat, reversed.reverse = !info.reverse;
    list<int> in, gradient_of;  // by operand: output of the backward call
    gradient_of.resize(info.operands.size(), -1);
    for (int i = 0, k = 0; i < info.operands.size(); ++i) {
      if (!d.in.has(i)) continue;
      gradient_of[i] = k++;
      operand_mode m = info.operands[i].mode;
      reversed.outputs.push(!info.repeat || m == operand_mode::carry ? output_mode::carry
                            : m == operand_mode::each              ? output_mode::each
                                                                   : output_mode::sum);
    }
    for (int i = 0; i < d.source_count; ++i) {
      const operand_source& s = d.sources[i];
      call_operand o;
      if (s.kind == operand_source::operand) {
        in.push(g.arg(n, s.index));
        o = info.operands[s.index];
      } else if (s.kind == operand_source::residual) {
        in.push(g.result(n, s.index));
        o.mode = info.repeat ? operand_mode::each : operand_mode::plain;
      } else {
        in.push(cotangent_of(n, c, s.index));
        output_mode m = info.outputs[s.index];
        if (info.repeat && m == output_mode::each) o.mode = operand_mode::each;
        if (info.repeat && m == output_mode::carry) {
          o.mode = operand_mode::carry;
          for (int k = 0; k < info.operands.size(); ++k)
            if (info.operands[k].mode == operand_mode::carry && info.operands[k].index == s.index)
              o.index = gradient_of[k];
        }
      }
      reversed.operands.push(o);
    }
    list<u64> numbers;
    reversed.encode(numbers);
    int call = g.put(op::call, in, g.axes_of(n), numbers, nullptr, d.backward);
    for (int i = 0; i < info.operands.size(); ++i) {
      int x = g.arg(n, i);
      if (d.in.has(i) && active[x]) accumulate(cotangent[x], g.result(call, gradient_of[i]));
    }
  }

  // The cotangent of an output of an active call, as its function takes it; zeros where nothing depends on the output.
  constexpr int cotangent_of(int n, int c, int index) {
    int d = index < call_cotangents[c].size() ? call_cotangents[c][index] : -1;
    int output = g.result(n, index);
    if (d < 0) d = g.constant(0, g.type(output).element);
    return g.type(output).stack ? d : rule.full(d, output);
  }
};

// The gradient with respect to what nothing depends on.
constexpr int zeros(graph& g, const tensor_type& t) { return g.as_type(g.constant(0, t.element), t); }

// Adds the gradients of the sum over `outputs` of <output, cotangent> to a graph, as outputs behind those that it has,
// one for each of `wrt` and of its type. A null cotangent is 1 (the output is a scalar).
constexpr void differentiate(graph& g, array_view<int> outputs, array_view<const leaf_info*> cotangents,
                             array_view<int> wrt, array_view<u8> active, array_view<call_activity> called,
                             const derived_call* calls) {
  list<int> seeds;
  for (int i = 0; i < outputs.count; ++i)
    seeds.push(cotangents[i] ? g.leaf(cotangents[i]) : g.constant(1, g.type(outputs[i]).element));
  reverse_sweep sweep{g, active, called, calls, {}, {}};
  sweep.run(outputs, seeds);
  for (int n : wrt) {
    int d = sweep.cotangent[n];
    g.outputs.push(d < 0 ? zeros(g, tensor_type(g.type(n))) : g.type(n).stack ? d : sweep.rule.full(d, n));
  }
}

}  // namespace flame
