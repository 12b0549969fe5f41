// Which rows come through shared memory while others are computed, cut into how many blocks of how many
// threads: as it was measured on an H200 (docs/design.md). Nothing here needs a GPU.
#pragma once
#include <flame/base/config.hpp>

#include <algorithm>
#include <optional>

namespace flame::cuda_kernels::group_launch {

// What the cut of a group of rows depends on.
struct row_facts {
  i64 numbers = 0, rows = 0;  // numbers in a row
  i64 vector = 1;             // of a pack
  i64 bytes = 0;              // of a number, over all inputs that come through shared memory
  int inputs = 0;             // such inputs
  int live = 1;               // numbers that a thread holds for each number of a row that is its own
  bool halves = false;        // the smallest element has 16 bits
  bool columns = false;       // sums over rows too
  bool stores = false;        // results as long as rows
  bool repeats = false;       // reads what all rows have in common
  i64 multiprocessors = 132;
  i64 most_shared = 227 * 1024;  // bytes of a block
};

// packs: of a thread. each: blocks of a multiprocessor. loads: rows are held as they lie in memory.
struct row_cut {
  i64 packs = 1, threads = 32, cluster = 1, stages = 1, each = 1;
  bool loads = false;
};

namespace staging {

inline constexpr i64 beside_stages = 8 * 1024;  // bytes that reductions may take

// The packs that a thread has of a row that so many blocks share.
inline i64 packs_of(const row_facts& f, i64 threads, i64 cluster) {
  const i64 all = (f.numbers + f.vector - 1) / f.vector, block = (all + cluster - 1) / cluster;
  return (block + threads - 1) / threads;
}
// With the fewest blocks so that a thread has no more than `most` numbers and a block no more than `bytes` of
// a row; no cut where eight are too few.
inline std::optional<row_cut> shared_by(const row_facts& f, row_cut cut, i64 most, i64 bytes) {
  for (cut.cluster = 1; cut.cluster <= 8; cut.cluster *= 2) {
    cut.packs = packs_of(f, cut.threads, cut.cluster);
    const i64 stage = cut.packs * f.vector * cut.threads * f.bytes;
    if (cut.packs * f.vector > most || stage > bytes) continue;
    while (cut.stages > 1 && cut.stages * stage > f.most_shared - beside_stages) --cut.stages;
    return cut;
  }
  return std::nullopt;
}

}  // namespace staging

// Of rows that are too long for the registers of a block.
[[nodiscard]] inline std::optional<row_cut> cut_of_long_rows(const row_facts& f) {
  using staging::shared_by;
  constexpr i64 kilobyte = 1024;
  const i64 most = f.most_shared - staging::beside_stages;
  if (f.bytes == 0) return std::nullopt;
  if (f.columns) {
    if (!f.halves && f.live <= 10)
      return shared_by(f, {.threads = 256, .stages = 1, .each = 2, .loads = false}, 16, most / 2);
    return shared_by(f, {.threads = 512, .stages = 2, .each = 1, .loads = true}, 32, most);
  }
  if ((f.inputs > 1 || f.repeats) && f.live <= 4)
    return shared_by(f, {.threads = 512, .stages = 2, .each = 1, .loads = false}, 32, most);
  const i64 half = std::min(64 * kilobyte, most), whole = std::min(128 * kilobyte, most);
  if (f.repeats || f.inputs > 1 || f.live > 5)
    return shared_by(f, {.threads = 512, .stages = 1, .each = 3, .loads = true}, 64, half);
  if (!f.stores && f.halves) return std::nullopt;
  if (f.stores && !f.halves)
    return shared_by(f, {.threads = 1024, .stages = 3, .each = 1, .loads = true}, 64, half);
  return shared_by(f, {.threads = 1024, .stages = 2, .each = 1, .loads = true}, 64, whole);
}

// Of rows whose values `lanes` threads hold, which keep that.
[[nodiscard]] inline std::optional<row_cut> cut_of_held_rows(const row_facts& f, i64 packs, i64 lanes) {
  if (f.bytes == 0) return std::nullopt;
  row_cut cut{.packs = packs, .threads = 256, .each = 2};
  if (f.columns) {
    if (f.halves ? lanes >= 256 : lanes <= 32) return std::nullopt;
    cut.stages = f.halves && lanes > 32 ? 2 : 1;
  } else {
    if (!f.halves || (f.inputs < 2 && (lanes <= 32 || !f.repeats))) return std::nullopt;
    cut.threads = lanes > 128 ? lanes : 128;
    cut.each = 2048 / cut.threads;
  }
  const i64 teams = cut.threads / lanes > 0 ? cut.threads / lanes : 1;
  // Warps alone have two rows each.
  if (!f.columns && lanes <= 32 && f.rows > 2 * f.multiprocessors * cut.each * teams)
    cut.each = f.rows / (2 * f.multiprocessors * teams) + 1;
  // Each team has some rows, or nothing is on its way while it computes.
  if (f.rows < (f.columns ? 4 : 1) * f.multiprocessors * cut.each * teams) return std::nullopt;
  return cut;
}

}  // namespace flame::cuda_kernels::group_launch
