// Golden texts: formulas, listings and Graphviz.
#include <doctest/doctest.h>

#include <flame/graph/print.hpp>

#include "support.hpp"

namespace flame::tests {
namespace {

constexpr leaf_info
    x = leaf_of<f32, struct row, struct col>("x"),
    y = leaf_of<f32, struct row, struct col>("y"),
    w = leaf_of<f32, struct col, struct out>("w", leaf_kind::parameter),
    flag = leaf_of<bool, struct row>("flag"), index = leaf_of<i32, struct batch>("index"),
    random_key = leaf_of<key>("key"),
    image = leaf_of<f32, struct batch, struct height, struct width, struct channel>("image"),
    weight =
        leaf_of<f32, struct out, struct kernel_height, struct kernel_width, struct channel_part>("weight"),
    upstream = leaf_of<f32, struct batch, struct out_height, struct out_width, struct out>("dy");

template <class Build> std::string printed(Build build) {
  graph g;
  g.outputs.push(build(g));
  return print(g);
}

int number(graph& g, double v) { return g.constant(v, dtype::f32); }

TEST_CASE("the formula of a user") {
  CHECK(printed([](graph& g) {
          int product = g.binary(op::mul, g.unary(op::sin, g.leaf(&x)), g.leaf(&y));
          return g.with_axes(op::sum, g.binary(op::add, product, number(g, 2)), over<struct row>());
        }) == "sum[row](sin(x) * y + 2)");
}

TEST_CASE("constants are the shortest that read back") {
  auto constant = [](double v, dtype d) { return printed([=](graph& g) { return g.constant(v, d); }); };
  CHECK(constant(2, dtype::f32) == "2");
  CHECK(constant(-2.5, dtype::f32) == "-2.5");
  CHECK(constant(static_cast<double>(0.1f), dtype::f32) == "0.1");
  CHECK(constant(0.1, dtype::f64) == "0.1");
  CHECK(constant(static_cast<double>(0.1f), dtype::f64) == "0.10000000149011612");
  CHECK(constant(0.1, dtype::f32) == "0.1");
  CHECK(constant(1e-6, dtype::f32) == "1e-06");
  CHECK(constant(7, dtype::int32) == "7");
  CHECK(constant(1, dtype::boolean) == "true");
  CHECK(constant(0, dtype::boolean) == "false");
  CHECK(constant(__builtin_inf(), dtype::f32) == "inf");
  CHECK(constant(-0.0, dtype::f32) == "-0");
}

TEST_CASE("as few parentheses as the formula allows") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&y), one = number(g, 1);
  auto text = [&](int n) {
    g.outputs = nodes(n);
    return print(g);
  };
  auto bin = [&](op code, int p, int q) { return g.binary(code, p, q); };
  int ab = bin(op::add, a, b), times = bin(op::mul, a, b), minus = bin(op::sub, a, b),
      over_ = bin(op::div, a, b);
  CHECK(text(bin(op::mul, ab, a)) == "(x + y) * x");
  CHECK(text(bin(op::add, times, a)) == "x * y + x");
  CHECK(text(bin(op::sub, minus, a)) == "x - y - x");
  CHECK(text(bin(op::sub, a, minus)) == "x - (x - y)");
  CHECK(text(bin(op::div, over_, a)) == "x / y / x");
  CHECK(text(bin(op::div, a, over_)) == "x / (x / y)");
  CHECK(text(bin(op::div, a, times)) == "x / (x * y)");
  CHECK(text(bin(op::sub, ab, times)) == "x + y - x * y");
  CHECK(text(g.unary(op::neg, times)) == "-(x * y)");
  CHECK(text(bin(op::sub, g.unary(op::neg, a), g.unary(op::neg, b))) == "-x - (-y)");
  CHECK(text(g.unary(op::neg, g.unary(op::neg, a))) == "-(-x)");
  CHECK(text(bin(op::div, number(g, -1), a)) == "-1 / x");
  CHECK(text(bin(op::div, a, number(g, -1))) == "x / (-1)");
  CHECK(text(bin(op::pow, a, number(g, 2))) == "pow(x, 2)");
  CHECK(text(bin(op::mul, a, number(g, 2))) == "2 * x");
  CHECK(text(bin(op::add, one, a)) == "x + 1");
  CHECK(text(bin(op::maximum, a, number(g, 0))) == "maximum(x, 0)");
  CHECK(text(bin(op::minimum, b, a)) == "minimum(x, y)");
  int less = bin(op::less, a, b), equal = bin(op::equal, b, a);
  CHECK(text(bin(op::logical_or, bin(op::logical_and, less, equal), g.unary(op::logical_not, equal))) ==
        "!(x == y) || x < y && x == y");
  CHECK(text(bin(op::logical_and, less, bin(op::logical_or, less, equal))) == "(x < y || x == y) && x < y");
  CHECK(text(bin(op::not_equal, less, bin(op::less_equal, b, a))) == "y <= x != x < y");
  CHECK(text(g.where(bin(op::less_equal, a, number(g, 0)), number(g, 0), a)) == "where(x <= 0, 0, x)");
  CHECK(text(g.unary(op::is_nan, a)) == "isnan(x)");
  CHECK(text(g.cast(a, dtype::bf16)) == "cast<bf16>(x)");
  CHECK(text(g.unary(op::stop_gradient, ab)) == "stop_gradient(x + y)");
}

