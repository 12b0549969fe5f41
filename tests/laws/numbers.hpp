// Numbers for laws: values of leaves, norms, and finite differences of what the reference evaluator computes.
#pragma once
#include <flame/graph/evaluate.hpp>
#include <flame/pass/differentiate.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

namespace flame::laws {

using values = std::vector<value>;

[[nodiscard]] inline double dot(const value& a, const value& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) sum += a.data[i] * b.data[i];
  return sum;
}
[[nodiscard]] inline double norm(const value& a) { return std::sqrt(dot(a, a)); }

// How two values compare: the norm of the difference over the norm of the second, of the elements that are
// finite in both; and NaN and infinities: of the second that the first lacks, of the first where the second
// has a finite number.
struct comparison {
  double error = 0;
  i64 lost = 0, made = 0;
};
[[nodiscard]] inline comparison compare(const value& ours, const value& reference, double floor = 1e-4) {
  comparison c;
  constexpr i64 all = std::numeric_limits<i64>::max();
  if (ours.shape != reference.shape || ours.data.size() != reference.data.size() ||
      ours.keys != reference.keys)
    return {std::numeric_limits<double>::infinity(), all, all};
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < ours.data.size(); ++i) {
    double a = ours.data[i], b = reference.data[i];
    if (std::isfinite(a) && std::isfinite(b))
      difference += (a - b) * (a - b), size += b * b;
    else if (std::isfinite(b))
      ++c.made;
    else if (!std::isnan(a) && a != b)  // NaN where there is an infinity counts as made
      ++c.lost;
    else if (std::isnan(a) != std::isnan(b))
      ++c.made;
  }
  c.error = std::sqrt(difference) / std::max(std::sqrt(size), floor);
  return c;
}

// n numbers spread evenly over [low, high] in random order, 0.02 or more from every multiple of one half.
[[nodiscard]] inline std::vector<double> spread(i64 n, double low, double high, std::mt19937_64& random) {
  std::vector<i64> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  double shift = static_cast<double>(random() % 1000) / 1000;
  std::vector<double> x;
  for (i64 place : order) {
    double v =
        low + (high - low) * (static_cast<double>(place) + 0.05 + 0.9 * shift) / static_cast<double>(n);
    double kink = std::round(2 * v) / 2;
    if (std::fabs(v - kink) < 0.02) v = kink + (v < kink ? -0.02 - (kink - v) / 4 : 0.02 + (v - kink) / 4);
    x.push_back(v);
  }
  return x;
}

// The derivative of a scalar function of one number at 0: central differences at h and h / 2, extrapolated
// (Richardson).
template <class Function> double slope(Function f, double h = 4e-3) {
  auto central = [&](double d) { return (f(d) - f(-d)) / (2 * d); };
  return (4 * central(h / 2) - central(h)) / 3;
}

// The gradient of f with respect to a value that it reads, element by element.
template <class Function> value differences(value& at, Function f, double h = 4e-3) {
  value gradient = at;
  for (std::size_t i = 0; i < at.data.size(); ++i) {
    double x = at.data[i];
    gradient.data[i] = slope(
        [&](double d) {
          at.data[i] = x + d;
          return f();
        },
        h);
    at.data[i] = x;
  }
  return gradient;
}

// A graph without calls with the gradients of the sum of <output, cotangent> behind its outputs; null stands
// for 1.
[[nodiscard]] inline graph with_gradients(graph g, const list<int>& outputs,
                                          const list<const leaf_info*>& cotangents, const list<int>& wrt) {
  const activity a = analyse(g, outputs, wrt);
  differentiate(g, outputs, cotangents, wrt, a.active, a.calls, nullptr);
  return g;
}

}  // namespace flame::laws
