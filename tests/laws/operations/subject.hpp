// The graphs that a law looks at: a formula, its gradients, their gradients, and the same in other element
// types.
#pragma once
#include <flame/graph/check.hpp>

#include <map>

#include "../laws.hpp"
#include "../numbers.hpp"

namespace flame::laws {

// A formula with its derivatives, all of them outputs of one graph: the value, the gradients of <value,
// cotangent>, then the gradients of the sum of <gradient, direction>, with respect to every leaf and to the
// cotangent.
struct subject {
  graph value;                      // the formula alone
  graph once, twice;                // as the passes give them, not simplified
  list<const leaf_info*> floating;  // what is differentiated with respect to
  const leaf_info* cotangent = nullptr;
  list<const leaf_info*> directions;  // one for each floating leaf
  bool differentiable = false;
};

inline graph alone(const graph& g, int n) {
  graph from = g;
  from.outputs.clear();
  from.outputs.push(n);
  return simplify(from);
}

inline list<int> nodes_of(graph& g, const list<const leaf_info*>& leaves) {
  list<int> n;
  for (const leaf_info* l : leaves) n.push(g.leaf(l));
  return n;
}

inline subject make_subject(const graph& value) {
  subject s;
  s.value = value;
  const graph& g = s.value;
  for (int i = 0; i < g.size(); ++i)
    if (g.is(i, op::leaf) && is_floating(g[i].leaf->type.element)) s.floating.push(g[i].leaf);
  const tensor_type& t = g.type(g.outputs[0]);
  s.differentiable = is_floating(t.element) && !s.floating.empty();
  if (!s.differentiable) return s;
  s.cotangent = new_leaf(t, "cotangent", {});
  for (const leaf_info* l : s.floating) s.directions.push(new_leaf(l->type, "direction", {}));

  list<const leaf_info*> cotangents;
  cotangents.push(s.cotangent);
  graph from = g;
  const list<int> leaves = nodes_of(from, s.floating);
  s.once = with_gradients(from, from.outputs, cotangents, leaves);

  graph second = s.once;
  const list<int> gradients(second.outputs.items + 1, s.floating.size());
  list<const leaf_info*> all = s.floating;
  all.push(s.cotangent);
  for (const leaf_info* l : s.directions) (void)second.leaf(l);
  const list<int> again = nodes_of(second, all);
  s.twice = with_gradients(second, gradients, s.directions, again);
  return s;
}

inline subject make_subject(int n) { return make_subject(alone(tape(), n)); }

// The same graph where d stands for f64.
struct retyped {
  graph g;
  std::map<const leaf_info*, const leaf_info*> leaves;  // of the given graph: of this one
};
inline retyped with_element(const graph& from, dtype d) {
  retyped r;
  list<int> place, in;
  for (int n = 0; n < from.size(); ++n) {
    const node& o = from[n];
    if (o.code == op::leaf) {
      const leaf_info* l = o.leaf;
      if (l->type.element == dtype::f64 && d != dtype::f64) {
        tensor_type t = l->type;
        t.element = d;
        l = new_leaf(t, o.leaf->name, domain_of(o.leaf));
      }
      r.leaves[o.leaf] = l;
      place.push(r.g.leaf(l));
      continue;
    }
    in.clear();
    for (int i = 0; i < o.arg_count; ++i) in.push(place[from.arg(n, i)]);
    // Statistics and what is subtracted in attention's gradients keep f32.
    if (const attention_operands at(o.code, o.arg_count); is_attention(o.code) && at.cotangent >= 0) {
      const int sums = in[at.statistics];
      in[at.statistics] = r.g.is(sums, op::cast) ? r.g.arg(sums, 0) : r.g.cast(sums, attention_sums(d));
      in[at.delta] = r.g.cast(in[at.delta], attention_sums(d));
    }
    list<u64> numbers(o.data_count ? &from.data[o.data] : nullptr, o.data_count);
    if (int at = rule::dtype_at(o.code); at >= 0 && numbers[at] == static_cast<u64>(dtype::f64))
      numbers[at] = static_cast<u64>(d);
    list<const axis_info*> with(o.axis_count ? &from.axes[o.axes] : nullptr, o.axis_count);
    if (o.code == op::cast && from.type(n).element == dtype::f64 && r.g.type(in[0]).element == d)
      place.push(in[0]);
    else
      place.push(r.g.put(o.code, in, with, numbers, nullptr, o.function));
    if (o.code == op::attend_statistics) place.back() = r.g.cast(place.back(), d);
  }
  for (int n : from.outputs) r.g.outputs.push(place[n]);
  return r;
}

}  // namespace flame::laws
