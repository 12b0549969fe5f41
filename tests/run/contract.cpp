// Contractions and products of matrices against naive sums in f64: layouts, edges, every way to cut them,
// numbers of threads.
//
// labels: threads
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <flame/run/host/contract.hpp>
#include <new>
#include <random>
#include <vector>

#include "library.hpp"

// Every allocation of this program is counted.
namespace {
std::atomic<long> allocations{0};
}
FLAME_NOINLINE void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
FLAME_NOINLINE void* operator new(std::size_t size, std::align_val_t align) {
  ++allocations;
  const std::size_t unit = static_cast<std::size_t>(align);
  if (void* p = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return p;
  throw std::bad_alloc();
}
FLAME_NOINLINE void operator delete(void* p) noexcept { std::free(p); }
FLAME_NOINLINE void operator delete(void* p, std::size_t) noexcept { std::free(p); }
FLAME_NOINLINE void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
FLAME_NOINLINE void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

using namespace flame;
using namespace flame::library_tests;
using host_kernels::contraction;

// Strides of some axes in memory of a random order of axes, with gaps; how many elements that takes.
i64 lay_out(const contraction& x, const std::vector<int>& axes, std::mt19937& random, i64* strides) {
  std::vector<int> order = axes;
  std::shuffle(order.begin(), order.end(), random);
  i64 stride = random() % 4 == 0 ? 2 : 1;
  for (int i : order) {
    strides[i] = stride;
    stride *= x.extents[i] ? x.extents[i] : 1;
    if (random() % 4 == 0) stride += static_cast<i64>(random() % 3);
  }
  return stride + 1;
}

template <class E> struct problem {
  contraction x;
  std::vector<E> a, b, out;

  void point() { x.element = dtype_of<E>, x.a = a.data(), x.b = b.data(), x.out = out.data(); }

  // f(offset in out, sum, sum of magnitudes), for every element of out whose number is a multiple of `every`.
  template <class F> void each(i64 every, F f) const {
    const int kept = x.batch_rank + x.m_rank + x.n_rank, all = kept + x.k_rank;
    i64 count = 1, terms = 1;
    for (int i = 0; i < kept; ++i) count *= x.extents[i];
    for (int i = kept; i < all; ++i) terms *= x.extents[i];
    auto walk = [&](int first, int past, i64 n, i64& at_a, i64& at_b, i64& at_out) {
      for (int i = past - 1; i >= first; n /= x.extents[i--]) {
        const i64 at = n % x.extents[i];
        const bool in_m = i >= x.batch_rank && i < x.batch_rank + x.m_rank;
        const bool in_n = i >= x.batch_rank + x.m_rank && i < kept;
        if (!in_n) at_a += at * x.a_strides[i];
        if (!in_m) at_b += at * x.b_strides[i];
        at_out += at * x.out_strides[i];
      }
    };
    for (i64 n = 0; n < count; n += every) {
      i64 at_a = 0, at_b = 0, at_out = 0, none = 0;
      walk(0, kept, n, at_a, at_b, at_out);
      double sum = 0, size = 0;
      for (i64 p = 0; p < terms; ++p) {
        i64 term_a = at_a, term_b = at_b;
        walk(kept, all, p, term_a, term_b, none);
        const double term =
            wide(a[static_cast<std::size_t>(term_a)]) * wide(b[static_cast<std::size_t>(term_b)]);
        sum += term, size += std::abs(term);
      }
      f(static_cast<std::size_t>(at_out), sum, size);
    }
  }

  // Runs with several numbers of threads: right, the same bits each time, and nothing else written.
  void check(i64 every = 1) {
    point();
    threads restore;
    const std::vector<E> before = out;
    std::vector<E> first;
    for (int n : {1, 2, 5}) {
      host_kernels::set_thread_count(n);
      out = before;
      host_kernels::contract(x);
      if (first.empty()) first = out;
      REQUIRE(std::memcmp(first.data(), out.data(), out.size() * sizeof(E)) == 0);
    }
    const double compute = std::is_same_v<E, double> ? 0x1p-53 : 0x1p-24;
    std::vector<bool> written(out.size());
    bool good = true;
    each(every, [&](std::size_t at, double sum, double size) {
      written[at] = true;
      if (x.accumulate) sum += wide(before[at]), size += std::abs(wide(before[at]));
      const double error = std::abs(wide(out[at]) - sum);
      good = good && error <= 1.01 * rounding<E> * std::abs(sum) + 64 * compute * size;
    });
    CHECK(good);
    if (every > 1) return;
    bool kept = true;
    for (std::size_t i = 0; i < out.size(); ++i)
      kept = kept && (written[i] || std::memcmp(&out[i], &before[i], sizeof(E)) == 0);
    CHECK(kept);
  }
};

template <class E> void random_contractions(unsigned seed, int count) {
  std::mt19937 random(seed);
  for (int n = 0; n < count; ++n) {
    problem<E> p;
    contraction& x = p.x;
    int* ranks[] = {&x.batch_rank, &x.m_rank, &x.n_rank, &x.k_rank};
    std::vector<int> in_a, in_b, in_out;
    int axis = 0;
    const int large = static_cast<int>(random() % 4);
    for (int group = 0; group < 4; ++group) {
      *ranks[group] = static_cast<int>(random() % 3);
      for (int i = 0; i < *ranks[group]; ++i, ++axis) {
        x.extents[axis] = random() % 30 == 0 ? 0 : 1 + static_cast<i64>(random() % (group == large ? 40 : 7));
        if (group != 2) in_a.push_back(axis);
        if (group != 1) in_b.push_back(axis);
        if (group != 3) in_out.push_back(axis);
      }
    }
    x.accumulate = random() % 3 == 0;
    p.a = numbers<E>(lay_out(x, in_a, random, x.a_strides), random);
    p.b = numbers<E>(lay_out(x, in_b, random, x.b_strides), random);
    p.out = numbers<E>(lay_out(x, in_out, random, x.out_strides), random);
    CAPTURE(n);
    p.check();
  }
}

// A batch of products, each operand plain or transposed; elements are checked here and there.
template <class E>
void product(i64 batch, i64 m, i64 n, i64 k, bool a_turned, bool b_turned, bool c_turned,
             bool accumulate = false) {
  INFO(batch, " of ", m, " ", n, " ", k, ", turned: ", a_turned, b_turned, c_turned);
  std::mt19937 random(1);
  problem<E> p;
  contraction& x = p.x;
  x.accumulate = accumulate;
  x.batch_rank = x.m_rank = x.n_rank = x.k_rank = 1;
  const i64 extents[] = {batch, m, n, k}, a[] = {m * k, a_turned ? 1 : k, 0, a_turned ? m : 1},
            b[] = {k * n, 0, b_turned ? k : 1, b_turned ? 1 : n},
            c[] = {m * n, c_turned ? 1 : n, c_turned ? m : 1, 0};
  for (int i = 0; i < 4; ++i)
    x.extents[i] = extents[i], x.a_strides[i] = a[i], x.b_strides[i] = b[i], x.out_strides[i] = c[i];
  p.a = numbers<E>(batch * m * k, random), p.b = numbers<E>(batch * k * n, random);
  p.out = numbers<E>(batch * m * n, random);
  p.check(1 + batch * m * n / 997);
}

template <class E> void products() {
  for (int turned = 0; turned < 8; ++turned) {
    const bool a = turned & 1, b = turned & 2, c = turned & 4;
    product<E>(1, 96, 96, 2100, a, b, c);          // the sum split
    product<E>(1, 200, 100, 1300, a, b, c, true);  // the sum split, added
    product<E>(1, 530, 97, 70, a, b, c);           // rows shared out
    product<E>(1, 530, 300, 290, a, b, c, true);   // rows shared out, panels shared
    product<E>(1, 40, 700, 300, a, b, c);          // columns shared out
    product<E>(37, 49, 49, 24, a, b, c);           // whole products shared out
    product<E>(20, 49, 24, 300, a, b, c, true);
    product<E>(3, 1, 65, 257, a, b, c);  // dot products, or one row
    product<E>(1, 1, 1, 9001, a, b, c);
    product<E>(1, 129, 1, 513, a, b, c);
    product<E>(1, 70, 1, 2, a, b, c);
    product<E>(1, 9, 10, 1, a, b, c);  // an outer product
  }
  product<E>(1, 300, 4500, 260, false, true,
             false);  // more columns, and more of the sum, than are packed at once
  product<E>(1, 300, 150, 9000, false, true, false);
  product<E>(2, 210, 230, 220, false, false, false);  // large products of a batch
}

}  // namespace

