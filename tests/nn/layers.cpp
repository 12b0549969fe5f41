// What layers compute, against sums written out in f64.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/attention.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/sequential.hpp>
#include <flame/plan/explain.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include <algorithm>
#include <cmath>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct other : dim<> {
} other;  // tokens of a context
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct foreign : dim<> {
} foreign;  // channels of a context
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct head : dim<2> {
} head;
inline constexpr struct head_dim : dim<> {
} head_dim;
inline constexpr struct word : dim<> {
} word;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct flat : dim<> {
} flat;

template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(
      net, (linear<in<Place, "same">, channel, channel>, same),
      (linear<in<Place, "bare">, channel, inner, false>, bare),
      (embedding_table<in<Place, "words">, word, channel>, words),
      (layer_norm_layer<in<Place, "norm">, channel>, norm),
      (layer_norm_layer<in<Place, "plain">, channel, false>, plain),
      (convolution_layer<in<Place, "conv">, channel, inner, 3, conv_options{.stride = 2, .padding = 1}>,
       conv),
      (attention_layer<in<Place, "self">, channel, inner, head, head_dim>, self),
      (attention_layer<in<Place, "cross">, channel, inner, head, head_dim, foreign, false>, cross));
};

inline constexpr struct four : dim<4> {
} four;

// Groups of channels: several to a group, into a fixed axis, and one to each.
template <class Place> struct grouped_net {
  BOOST_HANA_DEFINE_STRUCT(
      grouped_net,
      (convolution_layer<in<Place, "pairs">, channel, inner, 3, conv_options{.padding = 1, .groups = 3}>,
       pairs),
      (convolution_layer<in<Place, "narrow">, inner, four, 1, conv_options{.stride = 2, .groups = 2}, false>,
       narrow),
      (convolution_layer<in<Place, "depth">, channel, channel, 5, conv_options{.padding = 2, .groups = 6}>,
       depth));
};

using states = tensor<f64, batch, token, channel>;
using context = tensor<f64, batch, other, foreign>;

auto make() { return init<net, host, f64>(key(0), channel == 6, inner == 10, word == 9, foreign == 4); }
using model_type = decltype(make());

// y[o] = sum w[o, i] x[i] + b[o]
std::vector<double> apply(const model_type& m, const std::string& path, const std::vector<double>& x) {
  std::span<const double> w = m.values(path + ".weight");
  std::vector<double> y(w.size() / x.size());
  for (std::size_t o = 0; o < y.size(); ++o) {
    if (m.has(path + ".bias")) y[o] = m.values(path + ".bias")[o];
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
  }
  return y;
}
template <class T> std::vector<double> at(const T& t, i64 b, i64 i, i64 n) {
  std::vector<double> v;
  for (i64 c = 0; c < n; ++c) v.push_back(t(b, i, c));
  return v;
}
// Attention of one query over some keys, by its definition; both heads.
template <class Context>
std::vector<double> attended(const model_type& m, const std::string& path, const std::vector<double>& x,
                             const Context& c, i64 b, i64 keys, i64 width) {
  const std::vector<double> q = apply(m, path + ".q", x);
  std::vector<double> result(q.size(), 0.0);
  const std::size_t half = q.size() / 2;
  for (std::size_t h = 0; h < 2; ++h) {
    std::vector<double> weight;
    double total = 0;
    for (i64 j = 0; j < keys; ++j) {
      const std::vector<double> k = apply(m, path + ".k", at(c, b, j, width));
      double score = 0;
      for (std::size_t d = h * half; d < (h + 1) * half; ++d) score += q[d] * k[d];
      weight.push_back(std::exp(score / std::sqrt(static_cast<double>(half))));
      total += weight.back();
    }
    for (i64 j = 0; j < keys; ++j) {
      const std::vector<double> v = apply(m, path + ".v", at(c, b, j, width));
      for (std::size_t d = h * half; d < (h + 1) * half; ++d)
        result[d] += weight[static_cast<std::size_t>(j)] / total * v[d];
    }
  }
  return apply(m, path + ".out", result);
}
template <class T> void expect_row(const T& have, i64 b, i64 i, const std::vector<double>& want) {
  for (std::size_t c = 0; c < want.size(); ++c)
    CHECK(have(b, i, static_cast<i64>(c)) == doctest::Approx(want[c]).epsilon(1e-10));
}

states draw() { return normal<f64>(key(1), batch == 2, token == 5, channel == 6); }

}  // namespace

TEST_CASE("linear, also from an axis to itself and without bias; sequential; activations") {
  auto m = make();
  states x = draw();
  auto y = forward(
      m, [](auto n, auto a) { return sequential(n.same, activation::relu, n.bare, activation::tanh)(a); })(x);
  for (i64 b = 0; b < 2; ++b)
    for (i64 i = 0; i < 5; ++i) {
      std::vector<double> h = apply(m, "same", at(x, b, i, 6));
      for (double& v : h) v = std::max(v, 0.0);
      std::vector<double> want = apply(m, "bare", h);
      for (double& v : want) v = std::tanh(v);
      expect_row(y, b, i, want);
    }
}

