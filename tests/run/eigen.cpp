// Eigen as the independent reference of the host's contractions, and tensors as Eigen's maps.
// needs: Eigen3::Eigen
#include <doctest/doctest.h>

#include <flame/run/create.hpp>
#include <flame/run/eigen.hpp>
#include <flame/run/function.hpp>
#include <flame/run/matrix.hpp>

#include <cmath>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct deep : dim<> {
} deep;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct one : dim<1> {
} one;

template <class T>
concept has_map = requires(T (*make)()) {
  map(make());
};

using dense = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;
template <class T> dense wide(const T& t) { return map(t).template cast<double>(); }

// Each element within the rounding of its sum; Eigen makes its own in f64.
template <class T> bool is_product(const T& have, const dense& a, const dense& b) {
  if (have.extent(0) != a.rows() || have.extent(1) != b.cols()) return false;
  using E = typename T::element_type;
  const double unit = std::is_same_v<E, f64> ? 0x1p-53 : 0x1p-24;
  const double rounding = 2 * unit * (static_cast<double>(a.cols()) + 2);
  const dense want = a * b, size = a.cwiseAbs() * b.cwiseAbs();
  for (i64 i = 0; i < have.extent(0); ++i)
    for (i64 j = 0; j < have.extent(1); ++j)
      if (!(std::abs(static_cast<double>(have(i, j)) - want(i, j)) <= rounding * size(i, j))) return false;
  return true;
}

struct extents {
  i64 m, n, k;
};
constexpr extents sizes[] = {{1, 1, 1},      {1, 7, 5},      {7, 1, 5},     {5, 7, 1},     {3, 3, 3},
                             {17, 33, 9},    {64, 64, 64},   {1, 259, 131}, {259, 1, 131}, {97, 101, 103},
                             {130, 49, 300}, {31, 257, 700}, {0, 4, 3},     {4, 0, 3},     {4, 3, 0},
                             {0, 0, 0},      {2, 515, 1025}, {515, 2, 1025}};

template <class E> void products() {
  for (const extents& of : sizes) {
    const i64 m = of.m, n = of.n, k = of.k;
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    const auto a = normal<E>(key(1), row == m, inner == k);
    const auto a_turned = normal<E>(key(2), inner == k, row == m);
    const auto b = normal<E>(key(3), inner == k, col == n);
    const auto b_turned = normal<E>(key(4), col == n, inner == k);
    CHECK(is_product(eval(matmul(a, b, inner)), wide(a), wide(b)));
    CHECK(is_product(eval(matmul(a, b_turned, inner)), wide(a), wide(b_turned).transpose()));
    CHECK(is_product(eval(matmul(a_turned, b, inner)), wide(a_turned).transpose(), wide(b)));
    CHECK(is_product(eval(matmul(a_turned, b_turned, inner)), wide(a_turned).transpose(),
                     wide(b_turned).transpose()));
    // The result's axes the other way round, and a view of every second row.
    CHECK(is_product(eval(contract(a, b, col, row)), wide(b).transpose(), wide(a).transpose()));
    const auto half = a.slice(row, 0, a.to_end, 2);
    const auto packed = half.contiguous();
    CHECK(is_product(eval(matmul(half, b, inner)), wide(packed), wide(b)));
  }
}

template <class E> void batched() {
  for (const extents& of : sizes)
    for (i64 count : {0, 1, 3}) {
      const i64 m = of.m, n = of.n, k = of.k;
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      CAPTURE(count);
      const auto a = normal<E>(key(5), batch == count, row == m, inner == k);
      const auto b = normal<E>(key(6), batch == count, col == n, inner == k);
      const auto inside =
          normal<E>(key(7), row == m, batch == count, inner == k);  // the batch is no leading axis
      const auto y = eval(contract(a, b, batch, row, col));
      const auto z = eval(contract(inside, b, batch, row, col));
      REQUIRE(y.shape() == std::vector<i64>{count, m, n});
      for (i64 i = 0; i < count; ++i) {
        const auto a_i = a[i];
        const auto b_i = b[i];
        const auto y_i = y[i], z_i = z[i];
        const auto inside_i = inside.select(batch, i).clone();
        CHECK(is_product(y_i, wide(a_i), wide(b_i).transpose()));
        CHECK(is_product(z_i, wide(inside_i), wide(b_i).transpose()));
      }
    }
}

