// The machine code of every operation and its gradient, by the rules of cuda.code: the formulas of the laws,
// planned and compiled for sm_90 and not run.
//
// labels: cuda
// needs: flame::cuda
#include <doctest/doctest.h>
#include <flame/run/program_cache.hpp>

#include "../laws/host_definitions.hpp"
#include "../laws/operations/subject.hpp"
#include "code/checks.hpp"

namespace flame::laws {

// What the laws' lines ask for: here all of them are looked at together.
void enrol(int, const options&) {}

namespace {

using namespace flame::code_tests;

// The extents of a graph's axes, from those of its leaves.
extents extents_in(const graph& g, i64 extents_of_axis::*size) {
  extents e;
  for (int n = 0; n < g.size(); ++n) {
    if (!g.is(n, op::leaf)) continue;
    for (int i = 0; i < g.type(n).rank; ++i) {
      const axis_info* a = g.type(n).axes[i];
      if (a->extent != dynamic) e.bind(a, a->extent, {});
      for (const extents_of_axis& known : axis_table())
        if (known.axis == a && a->extent == dynamic) e.bind(a, known.*size, {});
    }
  }
  resolve(g, e);
  return e;
}

// The plan for contiguous operands of these extents.
const program& plan_of(compiled& c, const extents& e) {
  std::vector<bound_value> operands;
  for (int i = 0; i < c.info.leaf_count; ++i) {
    const tensor_type& t = c.info.leaves[i]->type;
    tensor_view v;
    v.element = t.element, v.rank = t.rank;
    i64 stride = 1;
    for (int k = t.rank - 1; k >= 0; --k)
      v.extents[k] = e[t.axes[k]], v.strides[k] = stride, stride *= v.extents[k];
    operands.emplace_back(v);
  }
  return c.cache->plan(operands);
}

// In f32 and bf16 all of them; in f64 and f16, whose kernels differ in the type alone, one in four.
TEST_CASE("every operation and its gradient") {
  std::set<std::string> all;
  int doubled = 0, number = 0;
  for (int (*formula)() : formulas()) {
    const subject s = make_subject(formula());
    const bool sampled = number++ % 4 == 0;
    for (const graph* g : {&s.value, &s.once})
      for (dtype d : {dtype::f32, dtype::bf16, dtype::f64, dtype::f16}) {
        if ((g == &s.once && !s.differentiable) || (!sampled && (d == dtype::f64 || d == dtype::f16)))
          continue;
        const retyped r = with_element(*g, d);
        const program& p = plan_of(compile_graph(simplify(r.g)), extents_in(r.g, &extents_of_axis::large));
        for (const std::string& name : cuda_kernels::kernel_names(p)) all.insert(name);
        for (const program_step& step : p.steps) doubled += doubled_operands(step);
      }
  }
  CHECK(doubled == 0);
  CHECK(all.size() > 800);
  const checked_kernels found = check_kernels(all);
  for (const std::string& problem : found.problems) FAIL_CHECK(problem);
  MESSAGE(found.count << " kernels, at most " << found.most_registers << " registers a thread");
}

}  // namespace
}  // namespace flame::laws
