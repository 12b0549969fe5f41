// Programs lowered to kernels and calls of CUDA's libraries: the definitions of run/cuda/execute.hpp.
#pragma once
#include <flame/plan/offload.hpp>
#include <flame/plan/step_order.hpp>
#include <flame/run/cuda/device.hpp>
#include <flame/run/cuda/steps.hpp>
#include <flame/run/cuda/watch.hpp>

namespace flame::cuda_code {

struct executable::lowered {
  context& c;
  tuning asked;
  libraries libs;
  std::vector<lowered_step> steps;
  std::vector<i64> workspace_at;  // by step, in the workspaces' memory
  std::vector<int> alignments;    // of externals, as the steps were lowered for
  i64 workspace = 0;
  std::byte* arena = nullptr;
  i64 arena_bytes = 0;
  std::byte* pinned = nullptr;    // the host's, where values wait
  std::vector<std::byte*> aside;  // by buffer
  std::vector<std::byte*> base;
  std::vector<void*> tensors;
  // The program as one graph for each of the last few sets of memory that it ran with, the last one first: in
  // x = f(x) two take turns.
  struct recorded {
    std::vector<void*> externals;
    cudaGraphExec_t graph = nullptr;
    int runs = 0;
    void drop() {
      if (graph) cudaGraphExecDestroy(graph);
      graph = nullptr, runs = 0;
    }
  };
  static constexpr std::size_t most_graphs = 4;
  std::vector<recorded> graphs;

  lowered(context& context_, tuning t) : c(context_), asked(t), libs(context_) {}
  ~lowered() {
    drop_graphs();
    if (arena) c.give_back(arena, arena_bytes, c.stream());
    if (pinned) {
      cudaStreamSynchronize(c.stream());
      cudaFreeHost(pinned);
    }
  }
  lowered(const lowered&) = delete;
  lowered& operator=(const lowered&) = delete;
  void drop_graphs() {
    for (recorded& r : graphs) r.drop();
    graphs.clear();
  }
  recorded& recorded_for(const std::vector<void*>& externals) {
    auto at = std::find_if(graphs.begin(), graphs.end(),
                           [&](const recorded& r) { return r.externals == externals; });
    if (at == graphs.end()) {
      if (graphs.size() < most_graphs)
        graphs.emplace_back();
      else
        graphs.back().drop();
      at = graphs.end() - 1;
      at->externals = externals;
    }
    std::rotate(graphs.begin(), at, at + 1);
    return graphs.front();
  }

