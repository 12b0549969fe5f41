// Contractions by cuBLASLt. The one header that includes cublasLt.h.
#pragma once
#include <cublasLt.h>

#include <flame/run/cuda/check.hpp>
#include <flame/run/cuda/tiled_product.hpp>

#include <optional>

namespace flame::cuda_kernels {

inline void check(cublasStatus_t status, const char* operation, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw_failed(operation, call, cublasLtGetStatusString(status), static_cast<int>(status));
}

struct contraction_options {
  i64 most_workspace = i64{32} << 20;  // bytes that the algorithm may ask for, beside those of copies
  operand_alignment alignment;
  int candidate = 0;        // which way: cuBLASLt's algorithms, its best first, then FLAME's own kernels
  int most_candidates = 1;  // how many of either are looked for, up to 32: what can be timed
  int architecture = 0, multiprocessors = 0;  // of the GPU, 90 for sm_90; 0: no kernels of FLAME's own
};

// A contraction that is ready to run, any number of times.
class prepared_contraction {
 public:
  // Bytes that run needs: of the copies and the algorithm.
  [[nodiscard]] i64 workspace() const {
    return direct_ ? 0 : padded(plan_.workspace()) + algorithm_workspace_;
  }
  // Kernels of FLAME's own that it may start.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // How it is done, in words, for explain.
  [[nodiscard]] const std::string& engine() const { return engine_; }
  [[nodiscard]] int candidates() const { return candidates_; }
  // Whether what it starts first is a kernel of FLAME's own.
  [[nodiscard]] bool own() const { return direct_ || tiled_ || plan_.copies_first(); }
  // Kernels of FLAME's own that one way or another would start.
  [[nodiscard]] const std::vector<std::string>& names_of_all() const { return names_of_all_; }
  // All that the choice of an algorithm depends on.
  [[nodiscard]] std::string problem() const { return plan_.problem(); }
  [[nodiscard]] const contraction_plan& plan() const { return plan_; }

 private:
  friend class blas;
  contraction_plan plan_;
  bool direct_ = false;
  cublasLtMatmulDescOpaque_t product_{};
  cublasLtMatrixLayoutOpaque_t first_{}, second_{}, result_{};
  cublasLtMatmulAlgo_t algorithm_{};
  i64 algorithm_workspace_ = 0;
  operand_alignment alignment_;
  int candidates_ = 0;
  std::optional<tiled_product> tiled_;
  std::vector<std::string> names_, names_of_all_;
  std::string engine_;
};

[[nodiscard]] inline std::string blas_version() { return std::to_string(cublasLtGetVersion()); }

// cuBLASLt on the device that is current when it is made. One thread at a time; a prepared contraction may
// run on several streams at once if each gives its own workspace.
class blas {
 public:
  // How many ways of FLAME's own there are to choose from for a contraction.
  static constexpr std::size_t most_tiled = 5;

  // launcher: for copies, where operands need them. own_workspace: bytes that it allocates for runs that give
  // none.
  explicit blas(launcher& start, i64 own_workspace = 0) : start_(&start), own_bytes_(own_workspace) {
    check(cublasLtCreate(&handle_), "contract", "cublasLtCreate");
    if (own_workspace > 0) {
      const cudaError_t status = cudaMalloc(&own_, static_cast<std::size_t>(own_workspace));
      if (status != cudaSuccess) cublasLtDestroy(handle_);
      check(status, "contract", "cudaMalloc");
    }
  }
  blas(const blas&) = delete;
  blas& operator=(const blas&) = delete;
  ~blas() {
    if (own_) cudaFree(own_);
    cublasLtDestroy(handle_);
  }