// Two axes summed at once are the products of matrices with one.
template <class E> void summed_pairs() {
  const auto a = normal<E>(key(8), row == 13, inner == 5, deep == 7);
  const auto b = normal<E>(key(9), inner == 5, deep == 7, col == 11);
  const auto a_flat = a.reshape(row == 13, inner == 35);
  const auto b_flat = b.reshape(inner == 35, col == 11);
  CHECK(is_product(eval(contract(a, b, row, col)), wide(a_flat), wide(b_flat)));
}

}  // namespace

TEST_CASE("products of every layout, f32") { products<f32>(); }
TEST_CASE("products of every layout, f64") { products<f64>(); }
TEST_CASE("batched products, f32") { batched<f32>(); }
TEST_CASE("batched products, f64") { batched<f64>(); }
TEST_CASE("sums over two axes") {
  summed_pairs<f32>();
  summed_pairs<f64>();
}

TEST_CASE("a map shares the tensor's memory; extents of the type stay in the type") {
  tensor<f32, row, three> a{{1, 2, 3}, {4, 5, 6}};
  auto m = map(a);
  static_assert(decltype(m)::ColsAtCompileTime == 3 && decltype(m)::RowsAtCompileTime == Eigen::Dynamic &&
                decltype(m)::IsRowMajor);
  CHECK(m(1, 0) == 4.0f);
  m.row(0) *= 10.0f;
  CHECK(a(0, 2) == 30.0f);

  const auto& read = a;
  static_assert(!std::is_assignable_v<decltype(map(read).coeffRef(0, 0)), float>);
  CHECK(map(read).sum() == 75.0f);

  tensor<f64, three> v{1, 2, 3};
  static_assert(decltype(map(v))::RowsAtCompileTime == 3 && decltype(map(v))::ColsAtCompileTime == 1);
  CHECK(map(v).squaredNorm() == 14.0);
  tensor<i32, row, one> narrow{{1}, {2}};
  CHECK(map(narrow).sum() == 3);
  matrix<f32> empty(std::vector<i64>{0, 4});
  CHECK(map(empty).size() == 0);
  static_assert(has_map<tensor<f32, row, col>&> && !has_map<tensor<f32, row, col>>);
}

TEST_CASE("tensors of expressions: products, arrays, columns, vectors") {
  Eigen::MatrixXd a(2, 3), b(3, 2);
  a << 1, 2, 3, 4, 5, 6;
  b << 1, 0, 0, 1, 1, 1;
  auto product = tensor_from<row, col>(a * b);
  static_assert(std::is_same_v<decltype(product), tensor<f64, row, col>>);
  CHECK(product.to_vector() == std::vector<double>{4, 5, 10, 11});
  CHECK(tensor_from<row, three>(a).to_vector() == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(tensor_from<row, three>(a.array() * 2).to_vector() == std::vector<double>{2, 4, 6, 8, 10, 12});
  CHECK(tensor_from<three, row>(a.transpose())(2, 0) == 3.0);
  CHECK(tensor_from<row>(a.col(1)).to_vector() == std::vector<double>{2, 5});
  CHECK(tensor_from<row>(a.row(1)).to_vector() == std::vector<double>{4, 5, 6});
  CHECK(tensor_from<row>(a.cast<float>().col(0))(1) == 4.0f);
  static_assert(std::is_same_v<decltype(tensor_from(a)), matrix<f64>>);
  // There and back.
  CHECK(map(product) == a * b);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(tensor_from<row>(a)),
      "flame::tensor_from<axis>(matrix): the matrix has 2 rows and 3 columns, expected a vector", error);
  CHECK_THROWS_WITH_AS(static_cast<void>(tensor_from<row, three>(b)),
                       "flame::tensor: axis three is given extent 2, its type says 3", error);
}

TEST_CASE("a view with gaps has no map") {
  tensor<f32, row, col> a{{1, 2, 3}, {4, 5, 6}};
  const auto turned = a.transpose();
  CHECK_THROWS_WITH_AS(
      static_cast<void>(map(turned)),
      "flame::map(t): t is a view with strides, expected a tensor without gaps; take contiguous() first",
      error);
  const auto dense_turned = turned.contiguous();
  CHECK(map(dense_turned)(2, 1) == 6.0f);
}
