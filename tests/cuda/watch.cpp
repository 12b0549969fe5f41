// Watched programs on a GPU: the same bits, the first NaN and the step that failed named, no byte written or
// read that is nobody's.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <flame/language.hpp>
#include <flame/run/cuda/memory.hpp>
#include <flame/run/function.hpp>

#include "../run/watched.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_tests;

using namespace flame::tests;

TEST_CASE("watched programs give the same bits, gradients and all") {
  const auto a = normal<f32, cuda>(key(1), row == 133, col == 120);
  const auto u = normal<f32, cuda>(key(2), row == 133, inner == 57);
  const auto v = normal<f32, cuda>(key(3), inner == 57, col == 120);
  auto f = compile<cuda>(with_gradients, x, left, right);
  const auto [value, dx, dl, dr] = f(a, u, v);
  for (watch w : {watch::nans, watch::infinities, watch::nothing})
    for (int i = 0; i < 3; ++i) {
      const watched_for_now now(w);
      const auto [again, ax, al, ar] = f(a, u, v);
      CHECK(same_values(again, value));
      CHECK(same_values(ax, dx));
      CHECK(same_values(al, dl));
      CHECK(same_values(ar, dr));
    }
}

TEST_CASE("the first step that makes a NaN is named") {
  const device_tensor<f32, row, inner> l{{1, 2}, {3, 4}, {5, 6}};
  const device_tensor<f32, inner, col> r{{1, -1}, {1, 1}};
  auto f = compile<cuda>(roots, left, right);
  CHECK(std::isnan(f(l, r).to_vector()[0]));
  const watched_for_now now(watch::nans);
  const std::string text = refusal([&] { static_cast<void>(f(l, r)); });
  CHECK(text.starts_with("flame: step 2 of 2, row 3 x 2: result = "));
  CHECK(
      has(text, "(in expression) made a NaN where none of its operands has one, in result first at (row 0"));
}

TEST_CASE("a step that finds an index out of range is named, and all goes on") {
  const device_tensor<f32, row, col> a{{1, 2}, {3, 4}};
  auto f = compile<cuda>(gather(x, which, row) * 2, x, which);
  {
    const watched_for_now now(watch::nans);
    const std::string text = refusal([&] { static_cast<void>(f(a, device_tensor<i32, inner>{0, 2})); });
    CHECK(has(text, " of 2, gather "));
    CHECK(has(text, " failed: "));
  }
  CHECK(f(a, device_tensor<i32, inner>{1, 0}).to_vector() == std::vector<f32>{6, 8, 2, 4});
}

// The arena is asked for when the program is prepared: 4 TiB of a product that is not fused.
TEST_CASE("a program that needs more memory than there is says so before its first step") {
  const auto l = zeros<f32, cuda>(row == i64{1} << 20, inner == 8);
  const auto r = zeros<f32, cuda>(inner == 8, col == i64{1} << 20);
  auto f = compile<cuda>(roots, left, right);
  for (int i = 0; i < 2; ++i) {
    const std::string text = refusal([&] { static_cast<void>(f(l, r)); });
    CHECK(text.starts_with("flame::compile<cuda>: the GPU has too little memory: 4398"));
    CHECK(has(text, " are free; this process' tensors and programs use "));
  }
  CHECK(eval(l.slice(row, 0, 3) + 1).to_vector() == std::vector<f32>(24, 1));
}

}  // namespace
