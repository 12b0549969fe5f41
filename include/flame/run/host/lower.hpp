// Programs lowered to the host's executors. Included by run/host/execute.hpp, or compiled once in kernels/host.cpp.
#pragma once
#include <flame/run/host/contract.hpp>
#include <flame/run/host/conv.hpp>
#include <flame/run/host/execute.hpp>
#include <flame/run/host/group.hpp>
#include <flame/run/host/index.hpp>
#include <flame/run/host/pool.hpp>

#include <chrono>
#include <functional>

namespace flame::host_code {

// One step ready to run: `run` takes the addresses of its tensors, in their order.
struct lowered_step {
  std::function<void(void* const*)> run;
  struct place {
    int buffer;
    i64 bytes;
  };
  std::vector<place> places;
};

inline lowered_step lower_group(const program_step& s) {
  lowered_step r;
  auto prepared = std::make_shared<flame::host_kernels::prepared_group>(flame::host_kernels::prepare(*s.code));
  bound_group bound = s.bound;
  bound.code = s.code;
  static i64 zeros[2] = {};
  for (int i = 0; i < s.tensors.size(); ++i)
    if (s.tensors[i].zero) bound.slots[i].memory = zeros;
  list<u8> fixed;
  for (int i = 0; i < s.tensors.size(); ++i) fixed.push(s.tensors[i].zero);
  r.run = [prepared, bound, fixed](void* const* at) mutable {
    for (int i = 0; i < bound.slots.size(); ++i)
      if (!fixed[i]) bound.slots[i].memory = at[i];
    flame::host_kernels::run(*prepared, bound);
  };
  return r;
}

inline lowered_step lower_contract(const program_step& s) {
  const located &a = s.tensors[0], &b = s.tensors[1], &out = s.tensors[2];
  flame::host_kernels::contraction c;
  c.element = out.element;
  int rank = 0;
  auto add = [&](const axis_info* axis, i64 extent) {
    int i = a.find(axis), j = b.find(axis), k = out.find(axis);
    c.extents[rank] = extent;
    c.a_strides[rank] = i < 0 ? 0 : a.strides[i];
    c.b_strides[rank] = j < 0 ? 0 : b.strides[j];
    c.out_strides[rank] = k < 0 ? 0 : out.strides[k];
    ++rank;
  };
  for (int i = 0; i < out.rank; ++i)
    if (a.find(out.axes[i]) >= 0 && b.find(out.axes[i]) >= 0) add(out.axes[i], out.extents[i]), ++c.batch_rank;
  for (int i = 0; i < out.rank; ++i)
    if (a.find(out.axes[i]) >= 0 && b.find(out.axes[i]) < 0) add(out.axes[i], out.extents[i]), ++c.m_rank;
  for (int i = 0; i < out.rank; ++i)
    if (a.find(out.axes[i]) < 0 && b.find(out.axes[i]) >= 0) add(out.axes[i], out.extents[i]), ++c.n_rank;
  for (int i = 0; i < a.rank; ++i)
    if (out.find(a.axes[i]) < 0) add(a.axes[i], a.extents[i]), ++c.k_rank;
  lowered_step r;
  r.run = [c](void* const* at) mutable {
    c.a = at[0], c.b = at[1], c.out = at[2];
    flame::host_kernels::contract(c);
  };
  return r;
}

inline lowered_step lower_conv(const program_step& s) {
  // axes: xh xw kh kw cx cw oh ow co; data: stride h w, padding h w, dilation h w, groups
  const located &a = s.tensors[0], &b = s.tensors[1], &out = s.tensors[2];
  const located& x = s.library == op::conv_data ? out : a;
  const located& w = s.library == op::conv_weight ? out : b;
  const located& y = s.library == op::conv ? out : s.library == op::conv_data ? a : b;
  flame::host_kernels::convolution c;
  c.element = out.element;
  c.batch = 1;
  for (int i = 0; i < x.rank - 3; ++i) c.batch *= x.extents[i];
  c.height = x.extents[x.rank - 3], c.width = x.extents[x.rank - 2], c.in = x.extents[x.rank - 1];
  c.out_height = y.extents[y.rank - 3], c.out_width = y.extents[y.rank - 2], c.out = y.extents[y.rank - 1];
  c.kernel_h = w.extents[1], c.kernel_w = w.extents[2];
  auto number = [&](int i) { return static_cast<i64>(s.data[i]); };
  c.stride_h = number(0), c.stride_w = number(1), c.pad_h = number(2), c.pad_w = number(3);
  c.dilation_h = number(4), c.dilation_w = number(5), c.groups = number(6);
  lowered_step r;
  op code = s.library;
  r.run = [c, code](void* const* at) {
    if (code == op::conv)
      flame::host_kernels::conv(c, at[0], at[1], at[2]);
    else if (code == op::conv_data)
      flame::host_kernels::conv_data(c, at[0], at[1], at[2]);
    else
      flame::host_kernels::conv_weight(c, at[0], at[1], at[2]);
  };
  return r;
}

inline lowered_step lower_pool(const program_step& s) {
  // axes: xh xw oh ow; data: kernel h w, stride h w, padding h w
  bool grows = s.library == op::pool_put || s.library == op::pool_mean_put;
  const located &out = s.tensors[s.tensors.size() - 1], &last = s.tensors[s.tensors.size() - 2];
  const located &x = grows ? out : s.tensors[0], &y = grows ? last : out;
  flame::host_kernels::pooling c;
  c.element = out.element;
  c.batch = 1;
  for (int i = 0; i < x.rank - 3; ++i) c.batch *= x.extents[i];
  c.height = x.extents[x.rank - 3], c.width = x.extents[x.rank - 2], c.channels = x.extents[x.rank - 1];
  c.out_height = y.extents[y.rank - 3], c.out_width = y.extents[y.rank - 2];
  auto number = [&](int i) { return static_cast<i64>(s.data[i]); };
  c.kernel_h = number(0), c.kernel_w = number(1), c.stride_h = number(2), c.stride_w = number(3);
  c.pad_h = number(4), c.pad_w = number(5);
  lowered_step r;
  op code = s.library;
  r.run = [c, code](void* const* at) {
    switch (code) {
      case op::pool_take: flame::host_kernels::pool_take(c, at[0], at[1], at[2]); break;
      case op::pool_put: flame::host_kernels::pool_put(c, at[0], at[1], at[2]); break;
      case op::pool_mean: flame::host_kernels::pool_mean(c, at[0], at[1]); break;
      default: flame::host_kernels::pool_mean_put(c, at[0], at[1]); break;
    }
  };
  return r;
}

inline lowered_step lower_index(const program_step& s) {
  // gather: (table, index) -> out; scatter_add: (index, values) -> out
  bool gather = s.library == op::gather;
  const located &from = s.tensors[gather ? 0 : 1], &index = s.tensors[gather ? 1 : 0], &out = s.tensors[2];
  const axis_info* axis = s.axes[0];
  const located& indexed = gather ? from : out;
  flame::host_kernels::indexing c;
  c.element = out.element, c.index_element = index.element;
  c.extent = indexed.extents[indexed.find(axis)], c.stride = indexed.strides[indexed.find(axis)];
  auto add = [&](const axis_info* a, i64 extent) {
    if (a == axis) return;
    int i = from.find(a), j = index.find(a), k = out.find(a);
    c.extents[c.rank] = extent;
    c.from_strides[c.rank] = i < 0 ? 0 : from.strides[i];
    c.index_strides[c.rank] = j < 0 ? 0 : index.strides[j];
    c.out_strides[c.rank] = k < 0 ? 0 : out.strides[k];
    ++c.rank;
  };
  for (int i = 0; i < out.rank; ++i) add(out.axes[i], out.extents[i]);
  for (int i = 0; i < from.rank; ++i)
    if (out.find(from.axes[i]) < 0) add(from.axes[i], from.extents[i]);
  for (int i = 0; i < index.rank; ++i)
    if (out.find(index.axes[i]) < 0 && from.find(index.axes[i]) < 0) add(index.axes[i], index.extents[i]);
  lowered_step r;
  r.run = [c, gather](void* const* at) mutable {
    c.from = at[gather ? 0 : 1], c.index = at[gather ? 1 : 0], c.out = at[2];
    if (gather)
      flame::host_kernels::gather(c);
    else
      flame::host_kernels::scatter_add(c);
  };
  return r;
}

inline lowered_step lower(const program_step& s) {
  lowered_step r;
  if (s.code) {
    r = lower_group(s);
  } else {
    switch (s.library) {
      case op::contract: r = lower_contract(s); break;
      case op::conv: case op::conv_data: case op::conv_weight: r = lower_conv(s); break;
      case op::pool_take: case op::pool_put: case op::pool_mean: case op::pool_mean_put: r = lower_pool(s); break;
      case op::gather: case op::scatter_add: r = lower_index(s); break;
      default:
        throw error("flame::compile<host>: the host backend has no " +
                    std::string(name_of(s.library).data, static_cast<std::size_t>(name_of(s.library).size)));
    }
  }
  for (const located& t : s.tensors) r.places.push_back({t.buffer, t.offset * size_of(t.element)});
  return r;
}

struct executable::lowered {
  std::vector<lowered_step> steps;
  std::vector<std::byte*> base;
};

FLAME_HOST_FUNCTION executable::executable(program p) : program_(static_cast<program&&>(p)), lowered_(std::make_unique<lowered>()) {
  for (const program_step& s : program_.steps) lowered_->steps.push_back(lower(s));
  lowered_->base.resize(static_cast<std::size_t>(program_.buffers.size()));
}
FLAME_HOST_FUNCTION executable::executable(executable&&) noexcept = default;
FLAME_HOST_FUNCTION executable::~executable() = default;

FLAME_HOST_FUNCTION void executable::run(const std::vector<void*>& externals, arena& memory, std::vector<double>* seconds) {
  std::vector<std::byte*>& base = lowered_->base;
  std::byte* own = memory.reserve(program_.arena_bytes);
  for (std::size_t b = 0; b < base.size(); ++b) {
    const buffer& at = program_.buffers[static_cast<int>(b)];
    base[b] = at.kind == buffer_kind::arena ? own + at.offset : static_cast<std::byte*>(externals[b]);
  }
  void* at[64];
  if (seconds) seconds->clear();
  for (lowered_step& s : lowered_->steps) {
    std::vector<void*> many;
    void** to = at;
    if (s.places.size() > 64) many.resize(s.places.size()), to = many.data();
    for (std::size_t i = 0; i < s.places.size(); ++i)
      to[i] = s.places[i].buffer < 0 ? nullptr : base[static_cast<std::size_t>(s.places[i].buffer)] + s.places[i].bytes;
    if (!seconds) {
      s.run(to);
      continue;
    }
    auto begin = std::chrono::steady_clock::now();
    s.run(to);
    seconds->push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}

FLAME_HOST_FUNCTION int thread_count() { return flame::host_kernels::thread_count(); }
FLAME_HOST_FUNCTION void set_thread_count(int n) { flame::host_kernels::set_thread_count(n); }

}  // namespace flame::host_code
