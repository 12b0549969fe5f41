// Random graphs: the host computes of each what the reference evaluator does, of its simplification the same,
// of both their gradients too, and those are the slopes of what they are gradients of.
#include <doctest/doctest.h>
#include <flame/graph/print.hpp>

#include "host_definitions.hpp"

namespace flame::laws {
namespace {

// ---- Leaves -----------------------------------------------------------------------------------------------

struct row : dim<> {};
struct col : dim<> {};
struct plane : dim<> {};

constexpr const axis_info* all_axes[] = {axis_ptr<struct row>, axis_ptr<struct col>, axis_ptr<struct plane>};

// Of every rank, and two of one set of axes in two orders.
template <class... Axes> constexpr leaf_info input_of(u64 id, text name) {
  return {id, leaf_kind::input, shape<f64, Axes...>::value(), name};
}
constexpr leaf_info leaves[] = {
    input_of<struct row, struct col>(11, "row_col"),
    input_of<struct col, struct row>(12, "col_row"),
    input_of<struct row, struct col, struct plane>(13, "row_col_plane"),
    input_of<struct plane>(14, "of_plane"),
    input_of<struct col>(15, "of_col"),
    input_of<struct plane, struct row>(16, "plane_row"),
    input_of<>(17, "scalar"),
    input_of<struct row, struct plane>(18, "row_plane"),
};
list<const leaf_info*> operands() {
  list<const leaf_info*> all;
  for (const leaf_info& l : leaves) all.push(&l);
  return all;
}

// ---- Graphs -----------------------------------------------------------------------------------------------

struct dice {
  std::mt19937_64 source;
  int operator()(int sides) { return static_cast<int>(source() % static_cast<u64>(sides)); }
};

// Grows a graph operation by operation. Each is scaled such that numbers stay near one: what is computed in
// another order differs by rounding alone.
struct grower {
  dice& roll;
  bool smooth;  // without kinks and steps
  graph g;
  list<int> pool;

  explicit grower(dice& by, bool without_kinks) : roll(by), smooth(without_kinks) {
    for (const leaf_info& l : leaves) pool.push(g.leaf(&l));
    for (double v : {1.0, 2.0, -1.0, 0.5, -3.0, 0.0}) pool.push(number(v));
  }
  int number(double v) { return g.constant(v, dtype::f64); }
  int scaled(int n) { return g.binary(op::mul, n, number(0.25)); }
  template <std::size_t N> op one_of(const op (&codes)[N], int smooth_ones) {
    return codes[roll(smooth ? smooth_ones : static_cast<int>(N))];
  }
  // Mostly what came last, so that graphs grow deep.
  int any() {
    const int n = pool.size();
    return roll(3) ? pool[n - 1 - roll(std::min(n, 6))] : pool[roll(n)];
  }
  [[nodiscard]] bool nested(int a, int b) const {
    return within(g.type(a), g.type(b)) || within(g.type(b), g.type(a));
  }
  list<const axis_info*> axes_of(int n) const { return {g.type(n).axes, g.type(n).rank}; }
  void shuffle(list<const axis_info*>& axes) {
    for (int i = axes.size() - 1; i > 0; --i) std::swap(axes[i], axes[roll(i + 1)]);
  }

  // -1 where the operation does not fit what was drawn.
  int unary(int x) {
    return g.unary(one_of({op::neg, op::tanh, op::sin, op::sigmoid, op::abs, op::cos}, 4), x);
  }
  int binary(int x, int y) {
    if (!nested(x, y)) return -1;
    return g.binary(one_of({op::add, op::sub, op::mul, op::add, op::mul, op::maximum, op::minimum}, 5), x, y);
  }
  int quotient(int x, int y) {
    if (!nested(x, y)) return -1;
    return g.binary(op::div, x, g.binary(op::add, g.binary(op::mul, y, y), number(1)));
  }
  int reduction(int x) {
    const tensor_type t = g.type(x);
    if (t.rank == 0) return -1;
    list<const axis_info*> over;
    for (int i = 0; i < t.rank; ++i)
      if (roll(2)) over.push(t.axes[i]);
    if (over.empty()) over.push(t.axes[roll(t.rank)]);
    const op code = one_of({op::sum, op::sum, op::max, op::min}, 1);
    const int n = g.with_axes(code, x, over);
    return code == op::sum ? scaled(n) : n;
  }
  int permutation(int x) {
    list<const axis_info*> order = axes_of(x);
    shuffle(order);
    return order.size() < 2 ? -1 : g.with_axes(op::permute, x, order);
  }
  int repetition(int x) {
    list<const axis_info*> whole = axes_of(x);
    for (const axis_info* a : all_axes)
      if (!g.type(x).has(a) && roll(2)) whole.push(a);
    if (whole.size() == g.type(x).rank) return -1;
    shuffle(whole);
    return g.with_axes(op::broadcast, x, whole);
  }
  int product(int x, int y) {
    tensor_type out;
    out.element = dtype::f64;
    for (const axis_info* a : all_axes) {
      const bool left = g.type(x).has(a), right = g.type(y).has(a);
      if (left && right ? roll(2) == 1 : left || right) out.push(a);
    }
    return scaled(g.contract(x, y, out));
  }
  int choice(int x, int y, int z) {
    if (smooth || !nested(x, y) || !nested(z, x) || !nested(z, y)) return -1;
    return g.where(g.binary(op::less, z, number(0.3)), x, y);
  }
  int operation() {
    const int kind = roll(20), x = any(), y = any();
    if (kind < 4) return unary(x);
    if (kind < 11) return binary(x, y);
    if (kind < 12) return quotient(x, y);
    if (kind < 15) return reduction(x);
    if (kind < 16) return permutation(x);
    if (kind < 18) return repetition(x);
    if (kind < 19) return product(x, y);
    return choice(x, y, any());
  }

  void grow(int count, int outputs) {
    for (int tries = 0; pool.size() < count && tries < 10 * count; ++tries)
      if (const int n = operation(); n >= 0 && !pool.has(n)) pool.push(n);
    // The first among the last, the others further and further back.
    for (int i = 0; i < outputs; ++i)
      g.outputs.push(pool[pool.size() - 1 - roll(std::min(pool.size() - 14, 2 + 6 * i))]);
  }
};

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
graph gradients_of(const graph& loss) {
  graph g = loss;
  list<int> wrt;
  list<const leaf_info*> cotangents;
  for (const leaf_info& l : leaves) wrt.push(g.leaf(&l));
  cotangents.push(nullptr);
  return with_gradients(g, loss.outputs, cotangents, wrt);
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
    CHECK(c.error <= 1e-9);
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
    d.data = spread(d.size(), -1, 1, roll.source);
    along += dot(gradients[place++], d);
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

// Whether the graph was one to be checked.
bool check_graph(u64 seed) {
  dice roll{std::mt19937_64(seed)};
  grower grown(roll, roll(2) == 0);
  const int count = 18 + roll(40), outputs = 1 + roll(5);
  grown.grow(count, outputs);
  const inputs in(roll);
  const graph &g = grown.g, simple = simplify(g);
  if (!is_tame(g, in)) return false;
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
  grower grown(roll, false);
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
  constexpr u64 count = 3000;
#endif
  u64 checked = 0;
  for (u64 seed = 0; seed < count; ++seed) checked += check_graph(seed);
  CHECK(checked > count / 10 * 9);
}

}  // namespace
}  // namespace flame::laws
