// Elements read where an index says, and values summed up there.
#pragma once
#include <cstring>
#include <flame/base/error.hpp>
#include <flame/plan/library.hpp>
#include <flame/run/host/axis_run.hpp>
#include <flame/run/host/pack.hpp>
#include <flame/run/host/scratch.hpp>
#include <flame/run/host/tasks.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

using library::indexing;

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

// Rows of a table, to[i] = from[i] or to[to_offsets[i]] = from[from_offsets[i]], of elements as wide as U.
template <class U>
FLAME_NOINLINE void copy_row(const void* from, const i64* from_offsets, void* to, const i64* to_offsets,
                             i64 n) {
  for (i64 i = 0; i < n; ++i)
    static_cast<U*>(to)[to_offsets[i]] = static_cast<const U*>(from)[from_offsets[i]];
}

inline void gather(const indexing& x, const index_walk& walk, const i64* values, i64 count) {
  const i64 inner = walk.inner.size(), size = size_of(x.element);
  const bool side_by_side = walk.inner.contiguous(0) && walk.inner.contiguous(1);
  const auto copy = size == 1   ? &copy_row<u8>
                    : size == 2 ? &copy_row<u16>
                    : size == 4 ? &copy_row<u32>
                                : &copy_row<u64>;
  in_chunks(count, std::max<i64>((1 << 14) / inner, 1), [&](i64 begin, i64 end) {
    const i64 some = end - begin;
    i64* from = scratch<i64>(scratch_use::block_offsets, 2 * some + 2 * inner);
    i64 *to = from + some, *inner_to = to + some, *inner_from = inner_to + inner;
    walk.outer.offsets(0, begin, some, from);
    walk.outer.offsets(2, begin, some, to);
    walk.inner.offsets(0, 0, inner, inner_to);
    walk.inner.offsets(1, 0, inner, inner_from);
    for (i64 i = 0; i < some; ++i) {
      const void* row = static_cast<const char*>(x.from) + (from[i] + values[begin + i] * x.stride) * size;
      void* out = static_cast<char*>(x.out) + to[i] * size;
      if (side_by_side)
        std::memcpy(out, row, static_cast<std::size_t>(inner * size));
      else
        copy(row, inner_from, out, inner_to, inner);
    }
  });
}

// What sums of an element type are kept in.
template <class E>
using summed = std::conditional_t<std::is_same_v<E, bf16> || std::is_same_v<E, f16>, float, E>;

template <class E> [[nodiscard]] summed<E> plus(summed<E> sum, E value) {
  if constexpr (std::is_integral_v<E>)  // wraps around
    return static_cast<E>(static_cast<std::make_unsigned_t<E>>(sum) +
                          static_cast<std::make_unsigned_t<E>>(value));
  else
    return sum + static_cast<summed<E>>(value);
}

// What is done with values of one element type.
struct adding {
  i64 size, sum_size;  // bytes
  // to[to_offsets[i]] += from[from_offsets[i]], sums and elements, which do not overlap.
  void (*add)(const void* from, const i64* from_offsets, void* to, const i64* to_offsets, i64 n,
              bool side_by_side);
  // Sums to elements.
  void (*round)(const void* sums, void* to, const i64* to_offsets, i64 n);
};

template <class E>
FLAME_NOINLINE void add_row(const void* row, const i64* from_offsets, void* sums, const i64* to_offsets,
                            i64 n, bool side_by_side) {
  const E* from = static_cast<const E*>(row);
  summed<E>* to = static_cast<summed<E>*>(sums);
  if (side_by_side) {
    const E* __restrict a = from + from_offsets[0];
    summed<E>* __restrict b = to + to_offsets[0];
    for (i64 i = 0; i < n; ++i) b[i] = plus<E>(b[i], a[i]);
  } else {
    for (i64 i = 0; i < n; ++i) to[to_offsets[i]] = plus<E>(to[to_offsets[i]], from[from_offsets[i]]);
  }
}

template <class E> FLAME_NOINLINE void round_row(const void* sums, void* to, const i64* to_offsets, i64 n) {
  for (i64 i = 0; i < n; ++i)
    static_cast<E*>(to)[to_offsets[i]] = static_cast<E>(static_cast<const summed<E>*>(sums)[i]);
}

template <class E>
inline constexpr adding adding_of = {sizeof(E), sizeof(summed<E>), &add_row<E>, &round_row<E>};

inline const adding& adding_for(dtype element) {
  switch (element) {
    case dtype::f32: return adding_of<float>;
    case dtype::f64: return adding_of<double>;
    case dtype::bf16: return adding_of<bf16>;
    case dtype::f16: return adding_of<f16>;
    case dtype::int32: return adding_of<i32>;
    case dtype::int64: return adding_of<i64>;
    case dtype::uint8: return adding_of<u8>;
    default:
      throw error(
          std::string("scatter_add: the values are ").append(name_of(element)).append(", expected numbers"));
  }
}

inline void fill_zeros(void* out, i64 size, const axis_run<1>& places, const axis_run<2>& inner) {
  const i64 n = inner.size();
  in_chunks(places.size(), std::max<i64>((1 << 15) / n, 1), [&](i64 begin, i64 end) {
    i64* offsets = scratch<i64>(scratch_use::block_offsets, end - begin + n);
    i64* inner_offsets = offsets + (end - begin);
    places.offsets(0, begin, end - begin, offsets);
    inner.offsets(0, 0, n, inner_offsets);
    for (i64 i = 0; i < end - begin; ++i) {
      char* to = static_cast<char*>(out) + offsets[i] * size;
      if (inner.contiguous(0))
        std::memset(to, 0, static_cast<std::size_t>(n * size));
      else
        for (i64 j = 0; j < n; ++j)
          std::memset(to + inner_offsets[j] * size, 0, static_cast<std::size_t>(size));
    }
  });
}

// Every result is one sum in the order of the outer walk: cores share out the inner elements. Half types are
// summed in f32, in memory of the thread's own.
inline void scatter_add(const indexing& x, const adding& type, const index_walk& walk, const i64* values,
                        i64 count) {
  constexpr i64 room = 1 << 22, least_work = 1 << 16;
  const i64 places = walk.places.size();
  const bool converts = type.size != type.sum_size;
  if (!converts) fill_zeros(x.out, type.size, walk.places, walk.inner);
  i64* outer_from = scratch<i64>(scratch_use::image_offsets, 2 * count);
  i64* outer_to = outer_from + count;
  walk.outer.offsets(0, 0, count, outer_from);
  walk.outer.offsets(converts ? 3 : 2, 0, count, outer_to);
  for (i64 i = 0; i < count; ++i) outer_to[i] += values[i] * (converts ? 1 : x.stride);

  i64 part = std::clamp<i64>(least_work / std::max<i64>(count, 1), 64, least_work);
  if (converts) part = std::clamp<i64>(room / places, 1, part);
  in_chunks(walk.inner.size(), part, [&](i64 begin, i64 end) {
    const i64 some = end - begin;
    i64* inner_to = scratch<i64>(scratch_use::block_offsets, 3 * some + (converts ? places : 0));
    i64 *inner_from = inner_to + some, *in_order = inner_from + some, *place_to = in_order + some;
    walk.inner.offsets(0, begin, some, inner_to);
    walk.inner.offsets(1, begin, some, inner_from);
    const bool side_by_side = consecutive(inner_from, some) && (converts || consecutive(inner_to, some));
    auto row = [&](i64 i) { return static_cast<const char*>(x.from) + outer_from[i] * type.size; };
    if (!converts) {
      for (i64 i = 0; i < count; ++i)
        type.add(row(i), inner_from, static_cast<char*>(x.out) + outer_to[i] * type.size, inner_to, some,
                 side_by_side);
      return;
    }
    char* sums = scratch<char>(scratch_use::block_sums, places * some * type.sum_size);
    std::memset(sums, 0, static_cast<std::size_t>(places * some * type.sum_size));
    for (i64 j = 0; j < some; ++j) in_order[j] = j;
    for (i64 i = 0; i < count; ++i)
      type.add(row(i), inner_from, sums + outer_to[i] * some * type.sum_size, in_order, some, side_by_side);
    walk.places.offsets(0, 0, places, place_to);
    for (i64 i = 0; i < places; ++i)
      type.round(sums + i * some * type.sum_size, static_cast<char*>(x.out) + place_to[i] * type.size,
                 inner_to, some);
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
  algebra::gather(x, walk, values, count);
}

// out = zeros, then out[outer, index[outer], inner] += from[outer, inner] in the order of the outer axes,
// which are those of index and those that only `from` has. Floating types and integers, which wrap around;
// bf16 and f16 are summed in f32. Throws flame::error if an index is outside of the axis, or for elements
// that are no numbers.
inline void scatter_add(const indexing& x) {
  const algebra::adding& type = algebra::adding_for(x.element);
  const algebra::index_walk walk(x);
  const i64 count = walk.outer.size();
  if (walk.places.size() * walk.inner.size() == 0) return;
  i64* values = scratch<i64>(scratch_use::operand, count);
  algebra::read_index(x, "scatter_add", walk, count, values);
  algebra::scatter_add(x, type, walk, values, count);
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
