// Which kernels a program starts on a GPU, by name, worked out without one: to compile them before there is
// one, and to look at their code.
#pragma once
#include <flame/run/cuda/group.hpp>
#include <flame/run/cuda/indexing.hpp>
#include <flame/run/cuda/ordering.hpp>
#include <flame/run/cuda/pooling.hpp>
#include <flame/run/cuda/range.hpp>
#include <flame/run/cuda/tiled_attention.hpp>
#include <flame/run/cuda/tiled_product.hpp>
#include <flame/run/cuda/unfolded_convolution.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace flame::cuda_kernels {

// Of each tensor's address in bytes, as a program is first lowered: memory that is given to it aligned to 16.
[[nodiscard]] inline std::vector<int> expected_alignments(const program& p, const program_step& s) {
  std::vector<int> all;
  for (const located& t : s.tensors) all.push_back(buffer_alignment(p, t));
  return all;
}

// Of each operand of a library step, where it begins in its buffer.
[[nodiscard]] inline std::vector<i64> operand_alignments(const program& p, const program_step& s) {
  const std::vector<int> buffers = expected_alignments(p, s);
  std::vector<i64> all;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    all.push_back(tensor_alignment(buffers[i], s.tensors[static_cast<int>(i)]));
  }
  return all;
}

// The kernels of FLAME's own that one step starts, in no order.
[[nodiscard]] inline std::vector<std::string> kernel_names(const program& p, const program_step& s,
                                                           const gpu_shape& gpu = {}) {
  std::vector<std::string> names;
  if (s.code) {
    for (const prepared_kernel& k : prepare(s, expected_alignments(p, s), gpu).kernels)
      names.push_back(k.name);
    return names;
  }
  switch (s.library) {
    case op::contract: {
      const std::vector<i64> at = operand_alignments(p, s);
      const library::contraction what = library::contraction_of(s);
      const operand_alignment all = {at[0], at[1], at.back(), what.biased ? at[2] : 16};
      return contraction_plan(what, all, blas_takes_bias(what, all)).names();
    }
    case op::conv:
    case op::conv_data:
    case op::conv_weight: {
      const library::convolution c = library::convolution_of(s);
      if (unfolded_convolution::takes(s.library, c))
        return {kernel_name("unfold", {static_cast<int>(c.element)})};
      // cuDNN is not asked for f64.
      return c.element == dtype::f64 ? direct_convolution(s.library, c).names() : names;
    }
    case op::pool_take:
    case op::pool_put:
    case op::pool_mean:
    case op::pool_mean_put: return prepared_pooling(s.library, library::pooling_of(s)).names();
    case op::gather:
    case op::scatter_add: return prepared_indexing(s.library, library::indexing_of(s), 1).names();
    case op::in_range: return prepared_range(library::range_check_of(s), 1).names();
    case op::cumsum:
    case op::top: return prepared_ordering(s.library, library::ordering_of(s)).names();
    case op::attend:
    case op::attend_statistics:
    case op::attend_query:
    case op::attend_key:
    case op::attend_value:
      return tiled_attention(library::attention_of(s), operand_alignments(p, s), gpu.architecture).names();
    default: return names;
  }
}

// Name expressions, as compile_kernel and kernel_store::prepare take them, of all kernels that a program
// starts on a GPU: sorted, each once. Where a program comes from: function.plan(arguments...) and
// train_step's plan(). The host's have a few kernels more: scales and biases that are parts of products on
// cuda (plan/epilogue.hpp).
//
// What depends on the answers of cuBLASLt and cuDNN on a GPU is left out: the kernels that multiply
// (product_names) and convolve instead of those. A program that is then run with memory aligned to less than
// 16 bytes, or with a tuning, starts others too.
[[nodiscard]] inline std::vector<std::string> kernel_names(const program& p, const gpu_shape& gpu = {}) {
  std::vector<std::string> all{kernel_name("put_numbers", {0})};  // a program's numbers, where it has any
  for (const program_step& s : p.steps) {
    const std::vector<std::string> of_step = kernel_names(p, s, gpu);
    all.insert(all.end(), of_step.begin(), of_step.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

// Those products of FLAME's own among which, and cuBLASLt's, the first run of a program on a GPU chooses by
// timing, where no earlier run has: sorted, each once.
[[nodiscard]] inline std::vector<std::string> product_names(const program& p, int architecture = 90,
                                                            const gpu_shape& gpu = {}) {
  std::vector<std::string> all;
  for (const program_step& s : p.steps) {
    if (s.code || s.library != op::contract) continue;
    const std::vector<i64> alignments = operand_alignments(p, s);
    const contraction_plan plan(library::contraction_of(s), {alignments[0], alignments[1], alignments.back()},
                                true, true);
    for (const tiled_product& way :
         tiled_product::ways(plan, architecture, gpu.multiprocessors, blas::most_tiled))
      all.push_back(way.name());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace flame::cuda_kernels