TEST_CASE("axes and numbers stand in brackets") {
  auto moved = [](op code, const list<const axis_info*>& axes, const list<u64>& data = {}) {
    return printed([&](graph& g) { return g.put(code, nodes(g.leaf(&x)), axes, data); });
  };
  CHECK(moved(op::max, over<struct row, struct col>()) == "max[row, col](x)");
  CHECK(moved(op::argmax, over<struct col>()) == "argmax[col](x)");
  CHECK(moved(op::permute, over<struct col, struct row>()) == "permute[col, row](x)");
  CHECK(moved(op::rename, over<struct row, struct wide>()) == "rename[row -> wide](x)");
  CHECK(moved(op::split, over<struct row, struct part, struct four>()) == "split[row -> part, four](x)");
  CHECK(moved(op::merge, over<struct row, struct col, struct wide>()) == "merge[row, col -> wide](x)");
  CHECK(moved(op::slice, over<struct row, struct part>(), numbers(1, 1, -1)) ==
        "slice[row -> part, begin 1](x)");
  CHECK(moved(op::slice, over<struct row, struct part>(), numbers(0, 2, 5)) ==
        "slice[row -> part, begin 0, step 2, count 5](x)");
  CHECK(moved(op::slice, over<struct row, struct part, struct other, struct four>(),
              numbers(0, 1, as_result)) == "slice[row -> part, begin other + four, count part](x)");
  CHECK(moved(op::pad, over<struct row, struct wide>(), numbers(1, 2, bits(0), 1)) ==
        "pad[row -> wide, low 1, high 2](x)");
  CHECK(moved(op::pad, over<struct row, struct wide, struct other>(), numbers(1, as_result, bits(-1), 2)) ==
        "pad[row -> wide, low 1 + other, high rest, value -1, step 2](x)");
  CHECK(moved(op::broadcast, over<struct batch, struct row, struct col>()) ==
        "broadcast[batch, row, col](x)");
  CHECK(printed([](graph& g) {
          return g.put(op::concatenate, nodes(g.leaf(&x), g.leaf(&y)),
                       over<struct row, struct row, struct wide>());
        }) == "concatenate[row, row -> wide](x, y)");
  CHECK(printed([](graph& g) {
          return g.contract(g.leaf(&x), g.leaf(&w), shape<f32, struct row, struct out>::value());
        }) == "contract[row, out](x, w)");
  CHECK(printed([](graph& g) { return g.contract(g.leaf(&x), g.leaf(&y), tensor_type{}); }) ==
        "contract[](x, y)");
  CHECK(printed([](graph& g) { return g.extent(axis_ptr<struct row>, dtype::f32); }) == "extent(row)");
  CHECK(printed([](graph& g) { return g.put(op::iota, {}, over<struct row>(), numbers(dtype::int32)); }) ==
        "iota(row)");
  CHECK(printed([](graph& g) {
          int k = g.binary(op::fold, g.leaf(&random_key), g.constant(4, dtype::int32));
          return g.put(op::normal, nodes(k), over<struct row, struct col>(), numbers(3, dtype::f32));
        }) == "normal<3>[row, col](fold(key, 4))");
  CHECK(printed([](graph& g) { return g.with_axes(op::max, g.leaf(&flag), over<struct row>()); }) ==
        "max[row](flag)");
  CHECK(printed([](graph& g) {
          return g.put(op::gather, nodes(g.leaf(&w), g.leaf(&index)), over<struct col>());
        }) == "gather[col](w, index)");
  CHECK(printed([](graph& g) {
          int rows = g.put(op::gather, nodes(g.leaf(&w), g.leaf(&index)), over<struct col>());
          return g.put(op::scatter_add, nodes(g.leaf(&index), rows),
                       over<struct col, struct col, struct out>());
        }) == "scatter_add[col -> col, out](index, gather[col](w, index))");
}

