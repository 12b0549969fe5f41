// A program made ready by a backend, for code that is the same for all of them.
#pragma once
#include <flame/plan/program.hpp>
#include <flame/run/backend.hpp>

#include <memory>
#include <type_traits>
#include <vector>

namespace flame {

// For one thread at a time.
class executable {
 public:
  executable() = default;
  executable(const executable&) = delete;
  executable& operator=(const executable&) = delete;
  virtual ~executable() = default;

  [[nodiscard]] virtual const program& plan() const = 0;
  // externals[b]: the memory of external buffer b, the backend's own; of numbers, the host's, which may be
  // written again as soon as this returns.
  virtual void run(const std::vector<void*>& externals) = 0;
};

// What a backend does at run time.
struct backend_functions {
  // numbers: those of the external buffers that the host holds and changes from run to run, some bytes each.
  std::unique_ptr<executable> (*prepare)(program p, const std::vector<int>& numbers) = nullptr;
  // Where programs that this thread makes now are to run; they run nowhere else.
  int (*device)() = nullptr;
  // Whether its contractions scale their result and add a bias to it (plan/epilogue.hpp); or those, and its
  // convolutions, whose results have 16 bits.
  bool folds_into_products = false, folds_into_halves = false;
  // Whether its memory is not the host's: keep::offload puts aside (plan/offload.hpp).
  bool puts_aside = false;
};

namespace host_code {
const backend_functions& functions();
}
namespace cuda_code {
const backend_functions& functions();
}

template <class Backend> [[nodiscard]] const backend_functions& functions_of() {
  static_assert(
      !std::is_same_v<Backend, cuda>,
      "flame: programs of the backend cuda need the target flame::cuda; this file is compiled without it");
  static_assert(std::is_same_v<Backend, cuda>, "flame: the backend has no functions_of<Backend>()");
  return host_code::functions();
}
template <> inline const backend_functions& functions_of<host>() { return host_code::functions(); }
#if defined(FLAME_CUDA)
template <> inline const backend_functions& functions_of<cuda>() { return cuda_code::functions(); }
#endif

}  // namespace flame
