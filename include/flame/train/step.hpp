// A training step: forward, backward, clipping, optimizer and moving average as one program, with no allocation after
// the first call.
#pragma once
#include <flame/nn/forward.hpp>
#include <flame/optim/optimizer.hpp>
#include <flame/train/gradient.hpp>

namespace flame {

struct step_options {
  u64 seed = 0;          // of the key that the loss is given, folded with the step
  double ema = 0;        // decay of the moving average of the weights; 0: none
  double clip_norm = 0;  // gradients are scaled down to this norm; 0: never
};

namespace detail {

// The update of all parameters: the moments, then the optimizer's numbers, then (average, decay) and (largest norm).
template <class Optimizer, bool Ema, bool Clip>
struct update_function {
  template <std::size_t... M, std::size_t... N>
  static constexpr auto run(const auto& p, const auto& g, const auto& rest, std::index_sequence<M...>,
                            std::index_sequence<N...>) {
    constexpr std::size_t moments = sizeof...(M), numbers = sizeof...(N);
    auto out = Optimizer::update(p, g, std::get<M>(rest)..., std::get<moments + N>(rest)...);
    if constexpr (Ema) {
      auto decay = std::get<moments + numbers + 1>(rest);
      auto average = std::get<moments + numbers>(rest);
      return std::tuple_cat(out, std::tuple{average + (1.0 - decay) * (std::get<0>(out) - average)});
    } else {
      return out;
    }
  }
  constexpr auto operator()(const auto& p, const auto& g, const auto&... rest) const {
    std::tuple all{rest...};
    constexpr auto m = std::make_index_sequence<Optimizer::moments>{};
    constexpr auto n = std::make_index_sequence<Optimizer::number_count>{};
    if constexpr (Clip) {
      auto largest = std::get<sizeof...(rest) - 1>(all);
      auto norm = sqrt(sum(g * g));
      return run(p, g * minimum(largest / (norm + 1e-6), 1.0), all, m, n);
    } else {
      return run(p, g, all, m, n);
    }
  }
};

template <class T, std::size_t>
using repeated = T;

template <class Optimizer, bool Ema, bool Clip, class Element, class Moments, class Numbers>
struct update_of;
template <class Optimizer, bool Ema, bool Clip, class Element, std::size_t... M, std::size_t... N>
struct update_of<Optimizer, Ema, Clip, Element, std::index_sequence<M...>, std::index_sequence<N...>> {
  using flat = shape<Element, tag_of<flat_axis>>;
  using number = shape<Element>;
  using fn = update_function<Optimizer, Ema, Clip>;
  template <class... S>
  static constexpr const function_info* info(types<S...>) {
    return function_of<fn, S...>;
  }
  static constexpr const function_info* value =
      info(typename concat<types<flat, flat, repeated<flat, M>..., repeated<number, N>...>,
                           std::conditional_t<Ema, types<flat, number>, types<>>,
                           std::conditional_t<Clip, types<number>, types<>>>::type{});
};

}  // namespace detail

// Made by train_step. Called with a batch it does one step and returns the loss, a scalar.
template <class Model, class Loss, class Optimizer, class Select>
class trainer {
 public:
  using element = typename Model::element_type;
  using backend = typename Model::backend;
  using scalar = basic_tensor<backend, element>;

  trainer(const Model& m, const Optimizer& o, const step_options& options) : model_(m), optimizer_(o), options_(options) {
    find_runs();
    gradient_.assign(static_cast<std::size_t>(trained_), element(0));
    moments_.assign(Optimizer::moments, gradient_);
    if (options.ema > 0) average_ = m.flat().clone();
    numbers_.assign(Optimizer::number_count + 2, element(0));
  }

  template <class... T>
  scalar operator()(const T&... batch) {
    using net = typename Model::template traced<true>;
    ++step_;
    key_ = key(fold(options_.seed, static_cast<u64>(step_)));
    if constexpr (detail::takes_key<net, Loss, typename T::held_shape...>)
      return run<detail::on_model<net, Loss>, typename T::held_shape..., shape<key>>(
          std::vector<tensor_view>{batch.view()..., key_view()});
    else
      return run<detail::on_model<net, Loss>, typename T::held_shape...>(std::vector<tensor_view>{batch.view()...});
  }

  Optimizer& optimizer() { return optimizer_; }  // its numbers may change between steps: a learning rate's schedule
  [[nodiscard]] i64 steps() const { return step_; }
  void set_steps(i64 n) { step_ = n; }
  [[nodiscard]] const Model& weights() const { return model_; }
  // The model with the moving average of the weights.
  [[nodiscard]] Model averaged() const {
    if (options_.ema <= 0) throw error("flame::train_step: averaged() needs a moving average; set .ema in its options");
    return model_.with(average_);
  }
  // The gradient of one trained parameter, as the last step computed it.
  [[nodiscard]] std::span<const element> gradient(const std::string& path) const {
    for (const weight& w : model_.weights())
      if (w.path == path) {
        i64 at = gradient_offset(w);
        if (at < 0) throw error("flame::train_step: parameter " + path + " is not trained");
        return {gradient_.data() + at, static_cast<std::size_t>(w.elements())};
      }
    throw error("flame::train_step: the model has no parameter " + path);
  }
  // The program of the last step.
  [[nodiscard]] const program& plan() const {
    if (entries_.empty()) throw error("flame::train_step: plan() is known after the first step");
    return entries_[last_]->run.plan();
  }
  // Bytes above the weights and the optimizer's state.
  [[nodiscard]] i64 working_bytes() const {
    return plan().arena_bytes + static_cast<i64>(gradient_.size() * sizeof(element));
  }
  [[nodiscard]] std::vector<std::vector<element>>& moments() { return moments_; }

