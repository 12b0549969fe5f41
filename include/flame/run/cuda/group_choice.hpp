// How a group that reduces is cut into blocks, teams and packs, from extents, strides and alignments. Nothing
// here needs a GPU.
#pragma once
#include <flame/run/cuda/group_space.hpp>
#include <flame/run/cuda/group_stages.hpp>

namespace flame::cuda_kernels {

namespace group_launch {

struct chooser : group_space {
  enum { values, loads, nothing } held = values;  // by the numbers of flame::kernel::held
  i64 packs = 1, lanes = 1, teams = 1, tiles = 1, row_blocks = 1, rows_a_block = 1;
  i64 stages = 0, cluster = 1;
  i64 together = 0;     // blocks that end sums over rows themselves, where there are no more
  i64 staged_each = 0;  // blocks of a multiprocessor, where rows come through shared memory
  static constexpr i64 most_together = 8;
  bool is_short =
      false;  // rows of up to 128 numbers: fewer blocks, whose starting would take longer than their work

  // Bytes of the rows of a block, one for each team.
  [[nodiscard]] i64 stage_bytes() const {
    i64 bytes = 0;
    for (const instruction& i : code.body)
      if (i.code == code_load && i.at == level::full && is_staged(i.a))
        bytes += lanes * teams * packs * vector_size * size_of(code.slots[i.a].element);
    return bytes;
  }

  [[nodiscard]] bool tuned() const {
    return gpu.packs > 0 || gpu.threads > 0 || gpu.blocks > 0 || gpu.stages != 0 || gpu.cluster > 0;
  }
  [[nodiscard]] row_facts facts() const {
    row_facts f{.numbers = over.inner,
                .rows = over.outer,
                .vector = vector_size,
                .live = live_values(),
                .halves = smallest_size() < 4,
                .columns = has_columns,
                .stores = stores_full(),
                .repeats = repeats_any(),
                .multiprocessors = gpu.multiprocessors,
                .most_shared = gpu.shared_bytes};
    for (const instruction& i : code.body)
      if (i.code == code_load && i.at == level::full && is_staged(i.a))
        f.bytes += size_of(code.slots[i.a].element), ++f.inputs;
    return f;
  }

  void choose_block() {
    if (has_rows && gpu.cluster > 1 && !tail) cluster = gpu.cluster;
    if (has_rows)
      choose_rows();
    else
      choose_sums();
    rows_a_block = teams;
    // What a block prepares pays for several rows, as long as all multiprocessors are busy.
    if (has_rows || repeats_any())
      rows_a_block = std::max<i64>(over.outer * tiles /
                                       (gpu.multiprocessors *
                                        (gpu.blocks > 0 ? gpu.blocks * 8
                                         : is_short     ? 8
                                                        : 128) *
                                        teams),
                                   1) *
                     teams;
    i64 each = 0;                   // blocks of a multiprocessor, where each has its share of the rows
    if (has_columns || has_totals)  // few enough partial sums, enough blocks to fill the GPU
      each = has_rows && !has_columns           ? 16
             : has_rows && lanes * teams > 256  ? 1
             : has_rows || smallest_size() >= 4 ? 2
                                                : 4;
    if (stages > 0 && staged_each > 0) each = staged_each;
    if (gpu.blocks > 0 && (each > 0 || stages > 0)) each = gpu.blocks;
    if (each > 0) {
      const i64 target = std::max<i64>(gpu.multiprocessors * each / std::max<i64>(tiles * over.batch, 1), 1);
      rows_a_block = std::max(rounded_up((over.outer + target - 1) / target, teams), teams);
    }
    if (together > 0)
      rows_a_block = rounded_up(std::max<i64>((over.outer + together - 1) / together, 1), teams);
    row_blocks = std::max<i64>((over.outer + rows_a_block - 1) / rows_a_block, 1);
    if (together == 0 && may_end_sums() && !tuned() && row_blocks == 1) together = 1;
    if (together > 0) row_blocks = together;
    if (tiles * row_blocks * std::max<i64>(over.batch, 1) >= i64{1} << 31)
      throw error("flame::cuda: a fused kernel of more than 2^31 blocks");
  }

