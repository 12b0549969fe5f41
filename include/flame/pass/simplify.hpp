// Simplification: identities, each applied where its left side stands. None changes what NaN, infinities and
// zeros of both signs give.
#pragma once
#include <flame/pass/simplify_merge.hpp>
#include <flame/pass/simplify_movement.hpp>

namespace flame {

constexpr int simplest(graph& g, int n);  // below: the rules make new nodes by it

namespace identity {

[[nodiscard]] constexpr double value(const graph& g, int n) {
  return __builtin_bit_cast(double, g.number(n, 0));
}
[[nodiscard]] constexpr bool constant(const graph& g, int n) { return g.is(n, op::constant); }
[[nodiscard]] constexpr dtype element(const graph& g, int n) { return g.type(n).element; }

// Whether a constant and products of two such in f64, in which constants are folded, are what they are in its
// element type: finite and normal there. Of f64 half the exponents, so that nothing overflows in constant
// evaluation.
constexpr bool is_moderate(double x, dtype d) {
  const double size = x < 0 ? -x : x;
  switch (d) {
    case dtype::f64: return size >= 0x1p-500 && size <= 0x1p500;
    case dtype::f32: return size >= 0x1p-126 && size <= 0x1.fffffep127;
    case dtype::bf16: return size >= 0x1p-126 && size <= 0x1.fep127;
    case dtype::f16: return size >= 0x1p-14 && size <= 0x1.ffcp15;
    default: return false;
  }
}

// The constant that an operation makes of two; -1 where it would overflow or underflow, or one of them does.
constexpr int folded(graph& g, op code, double x, double y, dtype d) {
  auto plain = [&](double c) { return c == 0 || is_moderate(c, d); };
  if (!plain(x) || !plain(y) || (code == op::div && y == 0)) return -1;
  double r = 0;
  switch (code) {
    case op::add: r = x + y; break;
    case op::sub: r = x - y; break;
    case op::mul: r = x * y; break;
    case op::div: r = x / y; break;
    default: return -1;
  }
  return plain(r) ? g.constant(r, d) : -1;
}

// x * 1 = x, x / 1 = x, x - 0 = x, x * -1 = -x, x / -1 = -x, 1 / x = reciprocal(x). Not 0 - x = -x and x + 0
// = x: of a zero they are zeros of two signs, and one over them infinities of two.
constexpr int neutral(graph& g, op code, int a, int b) {
  switch (code) {
    case op::sub: return g.is_constant(b, 0) ? a : -1;
    case op::mul:
      if (g.is_constant(a, 1)) return b;
      if (g.is_constant(b, 1)) return a;
      if (g.is_constant(a, -1)) return g.unary(op::neg, b);
      if (g.is_constant(b, -1)) return g.unary(op::neg, a);
      return -1;
    case op::div:
      if (g.is_constant(b, 1)) return a;
      if (g.is_constant(b, -1)) return g.unary(op::neg, a);
      if (g.is_constant(a, 1)) return g.unary(op::reciprocal, b);
      return -1;
    case op::pow:
      if (g.is_constant(b, 1)) return a;
      return -1;
    default: return -1;
  }
}

// c x + d x = (c + d) x
constexpr int multiples(graph& g, int a, int b) {
  if (!is_floating(element(g, a)) || g.type(a).stack) return -1;
  double factor[2] = {1, 1};
  int x[2] = {a, b};
  for (int i = 0; i < 2; ++i) {
    if (!g.is(x[i], op::mul)) continue;
    const int l = g.arg(x[i], 0), r = g.arg(x[i], 1), c = constant(g, l) ? l : r;
    if (!constant(g, c)) continue;
    factor[i] = value(g, c), x[i] = c == l ? r : l;
  }
  // With factors of two signs an infinity would come out another way.
  if (x[0] != x[1] || !(factor[0] > 0) || !(factor[1] > 0)) return -1;
  const int sum = folded(g, op::add, factor[0], factor[1], element(g, a));
  return sum < 0 ? -1 : g.binary(op::mul, sum, x[0]);
}

// a + -b = a - b, a - -b = a + b, -x - x = -2 x, the sign of a product or quotient stands outside (-a b = -(a
// b), -2 x = -(2 x)), c (d x) = (cd) x where cd is moderate, x / c (a power of two), x + x = 2 x, c x + d x =
// (c + d) x for positive c and d, pow(x, 2) = x x, pow(x, 0.5) is left
constexpr int combining(graph& g, op code, int a, int b) {
  auto negated = [&](int n) { return g.is(n, op::neg); };
  auto negative = [&](int n) {
    return negated(n) || (constant(g, n) && is_floating(element(g, n)) && value(g, n) < 0);
  };
  auto positive = [&](int n) {
    return negated(n) ? g.arg(n, 0) : negative(n) ? g.constant(-value(g, n), element(g, n)) : n;
  };
  if ((code == op::mul || code == op::div) && (negative(a) || negative(b))) {
    const int n = g.binary(code, positive(a), positive(b));
    return negative(a) && negative(b) ? n : g.unary(op::neg, simplest(g, n));
  }
  switch (code) {
    case op::add:
      if (negated(b)) return g.binary(op::sub, a, g.arg(b, 0));
      if (negated(a)) return g.binary(op::sub, b, g.arg(a, 0));
      return multiples(g, a, b);
    case op::sub:
      if (negated(b)) return g.binary(op::add, a, g.arg(b, 0));
      if (negated(a) && g.arg(a, 0) == b && is_floating(element(g, b)))
        return g.unary(op::neg, simplest(g, g.binary(op::mul, g.constant(2, element(g, b)), b)));
      return -1;
    case op::mul: {
      const int c = constant(g, a) ? a : constant(g, b) ? b : -1, x = c == a ? b : a;
      if (c < 0 || !g.is(x, op::mul)) return -1;
      int l = g.arg(x, 0), r = g.arg(x, 1);
      if (constant(g, r)) {
        int t = l;
        l = r, r = t;
      }
      if (!constant(g, l) || value(g, c) == 0) return -1;
      const int product = folded(g, op::mul, value(g, c), value(g, l), element(g, c));
      return product < 0 ? -1 : g.binary(op::mul, product, r);
    }
    case op::div:
      if (constant(g, b)) {
        double c = value(g, b);
        double r = is_moderate(c, element(g, b)) ? 1 / c : 0;
        if (is_moderate(r, element(g, b)) && (__builtin_bit_cast(u64, c) & 0xfffffffffffffull) == 0)
          return g.binary(op::mul, g.constant(r, element(g, b)), a);
      }
      return -1;
    case op::pow:
      if (g.is_constant(b, 2)) return g.binary(op::mul, a, a);
      return -1;
    default: return -1;
  }
}

// Whether `wide` holds all numbers of `narrow`.
constexpr bool holds(dtype wide, dtype narrow) {
  return is_floating(wide) && is_floating(narrow) && size_of(wide) > size_of(narrow);
}

// -(-x) = x, !!x = x, stop_gradient twice, abs(abs), abs(-x), cast(cast(x)) back to x's type from a wider one
constexpr int inverse(graph& g, int n) {
  const op code = g[n].code;
  const int a = g.arg(n, 0);
  switch (code) {
    case op::neg:
      if (g.is(a, op::neg)) return g.arg(a, 0);
      if (constant(g, a)) return g.constant(-value(g, a), element(g, a));
      return -1;
    case op::logical_not: return g.is(a, op::logical_not) ? g.arg(a, 0) : -1;
    case op::abs:
      if (g.is(a, op::abs)) return a;
      return g.is(a, op::neg) ? g.unary(op::abs, g.arg(a, 0)) : -1;
    case op::stop_gradient: return g.is(a, op::stop_gradient) || constant(g, a) ? a : -1;
    case op::cast: {
      if (!g.is(a, op::cast)) return -1;
      const int x = g.arg(a, 0);
      return element(g, x) == element(g, n) && holds(element(g, a), element(g, x)) ? x : -1;
    }
    default: return -1;
  }
}

// merge(broadcast(x)) = broadcast(x) where all parts but one are repetitions of one element; -1 where they
// are not.
constexpr int merged_repetition(graph& g, int a, array_view<const axis_info*> axes) {
  const int x = g.arg(a, 0), parts = axes.size() - 1;
  const axis_info *kept = nullptr, *to = axes[parts];
  for (int i = 0; i < parts; ++i) {
    if (axes[i]->extent == 1 && !g.type(x).has(axes[i])) continue;
    if (kept) return -1;
    kept = axes[i];
  }
  if (!kept) return -1;
  const tensor_type t = g.type(a);
  list<const axis_info*> with;
  for (int i = 0; i < t.rank; ++i) {
    bool dropped = false;
    for (int k = 0; k < parts; ++k) dropped = dropped || (axes[k] == t.axes[i] && axes[k] != kept);
    if (!dropped) with.push(t.axes[i]);
  }
  const int y = simplest(g, g.with_axes(op::broadcast, x, with));
  const axis_info* names[] = {kept, to};
  return kept == to ? y : g.with_axes(op::rename, y, names);
}

// op(broadcast(x), y) = op(x, y) where y has all axes of the result in their order; op of broadcast scalars
// is the broadcast of a scalar.
constexpr int unbroadcast(graph& g, int n) {
  const node o = g[n];
  int full = -1, in[3] = {};
  bool any = false, scalars = true;
  for (int i = 0; i < o.arg_count; ++i) {
    const int x = g.arg(n, i);
    in[i] = x;
    if (g.is(x, op::broadcast))
      any = true, in[i] = g.arg(x, 0);
    else if (full < 0 || g.type(x).rank > g.type(full).rank)
      full = x;
    scalars = scalars && g.type(in[i]).rank == 0;
  }
  if (!any) return -1;
  if (scalars) {
    const tensor_type t = g.type(n);
    return g.with_axes(op::broadcast, simplest(g, g.put(o.code, {in, o.arg_count}, {}, g.numbers_of(n))),
                       {t.axes, t.rank});
  }
  if (full < 0) return -1;
  bool changed = false;
  const tensor_type& f = g.type(full);
  for (int i = 0; i < o.arg_count; ++i) {
    in[i] = g.arg(n, i);
    if (!g.is(in[i], op::broadcast)) continue;
    const tensor_type& t = g.type(in[i]);
    bool covered = t.rank == f.rank;
    for (int k = 0; covered && k < t.rank; ++k) covered = t.axes[k] == f.axes[k];
    if (covered) in[i] = g.arg(in[i], 0), changed = true;
  }
  return changed ? g.put(o.code, {in, o.arg_count}) : -1;
}

[[nodiscard]] constexpr bool same_axes(const tensor_type& a, const tensor_type& b) {
  for (int i = 0; i < a.rank && a.rank == b.rank; ++i)
    if (a.axes[i] != b.axes[i]) return false;
  return a.rank == b.rank;
}

// contract(permute(x), y) = contract(x, y); an axis along which an operand is only repeated leaves it, unless
// the other is summed over it: then the sum alone is left where the operand is 1.
constexpr int contracted(graph& g, int n) {
  const tensor_type out = g.type(n);
  tensor_type whole = out;  // of the result, less the axes along which it is only repeated
  int in[2] = {g.arg(n, 0), g.arg(n, 1)};
  bool changed = false;
  for (int i = 0; i < 2; ++i) {
    const int a = in[i], x = g.is(a, op::permute) || g.is(a, op::broadcast) ? g.arg(a, 0) : -1;
    if (g.is(a, op::permute)) in[i] = x, changed = true;
    if (!g.is(a, op::broadcast)) continue;
    const tensor_type t = g.type(a), part = g.type(x), other = g.type(in[1 - i]);
    tensor_type needed, kept;
    needed.element = t.element;
    for (int k = 0; k < t.rank; ++k)
      if (part.has(t.axes[k]) || !out.has(t.axes[k])) needed.push(t.axes[k]);
    if (needed.rank == t.rank || (needed.rank == 0 && !g.is_constant(x, 1))) continue;
    kept.element = whole.element;
    for (int k = 0; k < whole.rank; ++k)
      if (other.has(whole.axes[k]) || needed.has(whole.axes[k])) kept.push(whole.axes[k]);
    whole = kept;
    in[i] = simplest(g, g.as_type(x, needed));
    changed = true;
  }
  for (int i = 0; i < 2; ++i) {
    const int a = in[i], one = g.is(a, op::broadcast) ? g.arg(a, 0) : a;
    if (!g.is_constant(one, 1)) continue;
    const tensor_type t = g.type(a);
    list<const axis_info*> summed;
    bool plain = true;
    for (int k = 0; k < t.rank; ++k) {
      plain = plain && !whole.has(t.axes[k]);
      summed.push(t.axes[k]);
    }
    if (!plain) continue;
    const int sum = simplest(g, g.with_axes(op::sum, in[1 - i], summed));
    return simplest(g, g.as_type(simplest(g, g.as_type(sum, whole)), out));
  }
  const tensor_type a = g.type(in[0]), b = g.type(in[1]);
  if ((same_axes(a, whole) && within(b, a)) || (same_axes(b, whole) && within(a, b)))
    return simplest(g, g.as_type(simplest(g, g.binary(op::mul, in[0], in[1])), out));
  if (!changed) return -1;
  return g.as_type(simplest(g, g.contract(in[0], in[1], whole)), out);
}

// where(c, x, x) = x, where(!c, x, y) = where(c, y, x)
constexpr int chosen(graph& g, int n) {
  const int c = g.arg(n, 0), x = g.arg(n, 1), y = g.arg(n, 2);
  if (x == y && g.type(x) == g.type(n)) return x;
  return g.is(c, op::logical_not) ? g.where(g.arg(c, 0), y, x) : -1;
}

}  // namespace identity

// One step of rewriting; -1 where no identity fits. Operands of `n` are simple already.
constexpr int rewrite(graph& g, int n) {
  const op code = g.nodes.items[n].code;
  switch (kind_of(code)) {
    case op_kind::unary: {
      if (const int r = identity::inverse(g, n); r >= 0) return r;
      if (const int r = identity::unbroadcast(g, n); r >= 0) return r;
      return identity::merged_outside(g, n, simplest);
    }
    case op_kind::binary: {
      int a = g.arg(n, 0), b = g.arg(n, 1);
      if (identity::constant(g, a) || identity::constant(g, b)) {
        if (identity::constant(g, a) && identity::constant(g, b))
          if (int r = identity::folded(g, code, identity::value(g, a), identity::value(g, b),
                                       identity::element(g, a));
              r >= 0)
            return r;
        if (int r = identity::neutral(g, code, a, b); r >= 0) return r;
      }
      if (int r = identity::combining(g, code, a, b); r >= 0) return r;
      if (const int r = identity::unbroadcast(g, n); r >= 0) return r;
      return identity::merged_outside(g, n, simplest);
    }
    case op_kind::ternary: {
      if (const int r = identity::chosen(g, n); r >= 0) return r;
      if (const int r = identity::unbroadcast(g, n); r >= 0) return r;
      return identity::merged_outside(g, n, simplest);
    }
    case op_kind::library: return code == op::contract ? identity::contracted(g, n) : -1;
    case op_kind::reduction:
    case op_kind::movement: {
      if (g[n].arg_count != 1) return -1;
      if (code == op::slice) return identity::sliced(g, n);
      const int a = g.arg(n, 0);
      const list<const axis_info*> axes(g.axes_of(n));
      if (code == op::merge && g.is(a, op::broadcast)) return identity::merged_repetition(g, a, axes);
      return identity::moving(g, code, a, axes);
    }
    default: return -1;
  }
}

// What the identities make of a node whose operands are simple.
constexpr int simplest(graph& g, int n) {
  const int of = g.nodes.items[n].type;
  const tensor_type t = g.type(n);
  for (int step = 0; step < 16; ++step) {
    int next = rewrite(g, n);
    if (next < 0 || next == n) break;
    n = next;
  }
  if (g.nodes.items[n].type != of && g.type(n).rank == t.rank && !t.stack) n = g.as_type(n, t);
  return n;
}

// The graph with every identity applied and nothing that its outputs do not need.
[[nodiscard]] constexpr graph simplify(const graph& g) {
  graph s;
  list<int> place, in;
  list<u8> needed;
  place.resize(g.size(), -1);
  needed.resize(g.size(), 0);
  for (int out : g.outputs) needed[out] = 1;
  for (int n = g.size() - 1; n >= 0; --n)
    if (needed[n])
      for (int x : g.args_of(n)) needed[x] = 1;
  for (int n = 0; n < g.size(); ++n) {
    if (!needed[n]) continue;
    in.clear();
    for (int x : g.args_of(n)) in.push(place[x]);
    place[n] = simplest(s, s.copy(g, n, in));
  }
  for (int out : g.outputs) s.outputs.push(place[out]);
  return s;
}

}  // namespace flame
