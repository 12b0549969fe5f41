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
  list<int> order, rest, stack, seen;
  seen.resize(g.size(), 0);
  for (int out : g.outputs) {
    stack.push(out);
    while (!stack.empty()) {
      int n = stack.back();
      if (seen[n] == 2) {
        stack.pop();
        continue;
      }
      if (seen[n] == 1) {
        seen[n] = 2;
        stack.pop();
        (g.is(n, op::leaf) ? order : rest).push(n);
        continue;
      }
      seen[n] = 1;
      for (int i = g[n].arg_count - 1; i >= 0; --i)
        if (seen[g.arg(n, i)] == 0) stack.push(g.arg(n, i));
    }
  }
  sort(order, [&](int a, int b) { return g[a].leaf->id < g[b].leaf->id; });
  order.append(rest);
  return order;
}

// `operands`: the leaves of a function in the order of its operands, used or not; empty for an expression, whose
// leaves then come in the order of their ids.
[[nodiscard]] constexpr encoded encode(const graph& g, const list<const leaf_info*>& operands = {}) {
  encoded e;
  e.leaves = operands;
  list<int> order = canonical_order(g), place;
  place.resize(g.size(), -1);
  for (int n : order) {
    const node& o = g[n];
    if (o.leaf && !e.leaves.has(o.leaf)) e.leaves.push(o.leaf);
    if (o.function && !e.functions.has(o.function)) e.functions.push(o.function);
    for (int i = 0; i < o.axis_count; ++i)
      if (!e.axes.has(g.axis(n, i))) e.axes.push(g.axis(n, i));
  }
  sort(e.axes, [](const axis_info* a, const axis_info* b) { return a->id < b->id; });
  sort(e.functions, [](const function_info* a, const function_info* b) { return a->id < b->id; });
  e.words.push(static_cast<u64>(order.size()) | static_cast<u64>(g.outputs.size()) << 32);
  for (int at = 0; at < order.size(); ++at) {
    int n = order[at];
    const node& o = g[n];
    place[n] = at;
    auto operand = [&](int i) -> u64 {
      if (o.code == op::leaf) return i == 0 ? static_cast<u64>(e.leaves.find(o.leaf)) : 0;
      return i < o.arg_count ? static_cast<u64>(place[g.arg(n, i)]) : 0;
    };
    e.words.push(static_cast<u64>(o.code) | static_cast<u64>(o.arg_count) << 8 | static_cast<u64>(o.axis_count) << 16 |
                 static_cast<u64>(o.data_count) << 24 | operand(0) << 32 | operand(1) << 48);
    for (int i = 2; i < o.arg_count; i += 4)
      e.words.push(operand(i) | operand(i + 1) << 16 | operand(i + 2) << 32 | operand(i + 3) << 48);
    if (o.function) e.words.push(static_cast<u64>(e.functions.find(o.function)));
    for (int i = 0; i < o.axis_count; i += 8) {
      u64 w = 0;
      for (int k = 0; k < 8 && i + k < o.axis_count; ++k)
        w |= static_cast<u64>(e.axes.find(g.axis(n, i + k))) << (8 * k);
      e.words.push(w);
    }
    for (int i = 0; i < o.data_count; ++i) e.words.push(g.number(n, i));
  }
  u64 w = 0;
  for (int i = 0; i < g.outputs.size(); ++i) {
    w |= static_cast<u64>(place[g.outputs[i]]) << (16 * (i % 4));
    if (i % 4 == 3 || i + 1 == g.outputs.size()) e.words.push(w), w = 0;
    e.outputs.push(g.type(g.outputs[i]));
  }
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

// Adds the words' nodes to a graph and returns their outputs. Leaves become the given nodes, where there are any.
constexpr list<int> decode(graph& g, const word_view& v, const list<int>& operands = {}) {
  const u64* w = v.words;
  int count = static_cast<int>(w[0] & 0xffffffff), outs = static_cast<int>(w[0] >> 32);
  ++w;
  list<int> place, in, outputs;
  list<const axis_info*> axes;
  list<u64> data;
  place.reserve(count);
  for (int n = 0; n < count; ++n) {
    u64 head = *w++;
    op code = static_cast<op>(head & 0xff);
    int args = static_cast<int>((head >> 8) & 0xff), axis_count = static_cast<int>((head >> 16) & 0xff),
        numbers = static_cast<int>((head >> 24) & 0xff);
    if (code == op::leaf) {
      int l = static_cast<int>((head >> 32) & 0xffff);
      place.push(operands.empty() ? g.leaf(v.leaves[l]) : operands[l]);
      continue;
    }
    in.clear(), axes.clear(), data.clear();
    if (args > 0) in.push(place[static_cast<int>((head >> 32) & 0xffff)]);
    if (args > 1) in.push(place[static_cast<int>(head >> 48)]);
    for (int i = 2; i < args; ++i) {
      in.push(place[static_cast<int>((*w >> (16 * ((i - 2) % 4))) & 0xffff)]);
      if ((i - 2) % 4 == 3 || i + 1 == args) ++w;
    }
    const function_info* f = nullptr;
    if (code == op::call) f = v.functions[*w++];
    for (int i = 0; i < axis_count; ++i) {
      axes.push(v.axes[(*w >> (8 * (i % 8))) & 0xff]);
      if (i % 8 == 7 || i + 1 == axis_count) ++w;
    }
    for (int i = 0; i < numbers; ++i) data.push(*w++);
    place.push(g.put(code, in, axes, data, nullptr, f));
  }
  for (int i = 0; i < outs; ++i) {
    outputs.push(place[static_cast<int>((*w >> (16 * (i % 4))) & 0xffff)]);
    if (i % 4 == 3) ++w;
  }
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
