// Explained programs: the table as text, its numbers, the graph.
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/plan/explain.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <algorithm>

namespace explain_test {

using namespace flame;
using namespace flame::literals;
using backend = host;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct x : input<f32, batch, feature> {
} x;
inline constexpr struct y : input<f32, batch, feature> {
} y;
inline constexpr struct w : input<f32, hidden, feature> {
} w;

const auto a = ones<f32>(batch == 32, feature == 10);
const auto b = ones<f32>(batch == 32, feature == 10);
const auto weight = ones<f32>(hidden == 16, feature == 10);

TEST_CASE("A chain: one kernel, named arguments, bytes and operations") {
  auto f = compile<backend>(tanh(x * y) + x, x, y);
  const program_report r = report(f.plan(a, b));
  REQUIRE(r.steps.size() == 1);
  CHECK(r.kernels == 1);
  CHECK(r.library_calls == 0);
  CHECK(r.steps[0].kind == "map");
  CHECK(r.steps[0].sizes == "320");
  CHECK(r.steps[0].formula == "tanh(x * y) + x");
  CHECK(r.steps[0].result == "result");
  CHECK(r.read == 2 * 1280);
  CHECK(r.written == 1280);
  CHECK(r.flops == 3 * 320);
  CHECK(r.arguments == 2 * 1280);
  CHECK(r.results == 1280);
  CHECK(r.arena == 0);
  CHECK(explain(f, a, b) ==
        "1 step (1 kernel, 0 library calls), 960 operations, reads 2.5 KiB, writes 1.2 KiB\n"
        "arguments 2.5 KiB, results 1.2 KiB, arena 0 B (most live at once 0 B)\n"
        "#  step  size    reads   writes  operations  live  formula\n"
        "0  map   320   2.5 KiB  1.2 KiB         960   0 B  result = tanh(x * y) + x\n");
}

TEST_CASE("Rows, columns and products") {
  auto soft = compile<backend>(softmax(x, feature), x);
  const program_report r = report(soft.plan(a));
  REQUIRE(r.steps.size() == 1);
  CHECK(r.steps[0].kind == "row");
  CHECK(r.steps[0].sizes == "32 x 10");

  const program_report columns = report(compile<backend>(sum(x * x, batch), x).plan(a));
  REQUIRE(columns.steps.size() == 1);
  CHECK(columns.steps[0].kind == "column");
  CHECK(columns.steps[0].flops == 2 * 320);
  CHECK(columns.written == 40);

  const program_report product = report(compile<backend>(relu(matmul(x, w, feature)), x, w).plan(a, weight));
  REQUIRE(product.steps.size() == 2);
  CHECK(product.library_calls == 1);
  CHECK(product.steps[0].kind == "contract");
  CHECK(product.steps[0].sizes == "m 32 n 16 k 10");
  CHECK(product.steps[0].flops == 2 * 32 * 16 * 10);
  CHECK(product.steps[0].formula == "contract[batch, hidden](x, w)");
  CHECK(product.steps[0].result == "t1@0");
  CHECK(product.steps[0].live == 2048);
  CHECK(product.steps[1].formula == "where(t1 <= 0, 0, t1)");
  CHECK(product.arena == 2048);
  CHECK(product.live == 2048);
}

TEST_CASE("Every step has a formula, and totals are the sums of the steps") {
  auto loss = mean(pow(softmax(matmul(tanh(x), w, feature), hidden), 2));
  auto f = compile<backend>(value_and_grad(loss, x, w), x, w);
  const program& p = f.plan(a, weight);
  const program_report r = report(p);
  CHECK(r.steps.size() == static_cast<std::size_t>(p.steps.size()));
  CHECK(r.kernels + r.library_calls == p.steps.size());
  i64 read = 0, written = 0, flops = 0;
  for (const step_report& s : r.steps) {
    CHECK(s.formula != "");
    CHECK(s.result != "");
    CHECK(s.formula.find('-') != 0);
    CHECK(s.live <= r.arena);
    read += s.read, written += s.written, flops += s.flops;
  }
  CHECK(read == r.read);
  CHECK(written == r.written);
  CHECK(flops == r.flops);
  CHECK(r.arena == p.arena_bytes);
  CHECK(r.live <= r.arena);
  const std::string text = explain(p);
  CHECK(std::count(text.begin(), text.end(), '\n') == p.steps.size() + 3);
  CHECK(text.find("result2") != text.npos);
  CHECK(explain(p, 20).size() < text.size());
}

TEST_CASE("The planner's own steps: parts and fillings") {
  const auto padded = pad<1, 2>(x, feature, hidden);
  const program_report r = report(compile<backend>(padded, x).plan(a));
  REQUIRE(r.steps.size() == 2);
  CHECK(r.steps[0].kind == "fill");
  CHECK(r.steps[0].formula == "0");
  CHECK(r.steps[1].kind == "copy");
  CHECK(r.steps[1].flops == 0);
}

TEST_CASE("Programs and expressions as graphs and formulas") {
  CHECK(print(sum(tanh(x * y), feature)) == "sum[feature](tanh(x * y))");
  CHECK(to_graphviz(tanh(x)).find("tanh") != std::string::npos);
  auto f = compile<backend>(relu(matmul(x, w, feature)), x, w);
  CHECK(to_graphviz(f.plan(a, weight)) ==
        "digraph flame {\n"
        "  node [shape=box];\n"
        "  s0 [label=\"contract m 32 n 16 k 10\\ncontract[batch, hidden](x, w)\"];\n"
        "  s1 [label=\"map 512\\nwhere(t1 <= 0, 0, t1)\"];\n"
        "  b0 [label=\"x\", shape=ellipse];\n"
        "  b1 [label=\"w\", shape=ellipse];\n"
        "  r2 [label=\"result\", shape=plaintext];\n"
        "  b0 -> s0;\n"
        "  b1 -> s0;\n"
        "  s0 -> s1 [label=\"t1 2.0 KiB\"];\n"
        "  s1 -> r2;\n"
        "}\n");
}

}  // namespace explain_test
