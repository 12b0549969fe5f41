// Values that may be stacks, one tensor for each instance: delivered, added, accumulated, renamed.
#pragma once
#include <flame/plan/own_steps.hpp>

namespace flame::planning {

// A target without a buffer is none.
[[nodiscard]] inline bool has_target(const placed& p) {
  return p.stacked ? !p.instances.empty() : p.one.buffer >= 0;
}

// Both begin at one element and have each of their elements in one place.
[[nodiscard]] inline bool stands_at(const located& a, const located& b) {
  if (a.zero || a.buffer != b.buffer || a.offset != b.offset || a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (b.extents[i] > 1 && a.strides[i] != b.strides[i]) return false;
  return true;
}

// Puts a value where it must stand, if it does not stand there already.
inline void deliver(program& p, const placed& v, const placed& target) {
  if (target.stacked) {
    for (int i = 0; i < target.instances.size(); ++i) deliver(p, v.instances[i], target.instances[i]);
    return;
  }
  const located &a = v.one, &b = target.one;
  if (b.elements() == 0 || stands_at(a, b)) return;
  if (a.zero)
    add_fill(p, b, 0);
  else
    add_copy(p, a, b);
}

// Values that may be views of the memory that they are delivered to, each other's or their own: delivered as
// if at once. What would be overwritten before it is read is copied first.
class joint_delivery {
 public:
  void add(const placed& v, const placed& target) {
    if (target.stacked) {
      for (int i = 0; i < target.instances.size(); ++i) add(v.instances[i], target.instances[i]);
    } else if (target.one.elements() > 0 && !stands_at(v.one, target.one)) {
      values_.push(v), targets_.push(target);
    }
  }
  void run(program& p) {
    for (int i = 0; i < values_.size(); ++i) {
      located& v = values_[i].one;
      if (v.zero || !overwritten(i)) continue;
      const located kept = new_like(p, v);
      add_copy(p, v, kept);
      v = kept;
    }
    for (int i = 0; i < values_.size(); ++i) deliver(p, values_[i], targets_[i]);
  }

 private:
  [[nodiscard]] bool overwritten(int i) const {
    const located& v = values_[i].one;
    for (int k = 0; k <= i; ++k) {
      const located& t = targets_[k].one;
      if (t.buffer == v.buffer && t.bytes().low < v.bytes().high && v.bytes().low < t.bytes().high)
        return true;
    }
    return false;
  }

  list<placed> values_, targets_;
};

// a + b, written to the target where there is one.
[[nodiscard]] inline placed sum_of(program& p, const placed& a, const placed& b, const placed& target) {
  placed r = a;
  if (a.stacked) {
    for (int i = 0; i < a.instances.size(); ++i)
      r.instances[i] =
          sum_of(p, a.instances[i], b.instances[i], has_target(target) ? target.instances[i] : placed{});
    return r;
  }
  if (b.one.zero || a.one.elements() == 0) return a;
  if (a.one.zero) return b;
  r.one = has_target(target) ? target.one : new_like(p, a.one);
  for (int i = 0; i < a.one.rank; ++i) r.one.axes[i] = a.one.axes[i];
  add_sum(p, a.one, b.one, r.one);
  return r;
}

// What of a call's outputs must have memory of its own, since sums are accumulated into it: made by the
// call (buffers `first` and above) and for no other output.
struct made_outputs {
  const list<placed>& all;
  int first;
  int index;  // the sum

  [[nodiscard]] static bool uses(const placed& v, int buffer) {
    if (!v.stacked) return v.one.buffer == buffer;
    for (const placed& i : v.instances)
      if (uses(i, buffer)) return true;
    return false;
  }
  [[nodiscard]] bool owns(int buffer) const {
    for (int i = 0; i < all.size(); ++i)
      if (i != index && uses(all[i], buffer)) return false;
    return buffer >= first;
  }
};
[[nodiscard]] inline placed owned(program& p, const placed& v, const made_outputs& made) {
  placed r = v;
  if (v.stacked) {
    for (placed& i : r.instances) i = owned(p, placed(i), made);
  } else if (!v.one.zero && !made.owns(v.one.buffer)) {
    r.one = new_like(p, v.one);
    add_copy(p, v.one, r.one);
  }
  return r;
}
// into += v
inline void accumulate(program& p, const placed& v, placed& into, const made_outputs& made) {
  if (v.stacked) {
    for (int i = 0; i < v.instances.size(); ++i) accumulate(p, v.instances[i], into.instances[i], made);
  } else if (into.one.zero) {
    into = owned(p, v, made);
  } else if (!v.one.zero && v.one.elements() > 0) {
    add_sum(p, v.one, into.one, into.one);
  }
}

// Zeros of a type whose first `skipped` axes of stacks have been walked already.
[[nodiscard]] inline placed zeros(const tensor_type& t, const extents& e, int skipped = 0) {
  placed p;
  if (skipped < t.stack) {
    p.stacked = true;
    for (i64 i = 0; i < e[t.axes[skipped]]; ++i) p.instances.push(zeros(t, e, skipped + 1));
    return p;
  }
  tensor_type one;
  one.element = t.element;
  for (int i = skipped; i < t.rank; ++i) one.push(t.axes[i]);
  p.one = contiguous(one, e, -1);
  p.one.zero = true;
  return p;
}

// The type's names for the axes of a value, from axis `from` on.
inline void rename_axes(placed& v, const tensor_type& t, int from = 0) {
  if (v.stacked) {
    for (placed& i : v.instances) rename_axes(i, t, from + 1);
    return;
  }
  for (int i = 0; i < v.one.rank; ++i) v.one.axes[i] = t.axes[from + i];
}

}  // namespace flame::planning
