// Which kernels a program starts on a GPU, by name, worked out without one: to compile them before there is
// one, and to look at their code.
#pragma once
#include <flame/run/cuda/group.hpp>
#include <flame/run/cuda/indexing.hpp>
#include <flame/run/cuda/pooling.hpp>
#include <flame/run/cuda/unfolded_convolution.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace flame::cuda_kernels {

// Of each tensor's address in bytes, as a program is first lowered: memory that is given to it aligned to 16.
[[nodiscard]] inline std::vector<int> expected_alignments(const program& p, const program_step& s) {
  std::vector<int> all;
  for (const located& t : s.tensors)
    all.push_back(t.buffer < 0 ? 256 : p.buffers[t.buffer].kind == buffer_kind::arena ? 64 : 16);
  return all;
}

// The kernels of FLAME's own that one step starts, in no order.
[[nodiscard]] inline std::vector<std::string> kernel_names(const program& p, const program_step& s,
                                                           const gpu_shape& gpu = {}) {
  const std::vector<int> alignments = expected_alignments(p, s);
  std::vector<std::string> names;
  if (s.code) {
    for (const prepared_kernel& k : prepare(s, alignments, gpu).kernels) names.push_back(k.name);
    return names;
  }
  auto alignment = [&](int i) {
    const located& t = s.tensors[i];
    return std::min<i64>(alignments[static_cast<std::size_t>(i)],
                         alignment_at(t.offset * size_of(t.element)));
  };
  switch (s.library) {
    case op::contract:
      return contraction_plan(library::contraction_of(s), {alignment(0), alignment(1), alignment(2)}).names();
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
    default: return names;
  }
}

// Name expressions, as compile_kernel and kernel_store::prepare take them, of all kernels that a program
// starts on a GPU: sorted, each once. Where a program comes from: function.plan(arguments...) and
// train_step's plan(), of whichever backend, since a program names none.
//
// What depends on the answers of cuBLASLt and cuDNN on a GPU is left out: the kernels that multiply and
// convolve where those refuse. A program that is then run with memory aligned to less than 16 bytes, or with
// a tuning, starts others too.
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

}  // namespace flame::cuda_kernels
