// Sums of products without a step of their own: the later products add to the first one's result, as that of
// an adapted layer, x W^T + (x A^T) B^T, and the gradient of what several layers read. For backends that fold
// into products (plan/epilogue.hpp, fold_for).
#pragma once
#include <flame/plan/share.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace flame {

namespace planning {

// Slots are the bits of a word (see rewritten); groups of more are left as they are.
inline constexpr int most_slots = 60;

// A group that adds what it loads and stores the sum; no loads where a step is something else.
struct pure_sum {
  list<int> loads;  // slots
  int out = -1;

  explicit pure_sum(const program_step& s) {
    if (!s.code || s.code->body.size() < 4 || s.code->slots.size() > most_slots) return;
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

// Groups made from others, by what was done. Made once in a process and never destroyed, as functions' are.
template <class Make> [[nodiscard]] const group& rewritten(const group& code, u64 how, Make&& make) {
  static std::mutex& lock = *new std::mutex;
  static auto& all = *new std::map<std::pair<const group*, u64>, std::unique_ptr<const group>>;
  const std::lock_guard hold(lock);
  std::unique_ptr<const group>& found = all[{&code, how}];
  if (!found) found = std::make_unique<const group>(make());
  return *found;
}

// A sum without some of its loads.
[[nodiscard]] inline const group& without(const group& code, const list<u8>& dropped) {
  u64 mask = 0;
  for (int i = 0; i < dropped.size(); ++i) mask |= u64{dropped[i]} << i;
  return rewritten(code, mask, [&] {
    group made = code;
    made.slots.clear(), made.body.clear();
    int value = -1;
    auto add = [&](instruction i, int slot) {
      i.a = slot;
      return made.body.push(i);
    };
    const instruction& sum = code.body[code.body.size() - 2];
    for (const instruction& i : code.body) {
      if (i.code != code_load || dropped[i.a]) continue;
      const int loaded = add(i, made.slots.push(code.slots[i.a]));
      if (value < 0) {
        value = loaded;
        continue;
      }
      instruction both = sum;
      both.a = value, both.b = loaded;
      value = made.body.push(both);
    }
    instruction store = code.body.back();
    store.b = value;
    add(store, made.slots.push(code.slots[code.body.back().a]));
    return made;
  });
}

// A group in which the addition at `at` is what its operand `one`, a load, already is; the other operand's
// slot is gone.
[[nodiscard]] inline const group& added_before(const group& code, int at, int one, int gone) {
  return rewritten(code, u64{1} << 63 | static_cast<u64>(at) << 32 | static_cast<u64>(one), [&] {
    group made = code;
    made.slots.clear(), made.body.clear();
    const int slot = code.body[gone].a;
    for (int k = 0; k < code.slots.size(); ++k)
      if (k != slot) made.slots.push(code.slots[k]);
    list<int> place;  // by instruction of `code`
    for (int i = 0; i < code.body.size(); ++i) {
      instruction x = code.body[i];
      place.push(i == gone ? -1 : i == at ? place[one] : made.body.size());
      if (i == gone || i == at) continue;
      auto value = [&](auto& operand) {
        if (operand >= 0) operand = place[operand];
      };
      if (x.code == code_load || x.code == code_store)
        x.a -= x.a > slot;
      else
        value(x.a), value(x.c);
      if (x.code != code_load) value(x.b);
      made.body.push(x);
    }
    return made;
  });
}

class summing : buffer_users {
 public:
  explicit summing(program& p) : buffer_users(p), p_(p) {}

  void run() {
    list<u8> gone;
    gone.resize(p_.steps.size(), 0);
    for (int i = 0; i < p_.steps.size(); ++i) {
      gone[i] = merge(i);
      while (!gone[i] && merge_pair(i)) {
      }
    }
    take_away(p_, gone);
  }

 private:
  // Whether slot k of a sum is the whole result of a product that nobody else reads, and lies as the sum
  // does.
  [[nodiscard]] bool is_product(const program_step& s, int k, int out) const {
    const located &t = s.tensors[k], &to = s.tensors[out];
    if (!of_arena(p_, t.buffer) || writers[t.buffer] != 1 || reads[t.buffer] != 1 ||
        t.element != to.element || !covers(p_, t) || !to.contiguous() || t.elements() != to.elements())
      return false;
    const bound_group& g = s.bound;
    for (int r = 0; r < g.batch_rank + g.outer_rank + g.inner_rank; ++r)
      if (g.extents[r] > 1 && g.slots[k].strides[r] != g.slots[out].strides[r]) return false;
    return is_plain(p_.steps[writer[t.buffer]], to.element);
  }
  // A product that is no more than that.
  [[nodiscard]] bool is_plain(const program_step& s, dtype element) const {
    return !s.code && s.library == op::contract && s.tensors.size() == 3 && s.data.empty() &&
           covers(p_, s.tensors[2]) && s.tensors[2].element == element;
  }
  [[nodiscard]] bool touched_between(int buffer, int after, int before) const {
    for (int i = after + 1; i < before; ++i)
      for (const located& t : p_.steps[i].tensors)
        if (t.buffer == buffer) return true;
    return false;
  }

  // The product that writes slot k's memory adds to what stands there, `at`.
  void add_to(program_step& product, const located& at) {
    const int before = product.tensors[2].buffer;
    located made = product.tensors[2];
    made.buffer = at.buffer, made.offset = at.offset;
    product.tensors[2] = made, product.writes[2] = 0;
    product.tensors.push(made), product.writes.push(1);
    product.data.push(__builtin_bit_cast(u64, 1.0)), product.data.push(1);
    writers[at.buffer] += 1, reads[at.buffer] += 1;
    if (writer[at.buffer] < writer[before]) writer[at.buffer] = writer[before];
  }

  // Two products whose sum a group begins with: it reads their sum. False where there are none.
  bool merge_pair(int i) {
    program_step& s = p_.steps[i];
    if (!s.code || s.code->slots.size() > most_slots) return false;
    const list<instruction>& body = s.code->body;
    list<int> uses, loads;  // by instruction: how often it is read; by slot: how often loaded
    uses.resize(body.size(), 0), loads.resize(s.code->slots.size(), 0);
    for (const instruction& x : body) {
      if (x.code == code_load) ++loads[x.a];
      auto use = [&](int value) {
        if (value >= 0) ++uses[value];
      };
      if (x.code != code_load && x.code != code_store) use(x.a), use(x.c);
      if (x.code != code_load) use(x.b);
    }
    auto loaded = [&](int value) {
      return value >= 0 && body[value].code == code_load && body[value].at == level::full &&
             uses[value] == 1 && loads[body[value].a] == 1;
    };
    for (int at = 0; at < body.size(); ++at) {
      const instruction& x = body[at];
      if (x.code != static_cast<u8>(op::add) || x.at != level::full || !is_floating(x.element) ||
          x.a == x.b || !loaded(x.a) || !loaded(x.b))
        continue;
      int one = x.a, two = x.b;
      const int k = body[one].a, l = body[two].a;
      if (!is_product(s, k, l) || !is_product(s, l, k)) continue;
      if (writer[s.tensors[l].buffer] < writer[s.tensors[k].buffer]) std::swap(one, two);
      const int kept = body[one].a, dropped = body[two].a;
      add_to(p_.steps[writer[s.tensors[dropped].buffer]], s.tensors[kept]);
      program_step less = s;
      less.code = &added_before(*s.code, at, one, two);
      less.tensors.clear(), less.writes.clear(), less.bound.slots.clear();
      for (int n = 0; n < s.tensors.size(); ++n)
        if (n != dropped)
          less.tensors.push(s.tensors[n]), less.writes.push(s.writes[n]),
              less.bound.slots.push(s.bound.slots[n]);
      s = static_cast<program_step&&>(less);
      return true;
    }
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
    sort(products, [&](int a, int b) { return writer[s.tensors[a].buffer] < writer[s.tensors[b].buffer]; });
    const located out = s.tensors[sum.out], first = s.tensors[products[0]];
    const int from = writer[first.buffer];
    const bool all = products.size() == sum.loads.size();
    // Where all is products, the sum is the first one's result for its readers, or the first writes where the
    // sum must stand.
    const bool renamed = all && of_arena(p_, out.buffer) && writers[out.buffer] == 1 && covers(p_, out);
    if (all && !renamed && touched_between(out.buffer, from - 1, i)) return false;
    const located& to = all && !renamed ? out : first;
    auto stands = [&](located t) {
      t.buffer = to.buffer, t.offset = to.offset;
      return t;
    };
    located& base = p_.steps[from].tensors[2];
    base = stands(base);
    for (int k = 1; k < products.size(); ++k) add_to(p_.steps[writer[s.tensors[products[k]].buffer]], to);
    if (renamed) {
      for (program_step& reader : p_.steps)
        for (located& t : reader.tensors)
          if (t.buffer == out.buffer) t.buffer = first.buffer;
      reads[first.buffer] += reads[out.buffer] - 1;
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
};

}  // namespace planning

// a b + c d + ...: the later products become contractions whose data are the bits of 1 and 1, and whose
// tensors are their operands, the sum so far, which stands where the result does, and the result.
inline void sum_in_products(program& p) { planning::summing(p).run(); }

}  // namespace flame
