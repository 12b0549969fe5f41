// Backends are types: where tensors live and programs run.
#pragma once

namespace flame {

// Any processor: products and convolutions of its own, fused groups tile by tile, all cores.
struct host {
  static constexpr const char* name = "host";
};

}  // namespace flame
