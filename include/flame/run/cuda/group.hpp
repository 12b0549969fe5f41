// How a fused group is launched: the kernel's name, its grid and its arguments, chosen from extents, strides
// and alignments. Nothing here needs a GPU.
#pragma once
#include <flame/base/error.hpp>
#include <flame/plan/program.hpp>
#include <flame/run/cuda/kernel/arguments.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace flame::cuda_kernels {

// A kernel ready to launch but for the addresses of tensors.
struct prepared_kernel {
  std::string name;  // as a C++ expression
  u32 blocks = 1, jobs = 1, threads = 1, shared_bytes = 0;
  std::vector<std::byte> arguments;

  // Where in the arguments the address of tensor `tensor` stands; offset in bytes is added to it. -1: the
  // workspace.
  struct place {
    int tensor;
    i64 offset;
    std::size_t at;
  };
  std::vector<place> places;

  void set(const std::vector<void*>& tensors, std::byte* workspace) {
    for (const place& p : places) {
      std::byte* base =
          p.tensor < 0 ? workspace : static_cast<std::byte*>(tensors[static_cast<std::size_t>(p.tensor)]);
      void* address = base ? base + p.offset : nullptr;
      std::memcpy(arguments.data() + p.at, &address, sizeof address);
    }
  }
};

// The kernels of one group, in their order.
struct prepared_group {
  std::vector<prepared_kernel> kernels;
  i64 workspace_bytes = 0;
};

// What the choice depends on beside the group.
struct gpu_shape {
  int multiprocessors = 132;
  // Where they are not 0: packs of a thread, threads of a block, blocks of a multiprocessor that sum over
  // rows. For whoever looks for better numbers than those that are chosen.
  int packs = 0, threads = 0, blocks = 0;
};

namespace group_launch {

// By the numbers of flame::kernel::access.
enum access : u8 { none, vector, one, strided, general };

inline i64 rounded_up(i64 n, i64 to) { return (n + to - 1) / to * to; }
inline i64 power_of_2_from(i64 n) {
  i64 p = 1;
  while (p < n) p *= 2;
  return p;
}

// The group's space as its kernel walks it, and how each slot is reached along it.
struct chooser {
  const program_step& s;
  const group& code;
  const bound_group& bound;
  const std::vector<int>& alignment;  // of each tensor's address, in bytes
  gpu_shape gpu;

  kernel::space over = {};
  std::vector<access> reached = {};
  bool has_rows = false, has_columns = false, has_totals = false, wide = false, tail = false;
  i64 vector_size = 1, packs = 1, lanes = 1, teams = 1, tiles = 1, row_blocks = 1, rows_a_block = 1;

  void read_space() {
    over.batch_rank = bound.batch_rank, over.outer_rank = bound.outer_rank,
    over.inner_rank = bound.inner_rank;
    for (const instruction& i : code.body) {
      if (i.code == code_store) continue;
      if (i.reduce == reduce_mode::row) has_rows = true;
      if (i.reduce == reduce_mode::column) has_columns = true;
      if (i.reduce == reduce_mode::total) has_totals = true;
      if (i.at == level::row) uses_rows = true;
    }
    // A total's last axis is as good as a row.
    if (over.inner_rank == 0 && over.outer_rank > 0 && !has_columns && !has_rows && !uses_rows)
      --over.outer_rank, ++over.inner_rank;
    const int rank = over.batch_rank + over.outer_rank + over.inner_rank;
    if (rank > kernel::most_axes) throw error("flame::cuda: a fused kernel over more than 8 axes");
    for (int i = 0; i < rank; ++i) {
      i64& extent = i < over.batch_rank                     ? over.batch
                    : i < over.batch_rank + over.outer_rank ? over.outer
                                                            : over.inner;
      extent *= bound.extents[i];
      if (bound.extents[i] >= i64{1} << 31)
        if (i + 1 < rank) throw error("flame::cuda: an axis of a fused kernel has more than 2^31 elements");
      over.axes[i] = kernel::divisor(static_cast<u32>(std::max<i64>(bound.extents[i], 1)));
    }
    if (over.outer >= i64{1} << 31 || over.batch >= i64{1} << 31 ||
        (over.inner_rank > 1 && over.inner >= i64{1} << 31))
      throw error("flame::cuda: a fused kernel over more than 2^31 rows");
  }
  bool uses_rows = false;

