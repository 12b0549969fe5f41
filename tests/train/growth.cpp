// Nothing grows: ten thousand steps with a changing learning rate and changing batches, evaluated in between.
#include <doctest/doctest.h>

#include <flame/optim/schedule.hpp>
#include <flame/train/step.hpp>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>

#include "perceptron.hpp"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace {
std::atomic<long> blocks{0};  // that are not given back

void* counted(std::size_t size, std::size_t alignment) {
  ++blocks;
  size = (size + alignment - 1) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, size > 0 ? size : alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
void release(void* p) {
  if (p) --blocks;
  std::free(p);
}
}  // namespace

// Not inlined: g++ 12 takes free for a mismatch of the inlined new.
[[gnu::noinline]] void* operator new(std::size_t size) { return counted(size, 16); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { release(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { release(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { release(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }

using namespace flame;
using namespace flame::tests;

namespace {

auto noisy = [](auto m, auto x, auto label, auto k) { return cross_entropy(m(dropout(x, 0.25, k)), label); };

// Memory of the process that lies in the machine's, in bytes; 0 where it cannot be asked for.
long resident() {
  long pages = 0, here = 0;
#if defined(__linux__)
  std::ifstream("/proc/self/statm") >> pages >> here;
  here *= sysconf(_SC_PAGESIZE);
#endif
  return here;
}

}  // namespace

TEST_CASE("ten thousand steps need no more than the first thousand did") {
  auto m = perceptron(16);
  auto step = train_step(m, noisy, adamw{.lr = 1e-2}, {.ema = 0.99, .clip_norm = 1});
  auto answers = forward(m, [](auto n, auto x) { return n(x); });
  constexpr i64 sizes[] = {32, 7, 64, 1, 0};
  std::vector<samples> x;
  std::vector<labels> y;
  for (i64 n : sizes) {
    x.push_back(draw(n)), y.push_back(labels(std::vector<i64>{n}));
    for (i64 i = 0; i < n; ++i) y.back().data()[i] = static_cast<i32>(i % 3);
  }
  // Of more than a mebibyte: its answers lie in memory that is kept.
  const samples all = draw(100'000);

  long blocks_then = 0, resident_then = 0;
  i64 kept_then = 0, arena_then = 0;
  const cosine_schedule rate{.peak = 1e-2, .total = 10'000, .warmup = 100};
  for (int i = 0; i <= 10'000; ++i) {
    const auto k = static_cast<std::size_t>(i % 5);
    step.optimizer().lr = rate(i + 1);
    const float loss = step(x[k], y[k]).item();
    if (i % 10 == 0) (void)answers(x[k]);
    if (i % 500 == 0) (void)answers(all), (void)step.averaged();
    if (i != 1000 && i != 10'000) continue;
    CHECK(std::isfinite(loss));
    if (i == 1000) {
      blocks_then = blocks, resident_then = resident(), kept_then = kept_memory();
      arena_then = step.plan().arena_bytes;
      CHECK(kept_then >= 1'200'000);
    } else {
      CHECK(blocks == blocks_then);
      CHECK(kept_memory() == kept_then);
      CHECK(step.plan().arena_bytes == arena_then);
#if !defined(FLAME_CHECKS_ADDRESSES)  // which keeps what is released
      CHECK(resident() <= resident_then + (1 << 16));
#endif
    }
  }
}
