// Sums of products without a step of their own: the later products add to the first one's result. For every
// backend, since that is what products of matrices do: y = x W^T + (x A^T) B^T of an adapted layer, and the
// gradient of what several layers read.
#pragma once
#include <flame/plan/share.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace flame {

namespace planning {

// A group that adds what it loads and stores the sum; no loads where a step is something else.
struct pure_sum {
  list<int> loads;  // slots
  int out = -1;

  explicit pure_sum(const program_step& s) {
    if (!s.code || s.code->body.size() < 4) return;
    const list<instruction>& body = s.code->body;
    list<int> in;
    list<u8> used;
    used.resize(body.size(), 0);
    auto take = [&](int value) { return value >= 0 && !used[value]++; };
    for (int i = 0; i + 1 < body.size(); ++i) {
      const instruction& x = body[i];
      if (x.code == code_load) {
        if (s.code->slots[x.a].kind != slot_kind::input || s.tensors[x.a].buffer < 0) return;
        in.push(x.a);
      } else if (x.code != static_cast<u8>(op::add) || x.at != level::full || !is_floating(x.element) ||
                 !take(x.a) || !take(x.b)) {
        return;
      }
    }
    const instruction& store = body.back();
    if (store.code != code_store || store.b != body.size() - 2 || store.reduce != reduce_mode::none ||
        store.at != level::full)
      return;
    for (int i = 0; i + 2 < body.size(); ++i)
      if (!used[i]) return;
    out = store.a;
    loads = static_cast<list<int>&&>(in);
  }
};

// The group without some of its loads. Groups are made once in a process and never destroyed, as functions'.
[[nodiscard]] inline const group& without(const group& code, const list<u8>& dropped) {
  static std::mutex& lock = *new std::mutex;
  static auto& all = *new std::map<std::pair<const group*, u64>, std::unique_ptr<const group>>;
  u64 mask = 0;
  for (int i = 0; i < dropped.size(); ++i) mask |= u64{dropped[i]} << i;
  const std::lock_guard hold(lock);
  std::unique_ptr<const group>& found = all[{&code, mask}];
  if (found) return *found;
  auto made = std::make_unique<group>(code);
  made->slots.clear(), made->body.clear();
  int value = -1;
  auto add = [&](instruction i, int slot) {
    i.a = slot;
    return made->body.push(i);
  };
  const instruction& sum = code.body[code.body.size() - 2];
  for (const instruction& i : code.body) {
    if (i.code != code_load || dropped[i.a]) continue;
    const int loaded = add(i, made->slots.push(code.slots[i.a]));
    if (value < 0) {
      value = loaded;
      continue;
    }
    instruction both = sum;
    both.a = value, both.b = loaded;
    value = made->body.push(both);
  }
  instruction store = code.body.back();
  store.b = value;
  add(store, made->slots.push(code.slots[code.body.back().a]));
  found = std::move(made);
  return *found;
}

class summing {
 public:
  explicit summing(program& p) : p_(p) {
    const int n = p.buffers.size();
    writer_.resize(n, -1), writers_.resize(n, 0), readers_.resize(n, 0);
    for (int i = 0; i < p.steps.size(); ++i)
      for (int k = 0; k < p.steps[i].tensors.size(); ++k) {
        const int b = p.steps[i].tensors[k].buffer;
        if (b < 0) continue;
        if (p.steps[i].writes[k])
          writer_[b] = i, ++writers_[b];
        else
          ++readers_[b];
      }
  }

  void run() {
    list<u8> gone;
    gone.resize(p_.steps.size(), 0);
    for (int i = 0; i < p_.steps.size(); ++i) gone[i] = merge(i);
    list<program_step> left;
    for (int i = 0; i < p_.steps.size(); ++i)
      if (!gone[i]) left.push(static_cast<program_step&&>(p_.steps[i]));
    p_.steps = static_cast<list<program_step>&&>(left);
  }

 private:
  [[nodiscard]] bool own(int buffer) const { return p_.buffers[buffer].kind == buffer_kind::arena; }
  [[nodiscard]] bool whole(const located& t) const {
    return t.offset == 0 && t.contiguous() && t.elements() * size_of(t.element) == p_.buffers[t.buffer].bytes;
  }

