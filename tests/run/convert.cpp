// Conversions of arrays: every pair of element types against the scalar conversion, at any length.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <flame/base/config.hpp>
#include <flame/run/host/convert.hpp>
#include <flame/type/dtype.hpp>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace flame;
namespace array = flame::host_kernels::array;

namespace {

template <class T> bool is_nan(T x) {
  if constexpr (std::is_integral_v<T>)
    return false;
  else
    return std::isnan(static_cast<double>(static_cast<float>(x)));
}

// The contract of array::convert, one element.
template <class To, class From> To scalar(From x) {
  if constexpr (std::is_same_v<To, From>)
    return x;
  else if constexpr (std::is_same_v<From, bf16> || std::is_same_v<From, f16>)
    return scalar<To>(static_cast<float>(x));
  else if constexpr (std::is_same_v<To, bf16> || std::is_same_v<To, f16>)
    return To(static_cast<float>(x));
  else if constexpr (std::is_same_v<To, bool>)
    return x != 0;
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(x)) return 0;
    From t = std::trunc(x);
    if (t <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (t >= std::ldexp(From(1), std::numeric_limits<To>::digits)) return std::numeric_limits<To>::max();
    return static_cast<To>(t);
  } else
    return static_cast<To>(x);
}

template <class T> std::vector<T> values() {
  std::vector<T> v;
  std::mt19937_64 random(7);
  if constexpr (std::is_same_v<T, bool>) {
    for (int i = 0; i < 200; ++i) v.push_back(random() & 1);
  } else if constexpr (std::is_integral_v<T>) {
    v = {0, 1, 2, 127, 255, std::numeric_limits<T>::max(), std::numeric_limits<T>::min()};
    for (int i = 0; i < 5000; ++i) v.push_back(static_cast<T>(random() >> (random() % 64)));
  } else {
    using limits = std::numeric_limits<double>;
    for (double x : {0.0,
                     0x1p-24,
                     0x1p-25,
                     0x1.8p-25,
                     0x1p-14,
                     0x1.ffcp-15,
                     65504.0,
                     65519.0,
                     65520.0,
                     65536.0,
                     254.5,
                     255.5,
                     256.0,
                     0.999,
                     2147483520.0,
                     2147483647.0,
                     2147483648.0,
                     0x1p63,
                     0x1.fffffep62,
                     3e38,
                     3.4e38,
                     1e300,
                     1e-40,
                     1e-45,
                     limits::infinity(),
                     limits::quiet_NaN()})
      for (double y : {x, -x}) v.push_back(T(static_cast<float>(y)));
    for (int i = 0; i < 20000; ++i)
      v.push_back(T(static_cast<float>(std::ldexp(double(random()) * 0x1p-63 - 1, int(random() % 70) - 30))));
    if constexpr (std::is_same_v<T, double>)
      for (int i = 0; i < 20000; ++i)
        v.push_back(std::ldexp(double(random()) * 0x1p-63 - 1, int(random() % 400) - 200));
  }
  return v;
}

template <class T> bool same(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 || (is_nan(a) && is_nan(b));
}

template <class To, class From> void check_pair() {
  std::vector<From> all = values<From>();
  // vector<bool> has no data().
  auto x = std::make_unique<From[]>(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) x[i] = all[i];
  auto run = [&](std::size_t begin, std::size_t n) {
    auto y = std::make_unique<To[]>(n + 1);
    std::memset(static_cast<void*>(y.get()), 1, (n + 1) * sizeof(To));
    To guard = y[n];
    array::convert(x.get() + begin, y.get(), i64(n));
    std::size_t wrong = !same(y[n], guard);
    for (std::size_t i = 0; i < n; ++i) wrong += !same(y[i], scalar<To>(x[begin + i]));
    return wrong;
  };
  INFO(std::string(name_of(dtype_of<From>)), " to ", std::string(name_of(dtype_of<To>)));
  CHECK(run(0, all.size()) == 0);
  std::size_t wrong = 0;
  for (std::size_t n = 0; n < 70; ++n) wrong += run(n % 5, n);
  CHECK(wrong == 0);
}

template <class From> void check_from() {
  check_pair<float, From>();
  check_pair<double, From>();
  check_pair<bf16, From>();
  check_pair<f16, From>();
  check_pair<i32, From>();
  check_pair<i64, From>();
  check_pair<u8, From>();
  check_pair<bool, From>();
}

}  // namespace

TEST_CASE("every pair of element types") {
  check_from<float>();
  check_from<double>();
  check_from<bf16>();
  check_from<f16>();
  check_from<i32>();
  check_from<i64>();
  check_from<u8>();
  check_from<bool>();
}

TEST_CASE_TEMPLATE("all 65,536 halves to f32 and back", H, bf16, f16) {
  std::vector<H> x(65536), back(65536);
  std::vector<float> y(65536);
  for (u32 i = 0; i < 65536; ++i) x[i].bits = static_cast<u16>(i);
  array::convert(x.data(), y.data(), 65536);
  array::convert(y.data(), back.data(), 65536);
  int wrong = 0;
  for (u32 i = 0; i < 65536; ++i) {
    wrong += !same(y[i], static_cast<float>(x[i]));
    wrong += !(is_nan(x[i]) ? is_nan(back[i]) : back[i] == x[i]);
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("f32 to halves: the same bits as the scalar type, NaN included", H, bf16, f16) {
  std::vector<float> x;
  for (u64 bits = 0; bits < u64{1} << 32; bits += 2039)
    x.push_back(__builtin_bit_cast(float, static_cast<u32>(bits)));
  for (u32 half = 0; half < 65536; ++half)  // every tie, and its neighbours
    for (u32 low : {0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u})
      x.push_back(__builtin_bit_cast(float, (half << 16) | low));
  std::vector<H> y(x.size());
  array::convert(x.data(), y.data(), i64(x.size()));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.size(); ++i) wrong += !(y[i] == H(x[i]));
  CHECK(wrong == 0);
}

TEST_CASE("in place where the elements are equally wide") {
  std::vector<float> x(37, -2.75f);
  x[36] = std::numeric_limits<float>::quiet_NaN();
  array::convert(x.data(), reinterpret_cast<i32*>(x.data()), 37);
  i32 y[37];
  std::memcpy(y, x.data(), sizeof y);
  CHECK(y[0] == -2);
  CHECK(y[35] == -2);
  CHECK(y[36] == 0);
}
