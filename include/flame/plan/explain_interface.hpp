// What a program does, in numbers and words: see plan/explain.hpp.
#pragma once
#include <flame/graph/words.hpp>
#include <flame/plan/program.hpp>

#include <string>
#include <vector>

namespace flame {

// A step in numbers and words.
struct step_report {
  std::string kind;                      // map, row, column, total, copy; or the library operation
  std::string sizes;                     // of the collapsed space, or of the operation
  std::string result;                    // the buffers written, those of the arena with their offsets
  std::string formula;                   // in terms of buffers
  i64 read = 0, written = 0, flops = 0;  // bytes, bytes, operations
  i64 live = 0;                          // bytes of the arena in use while it runs
};

struct program_report {
  std::vector<step_report> steps;
  std::vector<std::string> buffers;  // names, by buffer
  int kernels = 0, library_calls = 0;
  i64 read = 0, written = 0, flops = 0;
  i64 arena = 0, live = 0;         // bytes planned; the most that is live at once
  i64 arguments = 0, results = 0;  // bytes outside the arena: only read, written
  i64 aside = 0;                   // bytes of the host's memory in which values wait (keep::offload)
};

[[nodiscard]] program_report report(const program& p);

// A line for all, then a line for each step: what it is, what it reads and writes, its operations (2 m n k of
// a product, one for each instruction and element elsewhere), the arena's bytes in use, and its formula, cut
// at `width`.
[[nodiscard]] std::string explain(const program& p, std::size_t width = 100);

// The program in Graphviz's language: a box for each step, an ellipse for each argument, edges as the data
// goes.
[[nodiscard]] std::string to_graphviz(const program& p);

namespace explaining {

// The graph that words mean, as graph/print.hpp writes it.
[[nodiscard]] std::string formula_of(const word_view& words);
[[nodiscard]] std::string graphviz_of(const word_view& words);

}  // namespace explaining

}  // namespace flame
