// Convolutions by cuDNN's backend API, in NHWC. The one header that includes cudnn.h.
#pragma once
#include <cudnn.h>

#include <flame/plan/library.hpp>
#include <flame/run/cuda/check.hpp>
#include <flame/run/cuda/direct_convolution.hpp>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

namespace flame::cuda_kernels {

inline void check(cudnnStatus_t status, const char* operation, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char more[512] = {};
  cudnnGetLastErrorString(more, sizeof more);
  const std::string words = std::string(cudnnGetErrorString(status)).append(more[0] ? ": " : "").append(more);
  throw_failed(operation, call, words.c_str(), static_cast<int>(status));
}

// A descriptor of the backend API.
class dnn_descriptor {
 public:
  dnn_descriptor(cudnnBackendDescriptorType_t type, const char* operation) : operation_(operation) {
    check(cudnnBackendCreateDescriptor(type, &descriptor_), operation, "cudnnBackendCreateDescriptor");
  }
  dnn_descriptor(dnn_descriptor&& other) noexcept
      : operation_(other.operation_), descriptor_(other.descriptor_) {
    other.descriptor_ = nullptr;
  }
  dnn_descriptor(const dnn_descriptor&) = delete;
  dnn_descriptor& operator=(const dnn_descriptor&) = delete;
  ~dnn_descriptor() {
    if (descriptor_) cudnnBackendDestroyDescriptor(descriptor_);
  }

  [[nodiscard]] cudnnBackendDescriptor_t get() const { return descriptor_; }

  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, i64 count,
           const Value* values) {
    check(cudnnBackendSetAttribute(descriptor_, name, type, count, values), operation_,
          "cudnnBackendSetAttribute");
  }
  void set(cudnnBackendAttributeName_t name, const dnn_descriptor& value) {
    const cudnnBackendDescriptor_t one = value.get();
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one);
  }
  void finalize() { check(cudnnBackendFinalize(descriptor_), operation_, "cudnnBackendFinalize"); }
  // Whether it could be finalized: what says no is asked for nothing more.
  [[nodiscard]] bool try_finalize() { return cudnnBackendFinalize(descriptor_) == CUDNN_STATUS_SUCCESS; }

  // How many values there are, at most `count` of them read.
  template <class Value>
  i64 get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, i64 count,
          Value* values) const {
    std::int64_t found = 0;
    check(cudnnBackendGetAttribute(descriptor_, name, type, count, &found, values), operation_,
          "cudnnBackendGetAttribute");
    return found;
  }

 private:
  const char* operation_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

struct dnn_options {
  i64 most_workspace = i64{256} << 20;  // bytes
  i64 alignment = 16;                   // bytes to which the operands will be aligned
  int candidate = 0;                    // which of the engines that are allowed, the heuristic's best first
};

// An engine of cuDNN made ready for one operation and shape.
class dnn_plan {
 public:
  [[nodiscard]] i64 workspace() const { return workspace_; }
  // "cuDNN engine 62".
  [[nodiscard]] const std::string& engine() const { return engine_; }

 private:
  friend class dnn;
  explicit dnn_plan(dnn_descriptor plan) : plan_(std::move(plan)) {}
  dnn_descriptor plan_;
  i64 workspace_ = 0, alignment_ = 16;
  std::string engine_;
};

[[nodiscard]] inline std::string dnn_version() { return std::to_string(cudnnGetVersion()); }

