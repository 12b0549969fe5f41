// The engine of training steps: loss, gradients, clipping, optimizer and moving average planned as one
// program. It knows neither the model nor the loss but as functions and tables, so that a program with many
// losses compiles it once.
#pragma once
#include <flame/nn/weights.hpp>
#include <flame/optim/optimizer.hpp>
#include <flame/pass/activity.hpp>

#include <algorithm>

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

  step_engine(const weights_type& w, selector selected, int moments, int numbers, const step_options& options)
      : weights_(w),
        selected_(selected),
        options_(options),
        number_count_(numbers),
        loss_(std::vector<i64>{}) {
    find_runs();
    gradient_.assign(static_cast<std::size_t>(trained_), Element(0));
    moments_.assign(static_cast<std::size_t>(moments), gradient_);
    numbers_.assign(static_cast<std::size_t>(numbers) + 3, Element(0));
    if (options.ema > 0) {
      average_ = gradient_;
      each_run([&](const run_of_weights& r, Element* from) {
        std::copy_n(from, r.count, average_.data() + r.gradients);
      });
    }
  }

  // One step. numbers: the optimizer's.
  const scalar& run(const step_functions& f, std::span<const tensor_view> batch,
                    std::span<const double> numbers) {
    entry& e = find_or_make(f, batch);
    std::size_t n = 0;
    for (double x : numbers) numbers_[n++] = static_cast<Element>(x);
    numbers_[n++] = Element(1);  // the clipping factor where nothing is clipped
    numbers_[n++] = static_cast<Element>(options_.ema);
    numbers_[n] = static_cast<Element>(options_.clip_norm);
    pointers_.clear();
    pointers_.push_back(weights_.flat().data());
    pointers_.push_back(gradient_.data());
    pointers_.push_back(average_.data());
    pointers_.push_back(numbers_.data());
    pointers_.push_back(loss_.data());
    for (auto& m : moments_) pointers_.push_back(m.data());
    for (const tensor_view& v : batch) pointers_.push_back(v.data);
    pointers_.resize(static_cast<std::size_t>(e.run.plan().buffers.size()), nullptr);
    e.run.run(pointers_, thread_arena());
    return loss_;
  }

  [[nodiscard]] const program& plan() const {
    if (entries_.empty()) throw error("flame::train_step: plan() is known after the first step");
    return entries_[last_]->run.plan();
  }
  [[nodiscard]] std::span<const Element> gradient(const std::string& path) const {
    const weight& w = weights_.find(path);
    if (!selected_(w)) throw error("flame::train_step: parameter " + path + " is not trained");
    return {gradient_.data() + trained_offset(w.offset), static_cast<std::size_t>(w.elements())};
  }
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
  [[nodiscard]] typename weights_type::flat_tensor averaged() const {
    auto flat = weights_.flat().clone();
    for (const run_of_weights& r : runs_)
      std::copy_n(average_.data() + r.gradients, r.count, flat.data() + r.weights);
    return flat;
  }

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

  void find_runs() {
    std::vector<const weight*> ordered;
    for (const weight& w : weights_.weights())
      if (selected_(w) && w.elements() > 0) ordered.push_back(&w);
    std::sort(ordered.begin(), ordered.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    for (const weight* w : ordered) {
      const i64 room = (w->elements() + 15) / 16 * 16;
      if (runs_.empty() || runs_.back().weights + runs_.back().count != w->offset)
        runs_.push_back({w->offset, trained_, 0});
      runs_.back().count += room;
      trained_ += room;
    }
    if (trained_ == 0)
      throw error("flame::train_step: no parameter is trained: those that are chosen have no elements");
  }
  template <class F> void each_run(F&& f) {
    for (const run_of_weights& r : runs_) f(r, weights_.flat().data() + r.weights);
  }
  // Where the gradient of the weight at an offset lies; 0 for a weight without elements.
  [[nodiscard]] i64 trained_offset(i64 offset) const {
    for (const run_of_weights& r : runs_)
      if (offset >= r.weights && offset < r.weights + r.count) return r.gradients + (offset - r.weights);
    return 0;
  }

  entry& find_or_make(const step_functions& f, std::span<const tensor_view> batch) {
    shapes_.clear();
    for (const tensor_view& v : batch)
      for (int i = 0; i < v.rank; ++i) shapes_.push_back(v.extents[i]), shapes_.push_back(v.strides[i]);
    for (last_ = 0; last_ < entries_.size(); ++last_)
      if (entries_[last_]->gradient == f.gradient && entries_[last_]->shapes == shapes_)
        return *entries_[last_];
    entries_.push_back(make(f, batch));
    return *entries_.back();
  }

  // ---- Planning ----

  static placed flat_part(int buffer, i64 offset, i64 count) {
    placed p = number_at(buffer, offset);
    p.one.rank = 1;
    p.one.axes[0] = axis_ptr<tag_of<flat_axis>>, p.one.extents[0] = count, p.one.strides[0] = 1;
    return p;
  }
  static placed number_at(int buffer, i64 offset) {
    placed p;
    p.one.element = dtype_of<Element>;
    p.one.buffer = buffer, p.one.offset = offset;
    return p;
  }

  // The tensors of a leaf as parts of a buffer; offset: by place in the weights, negative where there is
  // none.
  template <class Offset> placed place_leaf(const leaf_info* leaf, int buffer, Offset offset) const {
    return place_value(weights_.bind(leaf, weights_.flat().data()), leaf->type, 0, buffer, offset);
  }
  template <class Offset>
  placed place_value(const bound_value& v, const tensor_type& t, int skipped, int buffer,
                     Offset offset) const {
    placed p;
    if (v.stacked) {
      p.stacked = true;
      for (const bound_value& i : v.instances)
        p.instances.push(place_value(i, t, skipped + 1, buffer, offset));
      return p;
    }
    const i64 at = offset(static_cast<Element*>(v.one.data) - weights_.flat().data());
    located& l = p.one;
    l.element = t.element;
    l.buffer = at < 0 ? -1 : buffer;
    l.offset = at < 0 ? 0 : at;
    l.rank = v.one.rank;
    for (int i = 0; i < l.rank; ++i)
      l.axes[i] = t.axes[i + skipped], l.extents[i] = v.one.extents[i], l.strides[i] = v.one.strides[i];
    return p;
  }

  std::unique_ptr<entry> make(const step_functions& f, std::span<const tensor_view> batch) {
    program p;
    planner plan(p);
    const i64 size = static_cast<i64>(sizeof(Element));
    // In the order of the pointers in `run`.
    const int weights = plan.external(weights_.flat().size() * size),
              gradients = plan.external(trained_ * size);
    const int average = plan.external(static_cast<i64>(average_.size()) * size);
    const int numbers = plan.external(static_cast<i64>(numbers_.size()) * size), loss = plan.external(size);
    list<int> moments;
    for (std::size_t i = 0; i < moments_.size(); ++i) moments.push(plan.external(trained_ * size));
    const int last = p.buffers.size();

    const auto at_weights = [](i64 offset) { return offset; };
    list<u8> trained;
    trained.resize(static_cast<int>(weights_.flat().size() / 16) + 1, 0);
    for (const weight& w : weights_.weights())
      if (selected_(w) && w.elements() > 0) trained[static_cast<int>(w.offset / 16)] = 1;
    const auto at_gradients = [&](i64 offset) {
      return trained[static_cast<int>(offset / 16)] ? trained_offset(offset) : -1;
    };
    list<placed> operands, targets;
    std::size_t next = 0;
    for (int i = 0; i < f.loss->leaf_count; ++i) {
      const leaf_info* l = f.loss->leaves[i];
      operands.push(l->kind == leaf_kind::argument ? place_external(p, batch[next++], l->type, 0, l->name)
                                                   : place_leaf(l, weights, at_weights));
    }
    targets.resize(f.gradient->output_count);
    targets[0] = number_at(loss, 0);
    for (int i = 0, k = f.loss->output_count; i < f.loss->leaf_count; ++i)
      if (f.in.has(i)) targets[k++] = place_leaf(f.loss->leaves[i], gradients, at_gradients);
    list<placed> results = plan.call(*f.gradient, operands, targets, nullptr);
    for (int i = 0; i < f.gradient->state_count; ++i)
      plan.deliver(results[f.gradient->first_state + i],
                   place_leaf(f.gradient->states[i], weights, at_weights));

    placed factor = number_at(numbers, number_count_);
    if (options_.clip_norm > 0) {
      list<placed> given, none;
      given.push(flat_part(gradients, 0, trained_)), given.push(number_at(numbers, number_count_ + 2));
      none.resize(1);
      factor = plan.call(*f.clip, given, none, nullptr)[0];
    }
    for (const run_of_weights& r : runs_) {
      list<placed> given, kept;
      given.push(flat_part(weights, r.weights, r.count));
      given.push(flat_part(gradients, r.gradients, r.count));
      kept.push(given[0]);
      for (int m : moments) given.push(flat_part(m, r.gradients, r.count)), kept.push(given.back());
      for (int i = 0; i < number_count_; ++i) given.push(number_at(numbers, i));
      given.push(factor);
      if (options_.ema > 0) {
        given.push(flat_part(average, r.gradients, r.count));
        kept.push(given.back());
        given.push(number_at(numbers, number_count_ + 1));
      }
      plan.call(*f.update, given, kept, nullptr);
    }
    list<u8> needed;
    needed.resize(p.buffers.size(), 0);
    for (int b = 0; b < last; ++b) needed[b] = 1;
    drop_dead(p, needed);
    order_for_memory(p);
    place_buffers(p);
    return std::make_unique<entry>(
        entry{f.gradient, shapes_, host_code::executable(static_cast<program&&>(p))});
  }

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

}  // namespace detail

}  // namespace flame
