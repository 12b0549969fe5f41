// Running sums, and the largest elements, along an axis.
#pragma once
#include <algorithm>
#include <cmath>
#include <flame/base/error.hpp>
#include <flame/plan/library_order.hpp>
#include <flame/run/host/scratch.hpp>
#include <flame/run/host/tasks.hpp>
#include <numeric>
#include <string>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

using library::ordering;

namespace algebra {

// Sums of floating numbers are f64, of integers they wrap around. Neighbours of `inner` are summed side by
// side.
template <class E> FLAME_NOINLINE void running_sums(const ordering& x, const void* from, void* to) {
  using sum = std::conditional_t<std::is_integral_v<E>, u64, double>;
  constexpr i64 most = 64;
  const E* in = static_cast<const E*>(from);
  E* out = static_cast<E*>(to);
  const i64 width = std::min(x.inner, most), blocks = (x.inner + width - 1) / width;
  const i64 least = std::max<i64>((1 << 14) / std::max<i64>(x.extent * width, 1), 1);
  in_chunks(x.outer * blocks, least, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) {
      const i64 first = i % blocks * width, some = std::min(width, x.inner - first);
      i64 at = i / blocks * x.extent * x.inner + first + (x.reverse ? (x.extent - 1) * x.inner : 0);
      sum sums[most] = {};
      for (i64 k = 0; k < x.extent; ++k, at += x.reverse ? -x.inner : x.inner)
        for (i64 j = 0; j < some; ++j) {
          if constexpr (std::is_integral_v<E>)
            out[at + j] = static_cast<E>(sums[j] += static_cast<u64>(in[at + j]));
          else if constexpr (sizeof(E) == 2)
            out[at + j] = static_cast<E>(
                static_cast<float>(sums[j] += static_cast<double>(static_cast<float>(in[at + j]))));
          else
            out[at + j] = static_cast<E>(sums[j] += static_cast<double>(in[at + j]));
        }
    }
  });
}

// Whether element a of a row stands before element b: the larger first, NaN the largest, equals in their
// order.
template <class E> struct larger_first {
  const E* row;
  i64 step;
  bool operator()(i32 a, i32 b) const {
    if constexpr (std::is_integral_v<E>) {
      const E u = row[a * step], v = row[b * step];
      return u != v ? u > v : a < b;
    } else {
      using wide = std::conditional_t<sizeof(E) == 2, float, E>;
      const wide u = static_cast<wide>(row[a * step]), v = static_cast<wide>(row[b * step]);
      if (std::isnan(u) || std::isnan(v)) return std::isnan(u) && (!std::isnan(v) || a < b);
      return u > v || (!(v > u) && a < b);
    }
  }
};

template <class E> FLAME_NOINLINE void largest(const ordering& x, const void* from, i32* to) {
  const i64 least = std::max<i64>((1 << 12) / std::max<i64>(x.extent, 1), 1);
  in_chunks(x.outer * x.inner, least, [&](i64 begin, i64 end) {
    i32* order = scratch<i32>(scratch_use::block_offsets, x.extent);
    for (i64 i = begin; i < end; ++i) {
      const E* row = static_cast<const E*>(from) + i / x.inner * x.extent * x.inner + i % x.inner;
      std::iota(order, order + x.extent, 0);
      std::partial_sort(order, order + x.kept, order + x.extent, larger_first<E>{row, x.inner});
      i32* out = to + i / x.inner * x.kept * x.inner + i % x.inner;
      for (i64 k = 0; k < x.kept; ++k) out[k * x.inner] = order[k];
    }
  });
}

template <class Call> void for_element(dtype element, const char* operation, Call&& call) {
  switch (element) {
    case dtype::f32: return call.template operator()<float>();
    case dtype::f64: return call.template operator()<double>();
    case dtype::bf16: return call.template operator()<bf16>();
    case dtype::f16: return call.template operator()<f16>();
    case dtype::int32: return call.template operator()<i32>();
    case dtype::int64: return call.template operator()<i64>();
    case dtype::uint8: return call.template operator()<u8>();
    default:
      throw error(std::string(operation)
                      .append(": the operand is ")
                      .append(name_of(element))
                      .append(", expected numbers"));
  }
}

}  // namespace algebra

// to[outer, i, inner] = sum over j <= i (from the end: j >= i) of from[outer, j, inner]. Throws flame::error
// for elements that are no numbers.
inline void cumsum(const ordering& x, const void* from, void* to) {
  if (x.outer * x.extent * x.inner == 0) return;
  algebra::for_element(x.element, "cumsum", [&]<class E>() { algebra::running_sums<E>(x, from, to); });
}

// to[outer, 0 .. kept, inner]: where the largest elements of from[outer, :, inner] stand, the largest first.
// Throws flame::error for elements that are no numbers.
inline void top(const ordering& x, const void* from, i32* to) {
  if (x.outer * x.kept * x.inner == 0) return;
  algebra::for_element(x.element, "top", [&]<class E>() { algebra::largest<E>(x, from, to); });
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
