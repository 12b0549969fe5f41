// How a group that reduces nothing is launched: packs of neighbours along the whole space, or squares where
// an operand is permuted.
#pragma once
#include <flame/run/cuda/prepared.hpp>

#include <optional>

namespace flame::cuda_kernels {

namespace group_launch {

inline void pad(std::vector<std::byte>& arguments) {
  arguments.resize(static_cast<std::size_t>(rounded_up(static_cast<i64>(arguments.size()), 8)));
}

struct map_chooser {
  const program_step& s;
  const group& code;
  const bound_group& bound;
  const std::vector<int>& alignment;
  gpu_shape gpu;

  std::vector<int> order = {};    // axes of the group as the kernel's, after joining
  std::vector<i64> extents = {};  // of the kernel's axes
  std::vector<access> reached = {};
  std::vector<bool> repeats = {};
  i64 total = 1, vector_size = 1, packs = 1, threads = 128;
  i64 across = 0;  // threads of a block along the last of two axes; 0 where blocks divide one row of elements
  i64 wide = 1, high = 1;  // blocks along both
  bool exact = false;
  enum { line, whole_rows, grid, squares } way = line;  // by the numbers of kernel::cut

  [[nodiscard]] int rank() const { return static_cast<int>(extents.size()); }
  [[nodiscard]] i64 extent(int axis) const { return extents[static_cast<std::size_t>(axis)]; }
  // Of the kernel's axis.
  [[nodiscard]] i64 stride(int slot, int axis) const {
    return bound.slots[slot].strides[order[static_cast<std::size_t>(axis)]];
  }
  [[nodiscard]] bool unused(int slot) const {
    return code.slots[slot].kind == slot_kind::output && s.tensors[slot].buffer < 0;
  }
  [[nodiscard]] bool walks(int slot) const {
    return code.slots[slot].kind != slot_kind::uniform && !unused(slot);
  }
  [[nodiscard]] bool is_memory(int slot) const {
    return walks(slot) && code.slots[slot].kind != slot_kind::index;
  }
  [[nodiscard]] i64 size(int slot) const { return size_of(code.slots[slot].element); }

  // The axes, neighbours joined where every slot goes through both as through one.
  void join_axes() {
    const int all = bound.batch_rank + bound.outer_rank + bound.inner_rank;
    for (int i = 0; i < all; ++i) {
      total *= bound.extents[i];
      if (bound.extents[i] == 1 && all > 1) continue;
      bool joins = !order.empty();
      for (int k = 0; k < code.slots.size() && joins; ++k)
        joins =
            !walks(k) || bound.slots[k].strides[order.back()] == bound.slots[k].strides[i] * bound.extents[i];
      if (joins)
        order.back() = i, extents.back() *= bound.extents[i];
      else
        order.push_back(i), extents.push_back(bound.extents[i]);
    }
    if (order.empty()) order.push_back(0), extents.push_back(total);
  }

  // Packs of v elements along `axis` are aligned wherever they begin.
  [[nodiscard]] bool aligned(int slot, int axis, i64 v) const {
    const i64 bytes = std::min<i64>(16, v * size(slot));
    if (alignment[static_cast<std::size_t>(slot)] % bytes != 0 ||
        s.tensors[slot].offset * size(slot) % bytes != 0)
      return false;
    for (int i = 0; i < rank(); ++i)
      if (i != axis && stride(slot, i) * size(slot) % bytes != 0) return false;
    return true;
  }
  [[nodiscard]] i64 smallest() const {
    i64 bytes = 16;
    for (int k = 0; k < code.slots.size(); ++k)
      if (is_memory(k) && stride(k, rank() - 1) == 1) bytes = std::min(bytes, size(k));
    return bytes;
  }

