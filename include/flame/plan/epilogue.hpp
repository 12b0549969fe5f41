// Scales and biases as part of the products that they stand beside: for backends whose products take them.
#pragma once
#include <flame/graph/reference.hpp>
#include <flame/plan/accumulate.hpp>
#include <flame/plan/share.hpp>

namespace flame {

// Which steps take scales and biases: contractions, or contractions and convolutions whose results have 16
// bits, which are rounded once then.
enum class folded_steps : u8 { products, halves };

namespace planning {

// A group that does no more than c x, or x + bias.
struct simple_map {
  int in = -1, out = -1, bias = -1;  // slots
  double scale = 1;

  [[nodiscard]] explicit operator bool() const { return in >= 0; }
};

[[nodiscard]] inline simple_map simple_map_of(const program_step& s) {
  if (!s.code || s.code->slots.size() > 4) return {};
  const list<instruction>& body = s.code->body;
  // What each instruction gives: a number that is known now, a load of a slot, or neither.
  list<double> number;
  list<u8> known;
  for (int i = 0; i + 2 < body.size(); ++i) {
    const instruction& x = body[i];
    number.push(0), known.push(0);
    if (x.code == code_load) {
      const located& t = s.tensors[x.a];
      if (s.code->slots[x.a].kind != slot_kind::uniform || t.buffer >= 0 || t.zero) continue;
      number[i] = s.bound.slots[x.a].number, known[i] = 1;
    } else {
      const op code = static_cast<op>(x.code);
      const bool two = x.b >= 0;
      if (x.code >= op_count || x.c >= 0 || x.a < 0 || !is_floating(x.element) || !known[x.a]) return {};
      if (two && !known[x.b]) return {};
      if (!two && code != op::rsqrt && code != op::sqrt && code != op::neg) return {};
      if (two && code != op::mul && code != op::div && code != op::add && code != op::sub) return {};
      number[i] = two ? reference::binary(code, x.element, number[x.a], number[x.b])
                      : reference::unary(code, x.element, number[x.a]);
      known[i] = 1;
    }
  }
  if (body.size() < 4) return {};
  const instruction &made = body[body.size() - 2], &store = body.back();
  const bool adds = made.code == static_cast<u8>(op::add), scales = made.code == static_cast<u8>(op::mul);
  if ((!adds && !scales) || store.code != code_store || store.b != body.size() - 2 ||
      store.reduce != reduce_mode::none || made.at != level::full || made.a == made.b)
    return {};
  simple_map m;
  m.out = store.a;
  for (int turn = 0; turn < 2; ++turn) {
    const int one = turn ? made.b : made.a, two = turn ? made.a : made.b;
    auto loads = [&](int i) {
      return body[i].code == code_load && body[i].at == level::full &&
             s.code->slots[body[i].a].kind == slot_kind::input && s.tensors[body[i].a].buffer >= 0;
    };
    if (!loads(one)) continue;
    const located &x = s.tensors[body[one].a], &out = s.tensors[m.out];
    if (x.element != out.element || x.elements() != out.elements()) continue;
    if (scales && known[two]) {
      m.in = body[one].a, m.scale = number[two];
      return m;
    }
    if (!adds || body.size() != 4 || !loads(two)) continue;
    const located& y = s.tensors[body[two].a];
    if (y.element == out.element && y.elements() < out.elements() && y.rank >= 1) {
      m.in = body[one].a, m.bias = body[two].a;
      return m;
    }
  }
  return {};
}

// The same extents and strides, axis by axis.
[[nodiscard]] inline bool lie_the_same(const located& a, const located& b) {
  if (a.element != b.element || a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.extents[i] != b.extents[i] || a.strides[i] != b.strides[i]) return false;
  return true;
}
class folding : buffer_users {
 public:
  folding(program& p, folded_steps which) : buffer_users(p), p_(p), which_(which) {
    gone_.resize(p.steps.size(), 0);
  }

  void run() {
    for (int i = 0; i < p_.steps.size(); ++i)
      if (const simple_map m = simple_map_of(p_.steps[i]))
        if (!before(i, m) && m.bias < 0) behind(i, m);
    take_away(p_, gone_);
  }

