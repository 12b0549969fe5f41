// Precision: a program whose values are f32 becomes one that stores them in 16 bits. Groups compute in f32
// whatever they read and write, so nothing but storage changes, and this one pass changes it all.
//
// In 16 bits (bf16 or f16) are
//   - the external buffers that the caller names: a copy of the weights, the gradients;
//   - operands and results of contractions, convolutions, pooling and gathering, where one of them was made
//     from these buffers;
//   - what a group makes from such a result, or from an argument of several axes that the caller gives in 16
//   bits,
//     for each point of its space: what passes from kernel to kernel.
// In f32 stay
//   - what none of these has part in: a batch in f32, random numbers, times, positions, targets;
//   - what a reduction makes, such as means of rows and sums over a batch, what is made of these alone, and
//     scalars, such as losses and norms; unless a library reads it;
//   - all other external buffers: the weights themselves, an optimizer's moments, states.
// Casts are part of the kernels that make or read a value. A kernel of their own takes only what no kernel of
// the program makes and a library reads: an image on its way into a convolution.
#pragma once
#include <flame/plan/library_attention.hpp>
#include <flame/plan/share.hpp>
#include <flame/plan/shared_code.hpp>

#include <map>
#include <mutex>
#include <tuple>
#include <vector>

namespace flame {

namespace planning {

// A group that reads and writes some slots in another element type, or writes a value to one slot more.
struct group_change {
  const group* from = nullptr;
  std::vector<dtype> elements;  // by slot
  int again = -1;               // the output whose value the last of `elements` is written with
  friend bool operator<(const group_change& a, const group_change& b) {
    return std::tie(a.from, a.elements, a.again) < std::tie(b.from, b.elements, b.again);
  }
};

// Made once for all threads and never destroyed: programs point into them, as into functions
// (plan/shared_code.hpp).
[[nodiscard]] inline const group& changed(const group_change& change) {
  struct cache {
    std::mutex mutex;
    std::map<group_change, group> groups;
  };
  static cache& all = *new cache;
  const std::lock_guard lock(all.mutex);
  const auto [at, fresh] = all.groups.try_emplace(change);
  group& g = at->second;
  if (!fresh) return g;
  g = *change.from;
  if (change.again >= 0) {
    g.slots.push(group_slot(g.slots[change.again]));
    for (const instruction& i : list<instruction>(g.body))
      if (i.code == code_store && i.a == change.again) {
        instruction second = i;
        second.a = g.slots.size() - 1;
        g.body.push(second);
      }
  }
  for (int i = 0; i < g.slots.size(); ++i) g.slots[i].element = change.elements[static_cast<std::size_t>(i)];
  return g;
}

// to = from, in whichever element types.
[[nodiscard]] inline const group& cast_code(dtype from, dtype to) {
  group_change c;
  c.from = &copy_code(dtype::f32);
  c.elements = {from, to};
  return changed(c);
}

[[nodiscard]] inline bool is_copy(const program_step& s) {
  return s.code && s.code->slots.size() == 2 && s.code->body.size() == 2 &&
         s.code->slots[0].kind == slot_kind::input && s.tensors[1].buffer >= 0;
}

// Whether a group writes a value for each point of its space there.
[[nodiscard]] inline bool writes_each_point(const group& g, int slot) {
  for (const instruction& i : g.body)
    if (i.code == code_store && i.a == slot)
      return i.at == level::full && g.body[i.b].reduce == reduce_mode::none;
  return false;
}

[[nodiscard]] inline bool same_place(const located& a, const located& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.extents[i] != b.extents[i] || (a.extents[i] > 1 && a.strides[i] != b.strides[i])) return false;
  return true;
}

class narrowing {
 public:
  narrowing(program& p, dtype half, const list<u8>& given) : p_(p), half_(half), narrow_(given) {
    narrow_.resize(p.buffers.size(), 0);
    given_ = narrow_;
  }

  void run() {
    find_touched();
    choose();
    rewrite();
    for (int b = 0; b < narrow_.size(); ++b)
      if (narrow_[b]) p_.buffers[b].bytes /= 2;
    join_copies(p_);
  }

  // A copy of what a group has just written is its second result: x = f(...), y = cast(x) is one kernel.
  static void join_copies(program& p) {
    list<program_step> steps;
    for (program_step& s : p.steps)
      if (!joins(steps, s)) steps.push(static_cast<program_step&&>(s));
    p.steps = static_cast<list<program_step>&&>(steps);
  }