TEST_CASE("random contractions, f32") { random_contractions<float>(1, 400); }
TEST_CASE("random contractions, f64") { random_contractions<double>(2, 200); }
TEST_CASE("random contractions, bf16") { random_contractions<bf16>(3, 200); }
TEST_CASE("random contractions, f16") { random_contractions<f16>(4, 200); }

TEST_CASE("products of every cut, f32") { products<float>(); }
TEST_CASE("products of every cut, f64") { products<double>(); }
TEST_CASE("products of every cut, bf16") { products<bf16>(); }

TEST_CASE("NaN and infinity go through") {
  const float nan = std::nanf(""), infinity = INFINITY;
  float a[] = {nan, 1, infinity, 1, 0, 1}, b[] = {0, 1, 1, 1}, c[6];
  host_kernels::gemm<float>({a, 3, 2, 2, 1}, {b, 2, 2, 2, 1}, {c, 3, 2, 2, 1});
  CHECK(std::isnan(c[0]));
  CHECK(std::isnan(c[1]));
  CHECK(std::isnan(c[2]));
  CHECK(c[3] == infinity);
  CHECK(c[4] == 1);
  CHECK(c[5] == 1);
}

TEST_CASE("nothing to sum over: zeros, or what was there") {
  float c[] = {1, 2, 3, 4};
  host_kernels::gemm<float>({nullptr, 2, 0, 0, 1}, {nullptr, 0, 2, 2, 1}, {c, 2, 2, 2, 1}, true);
  CHECK(c[3] == 4);
  host_kernels::gemm<float>({nullptr, 2, 0, 0, 1}, {nullptr, 0, 2, 2, 1}, {c, 2, 2, 2, 1});
  CHECK((c[0] == 0 && c[1] == 0 && c[2] == 0 && c[3] == 0));
}

