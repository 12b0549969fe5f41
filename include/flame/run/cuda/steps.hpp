// One step of a program on a GPU: a fused group's kernels, or a call of a library, prepared once and run
// often.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/choices.hpp>
#include <flame/run/cuda/group.hpp>
#include <flame/run/cuda/library.hpp>

#include <optional>

namespace flame::cuda_code {

// One step: `run` takes the addresses of its tensors in their order, and workspace.
struct lowered_step {
  std::function<void(const std::vector<void*>& tensors, std::byte* workspace, cudaStream_t stream)> run;
  std::vector<std::string> names;  // kernels that it starts, or tries when it chooses
  i64 workspace = 0;
  bool own = false;  // its first kernel is FLAME's, which waits for others by itself (kernel::begin_kernel)
  // Where there are several ways and no choice is kept: times them and sets the rest. The kernels of `names`
  // are ready then.
  std::function<void(lowered_step&, trial&)> choose;
};

namespace lowering {

inline std::string place_of(const program_step& s) {
  if (!s.function) return {};
  return " (in " + std::string(s.function->name.data, static_cast<std::size_t>(s.function->name.size)) + ")";
}

// A step that may find a fault, which the context then says in its words.
template <class Prepared> struct step_with_fault {
  context& c;
  u32 number = 0;
  std::optional<Prepared> x = {};

  step_with_fault(context& on, const program_step& s) : c(on) {
    number = c.add_step(
        [this, place = place_of(s)](const kernel::fault& found) { return x->fault_text(found) + place; });
  }
  step_with_fault(const step_with_fault&) = delete;
  step_with_fault& operator=(const step_with_fault&) = delete;
  ~step_with_fault() { c.remove_step(number); }
};

}  // namespace lowering

// The libraries' handles of one program, made when a step needs them: those of cuDNN serve one thread at a
// time, as a program does.
struct libraries {
  context& c;
  cuda_kernels::kernel_store& kernels;
  std::optional<cuda_kernels::blas> own_blas;
  std::optional<cuda_kernels::dnn> own_dnn;
  explicit libraries(context& on) : c(on), kernels(on.kernels()) {}
  cuda_kernels::blas& blas() {
    if (!own_blas) own_blas.emplace(kernels);
    return *own_blas;
  }
  cuda_kernels::dnn* dnn() {
    if (!own_dnn) own_dnn.emplace();
    return &*own_dnn;
  }
};

// What a device's programs have chosen. Devices of one kind choose once, so that they give the same bits.
inline choices& choices_of(const context& c) {
  static std::mutex lock;
  static auto* of_device = new std::map<int, choices*>;
  static auto* of_kind = new std::map<std::string, std::unique_ptr<choices>>;
  const std::lock_guard hold(lock);
  choices*& found = (*of_device)[c.device()];
  if (!found) {
    cudaDeviceProp device{};
    check(cudaGetDeviceProperties(&device, c.device()), "flame::cuda", "cudaGetDeviceProperties");
    const std::string kind = std::string(device.name) + " cublas " + cuda_kernels::blas_version() +
                             " cudnn " + cuda_kernels::dnn_version();
    std::unique_ptr<choices>& same = (*of_kind)[kind];
    if (!same) same = std::make_unique<choices>(kind);
    found = same.get();
  }
  return *found;
}

// Bytes that a step's operands take, each from its first element to its last.
inline std::vector<i64> operand_bytes(const program_step& s) {
  std::vector<i64> bytes;
  for (const located& t : s.tensors) {
    const located::reach r = t.bytes();
    bytes.push_back(std::max<i64>(r.high - r.low, 1));
  }
  return bytes;
}

// Microseconds of a prepared step on memory of the trial's; negative where it cannot run, or there is too
// little memory to try.
template <class Run> double time_step(trial& on, const program_step& s, i64 workspace, Run&& run) try {
  std::vector<i64> bytes = operand_bytes(s);
  bytes.push_back(std::max<i64>(workspace, 1));
  const std::vector<void*> at = on.parts(bytes);
  if (at.empty()) return -1;
  return on.microseconds([&](cudaStream_t stream) { run(at, at.back(), stream); });
} catch (const error&) {
  return -1;  // a way that the library offers and then refuses
}

// What cudaLaunchKernel takes; allowed the shared memory that it needs.
inline const void* function_of(context& c, const cuda_kernels::prepared_kernel& k) {
  const void* function = c.kernels().get(k.name);
  if (k.shared_bytes > 48 * 1024)
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(k.shared_bytes)),
          k.name.c_str(), "cudaFuncSetAttribute");
  return function;
}

