// Indices that must lie in an axis: read, refused where they do not, handed on.
#pragma once
#include <flame/base/error.hpp>
#include <flame/plan/library.hpp>
#include <flame/run/host/axis_run.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

namespace algebra {
template <class I>
FLAME_NOINLINE void in_range(const library::range_check& x, const axis_run<1>& walk, const I* index,
                             const i64* ignored, I* out) {
  constexpr i64 some = 256;
  i64 at[some];
  const i64 count = walk.size();
  for (i64 begin = 0; begin < count; begin += some) {
    const i64 n = begin + some < count ? some : count - begin;
    walk.offsets(0, begin, n, at);
    for (i64 i = 0; i < n; ++i) {
      const i64 value = static_cast<i64>(index[at[i]]);
      if ((value < 0 || value >= x.extent) && !(ignored && value == *ignored)) throw error(x.refusal(value));
      out[begin + i] = index[at[i]];
    }
  }
}
}  // namespace algebra

// out = index, row-major. Throws flame::error where an index is neither in [0, x.extent) nor the
// ignored one, where there is one.
inline void in_range(const library::range_check& x, const void* index, const i64* ignored, void* out) {
  axis_run<1> walk;
  for (int i = 0; i < x.rank; ++i) walk.push(x.extents[i], x.strides[i]);
  switch (x.element) {
    case dtype::int32:
      return algebra::in_range(x, walk, static_cast<const i32*>(index), ignored, static_cast<i32*>(out));
    case dtype::int64:
      return algebra::in_range(x, walk, static_cast<const i64*>(index), ignored, static_cast<i64*>(out));
    default: return algebra::in_range(x, walk, static_cast<const u8*>(index), ignored, static_cast<u8*>(out));
  }
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
