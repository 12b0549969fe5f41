// The reference evaluator, element by element: values by hand, from the C library, or by loops written
// another way.
#include <doctest/doctest.h>

#include <cmath>
#include <flame/graph/evaluate.hpp>

#include "support.hpp"

namespace flame::tests {
namespace {

using numbers_of = std::vector<double>;
const double nan = std::nan(""), infinity = HUGE_VAL;

constexpr leaf_info x = leaf_of<f32, struct row, struct col>("x"),
                    y = leaf_of<f32, struct row, struct col>("y"),
                    turned = leaf_of<f32, struct col, struct row>("turned"),
                    u = leaf_of<f32, struct row>("u"), v = leaf_of<f32, struct row>("v"),
                    w = leaf_of<f32, struct col, struct out>("w"), s = leaf_of<f32>("s"),
                    index = leaf_of<i32, struct batch>("index"), number = leaf_of<i32, struct row>("number"),
                    other_number = leaf_of<i32, struct row>("other_number"),
                    byte = leaf_of<u8, struct row>("byte"), flag = leaf_of<bool, struct row>("flag"),
                    other_flag = leaf_of<bool, struct row>("other_flag"), random_key = leaf_of<key>("key");

value f32s(std::vector<i64> shape, numbers_of data) {
  return make_value(dtype::f32, std::move(shape), std::move(data));
}
value row_of(numbers_of data) {
  i64 n = static_cast<i64>(data.size());
  return f32s({n}, std::move(data));
}
value row_of(dtype d, numbers_of data) {
  i64 n = static_cast<i64>(data.size());
  return make_value(d, {n}, std::move(data));
}

template <class Build>
value result_of(Build build, const leaf_values& leaves, rounding mode = rounding::none,
                const extents& known = {}) {
  graph g;
  g.outputs.push(build(g));
  value r = evaluate(g, leaves, mode, known)[0];
  CHECK(r.type == g.type(g.outputs[0]));
  CHECK(static_cast<i64>(r.is_key() ? r.keys.size() : r.data.size()) == r.size());
  return r;
}
template <class Build> std::string refusal(Build build, const leaf_values& leaves) {
  graph g;
  g.outputs.push(build(g));
  try {
    static_cast<void>(evaluate(g, leaves));
  } catch (const error& e) {
    return e.what();
  }
  return "no error";
}

// Equal, NaN to NaN.
bool same(const numbers_of& a, const numbers_of& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))) return false;
  return true;
}
#define CHECK_SAME(...) CHECK(same(__VA_ARGS__))

numbers_of unary(op code, const numbers_of& in) {
  return result_of([&](graph& g) { return g.unary(code, g.leaf(&u)); }, {{&u, row_of(in)}}).data;
}
numbers_of binary(op code, const numbers_of& a, const numbers_of& b) {
  auto build = [&](graph& g) {
    int p = g.leaf(&u), q = g.leaf(&v);
    return g.binary(code, p, q);
  };
  return result_of(build, {{&u, row_of(a)}, {&v, row_of(b)}}).data;
}

