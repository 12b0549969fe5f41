// kernels(e): how many kernels and library calls an expression becomes, known at compile time.
#pragma once
#include <flame/expr/operand.hpp>
#include <flame/plan/fuse.hpp>

namespace flame {

[[nodiscard]] constexpr int kernels(const graph& g) { return fuse(g).steps.size(); }

template <class E>
  requires is_expr<E>
[[nodiscard]] constexpr int kernels(const E&) {
  return kernels(E::to_graph());
}

// Of a function, calls counted as one.
[[nodiscard]] constexpr int kernels(const function_info& f) { return kernels(graph_of(f)); }

}  // namespace flame
