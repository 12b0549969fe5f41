// Programs lowered to the host's executors. Included by run/host/execute.hpp, or compiled once in
// kernels/host.cpp.
#pragma once
#include <flame/run/host/attention.hpp>
#include <flame/run/host/contract.hpp>
#include <flame/run/host/conv.hpp>
#include <flame/run/host/execute.hpp>
#include <flame/run/host/group.hpp>
#include <flame/run/host/index.hpp>
#include <flame/run/host/order.hpp>
#include <flame/run/host/pool.hpp>
#include <flame/run/host/range.hpp>
#include <flame/run/watch_steps.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
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
  auto prepared =
      std::make_shared<flame::host_kernels::prepared_group>(flame::host_kernels::prepare(*s.code));
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
  library::contraction c = library::contraction_of(s);
  lowered_step r;
  const int result = s.tensors.size() - 1;
  r.run = [c, result](void* const* at) mutable {
    c.a = at[0], c.b = at[1], c.out = at[result];
    flame::host_kernels::contract(c, c.biased ? at[2] : nullptr);
  };
  return r;
}

inline lowered_step lower_conv(const program_step& s) {
  library::convolution c = library::convolution_of(s);
  lowered_step r;
  op code = s.library;
  const bool biased = s.tensors.size() == 4;
  r.run = [c, code, biased](void* const* at) {
    const void* bias = biased ? at[2] : nullptr;
    void* result = at[biased ? 3 : 2];
    if (code == op::conv)
      flame::host_kernels::conv(c, at[0], at[1], result, bias);
    else if (code == op::conv_data)
      flame::host_kernels::conv_data(c, at[0], at[1], result, bias);
    else
      flame::host_kernels::conv_weight(c, at[0], at[1], at[2]);
  };
  return r;
}

inline lowered_step lower_pool(const program_step& s) {
  library::pooling c = library::pooling_of(s);
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
  library::indexing c = library::indexing_of(s);
  const bool gather = s.library == op::gather;
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

inline lowered_step lower_range(const program_step& s) {
  const library::range_check c = library::range_check_of(s);
  lowered_step r;
  const bool given = c.ignores == library::range_check::ignoring::operand;
  const bool numbered = c.ignores == library::range_check::ignoring::number;
  r.run = [c, given, numbered](void* const* at) {
    const i64* ignored = given ? static_cast<const i64*>(at[1]) : numbered ? &c.ignored : nullptr;
    flame::host_kernels::in_range(c, at[0], ignored, at[given ? 2 : 1]);
  };
  return r;
}

inline lowered_step lower_order(const program_step& s) {
  const library::ordering c = library::ordering_of(s);
  const bool sums = s.library == op::cumsum;
  lowered_step r;
  r.run = [c, sums](void* const* at) {
    if (sums)
      flame::host_kernels::cumsum(c, at[0], at[1]);
    else
      flame::host_kernels::top(c, at[0], static_cast<i32*>(at[1]));
  };
  return r;
}

inline lowered_step lower_attention(const program_step& s) {
  const library::attention c = library::attention_of(s);
  lowered_step r;
  r.run = [c](void* const* at) { flame::host_kernels::attention(c, at); };
  return r;
}

inline lowered_step lower(const program_step& s) {
  lowered_step r;
  if (s.code) {
    r = lower_group(s);
  } else {
    switch (s.library) {
      case op::contract: r = lower_contract(s); break;
      case op::conv:
      case op::conv_data:
      case op::conv_weight: r = lower_conv(s); break;
      case op::pool_take:
      case op::pool_put:
      case op::pool_mean:
      case op::pool_mean_put: r = lower_pool(s); break;
      case op::gather:
      case op::scatter_add: r = lower_index(s); break;
      case op::in_range: r = lower_range(s); break;
      case op::cumsum:
      case op::top: r = lower_order(s); break;
      case op::attend:
      case op::attend_statistics:
      case op::attend_query:
      case op::attend_key:
      case op::attend_value: r = lower_attention(s); break;
      default:
        throw error("flame::compile<host>: the host backend has no " +
                    std::string(name_of(s.library).data, static_cast<std::size_t>(name_of(s.library).size)));
    }
  }
  for (const located& t : s.tensors) r.places.push_back({t.buffer, t.offset * size_of(t.element)});
  return r;
}

struct watched_memory final : watched::memory {
  const std::byte* see(const std::byte* from, i64) override { return from; }
  void fill(std::byte* to, int byte, i64 bytes) override {
    std::memset(to, byte, static_cast<std::size_t>(bytes));
  }
  void wait() override {}
};

struct executable::lowered {
  std::vector<lowered_step> steps;
  std::vector<std::byte*> base;  // by buffer
  std::vector<std::unique_ptr<std::byte[]>> aside;
  std::vector<void*> at;  // by tensor of the step that runs

  void locate(const lowered_step& s) {
    for (std::size_t i = 0; i < s.places.size(); ++i)
      at[i] = s.places[i].buffer < 0 ? nullptr
                                     : base[static_cast<std::size_t>(s.places[i].buffer)] + s.places[i].bytes;
  }
  void run_watched(const program& p, std::byte* arena) {
    watched_memory memory;
    watched::run all(p, arena, memory);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      locate(steps[i]);
      all.step(static_cast<int>(i), at, [&] { steps[i].run(at.data()); });
    }
    all.finish();
  }
};

FLAME_FUNCTION executable::executable(program p)
    : program_(static_cast<program&&>(p)), lowered_(std::make_unique<lowered>()) {
  for (const program_step& s : program_.steps) lowered_->steps.push_back(lower(s));
  lowered_->base.resize(static_cast<std::size_t>(program_.buffers.size()));
  lowered_->aside.resize(lowered_->base.size());
  for (std::size_t b = 0; b < lowered_->aside.size(); ++b)
    if (const buffer& at = program_.buffers[static_cast<int>(b)]; at.kind == buffer_kind::aside)
      lowered_->aside[b] = std::make_unique<std::byte[]>(static_cast<std::size_t>(at.bytes));
  std::size_t most = 0;
  for (const lowered_step& s : lowered_->steps) most = std::max(most, s.places.size());
  lowered_->at.resize(most);
}
FLAME_FUNCTION executable::executable(executable&&) noexcept = default;
FLAME_FUNCTION executable::~executable() = default;

FLAME_FUNCTION void executable::run(const std::vector<void*>& externals, arena& memory,
                                    std::vector<double>* seconds) {
  std::vector<std::byte*>& base = lowered_->base;
  std::byte* own = memory.reserve(program_.arena_bytes);
  for (std::size_t b = 0; b < base.size(); ++b) {
    const buffer& at = program_.buffers[static_cast<int>(b)];
    base[b] = at.kind == buffer_kind::arena   ? own + at.offset
              : at.kind == buffer_kind::aside ? lowered_->aside[b].get()
                                              : static_cast<std::byte*>(externals[b]);
  }
  if (watching() && !seconds) return lowered_->run_watched(program_, own);
  void** to = lowered_->at.data();
  if (seconds) seconds->clear();
  for (lowered_step& s : lowered_->steps) {
    lowered_->locate(s);
    if (!seconds) {
      s.run(to);
      continue;
    }
    auto begin = std::chrono::steady_clock::now();
    s.run(to);
    seconds->push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  flame::host_kernels::reserve_for_all_threads();
}

FLAME_FUNCTION int thread_count() { return flame::host_kernels::thread_count(); }
FLAME_FUNCTION void set_thread_count(int n) { flame::host_kernels::set_thread_count(n); }

}  // namespace flame::host_code
