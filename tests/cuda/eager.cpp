// What an eager expression on CUDA asks of the host once its program is there: one kernel, no memory, no
// waiting. On a runtime that stands in for CUDA's.
//
// labels: cuda
// needs: flame::cuda
#include "stand_in.hpp"

#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <chrono>
#include <new>

namespace {

// Every allocation of this program is counted.
std::atomic<long> allocations{0};

// Not inlined: g++ would take std::free for a mismatch with the operator new beside it.
[[gnu::noinline]] void* counted(std::size_t bytes) {
  ++allocations;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void release(void* p) { std::free(p); }

}  // namespace

void* operator new(std::size_t n) { return counted(n); }
void operator delete(void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }

namespace {

using namespace flame;
using cuda_tests::stand_in;

// Nothing of this is kept on disk, nor taken from there.
[[maybe_unused]] const int without_cache = setenv("FLAME_CACHE", "", 1);

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row, col> {
} x;

// A hundred calls of f, after some that may prepare things; how often they asked the allocator.
template <class F> long allocations_of(F&& f) {
  for (int i = 0; i < 20; ++i) f();
  stand_in::instance().forget_calls();
  const long before = allocations;
  for (int i = 0; i < 100; ++i) f();
  return allocations - before;
}
int called(const char* function) { return stand_in::instance().called(function); }
// All calls of CUDA but launches and the cheap question which device is current.
int other_calls() {
  int n = -called("cudaLaunchKernel") - called("cudaGraphLaunch") - called("cudaGetDevice");
  for (const auto& [name, times] : stand_in::instance().calls) n += times;
  return n;
}

TEST_CASE("an eager expression is one launch, whether its results are kept or not") {
  const auto a = ones<f32, cuda>(row == 1024), b = ones<f32, cuda>(row == 1024);
  CHECK(allocations_of([&] { static_cast<void>(eval(a * b + sin(a))); }) == 100);  // the result's owner
  CHECK(called("cudaLaunchKernel") == 100);
  CHECK(called("cudaGetDevice") <= 100);
  CHECK(other_calls() == 0);
  std::vector<decltype(eval(a * b))> results(7);
  std::size_t at = 0;
  CHECK(allocations_of([&] { results[at++ % 7] = eval(a * b); }) == 100);
  CHECK(called("cudaLaunchKernel") == 100);
  CHECK(other_calls() == 0);
}

TEST_CASE("a number that changes from call to call costs one launch more, and no allocation") {
  const auto a = ones<f32, cuda>(row == 1024);
  double n = 0;
  CHECK(allocations_of([&] { static_cast<void>(eval(a * (n += 1))); }) == 100);
  CHECK(called("cudaLaunchKernel") == 200);
  CHECK(other_calls() == 0);
  CHECK(allocations_of([&] { static_cast<void>(eval(a * 3.0)); }) == 100);
  CHECK(called("cudaLaunchKernel") == 100);
}

TEST_CASE("a program of several steps that runs again with the same memory is one graph") {
  const auto a = ones<f32, cuda>(row == 64, col == 48);
  const auto p = x / sum(x, row);
  const auto q = p / sum(p, col);
  auto f = compile<cuda>(q / sum(q, row), x);
  REQUIRE(f.plan(a).steps.size() >= 3);
  CHECK(allocations_of([&] { static_cast<void>(f(a)); }) == 100);
  CHECK(called("cudaGraphLaunch") == 100);
  CHECK(called("cudaLaunchKernel") == 0);
  CHECK(other_calls() == 0);
  CHECK(stand_in::instance().graphs == 1);
  CHECK(stand_in::instance().captured.empty());
  // Two sets of memory that take turns are two graphs; sets that never come again are none.
  auto state = f(a);
  static_cast<void>(allocations_of([&] { state = f(state); }));
  CHECK(called("cudaGraphLaunch") == 100);
  CHECK(called("cudaLaunchKernel") == 0);
  CHECK(other_calls() == 0);
  CHECK(stand_in::instance().graphs <= 4);
  std::vector<decltype(f(a))> results(7, state);
  std::size_t at = 0;
  static_cast<void>(allocations_of([&] { results[at++ % 7] = f(a); }));
  CHECK(called("cudaGraphLaunch") == 0);
  CHECK(stand_in::instance().captured.empty());
}

TEST_CASE("on a stream of the user's only the result's memory is asked of CUDA as well") {
  char name = 0;
  cuda::set_stream(&name);
  {
    const auto a = ones<f32, cuda>(row == 1024), b = ones<f32, cuda>(row == 1024);
    CHECK(allocations_of([&] { static_cast<void>(eval(a * b + sin(a))); }) <= 400);  // some the stand-in's
    CHECK(called("cudaLaunchKernel") == 100);
    CHECK(called("cudaMallocAsync") == 100);
    CHECK(called("cudaFreeAsync") == 100);
    CHECK(other_calls() == 200);
  }
  cuda::set_stream(nullptr);
}

TEST_CASE("the host's part of an eager launch is short") {
  const auto a = ones<f32, cuda>(row == 1024), b = ones<f32, cuda>(row == 1024);
  using clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int round = 0; round < 50; ++round) {
    const auto begin = clock::now();
    for (int i = 0; i < 100; ++i) static_cast<void>(eval(a * b + sin(a)));
    best = std::min(best, std::chrono::duration<double, std::micro>(clock::now() - begin).count() / 100);
  }
  MESSAGE("microseconds a call, without CUDA's own: " << best);
  CHECK(best < 50);  // any machine, not optimised: a program that is planned or compiled again takes longer
}

}  // namespace
