// Rows and sums over rows on a GPU as on the host, where extents decide how their kernels are cut: many rows
// and long ones, which come through shared memory and are shared by clusters of blocks, lengths that no cut
// divides, and memory that is not aligned.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <flame/expr/gradient.hpp>
#include <flame/language.hpp>
#include <flame/run/function.hpp>
#include <list>
#include <thread>

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct a : input<f32, row, col> {
} a;
inline constexpr struct b : input<f32, row, col> {
} b;
inline constexpr struct v : input<f32, col> {
} v;
inline constexpr struct w : input<f32, col> {
} w;
inline constexpr struct label : input<i32, row> {
} label;
inline constexpr struct ha : input<bf16, row, col> {
} ha;
inline constexpr struct hb : input<bf16, row, col> {
} hb;
inline constexpr struct hv : input<bf16, col> {
} hv;
inline constexpr struct hw : input<bf16, col> {
} hw;

// What two results are apart, at most; of several tensors or one.
template <class A, class B> double apart(const A& x, const B& y) {
  if constexpr (requires { std::tuple_size<A>::value; }) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::max({apart(std::get<I>(x), std::get<I>(y))...});
    }
    (std::make_index_sequence<std::tuple_size_v<A>>());
  } else {
    return distance(x, y);
  }
}

// An operand on the host and on the GPU.
template <class A, class B> struct two {
  const A& first;
  const B& second;
};
template <class A, class B> two(const A&, const B&) -> two<A, B>;

// All formulas, on both; the second time by the same kernels' bits.
void check(i64 rows, i64 columns, i64 skip) {
  INFO(rows << " x " << columns << ", " << skip << " left out");
  const auto whole = [&](u64 seed) { return normal(key(seed), row == rows, col == columns + skip); };
  const auto x = whole(1), y = whole(2);
  const auto g = normal(key(3), col == columns), h = normal(key(4), col == columns);
  const auto s = x.slice(col, skip, skip + columns), t = y.slice(col, skip, skip + columns);
  const auto l = eval(argmax(t, col));
  const auto ds = to<cuda>(x).slice(col, skip, skip + columns),
             dt = to<cuda>(y).slice(col, skip, skip + columns);
  const auto dg = to<cuda>(g), dh = to<cuda>(h);
  const auto dl = to<cuda>(l);
  // Each formula by a thread of its own: most of the time goes into compiling their kernels.
  struct outcome {
    const char* what;
    double most, first = 1, again = 1;
    std::string problem;
  };
  std::list<outcome> all;
  std::vector<std::thread> threads;
  auto both = [&](const char* what, auto& on_gpu, auto& on_host, double most, const auto&... given) {
    outcome& to = all.emplace_back(outcome{what, most, 1, 1, {}});
    threads.emplace_back([&to, &on_gpu, &on_host, ... pair = &given] {
      try {
        const auto first = on_gpu(pair->second...);
        to.first = apart(first, on_host(pair->first...));
        to.again = apart(on_gpu(pair->second...), first);
      } catch (const std::exception& e) {
        to.problem = e.what();
      }
    });
  };
  const two A{s, ds};
  const two B{t, dt};
  const two V{g, dg};
  const two W{h, dh};
  const two L{l, dl};
  const auto norm = layer_norm(a, 1e-5, col) * v + w;
  auto f1 = compile<cuda>(softmax(a, col), a);
  auto g1 = compile<host>(softmax(a, col), a);
  both("softmax", f1, g1, 2e-6, A);
  auto f2 = compile<cuda>(vjp(softmax(a, col), b, a), a, b);
  auto g2 = compile<host>(vjp(softmax(a, col), b, a), a, b);
  both("softmax, backward", f2, g2, 1e-5, A, B);
  auto f3 = compile<cuda>(norm, a, v, w);
  auto g3 = compile<host>(norm, a, v, w);
  both("layer norm", f3, g3, 2e-6, A, V, W);
  auto f4 = compile<cuda>(vjp(norm, b, a, v, w), a, b, v, w);
  auto g4 = compile<host>(vjp(norm, b, a, v, w), a, b, v, w);
  both("layer norm, backward", f4, g4, 1e-5, A, B, V, W);
  auto f5 = compile<cuda>(cross_entropy(a, label), a, label);
  auto g5 = compile<host>(cross_entropy(a, label), a, label);
  both("cross entropy", f5, g5, 1e-5, A, L);
  auto f6 = compile<cuda>(sum(a, row), a);
  auto g6 = compile<host>(sum(a, row), a);
  both("sum over rows", f6, g6, 1e-5, A);
  // In bf16 the results differ in their last bits alone.
  const auto hx = eval(cast<bf16>(s)), hy = eval(cast<bf16>(t));
  const auto hg = eval(cast<bf16>(g)), hh = eval(cast<bf16>(h));
  const auto dx = to<cuda>(hx), dy = to<cuda>(hy);
  const auto eg = to<cuda>(hg), eh = to<cuda>(hh);
  const two X{hx, dx};
  const two Y{hy, dy};
  const two G{hg, eg};
  const two H{hh, eh};
  const auto half = layer_norm(ha, 1e-5, col) * hv + hw;
  auto f7 = compile<cuda>(vjp(half, hb, ha, hv, hw), ha, hb, hv, hw);
  auto g7 = compile<host>(vjp(half, hb, ha, hv, hw), ha, hb, hv, hw);
  both("layer norm in bf16, backward", f7, g7, 4e-3, X, Y, G, H);
  auto f8 = compile<cuda>(half, ha, hv, hw);
  auto g8 = compile<host>(half, ha, hv, hw);
  both("layer norm in bf16", f8, g8, 4e-3, X, G, H);
  auto f9 = compile<cuda>(vjp(softmax(ha, col), hb, ha), ha, hb);
  auto g9 = compile<host>(vjp(softmax(ha, col), hb, ha), ha, hb);
  both("softmax in bf16, backward", f9, g9, 4e-3, X, Y);
  auto fa = compile<cuda>(sum(ha, row), ha);
  auto ga = compile<host>(sum(ha, row), ha);
  both("sum over rows in bf16", fa, ga, 4e-3, X);
  for (std::thread& thread : threads) thread.join();
  for (const outcome& o : all) {
    INFO(o.what << ": " << o.problem);
    CHECK(o.first < o.most);
    CHECK(o.again == 0);
  }
}

TEST_CASE("many rows") {
  check(9001, 648, 0);
  check(8700, 1288, 8);
  check(1700, 4104, 0);
}
TEST_CASE("long rows") {
  check(70, 32768, 0);
  check(9, 65536, 0);
  check(5, 33000, 4);
  check(3, 50257, 0);
}
TEST_CASE("short rows and few columns") {
  check(17000, 49, 0);
  check(6272, 96, 0);
  check(40, 1000, 2);
}

}  // namespace
