// Activity: which nodes carry a derivative from the leaves asked for to the outputs, through calls and stacks too.
#pragma once
#include <flame/graph/words.hpp>

namespace flame {

// A set of up to 2,048 operands: SDXL's UNet with adapters has 1,100, those of a stack counted once. It
// is a template argument.
struct mask {
  static constexpr int words = 32;
  u64 word[words] = {};

  [[nodiscard]] constexpr bool has(int i) const { return i < 64 * words && (word[i / 64] >> (i % 64)) & 1; }
  constexpr void add(int i) {
    if (i >= 64 * words) detail::refuse_size("more than 2,048 operands of which some need gradients");
    word[i / 64] |= 1ull << (i % 64);
  }
  [[nodiscard]] constexpr bool any() const { return count() > 0; }
  [[nodiscard]] constexpr int count() const {
    int n = 0;
    for (u64 w : word) n += __builtin_popcountll(w);
    return n;
  }
  friend constexpr mask operator|(mask a, const mask& b) {
    for (int i = 0; i < words; ++i) a.word[i] |= b.word[i];
    return a;
  }
  friend constexpr mask operator&(mask a, const mask& b) {
    for (int i = 0; i < words; ++i) a.word[i] &= b.word[i];
    return a;
  }
  friend constexpr bool operator==(const mask&, const mask&) = default;
};

// Whether the derivative of an operation between floating numbers reaches operand i.
[[nodiscard]] constexpr bool differentiates(op code, int i) {
  switch (code) {
    case op::sign: case op::floor: case op::is_finite: case op::is_nan: case op::logical_not: case op::stop_gradient:
    case op::fold: case op::less: case op::less_equal: case op::equal: case op::not_equal: case op::logical_and:
    case op::logical_or: case op::argmax: case op::uniform: case op::normal:
      return false;
    case op::where: return i > 0;
    case op::gather: return i == 0;
    case op::scatter_add: case op::pool_take: case op::pool_put: return i == 1;
    default: return true;
  }
}
[[nodiscard]] constexpr bool differentiates(const graph& g, int n, int i) {
  return differentiates(g.nodes.items[n].code, i) && is_floating(g.type(n).element) &&
         is_floating(g.type(g.arg(n, i)).element);
}

// For each output of a function, the operands that it depends on differentiably. Every function is read once, and
// only its words are: no graph is made.
struct dependency_map {
  list<const function_info*> functions;
  list<list<mask>> masks;

  [[nodiscard]] constexpr const list<mask>& of(const function_info* f) {
    int known = functions.find(f);
    if (known >= 0) return masks.items[known];
    list<mask> found = read(*f);
    functions.push(f);
    masks.push(found);
    return masks.back();
  }
  // Of a call: through a stack, an output depends on what any instance's does.
  [[nodiscard]] constexpr list<mask> of_call(const function_info* f, const call_view& c) {
    list<mask> d = of(f);
    for (bool changed = c.repeat(); changed;) {
      changed = false;
      for (int i = 0; i < c.operand_count(); ++i) {
        const call_operand operand = c.operand(i);
        if (operand.mode != operand_mode::carry) continue;
        const mask before = d.items[operand.index];
        for (mask& m : d) {
          if (!m.has(i)) continue;
          mask wider = m | before;
          if (!(wider == m)) m = wider, changed = true;
        }
      }
    }
    return d;
  }

