// The derivative of every primitive: what the cotangent of a node adds to the cotangents of its operands.
//
// A cotangent may lack axes of its node: it is then the same along them. Where PyTorch chooses a value at a
// point without a derivative, so does this table: relu, abs and sign 0 at 0; minimum and maximum of equal
// operands one half each, and one each where one is NaN; max and min over an axis share alike among equal
// elements; clamp passes at its edges.
#pragma once
#include <flame/pass/attention.hpp>

namespace flame {

struct backward {
  graph& g;  // every node added is simple (pass/simplify.hpp)

  constexpr int put(op code, array_view<int> in, array_view<const axis_info*> axes = {},
                    array_view<u64> numbers = {}) {
    return simplest(g, g.put(code, in, axes, numbers));
  }
  constexpr int unary(op code, int a) { return put(code, {&a, 1}); }
  constexpr int binary(op code, int a, int b) {
    const int in[] = {a, b};
    return put(code, in);
  }
  [[nodiscard]] constexpr int number(double v, int like) { return g.constant(v, g.type(like).element); }
  constexpr int add(int a, int b) { return binary(op::add, a, b); }
  constexpr int sub(int a, int b) { return binary(op::sub, a, b); }
  constexpr int mul(int a, int b) { return binary(op::mul, a, b); }
  constexpr int div(int a, int b) { return binary(op::div, a, b); }
  constexpr int neg(int a) { return unary(op::neg, a); }
  constexpr int full(int a, int n) { return as_type(a, g.type(n)); }
  constexpr int as_type(int a, const tensor_type& t) { return simplest(g, g.as_type(a, t)); }
  constexpr int select(int condition, int a, int b) { return simplest(g, g.where(condition, a, b)); }
  constexpr int as_number(int condition, int like) { return g.cast(condition, g.type(like).element); }

  // From the cotangent of a result of type n to that of an operand that lacks some of its axes.
  constexpr int reduce(int cotangent, int n, int operand) {
    if (g.nodes.items[n].type == g.nodes.items[operand].type) return cotangent;
    const tensor_type whole = g.type(n), part = g.type(operand);
    if (whole.rank == part.rank) return cotangent;
    if (g.is(cotangent, op::neg)) return neg(reduce(g.arg(cotangent, 0), n, operand));
    list<const axis_info*> summed;
    for (int i = 0; i < whole.rank; ++i) {
      const axis_info* a = whole.axes[i];
      if (part.has(a)) continue;
      if (g.type(cotangent).has(a))
        summed.push(a);
      else
        cotangent = mul(cotangent, g.extent(a, part.element));
    }
    if (summed.empty()) return cotangent;
    sort(summed, by_id{});
    return put(op::sum, {&cotangent, 1}, summed);
  }
  constexpr int reread(op code, int n,
                       array_view<int> in) {  // the same axes and numbers under another operation
    return put(code, in, g.axes_of(n), g.numbers_of(n));
  }

  // The cotangent that node n hands to operand i; -1 for none. d: the cotangent of n.
  constexpr int operator()(int n, int i, int d) {
    switch (kind_of(g[n].code)) {
      case op_kind::unary:
      case op_kind::binary:
      case op_kind::ternary: return reduce(elementwise(n, i, d), n, g.arg(n, i));
      case op_kind::reduction: return reduction(n, d);
      case op_kind::movement: return movement(n, i, d);
      case op_kind::library: return library(n, i, full(d, n));
      default: return -1;
    }
  }

 private:
  constexpr int elementwise(int n, int i, int d) {
    const int a = g.arg(n, 0), b = g[n].arg_count > 1 ? g.arg(n, 1) : -1;
    switch (g[n].code) {
      case op::neg: return neg(d);
      case op::abs: return mul(d, unary(op::sign, a));
      case op::exp: return mul(d, n);
      case op::expm1: return mul(d, add(n, number(1, n)));
      case op::log: return div(d, a);
      case op::log1p: return div(d, add(a, number(1, a)));
      case op::sqrt: return div(mul(d, number(0.5, n)), n);
      case op::rsqrt: return mul(d, mul(number(-0.5, n), mul(n, mul(n, n))));
      case op::reciprocal: return neg(mul(d, mul(n, n)));
      case op::sin: return mul(d, unary(op::cos, a));
      case op::cos: return neg(mul(d, unary(op::sin, a)));
      case op::tanh: return mul(d, sub(number(1, n), mul(n, n)));
      case op::sigmoid: return mul(d, mul(n, sub(number(1, n), n)));
      case op::erf: return mul(d, mul(number(1.1283791670955126, n), unary(op::exp, neg(mul(a, a)))));
      case op::cast: return g.cast(d, g.type(a).element);
      case op::add: return d;
      case op::sub: return i == 0 ? d : neg(d);
      case op::mul: return mul(d, i == 0 ? b : a);
      case op::div: return i == 0 ? div(d, b) : neg(div(mul(d, n), b));
      case op::pow:
        // a^0 has derivative 0 also at a = 0; log of a zero base counts as 0 for exponents of 0 and above.
        if (i == 0) {
          if (g.is(b, op::constant)) {
            double e = __builtin_bit_cast(double, g.number(b, 0));
            if (e == 0) return -1;
            return mul(d, mul(b, binary(op::pow, a, number(e - 1, a))));
          }
          int slope = mul(b, binary(op::pow, a, sub(b, number(1, b))));
          return mul(d, select(binary(op::equal, b, number(0, b)), number(0, b), slope));
        } else {
          int flat = binary(op::logical_and, binary(op::equal, a, number(0, a)),
                            binary(op::less_equal, number(0, b), b));
          return mul(d, select(flat, number(0, n), mul(n, unary(op::log, a))));
        }
      case op::minimum:
      case op::maximum: {
        int x = g.arg(n, i), y = g.arg(n, 1 - i);
        int loses = g[n].code == op::maximum ? binary(op::less, x, y) : binary(op::less, y, x);
        int ties = binary(op::equal, x, y);
        return select(loses, number(0, n), select(ties, mul(d, number(0.5, n)), d));
      }
      case op::where: {
        int zero = number(0, n);
        return i == 1 ? select(a, d, zero) : select(a, zero, d);
      }
      default: return -1;
    }
  }