TEST_CASE("one operand") {
  const numbers_of in{-2.5, -1, -0.0, 0.25, 1, 3, nan, infinity, -infinity};
  auto each = [&](op code, auto f) {
    CAPTURE(string_of(name_of(code)));
    numbers_of want;
    for (double a : in) want.push_back(f(a));
    CHECK_SAME(unary(code, in), want);
  };
  each(op::neg, [](double a) { return -a; });
  each(op::abs, [](double a) { return std::abs(a); });
  each(op::floor, [](double a) { return std::floor(a); });
  each(op::exp, [](double a) { return std::exp(a); });
  each(op::expm1, [](double a) { return std::expm1(a); });
  each(op::log, [](double a) { return std::log(a); });
  each(op::log1p, [](double a) { return std::log1p(a); });
  each(op::sqrt, [](double a) { return std::sqrt(a); });
  each(op::rsqrt, [](double a) { return 1 / std::sqrt(a); });
  each(op::reciprocal, [](double a) { return 1 / a; });
  each(op::sin, [](double a) { return std::sin(a); });
  each(op::cos, [](double a) { return std::cos(a); });
  each(op::tanh, [](double a) { return std::tanh(a); });
  each(op::sigmoid, [](double a) { return 1 / (1 + std::exp(-a)); });
  each(op::erf, [](double a) { return std::erf(a); });
  each(op::stop_gradient, [](double a) { return a; });
  CHECK_SAME(unary(op::sign, in), {-1, -1, 0, 1, 1, 1, 0, 1, -1});  // of NaN 0, as in PyTorch
  CHECK_SAME(unary(op::is_finite, in), {1, 1, 1, 1, 1, 1, 0, 0, 0});
  CHECK_SAME(unary(op::is_nan, in), {0, 0, 0, 0, 0, 0, 1, 0, 0});
}

TEST_CASE("two operands") {
  const numbers_of a{1, 2, 2, -0.0, infinity, nan, nan, 1, -infinity},
      b{2, 2, 1, 0, infinity, nan, 1, nan, infinity};
  CHECK_SAME(binary(op::add, a, b), {3, 4, 3, 0, infinity, nan, nan, nan, nan});
  CHECK_SAME(binary(op::sub, a, b), {-1, 0, 1, 0, nan, nan, nan, nan, -infinity});
  CHECK_SAME(binary(op::mul, a, b), {2, 4, 2, 0, infinity, nan, nan, nan, -infinity});
  CHECK_SAME(binary(op::div, a, b), {0.5, 1, 2, nan, nan, nan, nan, nan, nan});
  CHECK_SAME(binary(op::minimum, a, b), {1, 2, 1, 0, infinity, nan, nan, nan, -infinity});
  CHECK_SAME(binary(op::maximum, a, b), {2, 2, 2, 0, infinity, nan, nan, nan, infinity});
  CHECK_SAME(binary(op::less, a, b), {1, 0, 0, 0, 0, 0, 0, 0, 1});
  CHECK_SAME(binary(op::less_equal, a, b), {1, 1, 0, 1, 1, 0, 0, 0, 1});
  CHECK_SAME(binary(op::equal, a, b), {0, 1, 0, 1, 1, 0, 0, 0, 0});
  CHECK_SAME(binary(op::not_equal, a, b), {1, 0, 1, 0, 0, 1, 1, 1, 1});
  CHECK_SAME(binary(op::pow, {2, -2, 9, 0, 0, nan, 1, -8}, {3, 3, 0.5, 0, -1, 0, nan, 0.5}),
             {8, -8, 3, 1, infinity, 1, 1, nan});
}

TEST_CASE("logic and where") {
  leaf_values in{{&flag, row_of(dtype::boolean, {1, 1, 0, 0})},
                 {&other_flag, row_of(dtype::boolean, {1, 0, 1, 0})},
                 {&u, row_of({1, 2, 3, nan})},
                 {&v, row_of({-1, nan, -3, -4})}};
  auto logic = [&](op code) {
    return result_of([&](graph& g) { return g.binary(code, g.leaf(&flag), g.leaf(&other_flag)); }, in).data;
  };
  CHECK_SAME(logic(op::logical_and), {1, 0, 0, 0});
  CHECK_SAME(logic(op::logical_or), {1, 1, 1, 0});
  CHECK_SAME(logic(op::equal), {1, 0, 0, 1});
  CHECK_SAME(result_of([](graph& g) { return g.unary(op::logical_not, g.leaf(&flag)); }, in).data,
             {0, 0, 1, 1});
  CHECK_SAME(result_of([](graph& g) { return g.where(g.leaf(&flag), g.leaf(&u), g.leaf(&v)); }, in).data,
             {1, 2, -3, -4});
}

