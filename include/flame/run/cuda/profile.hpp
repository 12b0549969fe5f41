// Where a program's time goes on a GPU: each step's time beside the least that its bytes or its operations
// need.
#pragma once
#include <flame/plan/explain.hpp>
#include <flame/run/cuda/execute.hpp>

#include <algorithm>
#include <cstdio>

namespace flame {

// What a GPU can do at most: bytes a second, read and written together, and operations a second by type.
struct gpu_limits {
  double bytes = 0, f32 = 0, f64 = 0, half = 0;
};

// One step, alone in a CUDA graph that repeats it.
struct step_profile {
  int step = 0;  // in the program's order
  double microseconds = 0;
  double bound = 0;      // microseconds that the bytes or the operations need, whichever need more
  bool by_bytes = true;  // which of the two
  step_report what;
};

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

// Runs a program on memory of its own, filled with zeros, and times its steps, the slowest first.
[[nodiscard]] inline std::vector<step_profile> profile_steps(const program& p, const gpu_limits& most,
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
  const std::vector<double> ms = run.time(externals, repetitions);
  const program_report all = report(p);
  std::vector<step_profile> steps;
  for (int i = 0; i < p.steps.size(); ++i) {
    step_profile s;
    s.step = i;
    s.what = all.steps[static_cast<std::size_t>(i)];
    s.microseconds = ms[static_cast<std::size_t>(i)] * 1e3;
    const dtype element = p.steps[i].tensors.back().element;
    const double rate = element == dtype::f64                             ? most.f64
                        : element == dtype::bf16 || element == dtype::f16 ? most.half
                                                                          : most.f32;
    const double by_bytes = static_cast<double>(s.what.read + s.what.written) / most.bytes * 1e6;
    const double by_operations = static_cast<double>(s.what.flops) / rate * 1e6;
    s.by_bytes = by_bytes >= by_operations;
    s.bound = std::max(by_bytes, by_operations);
    steps.push_back(std::move(s));
  }
  std::stable_sort(steps.begin(), steps.end(), [](const step_profile& a, const step_profile& b) {
    return a.microseconds > b.microseconds;
  });
  return steps;
}

// A line for all, then the slowest steps: microseconds, their share, the bound and how much of it is reached,
// what the step is, and its formula cut at `width`.
[[nodiscard]] inline std::string profile(const program& p, std::size_t lines = 30, std::size_t width = 60) {
  const gpu_limits most = measure_limits();
  const std::vector<step_profile> steps = profile_steps(p, most);
  double total = 0, bound = 0;
  for (const step_profile& s : steps) total += s.microseconds, bound += s.bound;
  char line[256];
  std::snprintf(line, sizeof line,
                "%zu steps, %.1f us one by one; their bytes and operations need %.1f us (%.0f GB/s)\n",
                steps.size(), total, bound, most.bytes / 1e9);
  std::string text = line;
  text += "      us  share    bound   of it  step\n";
  for (std::size_t i = 0; i < steps.size() && i < lines; ++i) {
    const step_profile& s = steps[i];
    std::snprintf(line, sizeof line, "%8.2f  %4.1f%%  %7.2f %c %4.0f%%  %3d %s %s  ", s.microseconds,
                  100 * s.microseconds / total, s.bound, s.by_bytes ? 'b' : 'o',
                  s.microseconds > 0 ? 100 * s.bound / s.microseconds : 0, s.step, s.what.kind.c_str(),
                  s.what.sizes.c_str());
    text += line + s.what.formula.substr(0, width) + "\n";
  }
  return text;
}

}  // namespace flame
