// Which steps of a function only copy: outputs that stand elsewhere, as views do, or the results of calls.
#pragma once
#include <flame/plan/fuse.hpp>

namespace flame::planning {

// A value of the graph, copied to where it must stand as an output.
[[nodiscard]] constexpr bool copies(const fused_step& s) {
  return !s.library && !s.call && s.code.body.size() == 2 && s.code.slots.size() == 2 &&
         s.code.slots[0].kind == slot_kind::input && s.code.slots[0].node == s.code.slots[1].node;
}

}  // namespace flame::planning
