// Random graphs: the host computes of each what the reference evaluator does, of its simplification the same,
// of both their gradients too, and those are the slopes of what they are gradients of.
#include <doctest/doctest.h>
#include <flame/graph/print.hpp>

#include "graphs/calls.hpp"
#include "host_definitions.hpp"

namespace flame::laws {
namespace {

// The sum of the sines of all outputs, which no number that grew large makes steep without bound.
graph loss_of(graph g) {
  int total = g.constant(0, dtype::f64);
  for (int out : g.outputs) {
    const int sine = g.unary(op::sin, out);
    const tensor_type t = g.type(out);
    total = g.binary(op::add, total, t.rank == 0 ? sine : g.with_axes(op::sum, sine, {t.axes, t.rank}));
  }
  g.outputs.clear();
  g.outputs.push(total);
  return g;
}
// ---- Numbers ----------------------------------------------------------------------------------------------

struct inputs {
  extents known;
  leaf_values at;

  explicit inputs(dice& roll) {
    i64 of[3];
    const i64 same =
        roll(4) == 0 ? 2 + roll(4) : 0;  // where all are equal, what is turned looks like what is not
    for (i64& extent : of) extent = same ? same : 1 + roll(6);
    if (roll(25) == 0) of[roll(3)] = 0;
    if (roll(25) == 0) of[roll(3)] = 40 + roll(300);
    for (int i = 0; i < 3; ++i) known.bind(all_axes[i], of[i], {});
    for (const made_axis& m : merged_axes) {
      i64 extent = 1;
      for (int i = 0; i < m.count; ++i) extent *= known[m.parts[i]];
      known.bind(m.to, extent, {});
    }
    known.bind(axis_ptr<struct count>, roll(5) ? 1 + roll(3) : 0, {});
    for (const made_axis& m : joined_axes) known.bind(m.to, known[m.parts[0]] + known[m.parts[1]], {});
    for (const leaf_info& l : leaves) {
      value v;
      v.type = l.type;
      for (int i = 0; i < l.type.rank; ++i) v.shape.push_back(known[l.type.axes[i]]);
      v.resize();
      v.data = spread(v.size(), -1.6, 2.3, roll.source);
      at[&l] = v;
    }
  }
  [[nodiscard]] values meaning(const graph& g) const { return evaluate(g, at, rounding::none, known); }
  [[nodiscard]] values on_host(const graph& g, layout how = layout::plain, bool folds = false) const {
    return run_on_host(compile_graph(g, operands(), folds), at, how);
  }
};

void check_equal(const char* what, const values& ours, const values& reference) {
  INFO(std::string(what));
  REQUIRE(ours.size() == reference.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    INFO("output " << i);
    const comparison c = compare(ours[i], reference[i], 1);
    CHECK(c.error <= 1e-8);  // sums of what was normed are all rounding
    CHECK(c.lost == 0);
    CHECK(c.made == 0);
  }
}

double largest(const values& of) {
  double most = 0;
  for (const value& v : of)
    for (double x : v.data) most = std::max(most, std::fabs(x));
  return most;
}

void check_types(const graph& ours, const graph& g) {
  REQUIRE(ours.outputs.size() == g.outputs.size());
  for (int i = 0; i < g.outputs.size(); ++i) {
    INFO("the type of output " << i);
    CHECK(ours.type(ours.outputs[i]) == g.type(g.outputs[i]));
  }
}

// Along one direction of all inputs at once.
void check_slope(const graph& loss, const values& gradients, const inputs& in, dice& roll) {
  inputs moved = in;
  leaf_values direction;
  double along = 0;
  std::size_t place = 1;
  for (const leaf_info& l : leaves) {
    value d = in.at.at(&l);
    d.data = l.type.stack ? std::vector<double>(d.data.size(), 0.0) : spread(d.size(), -1, 1, roll.source);
    if (l.type.stack == 0) along += dot(gradients[place++], d);
    direction[&l] = d;
  }
  auto there = [&](double far) {
    for (const leaf_info& l : leaves)
      for (i64 i = 0; i < direction[&l].size(); ++i)
        moved.at[&l][i] = in.at.at(&l)[i] + far * direction[&l][i];
    return moved.meaning(loss)[0][0];
  };
  // Where two steps measure two slopes, the graph is too steep for either.
  const double measured = slope(there, 1e-3), nearer = slope(there, 1e-4);
  const double allowed = 1e-5 * (1 + std::fabs(nearer));
  if (std::fabs(measured - nearer) <= allowed / 2) CHECK(std::fabs(nearer - along) <= allowed);
}

// ---- Laws -------------------------------------------------------------------------------------------------

// Whether no number on the way grows so large that a sine of it is all rounding.
bool is_tame(graph g, const inputs& in) {
  g.outputs.clear();
  for (int n = 0; n < g.size(); ++n) g.outputs.push(n);
  return largest(in.meaning(g)) < 1000;
}

// Whether no value on the way has more than a million elements.
bool is_small(const graph& g, const inputs& in) {
  for (int n = 0; n < g.size(); ++n)
    if (g.type(n).rank > 0 && in.known.elements(g.type(n)) > 1'000'000) return false;
  return true;
}

// Whether the graph was one to be checked.
bool check_graph(u64 seed) {
  dice roll{std::mt19937_64(seed)};
  const inputs in(roll);
  caller grown(roll, roll(2) == 0, in.known[all_axes[0]] > 0 && in.known[all_axes[1]] > 0);
  const int count = 24 + roll(36), outputs = 1 + roll(5);
  grown.grow(count, outputs);
  const graph &g = grown.g, simple = simplify(g);
  if (!is_small(g, in) || !is_tame(g, in)) return false;
  INFO("seed " << seed << "\n" << dump(g));

  const values meant = in.meaning(g);
  check_types(simple, g);
  check_equal("the host", in.on_host(g, roll(4) ? layout::plain : layout::strided), meant);
  check_equal("simplified", in.meaning(simple), meant);
  check_equal("simplified, the host", in.on_host(simple, roll(4) ? layout::plain : layout::strided), meant);
  check_equal("folded, the host", in.on_host(simple, roll(4) ? layout::plain : layout::strided, true), meant);

  const graph loss = loss_of(g), plain = gradients_of(loss), derived = simplify(plain);
  const values gradients = in.meaning(plain);
  check_types(derived, plain);
  check_equal("gradients, the host", in.on_host(plain), gradients);
  check_equal("gradients, simplified", in.meaning(derived), gradients);
  check_equal("gradients, simplified, the host", in.on_host(derived), gradients);
  check_equal("gradients, folded, the host", in.on_host(derived, layout::plain, true), gradients);
  if (grown.smooth) check_slope(loss, gradients, in, roll);
  return true;
}

// Every node an output, so that each is seen, with what it is rewritten to.
void check_types_of_all_nodes(u64 seed) {
  dice roll{std::mt19937_64(seed)};
  caller grown(roll, false, true);
  grown.grow(60, 1);
  graph g = gradients_of(loss_of(grown.g));
  g.outputs.clear();
  for (int n = 0; n < g.size(); ++n) g.outputs.push(n);
  INFO("seed " << seed << "\n" << dump(g));
  check_types(simplify(g), g);
}

TEST_CASE("an output in another order, and what repeats it") {
  graph g;
  const int tanh = g.unary(op::tanh, g.leaf(&leaves[1]));
  const int turned = g.with_axes(op::permute, tanh, array_view<const axis_info*>{all_axes, 2});
  for (int out : {g.unary(op::neg, tanh), g.with_axes(op::broadcast, turned, all_axes), turned})
    g.outputs.push(out);
  dice roll{std::mt19937_64(1)};
  const inputs in(roll);
  check_equal("the host", in.on_host(g), in.meaning(g));
}

TEST_CASE("rewriting keeps the type of every node") {
  for (u64 seed = 0; seed < 300; ++seed) check_types_of_all_nodes(seed);
}

TEST_CASE("random graphs mean the same on the host and simplified, with their gradients") {
#if defined(FLAME_TEST_CUDA)
  constexpr u64 count = 100;  // its kernels are compiled while it runs
#else
  constexpr u64 count = 1500;
#endif
  u64 checked = 0;
  for (u64 seed = 0; seed < count; ++seed) checked += check_graph(seed);
  CHECK(checked > count / 10 * 9);
}

}  // namespace
}  // namespace flame::laws