 private:
  // A product whose result this step alone reads, or steps that do the same, makes the step's result at once.
  bool before(int i, const simple_map& m) {
    program_step& s = p_.steps[i];
    const located in = s.tensors[m.in], out = s.tensors[m.out];
    if (!of_arena(p_, in.buffer) || writers[in.buffer] == 0) return false;
    // A sum of products (plan/accumulate.hpp) has its bias in the first.
    list<int> adding;
    const int from = first_writer(in.buffer, adding);
    if (from < 0 || (!adding.empty() && m.bias < 0)) return false;
    program_step& product = p_.steps[from];
    if (gone_[from] || product.tensors.size() != 3 || !folds(product, m.bias >= 0)) return false;
    located made = product.tensors[2], bias;
    if (!covers(p_, made)) return false;
    list<int> alike;  // this step, and those that make the same anew: a backward's
    for (int r : readers[in.buffer]) {
      if (gone_[r] || adding.has(r)) continue;
      if (r <= writer[in.buffer] || !does_alike(r, s, m)) return false;
      alike.push(r);
    }
    if (m.bias >= 0) {
      bias = s.tensors[m.bias];
      int last = alike[0];
      for (int r : alike) last = r > last ? r : last;
      // A view of the product itself is no bias.
      if (bias.buffer == in.buffer || !along_last(s, m, made, bias) ||
          written_between(bias.buffer, from, last))
        return false;
    }
    if (m.bias < 0 && !is_scale(scale_of(product) * m.scale)) return false;
    // One step's result may be one of the program's: it is written there. Of several each is read from where
    // the product writes.
    if (alike.size() == 1 && !of_arena(p_, out.buffer)) {
      if (writers[out.buffer] != 1 || !readers[out.buffer].empty()) return false;
      made.buffer = out.buffer, writer[out.buffer] = from;
      for (int r : adding)
        for (int k = 2; k < p_.steps[r].tensors.size(); ++k) p_.steps[r].tensors[k].buffer = out.buffer;
    } else {
      for (int r : alike) {
        const int b = p_.steps[r].tensors[simple_map_of(p_.steps[r]).out].buffer;
        if (!of_arena(p_, b) || writers[b] != 1) return false;
      }
      for (int r : alike) {
        const int b = p_.steps[r].tensors[simple_map_of(p_.steps[r]).out].buffer;
        for (int reader : list<int>(readers[b])) {
          for (located& t : p_.steps[reader].tensors)
            if (t.buffer == b) t.buffer = in.buffer;
          p_.buffers[in.buffer].may_wait |= p_.buffers[b].may_wait;
          if (!readers[in.buffer].has(reader)) readers[in.buffer].push(reader);
        }
      }
    }
    if (m.bias >= 0) {
      product.tensors[2] = bias, product.writes[2] = 0;
      product.tensors.push(made), product.writes.push(1);
      readers[bias.buffer].push(from);
    } else {
      product.tensors[2] = made;
      rescale(product, m.scale);
    }
    for (int r : alike) gone_[r] = 1;
    return true;
  }
  // The step that writes a buffer, and those that add to it then; -1 where others write it too.
  int first_writer(int buffer, list<int>& adding) const {
    if (writers[buffer] == 1) return writer[buffer];
    int first = -1;
    for (int i = 0; i <= writer[buffer]; ++i) {
      const program_step& s = p_.steps[i];
      for (int k = 0; k < s.tensors.size(); ++k) {
        if (gone_[i] || !s.writes[k] || s.tensors[k].buffer != buffer) continue;
        if (first < 0)
          first = i;
        else if (!s.code && s.library == op::contract && s.data.size() > 1 && s.data[1])
          adding.push(i);
        else
          return -1;
      }
    }
    return first;
  }
  // Whether the step can have a bias, or a scale, too.
  [[nodiscard]] bool folds(const program_step& s, bool biased) const {
    if (s.code || (which_ == folded_steps::halves && !has_16_bits(s.tensors[2].element))) return false;
    if (s.library == op::contract) return !biased || s.data.empty();
    return which_ == folded_steps::halves && biased && (s.library == op::conv || s.library == op::conv_data);
  }
  // Whether step r does to its operand what step s does to its, and lies like it.
  [[nodiscard]] bool does_alike(int r, const program_step& s, const simple_map& m) const {
    const program_step& t = p_.steps[r];
    const simple_map n = simple_map_of(t);
    if (!n || (n.bias < 0) != (m.bias < 0) || n.scale != m.scale) return false;
    const located &in = t.tensors[n.in], &out = t.tensors[n.out];
    if (in.buffer != s.tensors[m.in].buffer || !covers(p_, in) || !covers(p_, out) ||
        !lie_the_same(in, out) || !lie_alike(t, n.in, n.out))
      return false;
    if (m.bias < 0) return true;
    const located &one = t.tensors[n.bias], &other = s.tensors[m.bias];
    return one.buffer == other.buffer && one.offset == other.offset && lie_the_same(one, other) &&
           t.bound.batch_rank == s.bound.batch_rank && t.bound.outer_rank == s.bound.outer_rank &&
           t.bound.inner_rank == s.bound.inner_rank && same_walk(t, n, s, m);
  }
  // Whether results and biases are walked alike.
  static bool same_walk(const program_step& t, const simple_map& n, const program_step& s,
                        const simple_map& m) {
    const bound_group &a = t.bound, &b = s.bound;
    for (int r = 0; r < a.batch_rank + a.outer_rank + a.inner_rank; ++r)
      if (a.extents[r] != b.extents[r] || a.slots[n.out].strides[r] != b.slots[m.out].strides[r] ||
          a.slots[n.bias].strides[r] != b.slots[m.bias].strides[r])
        return false;
    return true;
  }

