// The threads of the host backend: loops over chunks, shared among a pool that sleeps lightly.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <flame/base/config.hpp>
#include <flame/base/error.hpp>
#include <flame/run/host/scratch.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace flame::host_kernels {

// Processors that this process may run on.
[[nodiscard]] inline int available_processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

namespace detail {

inline constexpr int most_threads = 1024;

// FLAME_THREADS, else one thread for each processor.
inline int initial_thread_count() {
  const char* text = std::getenv("FLAME_THREADS");
  if (!text || !*text) return std::min(available_processors(), most_threads);
  char* end = nullptr;
  long n = std::strtol(text, &end, 10);
  if (*end || n < 1 || n > most_threads)
    throw error("FLAME_THREADS: expected a whole number from 1 to " + std::to_string(most_threads) +
                ", got '" + text + "'");
  return static_cast<int>(n);
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether `ready` came true within `microseconds` of looking.
template <class Ready> bool spin(int microseconds, Ready ready) {
  using clock = std::chrono::steady_clock;
  if (microseconds == 0) return ready();
  clock::time_point end = clock::now() + std::chrono::microseconds(microseconds);
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (clock::now() < end);
  return false;
}

// Set in workers, and in a caller while it works on its own region: a region inside a region is serial.
inline constinit thread_local bool inside_region = false;

struct inside_scope {
  bool before = std::exchange(inside_region, true);
  inside_scope() = default;
  inside_scope(const inside_scope&) = delete;
  ~inside_scope() { inside_region = before; }
};

// One region at a time; whoever finds the pool taken works alone. A region is published by setting
// `unclaimed_`, and its description may be read only by who has claimed a chunk, since that chunk keeps the
// region open. Late comers of an earlier region find nothing to claim, or claim a chunk of this one: both are
// right.
class thread_pool {
 public:
  using chunk_function = void (*)(void* context, i64 chunk);

  static thread_pool& instance() {
    static thread_pool pool;
    return pool;
  }

  int thread_count() const { return count_.load(std::memory_order_relaxed); }

  void set_thread_count(int n) {
    std::lock_guard region(region_);
    stop();
    count_.store(n, std::memory_order_relaxed);
  }

  void run(i64 chunks, chunk_function function, void* context) {
    std::unique_lock region(region_, std::defer_lock);
    if (chunks <= 1 || inside_region || thread_count() == 1 || !region.try_lock()) {
      inside_scope inside;
      for (i64 chunk = 0; chunk < chunks; ++chunk) function(context, chunk);
      return;
    }
    start();
    function_ = function;
    context_ = context;
    chunks_ = chunks;
    failed_.store(false, std::memory_order_relaxed);
    unfinished_.store(chunks, std::memory_order_relaxed);
    unclaimed_.store(chunks);
    if (int asleep = sleeping_.load(); asleep > 0) {
      { std::lock_guard lock(sleep_); }  // who is about to sleep has looked, or will see
      if (chunks - 1 >= asleep)
        wake_.notify_all();
      else
        for (i64 i = 1; i < chunks; ++i) wake_.notify_one();
    }
    {
      inside_scope inside;
      help();
    }
    auto finished = [this] { return unfinished_.load() == 0; };
    if (!spin(spin_, finished)) {
      std::unique_lock lock(sleep_);
      caller_sleeps_.store(true);
      finished_.wait(lock, finished);
      caller_sleeps_.store(false);
    }
    if (failed_.load(std::memory_order_relaxed)) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  // The working memory of all workers grows to what any thread needed so far. Between regions nobody else
  // looks at it.
  void meet_needs() {
    if (met_.load(std::memory_order_relaxed) == needs.version.load(std::memory_order_relaxed)) return;
    std::lock_guard region(region_);
    const u64 now = needs.version.load(std::memory_order_relaxed);
    for (const std::unique_ptr<thread_scratch>& s : scratch_) s->meet_needs();
    met_.store(now, std::memory_order_relaxed);
  }

 private:
  thread_pool() = default;
  ~thread_pool() { stop(); }

  // Works on the region until nothing of it is unclaimed.
  void help() {
    i64 done = 0;
    while (unclaimed_.load(std::memory_order_relaxed) > 0) {
      i64 left = unclaimed_.fetch_sub(1, std::memory_order_acq_rel);
      if (left <= 0) break;
      ++done;
      if (failed_.load(std::memory_order_relaxed)) continue;
      try {
        function_(context_, chunks_ - left);
      } catch (...) {
        if (!failed_.exchange(true)) failure_ = std::current_exception();
      }
    }
    if (done > 0 && unfinished_.fetch_sub(done) == done && caller_sleeps_.load()) {
      std::lock_guard lock(sleep_);
      finished_.notify_one();
    }
  }

  void work(thread_scratch* scratch) {
    inside_region = true;
    worker_scratch = scratch;
    auto ready = [this] { return unclaimed_.load() > 0 || stopping_.load(); };
    for (;;) {
      if (!spin(spin_, ready)) {
        std::unique_lock lock(sleep_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, ready);
        sleeping_.fetch_sub(1);
      }
      if (stopping_.load()) return;
      help();
    }
  }

  // The workers that are missing. A system that refuses threads gets its work done with fewer.
  void start() {
    if (static_cast<int>(workers_.size()) + 1 >= thread_count()) return;
    spin_ = thread_count() <= available_processors() ? 50 : 0;
    stopping_.store(false);
    try {
      while (static_cast<int>(workers_.size()) + 1 < thread_count()) {
        if (scratch_.size() == workers_.size()) scratch_.push_back(std::make_unique<thread_scratch>());
        thread_scratch* own = scratch_[workers_.size()].get();
        own->meet_needs();
        workers_.emplace_back([this, own] { work(own); });
      }
    } catch (const std::system_error&) {
      count_.store(static_cast<int>(workers_.size()) + 1, std::memory_order_relaxed);
    }
  }

  void stop() {
    {
      std::lock_guard lock(sleep_);
      stopping_.store(true);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    scratch_.clear();
  }

  alignas(64) std::atomic<i64> unclaimed_{0};
  alignas(64) std::atomic<i64> unfinished_{0};
  alignas(64) chunk_function function_ = nullptr;
  void* context_ = nullptr;
  i64 chunks_ = 0;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;

  std::mutex region_;  // held by the thread whose region it is
  std::mutex sleep_;
  std::condition_variable wake_, finished_;
  std::atomic<int> sleeping_{0};
  std::atomic<bool> caller_sleeps_{false}, stopping_{false};
  std::atomic<int> count_{initial_thread_count()};
  int spin_ = 0;  // microseconds before a thread sleeps; none where threads outnumber processors
  std::vector<std::thread> workers_;
  std::vector<std::unique_ptr<thread_scratch>> scratch_;  // of each worker
  std::atomic<u64> met_{0};                               // the version of the needs that all of them meet
};

}  // namespace detail

// Threads that work on a region, the caller among them: FLAME_THREADS at the start, else one for each
// processor.
[[nodiscard]] inline int thread_count() { return detail::thread_pool::instance().thread_count(); }

// Waits for the region at work, if any. Throws inside a region, and for n outside 1 to 1024.
inline void set_thread_count(int n) {
  if (n < 1 || n > detail::most_threads)
    throw error("set_thread_count(" + std::to_string(n) + "): expected 1 to " +
                std::to_string(detail::most_threads));
  if (detail::inside_region) throw error("set_thread_count: called inside parallel_for");
  detail::thread_pool::instance().set_thread_count(n);
}

// Gives every thread of the pool, and this one, the working memory that any of them needed so far. After a
// program has run once and this was called, running it again allocates nothing, whichever thread works on
// which chunk.
inline void reserve_for_all_threads() {
  detail::own_scratch().meet_needs();
  if (!detail::inside_region) detail::thread_pool::instance().meet_needs();
}

// f(begin, end) for the chunks [0, grain), [grain, 2 grain), ... of [0, count): the same chunks whatever the
// number of threads, each claimed by whichever thread is free, so that a result which depends on chunks alone
// does not depend on the machine. Returns when all are done. One chunk runs on the caller without any
// synchronisation; calls inside f, and calls made while another thread's region has the pool, run their
// chunks in order on the caller. If f throws, chunks not yet begun are left out and one of the exceptions
// reaches the caller.
template <class F> void parallel_for(i64 count, i64 grain, F&& f) {
  if (grain < 1) throw error("parallel_for: expected a grain of at least 1, got " + std::to_string(grain));
  if (count <= 0) return;
  auto chunk = [&](i64 i) {
    i64 begin = i * grain;
    f(begin, count - begin > grain ? begin + grain : count);
  };
  if (count <= grain) return chunk(0);
  detail::thread_pool::instance().run(
      (count - 1) / grain + 1, [](void* context, i64 i) { (*static_cast<decltype(chunk)*>(context))(i); },
      &chunk);
}

}  // namespace flame::host_kernels
