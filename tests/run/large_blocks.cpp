// Large blocks of tensors' memory: used again, up to a limit, given back when asked, by any thread.
// labels: threads
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <thread>

namespace large_blocks_test {

using namespace flame;
using namespace flame::literals;
using backend = host;
using vector = array<f32, 1>;

constexpr i64 mebibyte = i64{1} << 20;

vector of_bytes(i64 n) { return vector(std::vector<i64>{n / 4}); }

// Begins with nothing kept, and leaves nothing.
struct limited {
  explicit limited(i64 bytes) {
    release_kept_memory();
    set_kept_memory_limit(bytes);
  }
  limited(const limited&) = delete;
  limited& operator=(const limited&) = delete;
  ~limited() { release_kept_memory(); }
};

TEST_CASE("Released memory is the next tensor's, if that is about as large") {
  limited to(64 * mebibyte);
  const f32* first = nullptr;
  {
    vector a = of_bytes(8 * mebibyte);
    first = a.data();
    CHECK(kept_memory() == 0);
  }
  CHECK(kept_memory() == 8 * mebibyte);
  {
    vector small = of_bytes(4 * mebibyte);
    CHECK(small.data() != first);
    CHECK(kept_memory() == 8 * mebibyte);
    vector other = of_bytes(8 * mebibyte - 1000);
    CHECK(other.data() == first);
    CHECK(kept_memory() == 0);
    vector third = of_bytes(8 * mebibyte);
    CHECK(third.data() != first);
  }
  CHECK(kept_memory() == 20 * mebibyte);
  release_kept_memory();
  CHECK(kept_memory() == 0);
}

TEST_CASE("Views keep the memory; small tensors are not kept") {
  limited to(64 * mebibyte);
  vector view;
  {
    vector a = of_bytes(4 * mebibyte);
    a.fill(3.0f);
    view = a.slice(0, 10, 20);
  }
  CHECK(kept_memory() == 0);
  vector b = of_bytes(4 * mebibyte);
  b.fill(4.0f);
  CHECK(view(0) == 3.0f);
  view = {};
  CHECK(kept_memory() == 4 * mebibyte);
  { vector small = of_bytes(1000); }
  CHECK(kept_memory() == 4 * mebibyte);
}

TEST_CASE("The limit holds; the oldest go first") {
  limited to(12 * mebibyte);
  const f32 *second = nullptr, *third = nullptr;
  {
    vector c = of_bytes(5 * mebibyte), b = of_bytes(4 * mebibyte), a = of_bytes(6 * mebibyte);
    second = b.data(), third = c.data();
  }  // released in the order a, b, c
  CHECK(kept_memory() == 9 * mebibyte);
  {
    vector b = of_bytes(4 * mebibyte), c = of_bytes(5 * mebibyte);
    CHECK(b.data() == second);
    CHECK(c.data() == third);
  }
  { vector d = of_bytes(13 * mebibyte); }
  CHECK(kept_memory() == 9 * mebibyte);  // larger than the limit: not kept, and nothing makes room for it
  set_kept_memory_limit(4 * mebibyte);
  CHECK(kept_memory() <= 4 * mebibyte);
  set_kept_memory_limit(0);
  CHECK(kept_memory() == 0);
  { vector e = of_bytes(2 * mebibyte); }
  CHECK(kept_memory() == 0);
}

TEST_CASE("Large memory is aligned, whatever its size") {
  limited to(64 * mebibyte);
  for (i64 n : {mebibyte, mebibyte + 4, 3 * mebibyte, 5 * mebibyte + 12})
    CHECK(reinterpret_cast<std::uintptr_t>(of_bytes(n).data()) % 64 == 0);
}

TEST_CASE("A result's memory is the next result's, once nobody holds it") {
  limited to(64 * mebibyte);
  static constexpr struct place : dim<> {
  } place;
  static constexpr struct x : input<f32, place> {
  } x;
  auto f = compile<backend>(x * 2_c, x);
  auto a = ones<f32>(place == mebibyte);
  const f32* first = f(a).data();
  auto held = f(a);
  CHECK(held.data() == first);
  CHECK(f(a).data() != first);
  CHECK(held(5) == 2.0f);
}

TEST_CASE("Threads") {
  limited to(16 * mebibyte);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 50; ++i) {
        vector a = of_bytes((1 + (i + t) % 3) * mebibyte);
        const float mine = static_cast<float>(100 * t + i);
        *a.data() = mine, a.data()[a.size() - 1] = mine;
        std::this_thread::yield();
        wrong += *a.data() != mine || a.data()[a.size() - 1] != mine;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(kept_memory() <= 16 * mebibyte);
}

}  // namespace large_blocks_test