TEST_CASE("anonymous axes are counted from the last") {
  static constexpr leaf_info pair = leaf_of<f32, anonymous<1>, anonymous<0, 3>>("pair");
  graph g;
  g.outputs.push(g.with_axes(op::sum, g.leaf(&pair), over<anonymous<0, 3>>()));
  CHECK(print(g) == "sum[-1](pair)");
  CHECK(string_of(pair.type) == "f32[-2, -1]");
}

TEST_CASE("windows say what they do with height and width") {
  auto axes = over<struct height, struct width, struct kernel_height, struct kernel_width, struct channel,
                   struct channel_part, struct out_height, struct out_width, struct out>();
  auto two = [&](op code, const leaf_info& a, const leaf_info& b, const list<u64>& data) {
    return printed([&](graph& g) { return g.put(code, nodes(g.leaf(&a), g.leaf(&b)), axes, data); });
  };
  CHECK(two(op::conv, image, weight, numbers(1, 1, 0, 0, 1, 1, 1)) ==
        "conv[height, width -> out_height, out_width, out](image, weight)");
  CHECK(two(op::conv_data, upstream, weight, numbers(2, 2, 1, 0, 1, 1, 4)) ==
        "conv_data[out_height, out_width -> height, width, channel, stride 2, padding 1x0, groups 4](dy, "
        "weight)");
  CHECK(two(op::conv_weight, image, upstream, numbers(1, 1, 0, 0, 2, 2, 1)) ==
        "conv_weight[out, kernel_height, kernel_width, channel_part, dilation 2](image, dy)");
  CHECK(printed([](graph& g) {
          int a = g.leaf(&image);
          return g.put(op::pool_take, nodes(a, a),
                       over<struct height, struct width, struct out_height, struct out_width>(),
                       numbers(2, 2, 2, 2, 0, 0));
        }) == "pool_take[height, width -> out_height, out_width, kernel 2, stride 2](image, image)");
  CHECK(printed([](graph& g) {
          return g.put(op::pool_mean_put, nodes(g.leaf(&upstream)),
                       over<struct height, struct width, struct out_height, struct out_width>(),
                       numbers(2, 3, 1, 1, 0, 1));
        }) == "pool_mean_put[out_height, out_width -> height, width, kernel 2x3, padding 0x1](dy)");
}

TEST_CASE("what is used twice stands alone, if it is long enough") {
  graph g;
  int a = g.leaf(&x);
  int shifted = g.binary(op::sub, a, g.with_axes(op::max, a, over<struct col>()));
  int e = g.unary(op::exp, shifted);
  g.outputs.push(g.binary(op::div, e, g.with_axes(op::sum, e, over<struct col>())));
  CHECK(print(g) == "%1 = exp(x - max[col](x))\n%1 / sum[col](%1)");

  graph h;  // x * y has three nodes: repeated
  int t = h.binary(op::mul, h.leaf(&x), h.leaf(&y));
  h.outputs.push(h.binary(op::sub, h.unary(op::exp, t), h.unary(op::sin, t)));
  CHECK(print(h) == "exp(x * y) - sin(x * y)");

  graph k;  // a line of its own counts as one node in the next
  int p = k.unary(op::exp, k.binary(op::mul, k.leaf(&x), k.leaf(&y)));
  int q = k.unary(op::sin, p);
  int r = k.unary(op::tanh, k.binary(op::sub, q, p));
  k.outputs.push(k.binary(op::div, k.binary(op::sub, r, q), k.unary(op::neg, r)));
  CHECK(print(k) == "%1 = exp(x * y)\n%2 = tanh(sin(%1) - %1)\n(%2 - sin(%1)) / (-%2)");
}

TEST_CASE("several outputs") {
  graph g;
  int a = g.leaf(&x), f = g.unary(op::exp, g.binary(op::mul, a, g.leaf(&y)));
  g.outputs = nodes(f, g.unary(op::neg, a), f);
  CHECK(print(g) == "%1 = exp(x * y)\n(%1, -x, %1)");
  g.outputs.clear();
  CHECK(print(g) == "()");
}