  [[nodiscard]] int first_inner() const { return over.batch_rank + over.outer_rank; }
  [[nodiscard]] i64 stride(int slot, int axis) const { return bound.slots[slot].strides[axis]; }

  // The stride of neighbours along the whole row; -1 where there is none.
  [[nodiscard]] i64 along(int slot) const {
    if (over.inner_rank == 0) return 0;
    const int last = first_inner() + over.inner_rank - 1;
    const i64 step = stride(slot, last);
    i64 expected = step * bound.extents[last];
    for (int i = last - 1; i >= first_inner(); --i) {
      if (stride(slot, i) != expected) return -1;
      expected *= bound.extents[i];
    }
    return step;
  }
  // Slots whose memory is read or written element by element.
  [[nodiscard]] bool is_full(int slot) const {
    for (const instruction& i : code.body)
      if ((i.code == code_load || i.code == code_store) && i.a == slot && i.at == level::full &&
          !(i.code == code_store && i.reduce != reduce_mode::none))
        return true;
    return false;
  }
  [[nodiscard]] bool is_memory(int slot) const {
    return code.slots[slot].kind == slot_kind::input || code.slots[slot].kind == slot_kind::output;
  }
  [[nodiscard]] bool unused(int slot) const {
    return code.slots[slot].kind == slot_kind::output && s.tensors[slot].buffer < 0;
  }
  // The same for all rows.
  [[nodiscard]] bool repeats(int slot) const {
    for (int i = 0; i < first_inner(); ++i)
      if (bound.extents[i] > 1 && stride(slot, i) != 0) return false;
    return true;
  }
  // Packs of v elements of the slot are aligned wherever they begin.
  [[nodiscard]] bool aligned(int slot, i64 v) const {
    const i64 size = size_of(code.slots[slot].element), bytes = std::min<i64>(16, v * size);
    if (alignment[static_cast<std::size_t>(slot)] % bytes != 0 || s.tensors[slot].offset * size % bytes != 0)
      return false;
    for (int i = 0; i < first_inner(); ++i)
      if (bound.extents[i] > 1 && stride(slot, i) * size % bytes != 0) return false;
    return true;
  }

  // 16 bytes of the smallest element that is reached side by side, at most 8 elements.
  void choose_vectors() {
    const int n = code.slots.size();
    i64 smallest = 16;
    for (int k = 0; k < n; ++k)
      if (is_memory(k) && is_full(k) && !unused(k) && along(k) == 1)
        smallest = std::min<i64>(smallest, size_of(code.slots[k].element));
    const bool single = over.outer * over.batch <= 1;
    i64 best = std::min<i64>(16 / smallest, 8);
    for (vector_size = best; vector_size > 1; vector_size /= 2) {
      if (!single && over.inner % vector_size != 0) continue;
      bool any = false;
      for (int k = 0; k < n; ++k)
        any = any || (is_memory(k) && is_full(k) && !unused(k) && along(k) == 1 && aligned(k, vector_size));
      if (any) break;
    }
    tail = over.inner % vector_size != 0;
    for (int k = 0; k < n; ++k) {
      const i64 step = along(k);
      if (code.slots[k].kind == slot_kind::uniform)
        reached.push_back(s.tensors[k].buffer >= 0 || s.tensors[k].zero ? one : none);
      else if (unused(k))
        reached.push_back(none);
      else if (step == 0)
        reached.push_back(one);
      else if (step == 1 && code.slots[k].kind == slot_kind::index)
        reached.push_back(vector);
      else if (step == 1 && aligned(k, vector_size))
        reached.push_back(vector);
      else
        reached.push_back(over.inner_rank == 1 ? strided : general);
    }
  }

  [[nodiscard]] bool repeats_any() const {
    for (int k = 0; k < code.slots.size(); ++k)
      if (code.slots[k].kind == slot_kind::input && is_full(k) && repeats(k)) return true;
    return false;
  }

