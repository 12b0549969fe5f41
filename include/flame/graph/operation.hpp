// An operation as shape rules see it, why one is refused, and what the rules have in common.
#pragma once
#include <flame/graph/function.hpp>
#include <flame/graph/op.hpp>

namespace flame {

// Why an operation is refused. The user's words for each are in expr/refusals.hpp.
enum class fault : u8 {
  none,
  dtypes_differ,     // operands of one operation have different element types
  needs_floating,
  needs_integer,
  needs_boolean,
  needs_number,
  needs_key,
  axis_missing,      // an axis is named that the operand does not have
  axis_twice,        // an axis would stand twice in one tensor
  extents_clash,     // two static extents that must agree do not
  ranks_clash,       // anonymous operands of different ranks
  rank_too_high,
  not_contracted,    // an axis of one operand only is missing in the result of a contraction
  operands_clash,    // a call: number, rank or element type of an operand
  stacked,           // an instance count where a plain tensor is needed
  image_layout,      // a convolution or pooling: axes are not [..., height, width, channel]
};

// The types of an operation's operands, which lie elsewhere.
struct operand_types {
  list<const tensor_type*> types;
  constexpr void reserve(int n) { types.reserve(n); }
  constexpr void push(const tensor_type* t) { types.push(t); }
  [[nodiscard]] constexpr int size() const { return types.count; }
  constexpr const tensor_type& operator[](int i) const { return *types.items[i]; }
};

// Everything that an operation says besides its operands' values; all of it lies elsewhere.
struct operation {
  op code = op::leaf;
  operand_types operands;
  array_view<const axis_info*> axes;
  array_view<u64> data;
  const leaf_info* leaf = nullptr;
  const function_info* function = nullptr;
};

namespace rule {

[[nodiscard]] constexpr bool extents_agree(int a, int b) { return a == dynamic || b == dynamic || a == b; }

// One axis more, refused if it stands there already.
constexpr fault extend(tensor_type& t, const axis_info* a) {
  if (t.has(a)) return fault::axis_twice;
  if (t.rank == max_rank) return fault::rank_too_high;
  t.push(a);
  return fault::none;
}

// Axes of all operands: the order of the first operand that has them all, else the first's, then what others add.
constexpr fault align(const operand_types& operands, int first, tensor_type& out) {
  int widest = first;
  for (int i = first; i < operands.size(); ++i) {
    if (operands[i].stack) return fault::stacked;
    if (operands[i].rank > operands[widest].rank) widest = i;
  }
  bool all = true;
  for (int i = first; i < operands.size(); ++i) all = all && within(operands[i], operands[widest]);
  out = all ? operands[widest] : operands[first];
  if (!all)
    for (int i = first; i < operands.size(); ++i)
      for (int k = 0; k < operands[i].rank; ++k) {
        const axis_info* a = operands[i].axes[k];
        if (out.has(a)) continue;
        for (int j = 0; j < out.rank; ++j)
          if (a->from_last >= 0 && out.axes[j]->from_last == a->from_last) return fault::extents_clash;
        if (fault f = extend(out, a); f != fault::none) return f;
      }
  return fault::none;
}

constexpr fault replace(tensor_type& t, const axis_info* from, const axis_info* to) {
  int at = t.find(from);
  if (at < 0) return fault::axis_missing;
  if (to != from && t.has(to)) return fault::axis_twice;
  t.axes[at] = to;
  return fault::none;
}

constexpr fault listed(array_view<const axis_info*> axes, int first, tensor_type& out) {
  out.rank = 0;
  for (int i = first; i < axes.size(); ++i)
    if (fault f = extend(out, axes[i]); f != fault::none) return f;
  return fault::none;
}

}  // namespace rule

}  // namespace flame
