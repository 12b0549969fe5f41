// Which steps wait for which, by the memory that they read and write.
#include <doctest/doctest.h>

#include <flame/base/text.hpp>
#include <flame/plan/step_order.hpp>

#include <set>

using flame::i64;
using flame::u64;
using flame::planning::step_order;
using flame::planning::stretch;

namespace {

struct access {
  i64 at, bytes;
  bool writes;
  i64 period = 0, width = 0;
};

[[nodiscard]] bool touches(const access& a, i64 byte) {
  return byte >= a.at && byte < a.at + a.bytes && (a.period == 0 || (byte - a.at) % a.period < a.width);
}

std::vector<std::vector<int>> waits(const std::vector<std::vector<access>>& steps) {
  step_order order;
  std::vector<std::vector<int>> to;
  for (const std::vector<access>& step : steps) {
    for (const access& a : step) {
      const stretch s{a.at, a.at + a.bytes, a.period, a.width};
      if (a.writes)
        order.write(s);
      else
        order.read(s);
    }
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

TEST_CASE("parts that lie side by side, row by row, do not wait for each other; who reads the whole waits") {
  // Rows of 10 bytes: columns [0, 4) and [4, 10).
  const access left{0, 44, true, 10, 4}, right{4, 46, true, 10, 6}, both{0, 50, false}, over{0, 50, true};
  CHECK(waits({{left}, {right}, {both}}) == list{{}, {}, {1, 0}});
  CHECK(waits({{over}, {left}, {right}, {both}}) == list{{}, {0}, {0}, {2, 1}});
  CHECK(waits({{left}, {right}, {over}, {{3, 1, false}}}) == list{{}, {}, {1, 0}, {2}});
  CHECK(waits({{left}, {{4, 46, true, 10, 7}}}) == list{{}, {0}});  // into the next row
  CHECK(waits({{left}, {{3, 41, true, 10, 2}}}) == list{{}, {0}});
  CHECK(waits({{left}, {{4, 46, true, 12, 6}}}) == list{{}, {0}});  // other rows: not looked at more closely
}

TEST_CASE("a tensor's bytes: rows with gaps have a period, others have none") {
  flame::located t;
  t.element = flame::dtype::f32, t.rank = 2, t.offset = 3;
  t.extents[0] = 5, t.extents[1] = 4, t.strides[0] = 10, t.strides[1] = 1;
  const auto is = [](const stretch& s, i64 low, i64 high, i64 period, i64 width) {
    return s.low == low && s.high == high && s.period == period && s.width == width;
  };
  CHECK(is(flame::planning::stretch_of(t, 1000), 1012, 1188, 40, 16));
  t.strides[0] = 4;
  CHECK(is(flame::planning::stretch_of(t, 0), 12, 92, 0, 16));
  t.strides[1] = -1, t.strides[0] = 10, t.offset = 3;
  CHECK(is(flame::planning::stretch_of(t, 0), 0, 176, 40, 16));
  t.extents[0] = 1;
  CHECK(is(flame::planning::stretch_of(t, 0), 0, 16, 0, 0) == false);
  CHECK(flame::planning::stretch_of(t, 0).high == 16);
}

TEST_CASE("of random steps, every two that touch the same bytes and do not both read stay in their order") {
  for (u64 seed = 0; seed < 200; ++seed) {
    u64 n = 0;
    auto random = [&](u64 below) { return static_cast<i64>(flame::combine(seed, ++n) % below); };
    std::vector<std::vector<access>> steps(static_cast<std::size_t>(2 + random(150)));
    for (auto& step : steps)
      for (i64 i = random(4); i >= 0; --i) {
        access a{random(300), 1 + random(40), random(3) == 0};
        if (random(2)) {  // columns of rows of 16
          a.period = 16, a.width = 1 + random(15);
          a.bytes = random(5) * a.period + a.width;
        }
        step.push_back(a);
      }
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
        behind[j].insert(behind[static_cast<std::size_t>(i)].begin(),
                         behind[static_cast<std::size_t>(i)].end());
      }
      for (std::size_t i = 0; i < j; ++i) {
        bool must = false, may = false;
        for (const access& a : steps[i])
          for (const access& b : steps[j]) {
            if (!a.writes && !b.writes) continue;
            may = may || (a.period && b.period && a.at < b.at + b.bytes && b.at < a.at + a.bytes);
            for (i64 byte = 0; byte < 400 && !must; ++byte) must = touches(a, byte) && touches(b, byte);
          }
        pairs += must;
        if (must) REQUIRE(behind[j].count(static_cast<int>(i)) == 1);
        if (!must && !may &&
            std::find(direct[j].begin(), direct[j].end(), static_cast<int>(i)) != direct[j].end())
          FAIL("waits without need");
      }
    }
    CHECK(named <= pairs);
  }
}