  // Squares, where a slot's neighbours lie along another axis than the last, which then becomes the last but
  // one.
  void choose_square() {
    const int last = rank() - 1;
    int along = -1;
    for (int k = 0; k < code.slots.size(); ++k) {
      if (!is_memory(k) || stride(k, last) == 1 || stride(k, last) == 0) continue;
      for (int i = 0; i < last; ++i)
        if (stride(k, i) == 1 && (along < 0 || extent(i) > extent(along))) along = i;
    }
    if (along < 0 || total == 0) return;
    i64 v = gpu.packs > 0 ? gpu.packs : square_side();
    while (v > 2 && (extent(along) % v != 0 || extent(last) % v != 0)) v /= 2;
    if (extent(along) % v != 0 || extent(last) % v != 0 || extent(along) < 16 || extent(last) < 16) return;
    way = squares, vector_size = v, packs = v;
    std::swap(order[static_cast<std::size_t>(along)], order[static_cast<std::size_t>(last - 1)]);
    std::swap(extents[static_cast<std::size_t>(along)], extents[static_cast<std::size_t>(last - 1)]);
  }

  // 8 bytes a thread are whole sectors, along either axis of a warp's 8 x 4 squares. As small_pack: fewer
  // elements, more threads. The code is V times as long: that of long formulas is short.
  [[nodiscard]] i64 square_side() const {
    const i64 most = std::max<i64>(16 / smallest(), 1);
    if (function_count() >= 6) return is_small() ? 1 : 2;
    if (is_small()) return most <= 4 && function_count() > 0 ? 1 : 2;
    if (!is_large()) return std::min<i64>(4, most);
    if (most < 8) return std::min<i64>(2, most);
    return total >= i64{gpu.multiprocessors} << 18 && tensors() <= 3 && function_count() == 0 ? 8 : 4;
  }

  void choose_packs() {
    const i64 last = extents.back();
    for (vector_size = std::min<i64>(16 / smallest(), 8); vector_size > 1; vector_size /= 2) {
      if (rank() > 1 && last % vector_size != 0) continue;
      bool any = false;
      for (int k = 0; k < code.slots.size(); ++k)
        any = any || (is_memory(k) && stride(k, rank() - 1) == 1 && aligned(k, rank() - 1, vector_size));
      if (any) break;
    }
    if (gpu.blocks > 0)
      vector_size = std::min<i64>(vector_size, gpu.blocks);
    else if (!is_large())
      vector_size = std::min(vector_size, small_pack());
  }
  // More than the GPU runs at once, four times over; 16 bytes a thread are best then.
  [[nodiscard]] bool is_large() const {
    i64 bytes = 1;
    for (int k = 0; k < code.slots.size(); ++k)
      if (is_memory(k)) bytes = std::max(bytes, size(k));
    return total * bytes / 16 >= i64{gpu.multiprocessors} * 2048 * 4;
  }
  // A thread each.
  [[nodiscard]] bool is_small() const { return total <= i64{gpu.multiprocessors} * 2048; }
  // Fewer elements are spread over more threads: what counts is that all loads are on their way at once, and,
  // of the fewest, how long one thread takes.
  [[nodiscard]] i64 small_pack() const {
    const bool halves = smallest() <= 2;
    const int functions = function_count();
    if (is_small() && functions >= 6) return 1;
    if (is_small() && functions > 0 && !halves) return 1;
    return halves || tensors() <= 3 ? 4 : 2;
  }
  // Instructions of more than a few operations.
  [[nodiscard]] int function_count() const {
    int count = 0;
    for (const instruction& i : code.body) {
      const op o = static_cast<op>(i.code);
      count += i.code != code_load && i.code != code_store &&
               ((o >= op::exp && o <= op::erf) || o == op::div || o == op::pow || o == op::uniform ||
                o == op::normal);
    }
    return count;
  }
  // Slots with as many elements as the space.
  [[nodiscard]] int tensors() const {
    int count = 0;
    for (int k = 0; k < code.slots.size(); ++k) {
      bool whole = is_memory(k);
      for (int i = 0; i < rank() && whole; ++i) whole = stride(k, i) != 0 || extent(i) == 1;
      count += whole;
    }
    return count;
  }