  // Whether slot k of a sum is the whole result of a product that nobody else reads, and lies as the sum
  // does.
  [[nodiscard]] bool is_product(const program_step& s, int k, int out) const {
    const located &t = s.tensors[k], &to = s.tensors[out];
    if (!own(t.buffer) || writers_[t.buffer] != 1 || readers_[t.buffer] != 1 || t.element != to.element ||
        !whole(t) || !to.contiguous() || t.elements() != to.elements())
      return false;
    const bound_group& g = s.bound;
    for (int r = 0; r < g.batch_rank + g.outer_rank + g.inner_rank; ++r)
      if (g.extents[r] > 1 && g.slots[k].strides[r] != g.slots[out].strides[r]) return false;
    const program_step& product = p_.steps[writer_[t.buffer]];
    return !product.code && product.library == op::contract && product.tensors.size() == 3 &&
           product.data.empty() && whole(product.tensors[2]) && product.tensors[2].element == to.element;
  }
  [[nodiscard]] bool touched_between(int buffer, int after, int before) const {
    for (int i = after + 1; i < before; ++i)
      for (const located& t : p_.steps[i].tensors)
        if (t.buffer == buffer) return true;
    return false;
  }

  // Whether step i is gone: all of it was products.
  bool merge(int i) {
    program_step& s = p_.steps[i];
    const pure_sum sum(s);
    if (sum.loads.size() < 2) return false;
    list<int> products;  // slots, the one that is made first in front
    for (int k : sum.loads)
      if (is_product(s, k, sum.out)) products.push(k);
    if (products.size() < 2) return false;
    sort(products, [&](int a, int b) { return writer_[s.tensors[a].buffer] < writer_[s.tensors[b].buffer]; });
    const located out = s.tensors[sum.out], first = s.tensors[products[0]];
    const int from = writer_[first.buffer];
    const bool all = products.size() == sum.loads.size();
    // Where all is products, the sum is the first one's result for its readers, or the first writes where the
    // sum must stand.
    const bool renamed = all && own(out.buffer) && writers_[out.buffer] == 1 && whole(out);
    if (all && !renamed && touched_between(out.buffer, from - 1, i)) return false;
    const located& to = all && !renamed ? out : first;
    auto stands = [&](located t) {
      t.buffer = to.buffer, t.offset = to.offset;
      return t;
    };
    located& base = p_.steps[from].tensors[2];
    base = stands(base);
    for (int k = 1; k < products.size(); ++k) {
      program_step& product = p_.steps[writer_[s.tensors[products[k]].buffer]];
      const located made = stands(product.tensors[2]);
      product.tensors[2] = made, product.writes[2] = 0;
      product.tensors.push(made), product.writes.push(1);
      product.data.push(__builtin_bit_cast(u64, 1.0)), product.data.push(1);
      writers_[to.buffer] += 1, readers_[to.buffer] += 1;
      if (writer_[to.buffer] < writer_[s.tensors[products[k]].buffer])
        writer_[to.buffer] = writer_[s.tensors[products[k]].buffer];
    }
    if (renamed) {
      for (program_step& reader : p_.steps)
        for (located& t : reader.tensors)
          if (t.buffer == out.buffer) t.buffer = first.buffer;
      readers_[first.buffer] += readers_[out.buffer] - 1;
      p_.buffers[first.buffer].may_wait |= p_.buffers[out.buffer].may_wait;
    }
    if (all) return true;
    list<u8> dropped;
    dropped.resize(s.code->slots.size(), 0);
    for (int k = 1; k < products.size(); ++k) dropped[products[k]] = 1;
    program_step less = s;
    less.code = &without(*s.code, dropped);
    less.tensors.clear(), less.writes.clear(), less.bound.slots.clear();
    auto keep = [&](int k) {
      less.tensors.push(s.tensors[k]), less.writes.push(s.writes[k]), less.bound.slots.push(s.bound.slots[k]);
    };
    for (const instruction& x : s.code->body)
      if (x.code == code_load && !dropped[x.a]) keep(x.a);
    keep(sum.out);
    s = static_cast<program_step&&>(less);
    return false;
  }

  program& p_;
  list<int> writer_, writers_, readers_;  // by buffer: the last step that writes it, how many do and read
};

}  // namespace planning

// a b + c d + ...: the later products become contractions whose data are the bits of 1 and 1, and whose
// tensors are their operands, the sum so far, which stands where the result does, and the result.
inline void sum_in_products(program& p) { planning::summing(p).run(); }

}  // namespace flame
