// Calls and repeats in the reference evaluator: every mode of operands and outputs, against loops written
// out.
#include <doctest/doctest.h>

#include <flame/graph/check.hpp>
#include <flame/graph/evaluate.hpp>

#include "support.hpp"

namespace flame::tests {
namespace {

using numbers_of = std::vector<double>;

constexpr leaf_info v = leaf_of<f32, struct col>("v"), u = leaf_of<f32, struct col>("u"),
                    k = leaf_of<key>("k"), start = leaf_of<f32, struct channel>("start"),
                    shared = leaf_of<f32, struct channel>("shared"), seed = leaf_of<key>("seed"),
                    stack = stack_of<f32, struct layer, struct channel>("stack");

value f32s(std::vector<i64> shape, numbers_of data) {
  return make_value(dtype::f32, std::move(shape), std::move(data));
}

std::vector<value> evaluated(const graph& g, const leaf_values& in) {
  finding f = check(g);
  CHECK_MESSAGE(f.ok(), string_of(f.what) << " at node " << f.node);
  std::vector<value> r = evaluate(g, in);
  for (std::size_t i = 0; i < r.size(); ++i) CHECK(r[i].type == g.type(g.outputs[static_cast<int>(i)]));
  return r;
}

TEST_CASE("a call is its function's formula") {
  // f(v, u) = (v - 2 u, sum v), called with its operands the other way round
  graph body;
  int a = body.leaf(&v), b = body.leaf(&u);
  body.outputs.push(body.binary(op::sub, a, body.binary(op::mul, b, body.constant(2, dtype::f32))));
  body.outputs.push(body.with_axes(op::sum, a, over<struct col>()));
  const function f("f", body, {&v, &u});
  graph g;
  int p = g.leaf(&start), q = g.leaf(&shared), c = call(g, f, nodes(q, p)),
      again = call(g, f, nodes(g.result(c, 0), q));
  g.outputs = nodes(g.result(c, 0), g.result(c, 1), g.result(again, 0), g.result(again, 1));
  auto r = evaluated(g, {{&start, f32s({3}, {1, 2, 3})}, {&shared, f32s({3}, {10, 20, 30})}});
  CHECK(r[0].data == numbers_of{8, 16, 24});
  CHECK(r[1].data == numbers_of{60});
  CHECK(r[2].data == numbers_of{-12, -24, -36});
  CHECK(r[3].data == numbers_of{48});
}

// step(v, u) = (2 v + u, v u, v)
struct step_function {
  graph body;
  const function f;
  step_function() : f("step", build(body), {&v, &u}) {}
  static const graph& build(graph& b) {
    int a = b.leaf(&v), c = b.leaf(&u);
    b.outputs.push(b.binary(op::add, b.binary(op::mul, a, b.constant(2, dtype::f32)), c));
    b.outputs.push(b.binary(op::mul, a, c));
    b.outputs.push(a);
    return b;
  }
};

TEST_CASE("carry, each and sum, forwards and in reverse") {
  const step_function step;
  const leaf_values in{{&start, f32s({2}, {1, -1})}, {&stack, f32s({3, 2}, {1, 2, 3, 4, 5, 6})}};
  for (bool reverse : {false, true}) {
    CAPTURE(reverse);
    graph g;
    int first = g.leaf(&start), all = g.leaf(&stack);
    int r = repeat(g, step.f, axis_ptr<struct layer>, nodes(first, all),
                   {{operand_mode::carry, 0}, {operand_mode::each, 0}},
                   {output_mode::carry, output_mode::sum, output_mode::each}, reverse);
    g.outputs = nodes(g.result(r, 0), g.result(r, 1), g.result(r, 2));
    auto result = evaluated(g, in);
    double state[2] = {1, -1}, sum[2] = {0, 0};
    numbers_of each(6);
    for (int i = 0; i < 3; ++i) {
      int n = reverse ? 2 - i : i;
      for (int c = 0; c < 2; ++c) {
        double w = in.at(&stack)[n * 2 + c];
        each[static_cast<std::size_t>(n * 2 + c)] = state[c];
        sum[c] += state[c] * w;
        state[c] = 2 * state[c] + w;
      }
    }
    CHECK(result[0].data == numbers_of{state[0], state[1]});
    CHECK(result[1].data == numbers_of{sum[0], sum[1]});
    CHECK(result[2].data == each);
    CHECK(result[2].shape == std::vector<i64>{3, 2});
  }
}

TEST_CASE("a repeat is the calls one after another") {
  const step_function step;
  graph g, h;
  int all = g.leaf(&stack);
  int r = repeat(g, step.f, axis_ptr<struct layer>, nodes(g.leaf(&start), all),
                 {{operand_mode::carry, 0}, {operand_mode::each, 0}},
                 {output_mode::carry, output_mode::each, output_mode::each});
  g.outputs.push(g.result(r, 0));
  static constexpr leaf_info one = leaf_of<f32, struct channel>("one"),
                             two = leaf_of<f32, struct channel>("two");
  int s = h.leaf(&start);
  for (const leaf_info* w : {&one, &two}) s = h.result(call(h, step.f, nodes(s, h.leaf(w))), 0);
  h.outputs.push(s);
  value first = f32s({2}, {0.5, 3});
  CHECK(evaluated(g, {{&start, first}, {&stack, f32s({2, 2}, {1, 2, 3, 4})}})[0].data ==
        evaluated(h, {{&start, first}, {&one, f32s({2}, {1, 2})}, {&two, f32s({2}, {3, 4})}})[0].data);
}

TEST_CASE("a plain operand is shared, and the last instance's output stays") {
  const step_function step;
  graph g;
  int q = g.leaf(&shared), all = g.leaf(&stack);
  int r = repeat(g, step.f, axis_ptr<struct layer>, nodes(q, all),
                 {{operand_mode::plain, 0}, {operand_mode::each, 0}},
                 {output_mode::carry, output_mode::sum, output_mode::sum});
  g.outputs = nodes(g.result(r, 0), g.result(r, 1), g.result(r, 2));
  auto result = evaluated(g, {{&shared, f32s({2}, {10, 20})}, {&stack, f32s({3, 2}, {1, 2, 3, 4, 5, 6})}});
  CHECK(result[0].data == numbers_of{25, 46});
  CHECK(result[1].data == numbers_of{90, 240});
  CHECK(result[2].data == numbers_of{30, 60});
}

TEST_CASE("keyed operands are folded with the instance's number") {
  // draw(k, v) = v + uniform(k)
  graph body;
  int noise = body.put(op::uniform, nodes(body.leaf(&k)), over<struct col>(), numbers(4, dtype::f64));
  body.outputs.push(body.binary(op::add, body.cast(body.leaf(&v), dtype::f64), noise));
  const function draw("draw", body, {&k, &v});
  for (bool reverse : {false, true}) {
    graph g;
    int r = repeat(g, draw, axis_ptr<struct layer>, nodes(g.leaf(&seed), g.leaf(&stack)),
                   {{operand_mode::keyed, 0}, {operand_mode::each, 0}}, {output_mode::each}, reverse);
    g.outputs.push(g.result(r, 0));
    auto result = evaluated(g, {{&seed, make_key(5)}, {&stack, f32s({3, 2}, {0, 0, 0, 0, 0, 0})}});
    numbers_of want;
    for (u64 i = 0; i < 3; ++i)
      for (u64 c = 0; c < 2; ++c) want.push_back(uniform_element<double>(fold(fold(5, i), 4), c));
    CHECK(result[0].data == want);
  }
}

TEST_CASE("no instances") {
  const step_function step;
  const leaf_values in{{&start, f32s({2}, {1, -1})}, {&stack, f32s({0, 2}, {})}};
  graph g;
  int first = g.leaf(&start), all = g.leaf(&stack);
  int r = repeat(g, step.f, axis_ptr<struct layer>, nodes(first, all),
                 {{operand_mode::carry, 0}, {operand_mode::each, 0}},
                 {output_mode::carry, output_mode::sum, output_mode::each});
  g.outputs = nodes(g.result(r, 0), g.result(r, 1), g.result(r, 2));
  auto result = evaluated(g, in);
  CHECK(result[0].data == numbers_of{1, -1});
  CHECK(result[1].data == numbers_of{0, 0});
  CHECK(result[2].shape == std::vector<i64>{0, 2});

  graph h;
  first = h.leaf(&start), all = h.leaf(&stack);
  r = repeat(h, step.f, axis_ptr<struct layer>, nodes(first, all),
             {{operand_mode::plain, 0}, {operand_mode::each, 0}},
             {output_mode::carry, output_mode::sum, output_mode::each});
  h.outputs.push(h.result(r, 0));
  CHECK_THROWS_WITH(static_cast<void>(evaluate(h, in)),
                    "flame::call: step over no instances has no output 0");
}

TEST_CASE("a stack of stacks") {
  // inner(v, all) = v carried through step over `all`; outer carries it through inner over a stack of such
  // stacks.
  static constexpr leaf_info rows = stack_of<f32, struct row, struct col>("rows");
  static constexpr leaf_info deep = [] {
    leaf_info l = leaf_of<f32, struct layer, struct part, struct channel>("deep");
    l.type.stack = 2;
    return l;
  }();
  const step_function step;
  graph inner;
  int a = inner.leaf(&v), all = inner.leaf(&rows);
  int r = repeat(inner, step.f, axis_ptr<struct row>, nodes(a, all),
                 {{operand_mode::carry, 0}, {operand_mode::each, 0}},
                 {output_mode::carry, output_mode::sum, output_mode::each});
  inner.outputs = nodes(inner.result(r, 0), inner.result(r, 2));
  const function f("inner", inner, {&v, &rows});
  graph g;
  int first = g.leaf(&start), whole = g.leaf(&deep);
  r = repeat(g, f, axis_ptr<struct layer>, nodes(first, whole),
             {{operand_mode::carry, 0}, {operand_mode::each, 0}}, {output_mode::carry, output_mode::each});
  g.outputs = nodes(g.result(r, 0), g.result(r, 1));
  CHECK(string_of(g.type(g.outputs[1])) == "f32[layer, part | channel]");
  auto result = evaluated(g, {{&start, f32s({1}, {1})}, {&deep, f32s({2, 3, 1}, {1, 2, 3, 4, 5, 6})}});
  numbers_of states;
  double state = 1;
  for (int i = 1; i <= 6; ++i) {
    states.push_back(state);
    state = 2 * state + i;
  }
  CHECK(result[0].data == numbers_of{state});
  CHECK(result[1].data == states);
}

TEST_CASE("errors inside of a function") {
  static constexpr leaf_info table = leaf_of<f32, struct col>("table"), index = leaf_of<i32>("index"),
                             i = leaf_of<i32>("i");
  graph body;
  int t = body.leaf(&v), n = body.leaf(&i);
  body.outputs.push(body.put(op::gather, nodes(t, n), over<struct col>()));
  const function pick("pick", body, {&v, &i});
  graph g;
  int p = g.leaf(&table), q = g.leaf(&index);
  g.outputs.push(g.result(call(g, pick, nodes(p, q)), 0));
  leaf_values in{{&table, f32s({2}, {4, 5})}, {&index, make_value(dtype::int32, {}, {1})}};
  CHECK(evaluated(g, in)[0].data == numbers_of{5});
  in[&index].data[0] = 2;
  CHECK_THROWS_WITH(static_cast<void>(evaluate(g, in)),
                    "flame::gather: index 2 is out of range: axis col has extent 2");
}

}  // namespace
}  // namespace flame::tests
