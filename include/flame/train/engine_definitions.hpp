// How a training step becomes one program, and runs.
#pragma once
#include <flame/optim/update.hpp>
#include <flame/plan/epilogue.hpp>
#include <flame/plan/offload.hpp>
#include <flame/plan/plan.hpp>
#include <flame/plan/precision.hpp>
#include <flame/run/argument.hpp>
#include <flame/train/engine_interface.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

namespace flame::detail {

template <class Backend, class Element>
step_engine<Backend, Element>::step_engine(const weights_type& w, selector selected, int moments, int numbers,
                                           const step_options& options)
    : weights_(w), selected_(selected), options_(options), number_count_(numbers), loss_(std::vector<i64>{}) {
  require_here(weights_.flat());  // all that the engine has lies where they do
  find_runs();
  auto zeros = [&] {
    flat_tensor t({trained_});
    t.fill(Element(0));
    return t;
  };
  for (int i = 0; i < moments; ++i) moments_.push_back(zeros());
  numbers_.assign(static_cast<std::size_t>(numbers + extra_numbers), Element(0));
  if (narrow()) {
    if (!std::is_same_v<Element, f32>)
      throw error("flame::train_step: a precision of 16 bits needs a model whose weights are f32");
    half_gradient_ = bytes_tensor(std::vector<i64>{trained_ * size_of(half())});
    half_gradient_.fill(u8{0});
    copy_ = bytes_tensor(std::vector<i64>{weights_.flat().size() * size_of(half())});
  } else {
    gradient_ = zeros();
  }
  if (scales()) {
    const loss_scaling& s = options.scaling;
    if (!(s.first > 0 && s.growth >= 1 && s.backoff > 0 && s.backoff <= 1 && s.interval > 0))
      throw error(
          "flame::train_step: .scaling needs first > 0, growth >= 1, 0 < backoff <= 1 and interval > 0");
    scaling_ = flat_tensor(std::vector<i64>{scaling_axis.extent});
    set_scaling({s.first, 0, 0, s.first});
  }
  if (options.ema > 0) {
    average_ = zeros();
    for (const run_of_weights& r : runs_)
      part(average_, r.gradients, r.count).copy_from(part(weights_.flat(), r.weights, r.count));
  }
}

template <class Backend, class Element>
auto step_engine<Backend, Element>::run(const step_functions& f, std::span<const tensor_view> batch,
                                        std::span<const double> numbers) -> const scalar& {
  require_here(weights_.flat());
  entry& e = find_or_make(f, batch);
  if (!copied_) refresh();
  std::size_t n = 0;
  for (double x : numbers) numbers_[n++] = static_cast<Element>(x);
  numbers_[n + one] = Element(1);
  numbers_[n + ema] = static_cast<Element>(options_.ema);
  numbers_[n + largest_norm] = options_.clip_norm > 0 ? static_cast<Element>(options_.clip_norm)
                                                      : std::numeric_limits<Element>::infinity();
  numbers_[n + growth] = static_cast<Element>(options_.scaling.growth);
  numbers_[n + backoff] = static_cast<Element>(options_.scaling.backoff);
  numbers_[n + interval] = static_cast<Element>(options_.scaling.interval);
  pointers_.clear();
  pointers_.push_back(weights_.flat().data());
  if (narrow())
    pointers_.push_back(half_gradient_.data());
  else
    pointers_.push_back(gradient_.data());
  pointers_.push_back(average_.data());
  pointers_.push_back(numbers_.data());
  pointers_.push_back(loss_.data());
  pointers_.push_back(copy_.data());
  pointers_.push_back(scaling_.data());
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
  return part(gradients(), place(w), w.elements());
}

template <class Backend, class Element>
auto step_engine<Backend, Element>::gradients() const -> const flat_tensor& {
  if (!narrow()) return gradient_;
  const auto bytes = to<host>(half_gradient_);
  const Element unscale = static_cast<Element>(1 / scaling().last);
  std::vector<Element> values(static_cast<std::size_t>(trained_));
  auto convert = [&]<class Half>(Half) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      Half x;
      std::memcpy(&x, bytes.data() + i * sizeof x, sizeof x);
      values[i] = static_cast<Element>(static_cast<float>(x)) * unscale;
    }
  };
  if (half() == dtype::f16)
    convert(f16{});
  else
    convert(bf16{});
  if (gradient_.size() == 0) gradient_ = flat_tensor(std::vector<i64>{trained_});
  gradient_.copy_from(values);
  return gradient_;
}

template <class Backend, class Element> i64 step_engine<Backend, Element>::state_bytes() const {
  if (narrow()) return half_gradient_.size() + copy_.size();
  return trained_ * static_cast<i64>(sizeof(Element));
}

