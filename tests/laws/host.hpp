// A graph run on the host: in any element type, on inputs whose memory is laid out as a test wants it. The
// definitions stand in one file of a program (host_definitions.hpp): the host's headers are much to compile.
#pragma once
#include "numbers.hpp"

namespace flame::laws {

// A graph as a function of its leaves, planned once for each set of extents.
struct compiled;
// folds: scales and biases are parts of products, as on cuda.
compiled& compile_graph(const graph& g, const list<const leaf_info*>& operands = {}, bool folds = false);

// How an input lies in memory.
enum class layout : u8 {
  plain,
  strided,   // axes in the opposite order, every other element, rows apart, not aligned
  repeated,  // one element stands for all along the first axis: stride 0
  shifted,   // plain, but begins one element behind where memory begins; results too
  permuted,  // the axes in an order of its own for each shape, three elements behind where memory begins
};

// The function's outputs for values of its leaves.
[[nodiscard]] values run_on_host(compiled& c, const leaf_values& given, layout how = layout::plain);

// What the program of the last run on the host is made of: its steps, those of them that are contractions.
struct step_counts {
  int steps = 0, contractions = 0;
};
[[nodiscard]] step_counts count_steps(compiled& c, const leaf_values& given);

}  // namespace flame::laws
