// What the reference evaluator makes of running sums and of the largest elements along an axis, and of
// indices that must lie in one.
#pragma once
#include <algorithm>
#include <flame/graph/reference.hpp>
#include <numeric>

namespace flame::reference {

// Node n of g, cumsum or top, of x; out has its type and shape.
inline void ordering(const graph& g, int n, const value& x, value& out) {
  const auto at = static_cast<std::size_t>(g.type(g.arg(n, 0)).find(g.axis(n, 0)));
  const i64 extent = x.shape[at], kept = out.shape[at];
  i64 inner = 1, outer = 1;
  for (std::size_t i = 0; i < x.shape.size(); ++i) (i < at ? outer : inner) *= i == at ? 1 : x.shape[i];
  std::vector<i64> order(static_cast<std::size_t>(extent));
  for (i64 i = 0; i < outer * inner; ++i) {
    const i64 from = i / inner * extent * inner + i % inner, to = i / inner * kept * inner + i % inner;
    if (g.is(n, op::cumsum)) {
      double sum = 0;
      for (i64 k = 0; k < extent; ++k) {
        const i64 place = from + (g.number(n, 0) ? extent - 1 - k : k) * inner;
        out[place] = sum = binary(op::add, x.type.element, sum, x[place]);
      }
      continue;
    }
    auto before = [&](i64 a, i64 b) {
      const double u = x[from + a * inner], v = x[from + b * inner];
      if (std::isnan(u) || std::isnan(v)) return std::isnan(u) && (!std::isnan(v) || a < b);
      return u > v || (u == v && a < b);
    };
    std::iota(order.begin(), order.end(), i64{0});
    std::sort(order.begin(), order.end(), before);
    for (i64 k = 0; k < kept; ++k)
      out[to + k * inner] = static_cast<double>(order[static_cast<std::size_t>(k)]);
  }
}

// Node n of g, in_range, of an axis of this extent.
inline void in_range(const graph& g, int n, i64 extent, const value& index, const value* ignored,
                     value& out) {
  const text name = name_of(static_cast<indexed_by>(g.number(n, 0)));
  for (i64 i = 0; i < out.size(); ++i) {
    const i64 at = integer(index[i]);
    if ((at < 0 || at >= extent) && !(ignored && index[i] == (*ignored)[0]))
      throw error(std::string(name.data, static_cast<std::size_t>(name.size)) + " " + std::to_string(at) +
                  " is out of range: axis " + string_of(g.axis(n, 0)) + " has extent " +
                  std::to_string(extent));
    out[i] = index[i];
  }
}

}  // namespace flame::reference
