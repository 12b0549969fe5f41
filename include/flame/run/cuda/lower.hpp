// Programs lowered to kernels and calls of CUDA's libraries: the definitions of run/cuda/execute.hpp.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/context.hpp>
#include <flame/run/cuda/group.hpp>
#include <flame/run/cuda/library.hpp>

#include <optional>

namespace flame::cuda_code {

// ---- The device ----

namespace detail {
inline thread_local int device_of_thread = 0;
inline thread_local stream_handle stream_of_thread = nullptr;
}  // namespace detail

FLAME_FUNCTION int device_count() {
  int count = 0;
  const cudaError_t failed = cudaGetDeviceCount(&count);
  if (failed == cudaErrorNoDevice || failed == cudaErrorStubLibrary) return cudaGetLastError(), 0;
  if (failed == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    cudaGetLastError();
    cudaDriverGetVersion(&driver), cudaRuntimeGetVersion(&runtime);
    if (driver == 0) return 0;
    auto version = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
    throw error(("flame::cuda: the NVIDIA driver supports CUDA " + version(driver) +
                 ", and this program needs " + version(runtime) + ": install a newer driver")
                    .c_str());
  }
  check(failed, "flame::cuda", "cudaGetDeviceCount");
  return count;
}
FLAME_FUNCTION int current_device() { return detail::device_of_thread; }
FLAME_FUNCTION void set_device(int device) {
  if (const int count = device_count(); device < 0 || device >= count)
    throw error(("flame::cuda: there is no device " + std::to_string(device) + ": the machine has " +
                 std::to_string(count))
                    .c_str());
  check(cudaSetDevice(device), "flame::cuda", "cudaSetDevice");
  detail::device_of_thread = device;
  detail::stream_of_thread = nullptr;
}
FLAME_FUNCTION stream_handle current_stream() { return detail::stream_of_thread; }
FLAME_FUNCTION void set_stream(stream_handle stream) { detail::stream_of_thread = stream; }
FLAME_FUNCTION void synchronize() {
  context& c = context::current();
  check(cudaStreamSynchronize(stream_now()), "flame::cuda", "cudaStreamSynchronize");
  c.report();
}

// ---- Memory ----

FLAME_FUNCTION memory_count memory_use() { return context::current().use(); }
FLAME_FUNCTION std::shared_ptr<std::byte> allocate(i64 bytes) {
  context& c = context::current();
  const cudaStream_t stream = stream_now();
  void* memory = c.take(bytes, stream, "flame::tensor");
  return {static_cast<std::byte*>(memory),
          [&c, bytes, stream](std::byte* p) { c.give_back(p, bytes, stream); }};
}
FLAME_FUNCTION void copy_to_device(void* to, const void* from, i64 bytes) {
  if (bytes > staging::least) return context::current().stage().send(to, from, bytes, stream_now());
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice, stream_now()),
        "flame::tensor", "cudaMemcpyAsync");
}
FLAME_FUNCTION void copy_to_host(void* to, const void* from, i64 bytes) {
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost, stream_now()),
        "flame::tensor", "cudaMemcpyAsync");
  synchronize();
}
FLAME_FUNCTION void copy_on_device(void* to, const void* from, i64 bytes) {
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, stream_now()),
        "flame::tensor", "cudaMemcpyAsync");
}
FLAME_FUNCTION void clear(void* to, i64 bytes) {
  check(cudaMemsetAsync(to, 0, static_cast<std::size_t>(bytes), stream_now()), "flame::tensor",
        "cudaMemsetAsync");
}
FLAME_FUNCTION void copy_strided(void* to, const void* from, const strided_copy& how) {
  cuda_kernels::axis_list<2> axes;
  for (int i = 0; i < how.rank; ++i) axes.push(how.extents[i], how.from_strides[i], how.to_strides[i]);
  const cuda_kernels::prepared_copy copy(axes, how.element);
  copy.run(context::current().kernels(), from, to, stream_now());
}

// ---- Programs ----

