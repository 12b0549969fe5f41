// What a concatenation joins is written where it stands there; what the slices of a value hand back, if they
// tile an axis, is joined and not summed up among zeros.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <cmath>

namespace parts_test {

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct two : dim<2> {
} two;
inline constexpr struct whole : dim<> {
} whole;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct four : dim<4> {
} four;
inline constexpr struct seven : dim<7> {
} seven;
inline constexpr struct eight : dim<8> {
} eight;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct twelve : dim<12> {
} twelve;
inline constexpr struct x : input<f32, row, three> {
} x;
inline constexpr struct y : input<f32, row, four> {
} y;
inline constexpr struct turned : input<f32, four, row> {
} turned;
inline constexpr struct u : input<f32, row, three, col> {
} u;
inline constexpr struct v : input<f32, row, twelve> {
} v;
inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct up : input<f32, col, wide> {
} up;
inline constexpr struct down : input<f32, wide, col> {
} down;
inline constexpr struct across : input<f32, three, four> {
} across;

const auto a = normal(key(1), row == 5, three);
const auto b = normal(key(2), row == 5, four);
const auto c = normal(key(3), four, row == 5);

int copies(const program& p) {
  int n = 0;
  for (const program_step& s : p.steps) n += s.code && s.code->body.size() == 2;
  return n;
}

TEST_CASE("values of groups are made in their places") {
  auto f = compile<host>(concatenate(sin(x), three, cos(y), four, seven), x, y);
  const auto r = f(a, b);
  CHECK(copies(f.plan(a, b)) == 0);
  for (i64 i = 0; i < 5; ++i) {
    for (i64 k = 0; k < 3; ++k) CHECK(r(i, k) == doctest::Approx(std::sin(a(i, k))).epsilon(1e-5));
    for (i64 k = 0; k < 4; ++k) CHECK(r(i, k + 3) == doctest::Approx(std::cos(b(i, k))).epsilon(1e-5));
  }
}
TEST_CASE("in an order of axes that is not the result's") {
  auto f = compile<host>(concatenate(sin(x), three, exp(turned), four, seven), x, turned);
  const auto r = f(a, c);
  CHECK(copies(f.plan(a, c)) == 0);
  for (i64 i = 0; i < 5; ++i) {
    for (i64 k = 0; k < 3; ++k) CHECK(r(i, k) == doctest::Approx(std::sin(a(i, k))).epsilon(1e-5));
    for (i64 k = 0; k < 4; ++k) CHECK(r(i, k + 3) == doctest::Approx(std::exp(c(k, i))).epsilon(1e-5));
  }
}
TEST_CASE("what stands elsewhere, or is wanted elsewhere, is copied") {
  auto inputs = compile<host>(concatenate(x, three, y, four, seven), x, y);
  const auto plain = inputs(a, b);
  CHECK(copies(inputs.plan(a, b)) == 2);
  CHECK(plain(4, 6) == b(4, 3));
  const auto s = sin(y);
  auto twice = compile<host>(concatenate(s, four, s, four, eight), y);
  const auto r = twice(b);
  for (i64 i = 0; i < 5; ++i)
    for (i64 k = 0; k < 4; ++k) CHECK(r(i, k) == r(i, k + 4));
  CHECK(r(2, 7) == doctest::Approx(std::sin(b(2, 3))).epsilon(1e-5));
  auto read = compile<host>(sum(concatenate(s, four, cos(y), four, eight), eight) * sum(s, four), y);
  const auto q = read(b);
  for (i64 i = 0; i < 5; ++i) {
    double sines = 0, cosines = 0;
    for (i64 k = 0; k < 4; ++k)
      sines += std::sin(static_cast<double>(b(i, k))), cosines += std::cos(static_cast<double>(b(i, k)));
    CHECK(q(i) == doctest::Approx((sines + cosines) * sines).epsilon(1e-4));
  }
}
TEST_CASE("also where the parts are merged, or have one element along an axis") {
  const auto t = normal(key(5), row == 4, three, col == 6);
  const auto t2 = normal(key(6), row == 4, twelve);
  auto f = compile<host>(concatenate(merge(exp(u), three, col, wide), wide, sin(v), twelve, whole), u, v);
  const auto r = f(t, t2);
  CHECK(copies(f.plan(t, t2)) == 0);
  for (i64 i = 0; i < 4; ++i) {
    for (i64 k = 0; k < 18; ++k)
      CHECK(r(i, k) == doctest::Approx(std::exp(t(i, k / 6, k % 6))).epsilon(1e-5));
    for (i64 k = 0; k < 12; ++k) CHECK(r(i, k + 18) == doctest::Approx(std::sin(t2(i, k))).epsilon(1e-5));
  }
  auto pairs = compile<host>(sum(stack_along(two, sin(x), cos(x)), row), x);
  const auto q = pairs(a);
  CHECK(copies(pairs.plan(a)) == 0);
  for (i64 k = 0; k < 3; ++k) {
    double sine = 0;
    for (i64 i = 0; i < 5; ++i) sine += std::sin(static_cast<double>(a(i, k)));
    CHECK(q(0, k) == doctest::Approx(sine).epsilon(1e-4));
  }
}
TEST_CASE("an element of the last axis is a view") {
  auto f = compile<host>(select<2>(x, three) * 2.0, x);
  const auto r = f(a);
  CHECK(f.plan(a).steps.size() == 1);
  for (i64 i = 0; i < 5; ++i) CHECK(r(i) == 2 * a(i, 2));
}
// Rows of parts lie between each other's: in bytes from first to last they overlap, and still none waits for
// another.
TEST_CASE("parts are made in the order in which least memory is alive") {
  const auto h1 = matmul(u, up, col);
  const auto h2 = matmul(h1, down, wide);
  const auto h3 = matmul(h2, across, three);
  const auto late = sum(cos(h3), col);
  const auto early = sum(sin(h1), wide);
  const auto t = normal(key(1), row == 64, three, col == 64);
  const auto a1 = normal(key(2), col == 64, wide == 64);
  const auto a2 = normal(key(3), wide == 64, col == 64);
  const auto a3 = normal(key(4), three, four);
  auto one = compile<host>(concatenate(early, three, late, four, seven), u, up, down, across);
  auto other = compile<host>(concatenate(late, four, early, three, seven), u, up, down, across);
  const i64 both = 64 * 64 * (3 + 4) * 4;  // h2 and h3
  CHECK(one.plan(t, a1, a2, a3).arena_bytes <= both);
  CHECK(other.plan(t, a1, a2, a3).arena_bytes <= both);
}
TEST_CASE("nothing is joined to nothing") {
  auto f = compile<host>(concatenate(sin(x), three, cos(y), four, seven), x, y);
  CHECK(f(normal(key(1), row == 0, three), normal(key(2), row == 0, four)).size() == 0);
}

// d/du of u0 u1 sin(u2): each slice's gradient stands in its place, without zeros that are filled in and
// added.
TEST_CASE("the gradient of slices that tile an axis") {
  const auto e = sum(select<0>(u, three) * select<1>(u, three) * sin(select<2>(u, three)));
  auto f = compile<host>(grad(e, u), u);
  const auto t = normal(key(5), row == 4, three, col == 6);
  const auto d = f(t);
  const program& p = f.plan(t);
  CHECK(copies(p) == 0);
  for (const program_step& s : p.steps) CHECK(s.code != nullptr);
  for (i64 i = 0; i < 4; ++i)
    for (i64 k = 0; k < 6; ++k) {
      const double t0 = t(i, 0, k), t1 = t(i, 1, k), t2 = t(i, 2, k);
      CHECK(d(i, 0, k) == doctest::Approx(t1 * std::sin(t2)).epsilon(1e-4));
      CHECK(d(i, 1, k) == doctest::Approx(t0 * std::sin(t2)).epsilon(1e-4));
      CHECK(d(i, 2, k) == doctest::Approx(t0 * t1 * std::cos(t2)).epsilon(1e-4));
    }
}
TEST_CASE("of slices that leave some of it out, or overlap, it is summed up as before") {
  const auto t = normal(key(5), row == 4, three, col == 6);
  const auto some = compile<host>(grad(sum(select<0>(u, three) * select<2>(u, three)), u), u)(t);
  CHECK(some(1, 0, 2) == t(1, 2, 2));
  CHECK(some(1, 1, 2) == 0);
  CHECK(some(1, 2, 2) == t(1, 0, 2));
  const auto both = compile<host>(grad(sum(select<0>(u, three) * select<1>(u, three) * select<2>(u, three)) +
                                           sum(exp(select<1>(u, three))),
                                       u),
                                  u)(t);
  CHECK(both(3, 1, 5) == doctest::Approx(t(3, 0, 5) * t(3, 2, 5) + std::exp(t(3, 1, 5))).epsilon(1e-4));
  CHECK(both(3, 2, 5) == doctest::Approx(t(3, 0, 5) * t(3, 1, 5)).epsilon(1e-4));
}
// An axis that is split keeps its name for a part of it, as in patches of an image.
TEST_CASE("of slices of an axis that was split") {
  const auto parts = split(v, twelve, three, four);
  const auto e = sum(select<0>(parts, three) * select<1>(parts, three) * select<2>(parts, three));
  const auto t = normal(key(6), row == 3, twelve);
  auto f = compile<host>(grad(e, v), v);
  const auto d = f(t);
  CHECK(copies(f.plan(t)) <= 1);  // of the whole, under its own axis, to the result
  for (i64 i = 0; i < 3; ++i)
    for (i64 k = 0; k < 4; ++k) {
      CHECK(d(i, k) == doctest::Approx(t(i, k + 4) * t(i, k + 8)).epsilon(1e-5));
      CHECK(d(i, k + 8) == doctest::Approx(t(i, k) * t(i, k + 4)).epsilon(1e-5));
    }
}

}  // namespace parts_test