 private:
  [[nodiscard]] bool external(int b) const { return p_.buffers[b].kind == buffer_kind::external; }
  [[nodiscard]] static bool is_wide(const located& t) { return t.element == dtype::f32; }

  // Which buffers hold what the given ones have part in.
  void find_touched() {
    touched_ = given_;
    for (const program_step& s : p_.steps) {
      bool any = false;
      for (int k = 0; k < s.tensors.size(); ++k) any = any || (reads(s, k) && touched_[s.tensors[k].buffer]);
      for (int k = 0; any && k < s.tensors.size(); ++k)
        if (writes(s, k)) touched_[s.tensors[k].buffer] = 1;
    }
  }
  // A library operation in 16 bits.
  [[nodiscard]] bool runs_narrow(const program_step& s) const {
    if (s.code || !is_wide(s.tensors.back())) return false;
    for (int k = 0; k < s.tensors.size(); ++k) {
      const located& t = s.tensors[k];
      if (t.buffer >= 0 && is_wide(t) && (s.writes[k] ? given_[t.buffer] : touched_[t.buffer])) return true;
    }
    return false;
  }

  void choose() {
    const int n = p_.buffers.size();
    list<u8> points, wanted, wide;  // written for each point of a space; used by libraries in 16 bits, in f32
    list<u8> grouped;               // read by groups
    points.resize(n, 1), wanted.resize(n, 0), wide.resize(n, 0), grouped.resize(n, 0);
    for (const program_step& s : p_.steps) {
      const bool narrow = runs_narrow(s);
      for (int k = 0; k < s.tensors.size(); ++k) {
        const located& t = s.tensors[k];
        if (t.buffer < 0) continue;
        if (!is_wide(t) || library::keeps_type(s, k))
          wide[t.buffer] = 1;  // of another type: as it is
        else if (!s.code)
          (narrow ? wanted : wide)[t.buffer] = 1;
        else if (!s.writes[k])
          grouped[t.buffer] = 1;
        else if (t.rank == 0 || !writes_each_point(*s.code, k))
          points[t.buffer] = 0;
      }
    }
    for (int b = 0; b < n; ++b)
      if (!external(b) && !wide[b]) narrow_[b] = wanted[b] && (touched_[b] || !grouped[b]);
    for (bool more = true; more;) {
      more = false;
      for (const program_step& s : p_.steps) {
        if (!s.code || !reads_activation(s)) continue;
        for (int k = 0; k < s.tensors.size(); ++k) {
          const int b = s.tensors[k].buffer;
          if (!writes(s, k) || external(b) || wide[b] || !points[b] || narrow_[b]) continue;
          narrow_[b] = 1, more = true;
        }
      }
    }
  }
  [[nodiscard]] bool reads_activation(const program_step& s) const {
    for (int k = 0; k < s.tensors.size(); ++k)
      if (reads(s, k) &&
          (external(s.tensors[k].buffer) ? s.tensors[k].element == half_ && s.tensors[k].rank > 1
                                         : narrow_[s.tensors[k].buffer] != 0))
        return true;
    return false;
  }

  void rewrite() {
    list<program_step> steps;
    list<int> version;  // by buffer: how often it was written so far
    version.resize(p_.buffers.size(), 0);
    for (program_step& s : p_.steps) {
      program_step after;
      if (runs_narrow(s)) {
        for (int k = 0; k < s.tensors.size(); ++k) {
          located& t = s.tensors[k];
          if (!is_wide(t) || library::keeps_type(s, k)) continue;
          if (t.buffer >= 0 && !narrow_[t.buffer]) {
            const located other = s.writes[k] ? fresh(t) : find_cast(steps, version, t);
            if (s.writes[k]) after = cast(other, t);
            t = other;
          }
          t.element = half_;
        }
      } else {
        narrow_tensors(s);
      }
      for (int k = 0; k < s.tensors.size(); ++k)
        if (writes(s, k) && s.tensors[k].buffer < version.size()) ++version[s.tensors[k].buffer];
      steps.push(static_cast<program_step&&>(s));
      if (after.code) steps.push(static_cast<program_step&&>(after));
    }
    p_.steps = static_cast<list<program_step>&&>(steps);
  }
  void narrow_tensors(program_step& s) {
    bool any = false;
    for (located& t : s.tensors)
      if (t.buffer >= 0 && is_wide(t) && narrow_[t.buffer]) t.element = half_, any = true;
    if (!any || !s.code) return;
    group_change c;
    c.from = s.code;
    for (int k = 0; k < s.tensors.size(); ++k)
      c.elements.push_back(s.tensors[k].buffer >= 0 ? s.tensors[k].element : s.code->slots[k].element);
    s.code = s.bound.code = &changed(c);
  }

