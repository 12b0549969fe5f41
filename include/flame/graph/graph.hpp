// The graph: hash-consed nodes in topological order, as a value in constant evaluation and at run time alike.
#pragma once
#include <flame/base/error.hpp>
#include <flame/graph/infer.hpp>

namespace flame {

// Operands, axes and numbers lie in the graph's pools.
struct node {
  op code = op::leaf;
  int args = 0, arg_count = 0;
  int axes = 0, axis_count = 0;
  int data = 0, data_count = 0;
  int type = 0;
  const leaf_info* leaf = nullptr;
  const function_info* function = nullptr;
  u64 hash = 0;  // of the formula below this node; equal formulas have equal hashes in every graph
};

// Thrown while a graph is built; in constant evaluation it stops the compiler here.
[[noreturn]] inline void refuse(op code, fault) {
  throw error("flame::", name_of(code).data, ": the operands' shapes or element types do not fit");
}

struct graph {
  list<node> nodes;
  list<int> args;
  list<const axis_info*> axes;
  list<u64> data;
  list<tensor_type> types;
  list<int> outputs;  // what the graph is for

  // While a function is traced: states and the values that renew them. They become its last outputs.
  struct assignment {
    const leaf_info* state = nullptr;
    int value = -1;
  };
  list<assignment> assigned;

  [[nodiscard]] constexpr int size() const { return nodes.size(); }
  [[nodiscard]] constexpr const node& operator[](int n) const { return nodes[n]; }
  [[nodiscard]] constexpr int arg(int n, int i) const { return args.items[nodes.items[n].args + i]; }
  [[nodiscard]] constexpr const axis_info* axis(int n, int i) const { return axes.items[nodes.items[n].axes + i]; }
  [[nodiscard]] constexpr u64 number(int n, int i) const { return data.items[nodes.items[n].data + i]; }
  [[nodiscard]] constexpr const tensor_type& type(int n) const { return types.items[nodes.items[n].type]; }
  [[nodiscard]] constexpr array_view<int> args_of(int n) const {
    return {args.items + nodes.items[n].args, nodes.items[n].arg_count};
  }
  [[nodiscard]] constexpr array_view<const axis_info*> axes_of(int n) const {
    return {axes.items + nodes.items[n].axes, nodes.items[n].axis_count};
  }
  [[nodiscard]] constexpr array_view<u64> numbers_of(int n) const {
    return {data.items + nodes.items[n].data, nodes.items[n].data_count};
  }
  [[nodiscard]] constexpr call_info call_of(int n) const { return call_info::decode(&data[nodes[n].data]); }
  [[nodiscard]] constexpr bool is(int n, op code) const { return nodes.items[n].code == code; }
  [[nodiscard]] constexpr bool is_constant(int n, double value) const {
    return nodes.items[n].code == op::constant && __builtin_bit_cast(double, number(n, 0)) == value;
  }

  // The whole operation of a node, as infer takes it.
  [[nodiscard]] constexpr operation operation_of(int n) const {
    const node& o = nodes[n];
    operation r;
    r.code = o.code, r.leaf = o.leaf, r.function = o.function;
    r.operands.reserve(o.arg_count);
    for (int i = 0; i < o.arg_count; ++i) r.operands.push(&type(arg(n, i)));
    r.axes = axes_of(n);
    r.data = numbers_of(n);
    return r;
  }