TEST_CASE("integers are computed modulo 2^bits") {
  leaf_values in{{&number, row_of(dtype::int32, {2147483647, -2147483648.0, 65536, -7})},
                 {&other_number, row_of(dtype::int32, {1, 1, 65536, 3})},
                 {&byte, row_of(dtype::uint8, {255, 0, 3, 200})}};
  auto both = [&](op code) {
    auto build = [&](graph& g) {
      int p = g.leaf(&number), q = g.leaf(&other_number);
      return g.binary(code, p, q);
    };
    return result_of(build, in).data;
  };
  CHECK_SAME(both(op::add), {-2147483648.0, -2147483647, 131072, -4});
  CHECK_SAME(both(op::sub), {2147483646, 2147483647, 0, -10});
  CHECK_SAME(both(op::mul), {2147483647, -2147483648.0, 0, -21});
  CHECK_SAME(both(op::maximum), {2147483647, 1, 65536, 3});
  auto one = [&](op code, const leaf_info& l) {
    return result_of([&](graph& g) { return g.unary(code, g.leaf(&l)); }, in).data;
  };
  CHECK_SAME(one(op::neg, number), {-2147483647, -2147483648.0, -65536, 7});
  CHECK_SAME(one(op::abs, number), {2147483647, -2147483648.0, 65536, 7});
  CHECK_SAME(one(op::sign, number), {1, -1, 1, -1});
  CHECK_SAME(one(op::neg, byte), {1, 0, 253, 56});
  auto sum = [&](const leaf_info& l, op code) {
    return result_of([&](graph& g) { return g.with_axes(code, g.leaf(&l), over<struct row>()); }, in).data;
  };
  CHECK_SAME(sum(byte, op::sum), {202});  // 458 - 256
  CHECK_SAME(sum(number, op::sum), {65528});
  CHECK_SAME(sum(byte, op::prod), {0});
  CHECK_SAME(sum(byte, op::max), {255});
}

TEST_CASE("casts") {
  auto cast = [](const leaf_info& l, value in, dtype to, rounding mode = rounding::none) {
    return result_of([&](graph& g) { return g.cast(g.leaf(&l), to); }, {{&l, in}}, mode).data;
  };
  CHECK_SAME(cast(u, row_of({0, 0.5, -0.5, 1.5, -2.99, 1e6}), dtype::int32), {0, 0, 0, 1, -2, 1e6});
  CHECK_SAME(cast(u, row_of({3e9, -3e9, nan, infinity}), dtype::int32),
             {2147483647, -2147483648.0, 0, 2147483647});
  CHECK_SAME(cast(u, row_of({0, -0.0, 0.1, nan, -1}), dtype::boolean), {0, 0, 1, 1, 1});
  CHECK_SAME(cast(number, row_of(dtype::int32, {255, 256, -1}), dtype::uint8), {255, 0, 255});
  CHECK_SAME(cast(flag, row_of(dtype::boolean, {0, 1}), dtype::f32), {0, 1});
  const numbers_of in{1.00390625, 1.01171875, 65520, 1e-8, 3.14159274101257324, nan};
  CHECK_SAME(cast(u, row_of(in), dtype::bf16), in);
  CHECK_SAME(cast(u, row_of(in), dtype::bf16, rounding::each_operation),
             {1, 1.015625, 65536, 0x1.58p-27, 3.140625, nan});  // 0x1.5798ee p-27
  CHECK_SAME(cast(u, row_of(in), dtype::f16, rounding::each_operation),
             {1.00390625, 1.01171875, infinity, 0, 3.140625, nan});
}

TEST_CASE("rounding after each operation, or never") {
  auto build = [](graph& g) {
    int third = g.binary(op::div, g.leaf(&u), g.constant(3, dtype::f32));
    return g.binary(op::mul, third, third);
  };
  leaf_values in{{&u, row_of({1, 2})}};
  CHECK_SAME(result_of(build, in).data, {(1.0 / 3) * (1.0 / 3), (2.0 / 3) * (2.0 / 3)});
  float a = 1.0f / 3, b = 2.0f / 3;
  CHECK_SAME(result_of(build, in, rounding::each_operation).data, {a * a, b * b});
}