  // How many full values a thread holds at once: sums over rows and what all rows share stay as long as the
  // block.
  [[nodiscard]] int live_values() const {
    const int n = code.body.size();
    std::vector<int> last(static_cast<std::size_t>(n), -1);
    int sums = 0, most = 1;
    for (int i = 0; i < n; ++i) {
      const instruction& x = code.body[i];
      if (x.code == code_load)
        sums += x.at == level::full && code.slots[x.a].kind == slot_kind::input && repeats(x.a);
      else
        sums += x.code != code_store && x.reduce == reduce_mode::column;
      for (int k :
           {x.code < op_count ? x.a : -1, x.code == code_load ? -1 : x.b, x.code < op_count ? x.c : -1})
        if (k >= 0) last[static_cast<std::size_t>(k)] = i;
    }
    for (int at = 0; at < n; ++at) {
      int live = 0;
      for (int i = 0; i <= at; ++i)
        live += code.body[i].at == level::full && code.body[i].code != code_store &&
                code.body[i].reduce == reduce_mode::none && last[static_cast<std::size_t>(i)] > at;
      most = std::max(most, live);
    }
    return most + sums;
  }

  void choose_block() {
    const i64 in_row = std::max<i64>((over.inner + vector_size - 1) / vector_size, 1);  // packs
    if (has_rows) {
      // A warp holds a row where its registers do: no barrier. Else the fewest packs a thread with so many
      // threads, whose registers hold so many numbers of each value.
      struct limit {
        i64 threads, numbers;
      };
      auto threads_for = [&](i64 p) { return (in_row + p - 1) / p; };
      packs = 0;
      const std::vector<limit> limits =
          has_columns ? std::vector<limit>{{32, 40}, {128, 32}, {256, 32}, {512, 32}, {1024, 16}}
                      : std::vector<limit>{{32, 40}, {256, 32}, {512, 32}, {1024, 16}};
      for (const limit& most : limits)
        for (i64 p = 1; p <= 8 && packs == 0; ++p)
          if (threads_for(p) <= most.threads && p * vector_size <= most.numbers &&
              p * vector_size * live_values() <= (most.threads <= 256   ? 200
                                                  : most.threads <= 512 ? 130
                                                                        : 45))
            packs = p;
      if (packs == 0) wide = true, packs = std::max<i64>(8 / vector_size, 1);
      if (gpu.packs > 0) packs = gpu.packs, wide = threads_for(packs) > 1024;
      const i64 threads = std::min<i64>(threads_for(packs), wide ? 512 : 1024);
      lanes = threads <= 32 ? power_of_2_from(threads) : rounded_up(threads, 32);
      teams = std::max<i64>((gpu.threads > 0             ? gpu.threads
                             : has_columns && lanes > 32 ? 256
                                                         : 128) /
                                lanes,
                            1);
      if (wide && has_columns) lanes = rounded_up(threads, 32), teams = 1;  // a column is one thread's
      tiles = 1;
    } else {
      packs = vector_size >= 8 && !has_columns && in_row * over.outer * over.batch >= 1 << 16 ? 2 : 1;
      if (gpu.packs > 0) packs = gpu.packs;
      const i64 threads = gpu.threads > 0 ? gpu.threads : has_columns ? 256 : 128;
      if (has_columns && in_row > 32)
        lanes = 32;
      else
        lanes = std::min<i64>(power_of_2_from((in_row + packs - 1) / packs), threads);
      teams = threads / lanes;
      tiles = std::max<i64>((in_row + lanes * packs - 1) / (lanes * packs), 1);
    }
    rows_a_block = teams;
    // What a block prepares pays for several rows, as long as all multiprocessors are busy.
    if (has_rows || repeats_any())
      rows_a_block = std::max<i64>(over.outer * tiles /
                                       (gpu.multiprocessors * (gpu.blocks > 0 ? gpu.blocks * 8 : 32) * teams),
                                   1) *
                     teams;
    if (has_columns || has_totals) {
      // Few enough partial sums, enough blocks to fill the GPU.
      const i64 target = std::max<i64>(gpu.multiprocessors *
                                           (gpu.blocks > 0 ? gpu.blocks
                                            : has_rows     ? 2
                                                           : 8) /
                                           std::max<i64>(tiles * over.batch, 1),
                                       1);
      rows_a_block = std::max(rounded_up((over.outer + target - 1) / target, teams), teams);
    }
    row_blocks = std::max<i64>((over.outer + rows_a_block - 1) / rows_a_block, 1);
    if (tiles * row_blocks * std::max<i64>(over.batch, 1) >= i64{1} << 31)
      throw error("flame::cuda: a fused kernel of more than 2^31 blocks");
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

  [[nodiscard]] std::string name() const {
    auto number = [](i64 n) { return std::to_string(n); };
    std::string text = "flame::kernel::group<" + number(vector_size) + "," + number(packs) + "," +
                       number(lanes) + "," + number(teams) + "," + (wide ? "true," : "false,") +
                       (tail ? "true," : "false,") +
                       (over.batch_rank == 0 && over.outer_rank <= 1 ? "true," : "false,") +
                       (fits_32_bits() ? "flame::u32" : "flame::i64");
    text += "," + std::to_string(code.slots.size()) + "ull";
    for (int k = 0; k < code.slots.size(); ++k)
      text +=
          "," +
          std::to_string(static_cast<u64>(code.slots[k].kind) | static_cast<u64>(code.slots[k].element) << 8 |
                         static_cast<u64>(reached[static_cast<std::size_t>(k)]) << 16) +
          "ull";
    for (const instruction& i : code.body) text += "," + std::to_string(i.word()) + "ull";
    return text + ">";
  }
};

template <class T> void append(std::vector<std::byte>& to, const T& value) {
  const std::byte* bytes = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof(T));
}

// A number as kernels compute with it.
inline u64 bits_of(dtype element, const bound_slot& b) {
  switch (element) {
    case dtype::f64: return __builtin_bit_cast(u64, b.number);
    case dtype::f32:
    case dtype::bf16:
    case dtype::f16: return __builtin_bit_cast(u32, static_cast<float>(b.number));
    case dtype::int64:
    case dtype::key: return b.bits;
    default: return static_cast<u64>(static_cast<i64>(b.number));
  }
}

inline int state_bytes(const instruction& i) {
  const int size = i.element == dtype::boolean ? 1 : size_of(i.element);
  return static_cast<op>(i.code) == op::argmax ? 16 : size;
}

}  // namespace group_launch

