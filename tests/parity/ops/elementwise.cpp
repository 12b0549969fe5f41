// Elementwise operations: everything in one axis, or in two where one operand is repeated.
#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::col;
using laws::leaf;
using laws::row;

template <class X> int unary(const std::string& op, const X& x) {
  if (op == "neg") return (-x).n;
  if (op == "abs") return abs(x).n;
  if (op == "sign") return sign(x).n;
  if (op == "floor") return floor(x).n;
  if (op == "exp") return exp(x).n;
  if (op == "expm1") return expm1(x).n;
  if (op == "log") return log(x).n;
  if (op == "log1p") return log1p(x).n;
  if (op == "sqrt") return sqrt(x).n;
  if (op == "rsqrt") return rsqrt(x).n;
  if (op == "reciprocal") return reciprocal(x).n;
  if (op == "sin") return sin(x).n;
  if (op == "cos") return cos(x).n;
  if (op == "tanh") return tanh(x).n;
  if (op == "sigmoid") return sigmoid(x).n;
  if (op == "erf") return erf(x).n;
  if (op == "relu") return relu(x).n;
  if (op == "gelu") return gelu(x).n;
  if (op == "gelu_tanh") return gelu_tanh(x).n;
  if (op == "silu") return silu(x).n;
  if (op == "softplus") return softplus(x).n;
  if (op == "isfinite") return isfinite(x).n;
  if (op == "isnan") return isnan(x).n;
  return -1;
}

template <class A, class B> int binary(const std::string& op, const A& a, const B& b) {
  if (op == "add") return (a + b).n;
  if (op == "sub") return (a - b).n;
  if (op == "mul") return (a * b).n;
  if (op == "div") return (a / b).n;
  if (op == "pow") return pow(a, b).n;
  if (op == "maximum") return maximum(a, b).n;
  if (op == "minimum") return minimum(a, b).n;
  if (op == "less") return (a < b).n;
  if (op == "less_equal") return (a <= b).n;
  if (op == "greater") return (a > b).n;
  if (op == "greater_equal") return (a >= b).n;
  if (op == "equal") return (a == b).n;
  if (op == "not_equal") return (a != b).n;
  return -1;
}

}  // namespace

formula elementwise(const test_case& c) {
  formula f;
  auto take = [&](const auto& sym, const std::string& name, const arrangement& how) {
    f.arguments.push_back({name, (*sym.g)[sym.n].leaf, how});
  };
  f.output = in_one(c.shape("output"));
  auto flags = [&](const char* name) {
    auto p = leaf<bool, col>("p");
    take(p, name, in_one(c.shape(name)));
    return p;
  };
  auto numbers = [&](const char* name) {
    auto x = leaf<f64, col>("x");
    take(x, name, in_one(c.shape(name)));
    return x;
  };
  if (c.op == "logical_not") {
    f.n = (!flags("x")).n;
  } else if (c.op == "logical_and" || c.op == "logical_or") {
    auto a = flags("a"), b = flags("b");
    f.n = c.op == "logical_and" ? (a && b).n : (a || b).n;
  } else if (c.op == "where") {
    auto p = flags("condition");
    if (c.has_argument("a")) {
      auto a = numbers("a"), b = numbers("b");
      f.n = where(p, a, b).n;
    } else {
      auto x = numbers("x");
      f.n = where(p, log(x), x).n;
    }
  } else if (c.op == "clamp") {
    constexpr double inf = std::numeric_limits<double>::infinity();
    f.n =
        clamp(numbers("x"), c.has("low") ? c.number("low") : -inf, c.has("high") ? c.number("high") : inf).n;
  } else if (c.op == "pow" && c.has("exponent")) {
    f.n = pow(numbers("x"), c.number("exponent")).n;
  } else if (c.op == "pow" && c.has("base")) {
    f.n = pow(c.number("base"), numbers("x")).n;
  } else if (c.has_argument("a") && c.has_argument("b") && c.shape("a").size() != c.shape("b").size() &&
             c.shape("b").size() == 1 && binary(c.op, leaf<f64, col>("a"), leaf<f64, col>("b")) >= 0) {
    auto a = leaf<f64, row, col>("a");
    auto b = leaf<f64, col>("b");
    take(a, "a", in_two(c.shape("a"), 1)), take(b, "b", as_stored(c.shape("b")));
    f.output = in_two(c.shape("output"), 1);
    f.n = binary(c.op, a, b);
  } else if (binary(c.op, leaf<f64, col>("a"), leaf<f64, col>("b")) >= 0) {
    auto a = numbers("a"), b = numbers("b");
    f.n = binary(c.op, a, b);
  } else if (unary(c.op, leaf<f64, col>("x")) >= 0) {
    f.n = unary(c.op, numbers("x"));
  }
  return f;
}

}  // namespace flame::parity
