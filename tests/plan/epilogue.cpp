// Scales and biases as part of products: which steps go, and that the rest means the same.
#include <flame/plan/epilogue.hpp>

#include "rewritten.hpp"

namespace epilogue_test {

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
inline constexpr struct head : dim<2> {
} head;
inline constexpr struct head_dim : dim<4> {
} head_dim;
inline constexpr struct x : input<f32, batch, token, channel> {
} x;
inline constexpr struct weight : input<f32, feature, channel> {
} weight;
inline constexpr struct bias : input<f32, feature> {
} bias;
inline constexpr struct row_bias : input<f32, token> {
} row_bias;
inline constexpr struct turned : dim<5> {
} turned;
inline constexpr struct other_token : dim<5> {
} other_token;
inline constexpr struct z : input<f32, batch, token, turned> {
} z;
inline constexpr struct square : input<f32, other_token, turned> {
} square;
inline constexpr struct third : input<f32, feature, token> {
} third;
inline constexpr struct other : input<f32, feature, channel> {
} other;

template <class F, class... T> int folded(F& f, const T&... arguments) {
  return plan_tests::taken_away([](program& p) { fold_into_products(p); }, f, arguments...);
}

const auto h = ones<f32>(batch == 3, token, channel);
const auto w = ones<f32>(feature, channel);
const auto b = ones<f32>(feature);

TEST_CASE("a bias along the result's last axis is the product's") {
  auto f = compile<host>(matmul(x, weight, channel) + bias, x, weight, bias);
  CHECK(folded(f, h, w, b) == 1);
  auto reordered =
      compile<host>(permute(matmul(x, weight, channel) + bias, feature, batch, token), x, weight, bias);
  CHECK(folded(reordered, h, w, b) <= 1);
}

TEST_CASE("a scale that is known before or behind a product is the product's") {
  auto scale = rsqrt(extent<f32>(channel, x));
  auto behind = compile<host>(matmul(x, weight, channel) * scale, x, weight);
  CHECK(folded(behind, h, w) == 1);
  auto before = compile<host>(matmul(x * scale, weight, channel), x, weight);
  CHECK(folded(before, h, w) == 1);
  auto both = compile<host>(matmul(x * scale, weight, channel) * 3_c, x, weight);
  CHECK(folded(both, h, w) == 2);
  auto number = compile<host>(matmul(x, weight, channel) * 3.0, x, weight);  // an argument of the program
  CHECK(folded(number, h, w) == 0);
}

TEST_CASE("what is read elsewhere too stays") {
  auto product = matmul(x, weight, channel);
  auto f = compile<host>((product + bias) * sum(product * product), x, weight, bias);
  CHECK(folded(f, h, w, b) == 0);
  auto scaled = x * 3_c;
  auto g = compile<host>(matmul(scaled, weight, channel) * sum(tanh(scaled)), x, weight);
  CHECK(folded(g, h, w) == 0);
}

TEST_CASE("a bias along another axis, or as large as the result, stays") {
  auto f = compile<host>(matmul(x, weight, channel) + row_bias, x, weight, row_bias);
  CHECK(folded(f, h, w, ones<f32>(token)) == 0);
}

TEST_CASE("what turns the result as well stays, however alike the extents are") {
  auto y = matmul(z, square, turned);  // [batch, token, other_token], both of 5
  const auto a = ones<f32>(batch == 3, token, turned);
  const auto s = ones<f32>(other_token, turned);
  auto scaled = compile<host>(permute(y, batch, other_token, token) * 3_c, z, square);
  CHECK(folded(scaled, a, s) == 0);
  auto biased = compile<host>(permute(y, batch, other_token, token) + row_bias, z, square, row_bias);
  CHECK(folded(biased, a, s, ones<f32>(token)) == 0);
  auto before = compile<host>(matmul(permute(z, batch, turned, token) * 3_c, third, token), z, third);
  CHECK(folded(before, a, ones<f32>(feature, token)) == 0);
}

TEST_CASE("attention by hand: the biases of its layers and its scale") {
  auto heads = [](const auto& a) { return split(a, feature, head, head_dim); };
  auto q = heads(matmul(x, weight, channel) + bias);
  auto k = heads(matmul(x, other, channel) + bias);
  auto y = attention(q, k, k, token, head_dim, [](const auto& scores) { return scores; });
  auto f = compile<host>(y, x, weight, other, bias);
  CHECK(folded(f, h, w, w, b) == 3);
  auto gradients = compile<host>(grad(sum(y * y), x, weight, other, bias), x, weight, other, bias);
  CHECK(folded(gradients, h, w, w, b) >= 5);
}

}  // namespace epilogue_test