  void lower(const program& p) try {
    // A thread that has asked the runtime for nothing yet has no context, and cuBLASLt wants one.
    const context::guard use(c.device());
    check(cudaSetDevice(c.device()), "flame::cuda", "cudaSetDevice");
    drop_graphs();
    steps.clear();
    std::vector<std::string> names;
    for (int i = 0; i < p.steps.size(); ++i) try {
        const program_step& s = p.steps[i];
        std::vector<int> given;
        for (const located& t : s.tensors)
          given.push_back(cuda_kernels::buffer_alignment(
              p, t, t.buffer < 0 ? 0 : alignments[static_cast<std::size_t>(t.buffer)]));
        steps.push_back(is_waiting(p, s) ? lower_waiting(s)
                        : s.code         ? lower_group(s, given, c, asked)
                                         : lower_library(s, given, libs));
        names.insert(names.end(), steps.back().names.begin(), steps.back().names.end());
      } catch (const error& e) {
        throw watched::with_step(e, p, i);
      }
    const auto purpose = [&](const std::string& name) {
      return watched::purpose_text(
          p, name, [&](int i) -> const auto& { return steps[static_cast<std::size_t>(i)].names; });
    };
    libs.kernels.prepare(std::move(names), purpose);
    names.clear();
    {
      trial on(c);
      for (lowered_step& s : steps)
        if (s.choose) {
          s.choose(s, on), s.choose = nullptr;
          names.insert(names.end(), s.names.begin(), s.names.end());
        }
    }
    libs.kernels.prepare(std::move(names), purpose);
    place_workspaces();
    reserve_aside(p);
    const i64 bytes = bytes_of(p);
    if (bytes > arena_bytes) {
      // Of the library's stream, whichever the program runs on: see run/cuda/program.hpp.
      if (arena) c.give_back(arena, arena_bytes, c.stream());
      arena = nullptr, arena_bytes = 0;
      arena = static_cast<std::byte*>(c.take(bytes, c.stream(), "flame::compile<cuda>"));
      if (stream_now() != c.stream())
        check(cudaStreamSynchronize(c.stream()), "flame::compile<cuda>", "cudaStreamSynchronize");
      arena_bytes = bytes;
    }
  } catch (...) {
    steps.clear();  // the next run begins anew
    throw;
  }
  // Pinned memory, once: what a program puts aside does not depend on its externals.
  void reserve_aside(const program& p) {
    if (!aside.empty() || bytes_aside(p) == 0) return;
    i64 at = 0;
    for (const buffer& b : p.buffers)
      if (b.kind == buffer_kind::aside) at += cuda_kernels::padded(b.bytes);
    const std::string purpose = "flame::compile<cuda>: keep::offload needs " + std::to_string(at) +
                                " bytes of the host's memory, pinned";
    check(
        cudaHostAlloc(reinterpret_cast<void**>(&pinned), static_cast<std::size_t>(at), cudaHostAllocDefault),
        purpose.c_str(), "cudaHostAlloc");
    aside.resize(static_cast<std::size_t>(p.buffers.size()), nullptr);
    at = 0;
    for (int b = 0; b < p.buffers.size(); ++b)
      if (p.buffers[b].kind == buffer_kind::aside) {
        aside[static_cast<std::size_t>(b)] = pinned + at;
        at += cuda_kernels::padded(p.buffers[b].bytes);
      }
  }
  // A workspace each, so that steps can run beside each other, as far as they fit into what is spent on that;
  // then from the beginning again, and the graph makes those wait that share.
  void place_workspaces() {
    constexpr i64 spent = i64{32} << 20;
    i64 largest = 0, at = 0;
    for (const lowered_step& s : steps) largest = std::max(largest, cuda_kernels::padded(s.workspace));
    const i64 room = std::max(largest, spent);
    workspace = 0;
    workspace_at.clear();
    for (const lowered_step& s : steps) {
      const i64 bytes = cuda_kernels::padded(s.workspace);
      if (at + bytes > room) at = 0;
      workspace_at.push_back(at);
      at += bytes;
      workspace = std::max(workspace, at);
    }
  }
  [[nodiscard]] i64 bytes_of(const program& p) const {
    return cuda_kernels::padded(p.arena_bytes) + workspace;
  }

  // True where the steps had to be lowered for less aligned memory.
  bool fit(const program& p, const std::vector<void*>& externals) {
    bool worse = steps.empty() && p.steps.size() > 0;
    alignments.resize(static_cast<std::size_t>(p.buffers.size()), 16);
    for (std::size_t b = 0; b < alignments.size() && b < externals.size(); ++b)
      while (reinterpret_cast<std::uintptr_t>(externals[b]) % static_cast<std::uintptr_t>(alignments[b]) != 0)
        alignments[b] /= 2, worse = true;
    return worse;
  }