TEST_CASE("operands align by the names of their axes") {
  leaf_values in{{&x, f32s({2, 3}, {1, 2, 3, 4, 5, 6})},
                 {&turned, f32s({3, 2}, {10, 40, 20, 50, 30, 60})},
                 {&u, row_of({100, 200})},
                 {&s, f32s({}, {1000})},
                 {&w, f32s({3, 2}, {1, 2, 3, 4, 5, 6})}};
  auto sum = [&](const leaf_info& a, const leaf_info& b) {
    return result_of(
        [&](graph& g) {
          int p = g.leaf(&a), q = g.leaf(&b);
          return g.binary(op::add, p, q);
        },
        in);
  };
  CHECK_SAME(sum(x, turned).data, {11, 22, 33, 44, 55, 66});
  CHECK_SAME(sum(turned, x).data, {11, 44, 22, 55, 33, 66});
  CHECK_SAME(sum(x, u).data, {101, 102, 103, 204, 205, 206});
  CHECK_SAME(sum(turned, s).data, {1010, 1040, 1020, 1050, 1030, 1060});
  value outer = sum(u, w);  // [row, col, out]
  CHECK(outer.shape == std::vector<i64>{2, 3, 2});
  CHECK_SAME(outer.data, {101, 102, 103, 104, 105, 106, 201, 202, 203, 204, 205, 206});
}

TEST_CASE("leaves without memory") {
  extents known;
  known.bind(axis_ptr<struct row>, 3, {"", "test"});
  auto none = [&](auto build) { return result_of(build, {}, rounding::none, known).data; };
  CHECK_SAME(none([](graph& g) { return g.constant(2.5, dtype::f32); }), {2.5});
  CHECK_SAME(none([](graph& g) { return g.constant(2.5, dtype::int32); }), {2});
  CHECK_SAME(none([](graph& g) { return g.extent(axis_ptr<struct row>, dtype::f32); }), {3});
  CHECK_SAME(none([](graph& g) { return g.extent(axis_ptr<struct four>, dtype::int64); }), {4});
  CHECK_SAME(none([](graph& g) { return g.put(op::iota, {}, over<struct row>(), numbers(dtype::f32)); }),
             {0, 1, 2});
}

TEST_CASE("random numbers are those of base/philox.hpp") {
  extents known;
  known.bind(axis_ptr<struct row>, 3, {"", "test"});
  known.bind(axis_ptr<struct col>, 5, {"", "test"});
  leaf_values in{{&random_key, make_key(77)}};
  auto drawn = [&](op code, u64 site, dtype d, rounding mode = rounding::none) {
    return result_of(
               [&](graph& g) {
                 return g.put(code, nodes(g.leaf(&random_key)), over<struct row, struct col>(),
                              numbers(site, d));
               },
               in, mode, known)
        .data;
  };
  numbers_of uniform, normal, wide, half;
  for (u64 i = 0; i < 15; ++i) {
    uniform.push_back(static_cast<double>(uniform_element<float>(fold(77, 2), i)));
    normal.push_back(static_cast<double>(normal_element<float>(fold(77, 2), i)));
    half.push_back(static_cast<double>(static_cast<float>(bf16(normal_element<float>(fold(77, 2), i)))));
    wide.push_back(normal_element<double>(fold(77, 3), i));
  }
  CHECK_SAME(drawn(op::uniform, 2, dtype::f32), uniform);
  CHECK_SAME(drawn(op::normal, 2, dtype::f32), normal);
  CHECK_SAME(drawn(op::normal, 2, dtype::bf16, rounding::each_operation), half);
  CHECK_SAME(drawn(op::normal, 3, dtype::f64), wide);
  value folded = result_of(
      [](graph& g) {
        int k = g.leaf(&random_key);
        return g.binary(op::fold, k, g.constant(9, dtype::int32));
      },
      in);
  CHECK(folded.keys == std::vector<u64>{fold(77, 9)});
  value each = result_of(
      [](graph& g) {
        int k = g.leaf(&random_key);
        return g.binary(op::fold, k, g.leaf(&number));
      },
      {{&random_key, make_key(77)}, {&number, row_of(dtype::int32, {0, -1})}});
  CHECK(each.keys == std::vector<u64>{fold(77, 0), fold(77, ~u64{0})});
}

