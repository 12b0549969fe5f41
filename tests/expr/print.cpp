// Formulas after the passes, as text: what simplification and differentiation leave to be computed.
#include <doctest/doctest.h>

#include <flame/graph/print.hpp>
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

namespace {

inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, col> {
} y;
inline constexpr struct a : input<f32, row, inner> {
} a;
inline constexpr struct b : input<f32, inner, col> {
} b;

template <class E> std::string text_of(const E&) { return print(E::to_graph()); }

TEST_CASE("simplified as they are written") {
  CHECK(text_of(-x * y) == "-(x * y)");
  CHECK(text_of(-x * y + 0_c) == "0 - x * y");  // not -0 where x * y is 0
  CHECK(text_of(2_c * (3_c * x) / 4_c - -y) == "1.5 * x + y");
  CHECK(text_of(sum(sum(exp(x), col), row)) == "sum[row, col](exp(x))");
  CHECK(text_of(matmul(permute(b, col, inner), permute(a, inner, row))) == "contract[col, row](b, a)");
}

TEST_CASE("gradients of rows share what they have in common") {
  CHECK(text_of(grad(sum(softmax(x, col) * y), x)) ==
        "%1 = exp(x - stop_gradient(max[col](x)))\n"
        "(y / sum[col](%1) - sum[col](%1 / sum[col](%1) * y / sum[col](%1))) * %1");
  CHECK(text_of(grad(sum(max(x, col)), x)) ==
        "%1 = cast<f32>(max[col](x) == x)\nreciprocal(sum[col](%1)) * %1");
}

TEST_CASE("gradients of products are products") {
  CHECK(text_of(grad(sum(matmul(a, b) * y), a)) == "contract[row, inner](y, b)");
  CHECK(text_of(grad(sum(matmul(a, b)), a)) == "broadcast[row, inner](sum[col](b))");
}

TEST_CASE("a value and its gradient") {
  CHECK(text_of(value_and_grad(sum(exp(x)), x)) == "(sum[row, col](exp(x)), exp(x))");
}

}  // namespace
