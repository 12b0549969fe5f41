// The space of a step, collapsed: strides of each tensor over its axes, neighbours joined where all allow it.
#pragma once
#include <flame/plan/program.hpp>

namespace flame::planning {

// The space has parts[0] axes of batches, then parts[1] outer and parts[2] inner ones. map: what reduces
// nothing, whose last axis after joining is the inner one, whatever part it comes from.
inline void collapse(program_step& s, const list<const axis_info*>& all, const list<i64>& extent,
                     const int* parts, bool map) {
  bound_group& b = s.bound;
  b.code = s.code;
  list<list<i64>> strides;
  strides.resize(s.tensors.size());
  for (int k = 0; k < s.tensors.size(); ++k)
    for (const axis_info* a : all) {
      const located& t = s.tensors[k];
      int at = t.zero ? -1 : t.find(a);
      strides[k].push(at < 0 ? 0 : t.strides[at]);
    }
  int rank = 0;  // of the joined space so far
  auto segment = [&](int first, int count) {
    int begin = rank;
    for (int i = first; i < first + count; ++i) {
      if (extent[i] == 1) continue;
      bool joins = rank > begin;
      for (int k = 0; joins && k < s.tensors.size(); ++k)
        joins = b.slots[k].strides[rank - 1] == strides[k][i] * extent[i];
      if (!joins) {
        b.extents[rank] = 1;
        ++rank;
      }
      b.extents[rank - 1] *= extent[i];
      for (int k = 0; k < s.tensors.size(); ++k) b.slots[k].strides[rank - 1] = strides[k][i];
    }
    return rank - begin;
  };
  if (map) {
    int n = segment(0, all.size());
    b.inner_rank = n > 0 ? 1 : 0;
    b.outer_rank = n - b.inner_rank;
  } else {
    b.batch_rank = segment(0, parts[0]);
    b.outer_rank = segment(parts[0], parts[1]);
    b.inner_rank = segment(parts[0] + parts[1], parts[2]);
  }
}

// A group's space.
inline void collapse_group(program_step& s, const group& code, const extents& e) {
  list<const axis_info*> all;
  int parts[3] = {code.batch.size(), code.outer.size(), code.inner.size()};
  all.append(code.batch), all.append(code.outer), all.append(code.inner);
  bool map = !code.reduces() && code.batch.empty();
  for (const instruction& i : code.body)
    if (i.at == level::row) map = false;
  list<i64> extent;
  for (const axis_info* a : all) extent.push(e[a]);
  collapse(s, all, extent, parts, map);
}

// A map over all elements of one tensor.
inline void collapse_map(program_step& s, const located& over) {
  const list<const axis_info*> all(over.axes, over.rank);
  list<i64> extent;
  for (int i = 0; i < over.rank; ++i) extent.push(over.extents[i]);
  int parts[3] = {0, 0, all.size()};
  collapse(s, all, extent, parts, true);
}

}  // namespace flame::planning