  void choose_rows() {
    const i64 in_row =
        std::max<i64>((over.inner + vector_size * cluster - 1) / (vector_size * cluster), 1);  // packs
    // A warp holds a row where its registers do: no barrier. Else the fewest packs a thread with so many
    // threads, whose registers hold so many numbers of each value.
    struct limit {
      i64 threads, numbers;
    };
    auto threads_for = [&](i64 p) { return (in_row + p - 1) / p; };
    packs = 0;
    const auto [words, inputs] = words_of_pack();
    const i64 of_few = has_columns ? 32 : smallest_size() < 4 ? 0 : inputs == 1 ? 32 : 12;
    const limit limits[] = {{32, 40}, {128, of_few}, {256, 32}, {512, 32}, {1024, 16}};
    for (const limit& most : limits)
      for (i64 p = 1; p <= 8 && packs == 0; ++p)
        if (threads_for(p) <= most.threads && p * vector_size <= most.numbers &&
            p * vector_size * live_values() <= (most.threads <= 256   ? 200
                                                : most.threads <= 512 ? 130
                                                                      : 45))
          packs = p;
    // Few threads a row of single numbers: several rows share the steps that a reduction takes.
    if (vector_size == 1 && !has_columns && in_row > 16 && in_row <= 128 &&
        over.outer * 8 >= i64{1024} * gpu.multiprocessors)
      packs = (in_row + 7) / 8;
    const bool is_long = packs == 0;
    // Else as it lies in memory, which takes fewer registers and more arithmetic; or not at all.
    if (packs * vector_size >= 32 && vector_size == 4 && !has_columns && inputs == 1 &&
        threads_for(packs) > 128)
      held = loads;
    // Two blocks a multiprocessor, or one where reading a row again would cost more than waiting does.
    const i64 most = !stores_full() ? 32 : inputs == 1 ? 64 : 48;
    if (packs == 0 && !has_columns)
      for (i64 p = 1; p <= 16 && packs == 0; ++p)
        if (threads_for(p) <= 512 && p * words <= most) packs = p, held = loads;
    if (packs == 0) held = nothing, packs = vector_size >= 4 ? 4 : 8;
    if (gpu.packs % 100 > 0) packs = gpu.packs % 100;
    if (gpu.packs > 0)
      held = gpu.packs >= 200 || threads_for(packs) > 1024 ? nothing : gpu.packs >= 100 ? loads : values;
    const i64 threads = std::min<i64>(threads_for(packs), held != nothing   ? 1024
                                                          : gpu.threads > 0 ? gpu.threads
                                                                            : 512);
    lanes = threads <= 32 ? power_of_2_from(threads) : rounded_up(threads, 32);
    is_short = !has_columns && !has_totals && lanes <= 32 && packs * vector_size <= 4;
    i64 wanted = gpu.threads > 0 ? gpu.threads
                 : has_columns   ? (lanes == 32 || smallest_size() < 4 ? 512 : 256)
                 : has_totals    ? 512
                 : is_short      ? 256
                                 : 128;
    // A block's few rows are not worth so many threads' sums.
    if (has_columns && lanes <= 32 && gpu.threads == 0 && over.outer < 64 * gpu.multiprocessors) wanted = 256;
    teams = std::max<i64>(wanted / lanes, 1);
    while (has_columns && teams > 1 && lanes * teams * packs * vector_size * 4 > 48 * 1024) teams /= 2;
    if (held == nothing && has_columns)
      lanes = rounded_up(threads, 32), teams = 1;  // a column is one thread's
    if (cluster > 1) lanes = rounded_up(threads, 32), teams = 1;
    choose_stages(is_long);
    tiles = cluster;
  }

  // Rows that come through shared memory.
  void choose_stages(bool is_long) {
    if (gpu.stages > 0 && !tail && held != nothing && facts().bytes > 0) stages = gpu.stages;
    if (cluster > 1 && (stages == 0 || teams > 1)) throw error("flame::cuda: no such cut");
    if (tuned() || tail || gpu.architecture < 90 || !simple()) return;
    if (is_long) {
      for (const instruction& i : code.body)  // blocks tell each other whole words
        if (i.code != code_store && i.reduce == reduce_mode::row && i.element == dtype::boolean) return;
      const std::optional<row_cut> cut = cut_of_long_rows(facts());
      if (!cut) return;
      held = cut->loads ? loads : values, teams = 1;
      packs = cut->packs, cluster = cut->cluster, stages = cut->stages, staged_each = cut->each;
      lanes =
          rounded_up((over.inner + vector_size * cluster * packs - 1) / (vector_size * cluster * packs), 32);
    } else if (held == values) {
      const std::optional<row_cut> cut = cut_of_held_rows(facts(), packs, lanes);
      if (!cut) return;
      const i64 teams_before = teams;
      teams = std::max<i64>(cut->threads / lanes, 1);
      if (cut->stages * stage_bytes() > gpu.shared_bytes - staging::beside_stages)
        teams = teams_before;
      else
        stages = cut->stages, staged_each = cut->each;
    }
  }

