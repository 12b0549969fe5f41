// Kernels of a fused group that are ready to launch but for the addresses of tensors, and what choosing them
// takes.
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

// The address of a tensor's buffer is a multiple of this before a program runs; external: where it is given.
[[nodiscard]] inline int buffer_alignment(const program& p, const located& t, int external = 16) {
  if (t.buffer < 0) return 256;
  return p.buffers[t.buffer].kind == buffer_kind::arena ? 64 : external;
}

// A kernel ready to launch but for the addresses of tensors.
struct prepared_kernel {
  std::string name;  // as a C++ expression
  u32 blocks = 1, jobs = 1, threads = 1, shared_bytes = 0, cluster = 1;
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
  int multiprocessors = 132, architecture = 90;
  i64 shared_bytes = 227 * 1024;  // that a block may have
  // Where they are not 0: packs of a thread (of maps with a permuted operand, the side of a square; of rows,
  // a hundred more where loads are held, two where nothing is), threads of a block, blocks of a
  // multiprocessor, an eighth of them where rows are not summed over (of maps: the most elements of a pack,
  // or a block's threads along the last axis of squares). For whoever looks for better numbers than those
  // that are chosen.
  int packs = 0, threads = 0, blocks = 0;
  // Of rows: how many of them are in shared memory or on their way there (-1: none), and how many blocks
  // share a row.
  int stages = 0, cluster = 0, vector = 0;
};

namespace group_launch {

inline i64 rounded_up(i64 n, i64 to) { return (n + to - 1) / to * to; }
inline i64 power_of_2_from(i64 n) {
  i64 p = 1;
  while (p < n) p *= 2;
  return p;
}

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

// How a slot is reached, by the numbers of flame::kernel::access.
enum access : u8 { none, vector, one, strided, general, pack, repeated, turned };

// The template arguments that say what a kernel computes: the words of the slots, each with how it is reached
// and whether it repeats, and those of the instructions.
inline std::string words_of(const group& code, const std::vector<access>& reached,
                            const std::vector<bool>& repeats = {}) {
  std::string text;
  auto add = [&](u64 word) { text.append(",").append(std::to_string(word)).append("ull"); };
  add(static_cast<u64>(code.slots.size()));
  for (int k = 0; k < code.slots.size(); ++k) {
    const std::size_t at = static_cast<std::size_t>(k);
    add(static_cast<u64>(code.slots[k].kind) | static_cast<u64>(code.slots[k].element) << 8 |
        static_cast<u64>(reached[at]) << 16 | static_cast<u64>(!repeats.empty() && repeats[at]) << 24);
  }
  for (const instruction& i : code.body) add(i.word());
  return text;
}

// The words of the slots, then the strides of `axes` axes. axis(i): the axis of the group that is the
// kernel's axis i.
template <class Axis>
void append_slots(prepared_kernel& k, const program_step& s, const bound_group& bound, int axes, Axis axis) {
  const int slots = s.code->slots.size();
  for (int n = 0; n < slots; ++n) {
    const bound_slot& b = bound.slots[n];
    const group_slot& slot = s.code->slots[n];
    if (s.tensors[n].buffer >= 0 || s.tensors[n].zero) k.places.push_back({n, 0, k.arguments.size()});
    append(k.arguments,
           slot.kind == slot_kind::uniform ? bits_of(slot.element, b) : static_cast<u64>(b.offset));
  }
  for (int i = 0; i < axes; ++i)
    for (int n = 0; n < slots; ++n) append(k.arguments, bound.slots[n].strides[axis(i)]);
}

}  // namespace group_launch

}  // namespace flame::cuda_kernels
