// Convolutions by cuDNN's backend API, in NHWC.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/direct_convolution.hpp>
#include <flame/run/cuda/dnn_engines.hpp>

namespace flame::cuda_kernels {

// cuDNN with its convolutions.
class dnn : public dnn_engines {
 public:
  using dnn_engines::dnn_engines;

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
    auto plan = once(text_of(operation, c, options), [&] { return build(operation, c, options); });
    if (!plan) refusal = "cuDNN has no engine for it that is deterministic and exact enough";
    return plan;
  }

  // out from a and b: conv (x, w) -> y, conv_data (dy, w) -> dx, conv_weight (x, dy) -> dw. Allocates no
  // memory of the device, does not synchronise, and can be captured in a graph. workspace: plan.workspace()
  // bytes, aligned to 256.
  void run(const dnn_plan& plan, const void* a, const void* b, void* out, void* workspace,
           cudaStream_t stream) {
    for (const void* operand : {a, b, static_cast<const void*>(out)})
      if (!aligned(operand, plan.alignment()))
        throw error(std::string("conv: an operand is not aligned to ")
                        .append(std::to_string(plan.alignment()))
                        .append(" bytes, as was said when it was prepared"));
    dnn_engines::run(plan, "conv", {{id_a, a}, {id_b, b}, {id_out, out}}, workspace, stream);
  }

  // All that a plan depends on.
  [[nodiscard]] static std::string text_of(op operation, const library::convolution& c,
                                           const dnn_options& options) {
    std::string text = std::string(convolution_name(operation)).append(" ").append(name_of(c.element));
    for (i64 n : {c.batch, c.height, c.width, c.in, c.out_height, c.out_width, c.out, c.kernel_h, c.kernel_w,
                  c.stride_h, c.stride_w, c.pad_h, c.pad_w, c.dilation_h, c.dilation_w, c.groups,
                  options.most_workspace, options.alignment, static_cast<i64>(options.candidate)})
      text.append(" ").append(std::to_string(n));
    return text;
  }

 private:
  static constexpr std::int64_t id_a = 'a', id_b = 'b', id_out = 'o';

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

    return find(name, {node.get()}, options,
                [&](const dnn_descriptor& engine) { return deterministic_and_exact(engine, c.element); });
  }
};

}  // namespace flame::cuda_kernels
