// Elements read where an index says, and values summed up there.
#pragma once
#include <cstring>
#include <flame/run/host/axis_run.hpp>
#include <flame/run/host/dispatch.hpp>
#include <flame/run/host/pack.hpp>
#include <flame/run/host/scratch.hpp>
#include <flame/run/host/threads.hpp>

namespace flame::host::inline FLAME_HOST_ISA {

// Walks axes; at each of their elements, index gives a place along one more axis, of the table that is read
// (gather) or of the result that is added to (scatter_add). Strides count elements and are 0 along axes that
// an operand lacks.
struct indexing {
  static constexpr int room = 16;
  dtype element = dtype::f32;          // of the values that are read and written
  dtype index_element = dtype::int32;  // i32, i64 or u8
  const void* from = nullptr;          // the table, or the values
  const void* index = nullptr;
  void* out = nullptr;
  i64 extent = 0;  // of the indexed axis
  i64 stride = 0;  // of the indexed axis, in the table or in the result
  int rank = 0;
  i64 extents[room] = {}, from_strides[room] = {}, index_strides[room] = {}, out_strides[room] = {};
};

namespace algebra {

// The walk as its outer axes, along which the index changes or several values meet, and the inner ones.
struct index_walk {
  axis_run<4> outer;   // strides in from, index, out and a matrix of sums whose rows are places
  axis_run<2> inner;   // in out and from
  axis_run<1> places;  // in out: the outer axes that out has, and the indexed one