  // Chooses how, once, at plan time: the contraction's pointers are not read. f32 in f32 (no TF32), f64 in
  // f64, bf16 and f16 summed in f32. The algorithm is the heuristic's, among those that give the same bits at
  // every run: sums split along k are kept apart in the workspace, in the type of the sums. Where cuBLASLt
  // has none, FLAME's own kernel does it, and engine() says so. Throws flame::error for other element types.
  [[nodiscard]] prepared_contraction prepare(const library::contraction& x,
                                             const contraction_options& options = {}) {
    prepared_contraction to;
    to.plan_ = contraction_plan(x, options.alignment, blas_takes_bias(x, options.alignment));
    to.alignment_ = options.alignment;
    if (to.plan_.does() == contraction_plan::work::products) {
      choose(to, x, options);
      if (to.candidates_ == 0 && to.plan_.adds_bias()) {
        to.plan_ = contraction_plan(x, options.alignment, false), to.direct_ = false;
        choose(to, x, options);
      }
      to.names_ = to.plan_.names();
      if (to.direct_) to.names_ = {to.plan_.direct_name()};
      if (to.tiled_) to.names_.push_back(to.tiled_->name());
      to.names_of_all_.insert(to.names_of_all_.end(), to.names_.begin(), to.names_.end());
    } else {
      to.names_ = to.plan_.names();
    }
    to.engine_ = words(to);
    return to;
  }

