// The definitions of host.hpp, for one file of a program.
#pragma once
#include <flame/run/program_cache.hpp>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#if defined(FLAME_TEST_CUDA)
#include <flame/run/cuda/execute.hpp>
#endif

#include "host.hpp"

namespace flame::laws {

// A graph as a function. Planned functions are known by address, so none is ever released.
struct compiled {
  encoded code;
  function_info info;
  std::unique_ptr<program_cache> cache;

  compiled(const graph& g, const list<const leaf_info*>& operands, bool folds) : code(encode(g, operands)) {
    info.id = code.id;
    info.name = "law";
    info.words = code.words.items, info.word_count = code.words.size();
    info.axes = code.axes.items, info.axis_count = code.axes.size();
    info.leaves = code.leaves.items, info.leaf_count = code.leaves.size();
    info.functions = code.functions.items, info.function_count = code.functions.size();
    info.outputs = code.outputs.items, info.output_count = code.outputs.size();
#if defined(FLAME_TEST_CUDA)
    folds = true;  // as the backend's programs do
#endif
    static const backend_functions folding = [] {
      backend_functions f = functions_of<host>();
      f.folds_into_products = true;
      return f;
    }();
    cache = std::make_unique<program_cache>(info, folds ? folding : functions_of<host>());
  }
  compiled(const compiled&) = delete;
  compiled& operator=(const compiled&) = delete;
};
compiled& compile_graph(const graph& g, const list<const leaf_info*>& operands, bool folds) {
  static std::deque<compiled> all;
  return all.emplace_back(g, operands, folds);
}

inline void write_element(std::byte* to, dtype d, double x) {
  auto put = [&](auto v) { std::memcpy(to, &v, sizeof v); };
  switch (d) {
    case dtype::f32: return put(static_cast<float>(x));
    case dtype::f64: return put(x);
    case dtype::bf16: return put(bf16(static_cast<float>(x)));
    case dtype::f16: return put(f16(static_cast<float>(x)));
    case dtype::int32: return put(static_cast<i32>(x));
    case dtype::int64: return put(static_cast<i64>(x));
    case dtype::uint8: return put(static_cast<u8>(x));
    case dtype::boolean: return put(static_cast<u8>(x != 0));
    default: return;
  }
}
inline double read_element(const std::byte* from, dtype d) {
  auto get = [&](auto v) {
    std::memcpy(&v, from, sizeof v);
    return v;
  };
  switch (d) {
    case dtype::f32: return static_cast<double>(get(0.0f));
    case dtype::f64: return get(0.0);
    case dtype::bf16: return static_cast<double>(static_cast<float>(get(bf16())));
    case dtype::f16: return static_cast<double>(static_cast<float>(get(f16())));
    case dtype::int32: return static_cast<double>(get(i32{0}));
    case dtype::int64: return static_cast<double>(get(i64{0}));
    case dtype::uint8:
    case dtype::boolean: return static_cast<double>(get(u8{0}));
    default: return 0;
  }
}

// Memory that a program reads or writes.
struct array {
  std::vector<std::byte> bytes;
  std::size_t offset = 0;
  tensor_view view;
};

[[nodiscard]] inline array make_array(dtype element, const std::vector<i64>& shape, layout how) {
  array a;
  i64 size = size_of(element), stride = how == layout::strided ? 2 : 1, reach = 1;
  int rank = static_cast<int>(shape.size());
  // The axis that varies k-th fastest.
  std::vector<int> order(static_cast<std::size_t>(rank));
  for (int k = 0; k < rank; ++k)
    order[static_cast<std::size_t>(k)] = how == layout::strided ? k : rank - 1 - k;
  u64 drawn = 0;
  for (i64 extent : shape) drawn = mix(drawn, static_cast<u64>(extent));
  for (int k = how == layout::permuted ? rank : 0; k > 1; --k, drawn = mix(drawn, 1))
    std::swap(order[static_cast<std::size_t>(k - 1)], order[drawn % static_cast<u64>(k)]);
  a.view.element = element;
  a.view.rank = rank;
  for (int k = 0; k < rank; ++k) {
    int i = order[static_cast<std::size_t>(k)];
    i64 extent = shape[static_cast<std::size_t>(i)];
    a.view.extents[i] = extent;
    a.view.strides[i] = how == layout::repeated && i == 0 ? 0 : stride;
    if (extent > 0) reach += (extent - 1) * a.view.strides[i];
    stride = stride * extent + (how == layout::strided ? 3 : 0);
  }
  const i64 before = how == layout::strided || how == layout::shifted ? 1 : how == layout::permuted ? 3 : 0;
  a.offset = static_cast<std::size_t>(before * size);
  a.bytes.resize(static_cast<std::size_t>(reach * size) + a.offset);
  a.view.data = a.bytes.data() + a.offset;
  return a;
}

template <class Body> void each_element(const array& a, Body body) {
  i64 n = 1, size = size_of(a.view.element);
  for (int i = 0; i < a.view.rank; ++i) n *= a.view.extents[i];
  for (i64 i = 0; i < n; ++i) {
    i64 at = 0, rest = i;
    for (int k = a.view.rank - 1; k >= 0; --k)
      at += rest % a.view.extents[k] * a.view.strides[k], rest /= a.view.extents[k];
    body(i, a.offset + static_cast<std::size_t>(at * size));
  }
}

[[nodiscard]] inline array to_array(const value& v, dtype element, layout how) {
  array a = make_array(element, v.shape, how);
  if (element == dtype::key)
    std::memcpy(a.bytes.data() + a.offset, v.keys.data(), 8);
  else
    each_element(a, [&](i64 i, std::size_t at) { write_element(a.bytes.data() + at, element, v[i]); });
  return a;
}
[[nodiscard]] inline value to_value(const array& a) {
  value v;
  v.type.element = a.view.element;
  v.shape.assign(a.view.extents, a.view.extents + a.view.rank);
  v.resize();
  if (v.is_key())
    std::memcpy(v.keys.data(), a.bytes.data() + a.offset, 8 * v.keys.size());
  else
    each_element(a, [&](i64 i, std::size_t at) { v[i] = read_element(a.bytes.data() + at, a.view.element); });
  return v;
}

// A tensor, or one for each instance of a stack, along the first axis.
[[nodiscard]] inline bound_value bound(const tensor_view& v, int stack) {
  if (stack == 0) return v;
  bound_value b;
  b.stacked = true;
  for (i64 i = 0; i < v.extents[0]; ++i) {
    tensor_view one = v;
    --one.rank;
    for (int k = 0; k < one.rank; ++k) one.extents[k] = v.extents[k + 1], one.strides[k] = v.strides[k + 1];
    one.data = static_cast<std::byte*>(v.data) + i * v.strides[0] * size_of(v.element);
    b.instances.push_back(bound(one, stack - 1));
  }
  return b;
}

struct bound_inputs {
  std::vector<array> memory;
  std::vector<bound_value> operands;
};
[[nodiscard]] inline bound_inputs bind_inputs(const compiled& c, const leaf_values& given, layout how) {
  bound_inputs b;
  for (int i = 0; i < c.info.leaf_count; ++i) {
    const leaf_info* l = c.info.leaves[i];
    b.memory.push_back(
        to_array(given.at(l), l->type.element, is_floating(l->type.element) ? how : layout::plain));
  }
  for (int i = 0; i < c.info.leaf_count; ++i) {
    array& a = b.memory[static_cast<std::size_t>(i)];
    a.view.data = a.bytes.data() + a.offset;
    b.operands.push_back(bound(a.view, c.info.leaves[i]->type.stack));
  }
  return b;
}

#if defined(FLAME_TEST_CUDA)

extern "C" const char* flame_test_lacks() { return cuda_code::device_count() == 0 ? "GPU here" : nullptr; }

// The same bytes in the memory of the GPU, 256-byte aligned.
[[nodiscard]] inline std::shared_ptr<std::byte> to_device(const array& a) {
  const i64 bytes = static_cast<i64>(a.bytes.size());
  std::shared_ptr<std::byte> memory = cuda_code::allocate(bytes);
  cuda_code::copy_to_device(memory.get(), a.bytes.data(), bytes);
  return memory;
}

// The same program on the GPU, run three times: step by step, captured and replayed, with the same bits.
inline void run_on_cuda(compiled& c, const bound_inputs& in, std::vector<array>& out) {
  static std::map<const program*, std::unique_ptr<cuda_code::executable>> executables;
  const program& p = c.cache->plan(in.operands);
  std::unique_ptr<cuda_code::executable>& run = executables[&p];
  if (!run) run = std::make_unique<cuda_code::executable>(p);
  std::vector<std::shared_ptr<std::byte>> memory;
  std::vector<void*> externals;
  for (const array& a : in.memory)
    memory.push_back(to_device(a)), externals.push_back(memory.back().get() + a.offset);
  for (const array& a : out)
    memory.push_back(to_device(a)), externals.push_back(memory.back().get() + a.offset);
  externals.resize(static_cast<std::size_t>(p.buffers.size()), nullptr);
  const std::size_t operands = in.memory.size();
  for (int time = 0; time < 3; ++time) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::vector<std::byte> nothing(out[i].bytes.size(), std::byte{0xFF});
      cuda_code::copy_to_device(memory[operands + i].get(), nothing.data(), static_cast<i64>(nothing.size()));
    }
    run->run(externals);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::vector<std::byte> before = out[i].bytes;
      cuda_code::copy_to_host(out[i].bytes.data(), memory[operands + i].get(), static_cast<i64>(before.size()));
      if (time > 0 && before != out[i].bytes) throw error("a law on cuda: a repeated run gave other bits");
    }
  }
}