  void reach() {
    const int last = rank() - 1;
    for (int k = 0; k < code.slots.size(); ++k) {
      bool linear = true, still = true;  // all along the space
      i64 expected = 1;
      for (int i = last; i >= 0 && walks(k); --i) {
        linear = linear && stride(k, i) == expected;
        still = still && stride(k, i) == 0;
        expected *= extent(i);
      }
      bool repeated_rows = walks(k) && rank() > 1;
      for (int i = way == squares ? last - 1 : 0; i < last && repeated_rows; ++i)
        repeated_rows = stride(k, i) == 0;
      repeats.push_back(repeated_rows);
      const bool index = code.slots[k].kind == slot_kind::index;
      if (code.slots[k].kind == slot_kind::uniform)
        reached.push_back(s.tensors[k].buffer >= 0 || s.tensors[k].zero ? one : none);
      else if (unused(k))
        reached.push_back(none);
      else if (still)
        reached.push_back(one);
      else if (index)
        reached.push_back(linear && way != squares ? vector : strided);
      else if (linear && way != squares && aligned(k, last, vector_size))
        reached.push_back(vector);
      else if (stride(k, last) == 1 && aligned(k, last, vector_size))
        reached.push_back(pack);
      else if (way == squares && stride(k, last - 1) == 1 && aligned(k, last - 1, vector_size))
        reached.push_back(turned);
      else
        reached.push_back(stride(k, last) == 0 ? repeated : strided);
    }
  }

  // A pack a thread, as measured on an H200: more are no faster. It starts some 1.6 blocks a nanosecond, so
  // that small ones keep it waiting where a block moves few bytes; and many large ones share less evenly.
  void choose_block() {
    const bool large = is_large(), halves = smallest() <= 2;
    const bool many = total / vector_size >= i64{gpu.multiprocessors} * 1024;
    if (way == squares)
      threads = large && smallest() > 2 ? 512 : !large && vector_size == 4 ? 128 : 256;
    else
      threads = (large ? tensors() <= 3 : (halves && many) || vector_size == 1) ? 512 : 256;
    if (gpu.packs > 0 && way != squares) packs = gpu.packs;
    if (gpu.threads > 0) threads = gpu.threads;
    lay_blocks();
  }

  // Of two axes, where rows are whole warps or parts of one: whole rows; longer ones by as many threads along
  // the last axis as divide it. There are few such kernels: each length of a row has its own.
  void lay_blocks() {
    constexpr i64 most_high = 65535;
    auto blocks_of = [](i64 n, i64 each) { return (n + each - 1) / each; };
    const i64 last = extents.back(), above = rank() > 1 ? extent(rank() - 2) : 1;
    if (way == squares) {
      across = gpu.blocks > 0                                       ? std::min<i64>(gpu.blocks, threads / 4)
               : threads == 128 && smallest() > 2 && tensors() <= 4 ? 32
                                                                    : 16;
      wide = blocks_of(last, across * vector_size), high = blocks_of(above, threads / across * vector_size);
      exact = last % (across * vector_size) == 0 && above % (threads / across * vector_size) == 0;
      if (rank() == 2 && high > most_high)
        extents.insert(extents.begin(), 1), order.insert(order.begin(), order.front());
      return;
    }
    const i64 row = last / vector_size;  // packs
    if (rank() == 2 && packs == 1 && total > 0 && row <= 512 && (row % 32 == 0 || 32 % row == 0)) {
      const i64 rows = std::max<i64>(threads / row, 1);
      way = whole_rows, across = row, threads = rows * row;
      wide = blocks_of(above, rows), high = 1, exact = above % rows == 0;
      return;
    }
    if (rank() == 2 && packs == 1 && total > 0) {
      for (across = threads; row % across != 0;) across /= 2;
      const i64 rows = threads / across;
      wide = row / across, high = blocks_of(above, rows), exact = above % rows == 0;
      way = grid;
      if (across >= 8 && high <= most_high) return;
    }
    way = line, across = 0, high = 1;
    const i64 each = threads * packs * vector_size;
    wide = blocks_of(total, each), exact = total > 0 && total % each == 0;
  }

