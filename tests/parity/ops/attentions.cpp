// Attention: its masks, lengths, scales, and heads that share keys.
#include <flame/expr/attention.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

using namespace literals;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct share : dim<> {
} share;
inline constexpr struct query : dim<> {
} query;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> { } feature; }  // namespace

formula attentions(const test_case& c) {
  formula_maker m{c};
  const std::string kind = c.op.starts_with("attention_") ? c.op.substr(10) : "";
  if (kind.empty()) return m.f;
  auto k = m.take<f64, batch, head, token, feature>("k"), v = m.take<f64, batch, head, token, feature>("v");
  if (kind == "grouped") {
    auto in_groups = [&](const char* name) {
      const std::vector<i64> s = c.shape(name);
      const i64 groups = static_cast<i64>(c.number("groups"));
      return arrangement{{0, 1, 2, 3}, {s[0], groups, s[1] / groups, s[2], s[3]}};
    };
    auto q = m.take<f64, batch, head, share, query, feature>("q", in_groups("q"));
    m.give(attention(q, k, v, token, feature), in_groups("output"));
    return m.f;
  }
  if (kind == "padding") {  // of queries and keys from one sequence
    auto q = m.take<f64, batch, head, token, feature>("q");
    m.give(attention(q, k, v, token, feature, masked(m.take<bool, batch, token>("mask"))));
    return m.f;
  }
  auto q = m.take<f64, batch, head, query, feature>("q");
  if (kind == "plain") m.give(attention(q, k, v, token, feature));
  if (kind == "scaled") m.give(attention(q, k, v, token, feature, scaled(0.3_c)));
  if (kind == "causal" || kind == "causal_longer") m.give(attention(q, k, v, token, feature, causal(query)));
  if (kind == "one_query")
    m.give(attention(q, k, v, token, feature, masked(m.take<bool, batch, token>("mask"))));
  if (kind == "boolean" || kind == "hidden")
    m.give(attention(q, k, v, token, feature, masked(m.take<bool, batch, query, token>("mask"))));
  if (kind == "additive")
    m.give(attention(q, k, v, token, feature, masked(m.take<f64, head, query, token>("mask"))));
  return m.f;
}

}  // namespace flame::parity