 private:
  struct run_of_weights {
    i64 weights, gradients, count;  // offsets in the flat buffer and in the gradients; elements
  };

  static bool selected(const weight& w) {
    return w.leaf->kind == leaf_kind::parameter && Select::has(text(w.path.c_str()));
  }
  void find_runs() {
    std::vector<const weight*> ordered;
    for (const weight& w : model_.weights())
      if (selected(w)) ordered.push_back(&w);
    std::sort(ordered.begin(), ordered.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    for (const weight* w : ordered) {
      i64 room = (w->elements() + 15) / 16 * 16;
      if (runs_.empty() || runs_.back().weights + runs_.back().count != w->offset)
        runs_.push_back({w->offset, trained_, 0});
      runs_.back().count += room;
      trained_ += room;
    }
    if (trained_ == 0) throw error("flame::train_step: no parameter is trained; the patterns match none of the model's paths");
  }
  i64 gradient_offset(const weight& w) const {
    if (!selected(w)) return -1;
    for (const run_of_weights& r : runs_)
      if (w.offset >= r.weights && w.offset < r.weights + r.count) return r.gradients + (w.offset - r.weights);
    return -1;
  }
  tensor_view key_view() {
    tensor_view v;
    v.element = dtype::key;
    v.data = &key_;
    return v;
  }

  struct entry {
    const function_info* function;
    std::vector<i64> extents;
    host_code::executable run;
    int inputs;
  };

  template <class Fn, class... Shapes>
  scalar run(const std::vector<tensor_view>& batch) {
    constexpr const function_info* f = function_of<Fn, Shapes...>;
    static_assert(f->outputs[0].rank == 0 && is_floating(f->outputs[0].element),
                  "flame::train_step(model, loss, ...): the loss must give a scalar of floating type (first)");
    constexpr mask in = detail::select_parameters<f, Select>();
    constexpr const function_info* g = gradient_of<f, in>;
    extents_.clear();
    for (const tensor_view& v : batch) extents_.insert(extents_.end(), v.extents, v.extents + v.rank);
    last_ = entries_.size();
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i]->function == g && entries_[i]->extents == extents_) last_ = i;
    if (last_ == entries_.size()) {
      if (options_.ema > 0 && options_.clip_norm > 0)
        entries_.push_back(make<true, true>(*f, *g, in, batch));
      else if (options_.ema > 0)
        entries_.push_back(make<true, false>(*f, *g, in, batch));
      else if (options_.clip_norm > 0)
        entries_.push_back(make<false, true>(*f, *g, in, batch));
      else
        entries_.push_back(make<false, false>(*f, *g, in, batch));
    }
    std::vector<double> numbers = optimizer_.numbers(step_);
    numbers.push_back(options_.ema), numbers.push_back(options_.clip_norm);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers_[i] = static_cast<element>(numbers[i]);
    scalar loss(std::vector<i64>{});
    pointers_.clear();
    pointers_.push_back(model_.flat().data());
    pointers_.push_back(gradient_.data());
    for (auto& m : moments_) pointers_.push_back(m.data());
    pointers_.push_back(average_.data());
    pointers_.push_back(numbers_.data());
    pointers_.push_back(loss.data());
    for (const tensor_view& v : batch) pointers_.push_back(v.data);
    entry& e = *entries_[last_];
    pointers_.resize(static_cast<std::size_t>(e.run.plan().buffers.size()), nullptr);
    e.run.run(pointers_, detail::thread_arena());
    return loss;
  }

  static placed flat_part(int buffer, i64 offset, i64 count) {
    placed p;
    p.one.element = dtype_of<element>;
    p.one.buffer = buffer, p.one.offset = offset;
    p.one.rank = 1;
    p.one.axes[0] = axis_ptr<tag_of<flat_axis>>, p.one.extents[0] = count, p.one.strides[0] = 1;
    return p;
  }
  static placed one_number(int buffer, i64 offset) {
    placed p;
    p.one.element = dtype_of<element>;
    p.one.buffer = buffer, p.one.offset = offset;
    return p;
  }

