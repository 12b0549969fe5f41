// Backends are types: where tensors live and programs run.
#pragma once
#include <flame/graph/words.hpp>

namespace flame {

// Any processor: products and convolutions of its own, fused groups tile by tile, all cores. It has every
// operation.
//
// A backend that lacks some says which: `static constexpr bool supports(op, dtype)`, the element type being
// that of the operation's result. What it lacks is refused when it is compiled for.
struct host {
  static constexpr const char* name = "host";
};

// One NVIDIA GPU, for programs that link flame::cuda. It has every operation. What runs there is put in the
// order of a stream and not waited for: item(), to_vector(), to<host>(t) and synchronize() wait. Each thread
// has a device, the first if it says nothing, and a stream, the library's own one of that device; threads may
// share both.
struct cuda {
  static constexpr const char* name = "cuda";

  // How many GPUs there are; 0 where there is no driver. Throws flame::error if a driver is there and does
  // not work, as one that is older than the toolkit.
  static int device_count();
  // The GPU that this thread uses: tensors and programs that are made from here on lie there.
  static int device();
  static void set_device(int device);
  // A cudaStream_t; null is the library's own. Tensors that are made while it is set are released in its
  // order, so it must outlive them.
  static void* stream();
  static void set_stream(void* stream);
  // Waits for the work of this thread's stream. Throws what kernels found wrong meanwhile.
  static void synchronize();
};

namespace detail {

// The first operation of a function, or of those that it calls, that a backend lacks.
struct lacked_operation {
  op code = op::leaf;
  dtype element = dtype::f32;
  bool any = false;
};
template <class Backend> [[nodiscard]] constexpr lacked_operation find_lacked(const function_info& f) {
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

template <class Backend, op Code, dtype Element> struct lacks {
  static_assert(Code == op::leaf, "flame: the backend lacks an operation of what is compiled for it");
};

// Refuses a function of which a backend lacks an operation.
template <class Backend, const function_info& F> constexpr void require_operations() {
  if constexpr (requires { Backend::supports(op::add, dtype::f32); }) {
    constexpr lacked_operation lacked = find_lacked<Backend>(F);
    (void)lacks<Backend, lacked.code, lacked.element>{};
  }
}

}  // namespace detail
}  // namespace flame