TEST_CASE("embedding and layer norm") {
  auto m = make();
  std::ranges::fill(m.values("norm.weight"), 2.0);
  std::ranges::fill(m.values("norm.bias"), 3.0);
  tensor<i32, batch, token> index{{0, 8, 3}, {3, 3, 1}};
  auto [words, norm, plain] = forward(m, [](auto n, auto i) {
    auto w = n.words(i);
    return outputs(w, n.norm(w), n.plain(w));
  })(index);
  for (i64 b = 0; b < 2; ++b)
    for (i64 i = 0; i < 3; ++i) {
      std::vector<double> w;
      double mean = 0, square = 0;
      for (i64 c = 0; c < 6; ++c) {
        w.push_back(m.values("words.weight")[static_cast<std::size_t>(index(b, i) * 6 + c)]);
        mean += w.back() / 6;
      }
      for (double v : w) square += (v - mean) * (v - mean) / 6;
      expect_row(words, b, i, w);
      for (double& v : w) v = (v - mean) / std::sqrt(square + 1e-5);
      expect_row(plain, b, i, w);
      for (double& v : w) v = 2 * v + 3;
      expect_row(norm, b, i, w);
    }
}

TEST_CASE("convolution with stride and padding, pooling, flatten") {
  auto m = make();
  auto x = normal<f64>(key(2), batch == 2, row == 5, column == 7, channel == 6);
  auto [y, pooled, flattened] = forward(m, [](auto n, auto a) {
    auto c = n.conv(a);
    return outputs(c, mean_pool(c), flatten<3>(max_pool(c), flat));
  })(x);
  const std::span<const double> w = m.values("conv.weight"), bias = m.values("conv.bias");
  CHECK(y.shape() == std::vector<i64>{2, 3, 4, 10});
  CHECK(pooled.shape() == std::vector<i64>{2, 1, 2, 10});
  CHECK(flattened.shape() == std::vector<i64>{2, 20});
  for (i64 b = 0; b < 2; ++b)
    for (i64 o = 0; o < 10; ++o) {
      for (i64 r = 0; r < 3; ++r)
        for (i64 c = 0; c < 4; ++c) {
          double sum = bias[static_cast<std::size_t>(o)];
          for (i64 i = 0; i < 3; ++i)
            for (i64 j = 0; j < 3; ++j)
              for (i64 k = 0; k < 6; ++k) {
                const i64 from_row = 2 * r + i - 1, from_column = 2 * c + j - 1;
                if (from_row >= 0 && from_row < 5 && from_column >= 0 && from_column < 7)
                  sum += w[static_cast<std::size_t>(((o * 3 + i) * 3 + j) * 6 + k)] *
                         x(b, from_row, from_column, k);
              }
          CHECK(y(b, r, c, o) == doctest::Approx(sum).epsilon(1e-10));
        }
      const double window[] = {y(b, 0, 2, o), y(b, 0, 3, o), y(b, 1, 2, o), y(b, 1, 3, o)};
      CHECK(pooled(b, 0, 1, o) ==
            doctest::Approx((window[0] + window[1] + window[2] + window[3]) / 4).epsilon(1e-10));
      CHECK(flattened(b, 10 + o) == *std::max_element(window, window + 4));
    }
}

// A convolution with groups by its definition.
template <class Model, class X, class Y>
void expect_grouped(const Model& m, const std::string& path, const X& x, const Y& y, i64 kernel, i64 stride,
                    i64 padding, i64 groups) {
  const weight& w = m.find(path + ".weight");
  const i64 in = x.extent(3), out = y.extent(3), part = in / groups;
  REQUIRE(w.extents == std::vector<i64>{out, kernel, kernel, part});
  REQUIRE(m.has(path + ".bias") == (path != "narrow"));
  const std::span<const double> values = m.values(w);
  for (i64 b = 0; b < y.extent(0); ++b)
    for (i64 r = 0; r < y.extent(1); ++r)
      for (i64 c = 0; c < y.extent(2); ++c)
        for (i64 o = 0; o < out; ++o) {
          double sum = path == "narrow" ? 0 : m.values(path + ".bias")[static_cast<std::size_t>(o)];
          for (i64 i = 0; i < kernel; ++i)
            for (i64 j = 0; j < kernel; ++j)
              for (i64 k = 0; k < part; ++k) {
                const i64 from_row = stride * r + i - padding, from_column = stride * c + j - padding;
                if (from_row >= 0 && from_row < x.extent(1) && from_column >= 0 && from_column < x.extent(2))
                  sum += values[static_cast<std::size_t>(((o * kernel + i) * kernel + j) * part + k)] *
                         x(b, from_row, from_column, o / (out / groups) * part + k);
              }
          CHECK(y(b, r, c, o) == doctest::Approx(sum).epsilon(1e-10));
        }
}

