// What threads share without saying so: two of them plan, prepare and run the same expressions at once, and
// unlike ones; planning a function is done once for all.
//
// labels: threads
#include <doctest/doctest.h>
#include <flame/language.hpp>

#include <atomic>
#include <flame/plan/shared_code.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <thread>
#include <vector>

using namespace flame;

namespace {

inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct x : input<f32, row, inner> {
} x;
inline constexpr struct w : input<f32, inner, column> {
} w;

constexpr int threads = 4;

// f(number) on threads that begin together.
template <class F> void at_once(F f) {
  std::atomic<int> arrived{0};
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&, i] {
      ++arrived;
      while (arrived < threads) std::this_thread::yield();
      f(i);
    });
  for (std::thread& t : all) t.join();
}

auto soft(double scale) { return softmax(matmul(x, w) * scale, column); }

}  // namespace

TEST_CASE("threads compile and run one expression at once") {
  const auto a = normal(key(1), row == 40, inner == 30);
  const auto b = normal(key(2), inner == 30, column == 50);
  auto loss = [] {
    auto y = softmax(tanh(matmul(x, w)), column);
    return value_and_grad(mean(y * y), w);
  };
  std::vector<float> losses(threads);
  std::vector<tensor<f32, inner, column>> gradients(threads, tensor<f32, inner, column>({1, 1}));
  at_once([&](int i) {
    auto f = compile<host>(loss(), x, w);
    for (int run = 0; run < 3; ++run) {
      auto [value, gradient] = f(a, b);
      losses[static_cast<std::size_t>(i)] = value.item();
      gradients[static_cast<std::size_t>(i)] = gradient;
    }
  });
  for (std::size_t i = 1; i < threads; ++i) {
    CHECK(losses[i] == losses[0]);
    CHECK(all_equal(gradients[i], gradients[0]));
  }
}

TEST_CASE("threads compile and run unlike expressions, of unlike extents, at once") {
  float sums[threads] = {};
  auto one = [&](int i) {
    const i64 n = 20 + i;
    const auto a = normal(key(1), row == n, inner == 30);
    const auto b = normal(key(2), inner == 30, column == 2 * n);
    float all = 0;
    for (int run = 0; run < 3; ++run) switch (i) {
        case 0: all += compile<host>(sum(soft(0.5)), x, w)(a, b).item(); break;
        case 1: all += compile<host>(mean(exp(matmul(x, w))), x, w)(a, b).item(); break;
        case 2: all += eval(sum(a * a)).item() + eval(max(a)).item(); break;
        default: all += compile<host>(sum(x * 2), x)(a).item(); break;
      }
    return all;
  };
  at_once([&](int i) { sums[i] = one(i); });
  for (int i = 0; i < threads; ++i) CHECK(sums[i] == one(i));
}

TEST_CASE("a function is made ready once, whoever asks") {
  static constexpr auto e = sum(x * x) + 1;
  const function_info& f = detail::expr_function<std::remove_cvref_t<decltype(e)>>::info;
  const planning::planned_function* found[threads] = {};
  at_once([&](int i) { found[i] = &planning::planned(f); });
  for (int i = 0; i < threads; ++i) CHECK(found[i] == found[0]);
  CHECK(found[0]->info == &f);
  CHECK_FALSE(found[0]->f.steps.empty());
}
