// Eager work: eval of expressions of tensors, named axes and anonymous ones.
// labels: threads
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <flame/run/matrix.hpp>

#include <algorithm>
#include <cmath>

namespace eager_test {

using namespace flame;
using namespace flame::literals;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct token : dim<> {
} token;

TEST_CASE("A chain of tensors is one kernel and one pass") {
  const auto a = normal(key(1), batch == 7, feature == 5);
  const auto b = normal(key(2), batch == 7, feature == 5);
  auto e = a * b + sin(a);
  static_assert(kernels(e) == 1);
  auto c = eval(e);
  for (i64 i = 0; i < 7; ++i)
    for (i64 j = 0; j < 5; ++j) CHECK(c(i, j) == doctest::Approx(a(i, j) * b(i, j) + std::sin(a(i, j))));
}

TEST_CASE("Axes align by name, whatever their order") {
  const tensor<f32, batch, feature> a{{1, 2, 3}, {4, 5, 6}};
  const tensor<f32, feature> row{10, 20, 30};
  CHECK(all_equal(eval(a + row), tensor<f32, batch, feature>{{11, 22, 33}, {14, 25, 36}}));
  CHECK(all_equal(eval(row + a), tensor<f32, batch, feature>{{11, 22, 33}, {14, 25, 36}}));
  const auto turned = a.permute(feature, batch);
  CHECK(all_equal(eval(a + turned), eval(2 * a)));
  CHECK(all_equal(eval(turned * row), eval(a * row).permute(feature, batch)));
}

TEST_CASE("Anonymous axes align by place") {
  const matrix<f32> a{{1, 2}, {3, 4}}, b{{5, 6}, {7, 8}};
  CHECK(all_equal(eval(a + b), matrix<f32>{{6, 8}, {10, 12}}));
  CHECK(all_equal(eval(a * tensor<f32>(2)), matrix<f32>{{2, 4}, {6, 8}}));
  CHECK(all_equal(eval(matmul(a, b)), matrix<f32>{{19, 22}, {43, 50}}));
  CHECK(all_equal(eval(matmul(a.transpose(), b)), matrix<f32>{{26, 30}, {38, 44}}));
  const matrix<f32> wide{{1, 2, 3}};
  CHECK(all_equal(eval(matmul(wide, wide.transpose())), matrix<f32>{{14}}));
  CHECK(all_equal(eval(matmul(wide.transpose(), wide) + ones<f32>(3, 3)),
                  matrix<f32>{{2, 3, 4}, {3, 5, 7}, {4, 7, 10}}));
  CHECK_THROWS_WITH_AS(eval(a + matrix<f32>{{1, 2, 3}, {4, 5, 6}}), doctest::Contains("extent 3"), error);
  CHECK_THROWS_WITH_AS(eval(matmul(a, wide)), doctest::Contains("extent"), error);
}

TEST_CASE("A tensor used twice is read as often as it stands there") {
  const tensor<f32, batch> a{1, 2, 3};
  CHECK(all_equal(eval(a * a - a), tensor<f32, batch>{0, 2, 6}));
  CHECK(all_equal(eval(a - a), tensor<f32, batch>{0, 0, 0}));
}

TEST_CASE("What a composite's operand holds is read once, and is what it is") {
  const auto a = normal(key(1), batch == 7, feature == 5), b = normal(key(2), batch == 7, feature == 5);
  auto e = a * 2.0 + b;
  auto both = silu(e);
  static_assert(decltype(both)::held_values::size == 3);
  const auto x = eval(e), y = eval(both), z = eval(softmax(silu(e) * 3.0, feature) - b);
  for (i64 i = 0; i < 7; ++i) {
    double sum = 0;
    for (i64 j = 0; j < 5; ++j) {
      CHECK(x(i, j) == doctest::Approx(2 * a(i, j) + b(i, j)));
      CHECK(y(i, j) == doctest::Approx(x(i, j) / (1 + std::exp(-x(i, j)))));
      sum += std::exp(3.0 * y(i, j));
    }
    for (i64 j = 0; j < 5; ++j) CHECK(z(i, j) == doctest::Approx(std::exp(3.0 * y(i, j)) / sum - b(i, j)));
  }
}

TEST_CASE("Equal types, other values") {
  const auto twice = [](const auto& t, double n) { return eval(t * n); };
  const tensor<f32, batch> a{1, 2, 3}, b{4, 5};
  CHECK(all_equal(twice(a, 2), tensor<f32, batch>{2, 4, 6}));
  CHECK(all_equal(twice(b, 3), tensor<f32, batch>{12, 15}));
  CHECK(all_equal(twice(a, -1), tensor<f32, batch>{-1, -2, -3}));
}

TEST_CASE("Reductions, products, comparisons, choices") {
  const auto a = normal(key(1), batch == 4, token == 6, feature == 8);
  const auto w = normal(key(2), hidden == 3, feature == 8);
  const auto product = eval(matmul(a, w, feature));
  static_assert(same<decltype(product), const tensor<f32, batch, token, hidden>>);
  f32 expected = 0;
  for (i64 k = 0; k < 8; ++k) expected += a(3, 5, k) * w(2, k);
  CHECK(product(3, 5, 2) == doctest::Approx(expected).epsilon(1e-5));
  const auto p = eval(softmax(a, feature));
  for (f32 total : eval(sum(p, feature)).to_vector()) CHECK(total == doctest::Approx(1).epsilon(1e-6));
  CHECK(eval(sum(where(a > 0, a, 0))).item() == doctest::Approx(eval(sum(relu(a))).item()).epsilon(1e-5));
  CHECK(eval(all((a > 0) || (a <= 0))).item() == true);
  static_assert(same<decltype(eval(argmax(a, feature))), tensor<i32, batch, token>>);
  CHECK(eval(argmax(tensor<f32, feature>{1, 5, 3, 5}, feature)).item() == 1);
}

TEST_CASE("Element types") {
  const tensor<bf16, batch> a{1, 2, 3.14159};
  CHECK(static_cast<f32>(eval(a * a)(2)) ==
        static_cast<f32>(bf16(static_cast<f32>(bf16(3.14159f)) * static_cast<f32>(bf16(3.14159f)))));
  CHECK(eval(cast<i32>(tensor<f32, batch>{1.5, -2.5})).to_vector() == std::vector<i32>{1, -2});
  const tensor<f16, batch> h{65504, 1};
  CHECK(std::isinf(static_cast<f32>(eval(h + h)(0))));
  CHECK(eval(tensor<i32, batch>{7, 8} * tensor<i32, batch>{2, 3}).to_vector() == std::vector<i32>{14, 24});
  CHECK(eval(tensor<f64, batch>{1e300} * 10).item() == 1e301);
}

TEST_CASE("Random draws are those of the eager tensors") {
  const tensor<key> k(key(9));
  const tensor<f32, batch> like{1, 2, 3, 4, 5};
  CHECK(all_equal(eval(uniform_like(like, k) + 0 * like), uniform(key(9), batch == 5)));
  CHECK(all_close(eval(normal_like(like, k) + 0 * like), normal(key(9), batch == 5), 1e-5));
}

TEST_CASE("Empty tensors") {
  const auto none = zeros<f32>(batch == 0, feature == 4);
  CHECK(eval(exp(none) + 1).shape() == std::vector<i64>{0, 4});
  CHECK(eval(sum(none)).item() == 0);
  CHECK(all_equal(eval(sum(none, batch)), zeros<f32>(feature == 4)));
}

TEST_CASE("Large tensors, on all cores") {
  const auto a = uniform(key(1), batch == 300, feature == 1000);
  const auto c = eval(exp(a) * 2 + sqrt(a));
  double most = 0;
  for (i64 i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a.data()[i]), expected = std::exp(x) * 2 + std::sqrt(x);
    most = std::max(most, std::abs(static_cast<double>(c.data()[i]) - expected) / expected);
  }
  CHECK(most < 1e-6);
}