TEST_CASE("reductions") {
  const leaf_values in{{&x, f32s({2, 3}, {1, -2, 3, 4, 5, -6})}};
  auto reduced = [](op code, const list<const axis_info*>& axes, const leaf_values& given) {
    return result_of([&](graph& g) { return g.with_axes(code, g.leaf(&x), axes); }, given).data;
  };
  CHECK_SAME(reduced(op::sum, over<struct row>(), in), {5, 3, -3});
  CHECK_SAME(reduced(op::sum, over<struct col>(), in), {2, 3});
  CHECK_SAME(reduced(op::sum, over<struct row, struct col>(), in), {5});
  CHECK_SAME(reduced(op::sum, over<>(), in), {1, -2, 3, 4, 5, -6});
  CHECK_SAME(reduced(op::prod, over<struct col>(), in), {-6, -120});
  CHECK_SAME(reduced(op::max, over<struct row>(), in), {4, 5, 3});
  CHECK_SAME(reduced(op::min, over<struct col>(), in), {-2, -6});
  CHECK_SAME(reduced(op::argmax, over<struct row>(), in), {1, 1, 0});
  CHECK_SAME(reduced(op::argmax, over<struct col>(), in), {2, 1});

  const leaf_values odd{{&x, f32s({3, 3}, {1, nan, nan, 7, 7, 2, -infinity, -infinity, -infinity})}};
  CHECK_SAME(reduced(op::max, over<struct col>(), odd), {nan, 7, -infinity});
  CHECK_SAME(reduced(op::min, over<struct col>(), odd), {nan, 2, -infinity});
  CHECK_SAME(reduced(op::sum, over<struct col>(), odd), {nan, 16, -infinity});
  CHECK_SAME(reduced(op::argmax, over<struct col>(), odd), {1, 0, 0});

  const leaf_values empty{{&x, f32s({2, 0}, {})}}, no_rows{{&x, f32s({0, 3}, {})}};
  CHECK_SAME(reduced(op::sum, over<struct col>(), empty), {0, 0});
  CHECK_SAME(reduced(op::prod, over<struct col>(), empty), {1, 1});
  CHECK_SAME(reduced(op::max, over<struct col>(), empty), {-infinity, -infinity});
  CHECK_SAME(reduced(op::min, over<struct col>(), empty), {infinity, infinity});
  CHECK_SAME(reduced(op::argmax, over<struct col>(), no_rows), {});
  CHECK(refusal([](graph& g) { return g.with_axes(op::argmax, g.leaf(&x), over<struct col>()); }, empty) ==
        "flame::argmax: axis col has no elements");

  const leaf_values flags{{&flag, row_of(dtype::boolean, {1, 0, 1})}};
  CHECK_SAME(
      result_of([](graph& g) { return g.with_axes(op::max, g.leaf(&flag), over<struct row>()); }, flags).data,
      {1});
  CHECK_SAME(
      result_of([](graph& g) { return g.with_axes(op::min, g.leaf(&flag), over<struct row>()); }, flags).data,
      {0});
}

value moved(op code, const list<const axis_info*>& axes, const list<u64>& data, const leaf_values& in,
            const extents& known = {}) {
  return result_of([&](graph& g) { return g.put(code, nodes(g.leaf(&x)), axes, data); }, in, rounding::none,
                   known);
}

