// What benchmarks that stand beside a peer share: their cases, the clock, and what this machine could do at
// best.
#pragma once
#include <flame/run/host/simd.hpp>
#include <flame/run/host/tasks.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace flame::bench {

using clock = std::chrono::steady_clock;

// Milliseconds of many single calls, in order, after a warm-up of two calls and a tenth of the time.
inline std::vector<double> times_ms(const std::function<void()>& f, double seconds) {
  auto since = [](clock::time_point t) { return std::chrono::duration<double>(clock::now() - t).count(); };
  const clock::time_point warm = clock::now();
  for (int i = 0; i < 2 || since(warm) < seconds / 10; ++i) f();
  std::vector<double> times;
  for (const clock::time_point begin = clock::now();
       times.size() < 7 || (since(begin) < seconds && times.size() < 5000);) {
    const clock::time_point t = clock::now();
    f();
    times.push_back(1e3 * since(t));
  }
  std::sort(times.begin(), times.end());
  return times;
}
inline double median_ms(const std::function<void()>& f, double seconds = 0.2) {
  const std::vector<double> times = times_ms(f, seconds);
  return times[times.size() / 2];
}
// Of what is no measurement but a bound.
inline double least_ms(const std::function<void()>& f, double seconds = 0.2) {
  return times_ms(f, seconds)[0];
}

// Milliseconds in which all threads read and write this many bytes in all, half of them each, by memcpy: what
// no kernel that must move them can beat, in the cache where they lie as the kernel's own do.
inline double copy_ms(double bytes) {
  const i64 half = static_cast<i64>(bytes / 2), grain = std::clamp<i64>(half / 16, 1 << 14, 1 << 20);
  std::vector<char> from(static_cast<std::size_t>(half), 1), to(static_cast<std::size_t>(half), 2);
  return least_ms([&] {
    host_kernels::in_chunks(half, grain, [&](i64 begin, i64 end) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin));
    });
  });
}

// GFLOP/s in f32 of all threads: fused multiplications and additions in registers alone, measured once.
inline double peak_gflops() {
  using V = host_kernels::simd::vec<float>;
  constexpr int chains = 12, rounds = 200000, lanes = host_kernels::simd::lanes<float>;
  static const double measured = [] {
    const int threads = host_kernels::thread_count();
    std::vector<float> sink(static_cast<std::size_t>(threads) * 64);
    const double ms = least_ms([&] {
      host_kernels::each_task(threads, [&](i64 task) {
        // One variable a chain: an array stays in memory.
        V a = host_kernels::simd::splat<V>(0.999f), b = host_kernels::simd::splat<V>(1e-3f);
        V s0 = a, s1 = b, s2 = a, s3 = b, s4 = a, s5 = b, s6 = a, s7 = b, s8 = a, s9 = b, s10 = a, s11 = b;
        auto step = [&](V & sum) __attribute__((always_inline)) { sum = host_kernels::simd::fma(sum, a, b); };
        for (int n = 0; n < rounds; ++n)
          step(s0), step(s1), step(s2), step(s3), step(s4), step(s5), step(s6), step(s7), step(s8), step(s9),
              step(s10), step(s11);
        const V total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + ((s8 + s9) + (s10 + s11));
        sink[static_cast<std::size_t>(task) * 64] = host_kernels::simd::sum(total);
      });
    });
    return 2.0 * chains * lanes * rounds * threads / ms / 1e6;
  }();
  return measured;
}

// Cases by name. Each prints its line, a JSON object with that name.
class cases {
 public:
  void add(const std::string& name, std::function<void()> run) { all_.push_back({name, std::move(run)}); }

  // Without arguments all of them; a word: those whose name contains it; --list: their names; --ask: one
  // after the other as their names come in, a line each, so that a peer can be measured in between.
  int main(int argc, char** argv) const {
    const std::string word = argc > 1 ? argv[1] : "";
    if (word == "--list") {
      for (const auto& c : all_) std::printf("%s\n", c.name.c_str());
    } else if (word == "--ask") {
      for (std::string name; std::getline(std::cin, name);) {
        for (const auto& c : all_)
          if (c.name == name) c.run();
        std::fflush(stdout);
      }
    } else {
      for (const auto& c : all_)
        if (c.name.find(word) != std::string::npos) c.run(), std::fflush(stdout);
    }
    return 0;
  }

 private:
  struct one {
    std::string name;
    std::function<void()> run;
  };
  std::vector<one> all_;
};

}  // namespace flame::bench
