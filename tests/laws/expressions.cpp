// An expression written outside of a function, whose type is its graph, means what the same text means inside
// one; its gradient as a type is the gradient of the traced graph.
#include <map>

#include "laws.hpp"
#include "numbers.hpp"

namespace flame::laws {
namespace {

inline constexpr struct whole : dim<> {
} whole;
inline constexpr struct head : dim<2> {
} head;
inline constexpr struct rest : dim<> {
} rest;
inline constexpr struct merged : dim<> {
} merged;
inline constexpr struct x_ : input<f64, row, col> {
} x_;
inline constexpr struct y_ : input<f64, row, col> {
} y_;
inline constexpr struct v_ : input<f64, col> {
} v_;
inline constexpr struct w_ : input<f64, other, col> {
} w_;
inline constexpr struct label_ : input<i32, row> {
} label_;
inline constexpr struct z_ : input<f64, row, whole> {
} z_;
inline constexpr struct q_ : input<f64, plane, row, col> {
} q_;
inline constexpr struct k_ : input<flame::key> {
} k_;

// Also of axes that no leaf of a gradient has.
const extents& known_extents() {
  static const extents e = [] {
    extents all;
    all.bind(axis_ptr<struct row>, 3, {}), all.bind(axis_ptr<struct col>, 5, {}),
        all.bind(axis_ptr<struct other>, 4, {});
    all.bind(axis_ptr<struct whole>, 6, {}), all.bind(axis_ptr<struct plane>, 2, {});
    return all;
  }();
  return e;
}

value draw(const leaf_info& l) {
  std::mt19937_64 random(l.id);
  value v;
  v.type.element = l.type.element;
  for (int i = 0; i < l.type.rank; ++i) v.shape.push_back(known_extents()[l.type.axes[i]]);
  v.resize();
  if (v.is_key())
    v.keys = {random()};
  else if (is_floating(l.type.element))
    v.data = spread(v.size(), -1.6, 2.3, random);
  else
    for (double& x : v.data) x = static_cast<double>(random() % 5);
  return v;
}

// The values of a graph's outputs; held numbers are those of the expression.
template <class E> values of_expression(const E& e) {
  graph g;
  g.outputs = decode(g, E::view());
  leaf_values given;
  for (int n = 0; n < g.size(); ++n)
    if (g.is(n, op::leaf) && g[n].leaf->kind != leaf_kind::argument) given[g[n].leaf] = draw(*g[n].leaf);
  auto hold = [&]<class... S, std::size_t... I>(types<S...>, std::index_sequence<I...>) {
    ((given[&held<static_cast<int>(I), S>::info] =
          make_value(dtype_of<element_of<S>>, {}, {std::get<I>(e.values)})),
     ...);
  };
  hold(typename E::held_shapes{}, std::make_index_sequence<E::held_shapes::size>{});
  return evaluate(g, given, rounding::none, known_extents());
}

template <class Leaf> auto symbol(graph& g, const Leaf&) {
  return typename flame::detail::sym_for<shape_of<Leaf>>::type{{}, &g, g.leaf(&leaf_of<Leaf>::info)};
}

template <class Formula, class... Leaves> void same_meaning(Formula formula, const Leaves&... leaves) {
  graph g;
  const auto traced = formula(symbol(g, leaves)...);
  leaf_values given;
  (given.emplace(&leaf_of<Leaves>::info, draw(leaf_of<Leaves>::info)), ...);
  const auto e = formula(leaves...);
  g.outputs.push(traced.n);
  {
    const comparison c = compare(of_expression(e)[0], evaluate(g, given, rounding::none, known_extents())[0]);
    CHECK(c.error == 0);
    CHECK(c.lost + c.made == 0);
  }
  using first = std::remove_cvref_t<std::tuple_element_t<0, std::tuple<Leaves...>>>;
  if constexpr (is_floating(dtype_of<element_of<shape_of<decltype(e)>>>)) {
    const auto total = sum(traced);
    graph h = g;
    h.outputs.clear();
    list<int> outputs, wrt;
    outputs.push(total.n), wrt.push(h.leaf(&leaf_of<first>::info));
    list<const leaf_info*> one;
    one.push(nullptr);
    const comparison c =
        compare(of_expression(grad(sum(e), first{}))[0],
                evaluate(with_gradients(h, outputs, one, wrt), given, rounding::none, known_extents())[0]);
    CHECK(c.error <= 1e-14);
    CHECK(c.lost + c.made == 0);
  }
}

#define SAME(name, formula, parameters, ...)                      \
  TEST_CASE(name) {                                               \
    same_meaning([] parameters { return formula; }, __VA_ARGS__); \
  }

SAME("arithmetic with numbers", (2.5 * x - y / 4 + 1) * pow(x, 2) - v, (auto x, auto y, auto v), x_, y_, v_)
SAME("elementwise functions", where(x < y, exp(x), tanh(y)) + gelu(x) * silu(y), (auto x, auto y), x_, y_)
SAME("reductions", logsumexp(x, col) + max(x, col) * mean(x, col) - var(x, col), (auto x), x_)
SAME("softmax", softmax(x, col) - log_softmax(x, col), (auto x), x_)
SAME("layer norm", layer_norm(x, 1e-3, col) * v, (auto x, auto v), x_, v_)
SAME("movement", 0.5 * merge(permute(split(z, whole, head, rest), head, row, rest), head, row, merged),
     (auto z), z_)
SAME("slices and pads", (exp(pad<1, 2>(sin(slice<1, -1, 2>(x, col, rest)), rest, merged))), (auto x), x_)
SAME("concatenation", exp(concatenate(x, col, y, col, merged)), (auto x, auto y), x_, y_)
SAME("products", matmul(x, w, col), (auto x, auto w), x_, w_)
SAME("attention", attention(q, q, q * 0.5, row, col), (auto q), q_)
SAME("cross entropy", cross_entropy(x, label), (auto x, auto label), x_, label_)
SAME("embedding", embedding(w, label), (auto w, auto label), w_, label_)
SAME("dropout", dropout(x, 0.5, k) + normal_like(x, fold(k, 3)), (auto x, auto k), x_, k_)

}  // namespace
}  // namespace flame::laws
