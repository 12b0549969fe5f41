// What a group's instruction reads is known where the instruction runs: uniform values before the group
// starts, row values before full ones.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/plan/fuse.hpp>

namespace {

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f64, row, col> {
} x;

template <class E> void check_levels(const E& e) {
  int checked = 0;
  const fusion f = fuse(E::to_graph());
  for (const fused_step& s : f.steps)
    for (const instruction& i : s.code.body) {
      const bool loads = i.code == code_load, stores = i.code == code_store;
      for (int k : {loads || stores ? -1 : i.a, loads ? -1 : i.b, loads || stores ? -1 : i.c}) {
        if (k < 0 || i.reduce != reduce_mode::none) continue;
        CHECK(static_cast<int>(s.code.body[k].at) <= static_cast<int>(i.at));
        ++checked;
      }
    }
  CHECK(checked > 0);
  static_cast<void>(e);
}

TEST_CASE("a scalar's arithmetic on what a group reduces is of the rows") {
  check_levels(value_and_grad(var(x, row, col), x));
  check_levels(value_and_grad(prod(1.01 * x, row, col), x));
  check_levels(x - mean(x, row, col));
  check_levels(grad(sum(softmax(x, row, col) * x), x));
  check_levels(layer_norm(x, 1e-5, col));
}

}  // namespace