template <class Backend, class Element> auto step_engine<Backend, Element>::scaling() const -> scaling_state {
  if (!scales()) return {};
  const std::vector<Element> s = scaling_.to_vector();
  return {static_cast<double>(s[0]), static_cast<double>(s[1]), static_cast<double>(s[2]),
          static_cast<double>(s[3])};
}
template <class Backend, class Element>
void step_engine<Backend, Element>::set_scaling(const scaling_state& s) {
  const Element values[] = {static_cast<Element>(s.scale),
                            static_cast<Element>(s.good),
                            static_cast<Element>(s.skipped),
                            static_cast<Element>(s.last),
                            Element(0),
                            Element(0)};
  if (scales()) scaling_.copy_from(std::span<const Element>(values));
}

template <class Backend, class Element> void step_engine<Backend, Element>::refresh() {
  if (!narrow()) return;
  require_here(weights_.flat());
  const i64 count = weights_.flat().size();
  if (!refresh_) {
    program p;
    planner plan(p);
    const int from = plan.external(count * size_of(dtype::f32)),
              to = plan.external(count * size_of(dtype::f32));
    plan.deliver(flat_part(from, 0, count), flat_part(to, 0, count));
    list<u8> narrow;
    narrow.push(0), narrow.push(1);
    store_in(p, half(), narrow);
    order_for_memory(p);
    place_buffers(p);
    refresh_ = functions_of<Backend>().prepare(static_cast<program&&>(p), {});
  }
  refresh_->run({weights_.flat().data(), copy_.data()});
  copied_ = true;
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
  const int copies = plan.external(narrow() ? weights_.flat().size() * size : 0);
  const int scaling = plan.external(scaling_.size() * size);
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
      const bool copied = narrow() && l->kind == leaf_kind::parameter;
      operands.push(place_leaf(l, copied ? copies : weights, at_weights));
    } else {
      const planning::leaf_words words(*l, static_cast<int>(next));
      operands.push(place_external(p, batch[next], l->type, 0, words.name));
      find_numbers(batch[next++], operands.back(), changing);
    }
  }
  operands.push(scales() ? number_at(scaling, 0) : number_at(numbers, number_count_ + one));
  targets.resize(f.gradient->output_count);
  targets[0] = number_at(loss, 0);
  for (int i = 0, k = f.loss->output_count; i < f.loss->leaf_count; ++i)
    if (f.in.has(i)) targets[k++] = place_leaf(f.loss->leaves[i], gradients, at_gradients);
  list<placed> results = plan.call(*f.gradient, operands, targets, nullptr);
  planning::joint_delivery renewed;  // states that are exchanged read each other's memory
  for (int i = 0; i < f.gradient->state_count; ++i)
    renewed.add(results[f.gradient->first_state + i], place_leaf(f.gradient->states[i], weights, at_weights));
  renewed.run(p);

  placed factor = number_at(numbers, number_count_ + one), taken;
  if (scales()) {
    list<placed> given, kept;
    given.push(flat_part(gradients, 0, trained_));
    for (int i : {largest_norm, growth, backoff, interval}) given.push(number_at(numbers, number_count_ + i));
    for (int i = 0; i < 3; ++i) given.push(number_at(scaling, i));
    // Not where the old state is read: its kernel has several threads.
    const placed state = plan.call(*scaling_of<Element>, given, kept, nullptr)[0];
    plan.deliver(state, flat_part(scaling, 0, scaling_axis.extent));
    factor = number_at(state.one.buffer, state.one.offset + 4);
    taken = number_at(state.one.buffer, state.one.offset + 5);
  } else if (options_.clip_norm > 0) {
    list<placed> given, none;
    given.push(flat_part(gradients, 0, trained_));
    given.push(number_at(numbers, number_count_ + largest_norm));
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
      given.push(number_at(numbers, number_count_ + ema));
    }
    if (scales()) given.push(taken);
    plan.call(*f.update, given, kept, nullptr);
    if (narrow()) plan.deliver(given[0], flat_part(copies, r.weights, r.count));
  }
  list<u8> needed;
  needed.resize(p.buffers.size(), 0);
  for (int b = 0; b < last; ++b) needed[b] = 1;
  drop_dead(p, needed);
  if (narrow()) {
    list<u8> given;
    given.resize(p.buffers.size(), 0);
    given[copies] = given[gradients] = 1;
    store_in(p, half(), given);
  }
  fold_for(functions_of<Backend>(), p);
  order_for_memory(p);
  if (functions_of<Backend>().puts_aside) put_aside(p);
  place_buffers(p);
  return std::make_unique<entry>(
      entry{f.gradient, shapes_, functions_of<Backend>().prepare(static_cast<program&&>(p), changing)});
}

}  // namespace flame::detail