  void locate(const program& p, const std::vector<void*>& externals) {
    base.resize(static_cast<std::size_t>(p.buffers.size()));
    for (std::size_t b = 0; b < base.size(); ++b) {
      const buffer& at = p.buffers[static_cast<int>(b)];
      base[b] = at.kind == buffer_kind::arena   ? arena + at.offset
                : at.kind == buffer_kind::aside ? aside[b]
                                                : static_cast<std::byte*>(externals[b]);
    }
  }
  [[nodiscard]] std::byte* workspace_of(const program& p, int i) const {
    return arena + cuda_kernels::padded(p.arena_bytes) + workspace_at[static_cast<std::size_t>(i)];
  }
  void locate_step(const program& p, int i) {
    const program_step& s = p.steps[i];
    tensors.clear();
    for (const located& t : s.tensors)
      tensors.push_back(t.zero ? c.zeros()
                        : t.buffer < 0
                            ? nullptr
                            : base[static_cast<std::size_t>(t.buffer)] + t.offset * size_of(t.element));
  }
  void run_step(const program& p, int i, cudaStream_t stream) try {
    locate_step(p, i);
    steps[static_cast<std::size_t>(i)].run(tensors, workspace_of(p, i), stream);
  } catch (const error& e) {
    throw watched::with_step(e, p, i);
  }
  void run_steps(const program& p, cudaStream_t stream) {
    for (int i = 0; i < p.steps.size(); ++i) run_step(p, i, stream);
  }
  // Each step waited for and looked at: see run/watch.hpp.
  void run_watched(const program& p, cudaStream_t stream) {
    watched_memory memory(c, stream);
    watched::run all(p, arena, memory);
    for (int i = 0; i < p.steps.size(); ++i) {
      locate_step(p, i);
      all.step(i, tensors,
               [&] { steps[static_cast<std::size_t>(i)].run(tensors, workspace_of(p, i), stream); });
    }
    all.finish();
  }
  [[nodiscard]] static i64 address_of(const void* memory) {
    return static_cast<i64>(reinterpret_cast<std::intptr_t>(memory));
  }
  // By step: the steps that it waits for.
  [[nodiscard]] std::vector<std::vector<int>> waits(const program& p) const {
    planning::step_order order;
    std::vector<std::vector<int>> to;
    for (int i = 0; i < p.steps.size(); ++i) {
      const program_step& s = p.steps[i];
      for (int k = 0; k < s.tensors.size(); ++k) {
        const located& t = s.tensors[k];
        if (t.zero || t.buffer < 0) continue;
        const planning::stretch mine =
            planning::stretch_of(t, address_of(base[static_cast<std::size_t>(t.buffer)]));
        if (s.writes[k])
          order.write(mine);
        else
          order.read(mine);
      }
      const i64 scratch = address_of(workspace_of(p, i));
      order.write({scratch, scratch + steps[static_cast<std::size_t>(i)].workspace});
      to.push_back(order.next());
    }
    return to;
  }
};

FLAME_FUNCTION executable::executable(program p, tuning t)
    : program_(static_cast<program&&>(p)), lowered_(std::make_unique<lowered>(context::current(), t)) {
  static_cast<void>(lowered_->fit(program_, {}));
  lowered_->lower(program_);
}
FLAME_FUNCTION executable::executable(executable&&) noexcept = default;
FLAME_FUNCTION executable::~executable() = default;
FLAME_FUNCTION i64 executable::bytes() const { return lowered_->bytes_of(program_); }

FLAME_FUNCTION void executable::run(const std::vector<void*>& externals) {
  lowered& l = *lowered_;
  const context::guard use(l.c.device());
  const cudaStream_t stream = stream_now();
  if (l.fit(program_, externals)) l.lower(program_);
  if (watching()) {
    l.drop_graphs();
    l.locate(program_, externals);
    return l.run_watched(program_, stream);
  }
  if (program_.steps.size() < 3) {  // as fast without a graph
    l.locate(program_, externals);
    return l.run_steps(program_, stream);
  }
  lowered::recorded& r = l.recorded_for(externals);
  if (!r.graph) {
    l.locate(program_, externals);
    if (++r.runs < 2) return l.run_steps(program_, stream);  // loads what is loaded lazily
    r.graph = graph_of(
        l.waits(program_),
        [&](int i) { return l.c.starts_early() && l.steps[static_cast<std::size_t>(i)].own; },
        [&](int i, cudaStream_t own) { l.run_step(program_, i, own); });
  }
  check(cudaGraphLaunch(r.graph, stream), "flame::cuda", "cudaGraphLaunch");
}

FLAME_FUNCTION std::vector<double> executable::time(const std::vector<void*>& externals, int repetitions) {
  lowered& l = *lowered_;
  const context::guard use(l.c.device());
  const cudaStream_t stream = stream_now();
  if (l.fit(program_, externals)) l.lower(program_);
  l.drop_graphs();
  l.locate(program_, externals);
  l.run_steps(program_, stream);
  std::vector<double> milliseconds;
  for (int i = 0; i < program_.steps.size(); ++i)
    milliseconds.push_back(
        graph_milliseconds(stream, repetitions, 1, [&](cudaStream_t own) { l.run_step(program_, i, own); }));
  return milliseconds;
}

}  // namespace flame::cuda_code
