// What of a fused graph is in memory, what is made again where it is read instead, and what is stored in f32.
#pragma once
#include <flame/plan/fuse_groups.hpp>

namespace flame::fusing {

// Another order of a fused value that is an output: its group writes it in that order.
[[nodiscard]] constexpr bool is_reordered(const state& s, int i) {
  return s.output[i] && s.g.is(i, op::permute) && s.how[meant(s.g, i)] == making::fused &&
         s.g.type(meant(s.g, i)).rank == s.g.type(i).rank;
}

// What must be in memory: outputs, and what another step reads. A view is its operand's memory.
[[nodiscard]] constexpr list<u8> find_memory(state& s) {
  const graph& g = s.g;
  list<u8> memory;
  memory.resize(g.size(), 0);
  auto made = [&](int i) {
    return s.how[i] == making::immediate || s.how[i] == making::uniform || s.how[i] == making::again;
  };
  for (int i = g.size() - 1; i >= 0; --i) {
    if (s.how[i] == making::dead) continue;
    bool needs = s.output[i] != 0 || memory[i] != 0;
    for (int r : s.readers[i]) {
      if (s.how[r] == making::library || s.how[r] == making::call) needs = true;
      if ((s.how[r] == making::view || s.how[r] == making::alias) && memory[r] && !is_reordered(s, r) &&
          !(made(i) && g.is(r, op::broadcast)))  // a broadcast's copy makes it itself
        needs = true;
      if (s.how[r] == making::fused && s.how[i] == making::fused &&
          s.find(s.group_of[r]) != s.find(s.group_of[i]))
        needs = true;
      if (s.how[r] == making::fused && !made(i) && s.how[i] != making::fused) needs = true;
      if ((s.how[r] == making::uniform || s.how[r] == making::again) && !made(i)) needs = true;
    }
    memory[i] = needs;
    // A broadcast's copy reads what it means, past an order that the group wrote for itself.
    if (const int of = meant(g, i); needs && g.is(i, op::broadcast) && s.how[of] == making::fused)
      memory[of] = 1;
  }
  return memory;
}

// Values that several groups read and that cost no more bytes to make than to read: of each point of one
// tensor that is in memory anyway, and of smaller ones, a column reduction's among them. (x - mean, and what
// a norm over columns makes of it: group norm, batch norm, instance norm.) They are made where they are read
// and not stored. Without a column reduction nothing is looked at: readers of row reductions and libraries
// are fused with them, or with their epilogue. Within bounds, so that a chain of norms is not computed from
// its beginning in each kernel: as many instructions, and smaller tensors, as a norm's application with its
// activation has, and some more.
//
// So is a cast to more bytes of what is in memory: the f64 numbers that such a norm's sums are of.
inline constexpr i64 most_work = 16;
inline constexpr int most_beside = 6;
[[nodiscard]] constexpr bool is_larger_cast(const graph& g, int n) {
  return g.is(n, op::cast) && size_of(g.type(n).element) > size_of(g.type(g.arg(n, 0)).element);
}
[[nodiscard]] constexpr list<u8> recomputed(state& s) {
  const graph& g = s.g;
  bool any = false;
  for (int n = 0; n < g.size() && !any; ++n)
    any = s.how[n] == making::fused && is_reduction(g, n) && !s.row[n] &&
          s.reduced_by(n).rank < g.type(g.arg(n, 0)).rank;
  if (!any) return {};
  const list<u8> memory = find_memory(s);
  list<u8> of_columns, chosen, result;  // made of a column reduction; fit; wanted
  of_columns.resize(g.size(), 0), chosen.resize(g.size(), 0), result.resize(g.size(), 0);
  list<u8> statistic;  // made of such reductions alone: few numbers, made once
  statistic.resize(g.size(), 0);
  list<i64> work;    // of a chosen node down to memory
  list<int> beside;  // the smaller tensors there
  work.resize(g.size(), 0), beside.resize(g.size(), 0);
  for (int n = 0; n < g.size(); ++n) {
    if (s.how[n] == making::dead) continue;
    of_columns[n] = s.how[n] == making::fused && is_reduction(g, n) && !s.row[n] &&
                    s.reduced_by(n).rank < g.type(g.arg(n, 0)).rank;
    for (int k = 0; k < g[n].arg_count; ++k)
      if (const int a = meant(g, g.arg(n, k)); s.how[a] == making::fused) of_columns[n] |= of_columns[a];
    statistic[n] = of_columns[n];
    for (int k = 0; k < g[n].arg_count && !is_reduction(g, n); ++k) {
      const int a = meant(g, g.arg(n, k));
      statistic[n] =
          statistic[n] && (s.how[a] == making::immediate || s.how[a] == making::uniform || statistic[a]);
    }
    if (s.how[n] != making::fused || is_reduction(g, n) || kind_of(g[n].code) == op_kind::random ||
        s.output[n] || statistic[n])
      continue;
    int full = -1;
    bool fits = of_columns[n] != 0 || is_larger_cast(g, n);
    for (int k = 0; k < g[n].arg_count && fits; ++k) {
      const int a = meant(g, g.arg(n, k));
      if (s.how[a] == making::immediate || s.how[a] == making::uniform || a == full) continue;
      if (g.type(a).rank < g.type(n).rank) {
        // In memory, and not for this node alone.
        fits = s.how[a] != making::fused || is_reduction(g, a) || memory[a];
        ++beside[n];
        continue;
      }
      fits = full < 0;
      full = a;
    }
    fits = fits && full >= 0;
    if (fits && !chosen[full])
      fits = s.how[full] != making::fused || (memory[full] && !is_reduction(g, full));
    for (int r : s.readers[n]) fits = fits && s.how[r] == making::fused;
    if (!fits) continue;
    work[n] = cost_of(g[n].code) + (chosen[full] ? work[full] : 0);
    beside[n] += chosen[full] ? beside[full] : 0;
    chosen[n] = work[n] <= most_work && beside[n] <= most_beside;
  }
  // Those that would be stored, and what they are made of.
  for (int n = g.size() - 1; n >= 0; --n) {
    if (!chosen[n] || !(result[n] || memory[n])) continue;
    result[n] = 1;
    for (int k = 0; k < g[n].arg_count; ++k)
      if (const int a = meant(g, g.arg(n, k)); chosen[a]) result[a] = 1;
  }
  return result;
}

// Values of 16 bits that are stored in f32: what columns and totals sum to and what is made of these alone
// (means, variances of group and batch norm), and what larger tensors alone are made of (the root of a
// running variance). They are few, and all that they are subtracted from and multiplied with would have their
// rounding in it. What they are sums of is rounded first where it is stored itself (writer::rounds): so what
// later kernels read is what was summed, and a number less its mean over itself is 0.
[[nodiscard]] constexpr list<u8> find_wide(const state& s, const list<u8>& memory) {
  const graph& g = s.g;
  list<u8> wide, of_sums, for_larger;
  wide.resize(g.size(), 0), of_sums.resize(g.size(), 0), for_larger.resize(g.size(), 0);
  auto computed = [&](int n) {
    return s.how[n] == making::fused || s.how[n] == making::uniform || s.how[n] == making::again;
  };
  for (int n = 0; n < g.size(); ++n) {
    if (!computed(n) || !is_floating(g.type(n).element)) continue;
    if (is_reduction(g, n)) {
      of_sums[n] = !s.row[n];
      continue;
    }
    bool all = is_pointwise(g, n) && g[n].arg_count > 0, any = false;
    for (int k = 0; k < g[n].arg_count; ++k) {
      const int a = meant(g, g.arg(n, k));
      any = any || of_sums[a];
      all = all && (of_sums[a] || s.how[a] == making::immediate || s.how[a] == making::uniform);
    }
    of_sums[n] = all && any;
  }
  for (int n = g.size() - 1; n >= 0; --n) {
    if (!computed(n) || !has_16_bits(g.type(n).element) || s.output[n]) continue;
    bool grouped = true, larger = true;
    for (int r : s.readers[n]) {
      grouped = grouped && computed(r);
      larger = larger && !is_reduction(g, r) && (for_larger[r] || g.type(r).rank > g.type(n).rank);
    }
    for_larger[n] = grouped && larger;
    wide[n] = s.how[n] == making::fused && memory[n] && grouped && (of_sums[n] || larger);
  }
  return wide;
}

}  // namespace flame::fusing
