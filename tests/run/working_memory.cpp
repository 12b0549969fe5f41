// What the threads of a program need beside its arena is there after its first run, whichever of them worked
// on what.
//
// labels: threads
#include <doctest/doctest.h>
#include <flame/language.hpp>

#include <atomic>
#include <cstdlib>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <flame/run/host/threads.hpp>
#include <new>
#include <thread>

namespace {

// Every allocation of this program is counted.
std::atomic<long> allocations{0};

// Not inlined: g++ would take std::free for a mismatch with the operator new beside it.
[[gnu::noinline]] void* allocate(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  if (void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void release(void* p) { std::free(p); }

}  // namespace

void* operator new(std::size_t n) { return allocate(n, 16); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }

namespace {

using namespace flame;
using host_kernels::parallel_for;
using host_kernels::scratch;
using host_kernels::scratch_use;

struct with_threads {
  int before = host_code::thread_count();
  explicit with_threads(int n) { host_code::set_thread_count(n); }
  ~with_threads() { host_code::set_thread_count(before); }
};

// One chunk on each of so many threads: none ends before all have begun.
template <class F> void on_each_of(int threads, F f) {
  std::atomic<int> arrived{0};
  parallel_for(threads, 1, [&](i64, i64) {
    ++arrived;
    while (arrived < threads) std::this_thread::yield();
    f();
  });
}

}  // namespace

TEST_CASE("What one thread needed all have") {
  constexpr int threads = 4;
  with_threads _(threads);
  constexpr i64 bytes = 12345;
  on_each_of(2, [] { (void)scratch<char>(scratch_use::block_panels, bytes); });
  host_kernels::reserve_for_all_threads();
  long before = allocations;
  on_each_of(threads, [] { (void)scratch<char>(scratch_use::block_panels, bytes); });
  CHECK(allocations == before);

  SUBCASE("threads that start later too") {
    host_code::set_thread_count(threads + 2);
    on_each_of(threads + 2, [] {});  // they start
    before = allocations.load();
    on_each_of(threads + 2, [] { (void)scratch<char>(scratch_use::block_panels, bytes); });
    CHECK(allocations == before);
  }
  SUBCASE("and more than that is still to be had") {
    on_each_of(threads, [] {
      char* p = scratch<char>(scratch_use::block_panels, 4 * bytes);
      p[0] = p[4 * bytes - 1] = 1;
    });
    CHECK(allocations > before);
  }
}

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

constexpr int runs = 200;
// A tensor is its memory and the count of who shares it.
constexpr int allocations_of_a_result = 2;

}  // namespace

TEST_CASE("After its first run a program of many threads allocates nothing") {
  // More threads than processors: which of them take part in a step differs from run to run.
  for (int threads : {2, 3, 8}) {
    with_threads _(threads);
    const i64 n = 96 + threads;  // a program of its own, whose first run is this one
    auto y = softmax(gelu(matmul(x, w)), column);
    auto gradients = value_and_grad(mean(y * y), w);
    const auto a = normal(key(1), row == 2 * n, inner == n);
    const auto b = normal(key(2), inner == n, column == n + 1);

    auto f = compile<host>(gradients, x, w);
    const float first = std::get<0>(f(a, b)).item();
    const long before = allocations;
    bool same = true;
    for (int run = 0; run < runs; ++run) same = same && std::get<0>(f(a, b)).item() == first;
    CHECK(allocations - before == runs * 2 * allocations_of_a_result);
    CHECK(same);
  }
}
