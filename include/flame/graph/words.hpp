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

// The nodes that the outputs need, in canonical order: operands before users, leaves before all.
[[nodiscard]] constexpr list<int> canonical_order(const graph& g) {
  enum : u8 { unseen, open, done };
  list<int> leaves, rest, stack;
  list<u8> state;
  rest.reserve(g.size());
  state.resize(g.size(), unseen);
  for (int out : g.outputs) {
    stack.push(out);
    while (!stack.empty()) {
      int n = stack.back();
      const node& o = g.nodes.items[n];
      if (state.items[n] != unseen || o.arg_count == 0) {
        stack.pop();
        if (state.items[n] == done) continue;
        state.items[n] = done;
        (o.code == op::leaf ? leaves : rest).push(n);
        continue;
      }
      state.items[n] = open;
      const int* in = g.args.items + o.args;
      for (int i = o.arg_count - 1; i >= 0; --i)
        if (state.items[in[i]] == unseen) stack.push(in[i]);
    }
  }
  sort(leaves, [&](int a, int b) { return g.nodes.items[a].leaf->id < g.nodes.items[b].leaf->id; });
  leaves.append(rest);
  return leaves;
}

namespace detail {

// Things numbered in the order in which they are met.
template <class T>
struct numbering {
  list<const T*> items;
  hash_table table;