  // out = the contraction of a and b. Allocates nothing, does not synchronise, and can be captured in a
  // graph. workspace: prepared.workspace() bytes on this device, aligned to 256; null: blas's own. Throws
  // flame::error if an operand is less aligned than was said, or blas's own workspace is too small.
  void run(const prepared_contraction& x, const void* a, const void* b, void* out, cudaStream_t stream,
           void* workspace = nullptr, const void* bias = nullptr) const {
    if (x.direct_) return x.plan_.run_direct(*start_, a, b, out, stream, bias);
    if (x.plan_.does() == contraction_plan::work::products) {
      require_aligned("a", a, x.alignment_.a), require_aligned("b", b, x.alignment_.b);
      require_aligned("out", out, x.alignment_.out);
    }
    if (!workspace && x.workspace() > 0) {
      if (x.workspace() > own_bytes_)
        throw error(std::string("contract: needs a workspace of ")
                        .append(std::to_string(x.workspace()))
                        .append(" bytes, there are ")
                        .append(std::to_string(own_bytes_)));
      workspace = own_;
    }
    if (x.tiled_)
      return x.plan_.run(
          *start_, a, b, out, workspace, stream,
          [&](const matrix_product&, const void* first, const void* second, void* result) {
            x.tiled_->run(*start_, first, second, x.plan_.adds_bias() ? bias : nullptr, result, stream);
          },
          true, bias);
    void* algorithm = x.algorithm_workspace_ ? further(workspace, padded(x.plan_.workspace())) : nullptr;
    const double scale = x.plan_.scale(), one = 1, zero = 0;
    const float scale_f = static_cast<float>(scale), one_f = 1, zero_f = 0;
    const bool wide = x.plan_.product().element == dtype::f64;
    const void* alpha = wide ? static_cast<const void*>(&scale) : &scale_f;
    const void* whole = wide ? static_cast<const void*>(&one) : &one_f;
    const void* none = wide ? static_cast<const void*>(&zero) : &zero_f;
    cublasLtMatmulDescOpaque_t product = x.product_;
    if (x.plan_.adds_bias())
      check(cublasLtMatmulDescSetAttribute(&product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
            "contract", "cublasLtMatmulDescSetAttribute(BIAS_POINTER)");
    x.plan_.run(
        *start_, a, b, out, workspace, stream,
        [&](const matrix_product& p, const void* first, const void* second, void* result) {
          check(cublasLtMatmul(handle_, &product, alpha, first, layout(x.first_), second, layout(x.second_),
                               p.accumulate ? whole : none, result, layout(x.result_), result,
                               layout(x.result_), &x.algorithm_, algorithm,
                               static_cast<std::size_t>(x.algorithm_workspace_), stream),
                "contract", "cublasLtMatmul");
        },
        false, bias);
  }

 private:
  // The descriptors' handles point to their opaque structs; no call writes there after prepare.
  static cublasLtMatrixLayout_t layout(const cublasLtMatrixLayoutOpaque_t& x) {
    return const_cast<cublasLtMatrixLayout_t>(&x);
  }

  static void require_aligned(const char* operand, const void* pointer, i64 bytes) {
    if (!aligned(pointer, bytes))
      throw error(std::string("contract: ")
                      .append(operand)
                      .append(" is not aligned to ")
                      .append(std::to_string(bytes))
                      .append(" bytes, as was said when it was prepared"));
  }

  static cudaDataType_t type_of(dtype element) {
    switch (element) {
      case dtype::f64: return CUDA_R_64F;
      case dtype::bf16: return CUDA_R_16BF;
      case dtype::f16: return CUDA_R_16F;
      default: return CUDA_R_32F;
    }
  }

  static void set_layout(cublasLtMatrixLayoutOpaque_t& to, cudaDataType_t type, i64 rows, i64 columns, i64 ld,
                         i64 batch, i64 stride) {
    check(cublasLtMatrixLayoutInit(&to, type, static_cast<u64>(rows), static_cast<u64>(columns), ld),
          "contract", "cublasLtMatrixLayoutInit");
    if (batch == 1) return;
    const auto count = static_cast<i32>(batch);
    const auto apart = static_cast<std::int64_t>(stride);
    check(cublasLtMatrixLayoutSetAttribute(&to, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
          "contract", "cublasLtMatrixLayoutSetAttribute(BATCH_COUNT)");
    check(cublasLtMatrixLayoutSetAttribute(&to, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &apart,
                                           sizeof apart),
          "contract", "cublasLtMatrixLayoutSetAttribute(STRIDED_BATCH_OFFSET)");
  }

  template <class Value>
  static void prefer(cublasLtMatmulPreference_t to, cublasLtMatmulPreferenceAttributes_t attribute,
                     Value value) {
    check(cublasLtMatmulPreferenceSetAttribute(to, attribute, &value, sizeof value), "contract",
          "cublasLtMatmulPreferenceSetAttribute");
  }

  void choose(prepared_contraction& to, const library::contraction& x, const contraction_options& options) {
    const matrix_product& p = to.plan_.product();
    if (p.batch > 0x7fffffff) {
      to.direct_ = true;
      return;
    }
    const cudaDataType_t type = type_of(p.element);
    const bool wide = p.element == dtype::f64;
    check(cublasLtMatmulDescInit(&to.product_, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                 wide ? CUDA_R_64F : CUDA_R_32F),
          "contract", "cublasLtMatmulDescInit");
    auto transpose = [&](cublasLtMatmulDescAttributes_t attribute, bool transposed) {
      const cublasOperation_t is = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
      check(cublasLtMatmulDescSetAttribute(&to.product_, attribute, &is, sizeof is), "contract",
            "cublasLtMatmulDescSetAttribute");
    };
    transpose(CUBLASLT_MATMUL_DESC_TRANSA, p.first_transposed),
        transpose(CUBLASLT_MATMUL_DESC_TRANSB, p.second_transposed);
    if (to.plan_.adds_bias()) {
      const cublasLtEpilogue_t adds = CUBLASLT_EPILOGUE_BIAS;
      const void* somewhere = &to;  // which algorithms there are depends on whether there is a bias
      check(cublasLtMatmulDescSetAttribute(&to.product_, CUBLASLT_MATMUL_DESC_EPILOGUE, &adds, sizeof adds),
            "contract", "cublasLtMatmulDescSetAttribute(EPILOGUE)");
      check(cublasLtMatmulDescSetAttribute(&to.product_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &somewhere,
                                           sizeof somewhere),
            "contract", "cublasLtMatmulDescSetAttribute(BIAS_POINTER)");
    }
    const bool a = p.first_transposed, b = p.second_transposed;
    set_layout(to.first_, type, a ? p.k : p.m, a ? p.m : p.k, p.first_ld, p.batch, p.first_batch);
    set_layout(to.second_, type, b ? p.n : p.k, b ? p.k : p.n, p.second_ld, p.batch, p.second_batch);
    set_layout(to.result_, type, p.m, p.n, p.result_ld, p.batch, p.result_batch);

    cublasLtMatmulPreferenceOpaque_t preference{};
    check(cublasLtMatmulPreferenceInit(&preference), "contract", "cublasLtMatmulPreferenceInit");
    prefer(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
           static_cast<std::uint64_t>(options.most_workspace));
    prefer(&preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
           static_cast<std::uint32_t>(p.first_alignment));
    prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
           static_cast<std::uint32_t>(p.second_alignment));
    prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
           static_cast<std::uint32_t>(p.result_alignment));
    prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
           static_cast<std::uint32_t>(p.result_alignment));
    constexpr int room = 32;
    cublasLtMatmulHeuristicResult_t found[room] =
        {};  // in a std::vector it ends nvcc 13.0: a struct without a name
    // As many whichever is taken: ways have their numbers.
    const int wanted = options.most_candidates > 1 ? options.most_candidates : options.candidate + 1;
    const int asked = wanted < room ? wanted : room;
    int algorithms = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, &to.product_, &to.first_, &to.second_, &to.result_,
                                       &to.result_, &preference, asked, found, &algorithms);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED)
      check(status, "contract", "cublasLtMatmulAlgoGetHeuristic");
    else
      algorithms = 0;
    to.candidates_ = algorithms;
    if (options.architecture > 0 && wanted > 1) {
      const contraction_plan at_once(x, options.alignment, true, true);
      std::vector<tiled_product> own =
          tiled_product::ways(at_once, options.architecture, options.multiprocessors, most_tiled);
      to.candidates_ += static_cast<int>(own.size());
      for (const tiled_product& one : own) to.names_of_all_.push_back(one.name());
      if (options.candidate >= algorithms && options.candidate < to.candidates_) {
        to.tiled_ = std::move(own[static_cast<std::size_t>(options.candidate - algorithms)]);
        to.plan_ = at_once;
        return;
      }
    }
    if (to.candidates_ == 0) {
      to.direct_ = true;
      return;
    }
    if (options.candidate >= to.candidates_)
      throw error(std::string("contract: candidate ")
                      .append(std::to_string(options.candidate))
                      .append(" was asked for, there are ")
                      .append(std::to_string(to.candidates_)));
    const cublasLtMatmulHeuristicResult_t& chosen = found[options.candidate];
    check(chosen.state, "contract", "cublasLtMatmulAlgoGetHeuristic");
    to.algorithm_ = chosen.algo;
    to.algorithm_workspace_ = padded(static_cast<i64>(chosen.workspaceSize));
  }

  static std::string words(const prepared_contraction& x) {
    const contraction_plan& plan = x.plan_;
    if (plan.does() == contraction_plan::work::nothing) return "nothing to do";
    if (plan.does() == contraction_plan::work::zeros) return "zeros";
    if (x.direct_) return "kernel contract_direct: cuBLASLt has no algorithm";
    const matrix_product& p = plan.product();
    std::string text = x.tiled_ ? x.tiled_->engine() + ", " : "cuBLASLt ";
    text.append(name_of(p.element))
        .append(" ")
        .append(std::to_string(p.m))
        .append("x")
        .append(std::to_string(p.n));
    text.append("x").append(std::to_string(p.k)).append(" ").append(p.first_transposed ? "T" : "N");
    text.append(p.second_transposed ? "T" : "N");
    if (p.batch > 1) text.append(", batch ").append(std::to_string(p.batch));
    if (plan.calls() > 1 && !x.tiled_)
      text.append(", ").append(std::to_string(plan.calls())).append(" calls");
    if (plan.copies_a()) text.append(", a copied");
    if (plan.copies_b()) text.append(", b copied");
    if (plan.copies_out()) text.append(", out copied");
    return text;
  }

  launcher* start_;
  cublasLtHandle_t handle_ = nullptr;
  void* own_ = nullptr;
  i64 own_bytes_;
};

}  // namespace flame::cuda_kernels
