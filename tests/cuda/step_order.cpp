// Which steps wait for which, by the memory that they read and write.
#include <doctest/doctest.h>

#include <flame/base/text.hpp>
#include <flame/run/cuda/step_order.hpp>

#include <set>

using flame::i64;
using flame::u64;
using flame::cuda_code::step_order;

namespace {

struct access {
  i64 at, bytes;
  bool writes;
};

std::vector<std::vector<int>> waits(const std::vector<std::vector<access>>& steps) {
  static char memory[4096];
  step_order order;
  std::vector<std::vector<int>> to;
  for (const std::vector<access>& step : steps) {
    for (const access& a : step)
      if (a.writes)
        order.write(memory + a.at, a.bytes);
      else
        order.read(memory + a.at, a.bytes);
    to.push_back(order.next());
  }
  return to;
}

using list = std::vector<std::vector<int>>;

}  // namespace

TEST_CASE("a step waits for who wrote what it reads") {
  CHECK(waits({{{0, 8, true}}, {{0, 8, false}}}) == list{{}, {0}});
  CHECK(waits({{{0, 8, true}}, {{8, 8, false}}}) == list{{}, {}});
  CHECK(waits({{{0, 8, true}}, {{4, 8, false}}}) == list{{}, {0}});
  CHECK(waits({{{8, 8, true}}, {{0, 100, false}}}) == list{{}, {0}});
}

TEST_CASE("steps that read the same do not wait for each other; who writes there waits for all of them") {
  CHECK(waits({{{0, 8, true}}, {{0, 8, false}}, {{0, 8, false}}, {{0, 4, true}}, {{4, 4, true}}}) ==
        list{{}, {0}, {0}, {2, 1}, {2, 1}});
}

TEST_CASE("a step that reads and writes the same memory does not wait for itself") {
  CHECK(waits({{{0, 8, true}, {0, 8, false}}, {{0, 8, false}, {0, 8, true}}}) == list{{}, {0}});
}

TEST_CASE("what is waited for anyway is not named") {
  CHECK(waits({{{0, 8, true}}, {{0, 8, false}, {8, 8, true}}, {{0, 8, false}, {8, 8, false}}}) ==
        list{{}, {0}, {1}});
}

TEST_CASE("of random steps, every two that touch the same bytes and do not both read stay in their order") {
  for (u64 seed = 0; seed < 200; ++seed) {
    u64 n = 0;
    auto random = [&](u64 below) { return static_cast<i64>(flame::combine(seed, ++n) % below); };
    std::vector<std::vector<access>> steps(static_cast<std::size_t>(2 + random(150)));
    for (auto& step : steps)
      for (i64 i = random(4); i >= 0; --i) step.push_back({random(300), 1 + random(40), random(3) == 0});
    const list direct = waits(steps);
    std::vector<std::set<int>> behind;
    std::size_t named = 0, pairs = 0;
    for (std::size_t j = 0; j < steps.size(); ++j) {
      behind.emplace_back();
      named += direct[j].size();
      for (int i : direct[j]) {
        REQUIRE(i < static_cast<int>(j));
        CHECK_MESSAGE(behind[j].count(i) == 0, "named twice");
        behind[j].insert(i);
        behind[j].insert(behind[static_cast<std::size_t>(i)].begin(), behind[static_cast<std::size_t>(i)].end());
      }
      for (std::size_t i = 0; i < j; ++i) {
        bool must = false;
        for (const access& a : steps[i])
          for (const access& b : steps[j])
            must = must || ((a.writes || b.writes) && a.at < b.at + b.bytes && b.at < a.at + a.bytes);
        pairs += must;
        if (must) REQUIRE(behind[j].count(static_cast<int>(i)) == 1);
        if (!must && std::find(direct[j].begin(), direct[j].end(), static_cast<int>(i)) != direct[j].end())
          FAIL("waits without need");
      }
    }
    CHECK(named <= pairs);
  }
}