 private:
  constexpr list<mask> read(const function_info& f) {
    if (f.derivative || f.word_count == 0) return all_floating(f);  // given by the user; in another file
    word_reader r(f.words);
    list<mask> m, out;
    list<int> call_at;  // by node: which of `calls`
    list<word_reader> calls;
    list<list<mask>> through;
    m.resize(r.count);
    call_at.resize(r.count);
    for (int n = 0; n < r.count; ++n) {
      r.read();
      mask& here = m.items[n];
      if (r.code == op::leaf) {
        if (is_floating(f.leaves[r.first]->type.element)) here.add(r.first);
      } else if (r.code == op::call) {
        call_at.items[n] = calls.push(r);
        through.push(of_call(f.functions[r.function], {r.data}));
      } else if (r.code == op::result) {
        const word_reader& call = calls.items[call_at.items[r.first]];
        const mask& d = through.items[call_at.items[r.first]].items[r.data[0]];
        for (int i = 0; i < call.arg_count; ++i)
          if (d.has(i)) here = here | m.items[call.operand(i)];
      } else if (r.code != op::cast || is_floating(static_cast<dtype>(r.data[0]))) {  // integers depend on nothing
        for (int i = 0; i < r.arg_count; ++i)
          if (differentiates(r.code, i)) here = here | m.items[r.operand(i)];
      }
    }
    for (int i = 0; i < r.outputs; ++i) out.push(m.items[r.output(i)]);
    return out;
  }
  // A derivative that the user gave may lead through what has none, as a rounding.
  static constexpr list<mask> all_floating(const function_info& f) {
    mask all;
    for (int i = 0; i < f.leaf_count; ++i)
      if (is_floating(f.leaves[i]->type.element)) all.add(i);
    list<mask> out;
    for (int i = 0; i < f.output_count; ++i) out.push(is_floating(f.outputs[i].element) ? all : mask{});
    return out;
  }
};

// What a call must give when it is differentiated.
struct call_activity {
  int node = -1;
  int number = -1;  // among the graph's calls
  mask in;       // operands whose gradient is asked for
  mask out;      // outputs that have a cotangent
  mask carried;  // operands handed from instance to instance: the caller does not hold what the others got
};

struct activity {
  list<u8> active;            // by node: lies between what is asked for and the outputs
  list<call_activity> calls;  // in the order of their nodes
};

[[nodiscard]] constexpr activity analyse(const graph& g, array_view<int> outputs, array_view<int> wrt) {
  activity a;
  dependency_map functions;
  list<u8> from;  // by node: made from what is asked for
  list<int> call_at, call_nodes;
  list<list<mask>> through;  // of each call
  list<mask> out;
  from.resize(g.size(), 0);
  call_at.resize(g.size());
  a.active.resize(g.size(), 0);
  u8* to = a.active.items;  // leads to an output
  for (int n : wrt) from.items[n] = 1;
  for (int n = 0; n < g.size(); ++n) {
    const node& o = g.nodes.items[n];
    const int* in = g.args.items + o.args;
    if (o.code == op::call) {
      call_at.items[n] = call_nodes.push(n);
      through.push(functions.of_call(o.function, {g.numbers_of(n).items}));
      out.push({});
    } else if (o.code == op::result) {
      const mask& d = through.items[call_at.items[in[0]]].items[g.number(n, 0)];
      const array_view<int> operands = g.args_of(in[0]);
      for (int i = 0; i < operands.count && !from.items[n]; ++i)
        if (from.items[operands.items[i]] && d.has(i)) from.items[n] = 1;
    } else {
      for (int i = 0; i < o.arg_count; ++i)
        if (from.items[in[i]] && differentiates(g, n, i)) from.items[n] = 1;
    }
  }
  list<call_activity> reversed;
  for (int n : outputs) to[n] = 1;
  for (int n = g.size() - 1; n >= 0; --n) {
    const node& o = g.nodes.items[n];
    const int* in = g.args.items + o.args;
    if (o.code == op::call) {
      int c = call_at.items[n];
      if (!out.items[c].any()) continue;
      const call_view info{g.numbers_of(n).items};
      const int operands = info.operand_count(), outputs_of_call = info.output_count();
      call_activity r;
      r.node = n, r.number = c, r.out = out.items[c];
      for (bool changed = true; changed;) {  // a cotangent of one output is one of the states it came through
        changed = false;
        for (int i = 0; i < operands; ++i) {
          const call_operand operand = info.operand(i);
          bool reaches = false, starts = from.items[in[i]] != 0;
          for (int j = 0; j < outputs_of_call; ++j) reaches = reaches || (r.out.has(j) && through[c][j].has(i));
          if (operand.mode == operand_mode::carry) {
            r.carried.add(i);
            const mask& d = through[c][operand.index];
            for (int k = 0; k < operands; ++k) starts = starts || (from.items[in[k]] && d.has(k));
          }
          if (!reaches || !starts) continue;
          if (!r.in.has(i)) r.in.add(i), changed = true;
          if (operand.mode == operand_mode::carry && !r.out.has(operand.index)) r.out.add(operand.index), changed = true;
        }
      }
      for (int i = 0; i < operands; ++i)
        if (r.in.has(i) && from.items[in[i]]) to[in[i]] = 1;
      reversed.push(r);
    } else if (to[n] && from.items[n]) {
      if (o.code == op::result) {
        out.items[call_at.items[in[0]]].add(static_cast<int>(g.number(n, 0)));
      } else {
        for (int i = 0; i < o.arg_count; ++i)
          if (from.items[in[i]] && differentiates(g, n, i)) to[in[i]] = 1;
      }
    }
  }
  for (int i = reversed.count - 1; i >= 0; --i) a.calls.push(reversed.items[i]);
  for (int n = 0; n < g.size(); ++n)
    if (!from.items[n]) to[n] = 0;
  return a;
}

}  // namespace flame
