// A training step: reproducible, without allocation, one update kernel; parameters frozen by path; odd
// batches.
#include <doctest/doctest.h>

#include <flame/expr/random.hpp>
#include <flame/train/step.hpp>

#include <atomic>
#include <cstdlib>
#include <new>

#include "perceptron.hpp"

namespace {
std::atomic<long> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  size = (size + alignment - 1) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, size > 0 ? size : alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
}  // namespace

// Not inlined: g++ 12 takes free for a mismatch of the inlined new.
[[gnu::noinline]] void* operator new(std::size_t size) { return counted(size, 16); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

using namespace flame;
using namespace flame::tests;

namespace {

auto noisy = [](auto m, auto x, auto label, auto k) { return cross_entropy(m(dropout(x, 0.25, k)), label); };

auto make(i64 width = 16) { return perceptron(width); }
labels numbered(i64 n) {
  labels l(std::vector<i64>{n});
  for (i64 i = 0; i < n; ++i) l.data()[i] = static_cast<i32>(i % 3);
  return l;
}

int products(const program& p) {
  int n = 0;
  for (const program_step& s : p.steps) n += s.library == op::contract && !s.code;
  return n;
}
// Steps that write the weights, which are the first buffer.
int updates(const program& p) {
  int n = 0;
  for (const program_step& s : p.steps)
    for (int i = 0; i < s.tensors.size(); ++i) n += s.writes[i] && s.tensors[i].buffer == 0;
  return n;
}

std::vector<float> trained(u64 seed, int steps) {
  auto m = make();
  auto step = train_step(m, noisy, adamw{.lr = 1e-2}, {.seed = seed, .ema = 0.9, .clip_norm = 0.5});
  for (int i = 0; i < steps; ++i) step(draw(32, static_cast<u64>(i)), numbered(32));
  std::vector<float> all = copy(m.flat().values());
  const std::vector<float> average = copy(step.averaged().flat().values());
  all.insert(all.end(), average.begin(), average.end());
  return all;
}

}  // namespace

TEST_CASE("one seed gives the same bits again, another seed others") {
  const std::vector<float> a = trained(3, 8);
  CHECK(same_bits(a, trained(3, 8)));
  CHECK_FALSE(same_bits(a, trained(4, 8)));
}

TEST_CASE("a step trains: the loss falls, in one update kernel, without allocation after the first step") {
  const int before_all = host_code::thread_count();
  for (const auto& [threads, stored] : {std::pair{1, precision::full},
                                        {2, precision::full},
                                        {5, precision::full},
                                        {2, precision::bf16},
                                        {2, precision::f16}}) {
    CAPTURE(threads);
    CAPTURE(static_cast<int>(stored));
    host_code::set_thread_count(threads);
    auto m = make(128);
    samples x = draw(512);
    labels y = numbered(512);
    auto step = train_step(m, noisy, adam{.lr = 3e-2}, {.ema = 0.9, .clip_norm = 10, .precision = stored});
    const float first = step(x, y).item();
    const long before = allocations;
    float last = 0;
    for (int i = 0; i < 100; ++i) last = step(x, y).item();
    CHECK(allocations - before == 0);
    CHECK(last < 0.9f * first);
    CHECK(updates(step.plan()) == 1);
    CHECK(products(step.plan()) == 5);  // two forward; both weights' gradients; the gradient between
    CHECK(step.steps() == 101);
  }
  host_code::set_thread_count(before_all);
}

TEST_CASE("a frozen parameter has no gradient, and nothing is computed for one") {
  auto m = make();
  const std::vector<float> weight = copy(m.values("fc1.weight")), bias = copy(m.values("fc1.bias"));
  const std::vector<float> other = copy(m.values("fc2.weight"));
  auto step = train_step<trainable<"fc2.*">>(m, classify, adamw{.lr = 1e-2});
  step(draw(16), numbered(16));
  CHECK(products(step.plan()) == 3);
  CHECK(updates(step.plan()) == 1);
  CHECK(same_bits(weight, m.values("fc1.weight")));
  CHECK(same_bits(bias, m.values("fc1.bias")));
  CHECK_FALSE(same_bits(other, m.values("fc2.weight")));
  CHECK(step.gradient("fc2.weight").size() == 48);
  CHECK(step.engine().trained() == 48 + 16);  // gradients and moments are kept for what is trained
  CHECK_THROWS_WITH(static_cast<void>(step.gradient("fc1.weight")),
                    "flame::train_step: parameter fc1.weight is not trained");
  CHECK_THROWS_WITH(static_cast<void>(step.gradient("fc3")), "flame::model: it has no parameter fc3");
  CHECK_THROWS_WITH((train_step<trainable<"fc1.*", "fc9.*">>(m, classify, sgd{})),
                    "flame::train_step: the pattern fc9.* matches no parameter of the model");
}

// The norm is that of all gradients together, wherever they lie.
TEST_CASE("trained parameters may lie apart") {
  auto m = make(), n = make();
  const std::vector<float> weight = copy(m.values("fc1.weight"));
  samples x = draw(16);
  labels y = numbered(16);
  auto step = train_step<trainable<"*.bias">>(m, classify, sgd{.lr = 1}, {.clip_norm = 1e-3});
  auto all = train_step(n, classify, sgd{.lr = 1});
  step(x, y), all(x, y);
  CHECK(updates(step.plan()) == 2);
  CHECK(same_bits(weight, m.values("fc1.weight")));
  CHECK(same_bits(copy(step.gradient("fc1.bias")), copy(all.gradient("fc1.bias"))));
  auto start = make();
  double moved = 0;
  for (const char* path : {"fc1.bias", "fc2.bias"})
    for (std::size_t i = 0; i < m.values(path).size(); ++i)
      moved += std::pow(static_cast<double>(m.values(path)[i] - start.values(path)[i]), 2);
  CHECK(std::sqrt(moved) == doctest::Approx(1e-3).epsilon(1e-3));
}

TEST_CASE("batches: of other sizes, views, empty, with NaN") {
  auto m = make();
  auto step = train_step(m, classify, sgd{.lr = 0.1});
  step(draw(8), numbered(8));
  const std::vector<float> gradient = copy(step.gradient("fc1.weight"));

  SUBCASE("another size, and back") {
    auto again = make();
    auto other = train_step(again, classify, sgd{.lr = 0});
    other(draw(5), numbered(5));
    other(draw(8), numbered(8));
    CHECK(same_bits(gradient, copy(other.gradient("fc1.weight"))));
  }
  SUBCASE("a view with strides") {
    auto again = make();
    auto other = train_step(again, classify, sgd{.lr = 0});
    samples wide(std::vector<i64>{16, 12});
    labels wide_labels(std::vector<i64>{16});
    wide.fill(7), wide_labels.fill(2);
    wide.slice(batch, 0, 16, 2).copy_from(draw(8));
    wide_labels.slice(batch, 0, 16, 2).copy_from(numbered(8));
    other(draw(8), numbered(8));  // a plan for dense tensors of the same extents
    other(wide.slice(batch, 0, 16, 2), wide_labels.slice(batch, 0, 16, 2));
    CHECK(same_bits(gradient, copy(other.gradient("fc1.weight"))));
  }
  SUBCASE("an empty batch has no gradient") {
    const std::vector<float> before = copy(m.flat().values());
    step(draw(0), numbered(0));
    CHECK(step.gradient_norm() == 0);
    CHECK(same_bits(before, m.flat().values()));
  }
  SUBCASE("NaN goes where it must") {
    samples x = draw(8);
    x(3, 2) = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(step(x, numbered(8)).item()));
    CHECK(std::isnan(m.values("fc2.weight")[0]));
    CHECK(std::isnan(step.gradient_norm()));
  }
  SUBCASE("extents that do not fit are refused by name") {
    CHECK_THROWS_WITH_AS(step(draw(8), numbered(7)),
                         "argument 2: axis batch cannot have extent 7: elsewhere it has extent 8", error);
  }
}
