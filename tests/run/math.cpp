// The host's elementary functions: accuracy against wider libm, special values, independence of position.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <flame/base/config.hpp>
#include <flame/run/host/math.hpp>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace flame;
namespace array = flame::host_kernels::array;

using wide = long double;
template <class T> using unary = void (*)(const T*, T*, int);

// One function: its versions for both types, the exact value, the errors allowed in units in the last place,
// and a range where its interesting values lie.
struct subject {
  std::string name;
  unary<float> f32;
  unary<double> f64;
  wide (*exact)(wide);
  double error_f32, error_f64;
  double low, high;
};

wide exact_sigmoid(wide x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

const subject subjects[] = {
    {"exp", array::exp, array::exp, [](wide x) { return std::exp(x); }, 1.3, 1.3, -110, 90},
    {"expm1", array::expm1, array::expm1, [](wide x) { return std::expm1(x); }, 1.7, 1.7, -5, 5},
    {"log", array::log, array::log, [](wide x) { return std::log(x); }, 1, 1, 0, 3},
    {"log1p", array::log1p, array::log1p, [](wide x) { return std::log1p(x); }, 1, 1, -1, 3},
    {"sin", array::sin, array::sin, [](wide x) { return std::sin(x); }, 1.7, 1.7, -100, 100},
    {"cos", array::cos, array::cos, [](wide x) { return std::cos(x); }, 1.7, 1.7, -100, 100},
    {"tanh", array::tanh, array::tanh, [](wide x) { return std::tanh(x); }, 1.7, 2.5, -10, 10},
    {"sigmoid", array::sigmoid, array::sigmoid, exact_sigmoid, 2, 2, -100, 20},
    {"erf", array::erf, array::erf, [](wide x) { return std::erf(x); }, 1.3, 1.3, -6, 6},
    {"sqrt", array::sqrt, array::sqrt, [](wide x) { return std::sqrt(x); }, 0.5, 0.5, 0, 10},
    {"rsqrt", array::rsqrt, array::rsqrt, [](wide x) { return 1 / std::sqrt(x); }, 1.7, 1.7, 0, 10},
    {"reciprocal", array::reciprocal, array::reciprocal, [](wide x) { return 1 / x; }, 0.5, 0.5, -10, 10},
    {"floor", array::floor, array::floor, [](wide x) { return std::floor(x); }, 0, 0, -10, 10},
};

// |y - exact| in units in the last place of T at the exact value; overflow counts as the next power of two.
template <class T> double error_of(T y, wide exact) {
  using limits = std::numeric_limits<T>;
  if (std::isnan(exact)) return std::isnan(y) ? 0 : 1e30;
  if (std::isnan(y)) return 1e30;
  if (std::isinf(exact)) return wide(y) == exact ? 0 : 1e30;
  wide value = y, top = std::ldexp(wide(1), limits::max_exponent);
  if (std::isinf(y)) value = y > 0 ? top : -top;
  if (std::fabs(exact) > top) exact = exact > 0 ? top : -top;
  if (value == exact) return 0;
  int exponent = exact == 0 ? limits::min_exponent : std::max(std::ilogb(exact) + 1, limits::min_exponent);
  return double(std::fabs(value - exact) / std::ldexp(wide(1), exponent - limits::digits));
}

template <class T> struct worst {
  double error = 0;
  T x{}, y{}, result{};

  void take(double e, T x_, T y_, T result_) {
    if (e > error) error = e, x = x_, y = y_, result = result_;
  }
};

template <class T> void measure(const std::vector<T>& x, unary<T> f, wide (*exact)(wide), worst<T>& w) {
  std::vector<T> y(x.size());
  f(x.data(), y.data(), int(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) w.take(error_of(y[i], exact(x[i])), x[i], T(0), y[i]);
}

template <class T> T from_bits(u64 bits) {
  if constexpr (sizeof(T) == 4)
    return __builtin_bit_cast(float, static_cast<u32>(bits));
  else
    return __builtin_bit_cast(double, bits);
}
template <class T> u64 bits_of(T x) {
  if constexpr (sizeof(T) == 4)
    return __builtin_bit_cast(u32, x);
  else
    return __builtin_bit_cast(u64, x);
}
// NaNs have many bit patterns, and which one comes out is nobody's business.
template <class T> bool same(T a, T b) {
  return bits_of(a) == bits_of(b) || (std::isnan(a) && std::isnan(b));
}

// Every stride-th bit pattern; FLAME_MATH_STRIDE=1 visits every float there is. With it set, errors are
// printed.
u64 stride() {
  const char* text = std::getenv("FLAME_MATH_STRIDE");
  u64 n = text ? std::strtoull(text, nullptr, 10) : 0;
  return n ? n : 4093;
}

template <class T> std::vector<T> special_values() {
  using limits = std::numeric_limits<T>;
  std::vector<T> v;
  for (T x : {T(0),
              limits::denorm_min(),
              limits::min() / 2,
              limits::min(),
              limits::epsilon(),
              T(0.25),
              T(0.5),
              T(0.625),
              T(0.75),
              T(1),
              T(1.5),
              T(2),
              T(3),
              T(10),
              T(88.5),
              T(89),
              T(104),
              T(709.5),
              T(710),
              T(746),
              T(99999),
              T(1e5),
              T(100001),
              T(999999),
              T(1e6),
              T(1000001),
              T(1e10),
              T(1e30),
              limits::max() / 2,
              limits::max(),
              limits::infinity(),
              limits::quiet_NaN()})
    for (T y : {x, std::nextafter(x, T(0)), std::nextafter(x, limits::max())}) {
      v.push_back(y);
      v.push_back(-y);
    }
  for (int k = 1; k < 40; ++k)
    for (T s : {T(1), T(-1)}) v.push_back(s * T(k) * T(1.5707963267948966L));
  return v;
}

}  // namespace

TEST_CASE("f32 functions: every stride-th bit pattern") {
  for (const subject& s : subjects) {
    worst<float> w;
    std::vector<float> x;
    for (u64 bits = 0; bits < u64{1} << 32; bits += stride()) {
      x.push_back(from_bits<float>(bits));
      if (x.size() == 65536) {
        measure(x, s.f32, s.exact, w);
        x.clear();
      }
    }
    measure(x, s.f32, s.exact, w);
    measure(special_values<float>(), s.f32, s.exact, w);
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> near(s.low, s.high);
    for (int i = 0; i < 65536; ++i) x.push_back(float(near(random)));
    measure(x, s.f32, s.exact, w);
    INFO(s.name, " f32: ", w.error, " units at ", w.x, " gives ", w.result);
    CHECK(w.error <= s.error_f32);
    if (std::getenv("FLAME_MATH_STRIDE")) MESSAGE(s.name, " f32 ", w.error, " at ", w.x);
  }
}

TEST_CASE("f64 functions: random bit patterns and random values of the interesting range") {
  for (const subject& s : subjects) {
    worst<double> w;
    std::mt19937_64 random(2);
    std::uniform_real_distribution<double> near(s.low, s.high), sizes(-60, 10);
    std::vector<double> x = special_values<double>();
    for (int i = 0; i < 50000; ++i) {
      x.push_back(from_bits<double>(random()));
      x.push_back(near(random));
      x.push_back(std::exp2(sizes(random)));
      x.push_back(-std::exp2(sizes(random)));
    }
    measure(x, s.f64, s.exact, w);
    INFO(s.name, " f64: ", w.error, " units at ", w.x, " gives ", w.result);
    CHECK(w.error <= s.error_f64);
    if (std::getenv("FLAME_MATH_STRIDE")) MESSAGE(s.name, " f64 ", w.error, " at ", w.x);
  }
}

TEST_CASE_TEMPLATE("the sign of zero and the values at the ends", T, float, double) {
  using limits = std::numeric_limits<T>;
  constexpr T inf = limits::infinity(), nan = limits::quiet_NaN();
  auto is = [](const std::string& name, T x, T expected) {
    for (const subject& s : subjects)
      if (s.name == name) {
        T y;
        if constexpr (sizeof(T) == 4)
          s.f32(&x, &y, 1);
        else
          s.f64(&x, &y, 1);
        INFO(name, "(", x, ") = ", y, ", expected ", expected);
        CHECK(same(y, expected));
        return;
      }
    FAIL("no such function");
  };
  for (const char* odd : {"expm1", "log1p", "sin", "tanh", "erf", "sqrt", "floor"}) {
    is(odd, T(0), T(0));
    is(odd, -T(0), -T(0));
    is(odd, nan, nan);
  }
  is("exp", -T(0), T(1));
  is("exp", inf, inf);
  is("exp", -inf, T(0));
  is("exp", nan, nan);
  is("expm1", inf, inf);
  is("expm1", -inf, T(-1));
  is("log", T(0), -inf);
  is("log", -T(0), -inf);
  is("log", T(1), T(0));
  is("log", T(-1), nan);
  is("log", -limits::denorm_min(), nan);
  is("log", -inf, nan);
  is("log", inf, inf);
  is("log", nan, nan);
  is("log1p", T(-1), -inf);
  is("log1p", T(-1.5), nan);
  is("log1p", -inf, nan);
  is("log1p", inf, inf);
  is("sin", inf, nan);
  is("cos", -inf, nan);
  is("cos", -T(0), T(1));
  is("cos", nan, nan);
  is("tanh", inf, T(1));
  is("tanh", -inf, T(-1));
  is("sigmoid", T(0), T(0.5));
  is("sigmoid", inf, T(1));
  is("sigmoid", -inf, T(0));
  is("sigmoid", nan, nan);
  is("erf", inf, T(1));
  is("erf", -inf, T(-1));
  is("sqrt", T(-1), nan);
  is("sqrt", inf, inf);
  is("rsqrt", T(0), inf);
  is("rsqrt", -T(0), -inf);
  is("rsqrt", T(-1), nan);
  is("rsqrt", inf, T(0));
  is("reciprocal", -T(0), -inf);
  is("reciprocal", -inf, -T(0));
  is("floor", T(-0.5), T(-1));
  is("floor", limits::denorm_min(), T(0));
  is("floor", -limits::denorm_min(), T(-1));
  is("floor", -inf, -inf);
  is("floor", limits::max(), limits::max());
}

TEST_CASE_TEMPLATE("a result does not depend on position, length, alignment or aliasing", T, float, double) {
  std::vector<T> values = special_values<T>();
  std::mt19937_64 random(3);
  while (values.size() < 700)
    values.push_back(T(std::ldexp(double(random() % 20001) / 10000 - 1, int(random() % 12))));
  int total = int(values.size());
  for (const subject& s : subjects) {
    unary<T> f;
    if constexpr (sizeof(T) == 4)
      f = s.f32;
    else
      f = s.f64;
    std::vector<T> alone(values.size());
    for (int i = 0; i < total; ++i) f(&values[std::size_t(i)], &alone[std::size_t(i)], 1);
    int wrong = 0;
    for (int trial = 0; trial < 300; ++trial) {
      int begin = int(random() % 100), n = trial < 70 ? trial : int(random() % u64(total - begin));
      std::vector<T> y(values.begin(), values.end());
      f(values.data() + begin, y.data() + begin, n);
      for (int i = 0; i < total; ++i) {
        bool inside = i >= begin && i < begin + n;
        wrong += !same(y[std::size_t(i)], inside ? alone[std::size_t(i)] : values[std::size_t(i)]);
      }
      y = values;
      f(y.data() + begin, y.data() + begin, n);
      for (int i = begin; i < begin + n; ++i) wrong += !same(y[std::size_t(i)], alone[std::size_t(i)]);
    }
    INFO(s.name);
    CHECK(wrong == 0);
  }
}

TEST_CASE("the same bits from every compiler, flag and machine that has a fused multiply-add") {
  u64 hash = 0xcbf29ce484222325u;
  auto add = [&](const auto& values) {
    for (auto x : values) hash = (hash ^ (std::isnan(x) ? 0 : bits_of(x))) * 0x100000001b3u;
  };
  auto all = [&]<class T>(T) {
    std::mt19937_64 random(5);
    std::vector<T> x(20000), y(x.size()), exponent(x.size());
    int n = int(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      double mantissa =
          double(random() >> 11) * 0x1p-52 - 1;  // within the range that is reduced without libm
      x[i] = T(std::ldexp(mantissa, int(random() % 30) - 15));
      exponent[i] = T(double(random() >> 11) * 0x1p-50 - 4);
    }
    for (const subject& s : subjects) {
      if constexpr (sizeof(T) == 4)
        s.f32(x.data(), y.data(), n);
      else
        s.f64(x.data(), y.data(), n);
      add(y);
    }
    array::pow(x.data(), exponent.data(), y.data(), n);
    add(y);
  };
  all(float());
  all(double());
  CHECK(hash == (host_kernels::simd::has_fma ? 17165097504459257999u : 1589852823587585772u));
}

TEST_CASE_TEMPLATE("pow: accuracy", T, float, double) {
  worst<T> w;
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<T> x, y;
  auto add = [&](double a, double b) {
    x.push_back(T(a));
    y.push_back(T(b));
  };
  double top = sizeof(T) == 4 ? 128 : 1024;
  for (int i = 0; i < 200000; ++i) {
    add(unit(random) * 4, unit(random) * 20 - 10);
    double exponent = (unit(random) * 2.1 - 1.05) * top;  // results over the whole range, and beyond
    double base = std::exp2((unit(random) * 2 - 1) * top * 0.99);
    add(base, exponent / std::log2(base));
    double near_one = 1 + (unit(random) - 0.5) * std::exp2(-30 * unit(random));
    add(near_one, exponent / std::log2(double(T(near_one))));
    add(-std::exp2(unit(random) * 8), double(int(random() % 41)) - 20);
    x.push_back(from_bits<T>(random()));
    y.push_back(from_bits<T>(random()));
  }
  std::vector<T> result(x.size());
  array::pow(x.data(), y.data(), result.data(), int(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i)
    w.take(error_of(result[i], std::pow(wide(x[i]), wide(y[i]))), x[i], y[i], result[i]);
  INFO("pow(", w.x, ", ", w.y, ") = ", w.result, ": ", w.error, " units");
  CHECK(w.error <= 1);
  if (std::getenv("FLAME_MATH_STRIDE")) MESSAGE("pow ", w.error, " at ", w.x, " ", w.y);
}

TEST_CASE_TEMPLATE("pow: C99's special cases, as libm has them, wherever they lie", T, float, double) {
  std::vector<T> values = special_values<T>(), x, y;
  for (T more : {T(1.25), T(4), T(5), T(0.1), T(33554431), T(33554433), T(16777215), T(9007199254740991)}) {
    values.push_back(more);
    values.push_back(-more);
  }
  for (T a : values)
    for (T b : values) {
      x.push_back(a);
      y.push_back(b);
    }
  std::vector<T> all(x.size()), in_place = y;
  array::pow(x.data(), y.data(), all.data(), int(x.size()));
  array::pow(x.data(), in_place.data(), in_place.data(), int(x.size()));
  int wrong = 0, moved = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    T expected = std::pow(x[i], y[i]), alone;
    array::pow(&x[i], &y[i], &alone, 1);
    moved += !same(alone, all[i]) || !same(alone, in_place[i]);
    bool exact = std::isnan(expected) || std::isinf(expected) || expected == 0 || std::fabs(x[i]) == 1;
    bool good = exact ? same(all[i], expected)
                      : std::signbit(all[i]) == std::signbit(expected) && error_of(all[i], expected) <= 2;
    if (!good && wrong++ < 5) MESSAGE("pow(", x[i], ", ", y[i], ") = ", all[i], ", expected ", expected);
  }
  CHECK(wrong == 0);
  CHECK(moved == 0);
}

namespace {

// Two floats: a width that no machine has overloads for, so that the portable templates run everywhere.
void check_portable() {
  using namespace flame::host_kernels::simd;
  using V = vec<float, 2>;
  for (float x : special_values<float>()) {
    V v = splat<V>(x), k_lanes, m_lanes;
    CHECK(same(lane(floor(v), 1), std::floor(x)));
    split(v, k_lanes, m_lanes);
    float k = lane(k_lanes, 0), m = lane(m_lanes, 0);
    if (x > 0 && std::isfinite(x)) {
      CHECK((m >= 0.75f && m < 1.5f));
      CHECK(std::ldexp(m, int(k)) == x);
    } else if (x == 0) {
      CHECK(k == -std::numeric_limits<float>::infinity());
    } else if (x > 0) {
      CHECK((k == x && m == 1));
    } else {
      CHECK(std::isnan(m));
    }
    CHECK(any(v == v) == !std::isnan(x));
    if (std::fabs(x) < 1)
      for (int n = -250; n <= 250; n += 7)
        CHECK(same(lane(scale(v, splat<V>(float(n))), 0), std::ldexp(x, n)));
  }
}

}  // namespace

TEST_CASE("short vectors: the portable forms, reductions and partial access") {
  using namespace flame::host_kernels::simd;
  check_portable();
  f32v v = convert<float>(lane_index<i32v>());
  int n = lanes<float>;
  CHECK(sum(v) == float(n * (n - 1) / 2));
  CHECK(largest(v) == float(n - 1));
  CHECK(smallest(v) == 0.0f);
  CHECK(lane(low_half(v), 1) == 1.0f);
  CHECK(lane(high_half(v), 1) == float(n / 2 + 1));
  CHECK(lane(join(low_half(v), high_half(-v)), 1) == 1.0f);
  CHECK(lane(join(low_half(v), high_half(-v)), n - 1) == float(1 - n));
  CHECK(std::signbit(lane(splat<f32v>(-0.0f), 1)));
  v[n / 2] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(largest(v)));
  CHECK(std::isnan(smallest(v)));
  CHECK(std::isnan(lane(minimum(v, splat<f32v>(1)), n / 2)));
  CHECK(std::isnan(lane(maximum(splat<f32v>(1), v), n / 2)));
  for (int k = 1; k < n; ++k) {
    std::vector<float> exactly(static_cast<std::size_t>(k), 7);  // a sanitizer sees an access past its end
    f32v w = load_first(exactly.data(), k, splat<f32v>(2));
    CHECK(lane(w, k - 1) == 7.0f);
    CHECK(lane(w, k) == 2.0f);
    store_first(exactly.data(), k, splat<f32v>(9));
    CHECK(exactly.back() == 9.0f);
  }
}