  // The node of this operation on these operands: the one that is there, or a new one at the end. What is given may
  // lie in this graph's own pools.
  constexpr int put(op code, array_view<int> operands, array_view<const axis_info*> with = {},
                    array_view<u64> numbers = {}, const leaf_info* of_leaf = nullptr,
                    const function_info* function = nullptr) {
    if (of_leaf) return leaf(of_leaf);
    const int* in = operands.items;
    const int swapped_operands[2] = {operands.count > 1 ? in[1] : 0, operands.count > 0 ? in[0] : 0};
    if (operands.count == 2 && is_commutative(code) && swapped(in[0], in[1])) in = swapped_operands;
    u64 h = combine(static_cast<u64>(code) | static_cast<u64>(operands.count) << 8, function ? function->id : 0);
    for (int i = 0; i < operands.count; ++i) h = combine(h, nodes.items[in[i]].hash);
    for (int i = 0; i < with.count; ++i) h = combine(h, with.items[i]->id);
    for (int i = 0; i < numbers.count; ++i) h = combine(h, numbers.items[i]);
    int found = table.find(h, [&](int n) {
      const node& o = nodes.items[n];
      if (o.code != code || o.arg_count != operands.count || o.axis_count != with.count ||
          o.data_count != numbers.count || o.function != function)
        return false;
      for (int i = 0; i < operands.count; ++i)
        if (args.items[o.args + i] != in[i]) return false;
      for (int i = 0; i < with.count; ++i)
        if (axes.items[o.axes + i] != with.items[i]) return false;
      for (int i = 0; i < numbers.count; ++i)
        if (data.items[o.data + i] != numbers.items[i]) return false;
      return true;
    });
    if (found >= 0) return found;
    node o;
    o.code = code, o.function = function, o.hash = h;
    o.args = args.count, o.arg_count = operands.count;
    o.axes = axes.count, o.axis_count = with.count;
    o.data = data.count, o.data_count = numbers.count;
    args.append({in, operands.count});
    axes.append(with);
    data.append(numbers);
    o.type = type_of(o);
    table.add(h);
    return nodes.push(o);
  }
  // Room for so many nodes more.
  constexpr void reserve(int n) {
    nodes.reserve(nodes.count + n);
    args.reserve(args.count + 2 * n);
    axes.reserve(axes.count + n);
    data.reserve(data.count + n);
    table.reserve(nodes.count + n);
  }

  constexpr int leaf(const leaf_info* l) {
    const u64 type_hash = l->type.hash(), h = combine(type_hash, l->id);
    // A parameter of one path and type is one leaf, whichever functions it comes through (tied weights). Names of
    // inputs say nothing: two scopes may each have an x.
    int found = table.find(h, [&](int n) {
      const leaf_info* k = nodes.items[n].leaf;
      return k == l || (k && k->path && l->path && k->id == l->id && k->kind == l->kind && k->type == l->type);
    });
    if (found >= 0) return found;
    node o;
    o.leaf = l, o.hash = h;
    o.type = intern(l->type, type_hash);
    table.add(h);
    return nodes.push(o);
  }
  constexpr int constant(double value, dtype d) {
    const u64 numbers[] = {__builtin_bit_cast(u64, value), static_cast<u64>(d)};
    return put(op::constant, {}, {}, numbers);
  }
  constexpr int unary(op code, int a) { return put(code, {&a, 1}); }
  constexpr int binary(op code, int a, int b) {
    const int in[] = {a, b};
    return put(code, in);
  }
  constexpr int where(int condition, int a, int b) {
    const int in[] = {condition, a, b};
    return put(op::where, in);
  }
  constexpr int with_axes(op code, int a, array_view<const axis_info*> with) { return put(code, {&a, 1}, with); }
  constexpr int cast(int a, dtype to) {
    if (type(a).element == to) return a;
    const u64 number = static_cast<u64>(to);
    return put(op::cast, {&a, 1}, {}, {&number, 1});
  }
  constexpr int extent(const axis_info* a, dtype d) {
    const u64 number = static_cast<u64>(d);
    return put(op::extent, {}, {&a, 1}, {&number, 1});
  }
  constexpr int contract(int a, int b, const tensor_type& out) {
    const int in[] = {a, b};
    return put(op::contract, in, {out.axes, out.rank});
  }
  constexpr int result(int call, int index) {
    const u64 number = static_cast<u64>(index);
    return put(op::result, {&call, 1}, {}, {&number, 1});
  }
  // `a` with exactly these axes in this order: repeated along those it lacks, its memory reordered if need be.
  constexpr int as_type(int a, const tensor_type& t) {
    const tensor_type& have = type(a);
    bool equal = have.rank == t.rank;
    for (int i = 0; equal && i < t.rank; ++i) equal = have.axes[i] == t.axes[i];
    if (equal) return a;
    return with_axes(have.rank == t.rank ? op::permute : op::broadcast, a, {t.axes, t.rank});
  }
  // The same operation as node n of `from`, on these operands of this graph.
  constexpr int copy(const graph& from, int n, array_view<int> operands) {
    const node& o = from.nodes.items[n];
    return put(o.code, operands, from.axes_of(n), from.numbers_of(n), o.leaf, o.function);
  }

