// What a law for every operation cannot say: derivatives that are not those of the function, and where there
// is none.
#include "../laws.hpp"
#include "../numbers.hpp"

namespace flame::laws {
namespace {

const auto x = leaf<f64, row>("x");
const auto y = leaf<f64, row>("y");

// The gradient of the sum of output n with respect to x.
std::vector<double> gradient(int n, std::vector<double> at) {
  graph g = tape();
  list<const axis_info*> all;
  all.push(axis_ptr<struct row>);
  list<int> outputs, wrt;
  outputs.push(g.with_axes(op::sum, n, all));
  wrt.push(x.n);
  list<const leaf_info*> one;
  one.push(nullptr);
  g.outputs.clear();
  g = with_gradients(g, outputs, one, wrt);
  leaf_values given;
  const i64 count = static_cast<i64>(at.size());
  given[tape()[x.n].leaf] = make_value(dtype::f64, {count}, std::move(at));
  given[tape()[y.n].leaf] =
      make_value(dtype::f64, {count}, std::vector<double>(static_cast<std::size_t>(count), 1.0));
  extents e;
  e.bind(axis_ptr<struct row>, count, {});
  return evaluate(simplify(g), given, rounding::none, e)[0].data;
}
using numbers = std::vector<double>;

TEST_CASE("stop_gradient hides what it stands before, and nothing else") {
  CHECK(gradient((stop_gradient(x) * x).n, {2, -3}) == numbers{2, -3});
  CHECK(gradient((stop_gradient(x * x) + x).n, {2, -3}) == numbers{1, 1});
  CHECK(gradient(stop_gradient(exp(x)).n, {2, -3}) == numbers{0, 0});
}
TEST_CASE("no derivative is zero: steps, comparisons, integers, other leaves") {
  CHECK(gradient(sign(x).n, {2, -3}) == numbers{0, 0});
  CHECK(gradient(floor(x).n, {2.5, -3.5}) == numbers{0, 0});
  CHECK(gradient(cast<f64>(x < y).n, {2, -3}) == numbers{0, 0});
  CHECK(gradient(cast<f64>(cast<i32>(x)).n, {2, -3}) == numbers{0, 0});
  CHECK(gradient((y * y).n, {2, -3}) == numbers{0, 0});
}
TEST_CASE("at a point without a derivative") {
  CHECK(gradient(relu(x).n, {0, -0.0, 1, -1}) == numbers{0, 0, 1, 0});
  CHECK(gradient(abs(x).n, {0, -0.0, 1, -1}) == numbers{0, 0, 1, -1});
  CHECK(gradient(maximum(x, y).n, {1, 2, 0}) == numbers{0.5, 1, 0});
  CHECK(gradient(minimum(x, y).n, {1, 2, 0}) == numbers{0.5, 0, 1});
  CHECK(gradient(clamp(x, -1, 1).n, {-1, 1, 0, 2, -2}) == numbers{1, 1, 1, 0, 0});
  CHECK(gradient((max(x, row) + y * 0.0).n, {1, 3, 3, 2}) == numbers{0, 2, 2, 0});
  CHECK(gradient((prod(x, row) + y * 0.0).n, {2, 0, 3}) == numbers{0, 18, 0});
  CHECK(gradient((prod(x, row) + y * 0.0).n, {0, 0, 3}) == numbers{0, 0, 0});
}

}  // namespace
}  // namespace flame::laws
