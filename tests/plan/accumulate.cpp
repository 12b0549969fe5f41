// Sums of products: which steps go, that the rest means the same, and what stays as it is.
#include <flame/plan/epilogue.hpp>
#include <flame/plan/library.hpp>

#include "rewritten.hpp"

namespace accumulate_test {

using namespace flame;
using namespace flame::literals;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<5> {
} token;
inline constexpr struct channel : dim<6> {
} channel;
inline constexpr struct feature : dim<8> {
} feature;
inline constexpr struct rank : dim<2> {
} rank;
inline constexpr struct x : input<f32, batch, token, channel> {
} x;
inline constexpr struct other : input<f32, batch, token, channel> {
} other;
inline constexpr struct weight : input<f32, feature, channel> {
} weight;
inline constexpr struct second : input<f32, feature, channel> {
} second;
inline constexpr struct down : input<f32, rank, channel> {
} down;
inline constexpr struct up : input<f32, feature, rank> {
} up;
inline constexpr struct bias : input<f32, feature> {
} bias;
inline constexpr struct residual : input<f32, batch, token, feature> {
} residual;

const auto h = ones<f32>(batch == 3, token, channel);
const auto w = ones<f32>(feature, channel);
const auto a = ones<f32>(rank, channel);
const auto b = ones<f32>(feature, rank);
const auto c = ones<f32>(feature);
const auto r = ones<f32>(batch == 3, token, feature);

template <class F, class... T> int summed(F& f, const T&... arguments) {
  return plan_tests::taken_away(sum_in_products, f, arguments...);
}
// How many products of a rewritten program add to what is there.
template <class F, class... T> int adding(F& f, const T&... arguments) {
  program p = f.plan(arguments...);
  sum_in_products(p);
  int found = 0;
  for (const program_step& s : p.steps)
    if (!s.code && s.library == op::contract) found += library::contraction_of(s).accumulate;
  return found;
}

TEST_CASE("an adapter adds to what its layer made") {
  auto f = compile<host>(matmul(x, weight, channel) + matmul(matmul(x, down, channel), up, rank), x, weight,
                         down, up);
  CHECK(summed(f, h, w, a, b) == 1);
  CHECK(adding(f, h, w, a, b) == 1);
}

TEST_CASE("a sum of three products is three products") {
  auto f = compile<host>(
      matmul(x, weight, channel) + matmul(other, weight, channel) + matmul(other, second, channel), x, weight,
      other, second);
  CHECK(summed(f, h, w, h, w) == 1);
  CHECK(adding(f, h, w, h, w) == 2);
}

TEST_CASE("a bias of the sum is the first product's") {
  auto f = compile<host>(matmul(x, weight, channel) + matmul(matmul(x, down, channel), up, rank) + bias, x,
                         weight, down, up, bias);
  auto both = [](program& p) {
    sum_in_products(p);
    fold_into_products(p);
  };
  CHECK(plan_tests::taken_away(both, f, h, w, a, b, c) == 1);
  program p = f.plan(h, w, a, b, c);
  both(p);
  int biased = 0;
  for (const program_step& s : p.steps) {
    REQUIRE(!s.code);
    biased += library::contraction_of(s).biased && !library::contraction_of(s).accumulate;
  }
  CHECK(biased == 1);
  CHECK(p.steps.size() == 3);
}

TEST_CASE("what else is added stays a step, of one operand less") {
  auto f =
      compile<host>(matmul(x, weight, channel) + bias + matmul(matmul(x, down, channel), up, rank) + residual,
                    x, weight, bias, down, up, residual);
  CHECK(summed(f, h, w, c, a, b, r) == 0);
  CHECK(adding(f, h, w, c, a, b, r) == 1);
}

TEST_CASE("a group that begins with a sum of products reads it") {
  auto f = compile<host>(tanh(matmul(x, weight, channel) + matmul(other, second, channel)) * residual +
                             exp(residual - matmul(x, second, channel)),
                         x, weight, other, second, residual);
  CHECK(summed(f, h, w, h, w, r) == 0);
  CHECK(adding(f, h, w, h, w, r) == 1);
  auto row =
      compile<host>(softmax(matmul(x, weight, channel) + matmul(matmul(x, down, channel), up, rank), feature),
                    x, weight, down, up);
  CHECK(summed(row, h, w, a, b) == 0);
  CHECK(adding(row, h, w, a, b) == 1);
  program p = row.plan(h, w, a, b);
  const i64 before = p.steps.size();
  sum_in_products(p);
  CHECK(p.steps.back().tensors.size() == 2);
  CHECK(p.steps.size() == before);
}

TEST_CASE("the gradient of what two layers read") {
  const auto loss = sum(tanh(matmul(x, weight, channel)) * 2_c) + sum(sin(matmul(x, second, channel)));
  auto f = compile<host>(grad(loss, x), x, weight, second);
  CHECK(adding(f, h, w, w) == 1);
  CHECK(summed(f, h, w, w) == 1);
}

TEST_CASE("a product that is read elsewhere, or another element, or a product of itself stays") {
  const auto y = matmul(x, weight, channel);
  auto twice = compile<host>(y + y, x, weight);
  CHECK(adding(twice, h, w) == 0);
  auto read = compile<host>(y + matmul(other, weight, channel) + tanh(y), x, weight, other);
  CHECK(adding(read, h, w, h) == 0);
  auto wide = compile<host>(cast<f64>(y) + cast<f64>(matmul(other, weight, channel)), x, weight, other);
  CHECK(adding(wide, h, w, h) == 0);
  auto turned = compile<host>(
      permute(y, feature, batch, token) + permute(matmul(other, weight, channel), feature, batch, token), x,
      weight, other);
  CHECK(adding(turned, h, w, h) == 1);
}

}  // namespace accumulate_test
