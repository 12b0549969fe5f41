// Programs before and after a pass over their steps: the same results to rounding.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <flame/language.hpp>
#include <flame/plan/memory.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <vector>

namespace flame::plan_tests {

// How many steps rewrite(program) takes away.
template <class Rewrite, class F, class... T> int taken_away(Rewrite&& rewrite, F& f, const T&... arguments) {
  program before = f.plan(arguments...), after = before;
  rewrite(after);
  order_for_memory(after);
  place_buffers(after);
  std::vector<std::vector<float>> first, second;
  for (const program* p : {&before, &after}) {
    std::vector<std::vector<float>> memory;
    std::vector<void*> externals;
    for (int b = 0; b < p->buffers.size(); ++b) {
      externals.push_back(nullptr);
      if (p->buffers[b].kind != buffer_kind::external) continue;
      std::vector<float> values(static_cast<std::size_t>(p->buffers[b].bytes / 4));
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = normal_element<float>(static_cast<u64>(b), static_cast<u64>(i));
      memory.push_back(values);
      externals.back() = memory.back().data();
    }
    host_code::arena arena;
    // Nothing that a step reads may be there by chance.
    std::memset(arena.reserve(p->arena_bytes), 0xFF, static_cast<std::size_t>(p->arena_bytes));
    host_code::executable(program(*p)).run(externals, arena);
    (p == &before ? first : second) = memory;
  }
  std::vector<bool> written;  // by external buffer: what is no result is as it was
  for (int b = 0; b < before.buffers.size(); ++b) {
    if (before.buffers[b].kind != buffer_kind::external) continue;
    bool found = false;
    for (const program_step& s : before.steps)
      for (int k = 0; k < s.tensors.size(); ++k) found = found || (s.writes[k] && s.tensors[k].buffer == b);
    written.push_back(found);
  }
  for (std::size_t i = 0; i < first.size(); ++i) {
    double worst = 0, largest = 0;
    for (std::size_t k = 0; k < first[i].size(); ++k) {
      worst = std::max(worst, std::fabs(static_cast<double>(first[i][k] - second[i][k])));
      largest = std::max(largest, std::fabs(static_cast<double>(first[i][k])));
    }
    CHECK(worst <= (written[i] ? 1e-5 * largest : 0));
    CHECK(largest > 0);
  }
  return before.steps.size() - after.steps.size();
}

}  // namespace flame::plan_tests