  void choose_sums() {
    const i64 in_row = std::max<i64>((over.inner + vector_size - 1) / vector_size, 1);  // packs
    packs = vector_size >= 8 && !has_columns && in_row * over.outer * over.batch >= 1 << 16 ? 2 : 1;
    if (gpu.packs > 0) packs = gpu.packs;
    i64 threads = gpu.threads > 0 ? gpu.threads : !has_columns ? 128 : smallest_size() >= 2 ? 512 : 256;
    if (has_columns && in_row > 32)
      lanes = 32;
    else
      lanes = std::min<i64>(power_of_2_from((in_row + packs - 1) / packs), threads);
    if (gpu.cluster > 0 && may_end_sums()) {
      together = gpu.cluster, lanes = gpu.blocks;
    } else if (!tuned() && may_end_sums() && has_columns) {
      // Few rows are one block's, a few thousand a cluster's: a part of 32 bytes of each.
      const i64 part = std::max<i64>(32 / (vector_size * smallest_size()), 1),
                blocks = most_together * ((in_row + part - 1) / part) * over.batch;
      if (over.outer <= 64)
        together = 1, threads = 256, lanes = std::min<i64>(lanes, 8);
      else if (gpu.architecture >= 90 && !stores_full() && simple() && facts().inputs == 1 && !tail &&
               smallest_size() == 2 && vector_size == 8 && in_row > 64 && in_row <= 128 &&
               over.outer >= 32 * 1024)
        together = most_together, lanes = 8, stages = 8;
      else if (gpu.architecture >= 90 && blocks <= 2 * gpu.multiprocessors && over.outer <= 16 * 1024)
        together = most_together, lanes = std::min(lanes, part);
    }
    teams = threads / lanes;
    tiles = std::max<i64>((in_row + lanes * packs - 1) / (lanes * packs), 1);
    if (together > 0 && has_totals && tiles > 1) together = 0;
    const bool fits = 8 * stage_bytes() + 32 * 1024 <= gpu.shared_bytes;
    if (stages > 0 && !fits) stages = 0;
    if (gpu.stages > 0 && !tail && facts().bytes > 0) stages = gpu.stages;
    if (!tuned() && together == 0 && has_columns && !tail && gpu.architecture >= 90 && simple() &&
        facts().inputs == 1 && !stores_full() && fits &&
        over.outer * tiles >= 16 * teams * gpu.multiprocessors)
      stages = 8, staged_each = 1;
  }
  // The blocks that have summed up a column can be one cluster. (Of a total all blocks would be.)
  [[nodiscard]] bool may_end_sums() const {
    return !has_rows && (has_columns || has_totals) && over.batch > 0 && !(has_totals && tiles > 1);
  }

  [[nodiscard]] bool fits_32_bits() const {
    const i64 most = (i64{1} << 31) - 1;
    if (over.inner + tiles * lanes * packs * vector_size > most) return false;
    for (int k = 0; k < code.slots.size(); ++k) {
      i64 last = 0;
      for (int i = 0; i < first_inner() + over.inner_rank; ++i) {
        if (stride(k, i) < 0) return false;
        last += std::max<i64>(bound.extents[i] - 1, 0) * stride(k, i);
      }
      if (code.slots[k].kind == slot_kind::index) last += s.bound.slots[k].offset;
      if (last > most) return false;
    }
    return true;
  }

  // The number 0 where a row's sum is of one of its numbers, x where an index is the row's and else this.
  [[nodiscard]] bool is_zero_beside_one(int slot) const {
    if (code.slots[slot].kind != slot_kind::uniform || reached[static_cast<std::size_t>(slot)] != none ||
        bits_of(code.slots[slot].element, bound.slots[slot]) != 0)
      return false;
    for (const instruction& i : code.body) {
      if (i.code != static_cast<u8>(op::sum) || i.reduce != reduce_mode::row) continue;
      const instruction& chosen = code.body[i.a];
      if (chosen.code != static_cast<u8>(op::where)) continue;
      const instruction& other = code.body[chosen.c];
      if (other.code == code_load && other.a == slot) return true;
    }
    return false;
  }

  [[nodiscard]] std::string name() const {
    auto number = [](i64 n) { return std::to_string(n); };
    const std::string cut = number(vector_size) + "," + number(packs) + "," + number(lanes) + "," +
                            number(teams) + ",",
                      ends = tail ? "true," : "false,";
    std::string text =
        together > 0 ? "columns<" + cut + number(together) + "," + number(stages) + "," + ends
        : stages > 0 ? "staged<" + cut + number(held) + "," + number(stages) + "," + number(cluster) + ","
                     : "group<" + cut + number(held) + "," + ends;
    text = "flame::kernel::" + text + (over.batch_rank == 0 && over.outer_rank <= 1 ? "true," : "false,") +
           (fits_32_bits() ? "flame::u32" : "flame::i64");
    std::vector<bool> same;
    for (int k = 0; k < code.slots.size(); ++k)
      same.push_back(is_zero_beside_one(k) || ((stages > 0 || (held == loads && lanes > 32)) &&
                                               code.slots[k].kind == slot_kind::input && repeats(k)));
    text += words_of(code, reached, same);
    return text + ">";
  }
};

}  // namespace group_launch

}  // namespace flame::cuda_kernels
