// The engine of training steps, without the planner that makes their programs: see train/engine.hpp.
#pragma once
#include <flame/nn/weights.hpp>
#include <flame/optim/optimizer.hpp>
#include <flame/pass/activity.hpp>

namespace flame {

struct step_options {
  u64 seed = 0;          // of the key that the loss is given, folded with the step
  double ema = 0;        // decay of the moving average of the weights; 0: none
  double clip_norm = 0;  // gradients are scaled down to this norm; 0: never
};

namespace detail {

// A loss, its gradient with respect to the operands in `in`, and what the optimizer does.
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
  using scalar = basic_tensor<Backend, Element>;
  using selector = bool (*)(const weight&);

  step_engine(const weights_type& w, selector selected, int moments, int numbers,
              const step_options& options);

  // One step. numbers: the optimizer's.
  const scalar& run(const step_functions& f, std::span<const tensor_view> batch,
                    std::span<const double> numbers);

  [[nodiscard]] const program& plan() const;
  [[nodiscard]] std::span<const Element> gradient(const std::string& path) const;
  // Values of a trained parameter in a buffer that is laid out as the gradients are.
  [[nodiscard]] std::span<Element> part(std::vector<Element>& of, const weight& w) const {
    return {of.data() + trained_offset(w.offset), static_cast<std::size_t>(w.elements())};
  }
  [[nodiscard]] bool trains(const weight& w) const { return selected_(w); }
  [[nodiscard]] std::vector<Element>& gradients() { return gradient_; }
  [[nodiscard]] std::vector<std::vector<Element>>& moments() { return moments_; }
  [[nodiscard]] std::vector<Element>& average() { return average_; }
  [[nodiscard]] const std::vector<Element>& gradients() const { return gradient_; }
  [[nodiscard]] i64 trained() const { return trained_; }

  // The weights with the moving average where they are trained.
  [[nodiscard]] typename weights_type::flat_tensor averaged() const;

 private:
  // Trained parameters that lie side by side: offsets in the weights and in the gradients, elements.
  struct run_of_weights {
    i64 weights, gradients, count;
  };
  struct entry {
    const function_info* gradient;
    std::vector<i64> shapes;
    host_code::executable run;
  };

  void find_runs();
  template <class F> void each_run(F&& f) {
    for (const run_of_weights& r : runs_) f(r, weights_.flat().data() + r.weights);
  }
  // Where the gradient of the weight at an offset lies; 0 for a weight without elements.
  [[nodiscard]] i64 trained_offset(i64 offset) const;

  entry& find_or_make(const step_functions& f, std::span<const tensor_view> batch);

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
  std::vector<Element> gradient_, average_, numbers_;
  std::vector<std::vector<Element>> moments_;
  scalar loss_;
  std::vector<std::unique_ptr<entry>> entries_;
  std::size_t last_ = 0;
  std::vector<i64> shapes_;
  std::vector<void*> pointers_;
};

#if defined(FLAME_HOST_COMPILED)
extern template class step_engine<host, f32>;
extern template class step_engine<host, f64>;
#endif

}  // namespace detail

}  // namespace flame