  // Products that read what this step scales read what it scales, and scale.
  void behind(int i, const simple_map& m) {
    program_step& s = p_.steps[i];
    const located &in = s.tensors[m.in], &out = s.tensors[m.out];
    if (!of_arena(p_, out.buffer) || writers[out.buffer] != 1 || readers[out.buffer].empty()) return;
    if (!covers(p_, in) || !covers(p_, out) || !lie_the_same(in, out) || !lie_alike(s, m.in, m.out)) return;
    int last = i;
    for (int r : readers[out.buffer]) {
      const program_step& t = p_.steps[r];
      if (gone_[r] || t.tensors.size() != 3 || t.library != op::contract || !folds(t, false)) return;
      if ((t.tensors[0].buffer == out.buffer && t.tensors[1].buffer == out.buffer)) return;
      if (!is_scale(scale_of(t) * m.scale)) return;
      last = r > last ? r : last;
    }
    if (written_between(in.buffer, i, last)) return;
    p_.buffers[in.buffer].may_wait |= p_.buffers[out.buffer].may_wait;
    for (int r : readers[out.buffer]) {
      program_step& t = p_.steps[r];
      for (int k = 0; k < 2; ++k)
        if (t.tensors[k].buffer == out.buffer) t.tensors[k].buffer = in.buffer;
      rescale(t, m.scale);
      if (!readers[in.buffer].has(r)) readers[in.buffer].push(r);
    }
    gone_[i] = 1;
  }

  // Far from what f32 holds: operands and sums that fit do so scaled or not, but for a few powers of 2.
  [[nodiscard]] static bool is_scale(double x) {
    const double size = x < 0 ? -x : x;
    return size >= 0x1p-24 && size <= 0x1p24;
  }
  [[nodiscard]] static double scale_of(const program_step& product) {
    return product.data.empty() ? 1 : __builtin_bit_cast(double, product.data[0]);
  }
  static void rescale(program_step& product, double scale) {
    const double all = scale_of(product) * scale;
    product.data.clear();
    product.data.push(__builtin_bit_cast(u64, all));
  }
  [[nodiscard]] bool written_between(int buffer, int after, int until) const {
    for (int i = after + 1; i <= until; ++i)
      for (int k = 0; k < p_.steps[i].tensors.size(); ++k)
        if (!gone_[i] && p_.steps[i].writes[k] && p_.steps[i].tensors[k].buffer == buffer) return true;
    return false;
  }

  // Whether the bias is a vector along the last axis of the product's result, the same for all else. It is
  // told in the result's axes then.
  static bool along_last(const program_step& s, const simple_map& m, const located& made, located& bias) {
    const int last = made.rank - 1;
    if (last < 0 || bias.elements() != made.extents[last]) return false;
    i64 expected = 1;
    for (int k = bias.rank - 1; k >= 0; --k) {
      if (bias.extents[k] == 1) continue;
      if (bias.strides[k] != expected) return false;
      expected *= bias.extents[k];
    }
    // In the group's space: strides of the bias are the result's along the last axis, and 0 elsewhere.
    const bound_group& g = s.bound;
    for (int r = 0; r < g.batch_rank + g.outer_rank + g.inner_rank; ++r) {
      if (g.extents[r] == 1) continue;
      const i64 in_result = g.slots[m.out].strides[r], in_bias = g.slots[m.bias].strides[r];
      const bool within = in_result * g.extents[r] <= made.extents[last];
      if (in_bias != (within ? in_result : 0)) return false;
      if (!within && in_result < made.extents[last]) return false;
    }
    bias.rank = 1;
    bias.axes[0] = made.axes[last], bias.extents[0] = made.extents[last], bias.strides[0] = 1;
    return true;
  }

  program& p_;
  folded_steps which_;
  list<u8> gone_;
};

}  // namespace planning

// c a b, (c a) b and a b + bias become one step each where nothing else reads what stood between: a
// contraction whose data holds the bits of c, and whose tensors are a, b, a vector along the result's last
// axis, the result; or a convolution with such a vector.
inline void fold_into_products(program& p, folded_steps which = folded_steps::products) {
  planning::folding(p, which).run();
}
// What a backend asks for (backend_functions of run/executable_interface.hpp).
template <class Backend> void fold_for(const Backend& backend, program& p) {
  if (backend.folds_into_products) {
    sum_in_products(p);
    fold_into_products(p);
  } else if (backend.folds_into_halves)
    fold_into_products(p, folded_steps::halves);
}

}  // namespace flame
