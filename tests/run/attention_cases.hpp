// Attention against the same formula with its scores in memory, in f64 on the host: values, gradients, masks,
// lengths that no tile divides, heads of every size. For any backend.
#pragma once
#include <doctest/doctest.h>
#include <flame/flame.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

namespace flame::attention_tests {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct query : dim<> {
} query;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;
template <class E> struct leaves {
  static constexpr struct q : input<E, batch, query, head, feature> {
  } q{};
  static constexpr struct k : input<E, batch, token, head, feature> {
  } k{};
  static constexpr struct v : input<E, batch, token, head, feature> {
  } v{};
  static constexpr struct d : input<E, batch, query, head, feature> {
  } d{};
  static constexpr struct seen : input<bool, batch, query, token> {
  } seen{};
  static constexpr struct bias : input<E, head, query, token> { } bias{}; };

enum class masking { none, causal, boolean, additive };

struct sizes {
  i64 batch, head, query, token, feature;
};

template <class T, masking Mask> auto by_options() {
  using l = leaves<T>;
  if constexpr (Mask == masking::causal)
    return attention(l::q, l::k, l::v, token, feature, causal(query));
  else if constexpr (Mask == masking::boolean)
    return attention(l::q, l::k, l::v, token, feature, masked(l::seen));
  else if constexpr (Mask == masking::additive)
    return attention(l::q, l::k, l::v, token, feature, masked(l::bias));
  else
    return attention(l::q, l::k, l::v, token, feature);
}
template <masking Mask> auto by_hand() {
  using l = leaves<f64>;
  return attention(l::q, l::k, l::v, token, feature, [](const auto& scores) {
    if constexpr (Mask == masking::causal)
      return where(emit<op::less>(iota(query, scores), iota(token, scores)), -1e30, scores);
    else if constexpr (Mask == masking::boolean)
      return where(leaves<f64>::seen, scores, -1e30);
    else if constexpr (Mask == masking::additive)
      return scores + leaves<f64>::bias;
    else
      return scores;
  });
}

template <class T, class Tensor> auto as_type(const Tensor& t) {
  if constexpr (std::is_same_v<T, typename Tensor::element_type>)
    return t;
  else
    return eval(cast<T>(t));
}

// The result and the gradients of q, k and v, in f64.
template <class Backend, class T, masking Mask, class Y, class Q, class K, class M>
std::vector<std::vector<double>> run(const Y& y, const Q& q, const K& k, const K& v, const Q& d,
                                     const M& mask) {
  using l = leaves<T>;
  std::vector<std::vector<double>> all;
  auto add = [&](const auto& t) {
    std::vector<double> numbers;
    for (auto x : t.to_vector()) numbers.push_back(element_cast<double>(x));
    all.push_back(numbers);
  };
  auto of = [&](const auto&... inputs) {
    auto value = compile<Backend>(y, l::q, l::k, l::v, inputs...);
    auto slopes = compile<Backend>(grad(sum(y * l::d), l::q, l::k, l::v), l::q, l::k, l::v, l::d, inputs...);
    auto call = [&](const auto&... masks) {
      add(value(q, k, v, masks...));
      for (int twice = 0; twice < 2; ++twice) {  // the second time as a graph, where there are graphs
        auto [dq, dk, dv] = slopes(q, k, v, d, masks...);
        if (twice) add(dq), add(dk), add(dv);
      }
    };
    if constexpr (sizeof...(inputs) == 0)
      call();
    else
      call(mask);
  };
  if constexpr (Mask == masking::boolean)
    of(l::seen);
  else if constexpr (Mask == masking::additive)
    of(l::bias);
  else
    of();
  return all;
}

// Checks Backend in element type T against f64 by hand: errors by norm, one for each of result, dq, dk, dv.
template <class Backend, class T, masking Mask> void check(const sizes& n, double most) {
  INFO("batch ", n.batch, ", head ", n.head, ", query ", n.query, ", token ", n.token, ", feature ",
       n.feature);
  auto drawn = [&](u64 seed, const auto&... extents) { return as_type<T>(normal(key(seed), extents...)); };
  const auto q = drawn(1, batch == n.batch, query == n.query, head == n.head, feature == n.feature);
  const auto d = drawn(2, batch == n.batch, query == n.query, head == n.head, feature == n.feature);
  const auto k = drawn(3, batch == n.batch, token == n.token, head == n.head, feature == n.feature);
  const auto v = drawn(4, batch == n.batch, token == n.token, head == n.head, feature == n.feature);
  const auto bias = drawn(5, head == n.head, query == n.query, token == n.token);
  // By hand a query that sees no key would get the mean of all values: each sees the first.
  const auto dice = normal(key(6), batch == n.batch, query == n.query, token == n.token);
  const auto seen = eval(dice < 0.5f || iota(token, dice) == 0);
  auto wide = [](const auto& t) { return as_type<f64>(t); };
  auto there = [](const auto& t) {
    if constexpr (std::is_same_v<Backend, host>)
      return t;
    else
      return to<Backend>(t);
  };
  const auto of_mask = [&](const auto& on, const auto& as) {
    if constexpr (Mask == masking::boolean)
      return on(seen);
    else
      return on(as(bias));
  };
  const auto same = [](const auto& t) { return t; };
  const auto got = run<Backend, T, Mask>(by_options<T, Mask>(), there(q), there(k), there(v), there(d),
                                         of_mask(there, same));
  const auto wanted =
      run<host, f64, Mask>(by_hand<Mask>(), wide(q), wide(k), wide(v), wide(d), of_mask(same, wide));
  const char* names[] = {"result", "dq", "dk", "dv"};
  for (std::size_t i = 0; i < 4; ++i) {
    INFO(std::string(names[i]));
    double difference = 0, size = 0;
    REQUIRE(got[i].size() == wanted[i].size());
    for (std::size_t j = 0; j < got[i].size(); ++j) {
      difference += (got[i][j] - wanted[i][j]) * (got[i][j] - wanted[i][j]);
      size += wanted[i][j] * wanted[i][j];
    }
    // Of one key the gradients of q and k are zero.
    CHECK(std::sqrt(difference) <=
          most * std::sqrt(std::max(size, 0.1 * static_cast<double>(got[i].size()))));
  }
}

// Lengths below, at and above a tile, of one key and of one query, heads of every size that a kernel is made
// for and of some that none is.
inline const std::vector<sizes>& all_sizes() {
  static const std::vector<sizes> all = {{3, 4, 49, 49, 24},   {2, 2, 130, 77, 40},  {1, 2, 64, 64, 64},
                                         {1, 1, 1, 300, 64},   {2, 1, 257, 129, 80}, {1, 2, 200, 333, 128},
                                         {1, 1, 100, 50, 160}, {1, 1, 33, 65, 256},  {1, 1, 20, 70, 512},
                                         {2, 2, 5, 3, 7},      {1, 1, 70, 1, 10}};
  return all;
}

// f32 and f64 by their rounding; 16 bits by that of operands, weights and results, once each.
template <class Backend> void check_all() {
  for (const sizes& n : all_sizes()) {
    SUBCASE("f32") {
      check<Backend, f32, masking::none>(n, 2e-6);
      check<Backend, f32, masking::causal>(n, 2e-6);
      check<Backend, f32, masking::boolean>(n, 2e-6);
      check<Backend, f32, masking::additive>(n, 2e-6);
    }
    SUBCASE("f64") { check<Backend, f64, masking::causal>(n, 1e-13); }
    SUBCASE("bf16") {
      check<Backend, bf16, masking::none>(n, 8e-3);
      check<Backend, bf16, masking::causal>(n, 8e-3);
      check<Backend, bf16, masking::boolean>(n, 8e-3);
      check<Backend, bf16, masking::additive>(n, 8e-3);
    }
    SUBCASE("f16") { check<Backend, f16, masking::none>(n, 1e-3); }
  }
}

}  // namespace flame::attention_tests
