// Reductions and what is made of them: x as [kept, reduced].
#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::col;
using laws::leaf;
using laws::row;

template <class X> int reduction(const test_case& c, const X& x) {
  const std::string& op = c.op;
  if (op == "sum") return sum(x, col).n;
  if (op == "mean") return mean(x, col).n;
  if (op == "prod") return prod(x, col).n;
  if (op == "max") return max(x, col).n;
  if (op == "min") return min(x, col).n;
  if (op == "logsumexp") return logsumexp(x, col).n;
  if (op == "argmax") return argmax(x, col).n;
  if (op == "var") return c.number("correction") == 0 ? var<0>(x, col).n : var(x, col).n;
  return -1;
}

}  // namespace

formula reductions(const test_case& c) {
  formula f;
  auto take = [&](const auto& sym, const std::string& name, const arrangement& how) {
    f.arguments.push_back({name, (*sym.g)[sym.n].leaf, how});
  };
  if (c.op == "cross_entropy") {
    auto x = leaf<f64, row, col>("x");
    auto label = leaf<i32, row>("label");
    take(x, "x", as_stored(c.shape("x"))), take(label, "label", as_stored(c.shape("label")));
    f.output = as_stored(c.shape("output"));
    f.n = c.text("reduction") == "mean"
              ? cross_entropy(x, label).n
              : (logsumexp(x, col) - sum(where(broadcast(label, row, col) == iota(col, x), x, 0), col)).n;
    return f;
  }
  if (c.op == "mse") {
    auto a = leaf<f64, row, col>("a"), b = leaf<f64, row, col>("b");
    take(a, "a", as_stored(c.shape("a"))), take(b, "b", as_stored(c.shape("b")));
    f.output = as_stored(c.shape("output"));
    f.n = c.text("reduction") == "mean" ? mse(a, b).n : ((a - b) * (a - b)).n;
    return f;
  }
  if (c.op == "batch_norm") {  // over all pixels
    auto x = leaf<f64, row, col>("x");
    auto weight = leaf<f64, col>("weight"), bias = leaf<f64, col>("bias");
    take(x, "x", in_two(c.shape("x"), 1)), take(weight, "weight", as_stored(c.shape("weight")));
    take(bias, "bias", as_stored(c.shape("bias")));
    f.output = in_two(c.shape("output"), 1);
    if (c.name.starts_with("batch_norm.train")) {
      f.n = ((x - mean(x, row)) * rsqrt(var<0>(x, row) + c.number("eps")) * weight + bias).n;
    } else {
      auto middle = leaf<f64, col>("running_mean"), spread = leaf<f64, col>("running_var");
      take(middle, "running_mean", as_stored(c.shape("running_mean")));
      take(spread, "running_var", as_stored(c.shape("running_var")));
      f.n = ((x - middle) * rsqrt(spread + c.number("eps")) * weight + bias).n;
    }
    return f;
  }
  std::vector<int> axes;
  if (c.has("axes")) axes = c.numbers("axes");
  if (c.has("axis")) axes = {static_cast<int>(c.number("axis"))};
  if (axes.empty() || !c.has_argument("x")) return f;
  const arrangement how = named_last(c.shape("x"), axes);
  if (c.op == "any" || c.op == "all") {
    auto p = leaf<bool, row, col>("p");
    take(p, "x", how);
    f.n = c.op == "any" ? any(p, col).n : all(p, col).n;
    f.output = in_one(c.shape("output"));
    return f;
  }
  if (c.op == "softmax" || c.op == "log_softmax" || c.op == "layer_norm") {
    auto x = leaf<f64, row, col>("x");
    take(x, "x", how);
    f.output = how;
    if (c.op != "layer_norm") {
      f.n = c.op == "softmax" ? softmax(x, col).n : log_softmax(x, col).n;
    } else if (!c.has_argument("weight")) {
      f.n = layer_norm(x, c.number("eps"), col).n;
    } else {
      auto weight = leaf<f64, col>("weight"), bias = leaf<f64, col>("bias");
      take(weight, "weight", as_stored(c.shape("weight"))), take(bias, "bias", as_stored(c.shape("bias")));
      f.n = (layer_norm(x, c.number("eps"), col) * weight + bias).n;
    }
    return f;
  }
  if (c.name.find(".total") != c.name.npos) {  // nothing is kept
    auto x = leaf<f64, col>("x");
    f.n = reduction(c, x);
    take(x, "x", as_stored(c.shape("x")));
    f.output = as_stored({});
    return f;
  }
  auto x = leaf<f64, row, col>("x");
  f.n = reduction(c, x);
  take(x, "x", how);
  f.output = in_one(c.shape("output"));
  return f;
}

}  // namespace flame::parity
