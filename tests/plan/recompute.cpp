// What a norm over columns makes of its operand is made again where it is read: its statistics alone are
// kept.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/pass/simplify.hpp>
#include <flame/plan/explain.hpp>
#include <flame/plan/fuse.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <flame/run/program_cache.hpp>

namespace {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct out : dim<> {
} out;
inline constexpr struct tap_row : dim<3> {
} tap_row;
inline constexpr struct tap_column : dim<3> {
} tap_column;
inline constexpr struct x : input<f32, batch, height, width, channel> {
} x;
inline constexpr struct scale : input<f32, channel> {
} scale;
inline constexpr struct shift : input<f32, channel> {
} shift;
inline constexpr struct weight : input<f32, out, tap_row, tap_column, channel> {
} weight;

constexpr i64 elements = 2 * 8 * 8 * 64;

// Tensors of x's size that a program's steps read and write, those of its convolutions left out.
struct traffic {
  double reads = 0, writes = 0;
};
template <class Fn, class... L> traffic traffic_of(Fn, const L&...) {
  auto extents_of = []<class Leaf>(const Leaf&) {
    std::vector<i64> extents;
    const tensor_type type = shape_of<Leaf>::value();
    for (int i = 0; i < type.rank; ++i) {
      const axis_info* a = type.axes[i];
      extents.push_back(a->extent != dynamic           ? a->extent
                        : a == axis_ptr<tag_of<batch>> ? 2
                        : i + 1 == type.rank || i == 0 ? 64
                                                       : 8);
    }
    return extents;
  };
  program_cache cache(*function_of<Fn, shape_of<L>...>);
  const auto tensors =
      std::tuple{typename flame::detail::tensor_for<host, shape_of<L>>::type(extents_of(L{}))...};
  const program_report r =
      std::apply([&](const auto&... t) { return report(cache.plan({bound_value(t.view())...})); }, tensors);
  traffic t;
  for (const step_report& s : r.steps)
    if (s.kind != "conv" && s.kind != "conv_data" && s.kind != "fill")
      t.reads += static_cast<double>(s.read), t.writes += static_cast<double>(s.written);
  t.reads /= 4 * elements, t.writes /= 4 * elements;
  return t;
}

constexpr auto normed = [](auto a, auto by, auto plus) { return silu(group_norm<4>(a, 1e-5) * by + plus); };

TEST_CASE("group norm, scale and SiLU read x twice and write once") {
  const traffic t = traffic_of(normed, x, scale, shift);
  CHECK(t.reads == doctest::Approx(2).epsilon(0.02));  // for its mean and variance, its result
  CHECK(t.writes == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("before a convolution, with its gradient") {
  // Of x its moments; the cotangent and x for the sums, and both again for the result, but for what one of
  // the kernels writes for the next. The convolution's own result is not needed.
  const auto slope = [](auto a, auto by, auto plus, auto filter) {
    return grad(sum(conv2d<conv_options{.padding = 1}>(normed(a, by, plus), filter)), a);
  };
  const traffic t = traffic_of(slope, x, scale, shift, weight);
  CHECK(t.reads <= 5 + 0.1);
  CHECK(t.writes <= 2 + 0.1);
}

TEST_CASE("batch norm: the same of other axes") {
  const auto norm = [](auto a, auto by, auto plus) {
    auto centred = a - mean(a, batch, height, width);
    return relu(centred * rsqrt(mean(centred * centred, batch, height, width) + 1e-5) * by + plus);
  };
  const traffic t = traffic_of(norm, x, scale, shift);
  CHECK(t.reads == doctest::Approx(3).epsilon(0.02));
  CHECK(t.writes == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("a chain of norms is not computed from its beginning in each kernel") {
  static constexpr auto norm = [](auto a) {
    auto centred = a - mean(a, batch, height, width);
    return exp(tanh(centred * rsqrt(mean(centred * centred, batch, height, width) + 1e-5)));
  };
  const auto chain = [](auto a) { return norm(norm(norm(norm(norm(norm(norm(norm(a)))))))); };
  const graph g = simplify(graph_of(*function_of<decltype(chain), shape_of<decltype(x)>>));
  int most = 0, all = 0;
  for (const fused_step& s : fuse(g).steps) {
    int expensive = 0;
    for (const instruction& i : s.code.body)
      expensive += i.code == static_cast<u8>(op::tanh) || i.code == static_cast<u8>(op::exp);
    most = std::max(most, expensive), all += expensive;
  }
  CHECK(most <= 4);
  CHECK(all <= 4 * 16);
}

}  // namespace