  // Where a leaf's tensors stand in a buffer; offsets: by weight.
  template <class Offset>
  placed place_leaf(const leaf_info* leaf, int buffer, Offset offset) const {
    bound_value v = model_.bind(leaf, model_.flat().data());
    return place_value(v, leaf->type, 0, buffer, offset);
  }
  template <class Offset>
  placed place_value(const bound_value& v, const tensor_type& t, int skipped, int buffer, Offset offset) const {
    placed p;
    if (v.stacked) {
      p.stacked = true;
      for (const bound_value& i : v.instances) p.instances.push(place_value(i, t, skipped + 1, buffer, offset));
      return p;
    }
    located& l = p.one;
    l.element = t.element;
    l.buffer = buffer;
    l.offset = offset(static_cast<element*>(v.one.data) - model_.flat().data());
    l.rank = v.one.rank;
    for (int i = 0; i < l.rank; ++i)
      l.axes[i] = t.axes[i + skipped], l.extents[i] = v.one.extents[i], l.strides[i] = v.one.strides[i];
    return p;
  }

  template <bool Ema, bool Clip>
  std::unique_ptr<entry> make(const function_info& f, const function_info& g, const mask& in,
                              const std::vector<tensor_view>& batch) {
    program p;
    planner plan(p);
    const i64 size = static_cast<i64>(sizeof(element));
    int weights = plan.external(model_.flat().size() * size), gradients = plan.external(trained_ * size);
    std::vector<int> moments;
    for (int i = 0; i < Optimizer::moments; ++i) moments.push_back(plan.external(trained_ * size));
    int average = plan.external(average_.size() * size);
    int numbers = plan.external((Optimizer::number_count + 2) * size), loss = plan.external(size);

    list<placed> operands, targets;
    std::size_t next = 0;
    for (int i = 0; i < f.leaf_count; ++i) {
      const leaf_info* l = f.leaves[i];
      if (l->kind == leaf_kind::argument)
        operands.push(detail::place_external(p, batch[next++], l->type, 0, l->name));
      else
        operands.push(place_leaf(l, weights, [](i64 o) { return o; }));
    }
    targets.resize(g.output_count);
    targets[0] = one_number(loss, 0);
    for (int i = 0, k = f.output_count; i < f.leaf_count; ++i)
      if (in.has(i)) targets[k++] = place_leaf(f.leaves[i], gradients, [&](i64 o) { return gradient_at(o); });
    list<placed> results = plan.call(g, operands, targets, nullptr);
    for (int i = 0; i < g.state_count; ++i)
      plan.deliver(results[g.first_state + i], place_leaf(g.states[i], weights, [](i64 o) { return o; }));

    const function_info& u =
        *detail::update_of<Optimizer, Ema, Clip, element, std::make_index_sequence<Optimizer::moments>,
                           std::make_index_sequence<Optimizer::number_count>>::value;
    if (Clip && runs_.size() > 1)
      throw error("flame::train_step: clip_norm needs the trained parameters in one piece; train all, or all adapters");
    for (const run_of_weights& r : runs_) {
      list<placed> given, kept;
      given.push(flat_part(weights, r.weights, r.count));
      given.push(flat_part(gradients, r.gradients, r.count));
      kept.push(given[0]);
      for (int m : moments) given.push(flat_part(m, r.gradients, r.count)), kept.push(given.back());
      for (int i = 0; i < Optimizer::number_count; ++i) given.push(one_number(numbers, i));
      if (Ema) {
        given.push(flat_part(average, r.weights, r.count));
        kept.push(given.back());
        given.push(one_number(numbers, Optimizer::number_count));
      }
      if (Clip) given.push(one_number(numbers, Optimizer::number_count + 1));
      plan.call(u, given, kept, nullptr);
    }
    list<u8> needed;
    needed.resize(p.buffers.size(), 0);
    for (int b = 0; b <= loss; ++b) needed[b] = 1;
    drop_dead(p, needed);
    order_for_memory(p);
    place_buffers(p);
    return std::make_unique<entry>(entry{&g, extents_, host_code::executable(static_cast<program&&>(p)), 0});
  }
  i64 gradient_at(i64 offset) const {
    for (const run_of_weights& r : runs_)
      if (offset >= r.weights && offset < r.weights + r.count) return r.gradients + (offset - r.weights);
    return 0;
  }

  Model model_;
  Optimizer optimizer_;
  step_options options_;
  i64 step_ = 0, trained_ = 0;
  key key_;
  std::vector<run_of_weights> runs_;
  std::vector<element> gradient_, numbers_;
  std::vector<std::vector<element>> moments_;
  basic_tensor<backend, element, anonymous<0>> average_;
  std::vector<std::unique_ptr<entry>> entries_;
  std::size_t last_ = 0;
  std::vector<i64> extents_;
  std::vector<void*> pointers_;
};

// train_step(model, loss, adamw{.lr = 1e-3}, {.ema = 0.999}): loss is a lambda without captures that takes the model, the
// batch's tensors and, if it wants, a random key, and gives a scalar. Select says which parameters are trained.
template <class Select = all_parameters, class Model, class Loss, class Optimizer>
trainer<Model, Loss, Optimizer, Select> train_step(const Model& m, Loss, const Optimizer& o, const step_options& options = {}) {
  return trainer<Model, Loss, Optimizer, Select>(m, o, options);
}

}  // namespace flame
