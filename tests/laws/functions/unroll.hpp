// A network of calls and stacks as one graph without calls, made by walking through the functions: what
// derivatives and programs of calls are compared with.
#pragma once
#include <deque>

#include "network.hpp"

namespace flame::laws {

// A node, or one for each instance of a stack.
struct nested_node {
  int node = -1;
  std::vector<nested_node> instances;
  bool stacked = false;
};

class unroller {
 public:
  graph g;

  // A leaf, one for each instance where it is a stack. shape: as values have it.
  nested_node leaf(const leaf_info& l, const nested& like, int skipped = 0) {
    nested_node n;
    if (like.stacked) {
      n.stacked = true;
      for (const nested& i : like.instances) n.instances.push_back(leaf(l, i, skipped + 1));
      return n;
    }
    tensor_type t;
    t.element = l.type.element;
    for (int i = skipped; i < l.type.rank; ++i)
      t.push(axis(l.type.axes[i], like.one.shape[static_cast<std::size_t>(i - skipped)]));
    leaves_.push_back({mix(0x1EAF, leaves_.size()), leaf_kind::input, t, l.name});
    n.node = g.leaf(&leaves_.back());
    given[&leaves_.back()] = like.one;
    return n;
  }

  // The outputs of a function on operands.
  std::vector<nested_node> call(const function_info& f, const std::vector<nested_node>& operands) {
    const graph body = graph_of(f);
    return outputs(body, f, operands);
  }

  leaf_values given;

 private:
  struct frame {
    rule::axis_map map;  // the function's axes to this graph's
    std::vector<nested_node> place;
    std::map<int, std::vector<nested_node>> results;  // of its calls
  };

  // One axis for each extent that a name has: instances may differ in it.
  const axis_info* axis(const axis_info* a, i64 extent) {
    if (a->extent != dynamic) return a;
    auto [at, is_new] = axes_.try_emplace({a, extent}, nullptr);
    if (is_new) {
      made_.push_back(*a);
      made_.back().id = mix(a->id, static_cast<u64>(extent) + 1);
      at->second = &made_.back();
    }
    return at->second;
  }

  void bind(frame& fr, const tensor_type& inner, const nested_node& n, int skipped) {
    if (n.stacked) {
      for (const nested_node& i : n.instances) bind(fr, inner, i, skipped + 1);
      return;
    }
    const tensor_type& t = g.type(n.node);
    for (int i = 0; i < t.rank; ++i)
      if (inner.stack == 0) REQUIRE(fr.map.bind(inner.axes[i + skipped], t.axes[i]));
  }

  std::vector<nested_node> outputs(const graph& body, const function_info& f,
                                   const std::vector<nested_node>& operands) {
    frame fr;
    fr.place.resize(static_cast<std::size_t>(body.size()));
    for (int i = 0; i < f.leaf_count; ++i)
      bind(fr, f.leaves[i]->type, operands[static_cast<std::size_t>(i)], 0);
    for (int n = 0; n < body.size(); ++n) {
      const node& o = body[n];
      nested_node& to = fr.place[static_cast<std::size_t>(n)];
      if (o.code == op::leaf) {
        for (int i = 0; i < f.leaf_count; ++i)
          if (f.leaves[i] == o.leaf) to = operands[static_cast<std::size_t>(i)];
      } else if (o.code == op::call) {
        fr.results[n] = results(body, n, fr);
      } else if (o.code == op::result) {
        to = fr.results[body.arg(n, 0)][static_cast<std::size_t>(body.number(n, 0))];
      } else {
        list<int> in;
        for (int i = 0; i < o.arg_count; ++i)
          in.push(fr.place[static_cast<std::size_t>(body.arg(n, i))].node);
        list<const axis_info*> with;
        for (int i = 0; i < o.axis_count; ++i) with.push(fr.map(body.axis(n, i)));
        to.node =
            g.put(o.code, in, with, list<u64>(o.data_count ? &body.data[o.data] : nullptr, o.data_count));
      }
    }
    std::vector<nested_node> out;
    for (int o : body.outputs) out.push_back(fr.place[static_cast<std::size_t>(o)]);
    return out;
  }

  std::vector<nested_node> results(const graph& body, int n, frame& fr) {
    const function_info& f = *body[n].function;
    const call_info info = body.call_of(n);
    std::vector<nested_node> operands, state, out(static_cast<std::size_t>(f.output_count));
    for (int i = 0; i < body[n].arg_count; ++i)
      operands.push_back(fr.place[static_cast<std::size_t>(body.arg(n, i))]);
    if (!info.repeat) return call(f, operands);
    std::size_t count = 0;
    for (int i = 0; i < info.operands.size(); ++i)
      if (info.operands[i].mode == operand_mode::each)
        count = operands[static_cast<std::size_t>(i)].instances.size();
    for (int j = 0; j < f.output_count; ++j)
      if (info.outputs[j] == output_mode::each) {
        out[static_cast<std::size_t>(j)].stacked = true;
        out[static_cast<std::size_t>(j)].instances.resize(count);
      }
    state = operands;
    for (int i = 0; i < info.operands.size(); ++i)
      if (info.operands[i].mode == operand_mode::carry)
        out[static_cast<std::size_t>(info.operands[i].index)] = operands[static_cast<std::size_t>(i)];
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t instance = info.reverse ? count - 1 - k : k;
      std::vector<nested_node> in;
      for (int i = 0; i < info.operands.size(); ++i) {
        const nested_node& whole = operands[static_cast<std::size_t>(i)];
        switch (info.operands[i].mode) {
          case operand_mode::plain: in.push_back(whole); break;
          case operand_mode::carry: in.push_back(state[static_cast<std::size_t>(i)]); break;
          case operand_mode::each: in.push_back(whole.instances[instance]); break;
          case operand_mode::keyed: {
            nested_node key;
            key.node =
                g.binary(op::fold, whole.node, g.constant(static_cast<double>(instance), dtype::int32));
            in.push_back(key);
          }
        }
      }
      const std::vector<nested_node> one = call(f, in);
      for (int j = 0; j < f.output_count; ++j) {
        nested_node& to = out[static_cast<std::size_t>(j)];
        const nested_node& from = one[static_cast<std::size_t>(j)];
        switch (info.outputs[j]) {
          case output_mode::carry: to = from; break;
          case output_mode::each: to.instances[instance] = from; break;
          case output_mode::sum:
            to.node = to.node < 0 ? from.node : g.binary(op::add, to.node, from.node);
            break;
        }
      }
      for (int i = 0; i < info.operands.size(); ++i)
        if (info.operands[i].mode == operand_mode::carry)
          state[static_cast<std::size_t>(i)] = one[static_cast<std::size_t>(info.operands[i].index)];
    }
    return out;
  }

  std::deque<leaf_info> leaves_;
  std::deque<axis_info> made_;
  std::map<std::pair<const axis_info*, i64>, const axis_info*> axes_;
};

}  // namespace flame::laws