// One step: `run` takes the addresses of its tensors in their order, and workspace.
struct lowered_step {
  std::function<void(const std::vector<void*>& tensors, std::byte* workspace, cudaStream_t stream)> run;
  std::vector<std::string> names;  // kernels that it starts
  i64 workspace = 0;
};

namespace lowering {

// The address of tensor i is a multiple of this, as far as is known before the run.
inline int alignment_of(const program& p, const located& t, const std::vector<int>& externals) {
  if (t.buffer < 0) return 256;
  const buffer& b = p.buffers[t.buffer];
  return b.kind == buffer_kind::arena ? 64 : externals[static_cast<std::size_t>(t.buffer)];
}
inline std::string place_of(const program_step& s) {
  if (!s.function) return {};
  return " (in " + std::string(s.function->name.data, static_cast<std::size_t>(s.function->name.size)) + ")";
}

// What body(stream) starts on a stream, as a graph. The stream is its own: on one that threads share, the
// work of others would be captured too.
template <class F> cudaGraphExec_t capture(F&& body) {
  struct own_stream {
    cudaStream_t stream = nullptr;
    own_stream() {
      check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "flame::cuda",
            "cudaStreamCreateWithFlags");
    }
    ~own_stream() { cudaStreamDestroy(stream); }
  } const own;
  const cudaStream_t stream = own.stream;
  cudaGraph_t captured = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "flame::cuda",
        "cudaStreamBeginCapture");
  try {
    body(stream);
  } catch (...) {
    cudaStreamEndCapture(stream, &captured);
    if (captured) cudaGraphDestroy(captured);
    throw;
  }
  check(cudaStreamEndCapture(stream, &captured), "flame::cuda", "cudaStreamEndCapture");
  cudaGraphExec_t graph = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&graph, captured, 0);
  cudaGraphDestroy(captured);
  check(made, "flame::cuda", "cudaGraphInstantiate");
  return graph;
}

}  // namespace lowering

// The libraries' handles of one program, made when a step needs them: those of cuDNN serve one thread at a
// time, as a program does.
struct libraries {
  cuda_kernels::kernel_store& kernels;
  std::optional<cuda_kernels::blas> own_blas;
  std::optional<cuda_kernels::dnn> own_dnn;
  explicit libraries(cuda_kernels::kernel_store& k) : kernels(k) {}
  cuda_kernels::blas& blas() {
    if (!own_blas) own_blas.emplace(kernels);
    return *own_blas;
  }
  cuda_kernels::dnn* dnn() {
    if (!own_dnn) own_dnn.emplace();
    return &*own_dnn;
  }
};

inline lowered_step lower_group(const program_step& s, const std::vector<int>& alignments, context& c,
                                tuning t) {
  auto group = std::make_shared<cuda_kernels::prepared_group>(
      cuda_kernels::prepare(s, alignments, {c.multiprocessors(), t.packs, t.threads, t.blocks}));
  lowered_step r;
  r.workspace = group->workspace_bytes;
  for (const cuda_kernels::prepared_kernel& k : group->kernels) r.names.push_back(k.name);
  auto functions = std::make_shared<std::vector<const void*>>();
  r.run = [group, functions, &c](const std::vector<void*>& tensors, std::byte* workspace,
                                 cudaStream_t stream) {
    if (functions->empty())
      for (const cuda_kernels::prepared_kernel& k : group->kernels)
        functions->push_back(c.kernels().get(k.name));
    for (std::size_t i = 0; i < group->kernels.size(); ++i) {
      cuda_kernels::prepared_kernel& k = group->kernels[i];
      k.set(tensors, workspace);
      void* arguments[] = {k.arguments.data()};
      check(cudaLaunchKernel((*functions)[i], dim3(k.blocks, k.jobs), dim3(k.threads), arguments,
                             k.shared_bytes, stream),
            k.name.c_str(), "cudaLaunchKernel");
    }
  };
  return r;
}