  constexpr int reduction(int n, int d) {
    const int x = g.arg(n, 0);
    switch (g[n].code) {
      case op::sum: return d;
      case op::max:
      case op::min: {
        int hit = as_number(binary(op::equal, x, n), x);
        int hits = reread(op::sum, n, {&hit, 1});
        return mul(hit, div(d, hits));
      }
      case op::prod: {  // product of the others, exact also where elements are zero
        int zero = binary(op::equal, x, number(0, x));
        int count = as_number(zero, x);
        int zeros = reread(op::sum, n, {&count, 1});
        int rest = select(zero, number(1, x), x);
        int product = reread(op::prod, n, {&rest, 1});
        int none = binary(op::equal, zeros, number(0, x)), one = binary(op::equal, zeros, number(1, x));
        int only = binary(op::logical_and, one, zero);
        return mul(d, select(none, div(n, rest), select(only, product, number(0, x))));
      }
      default: return -1;
    }
  }

  constexpr int movement(int n, int i, int d) {
    const int x = g.arg(n, i);
    const node o = g[n];
    const int last = o.axis_count - 1;
    list<const axis_info*> with;
    auto name = [&](int first, int count) { with.append({g.axes.items + o.axes + first, count}); };
    auto move = [&](op code, array_view<u64> numbers = {}) {
      int whole = full(d, n);
      return put(code, {&whole, 1}, with, numbers);
    };
    switch (o.code) {
      case op::permute: return d;  // axes have names: the order is the memory's affair
      case op::broadcast: return reduce(d, n, x);
      case op::rename:
        if (!g.type(d).has(g.axis(n, 1))) return d;
        name(1, 1), name(0, 1);
        return put(op::rename, {&d, 1}, with);
      case op::split: name(1, last), name(0, 1); return move(op::merge);
      case op::merge: name(last, 1), name(0, last); return move(op::split);
      case op::slice: {
        const u64 numbers[] = {g.number(n, 0), static_cast<u64>(as_result), __builtin_bit_cast(u64, 0.0),
                               g.number(n, 1)};
        name(1, 1), name(0, 1), name(2, last - 1);
        return move(op::pad, numbers);
      }
      case op::pad: {
        const u64 numbers[] = {g.number(n, 0), g.number(n, 3), static_cast<u64>(as_result)};
        name(1, 1), name(0, 1), name(2, last - 1);
        return move(op::slice, numbers);
      }
      case op::concatenate: {
        const u64 numbers[] = {0, 1, static_cast<u64>(as_result)};
        name(last, 1), name(i, 1), name(0, i);
        return move(op::slice, numbers);
      }
      default: return -1;
    }
  }

  constexpr int library(int n, int i, int d) {
    if (is_attention(g[n].code)) return attention_rule<backward>(*this, n)(i, d);
    const int a = g.arg(n, 0), b = g[n].arg_count > 1 ? g.arg(n, 1) : -1;
    auto both = [&](op code, int x, int y) {
      const int in[] = {x, y};
      return reread(code, n, in);
    };
    switch (g[n].code) {
      case op::contract:
        return simplest(g, i == 0 ? g.contract(d, b, g.type(a)) : g.contract(a, d, g.type(b)));
      case op::conv: return i == 0 ? both(op::conv_data, d, b) : both(op::conv_weight, a, d);
      case op::conv_data: return i == 0 ? both(op::conv, d, b) : both(op::conv_weight, d, a);
      case op::conv_weight: return i == 0 ? both(op::conv_data, b, d) : both(op::conv, a, d);
      case op::pool_take: return both(op::pool_put, a, d);
      case op::pool_put: return both(op::pool_take, a, d);
      case op::pool_mean: return reread(op::pool_mean_put, n, {&d, 1});
      case op::pool_mean_put: return reread(op::pool_mean, n, {&d, 1});
      case op::gather: {
        const int in[] = {b, d};
        list<const axis_info*> with(g.axes_of(n));
        with.append({g.type(a).axes, g.type(a).rank});
        return g.put(op::scatter_add, in, with);
      }
      case op::cumsum: {  // what an element adds to: the sums from it on
        const u64 numbers[] = {1 - g.number(n, 0)};
        return put(op::cumsum, {&d, 1}, g.axes_of(n), numbers);
      }
      case op::scatter_add: {
        const int in[] = {d, a};
        return g.put(op::gather, in, {g.axes_of(n).items, 1});
      }
      default: return -1;
    }
  }
};

}  // namespace flame