// The kernels that run one step. alignment: of each tensor's address in bytes, where it is known to be given
// at least so.
[[nodiscard]] inline prepared_group prepare(const program_step& s, const std::vector<int>& alignment,
                                            gpu_shape gpu) {
  using namespace group_launch;
  const group& code = *s.code;
  chooser c{s, code, s.bound, alignment, gpu};
  c.read_space();
  c.choose_vectors();
  c.choose_block();

  prepared_group result;
  prepared_kernel k;
  kernel::group_head head;
  head.over = c.over;
  head.rows_a_block = static_cast<u32>(c.rows_a_block);
  head.tiles = kernel::divisor(static_cast<u32>(c.tiles));
  head.row_blocks = kernel::divisor(static_cast<u32>(c.row_blocks));
  const i64 batches = c.over.batch,
            chunk_count = c.over.outer > 0 && (c.over.inner > 0 || c.has_rows) ? c.row_blocks : 0;

  i64 shared = 0;
  if (c.has_rows && c.lanes > 32) {
    i64 reductions = 0;
    for (const instruction& i : code.body) reductions += i.code != code_store && i.reduce == reduce_mode::row;
    shared = 2 * reductions * 16 * (c.lanes / 32) * c.teams;
  }
  struct sum {
    i64 at, chunks, columns;
  };
  std::vector<sum> sums(static_cast<std::size_t>(code.body.size()));
  int count = 0;
  for (int i = 0; i < code.body.size(); ++i) {
    const instruction& r = code.body[i];
    if (r.code == code_store || (r.reduce != reduce_mode::column && r.reduce != reduce_mode::total)) continue;
    if (count == kernel::most_sums)
      throw error("flame::cuda: a fused kernel with more than 8 sums over rows");
    const bool total = r.reduce == reduce_mode::total;
    const i64 bytes = state_bytes(r), columns = total ? 1 : c.over.inner;
    const i64 chunks = total ? c.row_blocks * c.tiles : c.row_blocks;
    sums[static_cast<std::size_t>(i)] = {result.workspace_bytes, chunk_count ? chunks : 0, columns};
    k.places.push_back(
        {-1, result.workspace_bytes,
         offsetof(kernel::group_head, partial) + static_cast<std::size_t>(count) * sizeof(void*)});
    result.workspace_bytes += rounded_up(batches * chunks * columns * bytes, 256);
    shared = std::max(shared, total         ? c.lanes * c.teams / 32 * bytes
                              : c.teams > 1 ? c.lanes * c.teams * c.vector_size * c.packs * bytes
                                            : 0);
    ++count;
  }
  append(k.arguments, head);
  for (int n = 0; n < code.slots.size(); ++n) {
    kernel::slot_argument a;
    const bound_slot& b = s.bound.slots[n];
    const group_slot& slot = code.slots[n];
    std::copy(b.strides, b.strides + kernel::most_axes, a.strides);
    if (slot.kind == slot_kind::uniform) a.bits = bits_of(slot.element, b);
    if (slot.kind == slot_kind::index) a.bits = static_cast<u64>(b.offset);
    if (s.tensors[n].buffer >= 0 || s.tensors[n].zero)
      k.places.push_back({n, 0, k.arguments.size() + offsetof(kernel::slot_argument, memory)});
    append(k.arguments, a);
  }
  k.name = c.name();
  k.blocks = static_cast<u32>(c.tiles * c.row_blocks * std::max<i64>(batches, 1));
  k.threads = static_cast<u32>(c.lanes * c.teams);
  k.shared_bytes = static_cast<u32>(shared);
  if (shared > 48 * 1024) throw error("flame::cuda: a fused kernel needs more than 48 KiB of shared memory");
  result.kernels.push_back(std::move(k));

  for (const instruction& i : code.body) {
    if (i.code != code_store || s.tensors[i.a].buffer < 0) continue;
    const instruction& r = code.body[i.b];
    if (r.reduce != reduce_mode::column && r.reduce != reduce_mode::total) continue;
    const sum& from = sums[static_cast<std::size_t>(i.b)];
    if (batches * from.columns == 0) continue;
    const int teams = from.chunks > 64 ? 32 : from.chunks > 8 ? 8 : 1;
    const std::string name = "flame::kernel::finish<" + std::to_string(static_cast<int>(r.code)) + "," +
                             std::to_string(static_cast<int>(r.element)) + "," +
                             std::to_string(static_cast<int>(code.slots[i.a].element)) + "," +
                             std::to_string(teams) + ">";
    kernel::slot_argument out;
    std::copy(s.bound.slots[i.a].strides, s.bound.slots[i.a].strides + kernel::most_axes, out.strides);
    // The output has no outer axes: its inner ones follow the batch.
    for (int n = 0; n < c.over.inner_rank; ++n)
      out.strides[c.over.batch_rank + n] = s.bound.slots[i.a].strides[c.first_inner() + n];
    // With sums before it that are like it, or alone.
    const bool total = r.reduce == reduce_mode::total;
    auto like = [&](const prepared_kernel& other) {
      kernel::finish_arguments a;
      if (other.name != name || other.jobs == kernel::most_sums) return false;
      std::memcpy(&a, other.arguments.data(), sizeof a);
      return a.columns == from.columns && a.chunks == from.chunks &&
             (a.over.inner_rank == 0) == (total || c.over.inner_rank == 0);
    };
    auto found = std::find_if(result.kernels.begin() + 1, result.kernels.end(), like);
    if (found == result.kernels.end()) {
      prepared_kernel f;
      kernel::finish_arguments a;
      a.chunks = from.chunks, a.columns = from.columns;
      a.blocks = kernel::divisor(static_cast<u32>((from.columns + 31) / 32));
      a.over = c.over;
      for (int n = 0; n < c.over.inner_rank; ++n)
        a.over.axes[c.over.batch_rank + n] = c.over.axes[c.first_inner() + n];
      if (total) a.over.inner_rank = 0;
      append(f.arguments, a);
      f.name = name;
      f.blocks = static_cast<u32>((from.columns + 31) / 32 * batches);
      f.threads = static_cast<u32>(32 * teams);
      f.jobs = 0;
      found = result.kernels.insert(result.kernels.end(), std::move(f));
    }
    const std::size_t job = found->jobs++;
    const std::size_t at = offsetof(kernel::finish_arguments, out) + job * sizeof(kernel::slot_argument);
    std::memcpy(found->arguments.data() + at, &out, sizeof out);
    found->places.push_back({-1, from.at, offsetof(kernel::finish_arguments, partial) + job * sizeof(void*)});
    found->places.push_back({i.a, 0, at + offsetof(kernel::slot_argument, memory)});
  }
  return result;
}

}  // namespace flame::cuda_kernels
