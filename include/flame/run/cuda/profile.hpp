// Where a program's time goes on a GPU: each step's time beside the least that its bytes or its operations
// need.
#pragma once
#include <flame/run/cuda/execute.hpp>
#include <flame/run/cuda/profile_text.hpp>

namespace flame {

// This GPU's: bytes measured by a copy of 1 GiB, operations as given (of an H200: 67, 34 and 990 TFLOP/s; f32
// without TF32).
[[nodiscard]] inline gpu_limits measure_limits(double single_rate = 67e12, double double_rate = 34e12,
                                               double half_rate = 990e12) {
  constexpr i64 bytes = i64{1} << 30;
  program p;  // a copy is no step of a program: it is timed as a group of one load and one store
  const auto from = cuda_code::allocate(bytes), to = cuda_code::allocate(bytes);
  static group code;
  if (code.body.empty()) {
    code.slots.push({slot_kind::input, dtype::f32, 0});
    code.slots.push({slot_kind::output, dtype::f32, 1});
    instruction load, store;
    load.code = code_load, load.a = 0;
    store.code = code_store, store.a = 1, store.b = 0;
    code.body.push(load), code.body.push(store);
  }
  program_step s;
  s.code = &code;
  s.bound.code = &code;
  s.bound.inner_rank = 1;
  s.bound.extents[0] = bytes / 4;
  s.bound.slots.resize(2);
  for (int i = 0; i < 2; ++i) {
    s.bound.slots[i].strides[0] = 1;
    located l;
    buffer b;
    b.kind = buffer_kind::external, b.bytes = bytes;
    l.buffer = p.buffers.push(b);
    l.rank = 1, l.extents[0] = bytes / 4, l.strides[0] = 1;
    s.tensors.push(l), s.writes.push(i == 1);
  }
  p.steps.push(s);
  cuda_code::executable run(p);
  const double ms = run.time({from.get(), to.get()}, 5)[0];
  return {2.0 * static_cast<double>(bytes) / ms * 1e3, single_rate, double_rate, half_rate};
}

// Runs a program on memory of its own, filled with zeros, and times its steps, each alone in a CUDA graph
// that repeats it.
[[nodiscard]] inline program_profile measure_profile(const program& p,
                                                     const gpu_limits& most = measure_limits(),
                                                     int repetitions = 20) {
  cuda_code::executable run(p);
  std::vector<std::shared_ptr<std::byte>> memory;
  std::vector<void*> externals;
  for (const buffer& b : p.buffers) {
    externals.push_back(nullptr);
    if (b.kind != buffer_kind::external) continue;
    memory.push_back(cuda_code::allocate(b.bytes));
    cuda_code::clear(memory.back().get(), b.bytes);
    externals.back() = memory.back().get();
  }
  std::vector<double> times = run.time(externals, repetitions);
  for (double& t : times) t *= 1e3;
  return profile_of(p, times, most);
}

// The table of profile_text for a program, and for a compiled function with these arguments.
[[nodiscard]] inline std::string profile(const program& p) { return profile_text(measure_profile(p)); }
template <class F, class... A>
requires requires(F& f, const A&... a) { f.plan(a...); }
[[nodiscard]] std::string profile(F& f, const A&... a) { return profile(f.plan(a...)); }

}  // namespace flame
