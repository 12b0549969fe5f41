// The derivative of attention's primitives: of attention itself by its gradients' primitives, of these by the
// formulas in graph/attention.hpp, so that gradients of gradients exist (with the scores in memory).
#pragma once
#include <flame/pass/simplify.hpp>

namespace flame {

// Rules: `backward` (pass/rules.hpp).
template <class Rules> struct attention_rule {
  Rules& rule;
  graph& g;
  int n;
  attention_operands at;
  int q, k;
  const axis_info *key, *dim;
  dtype sums;

  constexpr attention_rule(Rules& rules, int of)
      : rule(rules),
        g(rules.g),
        n(of),
        at(g[of].code, g[of].arg_count),
        q(g.arg(of, 0)),
        k(g.arg(of, 1)),
        key(g.axis(of, 0)),
        dim(g.axis(of, 1)),
        sums(attention_sums(g.type(q).element)) {}

  // The cotangent of operand i where that of n is d, of n's type; -1 for none.
  constexpr int operator()(int i, int d) {
    const op code = g[n].code;
    if (code == op::attend) return i < 3 ? gradient(i, d) : to_mask(weighted(d));
    if (code == op::attend_statistics) return of_scores(i, rule.mul(probabilities(), d));
    return second(code, i, d);
  }

 private:
  constexpr int operand(int place) const { return g.arg(n, place); }
  constexpr int up(int a) { return g.cast(a, sums); }
  constexpr int scale() {
    const double given = __builtin_bit_cast(double, g.number(n, 1));
    return given == given ? g.constant(given, sums) : rule.unary(op::rsqrt, g.extent(dim, sums));
  }
  [[nodiscard]] constexpr tensor_type scores_type(dtype of) const {
    tensor_type t;
    t.element = of;
    const tensor_type& whole = g.type(q);
    for (int i = 0; i < whole.rank; ++i)
      if (whole.axes[i] != dim) t.push(whole.axes[i]);
    t.push(key);
    return t;
  }
  // Of numbers of 16 bits too a product in f32: rounded scores would be exponents with errors of a percent.
  constexpr int product(int a, int b, const tensor_type& like) {
    tensor_type t = like;
    t.element = sums;
    return simplest(g, g.contract(up(a), up(b), t));
  }
  constexpr int scores_of(int a, int b) { return product(a, b, scores_type(sums)); }  // sum over dim
  constexpr int to_query(int a, int b) { return product(a, b, tensor_type(g.type(q))); }
  constexpr int to_key(int a, int b) { return product(a, b, tensor_type(g.type(k))); }
  constexpr int over(const axis_info* a, int x) { return rule.put(op::sum, {&x, 1}, {&a, 1}); }
  constexpr int as(int x, int like) {
    return rule.as_type(g.cast(x, g.type(like).element), tensor_type(g.type(like)));
  }

  constexpr int scores() {
    int s = rule.mul(scores_of(q, k), scale());
    const int lowest = g.constant(-__builtin_huge_val(), sums);
    if (at.mask >= 0) {
      const int mask = operand(at.mask);
      s = g.type(mask).element == dtype::boolean ? rule.select(mask, s, lowest) : rule.add(s, up(mask));
    }
    if (g.number(n, 0)) {
      const u64 integers = static_cast<u64>(dtype::int32);
      const axis_info* position = g.axis(n, 2);
      const int query = g.put(op::iota, {}, {&position, 1}, {&integers, 1});
      const int keys = g.put(op::iota, {}, {&key, 1}, {&integers, 1});
      s = rule.select(rule.binary(op::less, query, keys), lowest, s);
    }
    return s;
  }
  constexpr int statistics() {
    if (at.statistics >= 0) return operand(at.statistics);
    if (g.is(n, op::attend_statistics)) return n;
    list<int> in;
    in.push(q), in.push(k);
    if (at.mask >= 0) in.push(operand(at.mask));
    return g.put(op::attend_statistics, in, g.axes_of(n), g.numbers_of(n));
  }
  constexpr int probabilities() {
    const int s = scores();
    const int nowhere = rule.binary(op::equal, s, g.constant(-__builtin_huge_val(), sums));
    return rule.select(nowhere, g.constant(0, sums), rule.unary(op::exp, rule.sub(s, statistics())));
  }

  // Of attend: delta, and the primitive that makes the gradient of q, k or v.
  constexpr int delta(int d) { return over(dim, rule.mul(up(d), up(n))); }
  constexpr int gradient(int i, int d) {
    list<int> in;
    in.push(q), in.push(k), in.push(operand(2)), in.push(d), in.push(statistics()), in.push(delta(d));
    if (at.mask >= 0) in.push(operand(at.mask));
    return g.put(static_cast<op>(static_cast<int>(op::attend_query) + i), in,
                 list<const axis_info*>(g.axes_of(n)), list<u64>(g.numbers_of(n)));
  }
  // dS, with delta as the sum of P dP, which is at hand here: the result's own numbers may have 16 bits.
  constexpr int weighted(int d) {
    const int p = probabilities(), dp = scores_of(d, operand(2));
    return rule.mul(p, rule.sub(dp, over(key, rule.mul(p, dp))));
  }
  constexpr int to_mask(int ds) {
    const int mask = operand(at.mask);
    const tensor_type whole = scores_type(sums);
    const int full = rule.as_type(ds, whole);
    list<const axis_info*> summed;
    for (int i = 0; i < whole.rank; ++i)
      if (!g.type(mask).has(whole.axes[i])) summed.push(whole.axes[i]);
    sort(summed, by_id{});
    return as(summed.empty() ? full : rule.put(op::sum, {&full, 1}, summed), mask);
  }
  // What a cotangent of the scores hands to q, k or the mask.
  constexpr int of_scores(int i, int ds) {
    if (i == 0) return as(rule.mul(scale(), to_query(ds, k)), q);
    if (i == 1) return as(rule.mul(scale(), to_key(ds, q)), k);
    return i == at.mask ? to_mask(ds) : -1;
  }

  // Of attend_query, attend_key and attend_value, u the cotangent: through W = P (dP - delta) for the first
  // two, dP = sum over dim of d v, and through P for the last.
  constexpr int second(op code, int i, int u) {
    const int v = operand(at.value), d = operand(at.cotangent), p = probabilities();
    if (code == op::attend_value) {
      const int of_p = scores_of(u, d);
      if (i == at.cotangent) return as(to_query(p, u), d);
      if (i == at.statistics) return as(rule.neg(over(key, rule.mul(of_p, p))), operand(at.statistics));
      return i == at.value || i == at.delta ? -1 : of_scores(i, rule.mul(of_p, p));
    }
    const bool query = code == op::attend_query;
    const int w = rule.sub(scores_of(d, v), operand(at.delta));
    const int of_w = rule.mul(scale(), scores_of(u, query ? k : q)), of_dp = rule.mul(of_w, p);
    const int of_s = rule.mul(rule.mul(of_w, w), p);
    if (i == at.value) return as(to_key(of_dp, d), v);
    if (i == at.cotangent) return as(to_query(of_dp, v), d);
    if (i == at.delta) return as(rule.neg(over(key, of_dp)), operand(at.delta));
    if (i == at.statistics) return as(rule.neg(over(key, of_s)), operand(at.statistics));
    const int through = of_scores(i, of_s);
    const int weights = rule.mul(p, w);
    if (query && i == 1) return rule.add(through, as(rule.mul(scale(), to_key(weights, u)), k));
    if (!query && i == 0) return rule.add(through, as(rule.mul(scale(), to_query(weights, u)), q));
    return through;
  }
};

}  // namespace flame
