// Groups that reduce nothing, on a GPU: rows of every length, whole in a block, in several, and divided;
// squares; numbers beyond what sin and cos reduce quickly.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <flame/language.hpp>
#include <flame/run/function.hpp>

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct batch : dim<> {
} batch;

// Sums, differences and maxima: the host's bits.
template <class T> void check_rows(i64 rows, i64 columns) {
  CAPTURE(rows);
  CAPTURE(columns);
  const auto a = normal(key(1), row == rows, col == columns).template cast<T>();
  const auto b = normal(key(2), row == rows, col == columns).template cast<T>();
  const auto along = normal(key(3), col == columns).template cast<T>();
  const auto down = normal(key(4), row == rows).template cast<T>();
  const auto u = to<cuda>(a), v = to<cuda>(b);
  const auto x = to<cuda>(along);
  const auto y = to<cuda>(down);
  CHECK(same_values(eval(relu(u + x) - v), eval(relu(a + along) - b)));
  CHECK(same_values(eval(maximum(u - y, x)), eval(maximum(a - down, along))));
  CHECK(same_values(eval(iota<i32>(col, u) - cast<i32>(u + x)),
                    eval(iota<i32>(col, a) - cast<i32>(a + along))));
}
TEST_CASE("a row is added to rows of every length") {
  for (i64 columns :
       {1, 2, 3, 5, 8, 24, 80, 100, 640, 999, 1000, 1024, 4096, 4100, 8192, 8200, 16384, 20000, 66000})
    for (i64 rows : {1, 3, 64, 67}) {
      check_rows<f32>(rows, columns);
      check_rows<bf16>(rows, columns);
    }
  check_rows<f64>(37, 641);
  check_rows<f32>(200000, 12);  // more rows than a grid is high
  check_rows<bf16>(70000, 2);
}

TEST_CASE("batches of rows, and of squares more than a grid is high") {
  for (i64 batches : {1, 5, 66000}) {
    const auto a = normal(key(1), batch == batches, row == 16, col == 16);
    const auto b = normal(key(2), batch == batches, col == 16, row == 16);
    const auto along = normal(key(3), col == 16);
    const auto u = to<cuda>(a);
    const auto v = to<cuda>(b);
    const auto x = to<cuda>(along);
    CHECK(same_values(eval(relu(u + x)), eval(relu(a + along))));
    CHECK(same_values(eval(u - v.permute(batch, row, col)), eval(a - b.permute(batch, row, col))));
  }
  const auto a = normal(key(1), row == 2200000, col == 16);
  const auto b = normal(key(2), col == 16, row == 2200000);
  CHECK(same_values(eval(to<cuda>(a) - to<cuda>(b).permute(row, col)), eval(a - b.permute(row, col))));
}

TEST_CASE("sin and cos of numbers of any size, beside each other") {
  std::vector<float> x;
  for (float f :
       {0.0f, -0.0f, 1e-30f, 0.5f, 3.14159274f, 1e4f, 99999.0f, 1.1e5f, -1e7f, 1e20f, 3e38f, -3e38f})
    for (float g : {1.0f, 1.0625f, -0.75f}) x.push_back(f * g), x.push_back(g);
  const auto a = tensor<f32, col>({static_cast<i64>(x.size())}, std::span<const float>(x));
  const auto u = to<cuda>(a);
  const tensor<f64, col> wide = a.cast<f64>();
  CHECK(distance(eval(sin(u)), eval(sin(wide))) < 2e-7);
  CHECK(distance(eval(cos(u)), eval(cos(wide))) < 2e-7);
  CHECK(distance(eval(sin(to<cuda>(wide)) + cos(to<cuda>(wide))), eval(sin(wide) + cos(wide))) < 1e-15);
  CHECK(std::signbit(eval(sin(u)).to_vector()[6]));
}

}  // namespace
