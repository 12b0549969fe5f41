// A program: the steps of a function and of all that it calls, unrolled for one set of extents, with every
// buffer placed. Backends lower it (run/); nothing in it is a pointer.
#pragma once
#include <flame/graph/extents.hpp>
#include <flame/plan/fuse.hpp>

namespace flame {

// A tensor in a buffer. Strides and offset count elements.
struct located {
  dtype element = dtype::f32;
  int buffer = -1;
  i64 offset = 0;
  int rank = 0;
  const axis_info* axes[max_rank] = {};
  i64 extents[max_rank] = {};
  i64 strides[max_rank] = {};
  bool zero = false;  // zeros everywhere, and no buffer: what an adapter of rank 0 adds

  [[nodiscard]] i64 elements() const {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= extents[i];
    return n;
  }
  [[nodiscard]] int find(const axis_info* a) const {
    for (int i = 0; i < rank; ++i)
      if (axes[i] == a) return i;
    return -1;
  }
  // Bytes [low, high) of its buffer, between the first and the last of its elements.
  struct reach {
    i64 low, high;
  };
  [[nodiscard]] reach bytes() const {
    if (elements() == 0) return {0, 0};
    i64 low = offset, high = offset;
    for (int i = 0; i < rank; ++i) {
      const i64 far = (extents[i] - 1) * strides[i];
      (far < 0 ? low : high) += far;
    }
    return {low * size_of(element), (high + 1) * size_of(element)};
  }
  [[nodiscard]] bool contiguous() const {
    i64 expected = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (extents[i] != 1 && strides[i] != expected) return false;
      expected *= extents[i];
    }
    return true;
  }
};

// A value: one tensor, or one for each instance of a stack.
struct placed {
  located one;
  list<placed> instances;
  bool stacked = false;
};

enum class buffer_kind : u8 {
  arena,     // the program's own, placed by the plan
  external,  // given at each run: arguments and results
  aside,     // the program's own in memory of the host, where values wait (plan/offload.hpp)
};

struct buffer {
  buffer_kind kind = buffer_kind::arena;
  i64 bytes = 0;
  i64 offset = 0;             // arena
  int first = -1, last = -1;  // steps between which it is live
  int home =
      -1;  // arena: the buffer at whose place it stands, itself or one that died when it was first written
  bool may_wait = false;  // an operand of the backward of a function with keep::offload
};

struct program_step {
  // A fused group: the space collapsed, one located slot for each of the group's.
  const group* code = nullptr;
  bound_group bound;  // memory unset
  // A library operation.
  op library = op::leaf;
  list<const axis_info*> axes;
  list<u64> data;
  // Groups: as the slots. Libraries: operands, then the result.
  list<located> tensors;
  list<u8> writes;  // by tensor
  const function_info* function = nullptr;
  int node = -1;  // in the function's graph
};

struct program {
  list<program_step> steps;
  list<buffer> buffers;
  i64 arena_bytes = 0;
  list<int> inputs;   // external buffers, in the order of the leaves' tensors
  list<int> outputs;  // external buffers, in the order of the outputs' tensors
};

}  // namespace flame
