// What a call knows about extents: its leaves' axes bound to the operands that it is given.
#pragma once
#include <flame/plan/program.hpp>

namespace flame::planning {

// What errors call a leaf: by its name, an argument of a function by its place from 1 on, and the tensors and
// numbers that an expression holds by theirs from #0 on.
struct leaf_words {
  text kind = "argument ", name;

  leaf_words(const leaf_info& l, int place) : name(l.name) {
    if (l.kind != leaf_kind::argument) return;
    if (l.name[0] == '#') kind = "operand ";
    if (!(l.name == text("argument"))) return;
    int n = place + 1, first = sizeof digits_;
    for (; first > 0 && n > 0; n /= 10) digits_[--first] = static_cast<char>('0' + n % 10);
    name = text(digits_ + first, static_cast<int>(sizeof digits_) - first);
  }
  leaf_words(const leaf_words&) = delete;
  leaf_words& operator=(const leaf_words&) = delete;

 private:
  char digits_[8] = {};
};

// The extents of a function's leaves. The axes of a stack stand for its first instance: each instance binds
// its own when it is planned.
inline void bind_leaves(extents& e, const function_info& f, const list<placed>& operands) {
  for (bool stacks : {false, true})
    for (int k = 0; k < f.leaf_count; ++k) {
      const leaf_info& l = *f.leaves[k];
      if ((l.type.stack > 0) != stacks) continue;
      const placed* one = &operands[k];
      const leaf_words words(l, k);
      bool empty = false;
      for (int i = 0; i < l.type.stack && !empty; ++i) {
        e.bind(l.type.axes[i], one->instances.size(), {words.kind, words.name});
        empty = one->instances.empty();
        if (!empty) one = &one->instances[0];
      }
      for (int i = l.type.stack; i < l.type.rank && !empty; ++i)
        if (!stacks || !e.known(l.type.axes[i]))
          e.bind(l.type.axes[i], one->one.extents[i - l.type.stack], {words.kind, words.name});
    }
}

// Axes that a pruned function lost: as the caller knows them.
inline void inherit(extents& e, const extents& outside) {
  for (const extents::binding& b : outside.bindings)
    if (!e.known(b.axis)) e.bindings.push(b);
}

}  // namespace flame::planning
