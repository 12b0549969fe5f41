// The grammar of graphs: whether every node of a graph is what the rules make of its operands. For between
// passes.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame {

// The first node that is not as it should be, and why; node is -1 where all are.
struct finding {
  int node = -1;
  text what;
  fault reason = fault::none;  // where infer refuses the node
  [[nodiscard]] constexpr bool ok() const { return what.size == 0; }
};

namespace rule {

// How many axes (at least, at most; -1: any number) and numbers an operation has.
struct counts {
  int least_axes = 0, most_axes = 0, numbers = 0;
};

[[nodiscard]] constexpr counts counts_of(op code, int operands) {
  switch (code) {
    case op::constant: return {0, 0, 2};
    case op::extent:
    case op::iota: return {1, 1, 1};
    case op::uniform:
    case op::normal: return {0, max_rank, 2};
    case op::cast: return {0, 0, 1};
    case op::sum:
    case op::prod:
    case op::max:
    case op::min: return {0, max_rank, 0};
    case op::argmax:
    case op::gather: return {1, 1, 0};
    case op::cumsum:
    case op::in_range: return {1, 1, 1};
    case op::top: return {2, 2, 0};
    case op::permute:
    case op::broadcast:
    case op::contract: return {0, max_rank, 0};
    case op::rename: return {2, 2, 0};
    case op::split:
    case op::merge: return {2, max_rank + 1, 0};
    case op::slice: return {2, -1, 3};
    case op::pad: return {2, -1, 4};
    case op::concatenate: return {operands + 1, operands + 1, 0};
    case op::conv:
    case op::conv_data:
    case op::conv_weight: return {9, 9, -1};
    case op::pool_take:
    case op::pool_put:
    case op::pool_mean:
    case op::pool_mean_put: return {4, 4, 6};
    case op::scatter_add: return {1, max_rank + 1, 0};
    case op::attend:
    case op::attend_statistics:
    case op::attend_query:
    case op::attend_key:
    case op::attend_value: return {3, 3, 2};
    case op::call: return {0, 1, -1};
    case op::result: return {0, 0, 1};
    default: return {};
  }
}

[[nodiscard]] constexpr int dtype_at(op code) {  // which number is an element type
  switch (code) {
    case op::constant:
    case op::uniform:
    case op::normal: return 1;
    case op::extent:
    case op::iota:
    case op::cast: return 0;
    default: return -1;
  }
}

// Numbers that no rule of types looks at.
[[nodiscard]] constexpr bool numbers_are_legal(const graph& g, int n) {
  auto positive = [&](int first, int last) {
    for (int i = first; i < last; ++i)
      if (g.number(n, i) - 1 >= u64{1} << 31) return false;
    return true;
  };
  auto number = [&](int i) { return static_cast<i64>(g.number(n, i)); };
  op code = g[n].code;
  if (int i = dtype_at(code); i >= 0) return g.number(n, i) <= static_cast<u64>(dtype::key);
  switch (code) {
    case op::slice: return number(0) >= 0 && number(1) > 0 && number(2) >= as_result;
    case op::pad: return number(0) >= 0 && (number(1) >= 0 || number(1) == as_result) && number(3) > 0;
    case op::conv:
    case op::conv_data:
    case op::conv_weight:
      if (g[n].data_count != 7 && g[n].data_count != 9) return false;
      return positive(0, 2) && number(2) >= 0 && number(3) >= 0 && positive(4, 7);
    case op::cumsum: return g.number(n, 0) <= 1;
    case op::pool_take:
    case op::pool_put:
    case op::pool_mean:
    case op::pool_mean_put: return positive(0, 4) && number(4) >= 0 && number(5) >= 0;
    default: return true;
  }
}

// What a call says beyond its operands' types: modes that fit each other. Empty where all is well.
[[nodiscard]] constexpr text call_problem(const graph& g, int n) {
  const node& o = g[n];
  if (!o.function) return "a call of no function";
  if (o.data_count < 1) return "a call without numbers";
  call_info info = g.call_of(n);
  list<u64> again;
  info.encode(again);
  if (again.size() != o.data_count) return "a call's numbers do not fit their count";
  if (info.operands.size() != o.arg_count || info.outputs.size() != o.function->output_count)
    return "a call has other operands or outputs than its function";
  if (o.axis_count != (info.repeat ? 1 : 0)) return "a repeat has one axis, a plain call none";
  axis_map map;
  if (call(g.operation_of(n), map) != fault::none) return "a call's operands do not fit its function";
  for (int i = 0; i < info.operands.size(); ++i) {
    const call_operand& operand = info.operands[i];
    const tensor_type& wanted = o.function->leaves[i]->type;
    if (operand.mode == operand_mode::keyed && wanted.element != dtype::key)
      return "a keyed operand is no key";
    if (operand.mode != operand_mode::plain && !info.repeat) return "a plain call has plain operands";
    if (operand.mode != operand_mode::carry) continue;
    if (operand.index < 0 || operand.index >= info.outputs.size()) return "a carried operand has no output";
    if (info.outputs[operand.index] != output_mode::carry) return "a carried operand's output is not carried";
    if (!(o.function->outputs[operand.index] == wanted))
      return "a carried operand is not of its output's type";
  }
  for (int j = 0; j < info.outputs.size(); ++j) {
    if (info.outputs[j] != output_mode::carry && !info.repeat) return "a plain call has carried outputs";
    dtype element = o.function->outputs[j].element;
    if (info.outputs[j] == output_mode::sum && (element == dtype::key || element == dtype::boolean))
      return "a summed output is no number";
  }
  return {};
}

[[nodiscard]] constexpr finding check_node(const graph& g, int n) {
  const node& o = g[n];
  if (static_cast<int>(o.code) >= op_count) return {n, "no such operation"};
  if (o.args < 0 || o.args + o.arg_count > g.args.size() || o.axes < 0 ||
      o.axes + o.axis_count > g.axes.size() || o.data < 0 || o.data + o.data_count > g.data.size() ||
      o.type < 0 || o.type >= g.types.size())
    return {n, "it points outside of the graph's pools"};
  int arity = op_table[static_cast<int>(o.code)].arity;
  if (arity >= 0 && o.arg_count != arity) return {n, "it has another number of operands than its operation"};
  if (o.code == op::concatenate && o.arg_count < 1)
    return {n, "it has another number of operands than its operation"};
  for (int i = 0; i < o.arg_count; ++i) {
    if (g.arg(n, i) < 0 || g.arg(n, i) >= n) return {n, "an operand does not come before it"};
    if (g.is(g.arg(n, i), op::call) != (o.code == op::result))
      return {n, "calls have results, and results a call"};
  }
  counts c = counts_of(o.code, o.arg_count);
  if (o.axis_count < c.least_axes || (c.most_axes >= 0 && o.axis_count > c.most_axes))
    return {n, "it has another number of axes than its operation"};
  if (c.numbers >= 0 && o.data_count != c.numbers)
    return {n, "it has another number of numbers than its operation"};
  if ((o.code == op::leaf) != (o.leaf != nullptr))
    return {n, "leaves, and only leaves, say which leaf they are"};
  if ((o.code == op::call) != (o.function != nullptr))
    return {n, "calls, and only calls, say which function they call"};
  if (!numbers_are_legal(g, n)) return {n, "a number is out of its range"};
  tensor_type t;
  fault f = fault::none;
  if (o.code == op::call)
    if (text problem = call_problem(g, n); problem.size) return {n, problem};
  if (o.code == op::result) {
    if (g.number(n, 0) >= static_cast<u64>(g[g.arg(n, 0)].function->output_count))
      return {n, "its function has no such output"};
    f = g.infer_result(o, t);
  } else {
    f = infer(g.operation_of(n), t);
  }
  if (f != fault::none) return {n, "the rule of its operation refuses it", f};
  if (!(t == g.type(n))) return {n, "its type is not what the rule of its operation gives"};
  return {};
}

}  // namespace rule

// Whether every node has legal operands, axes and numbers, the type that infer gives, the hash of its
// formula, operands in canonical order and no equal before it, and every output is a node with a value.
// Linear in the graph.
[[nodiscard]] constexpr finding check(const graph& g) {
  graph fresh;
  list<int> operands;
  for (int n = 0; n < g.size(); ++n) {
    if (finding f = rule::check_node(g, n); !f.ok()) return f;
    operands.clear();
    for (int i = 0; i < g[n].arg_count; ++i) operands.push(g.arg(n, i));
    int m = fresh.copy(g, n, operands);
    if (m != n) return {n, "it is equal to an earlier node"};
    if (fresh[m].hash != g[n].hash) return {n, "its hash is not that of its formula"};
    for (int i = 0; i < operands.size(); ++i)
      if (fresh.arg(m, i) != g.arg(n, i)) return {n, "its operands are not in canonical order"};
  }
  for (int n : g.outputs) {
    if (n < 0 || n >= g.size()) return {n, "an output is no node"};
    if (g.is(n, op::call)) return {n, "an output is a call; its results are meant"};
  }
  return {};
}

}  // namespace flame