TEST_CASE("movement") {
  const leaf_values in{{&x, f32s({2, 3}, {1, 2, 3, 4, 5, 6})}},
      long_x{{&x, f32s({6, 1}, {1, 2, 3, 4, 5, 6})}};
  CHECK_SAME(moved(op::permute, over<struct col, struct row>(), {}, in).data, {1, 4, 2, 5, 3, 6});
  CHECK_SAME(moved(op::rename, over<struct row, struct wide>(), {}, in).data, {1, 2, 3, 4, 5, 6});
  value merged = moved(op::merge, over<struct row, struct col, struct wide>(), {}, in);
  CHECK(merged.shape == std::vector<i64>{6});
  CHECK_SAME(merged.data, {1, 2, 3, 4, 5, 6});
  extents parts;
  parts.bind(axis_ptr<struct part>, 2, {"", "test"});
  parts.bind(axis_ptr<struct other>, 3, {"", "test"});
  value split = moved(op::split, over<struct row, struct part, struct wide>(), {}, long_x, parts);
  CHECK(split.shape == std::vector<i64>{2, 3, 1});
  CHECK_SAME(split.data, {1, 2, 3, 4, 5, 6});
  CHECK_SAME(moved(op::broadcast, over<struct col, struct part, struct row>(), {}, in, parts).data,
             {1, 4, 1, 4, 2, 5, 2, 5, 3, 6, 3, 6});

  CHECK_SAME(moved(op::slice, over<struct row, struct wide>(), numbers(1, 2, -1), long_x).data, {2, 4, 6});
  CHECK_SAME(moved(op::slice, over<struct row, struct wide>(), numbers(1, 3, 2), long_x).data, {2, 5});
  CHECK_SAME(moved(op::slice, over<struct col, struct wide>(), numbers(1, 1, -1), in).data, {2, 3, 5, 6});
  CHECK_SAME(moved(op::slice, over<struct row, struct wide>(), numbers(0, 1, 0), in).data, {});
  CHECK_SAME(
      moved(op::slice, over<struct row, struct part, struct other>(), numbers(1, 1, as_result), long_x, parts)
          .data,
      {5, 6});  // begins at 1 + 3, takes 2

  CHECK_SAME(moved(op::pad, over<struct col, struct wide>(), numbers(1, 2, bits(-1), 1), in).data,
             {-1, 1, 2, 3, -1, -1, -1, 4, 5, 6, -1, -1});
  CHECK_SAME(moved(op::pad, over<struct row, struct wide>(), numbers(0, 1, bits(0), 2), in).data,
             {1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0, 0});
  extents around;
  around.bind(axis_ptr<struct other>, 2, {"", "test"});
  around.bind(axis_ptr<struct wide>, 7, {"", "test"});
  CHECK_SAME(moved(op::pad, over<struct col, struct wide, struct other>(), numbers(1, as_result, bits(0), 1),
                   in, around)
                 .data,
             {0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 4, 5, 6, 0});
}

TEST_CASE("concatenate") {
  static constexpr leaf_info a = leaf_of<f32, struct row, struct col>("a"),
                             b = leaf_of<f32, struct other, struct row>("b");
  auto build = [](graph& g) {
    int p = g.leaf(&a), q = g.leaf(&b);
    return g.put(op::concatenate, nodes(p, q, p), over<struct col, struct other, struct col, struct wide>());
  };
  value joined =
      result_of(build, {{&a, f32s({2, 2}, {1, 2, 3, 4})}, {&b, f32s({3, 2}, {10, 40, 20, 50, 30, 60})}});
  CHECK(joined.shape == std::vector<i64>{2, 7});
  CHECK_SAME(joined.data, {1, 2, 10, 20, 30, 1, 2, 3, 4, 40, 50, 60, 3, 4});
  CHECK_SAME(result_of(build, {{&a, f32s({1, 0}, {})}, {&b, f32s({1, 1}, {7})}}).data, {7});
}

