// How a group that reduces nothing is launched: packs of neighbours along the whole space, or squares where
// an operand is permuted.
#pragma once
#include <flame/run/cuda/prepared.hpp>

#include <optional>

namespace flame::cuda_kernels {

namespace group_launch {

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
  bool square = false;

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
    int across = -1;
    for (int k = 0; k < code.slots.size(); ++k) {
      if (!is_memory(k) || stride(k, last) == 1 || stride(k, last) == 0) continue;
      for (int i = 0; i < last; ++i)
        if (stride(k, i) == 1 && (across < 0 || extent(i) > extent(across))) across = i;
    }
    if (across < 0 || total == 0) return;
    // 8 bytes a thread are whole sectors, along either axis of a warp's 8 x 4 squares.
    i64 v = smallest() >= 4 || total < i64{gpu.multiprocessors} * 256 * 16 ? 2 : 4;
    if (gpu.packs > 0) v = gpu.packs;
    if (extent(across) % v != 0 || extent(last) % v != 0 || extent(across) < 16 || extent(last) < 16) return;
    square = true, vector_size = v, packs = v;
    std::swap(order[static_cast<std::size_t>(across)], order[static_cast<std::size_t>(last - 1)]);
    std::swap(extents[static_cast<std::size_t>(across)], extents[static_cast<std::size_t>(last - 1)]);
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
    // Few elements are spread over more threads.
    while (vector_size > 2 && total / vector_size < i64{gpu.multiprocessors} * 256) vector_size /= 2;
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
      repeats.push_back(square && walks(k) && stride(k, last - 1) == 0);
      const bool index = code.slots[k].kind == slot_kind::index;
      if (code.slots[k].kind == slot_kind::uniform)
        reached.push_back(s.tensors[k].buffer >= 0 || s.tensors[k].zero ? one : none);
      else if (unused(k))
        reached.push_back(none);
      else if (still)
        reached.push_back(one);
      else if (index)
        reached.push_back(linear && !square ? vector : strided);
      else if (linear && !square && aligned(k, last, vector_size))
        reached.push_back(vector);
      else if (stride(k, last) == 1 && aligned(k, last, vector_size))
        reached.push_back(pack);
      else if (square && stride(k, last - 1) == 1 && aligned(k, last - 1, vector_size))
        reached.push_back(turned);
      else
        reached.push_back(stride(k, last) == 0 ? repeated : strided);
    }
  }

  // A pack a thread, as measured on an H200: more are no faster. It starts some 0.8 blocks a nanosecond, so
  // that small ones keep it waiting where a block moves few bytes; and many large ones share less evenly.
  void choose_block() {
    int tensors = 0;
    for (int k = 0; k < code.slots.size(); ++k) tensors += is_memory(k);
    const bool many = total / vector_size >= i64{gpu.multiprocessors} * 512;
    threads = square ? 256 : !many ? 128 : tensors <= 3 ? 512 : 256;
    if (gpu.packs > 0 && !square) packs = gpu.packs;
    if (gpu.threads > 0) threads = gpu.threads;
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
  if (!c.square) c.choose_packs();
  c.reach();
  c.choose_block();

  prepared_kernel k;
  i64 blocks = 0, across = 1, down = 1;
  if (c.square) {
    const i64 side = c.threads >= 256 ? 16 : 8, x = c.extent(c.rank() - 1), y = c.extent(c.rank() - 2);
    const i64 wide = side * c.vector_size, high = c.threads / side * c.vector_size;
    across = (x + wide - 1) / wide, down = (y + high - 1) / high;
    blocks = across * down * (c.total / (x * y));
  } else {
    const i64 each = c.threads * c.packs * c.vector_size;
    blocks = (c.total + each - 1) / each;
  }
  if (blocks >= i64{1} << 31) return {};
  append(k.arguments, static_cast<u64>(c.total));
  append_slots(k, s, s.bound, c.rank(), [&](int i) { return c.order[static_cast<std::size_t>(i)]; });
  for (int i = 0; i < c.rank(); ++i)
    append(k.arguments, kernel::divisor(static_cast<u32>(std::max<i64>(c.extent(i), 1))));
  for (i64 n : {across, down}) append(k.arguments, kernel::divisor(static_cast<u32>(n)));
  k.arguments.resize(static_cast<std::size_t>(rounded_up(static_cast<i64>(k.arguments.size()), 8)));
  k.name = "flame::kernel::map<";
  for (i64 number : {c.vector_size, c.packs, c.threads, i64{c.rank()}})
    k.name.append(std::to_string(number)).append(",");
  k.name.append(c.square ? "true," : "false,").append(c.total % c.vector_size != 0 ? "true," : "false,");
  k.name.append(c.fits_32_bits() ? "flame::u32" : "flame::i64");
  k.name.append(words_of(*s.code, c.reached, c.repeats)).append(">");
  k.blocks = static_cast<u32>(std::max<i64>(blocks, 1));
  k.threads = static_cast<u32>(c.threads);
  return k;
}

}  // namespace flame::cuda_kernels