  // The type of a result: the output of the function called, under the caller's axes.
  constexpr fault infer_result(const node& o, tensor_type& t) const {
    rule::axis_map map;
    const int call = args[o.args];
    if (fault f = rule::call(operation_of(call), map); f != fault::none) return f;
    return infer_result(o, map, t);
  }

 private:
  hash_table table;       // of nodes
  hash_table type_table;  // of types
  rule::axis_map results_map;  // of the call whose result came last: its other results come next
  int results_call = -1;

  constexpr fault infer_result(const node& o, const rule::axis_map& map, tensor_type& t) const {
    const int call = args[o.args];
    const node& c = nodes[call];
    return rule::result(*c.function, {data.items + c.data}, map, c.axis_count ? axis(call, 0) : nullptr,
                        static_cast<int>(data[o.data]), t);
  }

  constexpr fault bind_results(const operation& o, int call) {
    results_map.inner.clear(), results_map.outer.clear();
    results_call = call;
    return rule::call(o, results_map);
  }
  constexpr bool swapped(int first, int second) const {
    const node &a = nodes.items[first], &b = nodes.items[second];
    if (a.hash <= b.hash) return false;
    if (a.type == b.type) return true;
    // The order of operands decides the order of axes only where neither has all of them, or both have all.
    const tensor_type &s = types.items[a.type], &t = types.items[b.type];
    return s.rank < t.rank ? within(s, t) : s.rank > t.rank && within(t, s);
  }
  constexpr int intern(const tensor_type& t, u64 h) {
    int found = type_table.find(h, [&](int i) { return types.items[i] == t; });
    if (found >= 0) return found;
    type_table.add(h);
    return types.push(t);
  }
  // Most nodes: elementwise on floating operands, of which one has all the axes. -1 for others.
  constexpr int widest_operand(const node& o) const {
    if (o.code < op::neg || o.code > op::maximum || (o.code >= op::is_finite && o.code <= op::fold)) return -1;
    const int* in = args.items + o.args;
    int t = nodes.items[in[0]].type;
    for (int i = 1; i < o.arg_count; ++i) {
      int u = nodes.items[in[i]].type;
      if (u == t) continue;
      const tensor_type &a = types.items[t], &b = types.items[u];
      if (a.element != b.element || b.stack) return -1;
      if (a.rank >= b.rank ? !within(b, a) : !within(a, b)) return -1;
      if (b.rank > a.rank) t = u;
    }
    const tensor_type& whole = types.items[t];
    return is_floating(whole.element) && !whole.stack ? t : -1;
  }
  constexpr int type_of(const node& o) {
    if (int t = widest_operand(o); t >= 0) return t;
    tensor_type t;
    fault f = fault::none;
    if (o.code == op::result) {
      if (args[o.args] != results_call) f = bind_results(operation_of(args[o.args]), args[o.args]);
      if (f == fault::none) f = infer_result(o, results_map, t);
    } else {
      operation p;
      p.code = o.code, p.leaf = o.leaf, p.function = o.function;
      p.operands.reserve(o.arg_count);
      for (int i = 0; i < o.arg_count; ++i) p.operands.push(&types.items[nodes.items[args.items[o.args + i]].type]);
      p.axes = {axes.items + o.axes, o.axis_count};
      p.data = {data.items + o.data, o.data_count};
      f = o.code == op::call ? bind_results(p, nodes.count) : infer(p, t);
    }
    if (f != fault::none) refuse(o.code, f);
    return intern(t, t.hash());
  }
};

}  // namespace flame
