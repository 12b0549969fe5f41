// The laws of functions: see network.hpp.
#include "host.hpp"
#include "unroll.hpp"

namespace flame::laws {

namespace {

// ---- Values -----------------------------------------------------------------------------------------------

nested draw(const leaf_info& l, const shapes_of_network& s, std::mt19937_64& random, int skipped = 0,
            i64 instance = 0) {
  nested v;
  if (skipped < l.type.stack) {
    v.stacked = true;
    for (i64 k = 0; k < s.extents.at(l.type.axes[skipped]); ++k)
      v.instances.push_back(draw(l, s, random, skipped + 1, skipped == 0 ? k : instance));
    return v;
  }
  v.one.type.element = l.type.element;
  for (int i = skipped; i < l.type.rank; ++i) {
    const axis_info* a = l.type.axes[i];
    v.one.shape.push_back(a->extent != dynamic ? a->extent
                          : a == s.ragged      ? s.ranks[static_cast<std::size_t>(instance)]
                                               : s.extents.at(a));
  }
  v.one.resize();
  if (v.one.is_key())
    for (u64& k : v.one.keys) k = random();
  else
    v.one.data = spread(v.one.size(), -0.9, 1.1, random);
  return v;
}

given_values draw_all(const network& n, const shapes_of_network& s) {
  std::mt19937_64 random(5);
  given_values given;
  for (int i = 0; i < n.f->leaf_count; ++i) given[n.f->leaves[i]] = draw(*n.f->leaves[i], s, random);
  for (int i = 0; i < n.wrt.size(); ++i)
    given[n.directions[static_cast<std::size_t>(i)]] = draw(*n.f->leaves[n.wrt[i]], s, random);
  return given;
}

// All instances in one value, as the reference evaluator has them.
value flat(const nested& v, const tensor_type& t, const shapes_of_network& s) {
  if (!v.stacked) return v.one;
  value all;
  all.type.element = t.element;
  for (int i = 0; i < t.rank; ++i)
    all.shape.push_back(t.axes[i]->extent != dynamic ? t.axes[i]->extent : s.extents.at(t.axes[i]));
  auto append = [&](const nested& part, auto& self) -> void {
    if (!part.stacked) all.data.insert(all.data.end(), part.one.data.begin(), part.one.data.end());
    for (const nested& i : part.instances) self(i, self);
  };
  append(v, append);
  return all;
}

void each_one(nested& v, auto body) {
  if (!v.stacked) body(v.one);
  for (nested& i : v.instances) each_one(i, body);
}

// ---- The unrolled network ---------------------------------------------------------------------------------

void append_leaves(const nested_node& n, list<int>& to) {
  if (!n.stacked) to.push(n.node);
  for (const nested_node& i : n.instances) append_leaves(i, to);
}

// Values of consecutive outputs in the form of a nested value.
nested gather(const nested& like, const values& from, std::size_t& at) {
  nested v;
  v.stacked = like.stacked;
  if (like.stacked)
    for (const nested& i : like.instances) v.instances.push_back(gather(i, from, at));
  else
    v.one = from[at++];
  return v;
}

struct unrolled {
  unroller u;
  graph once, twice;  // the scalar, then its gradients by each instance of each operand
  std::vector<nested> value_and_gradients, seconds;
};

graph scalar_and_gradients(const graph& from, int scalar, const list<int>& wrt) {
  graph g = from;
  g.outputs.clear();
  g.outputs.push(scalar);
  list<int> outputs;
  outputs.push(scalar);
  list<const leaf_info*> one;
  one.push(nullptr);
  return with_gradients(g, outputs, one, wrt);
}

void unroll(const network& n, const given_values& given, unrolled& r) {
  std::vector<nested_node> operands;
  list<int> wrt, along;
  for (int i = 0; i < n.f->leaf_count; ++i)
    operands.push_back(r.u.leaf(*n.f->leaves[i], given.at(n.f->leaves[i])));
  for (int i = 0; i < n.wrt.size(); ++i) {
    append_leaves(operands[static_cast<std::size_t>(n.wrt[i])], wrt);
    const leaf_info* d = n.directions[static_cast<std::size_t>(i)];
    append_leaves(r.u.leaf(*d, given.at(d)), along);
  }
  const int scalar = r.u.call(*n.f, operands)[0].node;
  list<const leaf_info*> leaves;
  for (int w : wrt) leaves.push(r.u.g[w].leaf);
  r.once = scalar_and_gradients(r.u.g, scalar, wrt);

  graph g = r.once;
  int sum = g.constant(0, dtype::f64);
  for (int i = 0; i < wrt.size(); ++i) {
    list<const axis_info*> all;
    const tensor_type& t = g.type(g.outputs[1 + i]);
    for (int k = 0; k < t.rank; ++k) all.push(t.axes[k]);
    int product = g.binary(op::mul, g.outputs[1 + i], g.leaf(r.u.g[along[i]].leaf));
    sum = g.binary(op::add, sum, g.with_axes(op::sum, product, all));
  }
  list<int> again;
  for (const leaf_info* l : leaves) again.push(g.leaf(l));
  r.twice = scalar_and_gradients(g, sum, again);

  auto take = [&](const graph& from) {
    const values v = evaluate(from, r.u.given);
    std::vector<nested> out(1);
    out[0].one = v[0];
    std::size_t at = 1;
    for (int w : n.wrt) out.push_back(gather(given.at(n.f->leaves[w]), v, at));
    return out;
  };
  r.value_and_gradients = take(r.once);
  r.seconds = take(r.twice);

  // The unrolled gradients themselves, against finite differences.
  for (const graph* from : {&r.once, &r.twice}) {
    const values v = evaluate(*from, r.u.given);
    graph scalar_alone = *from;
    scalar_alone.outputs.clear();
    scalar_alone.outputs.push(from->outputs[0]);
    for (int i = 0; i < leaves.size(); ++i) {
      INFO(string_of(leaves[i]->name) << ", unrolled, " << (from == &r.once ? 1 : 2));
      auto scalar_of = [&] { return evaluate(scalar_alone, r.u.given)[0].data[0]; };
      value d = differences(r.u.given.at(leaves[i]), scalar_of, 1e-3);  // deep networks bend more
      CHECK(compare(v[static_cast<std::size_t>(1 + i)], d).error <= 1e-6);
    }
  }
}

void compare_nested(const nested& ours, const nested& theirs) {
  REQUIRE(ours.stacked == theirs.stacked);
  REQUIRE(ours.instances.size() == theirs.instances.size());
  for (std::size_t i = 0; i < ours.instances.size(); ++i) {
    INFO("instance " << i);
    compare_nested(ours.instances[i], theirs.instances[i]);
  }
  if (ours.stacked) return;
  comparison c = compare(ours.one, theirs.one);
  CHECK(c.error <= 1e-11);
  CHECK(c.lost + c.made == 0);
}

list<const leaf_info*> needed_by(const graph& g) {
  list<const leaf_info*> l;
  for (int n : canonical_order(g))
    if (g.is(n, op::leaf)) l.push(g[n].leaf);
  return l;
}
given_values only(const given_values& given, const graph& g) {
  given_values some;
  for (const leaf_info* l : needed_by(g)) some[l] = given.at(l);
  return some;
}

}  // namespace

void check_network(const network& n, const shapes_of_network& s) {
  given_values given = draw_all(n, s);
  unrolled u;
  unroll(n, given, u);
  for (const network::kept& k : n.policies)
    for (int order = 1; order <= 2; ++order) {
      const graph& g = order == 1 ? k.once : k.twice;
      const std::vector<nested>& expected = order == 1 ? u.value_and_gradients : u.seconds;
      INFO("kept: " << k.name << ", order " << order);
      if (!s.ragged) {
        INFO("reference");
        leaf_values whole;
        extents e;
        for (const auto& [a, extent] : s.extents) e.bind(a, extent, {});
        for (const leaf_info* l : needed_by(g)) whole[l] = flat(given.at(l), l->type, s);
        const values v = evaluate(g, whole, rounding::none, e);
        for (std::size_t i = 0; i < v.size(); ++i) {
          INFO("output " << i);
          const value reference = flat(expected[i], g.type(g.outputs[static_cast<int>(i)]), s);
          comparison c = compare(v[i], reference);
          CHECK(c.error <= 1e-11);
        }
      }
      INFO("host");
      const std::vector<nested> ran = run_nested(g, only(given, g), expected);
      for (std::size_t i = 0; i < ran.size(); ++i) {
        INFO("output " << i);
        compare_nested(ran[i], expected[i]);
      }
    }
}

step_counts_of_network count_steps(const network& n, const shapes_of_network& s, const std::string& policy) {
  given_values given = draw_all(n, s);
  std::vector<nested> like(1);
  like[0].one.resize();
  for (int w : n.wrt) like.push_back(given.at(n.f->leaves[w]));
  step_counts_of_network counts;
  for (const network::kept& k : n.policies)
    if (k.name == policy) (void)run_nested(k.once, only(given, k.once), like, &counts);
  return counts;
}

}  // namespace flame::laws