TEST_CASE("keys move too") {
  static constexpr leaf_info keys = leaf_of<key, struct row>("keys");
  value k;
  k.type.element = dtype::key;
  k.shape = {3};
  k.keys = {u64{1} << 63, 7, 9};
  auto taken = result_of(
      [](graph& g) {
        return g.put(op::slice, nodes(g.leaf(&keys)), over<struct row, struct part>(), numbers(0, 2, -1));
      },
      {{&keys, k}});
  CHECK(taken.keys == std::vector<u64>{u64{1} << 63, 9});
}

TEST_CASE("contraction") {
  // a [batch, row, col], b [out, col, batch]
  static constexpr leaf_info a = leaf_of<f32, struct batch, struct row, struct col>("a"),
                             b = leaf_of<f32, struct out, struct col, struct batch>("b");
  constexpr int B = 2, R = 3, C = 4, O = 2;
  numbers_of p, q;
  for (int i = 0; i < B * R * C; ++i) p.push_back(i * 7 % 11 - 5);
  for (int i = 0; i < O * C * B; ++i) q.push_back(i * 5 % 13 - 6);
  leaf_values in{{&a, f32s({B, R, C}, p)}, {&b, f32s({O, C, B}, q)}};
  auto contracted = [&](const tensor_type& t) {
    return result_of(
               [&](graph& g) {
                 int l = g.leaf(&a), r = g.leaf(&b);
                 return g.contract(l, r, t);
               },
               in)
        .data;
  };
  numbers_of batched, summed, nothing, all{0};
  for (int bb = 0; bb < B; ++bb)
    for (int r = 0; r < R; ++r)
      for (int o = 0; o < O; ++o) {
        double t = 0;
        for (int c = 0; c < C; ++c)
          t += p[static_cast<std::size_t>((bb * R + r) * C + c)] *
               q[static_cast<std::size_t>((o * C + c) * B + bb)];
        batched.push_back(t);
      }
  for (int o = 0; o < O; ++o)
    for (int r = 0; r < R; ++r)
      summed.push_back(batched[static_cast<std::size_t>(r * O + o)] +
                       batched[static_cast<std::size_t>((R + r) * O + o)]);
  CHECK_SAME(contracted(shape<f32, struct batch, struct row, struct out>::value()), batched);
  CHECK_SAME(contracted(shape<f32, struct out, struct row>::value()), summed);
  // Matrix times matrix, and a sum over no elements.
  leaf_values small{{&x, f32s({2, 3}, {1, 2, 3, 4, 5, 6})}, {&w, f32s({3, 2}, {1, 2, 3, 4, 5, 6})}};
  auto matmul = [](graph& g) {
    int l = g.leaf(&x), r = g.leaf(&w);
    return g.contract(l, r, shape<f32, struct row, struct out>::value());
  };
  CHECK_SAME(result_of(matmul, small).data, {22, 28, 49, 64});
  CHECK_SAME(result_of(matmul, {{&x, f32s({2, 0}, {})}, {&w, f32s({0, 2}, {})}}).data, {0, 0, 0, 0});
}

