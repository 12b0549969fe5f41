// What a program does, as a table and as a graph: steps, formulas, bytes, operations, memory; an expression
// as a formula.
#pragma once
#include <flame/expr/operand.hpp>
#include <flame/plan/explain_interface.hpp>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/plan/explain_definitions.hpp>
#endif

namespace flame {

// The same of a compiled function for these arguments.
template <class F, class... A>
requires requires(F& f, const A&... a) { f.plan(a...); }
[[nodiscard]] std::string explain(F& f, const A&... a) { return explain(f.plan(a...)); }

// An expression as a formula, and as a graph: print(const graph&) and to_graphviz of graph/print.hpp.
template <class E>
requires is_expr<E>
[[nodiscard]] std::string print(const E&) { return explaining::formula_of(E::view()); }
template <class E>
requires is_expr<E>
[[nodiscard]] std::string to_graphviz(const E&) { return explaining::graphviz_of(E::view()); }

}  // namespace flame