inline lowered_step lower_group(const program_step& s, const std::vector<int>& alignments, context& c,
                                tuning t) {
  auto group = std::make_shared<cuda_kernels::prepared_group>(
      cuda_kernels::prepare(s, alignments,
                            {c.multiprocessors(), c.kernels().architecture(), c.shared_bytes(), t.packs,
                             t.threads, t.blocks, t.stages, t.cluster, t.vector}));
  lowered_step r;
  r.workspace = group->workspace_bytes, r.own = true;
  for (const cuda_kernels::prepared_kernel& k : group->kernels) r.names.push_back(k.name);
  auto functions = std::make_shared<std::vector<const void*>>();
  r.run = [group, functions, &c](const std::vector<void*>& tensors, std::byte* workspace,
                                 cudaStream_t stream) {
    if (functions->empty())
      for (const cuda_kernels::prepared_kernel& k : group->kernels) functions->push_back(function_of(c, k));
    for (std::size_t i = 0; i < group->kernels.size(); ++i) {
      cuda_kernels::prepared_kernel& k = group->kernels[i];
      k.set(tensors, workspace);
      void* arguments[] = {k.arguments.data()};
      check(
          cuda_kernels::start_kernel((*functions)[i], dim3(k.blocks, k.jobs), dim3(k.threads), k.shared_bytes,
                                     arguments, stream, k.cluster, i > 0 && c.starts_early()),
          k.name.c_str(), "cudaLaunchKernel");
    }
  };
  return r;
}

// Whether a step copies what waits in the host's memory there or back (plan/offload.hpp).
inline bool is_waiting(const program& p, const program_step& s) {
  for (const located& t : s.tensors)
    if (t.buffer >= 0 && p.buffers[t.buffer].kind == buffer_kind::aside) return true;
  return false;
}
// By a copy engine, beside what computes.
inline lowered_step lower_waiting(const program_step& s) {
  lowered_step r;
  const auto bytes = static_cast<std::size_t>(s.tensors[0].elements());
  r.run = [bytes](const std::vector<void*>& t, std::byte*, cudaStream_t stream) {
    check(cudaMemcpyAsync(t[1], t[0], bytes, cudaMemcpyDefault, stream),
          "flame::compile<cuda>, keep::offload", "cudaMemcpyAsync");
  };
  return r;
}

// prepare(way): the step that way; names: of all ways.
template <class Prepare, class Run>
void choose_way(lowered_step& r, const program_step& s, choices& from, const std::string& problem, int ways,
                std::vector<std::string> names, Prepare prepare, Run run) {
  auto settle = [=](lowered_step& to, int way) {
    const auto x = prepare(way);
    to.names = x->names(), to.workspace = x->workspace(), to.own = x->own();
    to.run = [x, run](const std::vector<void*>& t, std::byte* workspace, cudaStream_t stream) {
      run(*x, t, workspace, stream);
    };
  };
  if (!from.undecided(problem, ways)) return settle(r, from.kept(problem, ways));
  r.names = std::move(names);
  r.choose = [=, &s, &from](lowered_step& to, trial& on) {
    settle(to, from.choose(problem, ways, [&](int way) {
      try {
        const auto x = prepare(way);
        return time_step(on, s, x->workspace(),
                         [&](const std::vector<void*>& t, void* workspace, cudaStream_t stream) {
                           run(*x, t, static_cast<std::byte*>(workspace), stream);
                         });
      } catch (const error&) {
        return -1.0;  // as a way that is offered and then refused
      }
    }));
  };
}

