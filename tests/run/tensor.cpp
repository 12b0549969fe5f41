// Tensors: construction, elements, views, copies, conversions, and what is refused.
#include <doctest/doctest.h>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>

#include <cmath>
#include <limits>

#include "../support.hpp"

namespace tensor_test {

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct layer : dim<> {
} layer;
inline constexpr struct three : dim<3> {
} three;

using flame::tests::refusal;

TEST_CASE("Literals are as deep as the tensor has axes") {
  const tensor<f32, row, col> a{{1, 2, 3}, {4, 5, 6.5}};
  CHECK(a.shape() == std::vector<i64>{2, 3});
  CHECK(a.extent(row) == 2);
  CHECK(a.extent(col) == 3);
  CHECK(a.extent(-1) == 3);
  CHECK(a.size() == 6);
  CHECK(a.to_vector() == std::vector<f32>{1, 2, 3, 4, 5, 6.5});
  CHECK(a.dtype == dtype::f32);
  static_assert(tensor<f32, row, col>::rank == 2);

  CHECK(array<i32, 3>{{{1, 2}}, {{3, 4}}}.shape() == std::vector<i64>{2, 1, 2});
  CHECK(tensor<f64>(2.5).item() == 2.5);
  CHECK(tensor<f32, row>{7}.shape() == std::vector<i64>{1});
  CHECK(static_cast<float>(tensor<bf16, row>{1, 0.1}(1)) == static_cast<float>(bf16(0.1f)));
  CHECK(tensor<bool, row>{true, false}.to_vector() == std::vector<bool>{true, false});
  CHECK(tensor<key, row>{key(3)}(0) == key(3));
  CHECK(matrix<f32>{{}, {}}.shape() == std::vector<i64>{2, 0});

  CHECK(refusal([] {
          tensor<f32, row, col>{{1, 2}, {3}};
        }) == "flame::tensor::{values...}: along axis col one list has 1 values, another 2");
  CHECK(refusal([] {
          tensor<f32, three>{1, 2};
        }) == "flame::tensor: axis three is given extent 2, its type says 3");
  // Numbers that the element type cannot hold are refused by the compiler.
  static_assert(std::is_constructible_v<literal<f32>, double> && std::is_constructible_v<literal<i32>, int>);
  static_assert(!std::is_constructible_v<literal<i32>, double> &&
                !std::is_constructible_v<literal<bool>, int> && !std::is_constructible_v<literal<f32>, i64>);
}

TEST_CASE("Extents and values from vectors and spans") {
  const std::vector<f32> values{1, 2, 3, 4, 5, 6};
  const tensor<f32, row, three> a({2, 3}, values);
  CHECK(a(1, 2) == 6);
  CHECK(a.memory().bytes() == 24);
  CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
  CHECK(refusal([&] {
          tensor<f32, row, three>({2, 2}, values);
        }) == "flame::tensor: axis three is given extent 2, its type says 3");
  CHECK(refusal([&] {
          tensor<f32, row, col>({2, 2}, values);
        }) == "flame::tensor::copy_from(values): 6 values are given, expected 4");
  CHECK(refusal([&] { tensor<f32, row, col>(std::vector<i64>{2}); }) ==
        "flame::tensor: 1 extents are given, expected 2");
  CHECK(refusal([&] {
          tensor<f32, row, col>(std::vector<i64>{2, -1});
        }) == "flame::tensor: axis col is given extent -1, expected 0 or more");
  CHECK(refusal([&] {
          tensor<f32, row, col>(std::vector<i64>{i64{1} << 40, i64{1} << 40});
        }) == "flame::tensor: the product of its extents overflows");
}

TEST_CASE("Tensors made by rule, their axes named or not") {
  auto a = zeros<f32>(row == 2, three);
  static_assert(same<decltype(a), tensor<f32, row, three>>);
  CHECK(a.to_vector() == std::vector<f32>(6, 0.0f));
  static_assert(same<decltype(ones<i32>(2, 3)), matrix<i32>>);
  CHECK(ones<i32>(2, 3).to_vector() == std::vector<i32>(6, 1));
  CHECK(full<f16>(0.5, 4).cast<f32>().to_vector() == std::vector<f32>(4, 0.5f));
  CHECK(full_like(a, 3).to_vector() == std::vector<f32>(6, 3.0f));
  CHECK(zeros_like(a).shape() == a.shape());
  CHECK(arange<i32>(row == 4).to_vector() == std::vector<i32>{0, 1, 2, 3});
  CHECK(arange<f64>(4, 1, -0.5).to_vector() == std::vector<f64>{1, 0.5, 0, -0.5});
  CHECK(linspace<f64>(-1, 1, 5).to_vector() == std::vector<f64>{-1, -0.5, 0, 0.5, 1});
  CHECK(linspace<f64>(2, 3, 1).to_vector() == std::vector<f64>{2});
  CHECK(zeros<f32>(row == 0, col == 3).size() == 0);
}

TEST_CASE("Random tensors are a function of the key and the place") {
  auto u = uniform(key(3), 50, 40);
  CHECK(all_equal(u, uniform(key(3), 50, 40)));
  CHECK(!all_equal(u, uniform(key(4), 50, 40)));
  CHECK(u.reshape(2000).slice(0, 0, 7).to_vector() == uniform(key(3), 7).to_vector());
  double mean = 0, square = 0;
  for (f32 x : u.values()) {
    CHECK(x >= 0);
    CHECK(x < 1);
    mean += x / 2000.0;
  }
  CHECK(mean == doctest::Approx(0.5).epsilon(0.05));
  mean = 0;
  auto n = normal<f64>(key(3), row == 100, col == 100);
  for (f64 x : n.values()) mean += x / 1e4, square += x * x / 1e4;
  CHECK(std::abs(mean) < 0.04);
  CHECK(square == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("A copy of the handle shares the memory, a clone does not") {
  tensor<f32, row> a{1, 2, 3};
  tensor<f32, row> b = a, c = a.clone();
  a(0) = 9;
  CHECK(b(0) == 9);
  CHECK(c(0) == 1);
  a.fill(5);
  CHECK(b.to_vector() == std::vector<f32>{5, 5, 5});
  b.copy_from(c);
  CHECK(a.to_vector() == std::vector<f32>{1, 2, 3});
  CHECK(refusal([&] {
          a.copy_from(tensor<f32, row>{1, 2});
        }) == "flame::tensor::copy_from(x): x has the extents (2), expected (3)");
}

TEST_CASE("A copy between overlapping views reads what was there before") {
  auto a = arange<f32>(row == 6);
  a.slice(row, 1, 6).copy_from(a.slice(row, 0, 5));
  CHECK(a.to_vector() == std::vector<f32>{0, 0, 1, 2, 3, 4});
  a.slice(row, 0, 5).copy_from(a.slice(row, 1, 6));
  CHECK(a.to_vector() == std::vector<f32>{0, 1, 2, 3, 4, 4});
  a.slice(row, 0, 6, 2).copy_from(a.slice(row, 1, 6, 2));  // interleaved
  CHECK(a.to_vector() == std::vector<f32>{1, 1, 3, 3, 4, 4});
  matrix<f32> m{{1, 2}, {3, 4}};
  m.copy_from(m.transpose());
  CHECK(m.to_vector() == std::vector<f32>{1, 3, 2, 4});
}

TEST_CASE("Elements: bounds are checked, negative indices count from the end") {
  const tensor<f32, row, col> a{{1, 2, 3}, {4, 5, 6}};
  CHECK(a(1, -1) == 6);
  CHECK(a(-2, 0) == 1);
  CHECK(refusal([&] { (void)a(2, 0); }) ==
        "flame::tensor::operator(): index 2 is outside axis row of extent 2");
  CHECK(refusal([&] { (void)a(0, -4); }) ==
        "flame::tensor::operator(): index -4 is outside axis col of extent 3");
  CHECK(refusal([&] { (void)a.item(); }) == "flame::tensor::item(): the tensor has 6 elements, expected 1");
  CHECK(refusal([&] { (void)a.extent(2); }) == "flame::tensor::extent: axis 2 is given, the tensor has 2");
  CHECK(refusal([&] { (void)tensor<f32>().item(); }) ==
        "flame::tensor::item(): the tensor has 0 elements, expected 1");
  CHECK(refusal([&] { (void)matrix<f32>{{1}}(0, 1); }) ==
        "flame::tensor::operator(): index 1 is outside axis 1 of extent 1");
}

TEST_CASE("Views share the memory") {
  auto a = arange<f32>(24).reshape(layer == 2, row == 3, col == 4);
  auto middle = a.select(row, 1);
  static_assert(same<decltype(middle), tensor<f32, layer, col>>);
  CHECK(middle.to_vector() == std::vector<f32>{4, 5, 6, 7, 16, 17, 18, 19});
  CHECK(!middle.is_contiguous());
  CHECK(middle.stride(layer) == 12);
  middle(0, 0) = -1;
  CHECK(a(0, 1, 0) == -1);
  a(0, 1, 0) = 4;

  static_assert(same<decltype(a[0]), tensor<f32, row, col>>);
  CHECK(a[-1][0][2].item() == 14);

  auto turned = a.permute(col, layer, row);
  static_assert(same<decltype(turned), tensor<f32, col, layer, row>>);
  CHECK(turned.shape() == std::vector<i64>{4, 2, 3});
  CHECK(turned(3, 1, 2) == 23);
  CHECK(turned.data() == a.data());

  auto part = a.slice(col, 1, -1);
  CHECK(part.extent(col) == 2);
  CHECK(part(1, 2, 1) == 22);
  CHECK(a.slice(col, 0, a.to_end, 3).select(layer, 0).to_vector() == std::vector<f32>{0, 3, 4, 7, 8, 11});
  CHECK(a.slice(-1, 2).shape() == std::vector<i64>{2, 3, 2});
  CHECK(a.slice(col, 2, 2).size() == 0);
  auto named = a.slice(col, three, 1, 4);
  static_assert(same<decltype(named), tensor<f32, layer, row, three>>);
  CHECK(named(0, 0, 0) == 1);

  auto renamed = a.rename(row, three);
  static_assert(same<decltype(renamed), tensor<f32, layer, three, col>>);
  CHECK(renamed(1, 2, 3) == 23);
}

TEST_CASE("Views that do not fit are refused") {
  auto a = arange<f32>(12).reshape(row == 3, col == 4);
  CHECK(refusal([&] { (void)a.select(row, 3); }) ==
        "flame::tensor::select(axis, i): index 3 is outside axis row of extent 3");
  CHECK(refusal([&] { (void)a.slice(col, 1, 5); }) ==
        "flame::tensor::slice(axis, begin, end, step): begin 1, end 5, step 1 do not lie in axis col of "
        "extent 4");
  CHECK(refusal([&] { (void)a.slice(col, 3, 2); }) != "");
  CHECK(refusal([&] { (void)a.slice(col, 0, 4, 0); }) != "");
  CHECK(refusal([&] { (void)a.slice(col, three, 0, 2); }) ==
        "flame::tensor: axis three is given extent 2, its type says 3");
  CHECK(refusal([&] { (void)a.reshape(5, 2); }) ==
        "flame::tensor::reshape(extents...): (5, 2) are not the extents of 12 elements");
  CHECK(refusal([&] { (void)a.rename(col, three); }) ==
        "flame::tensor: axis three is given extent 4, its type says 3");
  CHECK(refusal([&] { (void)a.select(row, 0).slice(col, 0, 4, 2).values(); }) ==
        "flame::tensor::values(): the tensor is a view with strides; take contiguous() or to_vector() first");
}

TEST_CASE("Transposed, reshaped and made contiguous") {
  const matrix<f32> a{{1, 2, 3}, {4, 5, 6}};
  auto t = a.transpose();
  static_assert(same<decltype(t), matrix<f32>>);
  CHECK(t.shape() == std::vector<i64>{3, 2});
  CHECK(t(2, 0) == 3);
  CHECK(t.contiguous().to_vector() == std::vector<f32>{1, 4, 2, 5, 3, 6});
  CHECK(a.contiguous().data() == a.data());
  CHECK(t.reshape(-1).to_vector() == std::vector<f32>{1, 4, 2, 5, 3, 6});
  CHECK(a.reshape(3, -1).data() == a.data());
  CHECK(a.reshape(row == 6, col == -1).shape() == std::vector<i64>{6, 1});
  static_assert(same<decltype(tensor<f32, row, col>().transpose()), tensor<f32, col, row>>);
  CHECK(all_equal(t.transpose(), a));
  CHECK(a.reshape(1, 6).is_contiguous());
}

TEST_CASE("Casts convert as the language does") {
  const tensor<f64, row> a{1.9, -1.9, 300, 1e20, std::nan(""), 0};
  CHECK(a.cast<i32>().to_vector() == std::vector<i32>{1, -1, 300, 2147483647, 0, 0});
  CHECK(a.cast<u8>().to_vector() == std::vector<u8>{1, 0, 255, 255, 0, 0});
  CHECK(a.cast<bool>().to_vector() == std::vector<bool>{true, true, true, true, true, false});
  CHECK(static_cast<float>(a.cast<bf16>()(0)) == static_cast<float>(bf16(1.9f)));
  CHECK(tensor<f16, row>{70000}.cast<f32>()(0) == std::numeric_limits<f32>::infinity());
  CHECK(tensor<i32, row>{-1}.cast<u8>()(0) == 255);
  CHECK(tensor<bool, row>{true}.cast<f32>()(0) == 1);
  const matrix<f32> m{{1, 2}, {3, 4}};
  CHECK(m.transpose().cast<i32>().to_vector() == std::vector<i32>{1, 3, 2, 4});
}

TEST_CASE("Equal and nearly equal") {
  const tensor<f32, row> a{1, 2, std::nanf("")}, b{1, 2};
  CHECK(!all_equal(a, a));
  CHECK(all_equal(b, b.clone()));
  CHECK(!all_equal(a, b));
  CHECK(!all_close(a, a));
  CHECK(all_close(b, tensor<f32, row>{1, 2.00001}));
  CHECK(!all_close(b, tensor<f32, row>{1, 2.0001}));
  CHECK(all_close(b, tensor<f32, row>{1, 2.0001}, 1e-3));
  const f32 infinity = std::numeric_limits<f32>::infinity();
  CHECK(all_close(tensor<f32>(infinity), tensor<f32>(infinity)));
  CHECK(!all_close(tensor<f32>(1), tensor<f32>(infinity)));
}

}  // namespace tensor_test