  explicit index_walk(const indexing& x) {
    auto is_inner = [&](int i) { return x.index_strides[i] == 0 && x.out_strides[i] != 0; };
    for (int i = 0; i < x.rank; ++i)
      if (is_inner(i))
        inner.push(x.extents[i], x.out_strides[i], x.from_strides[i]);
      else if (x.out_strides[i] != 0)
        places.push(x.extents[i], x.out_strides[i]);
    places.push(x.extent, x.stride);
    i64 row = places.size();
    for (int i = 0; i < x.rank; ++i) {
      if (is_inner(i)) continue;
      const bool kept = x.out_strides[i] != 0;
      if (kept && x.extents[i] != 0) row /= x.extents[i];
      outer.push(x.extents[i], x.from_strides[i], x.index_strides[i], x.out_strides[i], kept ? row : 0);
    }
    inner.collapse();
  }
};

// The index at each element of the outer axes. Throws if one is outside of the axis.
template <class I>
void read_index(const indexing& x, const char* operation, const I* index, i64 count, i64* values) {
  for (i64 i = 0; i < count; ++i) {
    const i64 value = static_cast<i64>(index[values[i]]);
    if (value < 0 || value >= x.extent)
      throw error(std::string(operation)
                      .append(": index ")
                      .append(std::to_string(value))
                      .append(" is out of range, the axis has extent ")
                      .append(std::to_string(x.extent)));
    values[i] = value;
  }
}

inline void read_index(const indexing& x, const char* operation, const index_walk& walk, i64 count,
                       i64* values) {
  walk.outer.offsets(1, 0, count, values);
  switch (x.index_element) {
    case dtype::int32: return read_index(x, operation, static_cast<const i32*>(x.index), count, values);
    case dtype::int64: return read_index(x, operation, static_cast<const i64*>(x.index), count, values);
    case dtype::uint8: return read_index(x, operation, static_cast<const u8*>(x.index), count, values);
    default:
      throw error(std::string(operation)
                      .append(": the index is ")
                      .append(name_of(x.index_element))
                      .append(", expected i32, i64 or u8"));
  }
}

template <class U>  // as wide as an element
void gather(const indexing& x, const index_walk& walk, const i64* values, i64 count) {
  const i64 inner = walk.inner.size();
  const bool side_by_side = walk.inner.contiguous(0) && walk.inner.contiguous(1);
  const U* table = static_cast<const U*>(x.from);
  U* out = static_cast<U*>(x.out);
  parallel_for(count, std::max<i64>((1 << 14) / inner, 1), [&](i64 begin, i64 end) {
    const i64 some = end - begin;
    i64* offsets = scratch<i64>(scratch_use::block_offsets, 2 * some + 2 * inner);
    i64 *from = offsets, *to = from + some, *inner_to = to + some, *inner_from = inner_to + inner;
    walk.outer.offsets(0, begin, some, from);
    walk.outer.offsets(2, begin, some, to);
    if (!side_by_side) {
      walk.inner.offsets(0, 0, inner, inner_to);
      walk.inner.offsets(1, 0, inner, inner_from);
    }
    for (i64 i = 0; i < some; ++i) {
      const U* row = table + from[i] + values[begin + i] * x.stride;
      if (side_by_side)
        std::memcpy(out + to[i], row, static_cast<std::size_t>(inner) * sizeof(U));
      else
        for (i64 j = 0; j < inner; ++j) out[to[i] + inner_to[j]] = row[inner_from[j]];
    }
  });
}

// What sums of an element type are kept in.
template <class E>
using summed = std::conditional_t<std::is_same_v<E, bf16> || std::is_same_v<E, f16>, float, E>;

template <class E> [[nodiscard]] summed<E> add(summed<E> sum, E value) {
  if constexpr (std::is_integral_v<E>)  // wraps around
    return static_cast<E>(static_cast<std::make_unsigned_t<E>>(sum) +
                          static_cast<std::make_unsigned_t<E>>(value));
  else
    return sum + static_cast<summed<E>>(value);
}

template <class E> void fill_zeros(E* out, const axis_run<1>& places, const axis_run<2>& inner) {
  const i64 size = inner.size();
  parallel_for(places.size(), std::max<i64>((1 << 15) / size, 1), [&](i64 begin, i64 end) {
    i64* offsets = scratch<i64>(scratch_use::block_offsets, end - begin + size);
    i64* inner_offsets = offsets + (end - begin);
    places.offsets(0, begin, end - begin, offsets);
    inner.offsets(0, 0, size, inner_offsets);
    for (i64 i = 0; i < end - begin; ++i)
      if (inner.contiguous(0))
        std::fill_n(out + offsets[i], size, E{});
      else
        for (i64 j = 0; j < size; ++j) out[offsets[i] + inner_offsets[j]] = E{};
  });
}

// to[i] += from[i], of arrays that do not overlap.
template <class E> void add_row(const E* __restrict from, summed<E>* __restrict to, i64 n) {
  for (i64 i = 0; i < n; ++i) to[i] = add<E>(to[i], from[i]);
}

// Every result is one sum in the order of the outer walk: cores share out the inner elements. Half types are
// summed in f32, in memory of the thread's own.
template <class E> void scatter_add(const indexing& x, const index_walk& walk, const i64* values, i64 count) {
  using T = summed<E>;
  constexpr i64 room = 1 << 22;
  const axis_run<1>& places = walk.places;
  const axis_run<2>& inner = walk.inner;
  const i64 size = inner.size(), place_count = places.size();
  const E* from = static_cast<const E*>(x.from);
  E* out = static_cast<E*>(x.out);
  if constexpr (std::is_same_v<E, T>) fill_zeros(out, places, inner);

  i64* outer_from = scratch<i64>(scratch_use::image_offsets, 2 * count);
  i64* outer_to = outer_from + count;
  walk.outer.offsets(0, 0, count, outer_from);
  walk.outer.offsets(std::is_same_v<E, T> ? 2 : 3, 0, count, outer_to);
  for (i64 i = 0; i < count; ++i) outer_to[i] += values[i] * (std::is_same_v<E, T> ? x.stride : 1);

  i64 part = std::clamp<i64>((1 << 16) / std::max<i64>(count, 1), 64, 1 << 16);
  if (!std::is_same_v<E, T>) part = std::clamp<i64>(room / place_count, 1, part);
  parallel_for(size, part, [&](i64 begin, i64 end) {
    const i64 some = end - begin;
    i64* inner_to = scratch<i64>(scratch_use::block_offsets, 2 * some + place_count);
    i64 *inner_from = inner_to + some, *place_to = inner_from + some;
    inner.offsets(0, begin, some, inner_to);
    inner.offsets(1, begin, some, inner_from);
    const bool side_by_side = consecutive(inner_from, some);
    if constexpr (std::is_same_v<E, T>) {
      const bool both = side_by_side && consecutive(inner_to, some);
      for (i64 i = 0; i < count; ++i) {
        const E* row = from + outer_from[i];
        E* to = out + outer_to[i];
        if (both)
          add_row<E>(row + inner_from[0], to + inner_to[0], some);
        else
          for (i64 j = 0; j < some; ++j) to[inner_to[j]] = add<E>(to[inner_to[j]], row[inner_from[j]]);
      }
    } else {
      T* sums = scratch<T>(scratch_use::block_sums, place_count * some);
      std::fill_n(sums, place_count * some, T{});
      for (i64 i = 0; i < count; ++i) {
        const E* row = from + outer_from[i];
        T* to = sums + outer_to[i] * some;
        for (i64 j = 0; j < some; ++j) to[j] = add<E>(to[j], row[inner_from[j]]);
      }
      places.offsets(0, 0, place_count, place_to);
      for (i64 i = 0; i < place_count; ++i)
        for (i64 j = 0; j < some; ++j) out[place_to[i] + inner_to[j]] = static_cast<E>(sums[i * some + j]);
    }
  });
}

}  // namespace algebra

// out[outer, inner] = from[outer, index[outer], inner], where index has the outer axes, and `from` and out
// any of them; elements of any type. Throws flame::error if an index is outside of the axis.
inline void gather(const indexing& x) {
  const algebra::index_walk walk(x);
  const i64 count = walk.outer.size();
  if (count * walk.inner.size() == 0) return;
  i64* values = scratch<i64>(scratch_use::operand, count);
  algebra::read_index(x, "gather", walk, count, values);
  switch (size_of(x.element)) {
    case 1: return algebra::gather<u8>(x, walk, values, count);
    case 2: return algebra::gather<u16>(x, walk, values, count);
    case 4: return algebra::gather<u32>(x, walk, values, count);
    default: return algebra::gather<u64>(x, walk, values, count);
  }
}

// out = zeros, then out[outer, index[outer], inner] += from[outer, inner] in the order of the outer axes,
// which are those of index and those that only `from` has. Floating types and integers, which wrap around;
// bf16 and f16 are summed in f32. Throws flame::error if an index is outside of the axis, or for elements
// that are no numbers.
inline void scatter_add(const indexing& x) {
  const algebra::index_walk walk(x);
  const i64 count = walk.outer.size();
  if (walk.places.size() * walk.inner.size() == 0) return;
  i64* values = scratch<i64>(scratch_use::operand, count);
  algebra::read_index(x, "scatter_add", walk, count, values);
  switch (x.element) {
    case dtype::int32: return algebra::scatter_add<i32>(x, walk, values, count);
    case dtype::int64: return algebra::scatter_add<i64>(x, walk, values, count);
    case dtype::uint8: return algebra::scatter_add<u8>(x, walk, values, count);
    default:
      for_floating("scatter_add", x.element,
                   [&]<class E>(E) { algebra::scatter_add<E>(x, walk, values, count); });
  }
}

}  // namespace flame::host::inline FLAME_HOST_ISA