  // New memory for a tensor like this one, in 16 bits, dense.
  located fresh(const located& like) {
    located l = like;
    i64 stride = 1;
    for (int i = l.rank - 1; i >= 0; --i) l.strides[i] = stride, stride *= l.extents[i];
    l.offset = 0, l.element = half_;
    l.buffer = p_.buffers.push({buffer_kind::arena, stride * size_of(half_)});
    return l;
  }
  // The tensor in 16 bits: as an earlier step has it, if nothing was written there since.
  located find_cast(list<program_step>& steps, const list<int>& version, const located& t) {
    for (const made_cast& m : casts_)
      if (m.from.buffer == t.buffer && m.from.offset == t.offset && same_place(m.from, t) &&
          m.version == version[t.buffer]) {
        located l = m.to;
        for (int i = 0; i < l.rank; ++i) l.axes[i] = t.axes[i];
        return l;
      }
    const located to = fresh(t);
    steps.push(cast(t, to));
    casts_.push({t, to, version[t.buffer]});
    return to;
  }
  [[nodiscard]] static program_step cast(const located& from, const located& to) {
    program_step s;
    s.code = s.bound.code = &cast_code(from.element, to.element);
    s.tensors.push(from), s.tensors.push(to);
    s.writes.push(0), s.writes.push(1);
    bound_group& b = s.bound;
    b.slots.resize(2);
    int rank = 0;
    for (int i = 0; i < to.rank; ++i) {
      if (to.extents[i] == 1) continue;
      const bool join = rank > 0 && b.slots[0].strides[rank - 1] == from.strides[i] * to.extents[i] &&
                        b.slots[1].strides[rank - 1] == to.strides[i] * to.extents[i];
      if (!join) b.extents[rank++] = 1;
      b.extents[rank - 1] *= to.extents[i];
      b.slots[0].strides[rank - 1] = from.strides[i], b.slots[1].strides[rank - 1] = to.strides[i];
    }
    b.inner_rank = rank > 0 ? 1 : 0, b.outer_rank = rank - b.inner_rank;
    return s;
  }

  static bool joins(list<program_step>& before, const program_step& copy) {
    if (!is_copy(copy)) return false;
    const located &from = copy.tensors[0], &to = copy.tensors[1];
    if (from.buffer < 0 || !same_place(from, to) || compute_type(to.element) != compute_type(from.element))
      return false;
    for (int i = before.size() - 1; i >= 0; --i) {
      program_step& s = before[i];
      int found = -1;
      for (int k = 0; k < s.tensors.size(); ++k) {
        const located& t = s.tensors[k];
        if (t.buffer == to.buffer) return false;
        if (t.buffer == from.buffer && s.writes[k]) found = k;
      }
      if (found < 0) continue;
      const located& made = s.tensors[found];
      if (!s.code || is_copy(s) || made.offset != from.offset || !same_place(made, from) ||
          !writes_each_point(*s.code, found))
        return false;
      group_change c;
      c.from = s.code, c.again = found;
      for (const group_slot& slot : s.code->slots) c.elements.push_back(slot.element);
      c.elements.push_back(to.element);
      located second = to;
      for (int k = 0; k < to.rank; ++k) second.axes[k] = made.axes[k];
      s.code = s.bound.code = &changed(c);
      s.tensors.push(second), s.writes.push(1);
      s.bound.slots.push(bound_slot(s.bound.slots[found]));
      return true;
    }
    return false;
  }

  struct made_cast {
    located from, to;
    int version;
  };

  program& p_;
  dtype half_;
  list<u8> given_, narrow_, touched_;  // by buffer
  list<made_cast> casts_;
};

}  // namespace planning

// given: by external buffer, whether it holds `half`; its bytes were counted in f32.
inline void store_in(program& p, dtype half, const list<u8>& given) {
  planning::narrowing(p, half, given).run();
}

}  // namespace flame
