// Hash-consing: equal formulas are one node, in whichever order they were built; unequal ones are not.
#include <doctest/doctest.h>

#include <flame/graph/graph.hpp>

#include "support.hpp"

namespace flame::tests {
namespace {

constexpr leaf_info x = leaf_of<f32, struct row, struct col>("x"),
                    y = leaf_of<f32, struct row, struct col>("y"),
                    turned = leaf_of<f32, struct col, struct row>("turned"),
                    bias = leaf_of<f32, struct col>("bias"), scale = leaf_of<f32, struct row>("scale");

TEST_CASE("a formula built twice is one node") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y);
  int first = g.binary(op::add, g.unary(op::sin, a), g.binary(op::mul, a, b));
  int size = g.size();
  CHECK(g.binary(op::add, g.unary(op::sin, a), g.binary(op::mul, a, b)) == first);
  CHECK(g.leaf(&x) == a);
  CHECK(g.size() == size);
}

TEST_CASE("what differs in anything is another node") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y);
  list<int> all;
  auto put = [&](int n) {
    CHECK_FALSE(all.has(n));
    all.push(n);
  };
  put(a), put(b);
  put(g.constant(1, dtype::f32));
  put(g.constant(1, dtype::f64));
  put(g.constant(-1, dtype::f32));
  put(g.constant(0, dtype::f32));
  put(g.constant(-0.0, dtype::f32));
  put(g.binary(op::sub, a, b));
  put(g.binary(op::sub, b, a));
  put(g.binary(op::div, a, b));
  put(g.with_axes(op::sum, a, over<struct row>()));
  put(g.with_axes(op::sum, a, over<struct col>()));
  put(g.with_axes(op::sum, a, over<struct row, struct col>()));
  put(g.with_axes(op::max, a, over<struct row>()));
  put(g.put(op::slice, nodes(a), over<struct row, struct part>(), numbers(0, 1, 2)));
  put(g.put(op::slice, nodes(a), over<struct row, struct part>(), numbers(0, 1, 3)));
  CHECK(all.size() == 16);
}

TEST_CASE("operands that commute are in one order") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y);
  for (op code : {op::add, op::mul, op::minimum, op::maximum, op::equal, op::not_equal})
    CHECK(g.binary(code, a, b) == g.binary(code, b, a));
  for (op code : {op::sub, op::div, op::pow, op::less, op::less_equal})
    CHECK(g.binary(code, a, b) != g.binary(code, b, a));
  // One operand has all axes: the order of operands does not matter. It does where the order of axes hangs on
  // it.
  int c = g.leaf(&bias), r = g.leaf(&scale), t = g.leaf(&turned);
  CHECK(g.binary(op::add, a, c) == g.binary(op::add, c, a));
  CHECK(g.binary(op::add, a, t) != g.binary(op::add, t, a));
  CHECK(g.binary(op::mul, c, r) != g.binary(op::mul, r, c));
  CHECK(g.type(g.binary(op::mul, c, r)) == g.type(t));
  CHECK(g.type(g.binary(op::mul, r, c)) == g.type(a));
}

TEST_CASE("hashes are the same in every graph") {
  graph g, h;
  int a = g.leaf(&x), b = g.leaf(&y);
  int f = g.binary(op::mul, g.unary(op::exp, a), b);
  h.constant(3, dtype::f32);
  int d = h.leaf(&y), e = h.unary(op::exp, h.leaf(&x));
  int k = h.binary(op::mul, d, e);
  CHECK(g[f].hash == h[k].hash);
  CHECK(f != k);
}

TEST_CASE("a thousand nodes keep their places while the table grows") {
  graph g;
  int n = g.leaf(&x);
  list<int> chain;
  for (int i = 0; i < 1000; ++i) chain.push(n = g.binary(op::add, n, g.constant(i, dtype::f32)));
  int m = g.leaf(&x), size = g.size();
  for (int i = 0; i < 1000; ++i) CHECK((m = g.binary(op::add, m, g.constant(i, dtype::f32))) == chain[i]);
  CHECK(g.size() == size);
}

TEST_CASE("as_type") {
  graph g;
  int a = g.leaf(&x), c = g.leaf(&bias);
  CHECK(g.as_type(a, y.type) == a);
  CHECK(g.is(g.as_type(a, turned.type), op::permute));
  CHECK(g.type(g.as_type(a, turned.type)) == turned.type);
  CHECK(g.is(g.as_type(c, turned.type), op::broadcast));
  CHECK(g.type(g.as_type(c, turned.type)) == turned.type);
}

TEST_CASE("operations that do not fit are refused") {
  static constexpr leaf_info flag = leaf_of<bool, struct row>("flag"),
                             index = leaf_of<i32, struct row>("index"),
                             wide_x = leaf_of<f64, struct row, struct col>("wide_x"), k = leaf_of<key>("k"),
                             image = leaf_of<f32, struct batch, struct row, struct col, struct out>("image"),
                             turned_image =
                                 leaf_of<f32, struct part, struct height, struct width, struct out>("image2");
  graph g;
  int a = g.leaf(&x);
  CHECK_THROWS_AS(g.binary(op::add, a, g.leaf(&wide_x)), error);
  CHECK_THROWS_AS(g.unary(op::sin, g.leaf(&index)), error);
  CHECK_THROWS_AS(g.unary(op::neg, g.leaf(&flag)), error);
  CHECK_THROWS_AS(g.unary(op::neg, g.leaf(&k)), error);
  CHECK_THROWS_AS(g.where(a, a, a), error);
  CHECK_THROWS_AS(g.with_axes(op::sum, a, over<struct wide>()), error);
  CHECK_THROWS_AS(g.put(op::rename, nodes(a), over<struct row, struct col>()), error);
  CHECK_THROWS_AS(g.contract(a, g.leaf(&bias), bias.type), error);
  CHECK_THROWS_AS(g.cast(a, dtype::key), error);
  CHECK_THROWS_AS(g.put(op::gather, nodes(a, g.leaf(&index)), over<struct row>()), error);
  CHECK_THROWS_AS(
      g.put(op::scatter_add, nodes(g.leaf(&index), g.leaf(&bias)), over<struct row, struct row>()), error);
  CHECK_THROWS_AS(
      g.put(op::pool_put, nodes(g.leaf(&image), g.leaf(&turned_image)),
            over<struct row, struct col, struct height, struct width>(), numbers(1, 1, 1, 1, 0, 0)),
      error);
  CHECK_THROWS_WITH(g.unary(op::log, g.leaf(&index)),
                    "flame::log: the operands' shapes or element types do not fit");
}

// The same in constant evaluation.
constexpr leaf_info s = leaf_of<f32>("s");
constexpr bool built_by_the_compiler() {
  graph g;
  int a = g.leaf(&s);
  int f = g.binary(op::add, g.constant(2, dtype::f32), g.unary(op::sin, a));
  return f == g.binary(op::add, g.unary(op::sin, a), g.constant(2, dtype::f32)) && g.size() == 4;
}
static_assert(built_by_the_compiler());

}  // namespace
}  // namespace flame::tests
