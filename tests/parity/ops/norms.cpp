// Norms and adaptive norms.
#include <flame/expr/norm.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::col;
using laws::row;
inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;

template <class X> auto in_groups(const X& x, int groups, double eps) {
  if (groups == 4) return group_norm<4>(x, eps);
  if (groups == 3) return group_norm<3>(x, eps);
  if (groups == 2) return group_norm<2>(x, eps);
  return group_norm<1>(x, eps, channel, width, height);
}

}  // namespace

formula norms(const test_case& c) {
  formula_maker m{c};
  const std::string& op = c.op;
  if (op == "rms_norm") {
    const std::size_t inner = c.numbers("axes").size();
    auto x = m.take<f64, row, col>("x", in_two(c.shape("x"), inner));
    auto weight = m.take<f64, col>("weight", in_one(c.shape("weight")));
    m.give(rms_norm(x, c.number("eps"), col) * weight, in_two(c.shape("output"), inner));
  }
  if (op == "adaptive_layer_norm") {
    auto x = m.take<f64, row, col>("x", in_two(c.shape("x"), 1));
    auto shift = m.take<f64, col>("shift"), scale = m.take<f64, col>("scale");
    m.give(adaptive_layer_norm(x, shift, scale, c.number("eps"), col), in_two(c.shape("output"), 1));
  }
  if (op == "gated") {
    auto x = m.take<f64, row, col>("x", in_two(c.shape("x"), 1)),
         y = m.take<f64, row, col>("y", in_two(c.shape("y"), 1));
    m.give(gated(x, m.take<f64, col>("gate"), y), in_two(c.shape("output"), 1));
  }
  if (op == "group_norm") {
    auto x = m.take<f64, batch, height, width, channel>("x");
    auto weight = m.take<f64, channel>("weight"), bias = m.take<f64, channel>("bias");
    m.give(in_groups(x, static_cast<int>(c.number("groups")), c.number("eps")) * weight + bias);
  }
  if (op == "instance_norm")
    m.give(instance_norm(m.take<f64, batch, height, width, channel>("x"), c.number("eps"), height, width));
  return m.f;
}

}  // namespace flame::parity
