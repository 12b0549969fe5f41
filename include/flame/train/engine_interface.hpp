// The engine of training steps, without the planner that makes their programs: see train/engine.hpp.
#pragma once
#include <flame/nn/weights.hpp>
#include <flame/optim/optimizer.hpp>
#include <flame/pass/activity.hpp>

namespace flame {

// In what a step stores the values between its kernels, of a model whose weights are f32. bf16, f16: a copy
// of the weights that the optimizer's kernel writes beside them, gradients, and what passes from kernel to
// kernel; kernels compute in f32, and products sum in f32. The weights themselves, moments, averages, states,
// losses, statistics and what the batch alone is made of stay f32 (plan/precision.hpp has the rule).
// Whoever changes weights between steps says refresh() to the step, for the copy.
enum class precision : u8 { full, bf16, f16 };

// With f16 the loss is multiplied by a scale before it is differentiated, so that small gradients are not
// lost; gradients are divided by it again before they are clipped. Where a gradient is not finite, the step
// is left out and the scale multiplied by `backoff`; after `interval` steps that were taken, by `growth`. All
// of this is part of the step's program. As torch.amp.GradScaler; a step that is left out counts among the
// steps.
struct loss_scaling {
  double first = 65536, growth = 2, backoff = 0.5;
  i64 interval = 2000;
};

struct step_options {
  u64 seed = 0;          // of the key that the loss is given, folded with the step
  double ema = 0;        // decay of the moving average of the weights; 0: none
  double clip_norm = 0;  // gradients are scaled down to this norm; 0: never
  flame::precision precision = flame::precision::full;
  loss_scaling scaling = {};  // of f16
};

namespace detail {

// A loss, its gradient with respect to the operands in `in` (train/gradient.hpp), and what the optimizer
// does.
struct step_functions {
  const function_info* loss = nullptr;
  const function_info* gradient = nullptr;
  mask in;
  const function_info* update = nullptr;
  const function_info* clip = nullptr;
};

template <class Backend, class Element> class step_engine {
 public:
  using weights_type = model_weights<Backend, Element>;
  using flat_tensor = typename weights_type::flat_tensor;
  using bytes_tensor = basic_tensor<Backend, u8, anonymous<0>>;
  using scalar = basic_tensor<Backend, Element>;
  using selector = bool (*)(const weight&);

  step_engine(const weights_type& w, selector selected, int moments, int numbers,
              const step_options& options);

  // One step. numbers: the optimizer's.
  const scalar& run(const step_functions& f, std::span<const tensor_view> batch,
                    std::span<const double> numbers);

  [[nodiscard]] const program& plan() const;
  [[nodiscard]] flat_tensor gradient(const std::string& path) const;
  [[nodiscard]] bool trains(const weight& w) const { return selected_(w); }
  // Where the values of a trained parameter begin in these, which are all laid out alike.
  [[nodiscard]] i64 place(const weight& w) const { return trained_offset(w.offset); }
  // As the last step computed them, the scale of its loss divided out.
  [[nodiscard]] const flat_tensor& gradients() const;
  [[nodiscard]] const std::vector<flat_tensor>& moments() const { return moments_; }
  [[nodiscard]] const flat_tensor& average() const { return average_; }  // without memory where there is none
  [[nodiscard]] i64 trained() const { return trained_; }

  // The weights with the moving average where they are trained.
  [[nodiscard]] flat_tensor averaged() const;

  // ---- Precision ----

  // Bytes of the gradients, and of the weights' copy in 16 bits.
  [[nodiscard]] i64 state_bytes() const;
  // Makes the copy of the weights anew, where there is one.
  void refresh();
  [[nodiscard]] bool scales() const { return options_.precision == precision::f16; }
  // Of the next step's loss; steps since it changed; steps left out; of the last step's loss.
  struct scaling_state {
    double scale = 1, good = 0, skipped = 0, last = 1;
  };
  [[nodiscard]] scaling_state scaling() const;
  void set_scaling(const scaling_state& s);

 private:
  // Trained parameters that lie side by side: offsets in the weights and in the gradients, elements.
  struct run_of_weights {
    i64 weights, gradients, count;
  };
  struct entry {
    const function_info* gradient;
    std::vector<i64> shapes;
    std::unique_ptr<executable> run;
  };

  void find_runs();
  // The part of `of` from one place on.
  static flat_tensor part(const flat_tensor& of, i64 begin, i64 count) {
    return of.slice(0, begin, begin + count);
  }
  // Where the gradient of the weight at an offset lies; 0 for a weight without elements.
  [[nodiscard]] i64 trained_offset(i64 offset) const;

  entry& find_or_make(const step_functions& f, std::span<const tensor_view> batch);

  // Numbers of the host's behind the optimizer's.
  enum number : int { one, ema, largest_norm, growth, backoff, interval, extra_numbers };

  [[nodiscard]] bool narrow() const { return options_.precision != precision::full; }
  [[nodiscard]] dtype half() const { return options_.precision == precision::f16 ? dtype::f16 : dtype::bf16; }

  // ---- Planning ----

  static placed flat_part(int buffer, i64 offset, i64 count);
  static placed number_at(int buffer, i64 offset);

  // The tensors of a leaf as parts of a buffer; offset: by place in the weights, negative where there is
  // none.
  template <class Offset> placed place_leaf(const leaf_info* leaf, int buffer, Offset offset) const;
  template <class Offset>
  placed place_value(const bound_value& v, const tensor_type& t, int skipped, int buffer,
                     Offset offset) const;

  std::unique_ptr<entry> make(const step_functions& f, std::span<const tensor_view> batch);

  weights_type weights_;
  selector selected_;
  step_options options_;
  int number_count_;
  i64 trained_ = 0;
  std::vector<run_of_weights> runs_;
  mutable flat_tensor gradient_;  // in 16 bits: made when it is asked for
  bytes_tensor half_gradient_, copy_;
  flat_tensor average_, scaling_;
  std::vector<flat_tensor> moments_;
  std::vector<Element> numbers_;  // on the host, whatever the backend
  scalar loss_;
  std::vector<std::unique_ptr<entry>> entries_;
  std::unique_ptr<executable> refresh_;
  bool copied_ = false;  // the copy holds the weights
  std::size_t last_ = 0;
  std::vector<i64> shapes_;
  std::vector<void*> pointers_;
};

#if defined(FLAME_HOST_COMPILED)
extern template class step_engine<host, f32>;
extern template class step_engine<host, f64>;
#if defined(FLAME_CUDA)
extern template class step_engine<cuda, f32>;
extern template class step_engine<cuda, f64>;
#endif
#endif

}  // namespace detail

}  // namespace flame
