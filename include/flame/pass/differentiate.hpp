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

struct differentiated {
  graph g;
  list<int> values;     // the outputs of the given graph
  list<int> gradients;  // one for each leaf asked for; -1 where nothing depends on it
};

// The graph with the gradients of the sum over `outputs` of <output, cotangent> beside it. A null cotangent is 1 (the
// output is a scalar). calls: for each call that `analyse` lists, in its order.
[[nodiscard]] constexpr differentiated differentiate(const graph& from, const list<int>& outputs,
                                                     const list<const leaf_info*>& cotangents,
                                                     const list<int>& wrt, const derived_call* calls) {
  differentiated r;
  graph& g = r.g;
  activity act = analyse(from, outputs, wrt);
  list<int> place, in, call_index, back;
  place.resize(from.size(), -1);
  call_index.resize(from.size(), -1);
  for (int i = 0; i < act.calls.size(); ++i) call_index[act.calls[i].node] = i;

  // Forward: as it is, but active calls also give their residual.
  for (int n = 0; n < from.size(); ++n) {
    in.clear();
    for (int i = 0; i < from[n].arg_count; ++i) in.push(place[from.arg(n, i)]);
    if (call_index[n] < 0) {
      place[n] = g.copy(from, n, in);
      continue;
    }
    const function_info* forward = calls[call_index[n]].forward;
    call_info info = from.call_of(n);
    while (info.outputs.size() < forward->output_count)
      info.outputs.push(info.repeat ? output_mode::each : output_mode::carry);
    list<const axis_info*> with;
    if (info.repeat) with.push(from.axis(n, 0));
    list<u64> numbers;
    info.encode(numbers);
    place[n] = g.put(op::call, in, with, numbers, nullptr, forward);
  }
  for (int n : from.outputs) r.values.push(place[n]);

  // Backward: over the same nodes, from the last.
  list<int> cotangent;              // by node of `from`, in g
  list<list<int>> call_cotangents;  // by active call, by output
  cotangent.resize(from.size(), -1);
  call_cotangents.resize(act.calls.size());
  backward rule{g};
  auto accumulate = [&](int& into, int d) {
    if (d >= 0) into = into < 0 ? d : g.binary(op::add, into, d);
  };
  for (int i = 0; i < outputs.size(); ++i)
    accumulate(cotangent[outputs[i]], cotangents[i] ? g.leaf(cotangents[i])
                                                    : g.constant(1, from.type(outputs[i]).element));
  for (int n = from.size() - 1; n >= 0; --n) {
    if (int c = call_index[n]; c >= 0) {
      const derived_call& d = calls[c];
      call_info info = from.call_of(n), reversed;
      reversed.repeat = info.repeat, reversed.reverse = !info.reverse;
      list<int> gradient_of;  // by operand: output of the backward call
      gradient_of.resize(info.operands.size(), -1);
      for (int i = 0, k = 0; i < info.operands.size(); ++i) {
        if (!d.in.has(i)) continue;
        gradient_of[i] = k++;
        operand_mode m = info.operands[i].mode;
        reversed.outputs.push(!info.repeat || m == operand_mode::carry ? output_mode::carry
                              : m == operand_mode::each              ? output_mode::each
                                                                     : output_mode::sum);
      }
      in.clear();
      for (int i = 0; i < d.source_count; ++i) {
        const operand_source& s = d.sources[i];
        call_operand o;
        if (s.kind == operand_source::operand) {
          in.push(place[from.arg(n, s.index)]);
          o = info.operands[s.index];
        } else if (s.kind == operand_source::residual) {
          in.push(g.result(place[n], s.index));
          o.mode = info.repeat ? operand_mode::each : operand_mode::plain;
        } else {
          int ct = s.index < call_cotangents[c].size() ? call_cotangents[c][s.index] : -1;
          int output = g.result(place[n], s.index);
          if (ct < 0) ct = g.constant(0, g.type(output).element);
          in.push(g.type(output).stack ? ct : rule.full(ct, output));
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
      list<const axis_info*> with;
      if (info.repeat) with.push(from.axis(n, 0));
      list<u64> numbers;
      reversed.encode(numbers);
      int call = g.put(op::call, in, with, numbers, nullptr, d.backward);
      for (int i = 0; i < info.operands.size(); ++i)
        if (d.in.has(i) && act.active[from.arg(n, i)])
          accumulate(cotangent[from.arg(n, i)], g.result(call, gradient_of[i]));
      continue;
    }
    if (cotangent[n] < 0 || !act.active[n] || from[n].arg_count == 0) continue;
    if (from.is(n, op::result)) {
      list<int>& of_call = call_cotangents[call_index[from.arg(n, 0)]];
      int index = static_cast<int>(from.number(n, 0));
      if (of_call.size() <= index) of_call.resize(index + 1, -1);
      accumulate(of_call[index], cotangent[n]);
      continue;
    }
    for (int i = 0; i < from[n].arg_count; ++i)
      if (act.active[from.arg(n, i)] && differentiates(from, n, i))
        accumulate(cotangent[from.arg(n, i)], rule(place[n], i, cotangent[n]));
  }
  for (int n : wrt) {
    int d = cotangent[n];
    if (d >= 0 && !from.type(n).stack) d = rule.full(d, place[n]);
    r.gradients.push(d);
  }
  return r;
}

}  // namespace flame