// cuDNN on the device that is current when it is made, or, without one, plans for a device that a text
// describes. One thread at a time.
class dnn {
 public:
  dnn() { check(cudnnCreate(&handle_), "conv", "cudnnCreate"); }
  // Plans that can be built and not run: what tests use where there is no GPU. json: cuDNN's text of a
  // device.
  explicit dnn(const std::string& json)
      : device_(new dnn_descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "conv")) {
    device_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 static_cast<i64>(json.size() + 1), json.c_str());
    device_->finalize();
  }
  dnn(const dnn&) = delete;
  dnn& operator=(const dnn&) = delete;
  ~dnn() {
    plans_.clear();
    device_.reset();
    if (handle_) cudnnDestroy(handle_);
  }

  // The plan of conv, conv_data or conv_weight, made once for each shape; null where cuDNN has none that is
  // allowed, with the reason in `refusal`. f32 (no TF32, no other tensor-core or rounded arithmetic), bf16
  // and f16, summed in f32. Engines that need not give the same bits at every run, that compute by Fourier
  // transforms or, for half types, by Winograd's, are left out. f64, empty extents, and outputs of another
  // size than cuDNN's formula gives are refused.
  std::shared_ptr<const dnn_plan> prepare(op operation, const library::convolution& c, std::string& refusal,
                                          const dnn_options& options = {}) {
    check_convolution(operation, c);
    refusal = refused(operation, c);
    if (!refusal.empty()) return nullptr;
    const key k = {operation,
                   c.element,
                   c.batch,
                   c.height,
                   c.width,
                   c.in,
                   c.out_height,
                   c.out_width,
                   c.out,
                   c.kernel_h,
                   c.kernel_w,
                   c.stride_h,
                   c.stride_w,
                   c.pad_h,
                   c.pad_w,
                   c.dilation_h,
                   c.dilation_w,
                   c.groups,
                   options.most_workspace,
                   options.alignment,
                   options.candidate};
    if (auto found = plans_.find(k); found != plans_.end()) {
      if (!found->second) refusal = no_engine;
      return found->second;
    }
    auto plan = build(operation, c, options);
    if (!plan) refusal = no_engine;
    return plans_[k] = plan;
  }

  // out from a and b: conv (x, w) -> y, conv_data (dy, w) -> dx, conv_weight (x, dy) -> dw. Allocates no
  // memory of the device, does not synchronise, and can be captured in a graph. workspace: plan.workspace()
  // bytes, aligned to 256.
  void run(const dnn_plan& plan, const void* a, const void* b, void* out, void* workspace,
           cudaStream_t stream) {
    if (!handle_) throw error("conv: plans for a described device cannot run");
    for (const void* operand : {a, b, static_cast<const void*>(out)})
      if (!aligned(operand, plan.alignment_))
        throw error(std::string("conv: an operand is not aligned to ")
                        .append(std::to_string(plan.alignment_))
                        .append(" bytes, as was said when it was prepared"));
    check(cudnnSetStream(handle_, stream), "conv", "cudnnSetStream");
    dnn_descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "conv");
    const std::int64_t ids[] = {id_a, id_b, id_out};
    void* pointers[] = {const_cast<void*>(a), const_cast<void*>(b), out};
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    pack.finalize();
    check(cudnnBackendExecute(handle_, plan.plan_.get(), pack.get()), "conv", "cudnnBackendExecute");
  }

 private:
  static constexpr std::int64_t id_a = 'a', id_b = 'b', id_out = 'o';
  static constexpr const char* no_engine =
      "cuDNN has no engine for it that is deterministic and exact enough";
  using key = std::tuple<op, dtype, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64,
                         i64, i64, i64, int>;

  static std::string refused(op operation, const library::convolution& c) {
    // Measured on an H200: engine 61 errs four times as far as rounding each operation.
    if (operation == op::conv_weight && c.groups > 1 && c.element != dtype::f32)
      return "cuDNN's weight gradient in groups is too inexact in 16 bits";
    if (c.element == dtype::f64) return "cuDNN is not asked for f64";
    if (c.batch * c.height * c.width * c.in * c.out_height * c.out_width * c.out * c.kernel_h * c.kernel_w ==
        0)
      return "an extent is 0";
    auto expected = [](i64 extent, i64 pad, i64 kernel, i64 dilation, i64 stride) {
      return (extent + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
    };
    if (c.pad_h < 0 || c.pad_w < 0) return "a padding is negative";
    if (expected(c.height, c.pad_h, c.kernel_h, c.dilation_h, c.stride_h) != c.out_height ||
        expected(c.width, c.pad_w, c.kernel_w, c.dilation_w, c.stride_w) != c.out_width)
      return "the output's extents are not those of cuDNN's formula";
    return {};
  }

  static dnn_descriptor tensor(const char* operation, std::int64_t id, dtype element, i64 alignment, i64 n,
                               i64 c, i64 h, i64 w) {
    dnn_descriptor to(CUDNN_BACKEND_TENSOR_DESCRIPTOR, operation);
    const cudnnDataType_t type = element == dtype::f32    ? CUDNN_DATA_FLOAT
                                 : element == dtype::bf16 ? CUDNN_DATA_BFLOAT16
                                                          : CUDNN_DATA_HALF;
    const std::int64_t extents[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c}, bytes = alignment;
    to.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    to.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    to.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents);
    to.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    to.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &bytes);
    to.finalize();
    return to;
  }

  std::shared_ptr<const dnn_plan> build(op operation, const library::convolution& c,
                                        const dnn_options& options) {
    const char* name = convolution_name(operation);
    const std::int64_t id_x = operation == op::conv_data ? id_out : id_a,
                       id_w = operation == op::conv_weight ? id_out : id_b,
                       id_y = operation == op::conv        ? id_out
                              : operation == op::conv_data ? id_a
                                                           : id_b;
    const dnn_descriptor x = tensor(name, id_x, c.element, options.alignment, c.batch, c.in, c.height,
                                    c.width),
                         w = tensor(name, id_w, c.element, options.alignment, c.out, c.in / c.groups,
                                    c.kernel_h, c.kernel_w),
                         y = tensor(name, id_y, c.element, options.alignment, c.batch, c.out, c.out_height,
                                    c.out_width);

    dnn_descriptor geometry(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, name);
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const std::int64_t two = 2, pads[] = {c.pad_h, c.pad_w}, dilations[] = {c.dilation_h, c.dilation_w},
                       strides[] = {c.stride_h, c.stride_w};
    geometry.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    geometry.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    geometry.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    geometry.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    geometry.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    geometry.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations);
    geometry.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    geometry.finalize();

    struct names {
      cudnnBackendDescriptorType_t type;
      cudnnBackendAttributeName_t x, w, y, geometry, alpha, beta;
    };
    static constexpr names forward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    static constexpr names data = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    static constexpr names weight = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    const names& n = operation == op::conv ? forward : operation == op::conv_data ? data : weight;
    const float one = 1, zero = 0;
    dnn_descriptor node(n.type, name);
    node.set(n.x, x), node.set(n.w, w), node.set(n.y, y), node.set(n.geometry, geometry);
    node.set(n.alpha, CUDNN_TYPE_FLOAT, 1, &one), node.set(n.beta, CUDNN_TYPE_FLOAT, 1, &zero);
    if (!node.try_finalize()) return nullptr;

    dnn_descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, name);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, node);
    if (handle_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
    if (!graph.try_finalize()) return nullptr;

    int left = options.candidate;
    for (cudnnBackendHeurMode_t how : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
      if (auto plan = first_allowed(name, c.element, graph, how, options, left)) return plan;
    return nullptr;
  }

  // The first of the heuristic's engines that is allowed, after `left` others.
  std::shared_ptr<const dnn_plan> first_allowed(const char* name, dtype element, const dnn_descriptor& graph,
                                                cudnnBackendHeurMode_t how, const dnn_options& options,
                                                int& left) {
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
      if (!allowed(engine, element)) continue;
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

  static bool allowed(const dnn_descriptor& engine, dtype element) {
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

  cudnnHandle_t handle_ = nullptr;
  std::unique_ptr<dnn_descriptor> device_;
  std::map<key, std::shared_ptr<const dnn_plan>> plans_;
};

}  // namespace flame::cuda_kernels
