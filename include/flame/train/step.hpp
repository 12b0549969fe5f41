// A training step: forward, backward, clipping, optimizer and moving average as one program, with no
// allocation after the first call.
#pragma once
#include <flame/nn/forward.hpp>
#include <flame/optim/update.hpp>
#include <flame/run/argument.hpp>
#include <flame/train/engine.hpp>
#include <flame/train/gradient.hpp>

#include <algorithm>

namespace flame {

// Made by train_step. Called with a batch it does one step.
template <class Model, class Loss, class Optimizer, class Select> class trainer {
 public:
  using element = typename Model::element_type;
  using backend = typename Model::backend;
  using scalar = basic_tensor<backend, element>;
  static_assert(std::is_same_v<element, f32> || std::is_same_v<element, f64>,
                "flame::train_step(model, ...): the weights must be f32 or f64");

  trainer(const Model& m, const Optimizer& o, const step_options& options)
      : model_(m),
        optimizer_(o),
        options_(options),
        engine_(checked(m), &selected, Optimizer::moments, Optimizer::number_count, options) {}

  // The loss before the update, in a tensor that is the trainer's: the next step writes the next loss there.
  // On cuda the step is begun and not waited for; the loss's item() waits.
  template <class... T> scalar operator()(const T&... batch) {
    static_assert((detail::lies_on<T, backend> && ...),
                  "flame::train_step(model, ...): a tensor of the batch lies on another backend than the "
                  "model; move it "
                  "with to<Backend>(t)");
    using net = typename Model::template traced<true>;
    using on_net = detail::on_model<net, Loss>;
    ++step_;
    if constexpr (detail::takes_key<net, Loss, typename T::held_shape...>) {
      key_ = key(fold(options_.seed, static_cast<u64>(step_)));
      return run<on_net, typename T::held_shape..., shape<key>>(
          std::array{detail::argument_view(batch)..., scalar_view(key_)});
    } else {
      return run<on_net, typename T::held_shape...>(std::array{detail::argument_view(batch)...});
    }
  }

  // Its settings may change between steps: a learning rate's schedule.
  Optimizer& optimizer() { return optimizer_; }
  [[nodiscard]] i64 steps() const { return step_; }
  void set_steps(i64 n) { step_ = n; }
  [[nodiscard]] const Model& weights() const { return model_; }
  // A copy of the model with the moving average where it is trained.
  [[nodiscard]] Model averaged() const {
    if (options_.ema <= 0)
      throw error("flame::train_step: averaged() needs a moving average; set .ema in its options");
    return model_.with(engine_.averaged());
  }
  // The gradient of one trained parameter, as the last step computed it, before clipping: its values on the
  // host, a tensor there on another backend.
  [[nodiscard]] auto gradient(const std::string& path) const {
    const auto values = engine_.gradient(path);
    if constexpr (values.on_host)
      return std::span<const element>(values.values());
    else
      return values;
  }
  // The norm of all gradients of the last step, before clipping.
  [[nodiscard]] double gradient_norm() const {
    double sum = 0;
    const auto all = to<host>(engine_.gradients());
    for (element g : all.values()) sum += static_cast<double>(g) * static_cast<double>(g);
    return std::sqrt(sum);
  }
  // The program of the last step.
  [[nodiscard]] const program& plan() const { return engine_.plan(); }
  // Bytes above the weights and the optimizer's state: the program's own, the gradients, and the weights'
  // copy in 16 bits where there is one.
  [[nodiscard]] i64 working_bytes() const { return plan().arena_bytes + engine_.state_bytes(); }
  // After the weights were changed by others, in 16 bits: the steps read a copy of them.
  void refresh() { engine_.refresh(); }
  // With f16, by what the next loss is multiplied, and how many steps were left out; waits for the last step.
  [[nodiscard]] double loss_scale() const { return engine_.scaling().scale; }
  [[nodiscard]] i64 skipped_steps() const { return static_cast<i64>(engine_.scaling().skipped); }
  // What a training is besides its weights: see train/resume.hpp.
  [[nodiscard]] detail::step_engine<backend, element>& engine() { return engine_; }

 private:
  // A misspelt path would train less than was meant.
  static const Model& checked(const Model& m) {
    for (int i = 0; i < Select::count; ++i) {
      const text pattern = Select::patterns[i];
      const bool found = std::ranges::any_of(m.weights(), [&](const weight& w) {
        return w.is_parameter() &&
               (matches(pattern, text(w.path.c_str())) || matches(pattern, text(w.leaf_name.c_str())));
      });
      if (!found)
        throw error("flame::train_step: the pattern " + detail::text_of(pattern) +
                    " matches no parameter of the model");
    }
    return m;
  }
  template <class Updates> const function_info* update() const {
    if (engine_.scales())
      return options_.ema > 0 ? Updates::template value<true, true> : Updates::template value<false, true>;
    return options_.ema > 0 ? Updates::template value<true, false> : Updates::template value<false, false>;
  }
  static bool selected(const weight& w) { return w.is_parameter() && chosen<Select>(w); }

  template <class Fn, class... Shapes, std::size_t N> scalar run(const std::array<tensor_view, N>& batch) {
    constexpr const function_info* f = function_of<Fn, Shapes...>;
    static_assert(
        f->outputs[0].rank == 0 && is_floating(f->outputs[0].element),
        "flame::train_step(model, loss, ...): the loss must give a scalar of floating type (first)");
    constexpr mask in = detail::select_parameters<f, Select>();
    detail::require_operations<backend, *gradient_of<f, in>>();
    using updates = detail::updates_of<Optimizer, element>;
    detail::require_operations<backend, *updates::template value<false, false>>();
    const detail::step_functions functions{f, gradient_of<f, in>, in, update<updates>(), updates::clip};
    return engine_.run(functions, batch, optimizer_.numbers(step_));
  }

  Model model_;
  Optimizer optimizer_;
  step_options options_;
  detail::step_engine<backend, element> engine_;
  i64 step_ = 0;
  key key_;
};

// train_step(model, loss, adamw{.lr = 1e-3}, {.ema = 0.999}): loss is a lambda without captures that takes
// the model, the batch's tensors and, if it wants, a random key, and gives a scalar. With {.precision =
// precision::bf16} it trains in bf16 with f32 weights (train/engine_interface.hpp). Select says which
// parameters are trained: the others get no gradient. A trained parameter that the loss does not read has
// gradient 0.
template <class Select = all_parameters, class Model, class Loss, class Optimizer>
trainer<Model, Loss, Optimizer, Select> train_step(const Model& m, Loss, const Optimizer& o,
                                                   const step_options& options = {}) {
  return trainer<Model, Loss, Optimizer, Select>(m, o, options);
}

}  // namespace flame