  // As kernel::map_arguments has them.
  void append_words(prepared_kernel& k) const {
    auto is_short = [&](int n) {
      return reached[static_cast<std::size_t>(n)] == none && code.slots[n].kind == slot_kind::uniform &&
             size(n) <= 4;
    };
    std::vector<u32> numbers;
    for (int n = 0; n < code.slots.size(); ++n) {
      const bound_slot& b = bound.slots[n];
      const u64 word = code.slots[n].kind == slot_kind::uniform ? bits_of(code.slots[n].element, b)
                                                                : static_cast<u64>(b.offset);
      if (is_short(n)) {
        numbers.push_back(static_cast<u32>(word));
        continue;
      }
      if (s.tensors[n].buffer >= 0 || s.tensors[n].zero) k.places.push_back({n, 0, k.arguments.size()});
      append(k.arguments, word);
    }
    if (numbers.empty()) numbers.push_back(0);
    for (u32 number : numbers) append(k.arguments, number);
  }
  void append_strides(prepared_kernel& k, bool short_index) const {
    if (!short_index) pad(k.arguments);
    for (int i = 0; i < rank(); ++i)
      for (int n = 0; n < code.slots.size(); ++n)
        if (short_index)
          append(k.arguments, static_cast<u32>(stride(n, i)));
        else
          append(k.arguments, stride(n, i));
  }

  [[nodiscard]] bool fits_32_bits() const {
    const i64 most = (i64{1} << 31) - 1;
    if (total + threads * packs * vector_size > most) return false;
    for (int k = 0; k < code.slots.size(); ++k) {
      if (!walks(k)) continue;
      i64 end = code.slots[k].kind == slot_kind::index ? bound.slots[k].offset : 0;
      for (int i = 0; i < rank(); ++i) {
        if (stride(k, i) < 0) return false;
        end += std::max<i64>(extent(i) - 1, 0) * stride(k, i);
      }
      if (end > most) return false;
    }
    return true;
  }
};

}  // namespace group_launch

// The kernel of a group that reduces nothing; none for other groups, and for spaces of several axes and 2^32
// elements or more.
[[nodiscard]] inline std::optional<prepared_kernel> prepare_map(const program_step& s,
                                                                const std::vector<int>& alignment,
                                                                gpu_shape gpu) {
  using namespace group_launch;
  if (s.code->reduces()) return {};
  map_chooser c{s, *s.code, s.bound, alignment, gpu};
  c.join_axes();
  if (c.rank() > kernel::most_axes || (c.rank() > 1 && c.total >= i64{1} << 31)) return {};
  if (c.rank() > 1) c.choose_square();
  if (c.way != c.squares) c.choose_packs();
  c.reach();
  c.choose_block();

  // Squares of more than two axes are numbered in one row.
  const bool numbered = c.way == c.squares && c.rank() > 2;
  const i64 blocks =
      numbered ? c.wide * c.high * (c.total / (c.extent(c.rank() - 1) * c.extent(c.rank() - 2))) : c.wide;
  if (blocks >= i64{1} << 31) return {};
  prepared_kernel k;
  const bool short_index = c.fits_32_bits();
  append(k.arguments, static_cast<u64>(c.total));
  c.append_words(k);
  c.append_strides(k, short_index);
  for (int i = 0; i < c.rank(); ++i)
    append(k.arguments, kernel::divisor(static_cast<u32>(std::max<i64>(c.extent(i), 1))));
  for (i64 n : {c.wide, c.high}) append(k.arguments, kernel::divisor(static_cast<u32>(n)));
  pad(k.arguments);
  k.blocks = static_cast<u32>(std::max<i64>(blocks, 1));
  k.jobs = static_cast<u32>(numbered ? 1 : std::max<i64>(c.high, 1));
  const int ends = c.total % c.vector_size != 0 ? 2 : c.exact ? 0 : 1;  // kernel::ends
  k.name = "flame::kernel::map<";
  for (i64 number : {c.vector_size, c.packs, c.threads, c.across, i64{c.rank()}})
    k.name.append(std::to_string(number)).append(",");
  for (int number : {static_cast<int>(c.way), ends}) k.name.append(std::to_string(number)).append(",");
  constexpr i64 blocks_at_once = 160;  // and kernel::blocks_at_once
  k.name.append(std::max<i64>(blocks, 1) * k.jobs <= blocks_at_once ? "true," : "false,");
  k.name.append(short_index ? "flame::u32" : "flame::i64");
  k.name.append(words_of(*s.code, c.reached, c.repeats)).append(">");
  k.threads = static_cast<u32>(c.threads);
  return k;
}

}  // namespace flame::cuda_kernels