inline lowered_step lower_library(const program_step& s, const std::vector<int>& alignments, context& c,
                                  libraries& libs) {
  lowered_step r;
  auto alignment = [&](std::size_t i) {
    const located& t = s.tensors[static_cast<int>(i)];
    return std::min<i64>(alignments[i], cuda_kernels::alignment_at(t.offset * size_of(t.element)));
  };
  switch (s.library) {
    case op::contract: {
      cuda_kernels::contraction_options options;
      options.alignment = {alignment(0), alignment(1), alignment(2)};
      auto x = std::make_shared<cuda_kernels::prepared_contraction>(
          libs.blas().prepare(library::contraction_of(s), options));
      r.names = x->names(), r.workspace = x->workspace();
      r.run = [x, &libs](const std::vector<void*>& t, std::byte* workspace, cudaStream_t stream) {
        libs.blas().run(*x, t[0], t[1], t[2], stream, workspace);
      };
      return r;
    }
    case op::conv:
    case op::conv_data:
    case op::conv_weight: {
      cuda_kernels::dnn_options options;
      options.alignment = std::min({alignment(0), alignment(1), alignment(2)});
      auto x = std::make_shared<cuda_kernels::prepared_convolution>(
          libs.dnn(), s.library, library::convolution_of(s), options, &libs.blas());
      r.names = x->names(), r.workspace = x->workspace();
      r.run = [x, &libs](const std::vector<void*>& t, std::byte* workspace, cudaStream_t stream) {
        x->run(libs.kernels, t[0], t[1], t[2], workspace, stream);
      };
      return r;
    }
    case op::pool_take:
    case op::pool_put:
    case op::pool_mean:
    case op::pool_mean_put: {
      auto x = std::make_shared<cuda_kernels::prepared_pooling>(s.library, library::pooling_of(s));
      const bool two = s.library == op::pool_take || s.library == op::pool_put;
      r.names = x->names();
      r.run = [x, two, &libs](const std::vector<void*>& t, std::byte*, cudaStream_t stream) {
        x->run(libs.kernels, t[0], two ? t[1] : nullptr, t[two ? 2 : 1], stream);
      };
      return r;
    }
    case op::gather:
    case op::scatter_add: {
      struct step_with_fault {
        context& c;
        u32 number = 0;
        std::optional<cuda_kernels::prepared_indexing> x;
        ~step_with_fault() { c.remove_step(number); }
      };
      auto f = std::make_shared<step_with_fault>(step_with_fault{c, 0, std::nullopt});
      step_with_fault* raw = f.get();
      const std::string place = lowering::place_of(s);
      f->number =
          c.add_step([raw, place](const kernel::fault& found) { return raw->x->fault_text(found) + place; });
      const bool gather = s.library == op::gather;
      f->x.emplace(s.library, library::indexing_of(s), f->number);
      r.names = f->x->names(), r.workspace = f->x->workspace();
      r.run = [f, gather, &c, &libs](const std::vector<void*>& t, std::byte* workspace, cudaStream_t stream) {
        f->x->run(libs.kernels, t[gather ? 0 : 1], t[gather ? 1 : 0], t[2], workspace, c.fault(), stream);
      };
      return r;
    }
    default:
      throw error(
          "flame::compile<cuda>: the cuda backend has no ",
          std::string(name_of(s.library).data, static_cast<std::size_t>(name_of(s.library).size)).c_str());
  }
}

struct executable::lowered {
  context& c;
  tuning asked;
  libraries libs;
  std::vector<lowered_step> steps;
  std::vector<int> alignments;  // of externals, as the steps were lowered for
  i64 workspace = 0;
  std::byte* arena = nullptr;
  i64 arena_bytes = 0;
  std::vector<std::byte*> base;
  std::vector<void*> tensors;
  // The program as one graph, for the memory that it last ran with.
  std::vector<void*> last;
  cudaGraphExec_t graph = nullptr;
  int runs = 0;

  lowered(context& context_, tuning t) : c(context_), asked(t), libs(context_.kernels()) {}
  ~lowered() {
    drop_graph();
    if (arena) c.give_back(arena, arena_bytes, c.stream());
  }
  lowered(const lowered&) = delete;
  lowered& operator=(const lowered&) = delete;
  void drop_graph() {
    if (graph) cudaGraphExecDestroy(graph);
    graph = nullptr;
  }

