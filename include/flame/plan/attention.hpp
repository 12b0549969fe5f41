// Attention's steps: primitives that share their work become one.
#pragma once
#include <flame/graph/attention.hpp>
#include <flame/plan/frame.hpp>

namespace flame {

namespace planning {

// Whether node n has a value, or is a view of one that has.
[[nodiscard]] inline bool is_made(const frame& fr, int n) {
  const graph& g = fr.fn.g;
  while (!fr.known[n] && g[n].arg_count == 1 &&
         (kind_of(g[n].code) == op_kind::movement || g.is(n, op::result)))
    n = g.arg(n, 0);
  return fr.known[n] || g.is(n, op::call);
}

// The node that delta, an operand of gradient n, multiplies the cotangent by: the attention's result. -1
// where delta is not the formula, or the result no value of this program's.
[[nodiscard]] inline int attended_by(const frame& fr, int n) {
  const graph& g = fr.fn.g;
  const attention_operands at(g[n].code, g[n].arg_count);
  if (at.delta < 0) return -1;
  auto below_casts = [&](int x) {
    while (g.is(x, op::cast)) x = g.arg(x, 0);
    return x;
  };
  const int sum = g.arg(n, at.delta), cotangent = below_casts(g.arg(n, at.cotangent));
  if (!g.is(sum, op::sum) || !g.is(g.arg(sum, 0), op::mul)) return -1;
  const int product = g.arg(sum, 0), a = below_casts(g.arg(product, 0)), b = below_casts(g.arg(product, 1));
  const int result = a == cotangent ? b : b == cotangent ? a : -1;
  return result >= 0 && g.type(result) == g.type(g.arg(n, 0)) && is_made(fr, result) ? result : -1;
}

// Node n, one of attention's, and with it the others of its function that read the same: the statistics
// beside the result, the gradients of q, k and v. They are one step.
inline void plan_attention(frame& fr, int n) {
  const graph& g = fr.fn.g;
  if (fr.known[n]) return;  // made with another
  const op code = g[n].code;
  auto same = [&](int a, int b, int first, int count) {
    for (int i = 0; i < count; ++i)
      if (g.arg(a, first + i) != g.arg(b, first + i)) return false;
    for (int i = 0; i < 3; ++i)
      if (g.axis(a, i) != g.axis(b, i)) return false;
    return g.number(a, 0) == g.number(b, 0) && g.number(a, 1) == g.number(b, 1);
  };
  const bool backward = code != op::attend && code != op::attend_statistics;
  int results[3] = {-1, -1, -1};  // by bit of `made`
  auto place = [&](op of) {
    return backward ? static_cast<int>(of) - static_cast<int>(op::attend_query) : of == op::attend ? 0 : 1;
  };
  results[place(code)] = n;
  for (int m = 0; m < g.size(); ++m) {
    if (m == n || fr.known[m] || !is_attention(g[m].code)) continue;
    const bool gradient = g[m].code != op::attend && g[m].code != op::attend_statistics;
    if (gradient != backward) continue;
    if (backward) {
      if (g[m].arg_count == g[n].arg_count && same(m, n, 0, g[n].arg_count)) results[place(g[m].code)] = m;
      continue;
    }
    const int attends = code == op::attend ? n : m, sums = code == op::attend ? m : n;
    if (!g.is(attends, op::attend) || !g.is(sums, op::attend_statistics)) continue;
    if (g[attends].arg_count != g[sums].arg_count + 1 || !same(attends, sums, 0, 2)) continue;
    if (g[sums].arg_count == 3 && g.arg(attends, 3) != g.arg(sums, 2)) continue;
    if (is_made(fr, g.arg(attends, 2))) results[0] = attends, results[1] = sums;
  }
  const int whole = results[0] >= 0 ? results[0] : n;  // whose operands the step has
  program_step s;
  s.library = g[whole].code;
  s.function = fr.fn.info, s.node = whole;
  for (int i = 0; i < g[whole].arg_count; ++i) {
    located l = fr.value(g.arg(whole, i)).one;
    if (l.zero) {
      const located dense = new_like(fr.p, l);
      add_fill(fr.p, dense, 0);
      l = dense;
    }
    s.tensors.push(l), s.writes.push(0);
  }
  u64 attended = 0;
  if (const int result = attended_by(fr, whole); result >= 0 && !fr.value(result).one.zero) {
    s.tensors.push(fr.value(result).one), s.writes.push(0);
    attended = 1;
  }
  for (int i = 0; i < 3; ++i) s.axes.push(g.axis(whole, i));
  u64 made = 0;
  for (int i = 0; i < 3; ++i) {
    if (results[i] < 0) continue;
    made |= u64{1} << i;
    const located out = fr.destination(results[i]);
    s.tensors.push(out), s.writes.push(1);
    fr.set(results[i], out);
  }
  s.data.push(g.number(whole, 0)), s.data.push(g.number(whole, 1)), s.data.push(made), s.data.push(attended);
  fr.p.steps.push(s);
}

}  // namespace planning

}  // namespace flame
