// Attention on CUDA: by FLAME's tiles, which take everything, or by cuDNN where it does.
#pragma once
#include <flame/run/cuda/dnn_attention.hpp>
#include <flame/run/cuda/tiled_attention.hpp>

#include <algorithm>
#include <optional>

namespace flame::cuda_kernels {

// Way 0 is FLAME's tiles; the others are cuDNN's engines, there where cudnn_refusal has no text (an engine
// may still turn out not to exist, or cuDNN be too old: the tiles do it then). Unless all results must be the
// same to the bit at every run, gradients that are summed by atomics stand before the others.
class prepared_attention {
 public:
  // alignments: of the step's tensors, in bytes. Throws flame::error where tiled_attention does.
  prepared_attention(dnn_engines* cudnn, const library::attention& c, const std::vector<i64>& alignments,
                     int architecture, bool deterministic, int way) {
    if (way == 0) {
      tiles_.emplace(c, alignments, architecture);
      return;
    }
    if (!cudnn) throw error("flame::attention: there is no cuDNN for this way of doing it");
    dnn_attention_options options;
    const bool atomics = c.backward && !deterministic && way <= engines;
    options.deterministic = !atomics;
    options.engine.alignment = least(alignments);
    options.engine.candidate = (way - 1) % engines;
    cudnn_.emplace(*cudnn, c, options);
    if (cudnn_->possible()) return;
    cudnn_.reset();
    tiles_.emplace(c, alignments, architecture);
  }

  [[nodiscard]] static int ways(const library::attention& c, const std::vector<i64>& alignments,
                                bool deterministic) {
    if (*cudnn_refusal(c) || least(alignments) < 16) return 1;
    return 1 + engines * (c.backward && !deterministic ? 2 : 1);
  }
  // All that the choice of a way depends on.
  [[nodiscard]] static std::string problem(const library::attention& c, const std::vector<i64>& alignments,
                                           bool deterministic) {
    std::string s = c.backward ? "attention backwards " : "attention ";
    s.append(name_of(c.element)).append(c.causal ? " causal" : "").append(deterministic ? "" : " any order");
    auto add = [&](i64 n) { s.append(" ").append(std::to_string(n)); };
    add(c.made), add(c.queries()), add(c.keys), add(c.dims), add(std::min<i64>(least(alignments), 16));
    const library::attention_axes batch(c, false);
    const auto all = c.all();
    for (int i = 0; i < batch.rank; ++i) add(batch.extents[i]);
    for (int t = 0; t < library::attention::tensors; ++t) {
      if (!all.at[t]->there()) continue;
      s.append(",");
      for (int i = 0; i < batch.rank; ++i) add(batch.strides[i][t]);
      for (int i = 0; i < c.query_rank; ++i) add(all.at[t]->query[i]);
      add(all.at[t]->key);
    }
    return s;
  }

  // Kernels of FLAME's own that it starts.
  [[nodiscard]] std::vector<std::string> names() const {
    return tiles_ ? tiles_->names() : std::vector<std::string>{};
  }
  [[nodiscard]] i64 workspace() const { return tiles_ ? 0 : cudnn_->workspace(); }
  [[nodiscard]] bool own() const { return tiles_.has_value(); }
  // How it is done, in words.
  [[nodiscard]] std::string engine() const { return tiles_ ? tiles_->engine() : cudnn_->engine(); }

  void run(launcher& to, const std::vector<void*>& tensors, std::byte* workspace, cudaStream_t stream) const {
    if (tiles_)
      tiles_->run(to, tensors, stream);
    else
      cudnn_->run(tensors, workspace, stream);
  }

 private:
  static constexpr int engines = 2;
  static i64 least(const std::vector<i64>& alignments) {
    return alignments.empty() ? 256 : *std::min_element(alignments.begin(), alignments.end());
  }
  std::optional<tiled_attention> tiles_;
  std::optional<dnn_attention> cudnn_;
};

}  // namespace flame::cuda_kernels
