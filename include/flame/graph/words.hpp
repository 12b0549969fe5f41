// Graph to words and back: the canonical form in which an expression is a type and a function is data.
//
// A node is one word: operation 8 bits, operand count 8, axis count 8, number count 8, two operands of 16 bits each;
// further operands follow four to a word, then axes eight to a word, then the numbers, a word each. Leaves, axes and
// functions are indices into lists beside the words, each in the order of its ids (leaves of a function: in the
// order of its operands). Nodes come in the order of a depth-first walk from the outputs, leaves first.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame {

struct encoded {
  list<u64> words;
  list<const axis_info*> axes;
  list<const leaf_info*> leaves;
  list<const function_info*> functions;
  list<tensor_type> outputs;
  u64 id = 0;
};

namespace detail {

// What some nodes need: which nodes, and those of them that are no leaves in canonical order, the order of a depth-first
// walk. as_leaf: by node, the leaf that it is taken for, or null; empty for none.
struct needed_nodes {
  list<u8> needed;
  list<int> order;
};
[[nodiscard]] constexpr needed_nodes find_needed(const graph& g, array_view<int> outputs,
                                          array_view<const leaf_info*> as_leaf = {}) {
  enum : u8 { unseen, done, open };
  needed_nodes w;
  list<int> stack;
  w.order.reserve(g.size());
  w.needed.resize(g.size(), unseen);
  u8* state = w.needed.items;
  for (int out : outputs) {
    stack.push(out);
    while (stack.count > 0) {
      const int n = stack.items[stack.count - 1];
      const node& o = g.nodes.items[n];
      if (state[n] != unseen || o.arg_count == 0 || (as_leaf.count && as_leaf.items[n])) {
        --stack.count;
        if (state[n] == done) continue;
        state[n] = done;
        if (!o.leaf && !(as_leaf.count && as_leaf.items[n])) w.order.items[w.order.count++] = n;
        continue;
      }
      state[n] = open;
      const int* in = g.args.items + o.args;
      for (int i = o.arg_count - 1; i >= 0; --i)
        if (state[in[i]] == unseen) stack.push(in[i]);
    }
  }
  return w;
}

}  // namespace detail

// The nodes that the outputs need, in canonical order: leaves by their ids, then operands before users.
[[nodiscard]] constexpr list<int> canonical_order(const graph& g) {
  const detail::needed_nodes w = detail::find_needed(g, g.outputs);
  list<int> order;
  for (int n = 0; n < g.size(); ++n)
    if (w.needed[n] && g.is(n, op::leaf)) order.push(n);
  sort(order, [&](int a, int b) { return g.nodes.items[a].leaf->id < g.nodes.items[b].leaf->id; });
  order.append(w.order);
  return order;
}

namespace detail {

// Things numbered in the order in which they are met.
template <class T>
struct numbering {
  list<const T*> items;
  hash_table table;  // of the first `known` items
  int known = 0;
  int next = 0;  // things are mostly met again in the order in which they came

  constexpr int operator()(const T* t) {
    if (next < items.count && items.items[next] == t) return next++;
    for (; known < items.count; ++known) table.add(items.items[known]->id);
    int found = table.find(t->id, [&](int candidate) { return items.items[candidate] == t; });
    if (found < 0) found = items.push(t);
    next = found + 1;
    return found;
  }
  struct by_their_id {  // no lambda: g++ 12 would warn that its parameters shadow the user's globals
    const T* const* items;
    constexpr bool operator()(int first, int second) const { return items[first]->id < items[second]->id; }
  };
  // Orders the items by id, and gives the new number of each old one.
  constexpr list<int> sort_by_id() {
    list<int> order, renumbered;
    list<const T*> sorted;
    for (int i = 0; i < items.count; ++i) order.push(i);
    sort(order, by_their_id{items.items});
    renumbered.resize(items.count);
    for (int i = 0; i < order.count; ++i) {
      renumbered.items[order.items[i]] = i;
      sorted.push(items.items[order.items[i]]);
    }
    items = static_cast<list<const T*>&&>(sorted);
    return renumbered;
  }
};

// Numbers of so many bits, as many to a word as it holds.
struct packer {
  list<u64>& words;
  int bits;
  int filled = 0;
  u64 word = 0;

  constexpr void push(int value) {
    word |= static_cast<u64>(value) << filled;
    filled += bits;
    if (filled == 64) finish();
  }
  constexpr void finish() {
    if (filled) words.push(word);
    filled = 0, word = 0;
  }
};

[[noreturn]] inline void refuse_size(const char* what) {
  throw error("flame: one function cannot hold ", what, "; make parts of it functions of their own");
}

}  // namespace detail

