// A reducing group's space as its kernel walks it: how each slot is reached along it, and what of it is held.
// Nothing here needs a GPU.
#pragma once
#include <flame/run/cuda/prepared.hpp>

namespace flame::cuda_kernels {

namespace group_launch {

struct group_space {
  const program_step& s;
  const group& code;
  const bound_group& bound;
  const std::vector<int>& alignment;  // of each tensor's address, in bytes
  gpu_shape gpu;

  kernel::space over = {};
  std::vector<access> reached = {};
  bool has_rows = false, has_columns = false, has_totals = false, tail = false;
  i64 vector_size = 1;

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
    // Half a pack, where a warp then holds the row in fewer registers.
    auto numbers = [&](i64 v) { return (over.inner + 32 * v - 1) / (32 * v) * v; };
    if (has_rows && (has_columns || over.inner > 256) && vector_size == 8 && numbers(8) <= 40 &&
        numbers(4) < numbers(8))
      vector_size = 4;
    if (gpu.vector > 0) vector_size = std::min<i64>(vector_size, gpu.vector);
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

  [[nodiscard]] i64 smallest_size() const {
    i64 bytes = 16;
    for (int k = 0; k < code.slots.size(); ++k)
      if (is_memory(k) && is_full(k) && !unused(k))
        bytes = std::min<i64>(bytes, size_of(code.slots[k].element));
    return bytes;
  }
  [[nodiscard]] bool stores_full() const {
    for (const instruction& i : code.body)
      if (i.code == code_store && i.at == level::full && i.reduce == reduce_mode::none && !unused(i.a))
        return true;
    return false;
  }
  // 32-bit words of a pack of what a row reads of its own, and of how many inputs.
  [[nodiscard]] std::pair<i64, int> words_of_pack() const {
    std::pair<i64, int> all{0, 0};
    for (int k = 0; k < code.slots.size(); ++k)
      if (code.slots[k].kind == slot_kind::input && is_full(k) && !repeats(k) &&
          reached[static_cast<std::size_t>(k)] != one)
        all.first += (vector_size * size_of(code.slots[k].element) + 3) / 4, ++all.second;
    return all;
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

  // What comes through shared memory: what lies side by side and is each row's own.
  [[nodiscard]] bool is_staged(int slot) const {
    return code.slots[slot].kind == slot_kind::input && is_full(slot) &&
           reached[static_cast<std::size_t>(slot)] == vector && !repeats(slot) &&
           vector_size * size_of(code.slots[slot].element) % 4 == 0;
  }
  // Rows are found by one multiplication.
  [[nodiscard]] bool simple() const { return over.batch_rank == 0 && over.outer_rank <= 1; }
};

}  // namespace group_launch

}  // namespace flame::cuda_kernels
