// Norms as layers and stochastic depth, against sums written out in f64; what 16-bit tensors are computed in.
#include <doctest/doctest.h>

#include <flame/expr/norm.hpp>
#include <flame/expr/resize.hpp>
#include <flame/expr/rotary.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/norm.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <algorithm>
#include <cmath>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct wide : dim<300> {
} wide;
inline constexpr struct half : dim<4> {
} half;
inline constexpr struct head_dim : dim<8> {
} head_dim;

template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(net, (rms_norm_layer<in<Place, "rms">, channel>, rms),
                           (group_norm_layer<in<Place, "group">, channel, 3>, group),
                           (group_norm_layer<in<Place, "bare">, channel, 2, false>, bare),
                           (instance_norm_layer<in<Place, "instance">, channel>, instance),
                           (drop_path_layer<in<Place, "drop">, batch>, drop));
};

auto make() {
  auto m = init<net, host, f64>(key(0), channel == 6);
  for (const char* path : {"rms.weight", "group.weight", "group.bias"}) {
    double v = 0.5;
    for (double& x : m.values(path)) x = v += 0.25;
  }
  return m;
}

// (v - mean) / sqrt(variance + eps) of the elements of x that `like` chooses, for one element v.
template <class T, class Like> double normed(const T& x, double v, double eps, Like like) {
  double n = 0, sum = 0, square = 0;
  auto each = [&](auto take) {
    for (i64 b = 0; b < x.extent(0); ++b)
      for (i64 r = 0; r < x.extent(1); ++r)
        for (i64 c = 0; c < x.extent(2); ++c)
          for (i64 k = 0; k < x.extent(3); ++k)
            if (like(b, k)) take(x(b, r, c, k));
  };
  each([&](double u) { ++n, sum += u; });
  each([&](double u) { square += (u - sum / n) * (u - sum / n); });
  return (v - sum / n) / std::sqrt(square / n + eps);
}

}  // namespace

TEST_CASE("RMS, group and instance norm, with and without parameters") {
  auto m = make();
  CHECK(m.has("rms.weight"));
  CHECK_FALSE(m.has("bare.weight"));
  CHECK_FALSE(m.has("instance.weight"));
  const auto x = normal<f64>(key(1), batch == 2, row == 3, column == 5, channel == 6);
  const auto [rms, group, bare, instance] = forward(m, [](auto n, auto a) {
    return outputs(n.rms(a), n.group(a), n.bare(a, 1e-6, row, column), n.instance(a));
  })(x);
  const auto weight = m.values("group.weight"), bias = m.values("group.bias");
  for (i64 b = 0; b < 2; ++b)
    for (i64 r = 0; r < 3; ++r)
      for (i64 c = 0; c < 5; ++c) {
        double square = 0;
        for (i64 k = 0; k < 6; ++k) square += x(b, r, c, k) * x(b, r, c, k) / 6;
        for (i64 k = 0; k < 6; ++k) {
          const double v = x(b, r, c, k);
          const auto at = static_cast<std::size_t>(k);
          CHECK(rms(b, r, c, k) ==
                doctest::Approx(v / std::sqrt(square + 1e-6) * m.values("rms.weight")[at]).epsilon(1e-10));
          auto of_group = [&](i64 parts) {
            return [=](i64 i, i64 j) { return i == b && j / (6 / parts) == k / (6 / parts); };
          };
          CHECK(group(b, r, c, k) ==
                doctest::Approx(normed(x, v, 1e-5, of_group(3)) * weight[at] + bias[at]).epsilon(1e-10));
          CHECK(bare(b, r, c, k) == doctest::Approx(normed(x, v, 1e-6, of_group(2))).epsilon(1e-10));
          CHECK(instance(b, r, c, k) == doctest::Approx(normed(x, v, 1e-5, of_group(6))).epsilon(1e-10));
        }
      }
}

TEST_CASE("groups that do not divide the channels are refused") {
  auto m = init<net, host, f64>(key(0), channel == 7);
  const auto x = normal<f64>(key(1), batch == 1, row == 2, column == 2, channel == 7);
  auto run = forward(m, [](auto n, auto a) { return n.group(a); });
  CHECK_THROWS_AS((void)run(x), error);
}

TEST_CASE("drop path drops whole samples while training and nothing else") {
  auto m = make();
  const auto x = normal<f64>(key(1), batch == 400, row == 1, column == 2, channel == 6);
  auto dropped =
      forward<true>(m, [](auto n, auto a, auto k) { return n.drop(a, 0.25, k); })(x, tensor<key>(key(3)));
  auto whole = forward(m, [](auto n, auto a) { return n.drop(a, 0.25); })(x);
  int gone = 0;
  for (i64 b = 0; b < 400; ++b) {
    const double scale = dropped(b, 0, 0, 0) / x(b, 0, 0, 0);
    gone += scale == 0;
    for (i64 c = 0; c < 2; ++c)
      for (i64 k = 0; k < 6; ++k) {
        CHECK(dropped(b, 0, c, k) == doctest::Approx(scale == 0 ? 0 : x(b, 0, c, k) / 0.75));
        CHECK(whole(b, 0, c, k) == x(b, 0, c, k));
      }
  }
  CHECK(gone > 70);
  CHECK(gone < 130);
}

TEST_CASE("positions of 16-bit tensors are computed in f32") {
  // 300 places of 301 elements: bf16 has 8 bits, places and weights need more.
  tensor<bf16, token> x(std::vector<i64>{301});
  for (i64 i = 0; i < 301; ++i) x.data()[i] = bf16(i % 2 ? 1.0f : 0.0f);
  const auto y = eval(resize_linear<resize_options{.align_corners = true}>(x, token, wide));
  for (i64 i = 0; i < 300; ++i) {
    const double at = static_cast<double>(i) * 300 / 299, odd = std::fmod(at, 2.0);
    CHECK(static_cast<float>(y(i)) == doctest::Approx(odd < 1 ? odd : 2 - odd).epsilon(0.01));
  }
  // Tables in f32 turn bf16 queries in f32 and round once.
  tensor<bf16, token, head_dim> q(std::vector<i64>{2, 8});
  tensor<f32, token, half> angle(std::vector<i64>{2, 4});
  for (i64 i = 0; i < 16; ++i) q.data()[i] = bf16(static_cast<float>(i) / 8 - 1);
  for (i64 i = 0; i < 8; ++i) angle.data()[i] = static_cast<float>(i) * 0.37f;
  const auto turned = eval(rotary(q, cos(angle), sin(angle), head_dim));
  for (i64 t = 0; t < 2; ++t)
    for (i64 i = 0; i < 4; ++i) {
      const double a = static_cast<float>(q(t, 2 * i)), b = static_cast<float>(q(t, 2 * i + 1));
      const double p = static_cast<double>(angle(t, i));
      CHECK(static_cast<float>(turned(t, 2 * i)) ==
            doctest::Approx(a * std::cos(p) - b * std::sin(p)).epsilon(0.004));
      CHECK(static_cast<float>(turned(t, 2 * i + 1)) ==
            doctest::Approx(a * std::sin(p) + b * std::cos(p)).epsilon(0.004));
    }
}
