// Losses, in every reduction.
#include <flame/expr/loss.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::col;
using laws::row;

// One loss as its case reduces it.
template <class Loss> void reduced(formula_maker& m, Loss loss) {
  const std::string r = m.c.text("reduction");
  const arrangement flat = r == "none" ? in_one(m.c.shape("output")) : as_stored({});
  if (r == "mean") m.give(loss.template operator()<reduction::mean>(), flat);
  if (r == "sum") m.give(loss.template operator()<reduction::sum>(), flat);
  if (r == "none") m.give(loss.template operator()<reduction::none>(), flat);
}

}  // namespace

formula losses(const test_case& c) {
  formula_maker m{c};
  const std::string& op = c.op;
  auto two = [&] {
    return std::pair{m.take<f64, col>("a", in_one(c.shape("a"))),
                     m.take<f64, col>("b", in_one(c.shape("b")))};
  };
#define OF_TWO(name, call)                                         \
  if (op == name) {                                                \
    auto [a, b] = two();                                           \
    reduced(m, [&, a = a, b = b]<reduction R>() { return call; }); \
  }
  OF_TWO("l1", l1<R>(a, b))
  OF_TWO("huber", huber<R>(a, b, c.number("delta")))
  OF_TWO("smooth_l1", smooth_l1<R>(a, b, c.number("beta")))
  OF_TWO("bce", bce<R>(a, b))
  OF_TWO("bce_with_logits", bce_with_logits<R>(a, b))
  OF_TWO("kl_div", kl_div<R>(a, b))
  OF_TWO("kl_div_of_log", kl_div_of_log<R>(a, b))
#undef OF_TWO
  if (op == "bce_with_logits_weighted") {
    auto a = m.take<f64, row, col>("a", in_two(c.shape("a"), 1)),
         b = m.take<f64, row, col>("b", in_two(c.shape("b"), 1));
    m.give(bce_with_logits(a, b, m.take<f64, col>("weight")));
  }
  if (op == "nll" || op == "cross_entropy_options" || op == "cross_entropy_weighted") {
    auto x = m.take<f64, row, col>("x");
    auto label = m.take<i32, row>("label");
    class_options o{.ignore_index = static_cast<i64>(c.number("ignore_index"))};
    if (op == "nll") {
      reduced(m, [&]<reduction R>() { return nll<R>(x, label, o); });
    } else {
      o.label_smoothing = c.number("label_smoothing");
      if (op == "cross_entropy_options") {
        reduced(m, [&]<reduction R>() { return cross_entropy<R>(x, label, o); });
      } else {
        auto weight = m.take<f64, col>("weight");
        reduced(m, [&]<reduction R>() { return cross_entropy<R>(x, label, o, weight); });
      }
    }
  }
  return m.f;
}

}  // namespace flame::parity
