// Words: a graph and its words say the same, and equal formulas have equal words.
#include <doctest/doctest.h>

#include <flame/graph/check.hpp>
#include <flame/graph/print.hpp>
#include <random>

#include "support.hpp"

namespace flame::tests {
namespace {

constexpr leaf_info x = leaf_of<f32, struct row, struct col>("x"),
                    y = leaf_of<f32, struct row, struct col>("y"),
                    z = leaf_of<f32, struct row, struct col>("z"),
                    w = leaf_of<f32, struct col, struct out>("w");

word_view view_of(const encoded& e) {
  return {e.words.items, e.axes.items, e.leaves.items, e.functions.items};
}

// The graph of an expression's words; its words must be the same again.
graph decoded(const encoded& e) {
  graph g;
  g.outputs = decode(g, view_of(e));
  encoded again = encode(g);
  CHECK(again.words == e.words);
  CHECK(again.axes == e.axes);
  CHECK(again.leaves == e.leaves);
  CHECK(again.functions == e.functions);
  CHECK(again.outputs == e.outputs);
  CHECK(again.id == e.id);
  finding f = check(g);
  CHECK_MESSAGE(f.ok(), string_of(f.what) << " at node " << f.node);
  return g;
}

TEST_CASE("words and back") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y);
  int products = g.contract(g.unary(op::tanh, a), g.leaf(&w), shape<f32, struct row, struct out>::value());
  int joined =
      g.put(op::concatenate, nodes(a, b, a, b, a, b),
            over<struct row, struct row, struct row, struct row, struct row, struct row, struct wide>());
  int padded =
      g.put(op::pad, nodes(b), over<struct row, struct wide>(), numbers(1, as_result, bits(-0.5), 2));
  g.outputs = nodes(products, g.binary(op::mul, joined, padded), a, products, g.constant(0.1, dtype::f32));
  encoded e = encode(g);
  graph h = decoded(e);
  CHECK(print(h) == print(g));
  REQUIRE(h.outputs.size() == 5);
  for (int i = 0; i < 5; ++i) {
    CHECK(h[h.outputs[i]].hash == g[g.outputs[i]].hash);
    CHECK(h.type(h.outputs[i]) == g.type(g.outputs[i]));
    CHECK(e.outputs[i] == g.type(g.outputs[i]));
  }
}

TEST_CASE("leaves, axes and functions stand in the order of their ids, leaves before all") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y), c = g.leaf(&z);
  g.outputs.push(g.with_axes(op::sum, g.binary(op::sub, c, g.unary(op::exp, g.binary(op::sub, a, b))),
                             over<struct row, struct col>()));
  encoded e = encode(g);
  REQUIRE(e.leaves.size() == 3);
  CHECK(e.leaves[0]->id < e.leaves[1]->id);
  CHECK(e.leaves[1]->id < e.leaves[2]->id);
  REQUIRE(e.axes.size() == 2);
  CHECK(e.axes[0]->id < e.axes[1]->id);
  graph h = decoded(e);
  for (int n = 0; n < 3; ++n) CHECK(h[n].leaf == e.leaves[n]);
  for (int n = 3; n < h.size(); ++n) CHECK_FALSE(h.is(n, op::leaf));
}

TEST_CASE("the order of building does not matter") {
  graph g, h;
  int a = g.leaf(&x), b = g.leaf(&y);
  g.outputs.push(g.binary(op::add, g.binary(op::mul, a, b), g.binary(op::mul, g.constant(2, dtype::f32), a)));
  h.unary(op::sin, h.leaf(&z));  // needed by no output
  int q = h.leaf(&y), p = h.leaf(&x);
  int twice = h.binary(op::mul, p, h.constant(2, dtype::f32));
  h.outputs.push(h.binary(op::add, twice, h.binary(op::mul, q, p)));
  CHECK(encode(g).id == encode(h).id);
  CHECK(encode(g).words == encode(h).words);
}