inline lowered_step lower_library(const program_step& s, const std::vector<int>& alignments,
                                  libraries& libs) {
  lowered_step r;
  context& c = libs.c;
  constexpr int most_engines = 6;
  cuda_kernels::contraction_options product_options;
  product_options.most_candidates = 16;
  product_options.architecture = c.kernels().architecture();
  product_options.multiprocessors = c.multiprocessors();
  auto alignment = [&](std::size_t i) {
    return cuda_kernels::tensor_alignment(alignments[i], s.tensors[static_cast<int>(i)]);
  };
  switch (s.library) {
    case op::contract: {
      cuda_kernels::contraction_options options = product_options;
      const auto result = static_cast<std::size_t>(s.tensors.size() - 1);
      const library::contraction what = library::contraction_of(s);
      options.alignment = {alignment(0), alignment(1), alignment(result), what.biased ? alignment(2) : 16};
      const cuda_kernels::prepared_contraction first = libs.blas().prepare(what, options);
      choose_way(
          r, s, choices_of(c), first.problem(), first.candidates(), first.names_of_all(),
          [what, options, &libs](int way) {
            cuda_kernels::contraction_options one = options;
            one.candidate = way;
            return std::make_shared<cuda_kernels::prepared_contraction>(libs.blas().prepare(what, one));
          },
          [&libs, result, biased = what.biased](const cuda_kernels::prepared_contraction& x,
                                                const std::vector<void*>& t, std::byte* workspace,
                                                cudaStream_t stream) {
            void* bias = biased ? t[2] : nullptr;
            libs.blas().run(x, t[0], t[1], t[result], stream, workspace, bias);
          });
      return r;
    }
    case op::conv:
    case op::conv_data:
    case op::conv_weight: {
      cuda_kernels::dnn_options options;
      options.alignment = std::min({alignment(0), alignment(1), alignment(2)});
      using cuda_kernels::prepared_convolution;
      const library::convolution what = library::convolution_of(s);
      const op operation = s.library;
      choose_way(
          r, s, choices_of(c), prepared_convolution::problem(operation, what, options),
          prepared_convolution::ways(libs.dnn(), operation, what, options, &libs.blas(), product_options,
                                     most_engines),
          prepared_convolution::names_of_all(operation, what, options, libs.blas(), product_options),
          [operation, what, options, product_options, &libs](int way) {
            return std::make_shared<prepared_convolution>(libs.dnn(), operation, what, options, &libs.blas(),
                                                          product_options, way);
          },
          [&libs](const prepared_convolution& x, const std::vector<void*>& t, std::byte* workspace,
                  cudaStream_t stream) { x.run(libs.kernels, t[0], t[1], t[2], workspace, stream); });
      return r;
    }
    case op::pool_take:
    case op::pool_put:
    case op::pool_mean:
    case op::pool_mean_put: {
      auto x = std::make_shared<cuda_kernels::prepared_pooling>(s.library, library::pooling_of(s));
      const bool two = s.library == op::pool_take || s.library == op::pool_put;
      r.names = x->names(), r.own = true;
      r.run = [x, two, &libs](const std::vector<void*>& t, std::byte*, cudaStream_t stream) {
        x->run(libs.kernels, t[0], two ? t[1] : nullptr, t[two ? 2 : 1], stream);
      };
      return r;
    }
    case op::gather:
    case op::scatter_add: {
      auto f = std::make_shared<lowering::step_with_fault<cuda_kernels::prepared_indexing>>(c, s);
      const bool gather = s.library == op::gather;
      f->x.emplace(s.library, library::indexing_of(s), f->number);
      r.names = f->x->names(), r.workspace = f->x->workspace(), r.own = true;
      r.run = [f, gather, &c, &libs](const std::vector<void*>& t, std::byte* workspace, cudaStream_t stream) {
        f->x->run(libs.kernels, t[gather ? 0 : 1], t[gather ? 1 : 0], t[2], workspace, c.fault(), stream);
      };
      return r;
    }
    case op::in_range: {
      auto f = std::make_shared<lowering::step_with_fault<cuda_kernels::prepared_range>>(c, s);
      const library::range_check what = library::range_check_of(s);
      f->x.emplace(what, f->number);
      r.names = f->x->names(), r.own = true;
      r.run = [f, given = what.ignores == library::range_check::ignoring::operand, &c, &libs](
                  const std::vector<void*>& t, std::byte*, cudaStream_t stream) {
        f->x->run(libs.kernels, t[0], given ? t[1] : nullptr, t[given ? 2 : 1], c.fault(), stream);
      };
      return r;
    }
    case op::cumsum:
    case op::top: {
      auto x = std::make_shared<cuda_kernels::prepared_ordering>(s.library, library::ordering_of(s));
      r.names = x->names(), r.workspace = x->workspace(), r.own = true;
      r.run = [x, &libs](const std::vector<void*>& t, std::byte* workspace, cudaStream_t stream) {
        x->run(libs.kernels, t[0], t[1], workspace, stream);
      };
      return r;
    }
    case op::attend:
    case op::attend_statistics:
    case op::attend_query:
    case op::attend_key:
    case op::attend_value: {
      std::vector<i64> aligned_to;
      for (std::size_t i = 0; i < alignments.size(); ++i) aligned_to.push_back(alignment(i));
      using cuda_kernels::prepared_attention;
      const library::attention what = library::attention_of(s);
      const bool deterministic = choices::deterministic();
      const int architecture = c.kernels().architecture();
      auto prepare = [what, aligned_to, architecture, deterministic, &libs](int way) {
        return std::make_shared<prepared_attention>(way ? libs.dnn() : nullptr, what, aligned_to,
                                                    architecture, deterministic, way);
      };
      choose_way(r, s, choices_of(c), prepared_attention::problem(what, aligned_to, deterministic),
                 prepared_attention::ways(what, aligned_to, deterministic), prepare(0)->names(), prepare,
                 [&libs](const prepared_attention& x, const std::vector<void*>& t, std::byte* workspace,
                         cudaStream_t stream) { x.run(libs.kernels, t, workspace, stream); });
      return r;
    }
    default:
      throw error(
          "flame::compile<cuda>: the cuda backend has no ",
          std::string(name_of(s.library).data, static_cast<std::size_t>(name_of(s.library).size)).c_str());
  }
}

}  // namespace flame::cuda_code
