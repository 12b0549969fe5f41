// The derivative of every primitive: what the cotangent of a node adds to the cotangents of its operands.
//
// A cotangent may lack axes of its node: it is then the same along them. Where PyTorch chooses a value at a point
// without a derivative, so does this table: relu, abs and sign 0 at 0; minimum and maximum of equal operands one half
// each; max and min over an axis share alike among equal elements; clamp passes at its edges.
#pragma once
#include <flame/graph/graph.hpp>

namespace flame {

struct backward {
  graph& g;

  [[nodiscard]] constexpr int number(double v, int like) { return g.constant(v, g.type(like).element); }
  constexpr int add(int a, int b) { return g.binary(op::add, a, b); }
  constexpr int sub(int a, int b) { return g.binary(op::sub, a, b); }
  constexpr int mul(int a, int b) { return g.binary(op::mul, a, b); }
  constexpr int div(int a, int b) { return g.binary(op::div, a, b); }
  constexpr int neg(int a) { return g.unary(op::neg, a); }
  constexpr int full(int a, int n) { return g.as_type(a, g.type(n)); }
  constexpr int select(int condition, int a, int b) { return g.where(condition, a, b); }
  constexpr int as_number(int condition, int like) { return g.cast(condition, g.type(like).element); }

  // From the cotangent of a result of type n to that of an operand that lacks some of its axes.
  constexpr int reduce(int cotangent, int n, int operand) {
    const tensor_type whole = g.type(n), part = g.type(operand);
    if (whole.rank == part.rank) return cotangent;
    list<const axis_info*> summed;
    for (int i = 0; i < whole.rank; ++i) {
      const axis_info* a = whole.axes[i];
      if (part.has(a)) continue;
      if (g.type(cotangent).has(a))
        summed.push(a);
      else
        cotangent = mul(cotangent, g.extent(a, part.element));
    }
    return summed.empty() ? cotangent : sum(cotangent, summed);
  }
  constexpr int sum(int a, list<const axis_info*> over) {
    sort(over, [](const axis_info* x, const axis_info* y) { return x->id < y->id; });
    return g.with_axes(op::sum, a, over);
  }
  constexpr int reread(op code, int n, list<int> in) {  // the same axes and numbers under another operation
    const node o = g[n];
    return g.put(code, in, list<const axis_info*>(o.axis_count ? &g.axes[o.axes] : nullptr, o.axis_count),
                 list<u64>(o.data_count ? &g.data[o.data] : nullptr, o.data_count));
  }
  constexpr list<int> both(int a, int b) {
    list<int> in;
    in.push(a), in.push(b);
    return in;
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
      case op::abs: return mul(d, g.unary(op::sign, a));
      case op::exp: return mul(d, n);
      case op::expm1: return mul(d, add(n, number(1, n)));
      case op::log: return div(d, a);
      case op::log1p: return div(d, add(a, number(1, a)));
      case op::sqrt: return div(mul(d, number(0.5, n)), n);
      case op::rsqrt: return mul(d, mul(number(-0.5, n), mul(n, mul(n, n))));
      case op::reciprocal: return neg(mul(d, mul(n, n)));
      case op::sin: return mul(d, g.unary(op::cos, a));
      case op::cos: return neg(mul(d, g.unary(op::sin, a)));
      case op::tanh: return mul(d, sub(number(1, n), mul(n, n)));
      case op::sigmoid: return mul(d, mul(n, sub(number(1, n), n)));
      case op::erf: return mul(d, mul(number(1.1283791670955126, n), g.unary(op::exp, neg(mul(a, a)))));
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
            return mul(d, mul(b, g.binary(op::pow, a, number(e - 1, a))));
          }
          int slope = mul(b, g.binary(op::pow, a, sub(b, number(1, b))));
          return mul(d, select(g.binary(op::equal, b, number(0, b)), number(0, b), slope));
        } else {
          int flat = g.binary(op::logical_and, g.binary(op::equal, a, number(0, a)),
                              g.binary(op::less_equal, number(0, b), b));
          return mul(d, select(flat, number(0, n), mul(n, g.unary(op::log, a))));
        }
      case op::minimum:
      case op::maximum: {
        int x = g.arg(n, i), y = g.arg(n, 1 - i);
        int wins = g[n].code == op::maximum ? g.binary(op::less, y, x) : g.binary(op::less, x, y);
        int ties = g.binary(op::equal, x, y);
        return mul(d, select(wins, number(1, n), select(ties, number(0.5, n), number(0, n))));
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
        int hit = as_number(g.binary(op::equal, x, n), x);
        int hits = reread(op::sum, n, {list<int>(&hit, 1)});
        return mul(hit, div(d, hits));
      }
      case op::prod: {  // product of the others, exact also where elements are zero
        int zero = g.binary(op::equal, x, number(0, x));
        int count = as_number(zero, x);
        int zeros = reread(op::sum, n, {list<int>(&count, 1)});
        int rest = select(zero, number(1, x), x);
        int product = reread(op::prod, n, {list<int>(&rest, 1)});
        int none = g.binary(op::equal, zeros, number(0, x)), one = g.binary(op::equal, zeros, number(1, x));
        int only = g.binary(op::logical_and, one, zero);
        return mul(d, select(none, div(n, rest), select(only, product, number(0, x))));
      }
      default: return -1;
    }
  }

  constexpr int movement(int n, int i, int d) {
    const int x = g.arg(n, i);
    const node o = g[n];
    list<int> in;
    list<const axis_info*> with;
    list<u64> numbers;
    auto number_of = [&](int k) { return static_cast<i64>(g.number(n, k)); };
    switch (o.code) {
      case op::permute: return d;  // axes have names: the order is the memory's affair
      case op::broadcast: return reduce(d, n, x);
      case op::rename:
        if (!g.type(d).has(g.axis(n, 1))) return d;
        with.push(g.axis(n, 1)), with.push(g.axis(n, 0));
        return g.with_axes(op::rename, d, with);
      case op::split:
        for (int k = 1; k < o.axis_count; ++k) with.push(g.axis(n, k));
        with.push(g.axis(n, 0));
        return g.with_axes(op::merge, full(d, n), with);
      case op::merge:
        with.push(g.axis(n, o.axis_count - 1));
        for (int k = 0; k + 1 < o.axis_count; ++k) with.push(g.axis(n, k));
        return g.with_axes(op::split, full(d, n), with);
      case op::slice:
        with.push(g.axis(n, 1)), with.push(g.axis(n, 0));
        for (int k = 2; k < o.axis_count; ++k) with.push(g.axis(n, k));
        numbers.push(g.number(n, 0)), numbers.push(static_cast<u64>(as_result));
        numbers.push(__builtin_bit_cast(u64, 0.0)), numbers.push(g.number(n, 1));
        in.push(full(d, n));
        return g.put(op::pad, in, with, numbers);
      case op::pad:
        with.push(g.axis(n, 1)), with.push(g.axis(n, 0));
        for (int k = 2; k < o.axis_count; ++k) with.push(g.axis(n, k));
        numbers.push(static_cast<u64>(number_of(0))), numbers.push(g.number(n, 3));
        numbers.push(static_cast<u64>(as_result));
        in.push(full(d, n));
        return g.put(op::slice, in, with, numbers);
      case op::concatenate:
        with.push(g.axis(n, o.axis_count - 1)), with.push(g.axis(n, i));
        for (int k = 0; k < i; ++k) with.push(g.axis(n, k));
        numbers.push(0), numbers.push(1), numbers.push(static_cast<u64>(as_result));
        in.push(full(d, n));
        return g.put(op::slice, in, with, numbers);
      default: return -1;
    }
  }

  constexpr int library(int n, int i, int d) {
    const int a = g.arg(n, 0), b = g[n].arg_count > 1 ? g.arg(n, 1) : -1;
    switch (g[n].code) {
      case op::contract: return i == 0 ? g.contract(d, b, g.type(a)) : g.contract(a, d, g.type(b));
      case op::conv: return i == 0 ? reread(op::conv_data, n, both(d, b)) : reread(op::conv_weight, n, both(a, d));
      case op::conv_data: return i == 0 ? reread(op::conv, n, both(d, b)) : reread(op::conv_weight, n, both(d, a));
      case op::conv_weight: return i == 0 ? reread(op::conv_data, n, both(b, d)) : reread(op::conv, n, both(a, d));
      case op::pool_take: return reread(op::pool_put, n, both(a, d));
      case op::pool_put: return reread(op::pool_take, n, both(a, d));
      case op::pool_mean: return reread(op::pool_mean_put, n, list<int>(&d, 1));
      case op::pool_mean_put: return reread(op::pool_mean, n, list<int>(&d, 1));
      case op::gather: {
        list<const axis_info*> with;
        with.push(g.axis(n, 0));
        for (int k = 0; k < g.type(a).rank; ++k) with.push(g.type(a).axes[k]);
        return g.put(op::scatter_add, both(b, d), with);
      }
      case op::scatter_add: {
        list<const axis_info*> with;
        with.push(g.axis(n, 0));
        return g.put(op::gather, both(d, a), with);
      }
      default: return -1;
    }
  }
};

}  // namespace flame