TEST_CASE("dropout takes a key that is known now") {
  const auto t = ones<f32>(batch == 1000);
  const auto once = eval(dropout(t, 0.25, key(1))).to_vector();
  const auto kept = std::ranges::count_if(once, [](float v) { return v != 0; });
  CHECK(kept > 680);
  CHECK(kept < 820);
  CHECK(eval(dropout(t * 1, 0.25, key(1))).to_vector() == once);
  CHECK(eval(dropout(t, 0.25, key(2))).to_vector() != once);
  const auto draws = uniform(key(1), batch == 1000);  // the same draws, made by rule
  for (i64 i = 0; i < 1000; ++i) CHECK((once[static_cast<std::size_t>(i)] != 0) == (draws(i) >= 0.25f));
}

TEST_CASE("errors name the operands of an expression by their places") {
  const auto two = ones<f32>(batch == 2), three = ones<f32>(batch == 3);
  CHECK_THROWS_WITH(eval(two * 2 + three),
                    "operand #2: axis batch cannot have extent 3: elsewhere it has extent 2");
  CHECK_THROWS_WITH(
      eval(two + tensor<f32, batch>{}),
      "flame::eval(e): operand #1 of e, of the tensors and numbers in it from #0 on, is a tensor "
      "without memory");
}

}  // namespace eager_test
