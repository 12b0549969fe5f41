// Convolution, pooling and their gradients in the reference evaluator, against numbers from PyTorch.
//
// Inputs are seq(n, a, b, c): i a mod b - c for i in 0 .. n - 1. The numbers are those of PyTorch 2.11 in f64
// for conv2d(stride (2, 1), padding (1, 0), dilation (1, 2), groups 2), max_pool2d and avg_pool2d((2, 3), (2,
// 1), (1, 1)) and autograd.grad with dy = seq(n, 3, 7, 3), images brought from NHWC to NCHW and back.
#include <doctest/doctest.h>

#include <cmath>
#include <flame/graph/evaluate.hpp>

#include "support.hpp"

namespace flame::tests {
namespace {

using numbers_of = std::vector<double>;

constexpr leaf_info image = leaf_of<f32, struct batch, struct height, struct width, struct channel>("image");
constexpr leaf_info second =
    leaf_of<f32, struct batch, struct height, struct width, struct channel>("second");
constexpr leaf_info weight =
    leaf_of<f32, struct out, struct kernel_height, struct kernel_width, struct channel_part>("weight");
constexpr leaf_info dy = leaf_of<f32, struct batch, struct out_height, struct out_width, struct out>("dy");
constexpr leaf_info pooled_dy =
    leaf_of<f32, struct batch, struct out_height, struct out_width, struct channel>("dy");

value seq(std::vector<i64> extents, int a, int b, int c) {
  value v = make_value(dtype::f32, std::move(extents), {});
  for (i64 i = 0; i < v.size(); ++i) v.data.push_back(static_cast<double>(i * a % b - c));
  return v;
}

value run(op code, const leaf_info& a, const leaf_info& b, const list<const axis_info*>& axes,
          const list<u64>& data, const leaf_values& in, const extents& known = {}) {
  graph g;
  list<int> operands = nodes(g.leaf(&a));
  if (op_table[static_cast<int>(code)].arity == 2) operands.push(g.leaf(&b));
  g.outputs.push(g.put(code, operands, axes, data));
  return evaluate(g, in, rounding::none, known)[0];
}

list<const axis_info*> convolution_axes() {
  return over<struct height, struct width, struct kernel_height, struct kernel_width, struct channel,
              struct channel_part, struct out_height, struct out_width, struct out>();
}
list<const axis_info*> pooling_axes() {
  return over<struct height, struct width, struct out_height, struct out_width>();
}

extents sizes(i64 rows, i64 cols) {
  extents e;
  e.bind(axis_ptr<struct height>, rows, {"", "test"});
  e.bind(axis_ptr<struct width>, cols, {"", "test"});
  return e;
}

const numbers_of conv_y{14, -12, -76, 47, -22, 23, 63, -84, -46, 7,   -31, 43, 19,  -52, 27, -1,
                        2,  21,  -57, 56, 8,   10, 3,  11,  20,  -60, -13, 56, -27, 19,  38, -20,
                        22, 15,  -26, 43, -1,  11, 32, 32,  1,   21,  -12, 47, 40,  -12, 26, -20};
const numbers_of conv_dx{
    -3,  -18, 13,  -16, 10,  10,  7,   -16, 6,   -9,  7,   17,  -16, 10,  13, 3,   21,  -18, 1,   3,
    -2,  6,   -11, 3,   -18, 21,  -8,  -6,  1,   -4,  4,   18,  -12, 3,   -6, 12,  -6,  -11, -12, 12,
    18,  -6,  -9,  -4,  10,  -8,  -3,  -18, -11, -12, -2,  3,   1,   12,  21, -18, 13,  -1,  -5,  0,
    -3,  -5,  21,  -18, 7,   17,  10,  -16, 13,  3,   -3,  12,  -12, 11,  10, 10,  -20, 9,   -12, 3,
    -9,  -4,  -9,  12,  -3,  -18, 13,  -16, 14,  -7,  -6,  -11, 6,   -9,  7,  17,  -5,  0,   -8,  3,
    21,  -18, 1,   3,   5,   -3,  1,   12,  -18, 21,  -8,  -6,  10,  10,  7,  -16, -12, 3,   -6,  12,
    -16, 10,  13,  3,   18,  -6,  -9,  -4,  -2,  6,   -11, 3,   -11, -12, -2, 3,   1,   -4,  4,   18,
    13,  -1,  -5,  0,   -6,  -11, -12, 12,  7,   17,  10,  -16, 10,  -8,  -3, -18, -12, 11,  10,  10};
const numbers_of conv_dw{-30, 16,  -25, 21, -8,  25,  25,  -8, 21,  -25, 16,  -30, 24, -13, 25, -12,
                         34,  -36, 2,   20, -30, 16,  -25, 21, 4,   5,   12,  -20, 0,  -19, 35, -50,
                         16,  12,  -16, 24, 6,   -16, -16, 6,  -10, 6,   -14, 13,  4,  5,   12, -20};

TEST_CASE("convolution and its gradients") {
  const auto data = numbers(2, 1, 1, 0, 1, 2, 2);
  value x = seq({2, 5, 4, 4}, 7, 11, 5), w = seq({4, 3, 2, 2}, 5, 13, 6), d = seq({2, 3, 2, 4}, 3, 7, 3);
  value y = run(op::conv, image, weight, convolution_axes(), data, {{&image, x}, {&weight, w}});
  CHECK(y.shape == std::vector<i64>{2, 3, 2, 4});
  CHECK(y.data == conv_y);
  value dx = run(op::conv_data, dy, weight, convolution_axes(), data, {{&dy, d}, {&weight, w}}, sizes(5, 4));
  CHECK(dx.shape == x.shape);
  CHECK(dx.data == conv_dx);
  extents kernel;
  kernel.bind(axis_ptr<struct kernel_height>, 3, {"", "test"});
  kernel.bind(axis_ptr<struct kernel_width>, 2, {"", "test"});
  value dw = run(op::conv_weight, image, dy, convolution_axes(), data, {{&image, x}, {&dy, d}}, kernel);
  CHECK(dw.shape == w.shape);
  CHECK(dw.data == conv_dw);
}

TEST_CASE("convolution of several batch axes, of one axis kept, and of no images") {
  static constexpr leaf_info many =
      leaf_of<f32, struct layer, struct batch, struct height, struct width, struct channel>("many");
  static constexpr leaf_info square =
      leaf_of<f32, struct channel, struct kernel_height, struct kernel_width, struct channel>("square");
  // 3 x 3, padding 1: height, width and channel keep their names.
  auto axes = over<struct height, struct width, struct kernel_height, struct kernel_width, struct channel,
                   struct channel, struct height, struct width, struct channel>();
  const auto data = numbers(1, 1, 1, 1, 1, 1, 1);
  value shift = make_value(dtype::f32, {1, 3, 3, 1}, {0, 0, 0, 1, 0, 0, 0, 0, 0});  // y[w] = x[w - 1]
  value two = make_value(dtype::f32, {1, 2, 2, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  value y = run(op::conv, many, square, axes, data, {{&many, two}, {&square, shift}});
  CHECK(y.shape == two.shape);
  CHECK(y.data == numbers_of{0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11});
  value none = make_value(dtype::f32, {1, 0, 2, 3, 1}, {});
  CHECK(run(op::conv, many, square, axes, data, {{&many, none}, {&square, shift}}).shape == none.shape);
}

TEST_CASE("pooling and its gradients") {
  const auto data = numbers(2, 3, 2, 1, 1, 1);
  value x = seq({1, 4, 5, 2}, 7, 23, 11), d = seq({1, 3, 5, 2}, 3, 7, 3);
  value largest = run(op::pool_take, image, image, pooling_axes(), data, {{&image, x}});
  CHECK(largest.shape == d.shape);
  CHECK(largest.data == numbers_of{3,  10, 3, 10, 8, 10, 8,  6, 8, 6,  5, 11, 5, 11, 10,
                                   11, 10, 8, 10, 8, 6,  -1, 6, 4, 11, 4, 11, 9, 11, 9});
  value put = run(op::pool_put, image, pooled_dy, pooling_axes(), data, {{&image, x}, {&pooled_dy, d}});
  CHECK(put.shape == x.shape);
  CHECK(put.data == numbers_of{0, 0, 0,  -3, 0, 0, 3, 0, 0, 0,  0, 0,  0, 3, 0, 0, 0,  0, 0, 0,
                               0, 0, -3, 0,  0, 0, 2, 0, 0, -3, 0, -3, 1, 0, 0, 5, -6, 0, 0, 1});
  auto sixfold = [](const value& v) {
    numbers_of six;
    for (double a : v.data) six.push_back(std::round(a * 6 * 1e9) / 1e9);
    return six;
  };
  value mean = run(op::pool_mean, image, image, pooling_axes(), data, {{&image, x}});
  CHECK(sixfold(mean) == numbers_of{-8, 6,  -14, 7,  5, 3,  1,   -1, 7,  -2, -10, -5, -19, 0,  19,
                                    -8, 11, 7,   20, 2, -2, -11, -5, -7, 14, -11, 10, 8,   13, 4});
  value spread =
      run(op::pool_mean_put, pooled_dy, image, pooling_axes(), data, {{&pooled_dy, d}}, sizes(4, 5));
  CHECK(sixfold(spread) == numbers_of{0,  -1, 2, -3, 6, -6, 3,  -2, 1,  0, -3, 3, -6, 3,
                                      -2, 0,  2, -3, 5, -3, -3, 3,  -6, 3, -2, 0, 2,  -3,
                                      5,  -3, 1, 0,  0, 2,  -3, 6,  -6, 3, -5, 1});
}

TEST_CASE("pool_take takes another tensor where the first maximum, or the last NaN, stands") {
  const auto data = numbers(1, 3, 1, 3, 0, 0);
  const double nan = std::nan("");
  value x = make_value(dtype::f32, {1, 1, 9, 1}, {2, 5, 5, 1, nan, nan, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL});
  value u = make_value(dtype::f32, {1, 1, 9, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(run(op::pool_take, image, second, pooling_axes(), data, {{&image, x}, {&second, u}}).data ==
        numbers_of{1, 5, 6});
  value d = make_value(dtype::f32, {1, 1, 3, 1}, {10, 20, 30});
  CHECK(run(op::pool_put, image, pooled_dy, pooling_axes(), data, {{&image, x}, {&pooled_dy, d}}).data ==
        numbers_of{0, 10, 0, 0, 0, 20, 30, 0, 0});
}

TEST_CASE("a window of padding alone has no maximum") {
  value x = make_value(dtype::f32, {1, 1, 2, 1}, {1, 2});
  auto pool = [&](op code, i64 padding) {
    return run(code, image, image, pooling_axes(), numbers(1, 1, 1, 1, 0, padding), {{&image, x}}).data;
  };
  CHECK(pool(op::pool_take, 0) == numbers_of{1, 2});
  CHECK_THROWS_WITH(pool(op::pool_take, 1), "flame::pool_take: a window lies in the padding alone");
  CHECK(pool(op::pool_mean, 1) == numbers_of{0, 1, 2, 0});
}

}  // namespace
}  // namespace flame::tests