TEST_CASE("calls and repeats") {
  static constexpr leaf_info v = leaf_of<f32, struct col>("v"), u = leaf_of<f32, struct col>("u"),
                             k = leaf_of<key>("k"), start = leaf_of<f32, struct col>("start"),
                             stack = stack_of<f32, struct layer, struct col>("stack");
  graph one;
  one.outputs.push(one.binary(op::add, one.leaf(&v), one.leaf(&u)));
  const function plain("block", one, {&v, &u});
  graph g;
  int y1 = g.result(call(g, plain, nodes(g.leaf(&start), g.leaf(&u))), 0);
  g.outputs.push(g.unary(op::neg, y1));
  CHECK(print(g) == "-block(start, u)");

  graph two;
  int noise = two.put(op::uniform, nodes(two.leaf(&k)), over<struct col>(), numbers(0, dtype::f32));
  int kept = two.binary(op::mul, two.leaf(&v), noise);
  two.outputs = nodes(kept, two.binary(op::add, kept, two.leaf(&u)));
  const function noisy("noisy", two, {&v, &u, &k});
  graph h;
  int first = h.leaf(&start), each = h.leaf(&stack), seed = h.leaf(&random_key);
  int all = repeat(h, noisy, axis_ptr<struct layer>, nodes(first, each, seed),
                   {{operand_mode::carry, 1}, {operand_mode::each, 0}, {operand_mode::keyed, 0}},
                   {output_mode::each, output_mode::carry}, true);
  h.outputs.push(h.result(all, 0));
  h.outputs.push(h.result(all, 1));
  CHECK(print(h) ==
        "%1 = repeat<noisy>[layer, reverse](carry.1(start), each(stack), keyed(key))\n(%1.0, %1.1)");
  CHECK(dump(h) ==
        "%0: f32[col] = input start\n"
        "%1: f32[layer | col] = input stack\n"
        "%2: key = input key\n"
        "%3 = repeat<noisy>[layer, reverse](carry.1(%0), each(%1), keyed(%2)) -> each, carry\n"
        "%4: f32[layer | col] = %3.0\n"
        "%5: f32[col] = %3.1\n"
        "outputs %4, %5\n");
}

TEST_CASE("equal formulas have equal texts") {
  graph g, h;
  int a = g.leaf(&x), b = g.leaf(&y);
  g.outputs.push(g.binary(op::mul, g.unary(op::exp, a), g.unary(op::sin, b)));
  int q = h.leaf(&y);
  h.unary(op::cos, q);
  int s = h.unary(op::sin, q);
  h.outputs.push(h.binary(op::mul, s, h.unary(op::exp, h.leaf(&x))));
  CHECK(print(g) == print(h));
}

TEST_CASE("dump lists every node with its type") {
  graph g;
  int a = g.leaf(&x), b = g.leaf(&w);  // one after another: the order of arguments is the compiler's
  int product = g.contract(a, b, shape<f32, struct row, struct out>::value());
  g.outputs.push(
      g.with_axes(op::sum, g.binary(op::sub, product, g.constant(0.5, dtype::f32)), over<struct row>()));
  CHECK(dump(g) ==
        "%0: f32[row, col] = input x\n"
        "%1: f32[col, out] = parameter w\n"
        "%2: f32[row, out] = contract[row, out](%0, %1)\n"
        "%3: f32 = constant 0.5\n"
        "%4: f32[row, out] = sub(%2, %3)\n"
        "%5: f32[out] = sum[row](%4)\n"
        "outputs %5\n");
}

TEST_CASE("graphviz") {
  static constexpr leaf_info odd = leaf_of<f32>("a\"b\\");
  graph g;
  int a = g.leaf(&odd), one = g.constant(1, dtype::f32);
  g.outputs.push(g.binary(op::sub, one, g.binary(op::mul, a, a)));
  CHECK(to_graphviz(g) ==
        "digraph flame {\n"
        "  node [shape=box];\n"
        "  n0 [label=\"a\\\"b\\\\\\nf32\", shape=ellipse];\n"
        "  n1 [label=\"1\\nf32\"];\n"
        "  n2 [label=\"mul\\nf32\"];\n"
        "  n0 -> n2;\n"
        "  n0 -> n2;\n"
        "  n3 [label=\"sub\\nf32\"];\n"
        "  n1 -> n3 [label=\"0\"];\n"
        "  n2 -> n3 [label=\"1\"];\n"
        "  output0 [shape=plaintext];\n"
        "  n3 -> output0;\n"
        "}\n");
}

}  // namespace
}  // namespace flame::tests
