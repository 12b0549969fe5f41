// What the reference evaluator makes of attention: the formulas of graph/attention.hpp, one score at a time.
#pragma once
#include <flame/graph/attention.hpp>
#include <flame/graph/graph.hpp>
#include <flame/graph/value.hpp>

namespace flame::reference {

// Node n of g from the values of its nodes; out has its type and shape.
inline void attention(const graph& g, int n, const std::vector<value>& values, value& out) {
  const op code = g[n].code;
  const attention_operands at(code, g[n].arg_count);
  auto given = [&](int place) {
    return place < 0 ? nullptr : &values[static_cast<std::size_t>(g.arg(n, place))];
  };
  const value &q = *given(0), &k = *given(1);
  const value *v = given(at.value), *d = given(at.cotangent), *mask = given(at.mask);
  const value *sums = given(at.statistics), *delta = given(at.delta);
  space s;
  s.add(q);
  s.add(k);
  auto find = [&](const axis_info* a) { return static_cast<std::size_t>(s.axes.find(a)); };
  const std::size_t key = find(g.axis(n, 0)), dim = find(g.axis(n, 1)), position = find(g.axis(n, 2));
  const i64 keys = s.extents[key], dims = s.extents[dim];
  double scale = __builtin_bit_cast(double, g.number(n, 1));
  if (std::isnan(scale)) scale = 1 / std::sqrt(static_cast<double>(dims));
  const bool causal = g.number(n, 0) != 0;
  auto strides = [&](const value* x) { return x ? s.strides(*x) : std::vector<i64>(s.extents.size(), 0); };
  const std::vector<i64> of_q = strides(&q), of_k = strides(&k), of_v = strides(v), of_d = strides(d),
                         of_mask = strides(mask), of_sums = strides(sums), of_delta = strides(delta),
                         to = strides(&out);
  // The sum over dim of two operands' products.
  auto dot = [&](const std::vector<i64>& place, const value& a, const std::vector<i64>& of_a, const value& b,
                 const std::vector<i64>& of_b) {
    double sum = 0;
    for (i64 i = 0; i < dims; ++i)
      sum += a[offset(place, of_a) + i * of_a[dim]] * b[offset(place, of_b) + i * of_b[dim]];
    return sum;
  };
  auto score = [&](const std::vector<i64>& place) {
    if (causal && place[position] < place[key]) return -std::numeric_limits<double>::infinity();
    const double raw = scale * dot(place, q, of_q, k, of_k);
    if (!mask) return raw;
    const double m = (*mask)[offset(place, of_mask)];
    if (mask->type.element != dtype::boolean) return raw + m;
    return m != 0 ? raw : -std::numeric_limits<double>::infinity();
  };
  space rows = s;
  rows.extents[key] = rows.extents[dim] = 1;
  rows.each([&](const std::vector<i64>& row) {
    std::vector<i64> place = row;
    std::vector<double> scores(static_cast<std::size_t>(keys));
    double top = -std::numeric_limits<double>::infinity(), total = 0;
    for (i64 j = 0; j < keys; ++j) {
      place[key] = j;
      double& x = scores[static_cast<std::size_t>(j)] = score(place);
      if (std::isnan(x) || x > top) top = x;
    }
    for (double x : scores)
      if (!(std::isinf(x) && x < 0)) total += std::exp(x - top);
    const double statistic = sums ? (*sums)[offset(row, of_sums)] : total == 0 ? top : top + std::log(total);
    if (code == op::attend_statistics) {
      out[offset(row, to)] = statistic;
      return;
    }
    for (i64 j = 0; j < keys; ++j) {
      const double x = scores[static_cast<std::size_t>(j)];
      if (std::isinf(x) && x < 0) continue;
      place[key] = j;
      const double p = std::exp(x - statistic);
      double ds = 0;
      if (delta && code != op::attend_value)
        ds = scale * p * (dot(place, *d, of_d, *v, of_v) - (*delta)[offset(row, of_delta)]);
      const i64 o = offset(place, to);
      for (i64 i = 0; i < dims; ++i) {
        auto element = [&](const value& a, const std::vector<i64>& of) {
          return a[offset(place, of) + i * of[dim]];
        };
        double& sum = out[o + i * to[dim]];
        switch (code) {
          case op::attend: sum += p * element(*v, of_v); break;
          case op::attend_query: sum += ds * element(k, of_k); break;
          case op::attend_key: sum += ds * element(q, of_q); break;
          default: sum += p * element(*d, of_d); break;
        }
      }
    }
  });
}

}  // namespace flame::reference
