// Makes a fused group ready to run, once: chooses loops, the order of steps, and registers.
#pragma once
#include <flame/run/host/group_order.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA {

// The group's instructions in the order in which a tile runs them, and a place for each value. Nothing of
// extents, strides or memory is known yet. Throws flame::error for an instruction that is none of a fused
// group's.
[[nodiscard]] inline prepared_group prepare(const group& g) {
  prepared_group p;
  tiles::builder b(g, p);
  b.build();
  tiles::order(b, p.immediate, false);
  tiles::order(b, p.deferred, true);
  return p;
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA
