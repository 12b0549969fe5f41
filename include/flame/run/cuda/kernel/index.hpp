// Elements read where an index says, and values summed up there in a fixed order.
#pragma once
#include <flame/run/cuda/kernel/copy.hpp>

namespace flame::kernel {

FLAME_DEVICE i64 read_index(const void* index, int element, i64 offset) {
  if (element == 4) return static_cast<const i32*>(index)[offset];
  if (element == 5) return static_cast<const i64*>(index)[offset];
  return static_cast<const u8*>(index)[offset];
}

// Axes with their strides in three operands; the last is the fastest.
struct three_strides {
  i32 rank;
  i64 extents[axes_room], from[axes_room], index[axes_room], out[axes_room];

  FLAME_DEVICE void place(i64 n, i64& at_from, i64& at_index, i64& at_out) const {
    at_from = at_index = at_out = 0;
    for (int i = rank - 1; i >= 0; --i) {
      const i64 at = i > 0 ? split(n, extents[i]) : n;
      at_from += at * from[i], at_index += at * index[i], at_out += at * out[i];
    }
  }
};

struct indexing {
  i64 extent, stride;  // of the indexed axis: in the table (gather) or in the result
  i32 index_element;   // as flame::dtype
  u32 step;            // what a fault is reported as
  i64 inner_count;
  two_strides inner;  // in from and out
};

// out[outer, inner] = from[outer, index[outer], inner], units of Bytes bytes; an index outside of the axis
// gives zeros and a fault. A thread for each unit of out.
template <int Bytes>
FLAME_KERNEL void gather(indexing x, three_strides outer, i64 count, const void* from, const void* index,
                         void* out, fault* wrong) {
  using type = typename unit<Bytes>::type;
  i64 n = thread_number();
  if (n >= count) return;
  const i64 j = split(n, x.inner_count);
  i64 at_from, at_index, at_out, inner_from, inner_out;
  outer.place(n, at_from, at_index, at_out);
  x.inner.place(j, inner_from, inner_out);
  const i64 value = read_index(index, x.index_element, at_index);
  type result{};
  if (value < 0 || value >= x.extent)
    report(wrong, x.step, value);
  else
    result = static_cast<const type*>(from)[at_from + value * x.stride + inner_from];
  static_cast<type*>(out)[at_out + inner_out] = result;
}

// The axes of a scatter_add's walk: those of the result, and those that are summed.
struct scatter_axes {
  three_strides kept;
  two_strides summed;  // in from and index
  i64 kept_count, summed_count;
};

// Every place of the result looks for its values among all of them, from the first to the last. With parts >
// 1, part i walks the summed elements [i some, (i + 1) some) into sums [parts, kept, extent, inner]. A thread
// for each vector of each part; the threads of place 0 report what lies outside.
template <int Element, int Width>
FLAME_KERNEL void scatter_walk(indexing x, scatter_axes axes, i64 parts, i64 some, const void* from,
                               const void* index, void* out, void* sums, fault* wrong) {
  using vector = numbers<Element, Width>;
  const i64 thread = thread_number();
  i64 n = thread;
  const i64 j = split(n, x.inner_count / Width) * Width, place = split(n, x.extent),
            kept = split(n, axes.kept_count);
  if (n >= parts) return;
  i64 from_kept, index_kept, out_kept, inner_from, inner_out;
  axes.kept.place(kept, from_kept, index_kept, out_kept);
  x.inner.place(j, inner_from, inner_out);
  vector sum = vector::all(0);
  const i64 past = smaller_of((n + 1) * some, axes.summed_count);
  constexpr int ahead = 8;  // indices that are on their way at once
  for (i64 first = n * some; first < past; first += ahead) {
    i64 values[ahead], from_summed[ahead];
    for (int a = 0; a < ahead; ++a) {
      const i64 s = smaller_of(first + a, past - 1);
      i64 index_summed;
      axes.summed.place(s, from_summed[a], index_summed);
      values[a] = read_index(index, x.index_element, index_kept + index_summed);
    }
    for (int a = 0; a < ahead && first + a < past; ++a) {
      if (values[a] == place) {
        const vector v = vector::read(from, from_kept + from_summed[a] + inner_from);
        for (int c = 0; c < Width; ++c) sum.at[c] += v.at[c];
      } else if (place == 0 && (values[a] < 0 || values[a] >= x.extent)) {
        report(wrong, x.step, values[a]);
      }
    }
  }
  if (parts == 1) {
    sum.write(out, out_kept + place * x.stride + inner_out);
  } else {
    auto* to = static_cast<typename vector::sum*>(sums) + thread * Width;
    for (int c = 0; c < Width; ++c) to[c] = sum.at[c];
  }
}

// The result from the parts, first to last. A thread for each of its elements.
template <int Element>
FLAME_KERNEL void scatter_finish(indexing x, scatter_axes axes, i64 parts, const void* sums, void* out) {
  using type = number<Element>;
  using sum_type = typename type::sum;
  const i64 thread = thread_number(), count = axes.kept_count * x.extent * x.inner_count;
  if (thread >= count) return;
  sum_type sum = 0;
  for (i64 i = 0; i < parts; ++i) sum += static_cast<const sum_type*>(sums)[i * count + thread];
  i64 n = thread;
  const i64 j = split(n, x.inner_count), place = split(n, x.extent);
  i64 from_kept, index_kept, out_kept, inner_from, inner_out;
  axes.kept.place(n, from_kept, index_kept, out_kept);
  x.inner.place(j, inner_from, inner_out);
  static_cast<typename type::stored*>(out)[out_kept + place * x.stride + inner_out] = type::narrow(sum);
}

// The other way sorts the values by their place, equals in their order: a radix sort by digits of four bits
// whose threads own `tile` neighbours each. A thread that reads an index outside of the axis gives it the
// last key.
struct scatter_token {
  u32 key;     // kept * extent + place; kept_count * extent: nowhere
  u32 number;  // kept * summed_count + summed
};

template <int Unused>
FLAME_KERNEL void scatter_keys(indexing x, scatter_axes axes, const void* index, scatter_token* tokens,
                               fault* wrong) {
  const i64 thread = thread_number();
  if (thread >= axes.kept_count * axes.summed_count) return;
  i64 kept = thread;
  const i64 summed = split(kept, axes.summed_count);
  i64 from_kept, index_kept, out_kept, from_summed, index_summed;
  axes.kept.place(kept, from_kept, index_kept, out_kept);
  axes.summed.place(summed, from_summed, index_summed);
  const i64 value = read_index(index, x.index_element, index_kept + index_summed);
  const bool inside = value >= 0 && value < x.extent;
  if (!inside) report(wrong, x.step, value);
  tokens[thread] = {static_cast<u32>(inside ? kept * x.extent + value : axes.kept_count * x.extent),
                    static_cast<u32>(thread)};
}

inline constexpr int radix_digits = 16, radix_tile = 64, scan_ranges = 1024;

// counts[digit, tile]: how often a digit stands in a tile. A thread for each tile.
template <int Unused>
FLAME_KERNEL void radix_count(i64 count, int shift, const scatter_token* tokens, u32* counts) {
  const i64 tile = thread_number(), tiles = (count + radix_tile - 1) / radix_tile;
  if (tile >= tiles) return;
  u32 seen[radix_digits] = {};
  for (i64 i = tile * radix_tile; i < smaller_of((tile + 1) * radix_tile, count); ++i) {
    const u32 digit = (tokens[i].key >> shift) & (radix_digits - 1);
    for (u32 d = 0; d < radix_digits; ++d) seen[d] += d == digit;
  }
  for (int d = 0; d < radix_digits; ++d) counts[d * tiles + tile] = seen[d];
}

// ranges[i]: the sum of a range of counts. A thread for each of the scan_ranges ranges.
template <int Unused> FLAME_KERNEL void scan_ranges_of(i64 count, const u32* counts, u32* ranges) {
  const i64 range = thread_number(), length = (count + scan_ranges - 1) / scan_ranges;
  if (range >= scan_ranges) return;
  u32 sum = 0;
  for (i64 i = range * length; i < smaller_of((range + 1) * length, count); ++i) sum += counts[i];
  ranges[range] = sum;
}

// counts[i] becomes the sum of those before it. A thread for each range.
template <int Unused> FLAME_KERNEL void scan_counts(i64 count, const u32* ranges, u32* counts) {
  const i64 range = thread_number(), length = (count + scan_ranges - 1) / scan_ranges;
  if (range >= scan_ranges) return;
  u32 sum = 0;
  for (i64 i = 0; i < range; ++i) sum += ranges[i];
  for (i64 i = range * length; i < smaller_of((range + 1) * length, count); ++i) {
    const u32 one = counts[i];
    counts[i] = sum;
    sum += one;
  }
}

// Tokens to where their digit's go, a tile's in their order. A thread for each tile.
template <int Unused>
FLAME_KERNEL void radix_place(i64 count, int shift, const scatter_token* tokens, u32* counts,
                              scatter_token* sorted) {
  const i64 tile = thread_number(), tiles = (count + radix_tile - 1) / radix_tile;
  if (tile >= tiles) return;
  for (i64 i = tile * radix_tile; i < smaller_of((tile + 1) * radix_tile, count); ++i) {
    const scatter_token one = tokens[i];
    u32* next = counts + ((one.key >> shift) & (radix_digits - 1)) * tiles + tile;
    sorted[(*next)++] = one;
  }
}

// Sorted tokens are added up a tile at a time: tokens of one place are a run. Runs that lie in one tile are
// the result there; of one that goes on, each tile keeps its part, and the thread of the tile where it begins
// adds the parts up. So no thread walks more than a tile, however many values one place has.
struct scatter_runs {
  i64 count, nowhere;  // tokens; the key of those that lead nowhere
  const scatter_token* sorted;

