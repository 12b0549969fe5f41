// Scales and biases of 16-bit products and convolutions on the host: part of the step, before its result is
// rounded.
#include <doctest/doctest.h>

#include <flame/expr/transposed.hpp>
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <cmath>
#include <vector>

namespace {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<6> {
} channel;
inline constexpr struct out : dim<20> {
} out;
template <int N> struct tap_row : dim<N> { static constexpr u64 id = mix(0x7A, static_cast<u64>(N)); };
template <int N> struct tap_column : dim<N> { static constexpr u64 id = mix(0x7B, static_cast<u64>(N)); };
inline constexpr tap_row<1> row_1;
inline constexpr tap_row<3> row_3;
inline constexpr tap_column<1> column_1;
inline constexpr tap_column<3> column_3;
inline constexpr struct own : dim<1> {
} own;

template <class E> struct leaves {
  static constexpr struct a : input<E, batch, row, inner> {
  } a{};
  static constexpr struct b : input<E, batch, inner, column> {
  } b{};
  static constexpr struct shared : input<E, inner, column> {
  } shared{};
  static constexpr struct of_columns : input<E, column> {
  } of_columns{};
  static constexpr struct x : input<E, batch, height, width, channel> {
  } x{};
  static constexpr struct of_channels : input<E, channel> {
  } of_channels{};
  static constexpr struct of_out : input<E, out> {
  } of_out{};
  static constexpr struct filter : input<E, out, row_3, column_3, channel> {
  } filter{};
  static constexpr struct point : input<E, out, row_1, column_1, channel> {
  } point{};
  static constexpr struct thin : input<E, channel, row_3, column_3, own> {
  } thin{};
  static constexpr struct back : input<E, channel, row_1, column_1, out> { } back{}; };

template <class T> T filled(T t, u64 seed) {
  using E = typename T::element_type;
  std::vector<E> values(static_cast<std::size_t>(t.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = E(normal_element<float>(seed, static_cast<u64>(i)));
  t.copy_from(values);
  return t;
}

// The formula is one step, and gives what the same numbers give in f32, rounded once; another order of f32's
// sums may tip a rounding now and then.
template <class E, class Formula, class A, class B, class C, class TA, class TB, class TC>
void check_once(Formula formula, A a, B b, C bias, const TA& of_a, const TB& of_b, const TC& of_bias) {
  auto half = compile<host>(formula(a, b, bias), a, b, bias);
  CHECK(half.plan(of_a, of_b, of_bias).steps.size() == 1);
  const std::vector<E> found = half(of_a, of_b, of_bias).to_vector();
  const std::vector<float> exact =
      compile<host>(formula(cast<f32>(a), cast<f32>(b), cast<f32>(bias)), a, b, bias)(of_a, of_b, of_bias)
          .to_vector();
  REQUIRE(found.size() == exact.size());
  const float place = std::is_same_v<E, bf16> ? 0x1p-7f : 0x1p-10f;
  std::size_t tipped = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const float is = static_cast<float>(found[i]), once = static_cast<float>(E(exact[i]));
    CHECK(std::fabs(is - once) <= place * std::fabs(once) + 0x1p-14f);
    tipped += is != once;
  }
  CHECK(tipped * 50 <= exact.size());
}

TEST_CASE_TEMPLATE("biases are added before a product is rounded", E, bf16, f16) {
  using l = leaves<E>;
  const auto plus = [](auto a, auto b, auto bias) { return matmul(a, b, inner) + bias; };
  for (i64 rows : {1, 5, 300}) {
    const auto a = filled(empty<E>(batch == 3, row == rows, inner == 33), 1);
    const auto bias = filled(empty<E>(column == 41), 4);
    check_once<E>(plus, l::a, l::shared, l::of_columns, a, filled(empty<E>(inner == 33, column == 41), 2),
                  bias);
    check_once<E>(plus, l::a, l::b, l::of_columns, a,
                  filled(empty<E>(batch == 3, inner == 33, column == 41), 3), bias);
  }
  // Of nothing, the bias; deep sums, in several parts.
  for (i64 depth : {0, 5000})
    check_once<E>(plus, l::a, l::shared, l::of_columns,
                  filled(empty<E>(batch == 1, row == 40, inner == depth), 5),
                  filled(empty<E>(inner == depth, column == 50), 6), filled(empty<E>(column == 50), 7));
}

TEST_CASE_TEMPLATE("a scale is part of a product", E, bf16, f16) {
  using l = leaves<E>;
  const auto a = filled(empty<E>(batch == 2, row == 9, inner == 40), 1);
  const auto b = filled(empty<E>(inner == 40, column == 24), 2);
  auto f = compile<host>(matmul(l::a, l::shared) * rsqrt(extent<E>(inner, l::a)), l::a, l::shared);
  CHECK(f.plan(a, b).steps.size() == 1);
  const std::vector<E> found = f(a, b).to_vector();
  const std::vector<float> exact =
      compile<host>(matmul(cast<f32>(l::a), cast<f32>(l::shared)), l::a, l::shared)(a, b).to_vector();
  for (std::size_t i = 0; i < exact.size(); ++i)
    CHECK(static_cast<double>(static_cast<float>(found[i])) ==
          doctest::Approx(static_cast<double>(exact[i]) / std::sqrt(40.0)).epsilon(0x1p-8));
}

TEST_CASE_TEMPLATE("of convolutions too", E, bf16, f16) {
  using l = leaves<E>;
  const auto x = filled(empty<E>(batch == 2, height == 9, width == 8, channel), 1);
  const auto of_out = filled(empty<E>(out), 2), of_channels = filled(empty<E>(channel), 3);
  const auto convolved = []<conv_options O>() {
    return [](auto a, auto b, auto bias) { return conv2d<O>(a, b) + bias; };
  };
  check_once<E>(convolved.template operator()<conv_options{.padding = 1}>(), l::x, l::filter, l::of_out, x,
                filled(empty<E>(out, row_3, column_3, channel), 4), of_out);
  check_once<E>(convolved.template operator()<conv_options{}>(), l::x, l::point, l::of_out, x,
                filled(empty<E>(out, row_1, column_1, channel), 5), of_out);
  check_once<E>(convolved.template operator()<conv_options{.padding = 1, .groups = 6}>(), l::x, l::thin,
                l::of_channels, x, filled(empty<E>(channel, row_3, column_3, own), 6), of_channels);
  // Three of four pixels are reached by no window.
  check_once<E>([](auto a, auto b,
                   auto bias) { return conv_transpose2d<conv_transpose_options{.stride = 2}>(a, b) + bias; },
                l::x, l::back, l::of_out, x, filled(empty<E>(channel, row_1, column_1, out), 7), of_out);
}

}  // namespace
