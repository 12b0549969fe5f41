// The checker passes what the graph builds, and finds each kind of damage.
#include <doctest/doctest.h>

#include <flame/graph/check.hpp>
#include <string>
#include <string_view>

#include "support.hpp"

namespace flame::tests {
namespace {

constexpr leaf_info x = leaf_of<f32, struct row, struct col>("x"),
                    y = leaf_of<f32, struct row, struct col>("y");

std::string_view said(const finding& f) { return {f.what.data, static_cast<std::size_t>(f.what.size)}; }

struct sample {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y);
  int sum = g.binary(op::add, a, b), sub = g.binary(op::sub, a, b);
  int sliced = g.put(op::slice, nodes(sum), over<struct row, struct part>(), numbers(0, 1, 2));
  int total = g.with_axes(op::sum, sliced, over<struct part, struct col>());
  sample() { g.outputs = nodes(total, sub); }
};

TEST_CASE("a graph as it is built is as it should be") {
  sample s;
  finding f = check(s.g);
  CHECK(f.ok());
  CHECK(f.node == -1);
}

void damaged(void (*damage)(sample&), int sample::*at, std::string_view words, fault reason = fault::none) {
  sample s;
  damage(s);
  finding f = check(s.g);
  CHECK(said(f) == words);
  CHECK(f.node == s.*at);
  CHECK(f.reason == reason);
}

TEST_CASE("damage is found") {
  damaged([](sample& s) { s.g.nodes[s.sliced].type = s.g.nodes[s.sum].type; }, &sample::sliced,
          "its type is not what the rule of its operation gives");
  damaged([](sample& s) { s.g.nodes[s.sum].hash ^= 1; }, &sample::sum, "its hash is not that of its formula");
  damaged([](sample& s) { std::swap(s.g.args[s.g[s.sum].args], s.g.args[s.g[s.sum].args + 1]); },
          &sample::sum, "its operands are not in canonical order");
  damaged([](sample& s) { s.g.args[s.g[s.sub].args] = s.total; }, &sample::sub,
          "an operand does not come before it");
  damaged([](sample& s) { s.g.args[s.g[s.sub].args] = -1; }, &sample::sub,
          "an operand does not come before it");
  damaged([](sample& s) { s.g.nodes[s.sub].code = op::add; }, &sample::sub, "it is equal to an earlier node");
  damaged([](sample& s) { s.g.nodes[s.sub].code = static_cast<op>(op_count); }, &sample::sub,
          "no such operation");
  damaged([](sample& s) { s.g.nodes[s.sub].code = op::neg; }, &sample::sub,
          "it has another number of operands than its operation");
  damaged([](sample& s) { s.g.nodes[s.sub].code = op::logical_and; }, &sample::sub,
          "the rule of its operation refuses it", fault::needs_boolean);
  damaged([](sample& s) { s.g.nodes[s.sliced].axis_count = 1; }, &sample::sliced,
          "it has another number of axes than its operation");
  damaged([](sample& s) { s.g.nodes[s.sliced].data_count = 2; }, &sample::sliced,
          "it has another number of numbers than its operation");
  damaged([](sample& s) { s.g.nodes[s.sliced].data = s.g.data.size() - 1; }, &sample::sliced,
          "it points outside of the graph's pools");
  damaged([](sample& s) { s.g.data[s.g[s.sliced].data + 1] = 0; }, &sample::sliced,
          "a number is out of its range");
  damaged([](sample& s) { s.g.axes[s.g[s.sliced].axes] = axis_ptr<struct wide>; }, &sample::sliced,
          "the rule of its operation refuses it", fault::axis_missing);
  damaged([](sample& s) { s.g.nodes[s.a].leaf = nullptr; }, &sample::a,
          "leaves, and only leaves, say which leaf they are");
}

TEST_CASE("outputs are nodes with a value") {
  sample s;
  s.g.outputs.push(s.g.size());
  CHECK(said(check(s.g)) == "an output is no node");
}

TEST_CASE("numbers have their ranges") {
  auto said_of = [](op code, const list<const axis_info*>& axes, const list<u64>& data) {
    static constexpr leaf_info image = leaf_of<f32, struct row, struct col, struct out>("image");
    graph g;
    g.outputs.push(g.put(code, nodes(g.leaf(&image)), axes, data));
    return check(g).ok();
  };
  auto axes = over<struct row, struct col, struct height, struct width>();
  CHECK(said_of(op::pool_mean, axes, numbers(2, 2, 2, 2, 0, 1)));
  CHECK_FALSE(said_of(op::pool_mean, axes, numbers(2, 2, 0, 2, 0, 1)));
  CHECK_FALSE(said_of(op::pool_mean, axes, numbers(2, 2, 2, 2, -1, 1)));
  CHECK_FALSE(said_of(op::pool_mean, axes, numbers(2, 2, 2, 2, 0)));
  auto two = over<struct row, struct wide>();
  CHECK(said_of(op::pad, two, numbers(1, 0, bits(0), 1)));
  CHECK(said_of(op::pad, two, numbers(1, as_result, bits(0), 1)));
  CHECK_FALSE(said_of(op::pad, two, numbers(1, -1, bits(0), 1)));
  CHECK_FALSE(said_of(op::pad, two, numbers(1, 0, bits(0), 0)));
  CHECK_FALSE(said_of(op::slice, two, numbers(-1, 1, 1)));
}

TEST_CASE("calls") {
  static constexpr leaf_info v = leaf_of<f32, struct col>("v"), u = leaf_of<f32, struct col>("u"),
                             start = leaf_of<f32, struct col>("start"),
                             stack = stack_of<f32, struct layer, struct col>("stack");
  graph body;
  body.outputs.push(body.binary(op::add, body.leaf(&v), body.leaf(&u)));
  body.outputs.push(body.with_axes(op::sum, body.leaf(&v), over<struct col>()));
  const function f("f", body, {&v, &u});
  auto said_of = [&](std::initializer_list<call_operand> modes, std::initializer_list<output_mode> outputs) {
    graph g;
    int c = repeat(g, f, axis_ptr<struct layer>, nodes(g.leaf(&start), g.leaf(&stack)), modes, outputs);
    g.outputs = nodes(g.result(c, 0), g.result(c, 1));
    return std::string(said(check(g)));
  };
  const call_operand each{operand_mode::each, 0};
  CHECK(said_of({{operand_mode::carry, 0}, each}, {output_mode::carry, output_mode::sum}) == "");
  CHECK(said_of({{operand_mode::carry, 0}, each}, {output_mode::each, output_mode::sum}) ==
        "a carried operand's output is not carried");
  CHECK(said_of({{operand_mode::carry, 1}, each}, {output_mode::carry, output_mode::carry}) ==
        "a carried operand is not of its output's type");
  CHECK(said_of({{operand_mode::carry, 2}, each}, {output_mode::carry, output_mode::carry}) ==
        "a carried operand has no output");
  CHECK(said_of({{operand_mode::keyed, 0}, each}, {output_mode::carry, output_mode::sum}) ==
        "a keyed operand is no key");

  graph g;
  int c = call(g, f, nodes(g.leaf(&start), g.leaf(&u)));
  g.outputs = nodes(g.result(c, 0));
  CHECK(check(g).ok());
  g.outputs = nodes(c);
  CHECK(said(check(g)) == "an output is a call; its results are meant");
  g.outputs.clear();
  g.data[g[g.result(c, 0)].data] = 2;
  CHECK(said(check(g)) == "its function has no such output");
}

constexpr leaf_info s = leaf_of<f32, anonymous<0>>("s");
constexpr bool checked_by_the_compiler(bool damage) {
  graph g;
  int a = g.leaf(&s);
  g.outputs.push(g.unary(op::sin, g.binary(op::add, a, g.constant(2, dtype::f32))));
  if (damage) g.nodes[g.outputs[0]].hash = 0;
  return check(g).ok();
}
static_assert(checked_by_the_compiler(false));
static_assert(!checked_by_the_compiler(true));

}  // namespace
}  // namespace flame::tests