  constexpr int operator()(const T* t) {
    int found = table.find(t->id, [&](int i) { return items.items[i] == t; });
    if (found >= 0) return found;
    items.push(t);
    return table.add(t->id);
  }
  // Orders the items by id, and gives the new number of each old one.
  constexpr list<int> sort_by_id() {
    list<int> order, renumbered;
    list<const T*> sorted;
    for (int i = 0; i < items.count; ++i) order.push(i);
    sort(order, [&](int a, int b) { return items.items[a]->id < items.items[b]->id; });
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
  throw error(std::string("flame: one function cannot hold ") + what + "; make parts of it functions of their own");
}

}  // namespace detail

// `operands`: the leaves of a function in the order of its operands, used or not; empty for an expression, whose
// leaves then come in the order of their ids.
[[nodiscard]] constexpr encoded encode(const graph& g, array_view<const leaf_info*> operands = {}) {
  encoded e;
  const list<int> order = canonical_order(g);
  detail::numbering<leaf_info> leaves;
  detail::numbering<axis_info> axes;
  detail::numbering<function_info> functions;
  list<int> place, leaf_of, axis_of, function_of;  // by node; by leaf, axis, call in their order
  for (const leaf_info* l : operands) leaves(l);
  place.resize(g.size());
  int data_count = 0;
  for (int at = 0; at < order.count; ++at) {
    const node& o = g.nodes.items[order.items[at]];
    place.items[order.items[at]] = at;
    if (o.leaf) leaf_of.push(leaves(o.leaf));
    if (o.function) function_of.push(functions(o.function));
    for (int i = 0; i < o.axis_count; ++i) axis_of.push(axes(g.axes.items[o.axes + i]));
    if (o.arg_count > 255 || o.axis_count > 255) detail::refuse_size("a call with more than 255 operands");
    data_count += o.data_count;
  }
  if (order.count > 0xffff) detail::refuse_size("more than 65,535 operations");
  if (axes.items.count > 256) detail::refuse_size("more than 256 axes");
  const list<int> axis_number = axes.sort_by_id(), function_number = functions.sort_by_id();
  e.words.reserve(2 * order.count + axis_of.count + data_count + g.outputs.count + 1);
  e.words.push(static_cast<u64>(order.count) | static_cast<u64>(g.outputs.count) << 32);
  const int *next_leaf = leaf_of.items, *next_axis = axis_of.items, *next_function = function_of.items;
  for (int n : order) {
    const node& o = g.nodes.items[n];
    const int* in = g.args.items + o.args;
    u64 first = o.leaf ? static_cast<u64>(*next_leaf++) : o.arg_count > 0 ? static_cast<u64>(place.items[in[0]]) : 0;
    u64 second = o.arg_count > 1 ? static_cast<u64>(place.items[in[1]]) : 0;
    e.words.push(static_cast<u64>(o.code) | static_cast<u64>(o.arg_count) << 8 | static_cast<u64>(o.axis_count) << 16 |
                 static_cast<u64>(o.data_count) << 24 | first << 32 | second << 48);
    if (o.arg_count > 2) {
      detail::packer more{e.words, 16};
      for (int i = 2; i < o.arg_count; ++i) more.push(place.items[in[i]]);
      more.finish();
    }
    if (o.function) e.words.push(static_cast<u64>(function_number.items[*next_function++]));
    if (o.axis_count > 0) {
      detail::packer named{e.words, 8};
      for (int i = 0; i < o.axis_count; ++i) named.push(axis_number.items[*next_axis++]);
      named.finish();
    }
    if (o.data_count > 0) e.words.append({g.data.items + o.data, o.data_count});
  }
  detail::packer outputs{e.words, 16};
  for (int n : g.outputs) {
    outputs.push(place.items[n]);
    e.outputs.push(g.type(n));
  }
  outputs.finish();
  e.leaves = static_cast<list<const leaf_info*>&&>(leaves.items);
  e.axes = static_cast<list<const axis_info*>&&>(axes.items);
  e.functions = static_cast<list<const function_info*>&&>(functions.items);
  u64 h = 0;
  for (u64 x : e.words) h = mix(h, x);
  for (const axis_info* a : e.axes) h = mix(h, a->id);
  for (const leaf_info* l : e.leaves) h = mix(mix(h, l->id), l->type.hash());
  for (const function_info* f : e.functions) h = mix(h, f->id);
  e.id = h;
  return e;
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

// Which nodes are the outputs.
[[nodiscard]] constexpr list<int> output_places(const u64* words, int word_count) {
  list<int> places;
  const int count = static_cast<int>(words[0] >> 32);
  const u64* last = words + word_count - (count + 3) / 4;
  for (int i = 0; i < count; ++i) places.push(static_cast<int>((last[i / 4] >> (16 * (i % 4))) & 0xffff));
  return places;
}

// Adds the words' nodes to a graph and returns their outputs. Leaves become the given nodes, where there are any; so
// does each node for which `instead`, if given, has one that is not -1.
constexpr list<int> decode(graph& g, const word_view& v, array_view<int> operands = {}, array_view<int> instead = {}) {
  word_reader r(v.words);
  list<int> place, in, outputs;
  list<const axis_info*> axes;
  place.resize(r.count);
  g.reserve(r.count);
  for (int n = 0; n < r.count; ++n) {
    r.read();
    if (instead.count && instead.items[n] >= 0) {
      place.items[n] = instead.items[n];
      continue;
    }
    if (r.code == op::leaf) {
      place.items[n] = operands.count ? operands.items[r.first] : g.leaf(v.leaves[r.first]);
      continue;
    }
    in.clear(), axes.clear();
    for (int i = 0; i < r.arg_count; ++i) in.push(place.items[r.operand(i)]);
    for (int i = 0; i < r.axis_count; ++i) axes.push(v.axes[r.axis(i)]);
    place.items[n] = g.put(r.code, in, axes, {r.data, r.data_count}, nullptr,
                           r.code == op::call ? v.functions[r.function] : nullptr);
  }
  for (int i = 0; i < r.outputs; ++i) outputs.push(place.items[r.output(i)]);
  return outputs;
}

// The function's own graph, with all its operands as leaves, used or not, at the beginning.
[[nodiscard]] constexpr graph graph_of(const function_info& f) {
  graph g;
  for (int i = 0; i < f.leaf_count; ++i) g.leaf(f.leaves[i]);
  g.outputs = decode(g, view(f));
  return g;
}

}  // namespace flame
