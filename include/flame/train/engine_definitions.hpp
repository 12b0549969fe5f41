// How a training step becomes one program, and runs.
#pragma once
#include <flame/plan/plan.hpp>
#include <flame/run/argument.hpp>
#include <flame/train/engine_interface.hpp>

#include <algorithm>

namespace flame::detail {

template <class Backend, class Element>
step_engine<Backend, Element>::step_engine(const weights_type& w, selector selected, int moments, int numbers,
                                           const step_options& options)
    : weights_(w), selected_(selected), options_(options), number_count_(numbers), loss_(std::vector<i64>{}) {
  find_runs();
  auto zeros = [&] {
    flat_tensor t({trained_});
    t.fill(Element(0));
    return t;
  };
  gradient_ = zeros();
  for (int i = 0; i < moments; ++i) moments_.push_back(zeros());
  numbers_.assign(static_cast<std::size_t>(numbers) + 3, Element(0));
  if (options.ema > 0) {
    average_ = zeros();
    for (const run_of_weights& r : runs_)
      part(average_, r.gradients, r.count).copy_from(part(weights_.flat(), r.weights, r.count));
  }
}

template <class Backend, class Element>
auto step_engine<Backend, Element>::run(const step_functions& f, std::span<const tensor_view> batch,
                                        std::span<const double> numbers) -> const scalar& {
  entry& e = find_or_make(f, batch);
  std::size_t n = 0;
  for (double x : numbers) numbers_[n++] = static_cast<Element>(x);
  numbers_[n++] = Element(1);  // the clipping factor where nothing is clipped
  numbers_[n++] = static_cast<Element>(options_.ema);
  numbers_[n] = static_cast<Element>(options_.clip_norm);
  pointers_.clear();
  pointers_.push_back(argument_view(weights_.flat()).data);
  pointers_.push_back(gradient_.data());
  pointers_.push_back(average_.data());
  pointers_.push_back(numbers_.data());
  pointers_.push_back(loss_.data());
  for (const flat_tensor& m : moments_) pointers_.push_back(m.data());
  for (const tensor_view& v : batch) pointers_.push_back(v.data);
  pointers_.resize(static_cast<std::size_t>(e.run->plan().buffers.size()), nullptr);
  e.run->run(pointers_);
  return loss_;
}

template <class Backend, class Element> const program& step_engine<Backend, Element>::plan() const {
  if (entries_.empty()) throw error("flame::train_step: plan() is known after the first step");
  return entries_[last_]->run->plan();
}

template <class Backend, class Element>
auto step_engine<Backend, Element>::gradient(const std::string& path) const -> flat_tensor {
  const weight& w = weights_.find(path);
  if (!selected_(w)) throw error("flame::train_step: parameter " + path + " is not trained");
  return part(gradient_, place(w), w.elements());
}

template <class Backend, class Element> auto step_engine<Backend, Element>::averaged() const -> flat_tensor {
  auto flat = weights_.flat().clone();
  for (const run_of_weights& r : runs_)
    part(flat, r.weights, r.count).copy_from(part(average_, r.gradients, r.count));
  return flat;
}

template <class Backend, class Element> void step_engine<Backend, Element>::find_runs() {
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

template <class Backend, class Element> i64 step_engine<Backend, Element>::trained_offset(i64 offset) const {
  for (const run_of_weights& r : runs_)
    if (offset >= r.weights && offset < r.weights + r.count) return r.gradients + (offset - r.weights);
  return 0;
}

template <class Backend, class Element>
auto step_engine<Backend, Element>::find_or_make(const step_functions& f, std::span<const tensor_view> batch)
    -> entry& {
  shapes_.clear();
  for (const tensor_view& v : batch)
    for (int i = 0; i < v.rank; ++i) shapes_.push_back(v.extents[i]), shapes_.push_back(v.strides[i]);
  for (last_ = 0; last_ < entries_.size(); ++last_)
    if (entries_[last_]->gradient == f.gradient && entries_[last_]->shapes == shapes_)
      return *entries_[last_];
  entries_.push_back(make(f, batch));
  return *entries_.back();
}

template <class Backend, class Element>
placed step_engine<Backend, Element>::flat_part(int buffer, i64 offset, i64 count) {
  placed p = number_at(buffer, offset);
  p.one.rank = 1;
  p.one.axes[0] = axis_ptr<tag_of<flat_axis>>, p.one.extents[0] = count, p.one.strides[0] = 1;
  return p;
}

template <class Backend, class Element>
placed step_engine<Backend, Element>::number_at(int buffer, i64 offset) {
  placed p;
  p.one.element = dtype_of<Element>;
  p.one.buffer = buffer, p.one.offset = offset;
  return p;
}

template <class Backend, class Element>
template <class Offset>
placed step_engine<Backend, Element>::place_leaf(const leaf_info* leaf, int buffer, Offset offset) const {
  return place_value(weights_.bind(leaf, weights_.flat().data()), leaf->type, 0, buffer, offset);
}

template <class Backend, class Element>
template <class Offset>
placed step_engine<Backend, Element>::place_value(const bound_value& v, const tensor_type& t, int skipped,
                                                  int buffer, Offset offset) const {
  placed p;
  if (v.stacked) {
    p.stacked = true;
    for (const bound_value& i : v.instances) p.instances.push(place_value(i, t, skipped + 1, buffer, offset));
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

template <class Backend, class Element>
auto step_engine<Backend, Element>::make(const step_functions& f, std::span<const tensor_view> batch)
    -> std::unique_ptr<entry> {
  program p;
  planner plan(p);
  const i64 size = static_cast<i64>(sizeof(Element));
  // In the order of the pointers in `run`.
  const int weights = plan.external(weights_.flat().size() * size),
            gradients = plan.external(trained_ * size);
  const int average = plan.external(average_.size() * size);
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
  std::vector<int> changing = {numbers};
  std::size_t next = 0;
  for (int i = 0; i < f.loss->leaf_count; ++i) {
    const leaf_info* l = f.loss->leaves[i];
    if (l->kind != leaf_kind::argument) {
      operands.push(place_leaf(l, weights, at_weights));
    } else {
      const planning::leaf_words words(*l, static_cast<int>(next));
      operands.push(place_external(p, batch[next], l->type, 0, words.name));
      find_numbers(batch[next++], operands.back(), changing);
    }
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
      entry{f.gradient, shapes_, functions_of<Backend>().prepare(static_cast<program&&>(p), changing)});
}

}  // namespace flame::detail
