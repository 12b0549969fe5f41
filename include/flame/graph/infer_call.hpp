// The shape and dtype rules of calls: the function's axes under the caller's names.
#pragma once
#include <flame/graph/operation.hpp>

namespace flame::rule {

// The caller's axis for each axis of the function, matched by the operands' positions.
struct axis_map {
  list<const axis_info*> inner, outer;
  constexpr const axis_info* operator()(const axis_info* a) const {
    int i = inner.find(a);
    return i < 0 ? a : outer.items[i];
  }
  constexpr bool bind(const axis_info* in, const axis_info* out) {
    for (int i = 0; i < inner.count; ++i)
      if (inner.items[i] == in) return outer.items[i] == out;
    inner.push(in), outer.push(out);
    return true;
  }
};

// That a repeat's carried values keep their type is not asked here, where every call is inferred anew: `repeat` refuses it
// in the user's words, derivatives give a carried output the type of its operand, and check_graph holds both to it.
constexpr fault call(const operation& o, axis_map& map) {
  const function_info& f = *o.function;
  const call_view info{o.data.items};
  if (f.leaf_count != o.operands.size() || info.operand_count() != f.leaf_count ||
      info.output_count() != f.output_count)
    return fault::operands_clash;
  const bool repeat = info.repeat();
  const u8* number = f.axis_of_leaf;
  if (number) {
    map.inner.append({f.leaf_axes, f.leaf_axis_count});
    map.outer.resize(f.leaf_axis_count, nullptr);
  }
  for (int i = 0; i < f.leaf_count; ++i) {
    const tensor_type &given = o.operands[i], &wanted = f.leaves[i]->type;
    int skipped = repeat && info.operand(i).mode == operand_mode::each ? 1 : 0;
    if (given.element != wanted.element || given.rank != wanted.rank + skipped ||
        given.stack != wanted.stack + skipped)
      return fault::operands_clash;
    for (int k = 0; k < wanted.rank; ++k) {
      const axis_info* outer = given.axes[k + skipped];
      if (!number) {
        if (!map.bind(wanted.axes[k], outer)) return fault::operands_clash;
        continue;
      }
      const axis_info*& bound = map.outer.items[*number++];
      if (!bound) bound = outer;
      if (bound != outer) return fault::operands_clash;
    }
  }
  return fault::none;
}

// The type of an output of a call, under the caller's axes. stack: the axis that counts the instances.
constexpr fault result(const function_info& f, const call_view& info, const axis_map& map, const axis_info* stack,
                       int index, tensor_type& out) {
  const tensor_type& inner = f.outputs[index];
  out.element = inner.element;
  if (info.output(index) == output_mode::each) {
    out.push(stack);
    out.stack = 1;
  }
  out.stack = static_cast<u8>(out.stack + inner.stack);
  for (int i = 0; i < inner.rank; ++i)
    if (fault why = extend(out, map(inner.axes[i])); why != fault::none) return why;
  return fault::none;
}

}  // namespace flame::rule
