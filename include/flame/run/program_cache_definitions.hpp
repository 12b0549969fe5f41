// How a function's program is found, or planned and prepared.
#pragma once
#include <flame/plan/epilogue.hpp>
#include <flame/plan/offload.hpp>
#include <flame/plan/plan.hpp>
#include <flame/run/executable.hpp>
#include <flame/run/program_cache_interface.hpp>

#include <utility>

namespace flame {

namespace detail {

inline void key_of(const bound_value& v, std::vector<i64>& key) {
  if (v.stacked) {
    key.push_back(-1 - static_cast<i64>(v.instances.size()));
    for (const bound_value& i : v.instances) key_of(i, key);
    return;
  }
  if (v.one.is_number) key.push_back(-1);
  for (int i = 0; i < v.one.rank; ++i) key.push_back(v.one.extents[i]), key.push_back(v.one.strides[i]);
}

inline void pointers_of(const bound_value& v, std::vector<void*>& to) {
  if (v.stacked)
    for (const bound_value& i : v.instances) pointers_of(i, to);
  else
    to.push_back(v.one.data);
}

FLAME_FUNCTION placed place_external(program& p, const bound_value& v, const tensor_type& t, int skipped,
                                     text name) {
  placed r;
  if (v.stacked || t.stack > skipped) {
    if (!v.stacked || t.stack <= skipped)
      throw error("argument " + text_of(name) + ": a stack of tensors is " +
                  (v.stacked ? "given" : "expected") + ", the function takes " +
                  (v.stacked ? "one tensor" : "one for each instance"));
    r.stacked = true;
    for (const bound_value& i : v.instances) r.instances.push(place_external(p, i, t, skipped + 1, name));
    return r;
  }
  if (v.one.element != t.element)
    throw error("argument " + text_of(name) + ": the element type is " + name_of(v.one.element) +
                ", expected " + name_of(t.element));
  if (v.one.rank != t.rank - skipped)
    throw error("argument " + text_of(name) + ": the tensor has " + std::to_string(v.one.rank) +
                " axes, expected " + std::to_string(t.rank - skipped));
  located& l = r.one;
  l.element = t.element;
  l.rank = v.one.rank;
  i64 elements = 1;
  for (int i = 0; i < l.rank; ++i) {
    l.axes[i] = t.axes[i + skipped];
    l.extents[i] = v.one.extents[i], l.strides[i] = v.one.strides[i];
    elements *= l.extents[i];
  }
  buffer b;
  b.kind = buffer_kind::external;
  b.bytes = elements * size_of(t.element);
  l.buffer = p.buffers.push(b);
  return r;
}

FLAME_FUNCTION void find_numbers(const bound_value& v, const placed& p, std::vector<int>& numbers) {
  if (!v.stacked && v.one.is_number) numbers.push_back(p.one.buffer);
}

}  // namespace detail

namespace host_code {

class program_on_host final : public flame::executable {
 public:
  explicit program_on_host(program p) : run_(static_cast<program&&>(p)) {}
  [[nodiscard]] const program& plan() const override { return run_.plan(); }
  void run(const std::vector<void*>& externals) override {
    // Of buffers that do not outlive a run: results that other programs of the thread must not overwrite have
    // memory of their own, so one arena a thread is enough.
    static thread_local arena memory;
    run_.run(externals, memory);
  }

 private:
  host_code::executable run_;
};

FLAME_FUNCTION const backend_functions& functions() {
  static const backend_functions all = [] {
    backend_functions f;
    f.prepare = [](program p, const std::vector<int>&) -> std::unique_ptr<flame::executable> {
      return std::make_unique<program_on_host>(static_cast<program&&>(p));
    };
    f.device = [] { return 0; };
    f.folds_into_halves = true;
    return f;
  }();
  return all;
}

}  // namespace host_code

struct program_cache::cached {
  std::vector<i64> key;
  std::vector<std::vector<i64>> outputs;
  std::unique_ptr<executable> run;
};

FLAME_FUNCTION program_cache::program_cache(const function_info& f, const backend_functions& backend)
    : function_(&f), backend_(&backend) {}
FLAME_FUNCTION program_cache::program_cache(program_cache&&) noexcept = default;
FLAME_FUNCTION program_cache& program_cache::operator=(program_cache&&) noexcept = default;
FLAME_FUNCTION program_cache::~program_cache() = default;

FLAME_FUNCTION const std::vector<std::vector<i64>>& program_cache::output_extents(
    const std::vector<bound_value>& operands) {
  return entry(operands).outputs;
}

FLAME_FUNCTION void program_cache::run(const std::vector<bound_value>& operands,
                                       const std::vector<bound_value>& results) {
  cached& c = entry(operands);
  externals_.clear();
  for (const bound_value& v : operands) detail::pointers_of(v, externals_);
  for (const bound_value& v : results) detail::pointers_of(v, externals_);
  externals_.resize(static_cast<std::size_t>(c.run->plan().buffers.size()), nullptr);
  c.run->run(externals_);
}

FLAME_FUNCTION const program& program_cache::plan(const std::vector<bound_value>& operands) {
  return entry(operands).run->plan();
}

FLAME_FUNCTION program_cache::cached& program_cache::entry(const std::vector<bound_value>& operands) {
  key_.clear();
  key_.push_back(backend_->device());
  for (const bound_value& v : operands) detail::key_of(v, key_);
  for (const std::unique_ptr<cached>& c : cached_)
    if (c->key == key_) return *c;
  if (static_cast<int>(operands.size()) != function_->leaf_count)
    throw error("flame: " + std::to_string(operands.size()) + " arguments are given, the function takes " +
                std::to_string(function_->leaf_count));
  auto made = std::make_unique<cached>();
  made->key = key_;
  program p;
  planner pl(p);
  list<placed> in, out;
  extents e;
  std::vector<int> numbers;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const leaf_info* l = function_->leaves[static_cast<int>(i)];
    const planning::leaf_words words(*l, static_cast<int>(i));
    in.push(detail::place_external(p, operands[i], l->type, 0, words.name));
    detail::find_numbers(operands[i], in.back(), numbers);
  }
  planning::bind_leaves(e, *function_, in);
  graph g = graph_of(*function_);
  resolve(g, e);
  list<u8> kept;
  for (int o : g.outputs) {
    const tensor_type& t = g.type(o);
    if (t.stack)
      throw error("flame::compile: a function's result is a stack of tensors; give each instance's own");
    located l = planning::contiguous(t, e, -1);
    buffer b;
    b.kind = buffer_kind::external;
    b.bytes = l.elements() * size_of(t.element);
    l.buffer = p.buffers.push(b);
    kept.resize(p.buffers.size(), 0);
    kept[l.buffer] = 1;
    placed target;
    target.one = l;
    out.push(target);
    made->outputs.emplace_back(l.extents, l.extents + l.rank);
  }
  pl.call(*function_, in, out, nullptr);
  kept.resize(p.buffers.size(), 0);
  drop_dead(p, kept);
  fold_for(*backend_, p);
  order_for_memory(p);
  if (backend_->puts_aside) put_aside(p);
  place_buffers(p);
  made->run = backend_->prepare(static_cast<program&&>(p), numbers);
  cached_.push_back(std::move(made));
  return *cached_.back();
}

}  // namespace flame
