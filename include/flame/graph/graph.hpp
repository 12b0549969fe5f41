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
  text n = name_of(code);
  throw error("flame::" + std::string(n.data, static_cast<std::size_t>(n.size)) +
              ": the operands' shapes or element types do not fit");
}

struct graph {
  list<node> nodes;
  list<int> args;
  list<const axis_info*> axes;
  list<u64> data;
  list<tensor_type> types;
  list<u64> type_hashes;
  list<int> table;    // open addressing over node hashes
  list<int> outputs;  // what the graph is for

  // While a function is traced: states and the values that renew them. They become its last outputs.
  struct assignment {
    const leaf_info* state = nullptr;
    int value = -1;
  };
  list<assignment> assigned;

  [[nodiscard]] constexpr int size() const { return nodes.size(); }
  [[nodiscard]] constexpr const node& operator[](int n) const { return nodes[n]; }
  [[nodiscard]] constexpr int arg(int n, int i) const { return args[nodes[n].args + i]; }
  [[nodiscard]] constexpr const axis_info* axis(int n, int i) const { return axes[nodes[n].axes + i]; }
  [[nodiscard]] constexpr u64 number(int n, int i) const { return data[nodes[n].data + i]; }
  [[nodiscard]] constexpr const tensor_type& type(int n) const { return types[nodes[n].type]; }
  [[nodiscard]] constexpr call_info call_of(int n) const { return call_info::decode(&data[nodes[n].data]); }
  [[nodiscard]] constexpr bool is(int n, op code) const { return nodes[n].code == code; }
  [[nodiscard]] constexpr bool is_constant(int n, double value) const {
    return nodes[n].code == op::constant && __builtin_bit_cast(double, number(n, 0)) == value;
  }

  // The whole operation of a node, as infer and rebuilding passes take it.
  [[nodiscard]] constexpr operation operation_of(int n) const {
    const node& o = nodes[n];
    operation r;
    r.code = o.code, r.leaf = o.leaf, r.function = o.function;
    r.operands.reserve(o.arg_count);
    for (int i = 0; i < o.arg_count; ++i) r.operands.push(type(arg(n, i)));
    r.axes = list<const axis_info*>(o.axis_count ? &axes[o.axes] : nullptr, o.axis_count);
    r.data = list<u64>(o.data_count ? &data[o.data] : nullptr, o.data_count);
    return r;
  }

  // The node of this operation on these operands: the one that is there, or a new one at the end.
  constexpr int put(op code, const list<int>& operands, const list<const axis_info*>& with = {},
                    const list<u64>& numbers = {}, const leaf_info* leaf = nullptr,
                    const function_info* function = nullptr) {
    bool swap = is_commutative(code) && swapped(operands);
    u64 h = mix(static_cast<u64>(code), static_cast<u64>(operands.size()));
    for (int i = 0; i < operands.size(); ++i) h = mix(h, nodes[operands[swap ? 1 - i : i]].hash);
    for (const axis_info* a : with) h = mix(h, a->id);
    for (u64 d : numbers) h = mix(h, d);
    if (leaf) h = mix(mix(h, leaf->id), leaf->type.hash());
    if (function) h = mix(h, function->id);
    if (table.size() < 2 * (nodes.size() + 1)) grow();
    int mask = table.size() - 1, slot = static_cast<int>(h & static_cast<u64>(mask));
    for (; table[slot] >= 0; slot = (slot + 1) & mask) {
      const node& o = nodes[table[slot]];
      if (o.hash == h && o.code == code && same(o, operands, swap, with, numbers, leaf, function)) return table[slot];
    }
    node o;
    o.code = code, o.leaf = leaf, o.function = function, o.hash = h;
    o.args = args.size(), o.arg_count = operands.size();
    for (int i = 0; i < operands.size(); ++i) args.push(operands[swap ? 1 - i : i]);
    o.axes = axes.size(), o.axis_count = with.size();
    axes.append(with);
    o.data = data.size(), o.data_count = numbers.size();
    data.append(numbers);
    o.type = type_of(o);
    table[slot] = nodes.size();
    return nodes.push(o);
  }