TEST_CASE("what differs has another id") {
  list<u64> ids;
  auto put = [&](auto build) {
    graph g;
    build(g);
    u64 id = encode(g).id;
    CHECK_FALSE(ids.has(id));
    ids.push(id);
  };
  put([](graph& g) { g.outputs.push(g.leaf(&x)); });
  put([](graph& g) { g.outputs.push(g.leaf(&y)); });
  put([](graph& g) { g.outputs = nodes(g.leaf(&x), g.leaf(&y)); });
  put([](graph& g) { g.outputs = nodes(g.leaf(&y), g.leaf(&x)); });
  put([](graph& g) { g.outputs = nodes(g.leaf(&x), g.leaf(&x)); });
  put([](graph& g) { g.outputs.push(g.constant(1, dtype::f32)); });
  put([](graph& g) { g.outputs.push(g.constant(1, dtype::f64)); });
  put([](graph& g) { g.outputs.push(g.with_axes(op::sum, g.leaf(&x), over<struct row>())); });
  put([](graph& g) { g.outputs.push(g.with_axes(op::sum, g.leaf(&x), over<struct col>())); });
  CHECK(ids.size() == 9);
}

TEST_CASE("a function lists all its operands in their order, used or not") {
  graph body;
  body.outputs.push(body.unary(op::sin, body.leaf(&x)));
  const function f("f", body, {&z, &x, &y});
  REQUIRE(f.info.leaf_count == 3);
  CHECK(f.info.leaves[0] == &z);
  CHECK(f.info.leaves[1] == &x);
  CHECK(f.info.leaves[2] == &y);
  graph back = graph_of(f.info);
  CHECK(dump(back) ==
        "%0: f32[row, col] = input z\n%1: f32[row, col] = input x\n%2: f32[row, col] = input y\n"
        "%3: f32[row, col] = sin(%1)\noutputs %3\n");
  const function g("g", body, {&x, &z, &y});
  CHECK(g.info.id != f.info.id);
}

TEST_CASE("functions inside of words") {
  graph body;
  body.outputs.push(body.binary(op::sub, body.leaf(&x), body.leaf(&y)));
  body.outputs.push(body.unary(op::neg, body.leaf(&x)));
  const function f("f", body, {&x, &y});
  graph g;
  int c = call(g, f, nodes(g.leaf(&y), g.leaf(&z)));
  g.outputs = nodes(g.binary(op::div, g.result(c, 0), g.result(c, 1)));
  graph h = decoded(encode(g));
  CHECK(print(h) == print(g));
  // In place of the leaves stand the operands.
  graph inlined;
  list<int> outputs = decode(inlined, view(f.info), nodes(inlined.leaf(&y), inlined.leaf(&z)));
  inlined.outputs = outputs;
  CHECK(print(inlined) == "(y - z, -y)");
}

TEST_CASE("random graphs") {
  std::mt19937 random(7);
  auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int trial = 0; trial < 50; ++trial) {
    graph g;
    list<int> all = nodes(g.leaf(&x), g.leaf(&y), g.leaf(&z), g.constant(trial, dtype::f32));
    constexpr op unaries[] = {op::neg, op::exp, op::tanh, op::sin},
                 binaries[] = {op::add, op::sub, op::mul, op::maximum};
    for (int i = 0; i < 60; ++i) {
      int a = all[below(all.size())], b = all[below(all.size())];
      all.push(below(3) ? g.binary(binaries[below(4)], a, b) : g.unary(unaries[below(4)], a));
    }
    for (int i = 0; i < 1 + below(6); ++i) g.outputs.push(all[all.size() - 1 - below(10)]);
    graph h = decoded(encode(g));
    CHECK(check(g).ok());
    for (int i = 0; i < g.outputs.size(); ++i) CHECK(h[h.outputs[i]].hash == g[g.outputs[i]].hash);
  }
}

}  // namespace
}  // namespace flame::tests
