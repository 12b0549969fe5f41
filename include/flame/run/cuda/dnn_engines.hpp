// cuDNN's engines for a graph of operations: found by its heuristics, made ready, run.
#pragma once
#include <flame/run/cuda/dnn_descriptor.hpp>
#include <flame/type/dtype.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace flame::cuda_kernels {

struct dnn_options {
  i64 most_workspace = i64{256} << 20;  // bytes
  i64 alignment = 16;                   // bytes to which the operands will be aligned
  int candidate = 0;                    // which of the engines that are allowed, the heuristic's best first
};

// An engine of cuDNN made ready for one graph and shape.
class dnn_plan {
 public:
  [[nodiscard]] i64 workspace() const { return workspace_; }
  [[nodiscard]] i64 alignment() const { return alignment_; }
  // "cuDNN engine 62".
  [[nodiscard]] const std::string& engine() const { return engine_; }

 private:
  friend class dnn_engines;
  explicit dnn_plan(dnn_descriptor plan) : plan_(std::move(plan)) {}
  dnn_descriptor plan_;
  i64 workspace_ = 0, alignment_ = 16;
  std::string engine_;
};

// A tensor of a graph, by the id that it has there, and its address: the device's, or of a number the host's.
struct dnn_operand {
  std::int64_t id;
  const void* address;
};

// cuDNN on the device that is current when it is made, or, without one, plans for a device that a text
// describes. One thread at a time.
class dnn_engines {
 public:
  dnn_engines() { check(cudnnCreate(&handle_), "cudnn", "cudnnCreate"); }
  // Plans that can be built and not run: what tests use where there is no GPU. json: cuDNN's text of a
  // device.
  explicit dnn_engines(const std::string& json)
      : device_(new dnn_descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "cudnn")) {
    device_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 static_cast<i64>(json.size() + 1), json.c_str());
    device_->finalize();
  }
  dnn_engines(const dnn_engines&) = delete;
  dnn_engines& operator=(const dnn_engines&) = delete;
  ~dnn_engines() {
    plans_.clear();
    device_.reset();
    if (handle_) cudnnDestroy(handle_);
  }

  // What make() returns, the plan of a graph or null, made once for each text.
  template <class Make> std::shared_ptr<const dnn_plan> once(const std::string& text, Make&& make) {
    if (auto found = plans_.find(text); found != plans_.end()) return found->second;
    return plans_[text] = make();
  }

  // Of the engines for a graph of these operations for which allowed(engine) holds and that need no more
  // workspace than the options say, the one at options.candidate; null where there are not so many.
  template <class Allowed>
  std::shared_ptr<const dnn_plan> find(const char* name,
                                       const std::vector<cudnnBackendDescriptor_t>& operations,
                                       const dnn_options& options, Allowed&& allowed) {
    dnn_descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, name);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<i64>(operations.size()), operations.data());
    if (handle_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
    if (!graph.try_finalize()) return nullptr;
    int left = options.candidate;
    for (cudnnBackendHeurMode_t how : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
      if (auto plan = first_allowed(name, graph, how, options, allowed, left)) return plan;
    return nullptr;
  }

  // Allocates no memory of the device, does not synchronise, and can be captured in a graph. workspace:
  // plan.workspace() bytes, aligned to 256.
  void run(const dnn_plan& plan, const char* name, const std::vector<dnn_operand>& operands, void* workspace,
           cudaStream_t stream) {
    if (!handle_) throw error(name, ": plans for a described device cannot run");
    check(cudnnSetStream(handle_, stream), name, "cudnnSetStream");
    std::vector<std::int64_t> ids;
    std::vector<void*> addresses;
    for (const dnn_operand& o : operands) {
      ids.push_back(o.id), addresses.push_back(const_cast<void*>(o.address));
    }
    const auto count = static_cast<i64>(operands.size());
    dnn_descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, name);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, addresses.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    pack.finalize();
    check(cudnnBackendExecute(handle_, plan.plan_.get(), pack.get()), name, "cudnnBackendExecute");
  }

 private:
  // The first of the heuristic's engines that is allowed, after `left` others.
  template <class Allowed>
  std::shared_ptr<const dnn_plan> first_allowed(const char* name, const dnn_descriptor& graph,
                                                cudnnBackendHeurMode_t how, const dnn_options& options,
                                                Allowed&& allowed, int& left) {
    dnn_descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, name);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &how);
    if (device_) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device_);
    if (!heuristic.try_finalize()) return nullptr;
    const i64 count = heuristic.get<cudnnBackendDescriptor_t>(CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
    std::vector<dnn_descriptor> configurations;
    std::vector<cudnnBackendDescriptor_t> handles;
    for (i64 i = 0; i < count; ++i) {
      configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, name);
      handles.push_back(configurations.back().get());
    }
    const i64 found =
        heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, handles.data());
    for (i64 i = 0; i < found; ++i) {
      dnn_descriptor& configuration = configurations[static_cast<std::size_t>(i)];
      dnn_descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR, name);
      cudnnBackendDescriptor_t one = engine.get();
      configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one);
      if (!allowed(engine)) continue;
      dnn_descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, name);
      if (handle_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
      if (device_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device_);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      if (!plan.try_finalize()) continue;
      std::int64_t bytes = 0, number = 0;
      plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes);
      if (bytes > options.most_workspace || left-- > 0) continue;
      engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number);
      std::shared_ptr<dnn_plan> to(new dnn_plan(std::move(plan)));
      to->workspace_ = bytes, to->alignment_ = options.alignment;
      to->engine_ = std::string("cuDNN engine ").append(std::to_string(number));
      return to;
    }
    return nullptr;
  }

  cudnnHandle_t handle_ = nullptr;
  std::unique_ptr<dnn_descriptor> device_;
  std::map<std::string, std::shared_ptr<const dnn_plan>> plans_;
};

// Whether an engine gives the same bits at every run and sums in f32.
[[nodiscard]] inline bool deterministic_and_exact(const dnn_descriptor& engine, dtype element) {
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  const i64 count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                               CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes);
  for (i64 i = 0; i < count; ++i) switch (notes[i]) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      case CUDNN_NUMERICAL_NOTE_FFT:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return false;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        if (element == dtype::f32) return false;
        break;
      case CUDNN_NUMERICAL_NOTE_WINOGRAD:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
        if (element != dtype::f32) return false;
        break;
      default: break;
    }
  return true;
}

}  // namespace flame::cuda_kernels
