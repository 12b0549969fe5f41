// Tensors side by side, repeated, rolled, cut in triangles.
#include <flame/expr/arrange.hpp>
#include <flame/expr/mask.hpp>
#include <flame/expr/order.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::col;
using laws::row;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct part : dim<> { } part; }  // namespace

formula arrangements(const test_case& c) {
  formula_maker m{c};
  const std::string& op = c.op;
  auto x = [&](const char* name) { return m.take<f64, row, col>(name); };
  if (op == "stack_along") {
    auto a = x("a"), b = x("b"), d = x("d");
    m.give(stack_along(three, a, b, d));
  }
  if (op == "tile") m.give(tile<3>(x("x"), col, wide));
  if (op == "repeat_interleave") m.give(repeat_interleave<3>(x("x"), col, wide));
  if (op == "chunk") {
    auto [first, second] = chunk<2>(x("x"), col, part);
    m.give(second * exp(first));
  }
  if (op == "roll") {
    const double shift = c.number("shift");
    auto whole = x("x");
    if (shift == 1) m.give(roll<1>(whole, col));
    if (shift == -2) m.give(roll<-2>(whole, col));
    if (shift == 2) m.give(roll<2>(whole, col));
    if (shift == 0) m.give(roll<0>(whole, col));
  }
  if (op == "tril" || op == "triu") {
    const double diagonal = c.number("diagonal");
    auto whole = x("x");
    if (diagonal == -1) op == "tril" ? m.give(tril<-1>(whole, row, col)) : m.give(triu<-1>(whole, row, col));
    if (diagonal == 0) op == "tril" ? m.give(tril(whole, row, col)) : m.give(triu(whole, row, col));
    if (diagonal == 2) op == "tril" ? m.give(tril<2>(whole, row, col)) : m.give(triu<2>(whole, row, col));
  }
  if (op == "cumsum") {
    const std::vector<i64> shape = c.shape("x");
    const auto axis = static_cast<std::size_t>(c.number("axis"));
    const arrangement how = {as_stored(shape).order,
                             {product(shape, 0, axis), shape[axis], product(shape, axis + 1, shape.size())}};
    m.give(cumsum(m.take<f64, row, col, part>("x", how), col), how);
  }
  if (op == "top_k" || op == "top_indices") {
    auto whole = x("x");
    auto weight = m.take<f64, part>("weight");
    if (op == "top_k")
      m.give(std::get<0>(top_k(whole, col, part)) * weight);
    else
      m.give(top_indices(whole, col, part) * cast<i32>(weight));
  }
  if (op == "scatter_add" || op == "scatter" || op == "index_add") {
    auto whole = x("x");
    auto values = m.take<f64, row, part>("values");
    if (op == "index_add")
      m.give(scatter_add(whole, m.take<i32, part>("index"), values, col));
    else if (auto index = m.take<i32, row, part>("index"); op == "scatter")
      m.give(scatter(whole, index, values, col));
    else
      m.give(scatter_add(whole, index, values, col));
  }
  if (op == "masked_fill") {
    auto whole = x("x");
    m.give(masked_fill(whole, m.take<bool, row, col>("mask"), -3));
  }
  return m.f;
}

}  // namespace flame::parity
