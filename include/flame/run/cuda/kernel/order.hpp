// Running sums and the largest elements along an axis.
#pragma once
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

// [outer, extent, inner], row-major; of the largest, [outer, kept, inner]. Sums go along tiles of each row.
struct ordering {
  i64 outer, extent, inner, kept;
  i64 tiles, tile;
  i32 reverse;
};

// One tile of one row: where its first element stands, how many it has, and how far it is to the next.
struct order_tile {
  i64 at, count, step;

  FLAME_DEVICE order_tile(const ordering& x, i64 outer, i64 tile, i64 inner) {
    const i64 first = tile * x.tile;
    count = smaller_of(x.tile, x.extent - first);
    at = (outer * x.extent + (x.reverse ? x.extent - 1 - first : first)) * x.inner + inner;
    step = x.reverse ? -x.inner : x.inner;
  }
};

// sums[outer, tile, inner]: of each tile. A thread for each.
template <int Element> FLAME_KERNEL void cumsum_tiles(ordering x, const void* from, void* sums) {
  using type = number<Element>;
  const i64 thread = thread_number();
  i64 n = thread;
  const i64 inner = split(n, x.inner), tile = split(n, x.tiles);
  if (n >= x.outer) return;
  const order_tile t(x, n, tile, inner);
  const auto* in = static_cast<const typename type::stored*>(from) + t.at;
  typename type::sum s = 0;
  for (i64 i = 0; i < t.count; ++i) s += type::widen(in[i * t.step]);
  static_cast<typename type::sum*>(sums)[thread] = s;
}

// sums[outer, tile, inner]: of what stands before each tile. A thread for each row.
template <int Element> FLAME_KERNEL void cumsum_before(ordering x, void* sums) {
  using sum = typename number<Element>::sum;
  i64 n = thread_number();
  const i64 inner = split(n, x.inner);
  if (n >= x.outer) return;
  sum* at = static_cast<sum*>(sums) + n * x.tiles * x.inner + inner;
  sum s = 0;
  for (i64 i = 0; i < x.tiles; ++i) {
    const sum own = at[i * x.inner];
    at[i * x.inner] = s;
    s += own;
  }
}

// The running sums of each tile, from what stands before it. Where a row is one tile, nothing does, and sums
// is not read. A thread for each tile.
template <int Element> FLAME_KERNEL void cumsum(ordering x, const void* from, const void* sums, void* to) {
  using type = number<Element>;
  const i64 thread = thread_number();
  i64 n = thread;
  const i64 inner = split(n, x.inner), tile = split(n, x.tiles);
  if (n >= x.outer) return;
  const order_tile t(x, n, tile, inner);
  const auto* in = static_cast<const typename type::stored*>(from) + t.at;
  auto* out = static_cast<typename type::stored*>(to) + t.at;
  typename type::sum s = 0;
  if (x.tiles > 1) s = static_cast<const typename type::sum*>(sums)[thread];
  for (i64 i = 0; i < t.count; ++i) {
    s += type::widen(in[i * t.step]);
    out[i * t.step] = type::narrow(s);
  }
}

// What elements are compared as: integers as they are, with their sign.
template <int Element> FLAME_DEVICE auto comparable(typename number<Element>::stored x) {
  if constexpr (Element < 4)
    return number<Element>::widen(x);
  else
    return x;
}

// Whether u at a stands before v at b: the larger first, NaN the largest, equals in their order.
template <class T> FLAME_DEVICE bool stands_before(T u, i64 a, T v, i64 b) {
  if (u > v) return true;
  if (u < v) return false;
  const bool u_none = !(u == u), v_none = !(v == v);
  return u_none == v_none ? a < b : u_none;
}

// Every element counts those that stand before it, until there are as many as are wanted; what is left writes
// its index where it stands. A thread for each element.
template <int Element> FLAME_KERNEL void largest(ordering x, const void* from, void* to) {
  i64 n = thread_number();
  const i64 inner = split(n, x.inner), own = split(n, x.extent);
  if (n >= x.outer) return;
  const auto* row =
      static_cast<const typename number<Element>::stored*>(from) + n * x.extent * x.inner + inner;
  const auto value = comparable<Element>(row[own * x.inner]);
  i64 place = 0;
  for (i64 i = 0; i < x.extent; ++i) {
    place += stands_before(comparable<Element>(row[i * x.inner]), i, value, own) ? 1 : 0;
    if (place >= x.kept) return;
  }
  static_cast<i32*>(to)[(n * x.kept + place) * x.inner + inner] = static_cast<i32>(own);
}

}  // namespace flame::kernel