TEST_CASE("gather and scatter_add") {
  leaf_values in{{&w, f32s({3, 2}, {1, 2, 3, 4, 5, 6})},
                 {&index, make_value(dtype::int32, {4}, {2, 0, 2, 1})}};
  auto gather = [](graph& g) {
    int table = g.leaf(&w), i = g.leaf(&index);
    return g.put(op::gather, nodes(table, i), over<struct col>());
  };
  value rows = result_of(gather, in);  // [batch, out]
  CHECK(rows.shape == std::vector<i64>{4, 2});
  CHECK_SAME(rows.data, {5, 6, 1, 2, 5, 6, 3, 4});
  auto columns = [](graph& g) {
    int table = g.leaf(&x), i = g.leaf(&index);
    return g.put(op::gather, nodes(table, i), over<struct col>());
  };
  CHECK_SAME(result_of(columns, {{&x, f32s({2, 3}, {1, 2, 3, 4, 5, 6})},
                                 {&index, make_value(dtype::int32, {2}, {2, 0})}})
                 .data,
             {3, 1, 6, 4});
  auto scatter = [&](graph& g) {
    int i = g.leaf(&index);
    return g.put(op::scatter_add, nodes(i, gather(g)), over<struct col, struct col, struct out>());
  };
  CHECK_SAME(result_of(scatter, in).data, {1, 2, 3, 4, 10, 12});

  // An index for each row: both have the axis, and it stays.
  static constexpr leaf_info choice = leaf_of<i32, struct row>("choice");
  auto chosen = [](graph& g) {
    int table = g.leaf(&x), i = g.leaf(&choice);
    return g.put(op::gather, nodes(table, i), over<struct col>());
  };
  leaf_values each{{&x, f32s({2, 3}, {1, 2, 3, 4, 5, 6})}, {&choice, make_value(dtype::int32, {2}, {2, 0})}};
  CHECK_SAME(result_of(chosen, each).data, {3, 4});
  auto put_back = [&](graph& g) {
    int i = g.leaf(&choice), c = chosen(g);
    return g.put(op::scatter_add, nodes(i, c), over<struct col, struct row, struct col>());
  };
  CHECK_SAME(result_of(put_back, each).data, {0, 0, 3, 4, 0, 0});

  for (double wrong : {-1.0, 3.0}) {
    leaf_values bad = in;
    bad[&index].data[1] = wrong;
    std::string i = std::to_string(static_cast<int>(wrong));
    CHECK(refusal(gather, bad) == "flame::gather: index " + i + " is out of range: axis col has extent 3");
  }
  auto into = [&](graph& g) {
    int i = g.leaf(&index), u_ = g.leaf(&s);
    return g.put(op::scatter_add, nodes(i, u_), over<struct col, struct col>());
  };
  graph g;
  g.outputs.push(into(g));
  extents three;
  three.bind(axis_ptr<struct col>, 3, {"", "test"});
  leaf_values counted{{&index, make_value(dtype::int32, {4}, {2, 0, 2, 1})}, {&s, f32s({}, {1})}};
  CHECK_SAME(evaluate(g, counted, rounding::none, three)[0].data, {1, 1, 2});
  counted[&index].data[0] = 3;
  CHECK_THROWS_WITH(static_cast<void>(evaluate(g, counted, rounding::none, three)),
                    "flame::scatter_add: index 3 is out of range: axis col has extent 3");
}

TEST_CASE("what is not given, or does not fit") {
  auto build = [](graph& g) {
    int a = g.leaf(&x), b = g.leaf(&y);
    return g.binary(op::add, a, b);
  };
  value two = f32s({1, 2}, {1, 2});
  CHECK(refusal(build, {{&x, two}}) == "flame::evaluate: y is not given");
  CHECK(refusal(build, {{&x, two}, {&y, f32s({2, 1}, {1, 2})}}) ==
        "argument y: axis row cannot have extent 2: elsewhere it has extent 1");
  CHECK(refusal(build, {{&x, two}, {&y, f32s({2}, {1, 2})}}) ==
        "flame::evaluate: y is f32[row, col], its value is a f32 with 1 axes");
  CHECK(refusal(build, {{&x, two}, {&y, make_value(dtype::f64, {1, 2}, {1, 2})}}) ==
        "flame::evaluate: y is f32[row, col], its value is a f64 with 2 axes");
  CHECK(refusal(build, {{&x, two}, {&y, f32s({1, 2}, {1, 2, 3})}}) ==
        "flame::evaluate: the value of y has 3 elements, its shape 2");
  // What no output needs need not be given.
  graph g;
  g.outputs.push(g.unary(op::neg, g.leaf(&x)));
  g.unary(op::neg, g.leaf(&y));
  CHECK_SAME(evaluate(g, {{&x, two}})[0].data, {-1, -2});
}

}  // namespace
}  // namespace flame::tests
