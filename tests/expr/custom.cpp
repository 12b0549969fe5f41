// Functions with a derivative that the user gives: values, gradients, inside and outside of traced functions.
#include <doctest/doctest.h>
#include <flame/expr/custom.hpp>
#include <flame/language.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

namespace custom_test {

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f64, row, col> {
} x;
inline constexpr struct y : input<f64, col> {
} y;
inline constexpr struct k : input<i32, row> {
} k;

// Rounds, and lets the gradient through as if it did not.
inline constexpr auto through = custom([](auto v) { return floor(v + 0.5); }, [](auto, auto d) { return d; });

// The product, with a derivative that is wrong on purpose: twice and three times the true one.
struct scaled_product {
  constexpr auto operator()(auto a, auto b) const { return a * b; }
};
struct scaled_derivative {
  constexpr auto operator()(auto a, auto b, auto d) const { return outputs(2 * d * b, sum(3 * d * a, row)); }
};
inline constexpr auto product = custom(scaled_product{}, scaled_derivative{});

// Several outputs, an integer argument between the floating ones, a gradient that lacks axes.
inline constexpr auto several =
    custom([](auto a, auto i, auto b) { return outputs(a * b, a + cast<f64>(i)); },
           [](auto, auto, auto, auto d, auto e) { return outputs(d + e, sum(e)); });

const tensor<f64, row, col> a{{0.2, 1.7, -2.4}, {3.5, -0.6, 0.1}};
const tensor<f64, col> b{2, -1, 0.5};

TEST_CASE("The value is the function's, the gradient the one given") {
  auto value = compile<host>(through(x), x);
  CHECK(all_equal(value(a), tensor<f64, row, col>{{0, 2, -2}, {4, -1, 0}}));
  auto gradient = compile<host>(grad(sum(through(x) * y), x), x, y);
  CHECK(all_equal(gradient(a, b), tensor<f64, row, col>{{2, -1, 0.5}, {2, -1, 0.5}}));
  auto plain = compile<host>(grad(sum(floor(x + 0.5) * y), x), x, y);
  CHECK(all_equal(plain(a, b), zeros<f64>(row == 2, col == 3)));
}

TEST_CASE("Several arguments have their gradients in order") {
  auto f = compile<host>(value_and_grad(sum(product(x, y)), x, y), x, y);
  auto [value, dx, dy] = f(a, b);
  CHECK(value.item() == doctest::Approx(0.4 - 1.7 - 1.2 + 7 + 0.6 + 0.05));
  CHECK(all_close(dx, tensor<f64, row, col>{{4, -2, 1}, {4, -2, 1}}));
  CHECK(all_close(dy, tensor<f64, col>{3 * 3.7, 3 * 1.1, 3 * -2.3}));
  // Of one argument alone.
  auto g = compile<host>(grad(sum(product(x, y)), y), x, y);
  CHECK(all_close(g(a, b), dy));
}

TEST_CASE("Several outputs, an integer argument, gradients that are repeated along axes that they lack") {
  const auto [p, q] = several(x, k, y);
  auto f = compile<host>(value_and_grad(sum(p) + 10_c * sum(q), x, y), x, k, y);
  const tensor<i32, row> n{4, 5};
  auto [value, dx, dy] = f(a, n, b);
  CHECK(value.item() == doctest::Approx((0.4 - 1.7 - 1.2 + 7 + 0.6 + 0.05) + 10 * (2.5 + 27)));
  CHECK(all_close(dx, full<f64>(11, row == 2, col == 3)));
  CHECK(all_close(dy, full<f64>(60, col == 3)));
}

TEST_CASE("The derivative is differentiated by its own formula") {
  // d/dx of product is 2 d b; its derivative in b is 2 d.
  auto f = compile<host>(grad(sum(grad(sum(product(x, y)), x)), y), x, y);
  CHECK(all_close(f(a, b), full<f64>(4, col == 3)));
}

struct net {
  constexpr auto operator()(auto v, auto w) const { return sum(through(2 * v) * product(v, w)); }
};

TEST_CASE("Inside a traced function, and of tensors at once") {
  constexpr const function_info* f =
      function_of<net, shape<f64, struct row, struct col>, shape<f64, struct col>>;
  static_assert(f->function_count == 2);
  CHECK(all_equal(eval(through(a) + through(a * 2)), tensor<f64, row, col>{{0, 5, -7}, {11, -2, 0}}));
  CHECK(all_equal(eval(sum(product(a, b), row)), eval(sum(a * b, row))));
}

TEST_CASE("A call is one formula and one type, however often it is written") {
  static_assert(same<decltype(through(x) + through(x)), decltype(2_c * through(x))>);
  static_assert(!same<decltype(through(x)), decltype(floor(x + 0.5_c))>);
  CHECK(true);
}

}  // namespace custom_test
