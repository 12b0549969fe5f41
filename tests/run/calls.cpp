// Functions that call: as many steps run as kernels() says, and none of them copies a call's result to where
// it must stand. (tests/static/kernels_calls.cpp has the numbers.)
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/plan/explain.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/create.hpp>
#include <flame/run/program_cache.hpp>

using namespace flame;
using namespace flame::literals;

namespace {

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;

struct soft {
  constexpr auto operator()(auto p) const { return softmax(p * 2_c, col); }
};
struct both {
  constexpr auto operator()(auto p) const { return outputs(exp(p), exp(p) * 2_c); }
};

struct calls_one {
  constexpr auto operator()(auto p) const { return call(soft{}, p); }
};
struct calls_two {
  constexpr auto operator()(auto p) const { return call(soft{}, call(soft{}, p)); }
};
struct calls_and_adds {
  constexpr auto operator()(auto p) const { return call(soft{}, p) + 1_c; }
};
struct calls_both {
  constexpr auto operator()(auto p) const { return call(both{}, p); }
};
struct given {
  constexpr auto operator()(auto p) const { return p; }
};
struct twice {
  constexpr auto operator()(auto p) const {
    auto e = exp(p);
    return outputs(e, e);
  }
};

// Of functions whose callees are one kernel each.
template <class Fn> void check_steps() {
  program_cache cache(*function_of<Fn, shape<f32, struct row, struct col>>);
  const auto x = normal(key(1), row == 5, col == 7);
  const program& p = cache.plan({x.view()});
  INFO(explain(p));
  CHECK(p.steps.size() == kernels(cache.function()));
}

inline constexpr struct flat : dim<> {
} flat;
// A call's result that is an output under another name for its axes, and that others read.
struct names_and_reads {
  constexpr auto operator()(auto p) const {
    auto r = call(soft{}, p);
    return outputs(merge(r, row, col, flat), r * 2_c, sum(r, col));
  }
};

}  // namespace

TEST_CASE("as many steps run as kernels() says") {
  check_steps<soft>();
  check_steps<both>();
  check_steps<calls_one>();
  check_steps<calls_two>();
  check_steps<calls_and_adds>();
  check_steps<calls_both>();
  check_steps<given>();
  check_steps<twice>();
}

TEST_CASE("a call's result that is written under other axes, and read") {
  const auto x = normal(key(1), row == 5, col == 7);
  program_cache cache(*function_of<names_and_reads, shape<f32, struct row, struct col>>),
      plain(*function_of<soft, shape<f32, struct row, struct col>>);
  const auto merged = zeros<f32>(flat == 35);
  const auto sums = zeros<f32>(row == 5);
  const auto doubled = zeros<f32>(row == 5, col == 7), expected = zeros<f32>(row == 5, col == 7);
  cache.run({x.view()}, {merged.view(), doubled.view(), sums.view()});
  plain.run({x.view()}, {expected.view()});
  for (std::size_t i = 0; i < 35; ++i) {
    CHECK(merged.values()[i] == expected.values()[i]);
    CHECK(doubled.values()[i] == 2 * expected.values()[i]);
  }
  for (std::size_t i = 0; i < 5; ++i) CHECK(sums.values()[i] == doctest::Approx(1));
}