  FLAME_DEVICE i64 begin(i64 tile) const { return tile * radix_tile; }
  FLAME_DEVICE i64 past(i64 tile) const { return smaller_of((tile + 1) * radix_tile, count); }
  FLAME_DEVICE i64 tiles() const { return (count + radix_tile - 1) / radix_tile; }
  // Whether a run goes on behind a token; whether one that begins with a token began before it.
  FLAME_DEVICE bool goes_on(i64 past, u32 key) const { return past < count && sorted[past].key == key; }
  FLAME_DEVICE bool began_before(i64 begin, u32 key) const {
    return begin > 0 && sorted[begin - 1].key == key;
  }
};

// The offset in the result of inner element j at a key's place.
FLAME_DEVICE i64 scatter_offset(const indexing& x, const scatter_axes& axes, i64 key, i64 j) {
  const i64 place = split(key, x.extent);
  i64 from_kept, index_kept, out_kept, inner_from, inner_out;
  axes.kept.place(key, from_kept, index_kept, out_kept);
  x.inner.place(j, inner_from, inner_out);
  return out_kept + place * x.stride + inner_out;
}

// Sums of runs: into the result, heads [tile, inner] (of a run that began before the tile) or tails (of one
// that begins in it and goes on). A thread for each vector of each tile.
template <int Element, int Width>
FLAME_KERNEL void scatter_sorted(indexing x, scatter_axes axes, scatter_runs runs, const void* from,
                                 void* out, void* heads, void* tails) {
  using vector = numbers<Element, Width>;
  i64 tile = thread_number();
  const i64 j = split(tile, x.inner_count / Width) * Width;
  if (tile >= runs.tiles()) return;
  i64 inner_from, inner_out;
  x.inner.place(j, inner_from, inner_out);
  const i64 begin = runs.begin(tile), past = runs.past(tile);
  for (i64 i = begin; i < past;) {
    const u32 key = runs.sorted[i].key;
    if (key == runs.nowhere) return;  // they are the last
    const bool before = i == begin && runs.began_before(begin, key);
    vector sum = vector::all(0);
    for (; i < past && runs.sorted[i].key == key; ++i) {
      i64 kept = runs.sorted[i].number, from_kept, index_kept, out_kept, from_summed, index_summed;
      const i64 summed = split(kept, axes.summed_count);
      axes.kept.place(kept, from_kept, index_kept, out_kept);
      axes.summed.place(summed, from_summed, index_summed);
      const vector v = vector::read(from, from_kept + from_summed + inner_from);
      for (int c = 0; c < Width; ++c) sum.at[c] += v.at[c];
    }
    if (!before && !(i == past && runs.goes_on(past, key))) {
      sum.write(out, scatter_offset(x, axes, key, j));
    } else {
      auto* to = static_cast<typename vector::sum*>(before ? heads : tails) + tile * x.inner_count + j;
      for (int c = 0; c < Width; ++c) to[c] = sum.at[c];
    }
  }
}

// The results of runs over several tiles. A thread for each element of each tile.
template <int Element>
FLAME_KERNEL void scatter_join(indexing x, scatter_axes axes, scatter_runs runs, const void* heads,
                               const void* tails, void* out) {
  using type = number<Element>;
  using sum_type = typename type::sum;
  i64 tile = thread_number();
  const i64 j = split(tile, x.inner_count), tiles = runs.tiles();
  if (tile >= tiles) return;
  const i64 first = runs.past(tile);
  const u32 key = runs.sorted[first - 1].key;
  if (key == runs.nowhere || !runs.goes_on(first, key)) return;
  if (runs.sorted[runs.begin(tile)].key == key && runs.began_before(runs.begin(tile), key)) return;
  sum_type sum = static_cast<const sum_type*>(tails)[tile * x.inner_count + j];
  for (i64 next = tile + 1; next < tiles; ++next) {
    sum += static_cast<const sum_type*>(heads)[next * x.inner_count + j];
    if (!runs.goes_on(runs.past(next), key)) break;
  }
  static_cast<typename type::stored*>(out)[scatter_offset(x, axes, key, j)] = type::narrow(sum);
}

}  // namespace flame::kernel
