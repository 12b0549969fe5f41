// Backends are types: where tensors live and programs run.
#pragma once
#include <flame/graph/words.hpp>

namespace flame {

// Any processor: products and convolutions of its own, fused groups tile by tile, all cores. It has every operation.
//
// A backend that lacks some says which: `static constexpr bool supports(op, dtype)`, the element type being that of the
// operation's result. What it lacks is refused when it is compiled for.
struct host {
  static constexpr const char* name = "host";
};

namespace detail {

// The first operation of a function, or of those that it calls, that a backend lacks.
struct lacked_operation {
  op code = op::leaf;
  dtype element = dtype::f32;
  bool any = false;
};
template <class Backend>
[[nodiscard]] constexpr lacked_operation find_lacked(const function_info& f) {
  const graph g = graph_of(f);
  for (int n = 0; n < g.size(); ++n) {
    if (g.is(n, op::leaf) || g.is(n, op::result)) continue;
    if (g.is(n, op::call)) {
      if (const lacked_operation inner = find_lacked<Backend>(*g[n].function); inner.any) return inner;
    } else if (!Backend::supports(g[n].code, g.type(n).element)) {
      return {g[n].code, g.type(n).element, true};
    }
  }
  return {};
}

template <class Backend, op Code, dtype Element>
struct lacks {
  static_assert(Code == op::leaf, "flame::compile<Backend>(e): the backend lacks an operation of e");
};

// Refuses a function of which a backend lacks an operation.
template <class Backend, const function_info& F>
constexpr void require_operations() {
  if constexpr (requires { Backend::supports(op::add, dtype::f32); }) {
    constexpr lacked_operation lacked = find_lacked<Backend>(F);
    (void)lacks<Backend, lacked.code, lacked.element>{};
  }
}

}  // namespace detail
}  // namespace flame