  void lower(const program& p) {
    drop_graph();
    steps.clear();
    workspace = 0;
    std::vector<std::string> names;
    for (const program_step& s : p.steps) {
      std::vector<int> given;
      for (const located& t : s.tensors) given.push_back(lowering::alignment_of(p, t, alignments));
      steps.push_back(s.code ? lower_group(s, given, c, asked) : lower_library(s, given, c, libs));
      names.insert(names.end(), steps.back().names.begin(), steps.back().names.end());
      workspace = std::max(workspace, steps.back().workspace);
    }
    libs.kernels.prepare(std::move(names));
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
  }
  [[nodiscard]] i64 bytes_of(const program& p) const { return (p.arena_bytes + 255) / 256 * 256 + workspace; }

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
      base[b] = at.kind == buffer_kind::arena ? arena + at.offset : static_cast<std::byte*>(externals[b]);
    }
  }
  void run_step(const program& p, int i, cudaStream_t stream) {
    const program_step& s = p.steps[i];
    tensors.clear();
    for (const located& t : s.tensors)
      tensors.push_back(t.zero ? c.zeros()
                        : t.buffer < 0
                            ? nullptr
                            : base[static_cast<std::size_t>(t.buffer)] + t.offset * size_of(t.element));
    steps[static_cast<std::size_t>(i)].run(tensors, arena + (p.arena_bytes + 255) / 256 * 256, stream);
  }
  void run_steps(const program& p, cudaStream_t stream) {
    for (int i = 0; i < p.steps.size(); ++i) run_step(p, i, stream);
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
  if (l.fit(program_, externals)) l.lower(program_), l.last.clear();
  const bool same = l.last == externals;
  if (same && l.graph) {
    check(cudaGraphLaunch(l.graph, stream), "flame::cuda", "cudaGraphLaunch");
    return;
  }
  if (!same) l.drop_graph(), l.runs = 0;
  l.last = externals;
  l.locate(program_, externals);
  // The first run loads what is loaded lazily; a program of few steps is as fast without a graph.
  if (++l.runs < 2 || program_.steps.size() < 3) return l.run_steps(program_, stream);
  l.graph = lowering::capture([&](cudaStream_t own) { l.run_steps(program_, own); });
  check(cudaGraphLaunch(l.graph, stream), "flame::cuda", "cudaGraphLaunch");
}

FLAME_FUNCTION std::vector<double> executable::time(const std::vector<void*>& externals, int repetitions) {
  lowered& l = *lowered_;
  const context::guard use(l.c.device());
  const cudaStream_t stream = stream_now();
  if (l.fit(program_, externals)) l.lower(program_);
  l.last.clear(), l.drop_graph();
  l.locate(program_, externals);
  l.run_steps(program_, stream);
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "flame::cuda", "cudaEventCreate");
  check(cudaEventCreate(&end), "flame::cuda", "cudaEventCreate");
  std::vector<double> milliseconds;
  for (int i = 0; i < program_.steps.size(); ++i) {
    const cudaGraphExec_t graph = lowering::capture([&](cudaStream_t own) {
      for (int k = 0; k < repetitions; ++k) l.run_step(program_, i, own);
    });
    check(cudaGraphLaunch(graph, stream), "flame::cuda", "cudaGraphLaunch");
    check(cudaEventRecord(begin, stream), "flame::cuda", "cudaEventRecord");
    check(cudaGraphLaunch(graph, stream), "flame::cuda", "cudaGraphLaunch");
    check(cudaEventRecord(end, stream), "flame::cuda", "cudaEventRecord");
    check(cudaEventSynchronize(end), "flame::cuda", "cudaEventSynchronize");
    float taken = 0;
    check(cudaEventElapsedTime(&taken, begin, end), "flame::cuda", "cudaEventElapsedTime");
    cudaGraphExecDestroy(graph);
    milliseconds.push_back(static_cast<double>(taken) / repetitions);
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return milliseconds;
}

}  // namespace flame::cuda_code