// The part of a graph that some nodes need. `operands`: the leaves of a function in the order of its operands, used or
// not; empty for an expression, whose leaves then come in the order of their ids. as_leaf: by node, the leaf that it is
// taken for, or null; empty for none.
[[nodiscard]] constexpr encoded encode(const graph& g, array_view<int> outputs, array_view<const leaf_info*> operands,
                                       array_view<const leaf_info*> as_leaf = {}) {
  encoded e;
  const detail::needed_nodes w = detail::find_needed(g, outputs, as_leaf);
  detail::numbering<leaf_info> leaves;
  detail::numbering<axis_info> axes;
  detail::numbering<function_info> functions;
  list<int> place, node_of_leaf, axis_of, function_of;  // by node, by leaf, by axis and call in their order
  leaves.items.append(operands);
  if (operands.empty()) {
    for (int n = 0; n < g.size(); ++n)
      if (w.needed.items[n] && g.nodes.items[n].leaf) leaves.items.push(g.nodes.items[n].leaf);
    sort(leaves.items, by_id{});
  }
  node_of_leaf.resize(leaves.items.count, -1);
  int leaf_count = 0, data_count = 0;
  for (int n = 0; n < g.size(); ++n) {
    if (!w.needed.items[n]) continue;
    const leaf_info* leaf = as_leaf.count && as_leaf.items[n] ? as_leaf.items[n] : g.nodes.items[n].leaf;
    if (leaf) node_of_leaf.items[leaves(leaf)] = n, ++leaf_count;
  }
  place.resize(g.size());
  list<u64>& words = e.words;
  words.push(static_cast<u64>(leaf_count + w.order.count) | static_cast<u64>(outputs.count) << 32);
  for (int i = 0, at = 0; i < node_of_leaf.count; ++i) {
    if (node_of_leaf.items[i] < 0) continue;
    place.items[node_of_leaf.items[i]] = at++;
    words.push(static_cast<u64>(op::leaf) | static_cast<u64>(i) << 32);
  }
  for (int i = 0; i < w.order.count; ++i) {
    const node& o = g.nodes.items[w.order.items[i]];
    place.items[w.order.items[i]] = leaf_count + i;
    if (o.function) function_of.push(functions(o.function));
    for (int k = 0; k < o.axis_count; ++k) axis_of.push(axes(g.axes.items[o.axes + k]));
    if (o.arg_count > 255 || o.axis_count > 255) detail::refuse_size("a call with more than 255 operands");
    data_count += o.data_count;
  }
  if (leaf_count + w.order.count > 0xffff) detail::refuse_size("more than 65,535 operations");
  if (axes.items.count > 256) detail::refuse_size("more than 256 axes");
  const list<int> axis_number = axes.sort_by_id(), function_number = functions.sort_by_id();
  words.reserve(words.count + 2 * w.order.count + axis_of.count + data_count + outputs.count);
  const int *next_axis = axis_of.items, *next_function = function_of.items;
  for (int n : w.order) {
    const node& o = g.nodes.items[n];
    const int* in = g.args.items + o.args;
    u64 head = static_cast<u64>(o.code) | static_cast<u64>(o.arg_count) << 8 | static_cast<u64>(o.axis_count) << 16 |
               static_cast<u64>(o.data_count) << 24;
    if (o.arg_count > 0) head |= static_cast<u64>(place.items[in[0]]) << 32;
    if (o.arg_count > 1) head |= static_cast<u64>(place.items[in[1]]) << 48;
    words.push(head);
    if (o.arg_count > 2) {
      detail::packer more{words, 16};
      for (int i = 2; i < o.arg_count; ++i) more.push(place.items[in[i]]);
      more.finish();
    }
    if (o.function) words.push(static_cast<u64>(function_number.items[*next_function++]));
    if (o.axis_count > 0) {
      detail::packer named{words, 8};
      for (int i = 0; i < o.axis_count; ++i) named.push(axis_number.items[*next_axis++]);
      named.finish();
    }
    if (o.data_count > 0) words.append({g.data.items + o.data, o.data_count});
  }
  detail::packer places{words, 16};
  for (int n : outputs) {
    places.push(place.items[n]);
    e.outputs.push(g.type(n));
  }
  places.finish();
  e.leaves = static_cast<list<const leaf_info*>&&>(leaves.items);
  e.axes = static_cast<list<const axis_info*>&&>(axes.items);
  e.functions = static_cast<list<const function_info*>&&>(functions.items);
  u64 h = 0;
  for (u64 x : words) h = combine(h, x);
  for (const axis_info* a : e.axes) h = combine(h, a->id);
  for (const leaf_info* l : e.leaves) h = combine(combine(h, l->id), l->type.hash());
  for (const function_info* f : e.functions) h = combine(h, f->id);
  e.id = h;
  return e;
}
[[nodiscard]] constexpr encoded encode(const graph& g, array_view<const leaf_info*> operands = {}) {
  return encode(g, g.outputs, operands);
}