TEST_CASE("what does not fit is refused") {
  float x[4] = {};
  CHECK_THROWS_WITH_AS(host_kernels::gemm<float>({x, 2, 2, 2, 1}, {x, 1, 2, 2, 1}, {x, 2, 2, 2, 1}),
                       "gemm: the matrices are [2, 2], [1, 2] and [2, 2], expected [m, k], [k, n] and [m, n]",
                       error);
  contraction c;
  c.element = dtype::int32;
  CHECK_THROWS_WITH_AS(host_kernels::contract(c),
                       "contract: the operands are i32, expected f32, f64, bf16 or f16", error);
  c.element = dtype::f32;
  c.m_rank = 17;
  CHECK_THROWS_AS(host_kernels::contract(c), error);
}

TEST_CASE("the second call allocates nothing") {
  struct sizes {
    i64 batch, m, n, k;
  };
  threads restore;
  host_kernels::set_thread_count(1);
  for (const auto& [batch, m, n, k] :
       {sizes{1, 96, 96, 2100}, sizes{1, 530, 300, 290}, sizes{64, 49, 49, 24}}) {
    problem<bf16> p;
    contraction& x = p.x;
    x.batch_rank = x.m_rank = x.n_rank = x.k_rank = 1;
    const i64 extents[] = {batch, m, n, k}, a[] = {m * k, k, 0, 1}, b[] = {k * n, 0, 1, n},
              c[] = {m * n, n, 1, 0};
    for (int i = 0; i < 4; ++i)
      x.extents[i] = extents[i], x.a_strides[i] = a[i], x.b_strides[i] = b[i], x.out_strides[i] = c[i];
    p.a.resize(static_cast<std::size_t>(batch * m * k)), p.b.resize(static_cast<std::size_t>(batch * k * n));
    p.out.resize(static_cast<std::size_t>(batch * m * n));
    p.point();
    host_kernels::contract(x);
    const long before = allocations;
    host_kernels::contract(x);
    CHECK(allocations == before);
  }
}
