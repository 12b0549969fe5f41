// Transposed convolutions as layers, against their definition in f64; a convolution of one tap is a product.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/transposed.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

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
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct out : dim<3> {
} out;
inline constexpr struct one_row : dim<1> {
} one_row;
inline constexpr struct one_column : dim<1> {
} one_column;

inline constexpr struct image : input<f32, batch, row, column, channel> {
} image;
inline constexpr struct taps : input<f32, out, one_row, one_column, channel> {
} taps;

template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(
      net,
      (transposed_convolution_layer<in<Place, "up">, channel, inner, 3,
                                    conv_transpose_options{.stride = 2, .padding = 1, .output_padding = 1}>,
       up),
      (transposed_convolution_layer<in<Place, "pairs">, channel, channel, 2,
                                    conv_transpose_options{.stride = 2, .groups = 2}, false>,
       pairs));
};

// y[b, i s + p - padding, j s + q - padding, o] += x[b, i, j, c] w[c, p, q, o within the group of c]
template <class Model, class X, class Y>
void expect(const Model& m, const std::string& path, const X& x, const Y& y, i64 kernel, i64 stride,
            i64 padding, i64 groups) {
  const auto w = m.values(path + ".weight");
  const i64 in = x.extent(3), outs = y.extent(3), part = outs / groups;
  std::vector<double> want(static_cast<std::size_t>(y.size()));
  for (i64 b = 0; b < x.extent(0); ++b)
    for (i64 i = 0; i < x.extent(1); ++i)
      for (i64 j = 0; j < x.extent(2); ++j)
        for (i64 c = 0; c < in; ++c)
          for (i64 p = 0; p < kernel; ++p)
            for (i64 q = 0; q < kernel; ++q)
              for (i64 o = 0; o < part; ++o) {
                const i64 r = i * stride + p - padding, s = j * stride + q - padding;
                if (r < 0 || s < 0 || r >= y.extent(1) || s >= y.extent(2)) continue;
                const i64 to =
                    ((b * y.extent(1) + r) * y.extent(2) + s) * outs + c / (in / groups) * part + o;
                want[static_cast<std::size_t>(to)] +=
                    x(b, i, j, c) * w[static_cast<std::size_t>(((c * kernel + p) * kernel + q) * part + o)];
              }
  for (i64 i = 0; i < y.size(); ++i) {
    const double bias =
        m.has(path + ".bias") ? m.values(path + ".bias")[static_cast<std::size_t>(i % outs)] : 0.0;
    CHECK(y.data()[i] == doctest::Approx(want[static_cast<std::size_t>(i)] + bias).epsilon(1e-10));
  }
}

}  // namespace

TEST_CASE("transposed convolutions, with groups and from an axis to itself") {
  auto m = init<net, host, f64>(key(0), channel == 4, inner == 5);
  CHECK(m.find("up.weight").extents == std::vector<i64>{4, 3, 3, 5});
  CHECK(m.find("pairs.weight").extents == std::vector<i64>{4, 2, 2, 2});
  CHECK_FALSE(m.has("pairs.bias"));
  // As PyTorch: uniform in +- 1 / sqrt(out / groups * kernel * kernel).
  for (const auto& [path, fan] : {std::pair{"up.weight", 45.0}, {"up.bias", 45.0}, {"pairs.weight", 8.0}}) {
    double most = 0;
    for (double v : m.values(path)) most = std::max(most, std::abs(v));
    CHECK(most <= 1 / std::sqrt(fan));
    CHECK(most > 0.5 / std::sqrt(fan));
  }
  const auto x = normal<f64>(key(2), batch == 2, row == 3, column == 4, channel == 4);
  const auto [up, pairs] = forward(m, [](auto n, auto a) { return outputs(n.up(a), n.pairs(a)); })(x);
  CHECK(up.shape() == std::vector<i64>{2, 6, 8, 5});
  CHECK(pairs.shape() == std::vector<i64>{2, 6, 8, 4});
  expect(m, "up", x, up, 3, 2, 1, 1);
  expect(m, "pairs", x, pairs, 2, 2, 0, 2);
}

TEST_CASE("a convolution of one tap is a product of matrices") {
  const auto x = normal(key(1), batch == 2, row == 3, column == 4, channel == 5);
  const auto w = normal(key(2), out, one_row, one_column, channel == 5);
  const auto y = eval(conv2d(x, w));
  CHECK(y.shape() == std::vector<i64>{2, 3, 4, 3});
  for (i64 o = 0; o < 3; ++o) {
    double sum = 0;
    for (i64 c = 0; c < 5; ++c)
      sum += static_cast<double>(x(1, 2, 3, c)) * static_cast<double>(w(o, 0, 0, c));
    CHECK(static_cast<double>(y(1, 2, 3, o)) == doctest::Approx(sum).epsilon(1e-5));
  }
  auto f = compile<host>(conv2d(image, taps), image, taps);
  const program& p = f.plan(x, w);
  REQUIRE(p.steps.size() == 1);
  CHECK(p.steps[0].library == op::contract);
}
