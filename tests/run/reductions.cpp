// Reductions beside each other and of each other, and operands whose axes stand in another order: formulas
// that once shared a kernel, or an identity, that did not fit them.
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <algorithm>
#include <cmath>

namespace {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct x : input<f64, batch, token, channel> {
} x;
inline constexpr struct scale : input<f64, batch, channel> {
} scale;
inline constexpr struct shift : input<f64, channel> {
} shift;
inline constexpr struct matrix : input<f64, batch, token> {
} matrix;
inline constexpr struct turned : input<f64, token, batch> {
} turned;

void check_near(const tensor<f64, channel>& ours, const std::vector<double>& expected) {
  REQUIRE(ours.extent(0) == static_cast<i64>(expected.size()));
  for (i64 i = 0; i < ours.extent(0); ++i)
    CHECK(ours(i) == doctest::Approx(expected[static_cast<std::size_t>(i)]));
}

TEST_CASE("A loss beside its gradient, which is a sum over a middle axis") {
  const auto in = normal<f64>(key(1), batch == 4, token == 5, channel == 3);
  const auto by = normal<f64>(key(2), batch == 4, channel == 3);
  double sines = 0, squares = 0;
  for (i64 i = 0; i < 4; ++i)
    for (i64 j = 0; j < 5; ++j)
      for (i64 k = 0; k < 3; ++k) {
        const double product = in(i, j, k) * by(i, k);
        sines += std::sin(product), squares += product * product;
      }
  const auto [sum_loss, sum_gradient] =
      compile<host>(value_and_grad(sum(sin(x * scale)), scale), x, scale)(in, by);
  CHECK(sum_loss.item() == doctest::Approx(sines));
  const auto [mean_loss, mean_gradient] =
      compile<host>(value_and_grad(mean(x * scale * x * scale), scale), x, scale)(in, by);
  CHECK(mean_loss.item() == doctest::Approx(squares / 60));
  double slope = 0;
  for (i64 j = 0; j < 5; ++j) slope += std::cos(in(2, j, 1) * by(2, 1)) * in(2, j, 1);
  CHECK(sum_gradient(2, 1) == doctest::Approx(slope));
}

TEST_CASE("Reductions of reductions, numbers by hand") {
  const tensor<f64, batch, token> t{{1, 5, 3}, {4, 2, 6}};
  CHECK(eval(sum(max(t, batch))).item() == 15);
  CHECK(eval(max(sum(t, batch))).item() == 9);
  CHECK(eval(max(min(t, batch))).item() == 3);
  CHECK(compile<host>(sum(max(matrix, batch)), matrix)(t).item() == 15);
  CHECK(compile<host>(sum(max(matrix, batch)) + sum(matrix), matrix)(t).item() == 36);
  CHECK(compile<host>(0.25 * sum(max(matrix, batch)) + min(matrix), matrix)(t).item() == 4.75);
}

TEST_CASE("Reductions of reductions over leading axes") {
  const auto t = normal<f64>(key(0), batch == 4, token == 5, channel == 3);
  std::vector<double> expected(3, 0);
  for (i64 k = 0; k < 3; ++k)
    for (i64 j = 0; j < 5; ++j) {
      double most = t(0, j, k);
      for (i64 i = 1; i < 4; ++i) most = std::max(most, t(i, j, k));
      expected[static_cast<std::size_t>(k)] += most;
    }
  check_near(compile<host>(sum(max(x, batch), token), x)(t), expected);
  check_near(compile<host>(4 * (0.25 * sum(max(x, batch), token)), x)(t), expected);
  CHECK(compile<host>(max(sum(max(x, batch), token)), x)(t).item() ==
        doctest::Approx(*std::max_element(expected.begin(), expected.end())));
  const auto [value, gradient] = compile<host>(value_and_grad(sum(max(x, batch)), x), x)(t);
  CHECK(value.item() == doctest::Approx(expected[0] + expected[1] + expected[2]));
  CHECK(eval(sum(gradient)).item() == 15);
}

TEST_CASE("The maximum, minimum and sum of a whole tensor beside a sum over two of its axes") {
  for (i64 n : {1, 2, 3, 5, 8, 40}) {
    INFO("extent " << n);
    const auto t = normal<f64>(key(3), batch == n + 1, token == n, channel == n + 2);
    const std::vector<f64> all = t.to_vector();
    double total = 0, sines = 0;
    for (double v : all) total += v;
    std::vector<double> columns(static_cast<std::size_t>(n), 0);
    for (i64 i = 0; i <= n; ++i)
      for (i64 j = 0; j < n; ++j)
        for (i64 k = 0; k < n + 2; ++k) columns[static_cast<std::size_t>(j)] += t(i, j, k);
    for (double v : columns) sines += std::sin(v);
    auto beside = [&](auto whole, double expected) {
      const auto both = compile<host>(whole + sum(x, batch, channel), x)(t);
      for (i64 j = 0; j < n; ++j)
        CHECK(std::fabs(both(j) - columns[static_cast<std::size_t>(j)] - expected) <= 1e-9);
    };
    beside(max(x), *std::max_element(all.begin(), all.end()));
    beside(min(x), *std::min_element(all.begin(), all.end()));
    beside(sum(x), total);
    const auto nested = compile<host>(sum(sin(sum(x, batch, channel))) + sum(x), x)(t);
    CHECK(std::fabs(nested.item() - sines - total) <= 1e-9);
  }
}

TEST_CASE("The gradient of what is subtracted before a mean counts the extent once") {
  const auto in = ones<f64>(batch == 2, token == 5, channel == 3);
  const auto by = ones<f64>(batch == 2, channel == 3);
  const auto less = zeros<f64>(channel == 3);
  auto gradient = [&](auto loss) { return compile<host>(grad(loss, shift), x, shift, scale)(in, less, by); };
  check_near(gradient(sum(sum(x - shift, token) * scale)), {-10, -10, -10});
  check_near(gradient(sum(mean(x - shift, token) * scale)), {-2, -2, -2});
  check_near(gradient(sum(mean(shift - x, token) * scale)), {2, 2, 2});
}

TEST_CASE("Axes in another order keep their names where a sign moves") {
  const tensor<f64, batch, token> t{{1, 2}, {3, 4}};
  const tensor<f64, token, batch> zero{{0, 0}, {0, 0}};
  auto at = [](const auto& r) { return r.select(batch, 0).select(token, 1).item(); };
  CHECK(at(eval(-t + zero)) == -2);
  CHECK(at(compile<host>(turned - matrix, matrix, turned)(t, zero)) == -2);
  CHECK(at(compile<host>(-matrix + turned, matrix, turned)(t, zero)) == -2);
  CHECK(at(compile<host>(-(matrix * 2.0) + turned, matrix, turned)(t, zero)) == -4);
}

}  // namespace