#endif

values run_on_host(compiled& c, const leaf_values& given, layout how) {
  bound_inputs in = bind_inputs(c, given, how);
  std::vector<bound_value> results;
  std::vector<std::vector<i64>> extents = c.cache->output_extents(in.operands);
  std::vector<array> out;
  for (int i = 0; i < c.info.output_count; ++i) {
    out.push_back(make_array(c.info.outputs[i].element, extents[static_cast<std::size_t>(i)],
                             how == layout::shifted ? layout::shifted : layout::plain));
    std::fill(out.back().bytes.begin(), out.back().bytes.end(),
              std::byte{0xFF});  // NaN: nothing is taken for written
  }
  for (array& a : out) a.view.data = a.bytes.data() + a.offset, results.emplace_back(a.view);
#if defined(FLAME_TEST_CUDA)
  run_on_cuda(c, in, out);
#else
  c.cache->run(in.operands, results);
#endif
  values r;
  for (const array& a : out) {
    for (std::size_t i = 0; i < a.offset; ++i)
      if (a.bytes[i] != std::byte{0xFF}) throw error("a law: a result was written before where it begins");
    r.push_back(to_value(a));
  }
  return r;
}

step_counts count_steps(compiled& c, const leaf_values& given) {
  step_counts n;
  const program& p = c.cache->plan(bind_inputs(c, given, layout::plain).operands);
  for (const program_step& s : p.steps) ++n.steps, n.contractions += s.library == op::contract;
  return n;
}

}  // namespace flame::laws
