// How the space of a group is cut: into tiles that fit the cache, and these into items for the threads.
#pragma once
#include <flame/run/host/group_program.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// All that the cut depends on. It never depends on the number of threads, so that sums have one order.
struct space {
  i64 batches = 1, outer = 1, inner = 1;
  bool reduces_columns = false, reduces_totals = false, whole_rows = false;
  bool turned = false;  // some slot runs fastest along outer
  i64 bytes = 4;        // of registers, for one element
  i64 cost = 1;         // of one element
};

struct grid {
  i64 rows = 1, columns = 1;              // of a tile
  i64 row_chunks = 1, column_chunks = 1;  // items of a batch
  i64 chunk_rows = 1, chunk_columns = 1;  // of an item
  i64 items = 1;
};

// What a tile's values take of the first cache, measured: rows gain more from being many at once.
inline constexpr i64 map_bytes = 24 * 1024, row_bytes = 40 * 1024;
inline constexpr i64 item_cost = 128 * 1024;
inline constexpr i64 most_items = 256, most_partials = 64;

[[nodiscard]] inline grid cut(const space& s) {
  auto smaller = [](i64 a, i64 b) { return a < b ? a : b; };
  auto larger = [](i64 a, i64 b) { return a > b ? a : b; };
  auto ceiling = [](i64 a, i64 b) { return (a + b - 1) / b; };
  grid g;
  i64 elements = larger(256, smaller(8192, (s.whole_rows ? row_bytes : map_bytes) / s.bytes)) / 64 * 64;
  g.columns = s.whole_rows || s.inner <= elements ? s.inner : elements;
  if (s.turned && !s.whole_rows) g.columns = smaller(g.columns, 128);
  g.rows = larger(1, smaller(s.outer, elements / larger(1, g.columns)));
  if (g.rows > register_pad) g.rows -= g.rows % register_pad;

  i64 down = larger(1, ceiling(s.outer, g.rows)), along = larger(1, ceiling(s.inner, larger(1, g.columns)));
  i64 tiles = down * along, batches = larger(1, s.batches);
  i64 of_item = larger(1, item_cost / larger(1, g.rows * g.columns * s.cost));
  of_item = larger(of_item, ceiling(tiles * batches, most_items));
  bool reduces = s.reduces_columns || s.reduces_totals;
  i64 wanted = ceiling(tiles, of_item);
  if (reduces) wanted = smaller(wanted, most_partials);
  if (s.reduces_columns) {
    g.column_chunks = smaller(along, wanted);
    // Partial results of fewer rows would be as much memory as what is reduced.
    constexpr i64 least_rows = 8;
    g.row_chunks = smaller(smaller(down, larger(1, s.outer / least_rows)), ceiling(wanted, g.column_chunks));
  } else {
    g.row_chunks = smaller(down, wanted);
    g.column_chunks = smaller(along, ceiling(wanted, g.row_chunks));
  }
  g.chunk_rows = ceiling(down, g.row_chunks) * g.rows;
  g.chunk_columns = ceiling(along, g.column_chunks) * g.columns;
  g.row_chunks = larger(1, ceiling(s.outer, g.chunk_rows));
  g.column_chunks = g.chunk_columns > 0 ? larger(1, ceiling(s.inner, g.chunk_columns)) : 1;
  g.items = s.batches * g.row_chunks * g.column_chunks;
  return g;
}

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
