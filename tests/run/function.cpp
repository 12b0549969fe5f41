// Compiled expressions: arguments by position and by name, several outputs, empty extents, what is refused,
// what is allocated.
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "../support.hpp"

namespace function_test {
// How often anything in this program asked for memory.
std::atomic<int> allocations{0};

// Not inlined: g++ would take std::free for a mismatch with the operator new beside it.
[[gnu::noinline]] void* allocate(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void release(void* p) { std::free(p); }
}  // namespace function_test

// Once inlined, g++ takes the pairs of these for mismatched.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

void* operator new(std::size_t n) { return function_test::allocate(n, 16); }
void* operator new(std::size_t n, std::align_val_t a) {
  return function_test::allocate(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { function_test::release(p); }
void operator delete(void* p, std::size_t) noexcept { function_test::release(p); }
void operator delete(void* p, std::align_val_t) noexcept { function_test::release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { function_test::release(p); }

namespace function_test {

using namespace flame;
using namespace flame::literals;
using backend = host;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct x : input<f32, batch, feature> {
} x;
inline constexpr struct y : input<f32, batch, feature> {
} y;
inline constexpr struct w : input<f32, hidden, feature> {
} w;
inline constexpr struct rate : input<f32> {
} rate;
inline constexpr struct seed : input<key> {
} seed;
inline constexpr struct fixed : input<f32, batch, three> {
} fixed;

const tensor<f32, batch, feature> a{{1, 2, 3}, {4, 5, 6}};
const tensor<f32, batch, feature> b{{10, 20, 30}, {40, 50, 60}};

using flame::tests::refusal;

TEST_CASE("Arguments by position and by name") {
  const tensor<f32, batch, feature> expected{{-9, -18, -27}, {-36, -45, -54}};
  auto ordered = compile<backend>(x - y, x, y);
  CHECK(all_equal(ordered(a, b), expected));
  auto other = compile<backend>(x - y, y, x);
  CHECK(all_equal(other(b, a), expected));
  auto named = compile<backend>(x - y);
  CHECK(all_equal(named(give(x, a), give(y, b)), expected));
  CHECK(all_equal(named(give(y, b), give(x, a)), expected));
  CHECK(all_equal(ordered(give(y, b), give(x, a)), expected));
  // One tensor for two inputs.
  CHECK(all_equal(ordered(a, a), zeros_like(a)));
}

TEST_CASE("Missing and doubled arguments are refused") {
  auto f = compile<backend>(x - y);
  CHECK(refusal([&] { f(give(x, a)); }) == "flame::compile(e)(arguments...): argument y is not given");
  CHECK(refusal([&] { f(give(x, a), give(x, b), give(y, b)); }) ==
        "flame::compile(e)(arguments...): argument x is given twice, expected once");
  CHECK(refusal([&] { f(give(x, a), give(y, tensor<f32, batch, feature>())); }) ==
        "flame::compile(e)(arguments...): argument y is a tensor without memory");
  CHECK(all_equal(f(give(x, a), give(y, b)), eval(a - b)));
}

TEST_CASE("Unequal extents of one axis are refused, with axis, argument and both extents") {
  auto f = compile<backend>(x + y, x, y);
  const tensor<f32, batch, feature> narrow{{1, 2}, {3, 4}};
  const std::string text = refusal([&] { f(a, narrow); });
  CHECK(text == "argument y: axis feature cannot have extent 2: elsewhere it has extent 3");
  CHECK(all_equal(f(a, b), f(b, a)));
}

TEST_CASE("Numbers for scalar inputs, keys for keys") {
  auto f = compile<backend>(x * rate, x, rate);
  CHECK(all_equal(f(a, 2), eval(a * 2)));
  CHECK(all_equal(f(a, 0.5), eval(a * 0.5)));
  CHECK(all_equal(f(a, tensor<f32>(3)), eval(a * 3)));
  CHECK(all_equal(f(give(rate, 4), give(x, a)), eval(a * 4)));
  auto draw = compile<backend>(uniform(seed, batch, feature) + 0_c * x, seed, x);
  CHECK(all_equal(draw(key(5), a), uniform(key(5), batch == 2, feature == 3)));
  CHECK(all_equal(draw(give(x, a), give(seed, key(5))), uniform(key(5), batch == 2, feature == 3)));
}

TEST_CASE("An expression holds numbers and tensors") {
  double number = 3;
  auto f = compile<backend>(x * number + b, x);
  number = 100;
  CHECK(all_equal(f(a), tensor<f32, batch, feature>{{13, 26, 39}, {52, 65, 78}}));
  // Two expressions of one type hold different numbers.
  auto g = compile<backend>(x * 2 + a, x);
  CHECK(all_equal(g(a), tensor<f32, batch, feature>{{3, 6, 9}, {12, 15, 18}}));
  CHECK(all_equal(f(b), eval(b * 4)));
}

TEST_CASE("Several outputs") {
  auto f = compile<backend>(value_and_grad(sum(x * y), x, y), x, y);
  auto [value, dx, dy] = f(a, b);
  CHECK(value.item() == 910);
  CHECK(all_equal(dx, b));
  CHECK(all_equal(dy, a));
  static_assert(same<decltype(value), tensor<f32>>);
}

TEST_CASE("Results are new memory at every call") {
  auto f = compile<backend>(x + 1, x);
  auto first = f(a), second = f(b);
  CHECK(first(0, 0) == 2);
  CHECK(second(0, 0) == 11);
  auto identity = compile<backend>(permute(x, batch, feature), x);
  auto copy = identity(a);
  CHECK(copy.data() != a.data());
}

TEST_CASE("New extents make a new plan; old ones are kept") {
  auto f = compile<backend>(sum(x, feature), x);
  CHECK(all_equal(f(a), tensor<f32, batch>{6, 15}));
  CHECK(all_equal(f(ones<f32>(batch == 1, feature == 100)), tensor<f32, batch>{100}));
  CHECK(all_equal(f(a), tensor<f32, batch>{6, 15}));
}

TEST_CASE("Empty batches work") {
  const auto none = zeros<f32>(batch == 0, feature == 3);
  const auto thin = zeros<f32>(batch == 2, feature == 0);
  const auto weight = ones<f32>(hidden == 4, feature == 3);
  auto product = compile<backend>(matmul(x, w, feature), x, w);
  CHECK(product(none, weight).shape() == std::vector<i64>{0, 4});
  CHECK(all_equal(product(thin, zeros<f32>(hidden == 4, feature == 0)), zeros<f32>(batch == 2, hidden == 4)));
  auto gradient = compile<backend>(grad(sum(matmul(x, w, feature)), w), x, w);
  CHECK(all_equal(gradient(none, weight), zeros_like(weight)));
  auto soft = compile<backend>(softmax(x, feature), x);
  CHECK(soft(none).shape() == std::vector<i64>{0, 3});
  auto total = compile<backend>(sum(x), x);
  CHECK(total(none).item() == 0);
  auto rows = compile<backend>(sum(x, batch), x);
  CHECK(all_equal(rows(none), zeros<f32>(feature == 3)));
  auto average = compile<backend>(mean(x), x);
  CHECK(average(none).item() == 0);  // over all axes; PyTorch says NaN
}

TEST_CASE("NaN and infinity propagate") {
  const f32 nan = std::numeric_limits<f32>::quiet_NaN(), infinity = std::numeric_limits<f32>::infinity();
  const tensor<f32, batch, feature> odd{{1, nan, 3}, {infinity, 5, 6}};
  for (f32 v : compile<backend>(softmax(x, feature), x)(odd)[0].to_vector()) CHECK(std::isnan(v));
  CHECK(std::isnan(compile<backend>(max(x), x)(odd).item()));
  CHECK(std::isnan(compile<backend>(relu(x), x)(odd)(0, 1)));
  CHECK(std::isnan(compile<backend>(x * 0_c, x)(odd)(1, 0)));
  CHECK(std::isnan(compile<backend>(x - x, x)(odd)(1, 0)));
  auto product = compile<backend>(matmul(x, w, feature), x, w)(odd, ones<f32>(hidden == 2, feature == 3));
  CHECK(std::isnan(product(0, 0)));
  CHECK(product(1, 1) == infinity);
}

TEST_CASE("Constants are folded only where they mean the same in the element type") {
  const float infinity = std::numeric_limits<float>::infinity();
  const tensor<f32, batch> small{1e-30f, 0}, large{infinity, 1e38f}, zeros{0.0f, -0.0f};
  auto both = [](const tensor<f32, batch>& t) { return std::to_string(t(0)) + " " + std::to_string(t(1)); };
  CHECK(eval(1e30_c * (1e30_c * small))(0) == doctest::Approx(1e30));
  CHECK(eval(1e30_c * (1e30_c * small))(1) == 0);
  CHECK(eval(1e-30_c * (1e-30_c * large))(0) == infinity);
  CHECK(eval(1e-30_c * (1e-30_c * large))(1) == doctest::Approx(1e-22));
  CHECK(eval(3e38_c * small + 3e38_c * small)(0) == doctest::Approx(6e8));
  CHECK(eval(3e38_c * small + 3e38_c * small)(1) == 0);
  CHECK(both(eval(1_c / (0_c - zeros))) == "inf inf");
  CHECK(both(eval(1_c / (zeros + 0_c))) == "inf inf");
  CHECK(both(eval(1_c / -zeros)) == "-inf inf");
}

TEST_CASE("Views with strides are arguments like others") {
  auto f = compile<backend>(softmax(x * y, feature), x, y);
  const auto wide = normal(key(1), feature == 6, batch == 5);
  const auto other = normal(key(2), batch == 5, feature == 3);
  const auto view = wide.slice(feature, 0, 6, 2).permute(batch, feature);
  CHECK(!view.is_contiguous());
  CHECK(all_close(f(view, other), f(view.contiguous(), other), 1e-6));
  auto product = compile<backend>(matmul(x, w, feature), x, w);
  const auto weight = normal(key(3), feature == 3, hidden == 7).permute(hidden, feature);
  CHECK(all_close(product(view, weight), product(view.clone(), weight.clone()), 1e-5, 1e-6));
  auto whole = compile<backend>(sum(x), x);
  const auto repeated = tensor<f32, batch, feature>(a.memory(), a.data(), std::vector<i64>{4, 3}.data(),
                                                    std::vector<i64>{0, 1}.data());
  CHECK(whole(repeated).item() == 24);
}

TEST_CASE("Static extents need no argument to be known") {
  auto f = compile<backend>(sum(fixed, batch), fixed);
  CHECK(all_equal(f(ones<f32>(batch == 5, three)), full<f32>(5, three)));
  auto g = compile<backend>(grad(sum(fixed), fixed), fixed);
  CHECK(all_equal(g(zeros<f32>(batch == 2, three)), ones<f32>(batch == 2, three)));
}

TEST_CASE("A chain is one kernel, and so is a softmax") {
  auto chain = tanh(x * y + 1) * sigmoid(x) - exp(-abs(y)) / (1 + x * x);
  static_assert(kernels(chain) == 1);
  static_assert(kernels(softmax(x, feature)) == 1);
  auto f = compile<backend>(chain, x, y);
  CHECK(f.plan(a, b).steps.size() == 1);
  CHECK(f.plan(a, b).arena_bytes == 0);
  CHECK(f(a, b)(1, 2) ==
        doctest::Approx(std::tanh(361.) / (1 + std::exp(-6.)) - std::exp(-60.) / 37).epsilon(1e-6));
}

// A tensor is its memory and the count of who shares it.
constexpr int allocations_of_a_result = 2;

TEST_CASE("A repeated call allocates its results and nothing else") {
  auto loss = mean(softmax(matmul(tanh(x), w, feature), hidden) * 2);
  auto f = compile<backend>(value_and_grad(loss, w), x, w);
  const auto data = normal(key(1), batch == 64, feature == 32);
  const auto weight = normal(key(2), hidden == 16, feature == 32);
  auto [first, gradient] = f(data, weight);
  f(data, weight);
  int before = allocations;
  auto [value, again] = f(data, weight);
  int made = allocations - before;
  CHECK(made == 2 * allocations_of_a_result);
  CHECK(value.item() == first.item());
  CHECK(all_equal(again, gradient));

  auto once = [&] { return eval(tanh(a * b + 1) * 0.5); };
  once();
  before = allocations;
  auto c = once();
  made = allocations - before;
  CHECK(made == allocations_of_a_result);
  CHECK(c.size() == 6);
}

}  // namespace function_test
