// kernels(e) where outputs are the results of calls, or stand twice: a call writes where its results must
// stand.
#include <flame/language.hpp>
#include <flame/plan/kernels.hpp>

using namespace flame;
using namespace flame::literals;

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

template <class Fn> constexpr int kernels_of = kernels(*function_of<Fn, shape<f32, struct row, struct col>>);

static_assert(kernels_of<soft> == 1);
static_assert(kernels_of<calls_one> == 1);
static_assert(kernels_of<calls_two> == 2);
static_assert(kernels_of<calls_and_adds> == 2);
static_assert(kernels_of<both> == 1);
static_assert(kernels_of<calls_both> == 1);
static_assert(kernels_of<given> == 1);  // a copy
static_assert(kernels_of<twice> == 2);  // one computes, one copies

int main() {}
