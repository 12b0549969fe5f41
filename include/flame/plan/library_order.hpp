// What a step of running sums or of the largest elements computes, in numbers.
#pragma once
#include <flame/plan/library.hpp>

namespace flame::library {

// Rows of `extent` elements, `inner` of them side by side between each other, `outer` times; of each row a
// result has `kept` elements. Everything lies row-major: [outer, extent, inner] and [outer, kept, inner].
struct ordering {
  dtype element = dtype::f32;  // of the operand
  bool reverse = false;        // cumsum: from the end
  i64 outer = 1, extent = 0, inner = 1, kept = 0;
};

[[nodiscard]] inline ordering ordering_of(const program_step& s) {
  const located &x = s.tensors[0], &out = s.tensors[1];
  const int at = x.find(s.axes[0]);
  ordering c;
  c.element = x.element;
  c.reverse = s.library == op::cumsum && s.data[0] != 0;
  c.extent = x.extents[at], c.kept = out.extents[at];
  for (int i = 0; i < x.rank; ++i)
    if (i != at) (i < at ? c.outer : c.inner) *= x.extents[i];
  return c;
}

}  // namespace flame::library
