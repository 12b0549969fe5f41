// A program for GPUs on a machine without one: everything says so in words, and the host's side goes on
// working.
//
// labels: cuda
// needs: flame::cuda
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <cstdlib>
#include <string>

#include "../support.hpp"

namespace {

using namespace flame;

// As if there were none, before CUDA looks.
const int hidden = setenv("CUDA_VISIBLE_DEVICES", "", 1);

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;

using flame::tests::refusal;

TEST_CASE("there are no devices") {
  CHECK(hidden == 0);
  CHECK(cuda::device_count() == 0);
  CHECK(refusal([] { cuda::set_device(0); }) == "flame::cuda: there is no device 0: the machine has 0");
}

TEST_CASE("what would use one is refused, again and again") {
  const std::string expected = "flame::cuda: there is no NVIDIA GPU here, or no driver for it";
  for (int i = 0; i < 2; ++i) {
    CHECK(refusal([] { static_cast<void>(zeros<f32, cuda>(row == 3)); }) == expected);
    CHECK(refusal([] { static_cast<void>(to<cuda>(zeros<f32>(row == 3))); }) == expected);
    CHECK(refusal([] { cuda::synchronize(); }) == expected);
    auto f = compile<cuda>(x * 2, x);
    CHECK(refusal([&] {
            static_cast<void>(f(basic_tensor<cuda, f32, tag_of<row>>()));
          }).find("without memory") != std::string::npos);
  }
}

TEST_CASE("the host needs none") {
  const tensor<f32, row> a{1, 2, 3};
  CHECK(eval(a * 2).to_vector() == std::vector<f32>{2, 4, 6});
}

}  // namespace
