// Philox: the published answers, the elements of random tensors, and the host's arrays of them.
#include <doctest/doctest.h>

#include <cmath>
#include <flame/base/config.hpp>
#include <flame/base/philox.hpp>
#include <flame/run/host/random.hpp>
#include <numeric>
#include <vector>

using namespace flame;
namespace array = flame::host_kernels::array;

// The file kat_vectors of Random123, the authors' library: philox4x32, 10 rounds.
static_assert(philox4x32({{0, 0, 0, 0}}, 0, 0) ==
              philox_block{{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}});
static_assert(philox4x32({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u) ==
              philox_block{{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}});
static_assert(philox4x32({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u) ==
              philox_block{{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}});

static_assert(philox(0x299f31d0a4093822u, 0x85a308d3243f6a88u) ==
              philox4x32({{0x243f6a88u, 0x85a308d3u, 0, 0}}, 0xa4093822u, 0x299f31d0u));
static_assert(fold(1, 2) != fold(2, 1) && fold(1, 2) != fold(1, 3) && fold(1, u64{1} << 40) != fold(1, 0));
static_assert(uniform01(0) == 0 && uniform01(~0u) == 1 - 0x1p-24f && uniform01(0x80000000u) == 0.5f);
static_assert(uniform01(0, 0) == 0 && uniform01(~0u, ~0u) == 1 - 0x1p-53 && uniform01(0, 0x80000000u) == 0.5);

TEST_CASE("box_muller stays finite at the ends of its range") {
  for (u32 radius : {0u, 1u, 0x80000000u, ~0u})
    for (u32 angle : {0u, 0x40000000u, ~0u}) {
      normal_pair<float> a = box_muller(radius, angle);
      CHECK(std::hypot(a.first, a.second) <= 6.8f);
      normal_pair<double> b = box_muller(radius, radius, angle, angle);
      CHECK(std::hypot(b.first, b.second) <= 8.6);
    }
  CHECK(box_muller(0u, 0u).first == doctest::Approx(std::sqrt(66 * std::log(2.0))));
}

TEST_CASE_TEMPLATE("arrays of any start and length are the elements, one by one", T, float, double) {
  constexpr i64 total = 300;
  for (u64 key : {u64{0}, u64{0x0123456789abcdef}, ~u64{0}})
    for (i64 origin : {i64{0}, i64{5}, (i64{1} << 34) - 100, i64{1} << 60}) {  // counters beyond 32 bits too
      std::vector<T> uniform(total), normal(total);
      for (i64 i = 0; i < total; ++i) {
        array::fill_uniform(&uniform[std::size_t(i)], origin + i, 1, key);
        array::fill_normal(&normal[std::size_t(i)], origin + i, 1, key);
      }
      int different = 0;
      for (i64 i = 0; i < total; ++i) {
        u64 index = u64(origin + i);
        different += uniform[std::size_t(i)] != uniform_element<T>(key, index);
        T exact = normal_element<T>(key, index);  // each of log, sqrt, sin, cos and their product rounds
        T size = sizeof(T) == 4 ? T(6.8) : T(8.6), unit = sizeof(T) == 4 ? T(0x1p-24) : T(0x1p-53);
        different += !(std::fabs(normal[std::size_t(i)] - exact) <= 8 * unit * size);
      }
      CHECK(different == 0);
      int moved = 0;
      for (i64 begin = 0; begin < 70; ++begin)
        for (i64 n :
             {i64{0}, i64{1}, i64{2}, i64{3}, i64{15}, i64{16}, i64{17}, i64{32}, i64{33}, i64{200}}) {
          std::vector<T> u(static_cast<std::size_t>(n)), v(u);
          array::fill_uniform(u.data(), origin + begin, n, key);
          array::fill_normal(v.data(), origin + begin, n, key);
          for (i64 i = 0; i < n; ++i) {
            moved += u[std::size_t(i)] != uniform[std::size_t(begin + i)];
            moved += v[std::size_t(i)] != normal[std::size_t(begin + i)];
          }
        }
      CHECK(moved == 0);
    }
}

TEST_CASE_TEMPLATE("the moments and the tails are those of the distribution", T, float, double) {
  constexpr i64 n = 1 << 20;
  std::vector<T> v(n);
  auto mean = [&](auto f) {
    double s = 0;
    for (T x : v) s += f(double(x));
    return s / double(n);
  };
  // Five standard errors each.
  array::fill_uniform(v.data(), 0, n, 42);
  CHECK(std::fabs(mean([](double x) { return x; }) - 0.5) < 5 * 0.289 / 1024);
  CHECK(std::fabs(mean([](double x) { return x * x; }) - 1.0 / 3) < 5 * 0.298 / 1024);
  array::fill_normal(v.data(), 0, n, 42);
  CHECK(std::fabs(mean([](double x) { return x; })) < 5.0 / 1024);
  CHECK(std::fabs(mean([](double x) { return x * x; }) - 1) < 5 * 1.414 / 1024);
  CHECK(std::fabs(mean([](double x) { return x * x * x; })) < 5 * 3.873 / 1024);
  CHECK(std::fabs(mean([](double x) { return x * x * x * x; }) - 3) < 5 * 9.8 / 1024);
  CHECK(std::fabs(mean([](double x) { return std::fabs(x) > 3 ? 1.0 : 0.0; }) - 0.0026998) <
        5 * 0.052 / 1024);
  double covariance = 0;  // of neighbours, which share a radius
  for (i64 i = 0; i + 1 < n; ++i) covariance += double(v[std::size_t(i)]) * double(v[std::size_t(i + 1)]);
  CHECK(std::fabs(covariance / double(n)) < 5.0 / 1024);
}
