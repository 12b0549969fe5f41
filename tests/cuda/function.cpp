// Expressions, functions and models on a GPU: what the host gives, the same bits again, numbers that change
// from run to run, threads, streams, and what is refused.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#if !defined(FLAME_TEST_TWIN)
#include <cuda_runtime_api.h>
#endif

#include <flame/expr/attention.hpp>
#include <flame/expr/random.hpp>
#include <flame/language.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/function.hpp>
#include <thread>

#include "network.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct wide : input<f64, row, col> {
} wide;
inline constexpr struct left : input<f32, row, inner> {
} left;
inline constexpr struct right : input<f32, inner, col> {
} right;
inline constexpr struct which : input<i32, inner> {
} which;
inline constexpr struct scale : input<f32> {
} scale;
inline constexpr struct seed : input<key> {
} seed;
inline constexpr struct gain : input<f32, col> {
} gain;
inline constexpr struct back : input<f32, row, col> {
} back;

TEST_CASE("eval runs where the tensors lie") {
  const auto a = normal(key(1), row == 37, col == 65), b = normal(key(2), row == 37, col == 65);
  const auto u = to<cuda>(a), v = to<cuda>(b);
  const device_tensor<f32, row, col> first = eval(u * v + sin(u));
  CHECK(distance(first, eval(a * b + sin(a))) < 1e-6);
  for (int i = 0; i < 5; ++i) CHECK(same_values(eval(u * v + sin(u)), first));
  CHECK(distance(eval(softmax(u, col)), eval(softmax(a, col))) < 1e-6);
  CHECK(distance(eval(sum(u, row)), eval(sum(a, row))) < 1e-5);
  CHECK(distance(eval(mean(u * u)), eval(mean(a * a))) < 1e-6);
  CHECK(same_values(eval(argmax(u, col)), eval(argmax(a, col))));
  CHECK(same_values(eval(cast<i32>(u * 10)), eval(cast<i32>(a * 10))));
  CHECK(distance(eval(u.slice(row, 1, 30, 3) * 2 + v.slice(row, 1, 30, 3)),
                 eval(a.slice(row, 1, 30, 3) * 2 + b.slice(row, 1, 30, 3))) < 1e-6);
  CHECK(distance(eval(u.permute(col, row) * v), eval(a.permute(col, row) * b)) < 1e-6);
  CHECK(same_values(eval(u.slice(row, 0, 0) * 2), eval(a.slice(row, 0, 0) * 2)));
}

TEST_CASE("operands that lie along another axis, in squares and where none fit") {
  for (i64 rows : {16, 37, 64, 200})
    for (i64 columns : {48, 65, 132}) {
      const auto a = normal(key(1), row == rows, col == columns);
      const auto b = normal(key(2), col == columns, row == rows);
      const auto u = to<cuda>(a);
      const auto v = to<cuda>(b);
      CHECK(distance(eval(sin(u) * v.permute(row, col) + v.permute(row, col)),
                     eval(sin(a) * b.permute(row, col) + b.permute(row, col))) < 1e-6);
      CHECK(distance(eval(u.permute(col, row) * 2), eval(a.permute(col, row) * 2)) < 1e-6);
    }
}

TEST_CASE("rows of every length: in registers as values, as they lie in memory, and not at all") {
  for (i64 columns : {24, 640, 1000, 8192, 20000, 70000}) {
    const auto a = normal(key(1), row == 3, col == columns), b = normal(key(2), row == 3, col == columns);
    const auto u = to<cuda>(a), v = to<cuda>(b);
    CHECK(distance(eval(softmax(u, col)), eval(softmax(a, col))) < 1e-5);
    CHECK(distance(eval(softmax(u, col) * v - sum(u * v, col)), eval(softmax(a, col) * b - sum(a * b, col))) <
          1e-5);
    CHECK(distance(eval(sum(layer_norm(u, 1e-3, col) * v, row)),
                   eval(sum(layer_norm(a, 1e-3, col) * b, row))) < 1e-5);
    CHECK(same_values(eval(softmax(u, col)), eval(softmax(u, col))));
  }
}

TEST_CASE("numbers that an expression holds go with each run, though nothing is waited for") {
  const auto a = arange<f32>(row == 1000);
  const auto u = to<cuda>(a);
  std::vector<device_tensor<f32, row>> results;
  for (int i = 0; i < 300; ++i) results.push_back(eval(u * static_cast<double>(i) + 1));
  for (int i = 0; i < 300; ++i)
    CHECK(results[static_cast<std::size_t>(i)].select(row, 3).item() == static_cast<float>(3 * i + 1));
  for (int i = 0; i < 3; ++i) CHECK(eval(u * 2.0).select(row, 3).item() == 6);
}

