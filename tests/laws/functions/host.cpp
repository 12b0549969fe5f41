// The host for the laws of functions.
#include "host.hpp"

#include <flame/run/program_cache_definitions.hpp>

#include "../host_definitions.hpp"

namespace flame::laws {

namespace {

// The memory of a nested value, as a program takes it.
bound_value bound(const nested& v, dtype element, std::deque<array>& memory, bool fill) {
  bound_value b;
  if (v.stacked) {
    b.stacked = true;
    for (const nested& i : v.instances) b.instances.push_back(bound(i, element, memory, fill));
    return b;
  }
  memory.push_back(fill ? make_array(element, v.one.shape, layout::plain)
                        : to_array(v.one, element, layout::plain));
  array& a = memory.back();
  if (fill) std::fill(a.bytes.begin(), a.bytes.end(), std::byte{0xFF});
  a.view.data = a.bytes.data();
  b.one = a.view;
  return b;
}
nested read(const nested& like, std::deque<array>::const_iterator& at) {
  nested v;
  v.stacked = like.stacked;
  if (like.stacked)
    for (const nested& i : like.instances) v.instances.push_back(read(i, at));
  else
    v.one = to_value(*at++);
  return v;
}

}  // namespace

std::vector<nested> run_nested(const graph& g, const given_values& given, const std::vector<nested>& like,
                               step_counts_of_network* counts) {
  list<const leaf_info*> operands;
  for (const auto& [leaf, v] : given) operands.push(leaf);
  const compiled& c = compile_graph(g, operands);
  std::deque<array> inputs, outputs;
  std::vector<void*> externals;
  program p;
  planner plan(p);
  list<placed> in, out;
  for (const leaf_info* l : operands) {
    bound_value b = bound(given.at(l), l->type.element, inputs, false);
    in.push(detail::place_external(p, b, l->type, 0, l->name));
    detail::pointers_of(b, externals);
  }
  const int first = p.buffers.size();
  for (int i = 0; i < g.outputs.size(); ++i) {
    const tensor_type& t = g.type(g.outputs[i]);
    bound_value b = bound(like[static_cast<std::size_t>(i)], t.element, outputs, true);
    out.push(detail::place_external(p, b, t, 0, "output"));
    detail::pointers_of(b, externals);
  }
  list<u8> kept;
  kept.resize(p.buffers.size(), 1);
  for (int b = 0; b < first; ++b) kept[b] = 0;
  plan.call(c.info, in, out, nullptr);
  kept.resize(p.buffers.size(), 0);
  drop_dead(p, kept);
  order_for_memory(p);
  place_buffers(p);
  if (counts)
    for (const program_step& s : p.steps) ++counts->steps, counts->contractions += s.library == op::contract;
  host_code::executable run(static_cast<program&&>(p));
  externals.resize(static_cast<std::size_t>(run.plan().buffers.size()), nullptr);
  host_code::arena memory;
  run.run(externals, memory);
  std::vector<nested> results;
  std::deque<array>::const_iterator at = outputs.begin();
  for (const nested& l : like) results.push_back(read(l, at));
  return results;
}

}  // namespace flame::laws