  constexpr int leaf(const leaf_info* l) { return put(op::leaf, {}, {}, {}, l); }
  constexpr int constant(double value, dtype d) {
    list<u64> numbers;
    numbers.push(__builtin_bit_cast(u64, value));
    numbers.push(static_cast<u64>(d));
    return put(op::constant, {}, {}, numbers);
  }
  constexpr int unary(op code, int a) {
    list<int> in;
    in.push(a);
    return put(code, in);
  }
  constexpr int binary(op code, int a, int b) {
    list<int> in;
    in.push(a), in.push(b);
    return put(code, in);
  }
  constexpr int where(int condition, int a, int b) {
    list<int> in;
    in.push(condition), in.push(a), in.push(b);
    return put(op::where, in);
  }
  constexpr int with_axes(op code, int a, const list<const axis_info*>& with) {
    list<int> in;
    in.push(a);
    return put(code, in, with);
  }
  constexpr int cast(int a, dtype to) {
    if (type(a).element == to) return a;
    list<int> in;
    in.push(a);
    list<u64> numbers;
    numbers.push(static_cast<u64>(to));
    return put(op::cast, in, {}, numbers);
  }
  constexpr int extent(const axis_info* a, dtype d) {
    list<const axis_info*> with;
    with.push(a);
    list<u64> numbers;
    numbers.push(static_cast<u64>(d));
    return put(op::extent, {}, with, numbers);
  }
  constexpr int contract(int a, int b, const tensor_type& out) {
    list<int> in;
    in.push(a), in.push(b);
    return put(op::contract, in, list<const axis_info*>(out.axes, out.rank));
  }
  constexpr int result(int call, int index) {
    list<int> in;
    in.push(call);
    list<u64> numbers;
    numbers.push(static_cast<u64>(index));
    return put(op::result, in, {}, numbers);
  }
  // `a` with exactly these axes in this order: repeated along those it lacks, its memory reordered if need be.
  constexpr int as_type(int a, const tensor_type& t) {
    const tensor_type& have = type(a);
    bool equal = have.rank == t.rank;
    for (int i = 0; equal && i < t.rank; ++i) equal = have.axes[i] == t.axes[i];
    if (equal) return a;
    list<const axis_info*> all(t.axes, t.rank);
    return with_axes(have.rank == t.rank ? op::permute : op::broadcast, a, all);
  }
  // The same operation as node n of `from`, on these operands of this graph.
  constexpr int copy(const graph& from, int n, const list<int>& operands) {
    const node& o = from[n];
    return put(o.code, operands, list<const axis_info*>(o.axis_count ? &from.axes[o.axes] : nullptr, o.axis_count),
               list<u64>(o.data_count ? &from.data[o.data] : nullptr, o.data_count), o.leaf, o.function);
  }

  // The type of a result: the output of the function called, under the caller's axes.
  constexpr fault infer_result(const node& o, tensor_type& t) const {
    int call = args[o.args];
    operation c = operation_of(call);
    call_info info = call_of(call);
    rule::axis_map map;
    if (fault f = rule::call(c, map, info); f != fault::none) return f;
    int index = static_cast<int>(data[o.data]);
    const tensor_type& inner = c.function->outputs[index];
    t.element = inner.element;
    if (info.outputs[index] == output_mode::each) {
      t.push(c.axes[0]);
      t.stack = 1;
    }
    t.stack = static_cast<u8>(t.stack + inner.stack);
    for (int i = 0; i < inner.rank; ++i)
      if (fault f = rule::extend(t, map(inner.axes[i])); f != fault::none) return f;
    return fault::none;
  }

 private:
  constexpr bool swapped(const list<int>& operands) const {
    const node &a = nodes[operands[0]], &b = nodes[operands[1]];
    if (a.hash <= b.hash) return false;
    // The order of operands decides the order of axes only where neither has all of them, or both have all.
    const tensor_type &s = types[a.type], &t = types[b.type];
    return a.type == b.type || (s.rank != t.rank && (within(s, t) || within(t, s)));
  }
  constexpr bool same(const node& o, const list<int>& operands, bool swap, const list<const axis_info*>& with,
                      const list<u64>& numbers, const leaf_info* leaf, const function_info* function) const {
    if (o.arg_count != operands.size() || o.axis_count != with.size() || o.data_count != numbers.size() ||
        o.leaf != leaf || o.function != function)
      return false;
    for (int i = 0; i < operands.size(); ++i)
      if (args[o.args + i] != operands[swap ? 1 - i : i]) return false;
    for (int i = 0; i < with.size(); ++i)
      if (axes[o.axes + i] != with[i]) return false;
    for (int i = 0; i < numbers.size(); ++i)
      if (data[o.data + i] != numbers[i]) return false;
    return true;
  }
  constexpr int intern(const tensor_type& t) {
    u64 h = t.hash();
    for (int i = 0; i < types.size(); ++i)
      if (type_hashes[i] == h && types[i] == t) return i;
    type_hashes.push(h);
    return types.push(t);
  }
  constexpr int type_of(const node& o) {
    // Most nodes: elementwise on operands of one type that keeps it.
    if (is_elementwise(o.code) && o.code >= op::neg && o.code != op::cast && o.code != op::fold) {
      int t = nodes[args[o.args]].type;
      bool plain = is_floating(types[t].element) && !types[t].stack &&
                   !(o.code >= op::is_finite && o.code <= op::logical_not) &&
                   !(o.code >= op::less && o.code <= op::where);
      for (int i = 1; plain && i < o.arg_count; ++i) plain = nodes[args[o.args + i]].type == t;
      if (plain) return t;
    }
    operation p;
    p.code = o.code, p.leaf = o.leaf, p.function = o.function;
    p.operands.reserve(o.arg_count);
    for (int i = 0; i < o.arg_count; ++i) p.operands.push(types[nodes[args[o.args + i]].type]);
    p.axes = list<const axis_info*>(o.axis_count ? &axes[o.axes] : nullptr, o.axis_count);
    p.data = list<u64>(o.data_count ? &data[o.data] : nullptr, o.data_count);
    tensor_type t;
    fault f = o.code == op::result ? infer_result(o, t) : infer(p, t);
    if (f != fault::none) refuse(o.code, f);
    return intern(t);
  }
  constexpr void grow() {
    int n = table.size() ? 2 * table.size() : 32;
    table.clear();
    table.resize(n, -1);
    for (int i = 0; i < n; ++i) table[i] = -1;
    for (int i = 0; i < nodes.size(); ++i) {
      int slot = static_cast<int>(nodes[i].hash & static_cast<u64>(n - 1));
      while (table[slot] >= 0) slot = (slot + 1) & (n - 1);
      table[slot] = i;
    }
  }
};

}  // namespace flame
