// Every operation and every composite, enrolled in all laws by one line each; the laws are in laws.hpp.
#include <doctest/doctest.h>

#include "operations/subject.hpp"

namespace flame::laws {
namespace {

TEST_CASE("every primitive is part of a law, by itself or in a derivative") {
  bool enrolled[op_count] = {};
  auto add = [&](const graph& g) {
    for (int n = 0; n < g.size(); ++n) enrolled[static_cast<int>(g[n].code)] = true;
  };
  for (int (*formula)() : formulas()) {
    const subject s = make_subject(formula());
    add(s.value);
    if (s.differentiable) add(simplify(s.twice));
  }
  for (int i = 0; i < op_count; ++i) {
    const op code = static_cast<op>(i);
    if (kind_of(code) == op_kind::function) continue;  // laws.functions
    INFO(std::string(name_of(code).data));
    CHECK(enrolled[i]);
  }
}

}  // namespace
}  // namespace flame::laws