TEST_CASE("a compiled function takes tensors and numbers, by position and by name") {
  const auto a = normal(key(1), row == 19, col == 33);
  const auto u = to<cuda>(a);
  auto f = compile<cuda>(value_and_grad(mean(log_softmax(x * scale, col) * x), x), x, scale);
  auto g = compile<host>(value_and_grad(mean(log_softmax(x * scale, col) * x), x), x, scale);
  for (float s : {0.5f, 2.0f, 2.0f, -1.0f}) {
    auto [value, slope] = f(u, s);
    auto [expected, expected_slope] = g(a, s);
    CHECK(distance(value, expected) < 1e-5);
    CHECK(distance(slope, expected_slope) < 1e-5);
    CHECK(same_values(std::get<1>(f(u, device_tensor<f32>(s))), slope));
    CHECK(same_values(std::get<1>(f(give(scale, s), give(x, u))), slope));
  }
  CHECK(distance(std::get<1>(f(u.slice(row, 0, 7), 1.5f)), std::get<1>(g(a.slice(row, 0, 7), 1.5f))) < 1e-5);
  CHECK(refusal([&] { static_cast<void>(f(give(x, u))); }) ==
        "flame::compile(e)(arguments...): argument scale is not given");
  CHECK(refusal([&] { static_cast<void>(f(device_tensor<f32, row, col>(), 1.0f)); }).find("without memory") !=
        std::string::npos);
}

TEST_CASE("f64 and products") {
  const auto a = normal<f64>(key(1), row == 21, col == 12);
  auto f = compile<cuda>(grad(sum(tanh(wide) * wide), wide), wide);
  auto g = compile<host>(grad(sum(tanh(wide) * wide), wide), wide);
  CHECK(distance(f(to<cuda>(a)), g(a)) < 1e-12);
  const auto l = normal(key(2), row == 45, inner == 70);
  const auto r = normal(key(3), inner == 70, col == 31);
  auto product = compile<cuda>(matmul(left, right, inner) + 1, left, right);
  auto expected = compile<host>(matmul(left, right, inner) + 1, left, right);
  const auto p = product(to<cuda>(l), to<cuda>(r));
  CHECK(distance(p, expected(l, r)) < 1e-5);
  for (int i = 0; i < 4; ++i) CHECK(same_values(product(to<cuda>(l), to<cuda>(r)), p));
}

TEST_CASE("rows of more numbers than a block holds, summed over as well") {
  const auto e = vjp(layer_norm(x, 1e-5, col) * gain, back, x, gain);
  auto f = compile<cuda>(e, x, back, gain);
  auto g = compile<host>(e, x, back, gain);
  for (i64 columns : {9001, 10304}) {  // by elements and by packs; two rows a block on an H200
    const auto a = normal(key(1), row == 300, col == columns), b = normal(key(2), row == 300, col == columns);
    const auto c = normal(key(3), col == columns);
    const auto [by_x, by_gain] = f(to<cuda>(a), to<cuda>(b), to<cuda>(c));
    const auto [host_by_x, host_by_gain] = g(a, b, c);
    CHECK(distance(by_x, host_by_x) < 1e-5);
    CHECK(distance(by_gain, host_by_gain) < 1e-5);
    const auto [again_by_x, again_by_gain] = f(to<cuda>(a), to<cuda>(b), to<cuda>(c));
    CHECK(same_values(by_gain, again_by_gain));
  }
}

TEST_CASE("random draws are the host's, a key being a number") {
  auto f = compile<cuda>(uniform<f32, 4>(seed, row) + x * 0, x, seed);
  auto g = compile<host>(uniform<f32, 4>(seed, row) + x * 0, x, seed);
  const auto a = zeros<f32>(row == 50, col == 3);
  for (u64 k = 1; k < 4; ++k) CHECK(same_values(f(to<cuda>(a), key(k)), g(a, key(k))));
}

TEST_CASE("random normals are the host's to rounding") {
  auto f = compile<cuda>(normal<f32, 4>(seed, row) + x * 0, x, seed);
  auto g = compile<host>(normal<f32, 4>(seed, row) + x * 0, x, seed);
  const auto a = zeros<f32>(row == 1000, col == 3);
  CHECK(distance(f(to<cuda>(a), key(5)), g(a, key(5))) < 1e-6);
  auto f64_on_gpu = compile<cuda>(normal<f64, 4>(seed, row) + wide * 0, wide, seed);
  auto f64_on_host = compile<host>(normal<f64, 4>(seed, row) + wide * 0, wide, seed);
  const auto b = zeros<f64>(row == 1000, col == 3);
  CHECK(distance(f64_on_gpu(to<cuda>(b), key(5)), f64_on_host(b, key(5))) < 1e-13);
}

