// kernels(e): how many kernels and library calls an expression becomes, known at compile time.
#pragma once
#include <flame/expr/operand.hpp>
#include <flame/plan/copies.hpp>

namespace flame {

// What runs for one function, calls counted as one. A call writes its results where the outputs must stand,
// so that they need no copy; an output that is there already, under another number, does.
[[nodiscard]] constexpr int kernels(const graph& g) {
  const fusion f = fuse(g);
  int count = f.steps.size();
  for (const fused_step& s : f.steps)
    if (planning::copies(s) && g.is(s.code.slots[0].node, op::result)) --count;
  for (int i = 0; i < g.outputs.size(); ++i)
    for (int j = 0; j < i; ++j)
      if (g.outputs[i] == g.outputs[j]) {
        ++count;
        break;
      }
  return count;
}

template <class E>
requires is_expr<E>
[[nodiscard]] constexpr int kernels(const E&) { return kernels(E::to_graph()); }

[[nodiscard]] constexpr int kernels(const function_info& f) { return kernels(graph_of(f)); }

}  // namespace flame