// The gradient of sum(y dy) with respect to the weights, stride 1.
template <class X, class Y>
std::vector<double> grouped_gradient(const X& x, const Y& dy, i64 kernel, i64 padding, i64 groups) {
  const i64 part = x.extent(3) / groups, out = dy.extent(3);
  std::vector<double> sums;
  for (i64 o = 0; o < out; ++o)
    for (i64 i = 0; i < kernel; ++i)
      for (i64 j = 0; j < kernel; ++j)
        for (i64 k = 0; k < part; ++k) {
          double sum = 0;
          for (i64 b = 0; b < dy.extent(0); ++b)
            for (i64 r = 0; r < dy.extent(1); ++r)
              for (i64 c = 0; c < dy.extent(2); ++c) {
                const i64 row = r + i - padding, column = c + j - padding;
                if (row >= 0 && row < x.extent(1) && column >= 0 && column < x.extent(2))
                  sum += dy(b, r, c, o) * x(b, row, column, o / (out / groups) * part + k);
              }
          sums.push_back(sum);
        }
  return sums;
}

TEST_CASE("convolutions in groups: values, first weights, gradients") {
  auto m = init<grouped_net, host, f64>(key(0), channel == 6, inner == 12);
  const auto x = normal<f64>(key(2), batch == 2, row == 5, column == 4, channel == 6);
  const auto [pairs, narrow, depth] = forward(m, [](auto n, auto a) {
    auto p = n.pairs(a);
    return outputs(p, n.narrow(p), n.depth(a));
  })(x);
  expect_grouped(m, "pairs", x, pairs, 3, 1, 1, 3);
  expect_grouped(m, "narrow", pairs, narrow, 1, 2, 0, 2);
  expect_grouped(m, "depth", x, depth, 5, 1, 2, 6);

  // As PyTorch: uniform in +- 1 / sqrt(in / groups * kernel * kernel).
  for (const auto& [path, fan] : {std::pair{"pairs.weight", 18.0},
                                  {"pairs.bias", 18.0},
                                  {"narrow.weight", 6.0},
                                  {"depth.weight", 25.0},
                                  {"depth.bias", 25.0}}) {
    double most = 0;
    for (double v : m.values(path)) most = std::max(most, std::abs(v));
    CHECK(most <= 1 / std::sqrt(fan));
    CHECK(most > 0.5 / std::sqrt(fan));
  }

  // The gradient of half of y's squares is y.
  auto half = [](auto n, auto a) {
    auto p = n.pairs(a);
    auto d = n.depth(a);
    return 0.5 * (sum(p * p) + sum(d * d));
  };
  auto step = train_step(m, half, sgd{.lr = 1.0});
  const auto before = m.clone();
  step(x);
  auto expect_step = [&](const std::string& path, const std::vector<double>& want) {
    for (std::size_t i = 0; i < want.size(); ++i)
      CHECK(before.values(path)[i] - m.values(path)[i] == doctest::Approx(want[i]).epsilon(1e-9));
  };
  expect_step("pairs.weight", grouped_gradient(x, pairs, 3, 1, 3));
  expect_step("depth.weight", grouped_gradient(x, depth, 5, 2, 6));
}

TEST_CASE("groups that do not divide the channels are refused") {
  CHECK_THROWS_WITH_AS((init<grouped_net, host, f64>(key(0), channel == 7, inner == 12)),
                       "flame::init: axis group_of is a part of an axis of extent 7, which it does not divide", error);
}

TEST_CASE("attention over itself, over what came before, over a context") {
  auto m = make();
  states x = draw();
  context c = normal<f64>(key(3), batch == 2, other == 3, foreign == 4);
  auto f = forward(m, [](auto n, auto a, auto b) {
    return outputs(n.self(a, token), n.self(a, token, causal(token)), n.cross(a, b, other));
  });
  auto [self, before, cross] = f(x, c);
  const program_report r = report(f.plan(x, c));  // each is the one operation: its scores are never in memory
  CHECK(std::count_if(r.steps.begin(), r.steps.end(), [](auto& step) { return step.kind == "attend"; }) ==
        3);
  CHECK_FALSE(m.has("cross.q.bias"));
  CHECK(m.find("cross.k.weight").extents == std::vector<i64>{10, 4});
  for (i64 b = 0; b < 2; ++b)
    for (i64 i = 0; i < 5; ++i) {
      expect_row(self, b, i, attended(m, "self", at(x, b, i, 6), x, b, 5, 6));
      expect_row(before, b, i, attended(m, "self", at(x, b, i, 6), x, b, i + 1, 6));
      expect_row(cross, b, i, attended(m, "cross", at(x, b, i, 6), c, b, 3, 4));
    }
}
