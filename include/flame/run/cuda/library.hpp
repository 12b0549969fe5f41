// How CUDA runs library steps: contractions, convolutions, pooling and indexing, each prepared once and run
// often.
#pragma once
#include <flame/run/cuda/attention.hpp>
#include <flame/run/cuda/blas.hpp>
#include <flame/run/cuda/dnn.hpp>
#include <flame/run/cuda/indexing.hpp>
#include <flame/run/cuda/ordering.hpp>
#include <flame/run/cuda/pooling.hpp>
#include <flame/run/cuda/range.hpp>
#include <flame/run/cuda/unfolded_convolution.hpp>
#include <optional>

namespace flame::cuda_kernels {

// conv, conv_data or conv_weight: by cuDNN where it has engines that are deterministic and exact enough
// (dnn.hpp), by a product of matrices where that is possible, and where neither is, by FLAME's own kernel,
// which takes everything. engine() says which, and why.
class prepared_convolution {
 public:
  // cudnn may be null: then FLAME's own kernel it is; with blas, gradients of weights may be products of
  // matrices, as `product` says. way: which of the ways that there are, the one that is the best as a rule
  // first; beyond the last, FLAME's own kernel. Throws flame::error for other element types, and groups that
  // do not divide the channels.
  prepared_convolution(dnn* cudnn, op operation, const library::convolution& c, dnn_options options = {},
                       blas* with = nullptr, const contraction_options& product = {}, int way = 0)
      : cudnn_(cudnn) {
    check_convolution(operation, c);
    const int products = products_of(operation, c, options, with, product);
    if (way < products) {
      unfolded_.emplace(*with, c, product_options(options, product, way));
      engine_ = unfolded_->engine();
      return;
    }
    options.candidate = way - products;
    std::string refusal = "there is no cuDNN";
    if (cudnn) plan_ = cudnn->prepare(operation, c, refusal, options);
    if (plan_) {
      engine_ = plan_->engine();
    } else {
      direct_.emplace(operation, c);
      engine_ = std::string("kernel ").append(convolution_name(operation)).append(": ").append(refusal);
    }
  }

  // How many ways there are, at most so many engines of cuDNN among them.
  [[nodiscard]] static int ways(dnn* cudnn, op operation, const library::convolution& c, dnn_options options,
                                blas* with, const contraction_options& product, int most_engines) {
    const int before = products_of(operation, c, options, with, product);
    std::string refusal;
    int engines = 0;
    for (; cudnn && engines < most_engines; ++engines) {
      options.candidate = engines;
      if (!cudnn->prepare(operation, c, refusal, options)) break;
    }
    return before + engines > 0 ? before + engines : 1;
  }
  // All that the choice of a way depends on.
  [[nodiscard]] static std::string problem(op operation, const library::convolution& c,
                                           const dnn_options& options) {
    std::string text = std::string(convolution_name(operation)).append(" ").append(name_of(c.element));
    for (i64 n :
         {c.batch, c.height, c.width, c.in, c.out_height, c.out_width, c.out, c.kernel_h, c.kernel_w,
          c.stride_h, c.stride_w, c.pad_h, c.pad_w, c.dilation_h, c.dilation_w, c.groups, options.alignment})
      text.append(" ").append(std::to_string(n));
    return text;
  }

  // Kernels of FLAME's own that one way or another would start, but for the one that takes everything.
  [[nodiscard]] static std::vector<std::string> names_of_all(op operation, const library::convolution& c,
                                                             const dnn_options& options, blas& with,
                                                             const contraction_options& product) {
    if (!unfolded_convolution::takes(operation, c)) return {};
    return unfolded_convolution(with, c, product_options(options, product, 0)).names_of_all();
  }
  // Bytes that run needs, aligned to 256.
  [[nodiscard]] i64 workspace() const {
    return unfolded_ ? unfolded_->workspace() : plan_ ? plan_->workspace() : direct_->workspace();
  }
  // Kernels of FLAME's own that it may start.
  [[nodiscard]] std::vector<std::string> names() const {
    return unfolded_ ? unfolded_->names() : direct_ ? direct_->names() : std::vector<std::string>{};
  }
  // How it is done, in words, for explain.
  [[nodiscard]] const std::string& engine() const { return engine_; }
  // Whether what it starts first is a kernel of FLAME's own.
  [[nodiscard]] bool own() const { return !plan_; }

  // conv (x, w) -> y, conv_data (dy, w) -> dx, conv_weight (x, dy) -> dw. Allocates no memory of the device,
  // does not synchronise, and can be captured in a graph.
  void run(launcher& start, const void* a, const void* b, void* out, void* workspace,
           cudaStream_t stream) const {
    if (unfolded_)
      unfolded_->run(start, a, b, out, workspace, stream);
    else if (plan_)
      cudnn_->run(*plan_, a, b, out, workspace, stream);
    else
      direct_->run(start, a, b, out, workspace, stream);
  }

 private:
  static contraction_options product_options(const dnn_options& options, contraction_options product,
                                             int candidate) {
    product.alignment.a = product.alignment.out = options.alignment;
    product.candidate = candidate;
    return product;
  }
  // How many ways there are to do it by a product of matrices.
  static int products_of(op operation, const library::convolution& c, const dnn_options& options, blas* with,
                         const contraction_options& product) {
    if (!with || !unfolded_convolution::takes(operation, c)) return 0;
    return std::max(unfolded_convolution(*with, c, product_options(options, product, 0)).candidates(), 1);
  }

  dnn* cudnn_;
  std::shared_ptr<const dnn_plan> plan_;
  std::optional<direct_convolution> direct_;
  std::optional<unfolded_convolution> unfolded_;
  std::string engine_;
};

}  // namespace flame::cuda_kernels
