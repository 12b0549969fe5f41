// Activations and gated units: everything in one axis, or in two where an axis is halved.
#include <flame/expr/activation.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::col;
using laws::row;
inline constexpr struct half : dim<> { } half; }  // namespace

formula activations(const test_case& c) {
  formula_maker m{c};
  const std::string& op = c.op;
  const arrangement flat = in_one(c.shape("output"));
  auto x = [&] { return m.take<f64, col>("x", in_one(c.shape("x"))); };
  auto a = [&] { return m.take<f64, col>("a", in_one(c.shape("a"))); };
  auto b = [&] { return m.take<f64, col>("b", in_one(c.shape("b"))); };
  if (op == "quick_gelu") m.give(quick_gelu(x()), flat);
  if (op == "leaky_relu") m.give(leaky_relu(x(), c.number("slope")), flat);
  if (op == "elu") m.give(elu(x(), c.number("alpha")), flat);
  if (op == "mish") m.give(mish(x()), flat);
  if (op == "log_sigmoid") m.give(log_sigmoid(x()), flat);
  if (op == "hardsigmoid") m.give(hardsigmoid(x()), flat);
  if (op == "hardswish") m.give(hardswish(x()), flat);
  if (op == "geglu") m.give(geglu(a(), b()), flat);
  if (op == "geglu_tanh") m.give(geglu_tanh(a(), b()), flat);
  if (op == "swiglu") m.give(swiglu(a(), b()), flat);
  if (op == "lerp") m.give(lerp(a(), b(), m.take<f64, col>("t", in_one(c.shape("t")))), flat);
  if (op == "geglu_halves" || op == "swiglu_halves") {
    auto whole = m.take<f64, row, col>("x", in_two(c.shape("x"), 1));
    const arrangement narrow = in_two(c.shape("output"), 1);
    op == "geglu_halves" ? m.give(geglu(whole, col, half), narrow) : m.give(swiglu(whole, col, half), narrow);
  }
  return m.f;
}

}  // namespace flame::parity