// What words refer to.
struct word_view {
  const u64* words;
  const axis_info* const* axes;
  const leaf_info* const* leaves;
  const function_info* const* functions;
};

[[nodiscard]] constexpr word_view view(const function_info& f) { return {f.words, f.axes, f.leaves, f.functions}; }

// Reads words node by node.
struct word_reader {
  const u64* next = nullptr;
  int count = 0, outputs = 0;  // of nodes, of outputs

  op code = op::leaf;
  int arg_count = 0, axis_count = 0, data_count = 0;
  int first = 0, second = 0;      // operands; of a leaf, its index
  const u64* more = nullptr;      // further operands, four to a word
  int function = 0;               // its index
  const u64* axes = nullptr;      // eight to a word
  const u64* data = nullptr;

  constexpr word_reader() = default;
  constexpr explicit word_reader(const u64* words)
      : next(words + 1), count(static_cast<int>(words[0] & 0xffffffff)), outputs(static_cast<int>(words[0] >> 32)) {}

  constexpr void read() {
    const u64 head = *next;
    code = static_cast<op>(head & 0xff);
    arg_count = static_cast<int>((head >> 8) & 0xff), axis_count = static_cast<int>((head >> 16) & 0xff);
    data_count = static_cast<int>((head >> 24) & 0xff);
    first = static_cast<int>((head >> 32) & 0xffff), second = static_cast<int>(head >> 48);
    more = next + 1;
    next = arg_count > 2 ? more + (arg_count + 1) / 4 : more;
    if (code == op::call) function = static_cast<int>(*next++);
    axes = next, data = next + (axis_count + 7) / 8;
    next = data + data_count;
  }
  [[nodiscard]] constexpr int operand(int i) const {
    return i == 0 ? first : i == 1 ? second : sixteen(more, i - 2);
  }
  [[nodiscard]] constexpr int axis(int i) const { return static_cast<int>((axes[i / 8] >> (8 * (i % 8))) & 0xff); }
  // After the last node.
  [[nodiscard]] constexpr int output(int i) const { return sixteen(next, i); }

 private:
  static constexpr int sixteen(const u64* words, int i) {
    return static_cast<int>((words[i / 4] >> (16 * (i % 4))) & 0xffff);
  }
};

[[nodiscard]] constexpr int node_count(const u64* words) { return static_cast<int>(words[0] & 0xffffffff); }

// Adds the words' nodes to a graph and returns their outputs. Leaves become the given nodes, where there are any; call
// number i becomes a call of forwards[i], a function with more outputs, where that is given and not null.
constexpr list<int> decode(graph& g, const word_view& v, array_view<int> operands = {},
                           array_view<const function_info*> forwards = {}) {
  word_reader r(v.words);
  list<int> place, in, outputs;
  list<const axis_info*> axes;
  int calls = 0;
  place.resize(r.count);
  g.reserve(r.count);
  for (int n = 0; n < r.count; ++n) {
    r.read();
    if (r.code == op::leaf) {
      place.items[n] = operands.count ? operands.items[r.first] : g.leaf(v.leaves[r.first]);
      continue;
    }
    in.clear(), axes.clear();
    for (int i = 0; i < r.arg_count; ++i) in.push(place.items[r.operand(i)]);
    for (int i = 0; i < r.axis_count; ++i) axes.push(v.axes[r.axis(i)]);
    if (r.code != op::call) {
      place.items[n] = g.put(r.code, in, axes, {r.data, r.data_count});
      continue;
    }
    const function_info* f = v.functions[r.function];
    list<u64> numbers(r.data, r.data_count);
    if (int k = calls++; k < forwards.count && forwards.items[k]) {
      f = forwards.items[k];
      call_info info = call_info::decode(r.data);
      info.outputs.resize(f->output_count, info.repeat ? output_mode::each : output_mode::carry);
      numbers.clear();
      info.encode(numbers);
    }
    place.items[n] = g.put(op::call, in, axes, numbers, nullptr, f);
  }
  for (int i = 0; i < r.outputs; ++i) outputs.push(place.items[r.output(i)]);
  return outputs;
}

// The function's own graph, with all its operands as leaves, used or not, at the beginning.
[[nodiscard]] constexpr graph graph_of(const function_info& f, array_view<const function_info*> forwards = {}) {
  graph g;
  list<int> leaves;
  g.reserve(f.leaf_count + node_count(f.words));
  for (int i = 0; i < f.leaf_count; ++i) leaves.push(g.leaf(f.leaves[i]));
  g.outputs = decode(g, view(f), leaves, forwards);
  return g;
}

}  // namespace flame