TEST_CASE("sin and cos of numbers of every size") {
  constexpr i64 count = 4000;
  const auto check = [](auto zeros_of, const auto& leaf, double largest, double most) {
    auto a = zeros_of;
    using element = std::remove_cvref_t<decltype(a.data()[0])>;
    for (i64 i = 0; i < a.size(); ++i) {
      const double exponent = (static_cast<double>(i) / static_cast<double>(a.size()) - 0.1) * largest;
      a.data()[i] = static_cast<element>((i % 2 ? -1.37 : 1.61) * std::pow(10, exponent));
    }
    const auto s = compile<cuda>(sin(leaf), leaf)(to<cuda>(a)).to_vector();
    const auto c = compile<cuda>(cos(leaf), leaf)(to<cuda>(a)).to_vector();
    double worst = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      const auto v = static_cast<long double>(a.data()[i]);
      worst = std::max(worst, static_cast<double>(std::fabs(std::sin(v) - static_cast<long double>(s[i]))));
      worst = std::max(worst, static_cast<double>(std::fabs(std::cos(v) - static_cast<long double>(c[i]))));
    }
    CHECK(worst < most);
  };
  check(zeros<f32>(row == count, col == 1), x, 42, 1.5e-7);
  check(zeros<f64>(row == count, col == 1), wide, 330, 4e-16);
  const double inf = std::numeric_limits<double>::infinity();
  const auto none =
      compile<cuda>(sin(wide), wide)(device_tensor<f64, row, col>{{inf, -inf}, {std::nan(""), -0.0}});
  const auto values = none.to_vector();
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::isnan(values[i]));
  CHECK((values[3] == 0 && std::signbit(values[3])));
}

TEST_CASE("an index out of range is said when its result is waited for") {
  auto f = compile<cuda>(gather(x, which, row), x, which);
  const auto a = normal<f32, cuda>(key(1), row == 5, col == 4);
  const device_tensor<i32, inner> good{4, 0, 2, 1, 3}, bad{0, 5, 1, 2, 3};
  CHECK(f(a, good).select(inner, 0).select(col, 2).item() == a.select(row, 4).select(col, 2).item());
  CHECK(refusal([&] { static_cast<void>(f(a, bad).to_vector()); }).find("5") != std::string::npos);
  CHECK(f(a, good).select(inner, 0).select(col, 2).item() == a.select(row, 4).select(col, 2).item());
}

TEST_CASE("the memory of results is the tensors' alone") {
  auto f = compile<cuda>(exp(x) * x, x);
  const auto a = normal<f32, cuda>(key(1), row == 512, col == 512);
  static_cast<void>(f(a)), cuda::synchronize();
  const cuda_code::memory_count before = cuda_code::memory_use();
  for (int i = 0; i < 50; ++i) static_cast<void>(f(a));
  CHECK(cuda_code::memory_use().used == before.used);
  CHECK(cuda_code::memory_use().most <= std::max(before.most, before.used + 2 * 4 * 512 * 512));
}

TEST_CASE("threads share a device") {
  const auto a = normal(key(1), row == 64, col == 80);
  const auto u = to<cuda>(a);
  const auto expected = compile<host>(softmax(matmul(x, rename(x, row, inner), col), inner), x)(a);
  std::vector<std::string> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      wrong[t] = refusal([&] {
        auto f = compile<cuda>(softmax(matmul(x, rename(x, row, inner), col), inner), x);
        const auto first = f(u);
        if (distance(first, expected) > 1e-5) throw error("another result than the host's");
        for (int i = 0; i < 40; ++i) {
          const double k = static_cast<double>(t) + i;
          if (!same_values(f(u), first)) throw error("other bits");
          if (eval(u * 0 + k).select(row, 1).select(col, 1).item() != static_cast<float>(k))
            throw error("another thread's number");
        }
      });
    });
  for (std::thread& t : threads) t.join();
  for (const std::string& w : wrong) CHECK(w.empty());
}

#if !defined(FLAME_TEST_TWIN)
TEST_CASE("a stream of the user's") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  const auto a = normal(key(1), row == 64, col == 80);
  {
    cuda::set_stream(stream);
    const auto u = to<cuda>(a);
    CHECK(distance(eval(u * 3 + 1), eval(a * 3 + 1)) < 1e-6);
    cuda::synchronize();
    cuda::set_stream(nullptr);
    CHECK(distance(eval(u * 3 + 1), eval(a * 3 + 1)) < 1e-6);
    cuda::synchronize();
  }
  cudaStreamDestroy(stream);
}
#endif

// ---- Models ----

TEST_CASE("a model is what it is on the host") {
  const auto m = network();
  const auto n = init<cnn, cuda>(key(4), channel == 8, flat == 128);
  CHECK(same_values(m.flat(), n.flat()));
  CHECK(same_values(to<cuda>(m).flat(), m.flat()));
  CHECK(same_values(to<host>(n).part("fc.bias"), m.part("fc.bias")));
  const auto image = images(5);
  auto read = [](auto net, auto a) { return net(a); };
  auto f = forward(m, read);
  auto g = forward(n, read);
  const auto first = g(to<cuda>(image));
  CHECK(distance(first, f(image)) < 1e-5);
  for (int i = 0; i < 4; ++i) CHECK(same_values(g(to<cuda>(image)), first));
  n.part("fc.bias").fill(100);
  CHECK(g(to<cuda>(image)).select(batch, 0).select(answer, 0).item() > 50);
}

}  // namespace
