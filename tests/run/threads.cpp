// The thread pool: chunks, nesting, exceptions, several callers, sizes.
//
// labels: threads
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <flame/base/config.hpp>
#include <flame/base/error.hpp>
#include <flame/run/host/threads.hpp>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace flame;
using host_kernels::parallel_for;

namespace {

// Tests of one process share one pool, and leave it as they found it.
struct with_threads {
  int before = host_kernels::thread_count();
  explicit with_threads(int n) { host_kernels::set_thread_count(n); }
  ~with_threads() { host_kernels::set_thread_count(before); }
};

}  // namespace

TEST_CASE("chunks partition the range, the same for every number of threads") {
  for (int threads : {1, 2, 3, 8}) {
    with_threads _(threads);
    CHECK(host_kernels::thread_count() == threads);
    for (i64 count : {0, 1, 7, 64, 1000})
      for (i64 grain : {1, 3, 64, 1000, 5000}) {
        std::mutex mutex;
        std::set<std::pair<i64, i64>> seen, expected;
        parallel_for(count, grain, [&](i64 begin, i64 end) {
          std::lock_guard lock(mutex);
          CHECK(seen.emplace(begin, end).second);
        });
        for (i64 begin = 0; begin < count; begin += grain)
          expected.emplace(begin, std::min(begin + grain, count));
        CHECK(seen == expected);
      }
  }
}

TEST_CASE("a huge grain does not overflow") {
  i64 top = 0x7fffffffffffffff, seen = 0;
  parallel_for(5, top, [&](i64 begin, i64 end) { seen += end - begin; });
  CHECK(seen == 5);
  parallel_for(top, top - 1,
               [&](i64 begin, i64 end) { std::atomic_ref(seen) += end - begin == 1 || begin == 0; });
  CHECK(seen == 7);
  CHECK_THROWS_AS(parallel_for(5, 0, [](i64, i64) {}), error);
}

TEST_CASE("all threads take part") {
  with_threads _(4);
  // Four chunks that wait for one another can only end on four threads.
  std::atomic<int> arrived{0};
  parallel_for(4, 1, [&](i64, i64) {
    ++arrived;
    while (arrived < 4) std::this_thread::yield();
  });
  CHECK(arrived == 4);
}

TEST_CASE("many small regions one after another, and effects are visible after each") {
  for (int threads : {2, 5}) {
    with_threads _(threads);
    std::vector<int> data(64);  // not atomic: ThreadSanitizer checks the order
    for (int round = 0; round < 5000; ++round) {
      parallel_for(64, 8, [&](i64 begin, i64 end) {
        for (i64 i = begin; i < end; ++i) data[std::size_t(i)] += int(i);
      });
      if (round % 1000 == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // workers fall asleep
    }
    bool right = true;
    for (int i = 0; i < 64; ++i) right &= data[std::size_t(i)] == 5000 * i;
    CHECK(right);
  }
}

TEST_CASE("uneven work, with the caller left waiting long") {
  with_threads _(3);
  for (int round = 0; round < 20; ++round) {
    std::atomic<i64> sum{0};
    parallel_for(3, 1, [&](i64 begin, i64) {
      if (begin != round % 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      sum += begin + 1;
    });
    CHECK(sum == 6);
  }
}

TEST_CASE("a nested call runs on the thread that makes it") {
  with_threads _(4);
  std::atomic<i64> sum{0}, elsewhere{0};
  parallel_for(16, 1, [&](i64, i64) {
    std::thread::id self = std::this_thread::get_id();
    i64 last = -1;
    parallel_for(10, 2, [&](i64 begin, i64 end) {
      elsewhere += std::this_thread::get_id() != self || begin <= last;
      last = begin;
      sum += end - begin;
    });
  });
  CHECK(sum == 160);
  CHECK(elsewhere == 0);
}

TEST_CASE("an exception reaches the caller, and the pool lives on") {
  for (int threads : {1, 4}) {
    with_threads _(threads);
    for (int round = 0; round < 200; ++round) {
      i64 bad = round % 50;
      bool caught = false;
      try {
        parallel_for(50, 1, [&](i64 begin, i64) {
          if (begin == bad) throw std::runtime_error("chunk " + std::to_string(begin));
        });
      } catch (const std::runtime_error& e) {
        caught = e.what() == "chunk " + std::to_string(bad);
      }
      CHECK(caught);
    }
    CHECK_THROWS_AS(parallel_for(50, 1, [](i64, i64) { throw 7; }), int);
    std::atomic<i64> sum{0};
    parallel_for(50, 1, [&](i64 begin, i64) { sum += begin; });
    CHECK(sum == 1225);
    CHECK_THROWS_WITH_AS(parallel_for(4, 1, [](i64, i64) { host_kernels::set_thread_count(2); }),
                         "set_thread_count: called inside parallel_for", error);
  }
}

TEST_CASE("several user threads at once, while another changes the number of threads") {
  with_threads _(3);
  std::atomic<i64> wrong{0};
  std::vector<std::thread> users;
  for (int u = 0; u < 4; ++u)
    users.emplace_back([&wrong, u] {
      for (int round = 0; round < 500; ++round) {
        std::vector<i64> data(200);
        parallel_for(200, 7, [&](i64 begin, i64 end) {
          for (i64 i = begin; i < end; ++i) data[std::size_t(i)] = i * u;
        });
        for (i64 i = 0; i < 200; ++i) wrong += data[std::size_t(i)] != i * u;
      }
    });
  for (int n : {1, 4, 2, 6, 3}) {
    host_kernels::set_thread_count(n);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& t : users) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("numbers of threads that make no sense are refused") {
  CHECK_THROWS_WITH_AS(host_kernels::set_thread_count(0), "set_thread_count(0): expected 1 to 1024", error);
  CHECK_THROWS_AS(host_kernels::set_thread_count(-3), error);
  CHECK_THROWS_AS(host_kernels::set_thread_count(1025), error);
  CHECK(host_kernels::available_processors() >= 1);
}

TEST_CASE("FLAME_THREADS") {
  // The pool has read it already; its reader is tested by itself. No other test touches the environment.
  const char* before = std::getenv("FLAME_THREADS");
  std::string saved = before ? before : "";
  auto with = [](const char* text) {
    setenv("FLAME_THREADS", text, 1);
    return host_kernels::detail::initial_thread_count();
  };
  CHECK(with("3") == 3);
  CHECK(with("") == std::min(host_kernels::available_processors(), 1024));
  for (const char* bad : {"0", "-1", "two", "4x", "99999999999999999999", "1025"})
    CHECK_THROWS_AS(with(bad), error);
  CHECK_THROWS_WITH_AS(with("x"), "FLAME_THREADS: expected a whole number from 1 to 1024, got 'x'", error);
  if (before)
    setenv("FLAME_THREADS", saved.c_str(), 1);
  else
    unsetenv("FLAME_THREADS");
}
