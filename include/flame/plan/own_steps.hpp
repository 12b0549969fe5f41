// Steps that no formula asks for: memory is filled and copied, sums are taken, keys are folded; and memory
// itself.
#pragma once
#include <flame/plan/collapse.hpp>
#include <flame/plan/shared_code.hpp>
#include <flame/plan/views.hpp>

namespace flame::planning {

[[nodiscard]] inline int new_buffer(program& p, i64 bytes) {
  return p.buffers.push({buffer_kind::arena, bytes});
}
// New memory for a tensor like this one, row-major.
[[nodiscard]] inline located new_like(program& p, const located& l) {
  located dense = row_major(l);
  dense.buffer = new_buffer(p, dense.elements() * size_of(dense.element));
  return dense;
}
[[nodiscard]] inline located new_tensor(program& p, const tensor_type& t, const extents& e) {
  return new_like(p, contiguous(t, e, -1));
}

inline void add_fill(program& p, const located& to, double number) {
  program_step s;
  s.code = &fill_code(to.element);
  located from;
  from.element = to.element;
  s.tensors.push(from), s.tensors.push(to);
  s.writes.push(0), s.writes.push(1);
  s.bound.slots.resize(2);
  s.bound.slots[0].number = number;
  collapse_map(s, to);
  p.steps.push(s);
}

// Names may differ between caller and callee: axes go together by place. f, n: the formula for whose sake it
// is copied.
inline void add_copy(program& p, const located& from, const located& to, const function_info* f = nullptr,
                     int n = -1) {
  program_step s;
  s.code = &copy_code(to.element);
  s.function = f, s.node = n;
  located by_place = to;
  for (int i = 0; i < to.rank; ++i) by_place.axes[i] = from.axes[i];
  s.tensors.push(from), s.tensors.push(by_place);
  s.writes.push(0), s.writes.push(1);
  s.bound.slots.resize(2);
  collapse_map(s, by_place);
  p.steps.push(s);
}

// to = a + b, where they lie; axes go together by place.
inline void add_sum(program& p, const located& a, const located& b, const located& to) {
  program_step s;
  s.code = &add_code(to.element);
  located second = b, result = to;
  for (int i = 0; i < to.rank; ++i) second.axes[i] = result.axes[i] = a.axes[i];
  s.tensors.push(a), s.tensors.push(second), s.tensors.push(result);
  s.writes.push(0), s.writes.push(0), s.writes.push(1);
  s.bound.slots.resize(3);
  collapse_map(s, result);
  p.steps.push(s);
}

// fold(key, instance).
[[nodiscard]] inline placed add_key(program& p, const placed& key, int instance) {
  placed out;
  out.one.element = dtype::key;
  out.one.buffer = new_buffer(p, 8);
  program_step s;
  s.code = &fold_code();
  s.bound.code = s.code;
  s.bound.slots.resize(3);
  s.bound.slots[1].bits = static_cast<u64>(instance);
  located none;
  none.element = dtype::int64;
  s.tensors.push(key.one), s.tensors.push(none), s.tensors.push(out.one);
  s.writes.push(0), s.writes.push(0), s.writes.push(1);
  p.steps.push(s);
  return out;
}

}  // namespace flame::planning
