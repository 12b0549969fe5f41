// Random graphs for tests/laws/graphs.cpp: leaves, axes, and what grows.
#pragma once
#include <flame/graph/graph.hpp>

#include <algorithm>
#include <iterator>
#include <random>

namespace flame::laws {

// ---- Leaves -----------------------------------------------------------------------------------------------

struct row : dim<> {};
struct col : dim<> {};
struct plane : dim<> {};
// Merged of these, in any order of them.
struct row_col : dim<> {};
struct row_plane : dim<> {};
struct col_plane : dim<> {};
struct cube : dim<> {};
// Joined of two.
struct rows : dim<> {};
struct cols : dim<> {};
struct row_or_col : dim<> {};
struct count : dim<> {};  // of instances

inline constexpr const axis_info* all_axes[] = {axis_ptr<struct row>, axis_ptr<struct col>,
                                                axis_ptr<struct plane>};

// An axis and what it is made of.
struct made_axis {
  const axis_info* to;
  const axis_info* parts[3];
  int count;
};
inline constexpr made_axis merged_axes[] = {
    {axis_ptr<struct row_col>, {all_axes[0], all_axes[1]}, 2},
    {axis_ptr<struct row_plane>, {all_axes[0], all_axes[2]}, 2},
    {axis_ptr<struct col_plane>, {all_axes[1], all_axes[2]}, 2},
    {axis_ptr<struct cube>, {all_axes[0], all_axes[1], all_axes[2]}, 3},
};
inline constexpr made_axis joined_axes[] = {
    {axis_ptr<struct rows>, {all_axes[0], all_axes[0]}, 2},
    {axis_ptr<struct cols>, {all_axes[1], all_axes[1]}, 2},
    {axis_ptr<struct row_or_col>, {all_axes[0], all_axes[1]}, 2},
};

// Of every rank, and two of one set of axes in two orders.
template <class... Axes> constexpr leaf_info input_of(u64 id, text name) {
  return {id, leaf_kind::input, shape<f64, Axes...>::value(), name};
}
// One for each instance, the first axis.
template <class... Axes> constexpr leaf_info stack_of(u64 id, text name) {
  leaf_info l = input_of<Axes...>(id, name);
  l.type.stack = 1;
  return l;
}
inline constexpr leaf_info leaves[] = {
    input_of<struct row, struct col>(11, "row_col"),
    input_of<struct col, struct row>(12, "col_row"),
    input_of<struct row, struct col, struct plane>(13, "row_col_plane"),
    input_of<struct plane>(14, "of_plane"),
    input_of<struct col>(15, "of_col"),
    input_of<struct plane, struct row>(16, "plane_row"),
    input_of<>(17, "scalar"),
    input_of<struct row, struct plane>(18, "row_plane"),
    input_of<struct row_col, struct plane>(19, "merged_plane"),
    input_of<struct col_plane>(20, "merged"),
    input_of<struct row_plane>(21, "merged_too"),
    input_of<struct cube>(22, "cube"),
    input_of<struct rows, struct col>(23, "rows_col"),
    input_of<struct cols>(24, "cols"),
    input_of<struct plane, struct row_or_col>(25, "plane_joined"),
    stack_of<struct count, struct col>(26, "stack"),
};
inline constexpr int leaf_count = static_cast<int>(std::size(leaves));  // the last is the stack
inline list<const leaf_info*> operands() {
  list<const leaf_info*> all;
  for (const leaf_info& l : leaves) all.push(&l);
  return all;
}

// ---- Graphs -----------------------------------------------------------------------------------------------

struct dice {
  std::mt19937_64 source;
  int operator()(int sides) { return static_cast<int>(source() % static_cast<u64>(sides)); }
};

// Grows a graph operation by operation. Each is scaled such that numbers stay near one: what is computed in
// another order differs by rounding alone.
struct grower {
  dice& roll;
  bool smooth;         // without kinks and steps
  bool nowhere_empty;  // no axis that may be cut is without elements
  graph g;
  list<int> pool;
  int first_grown = 0;

  virtual ~grower() = default;
  explicit grower(dice& by, bool without_kinks, bool never_empty)
      : roll(by), smooth(without_kinks), nowhere_empty(never_empty) {
    for (const leaf_info& l : leaves)
      if (l.type.stack == 0) pool.push(g.leaf(&l));
    for (double v : {1.0, 2.0, -1.0, 0.5, -3.0, 0.0}) pool.push(number(v));
    first_grown = pool.size();
  }
  int number(double v) { return g.constant(v, dtype::f64); }
  int scaled(int n) { return g.binary(op::mul, n, number(0.25)); }
  template <std::size_t N> op one_of(const op (&codes)[N], int smooth_ones) {
    return codes[roll(smooth ? smooth_ones : static_cast<int>(N))];
  }
  // Mostly what came last, so that graphs grow deep.
  int any() {
    const int n = pool.size();
    return roll(3) ? pool[n - 1 - roll(std::min(n, 6))] : pool[roll(n)];
  }
  [[nodiscard]] bool nested(int a, int b) const {
    return within(g.type(a), g.type(b)) || within(g.type(b), g.type(a));
  }
  list<const axis_info*> axes_of(int n) const { return {g.type(n).axes, g.type(n).rank}; }
  void shuffle(list<const axis_info*>& axes) {
    for (int i = axes.size() - 1; i > 0; --i) std::swap(axes[i], axes[roll(i + 1)]);
  }

  // -1 where the operation does not fit what was drawn.
  int unary(int x) {
    return g.unary(one_of({op::neg, op::tanh, op::sin, op::sigmoid, op::abs, op::cos}, 4), x);
  }
  int binary(int x, int y) {
    if (!nested(x, y)) return -1;
    return g.binary(one_of({op::add, op::sub, op::mul, op::add, op::mul, op::maximum, op::minimum}, 5), x, y);
  }
  int quotient(int x, int y) {
    if (!nested(x, y)) return -1;
    return g.binary(op::div, x, g.binary(op::add, g.binary(op::mul, y, y), number(1)));
  }
  int reduction(int x) {
    const tensor_type t = g.type(x);
    if (t.rank == 0) return -1;
    list<const axis_info*> over;
    for (int i = 0; i < t.rank; ++i)
      if (roll(2)) over.push(t.axes[i]);
    if (over.empty()) over.push(t.axes[roll(t.rank)]);
    const op code = one_of({op::sum, op::sum, op::max, op::min}, 1);
    const int n = g.with_axes(code, x, over);
    return code == op::sum ? scaled(n) : n;
  }
  int permutation(int x) {
    list<const axis_info*> order = axes_of(x);
    shuffle(order);
    return order.size() < 2 ? -1 : g.with_axes(op::permute, x, order);
  }
  int repetition(int x) {
    list<const axis_info*> whole = axes_of(x);
    for (const axis_info* a : all_axes)
      if (!g.type(x).has(a) && roll(2)) whole.push(a);
    if (whole.size() == g.type(x).rank) return -1;
    shuffle(whole);
    return g.with_axes(op::broadcast, x, whole);
  }
  int product(int x, int y) {
    tensor_type out;
    out.element = dtype::f64;
    list<const axis_info*> axes = axes_of(x);
    for (const axis_info* a : axes_of(y))
      if (!axes.has(a)) axes.push(a);
    for (const axis_info* a : axes) {
      const bool left = g.type(x).has(a), right = g.type(y).has(a);
      if (left && right ? roll(2) == 1 : left || right) out.push(a);
    }
    return scaled(g.contract(x, y, out));
  }
  int choice(int x, int y, int z) {
    if (smooth || !nested(x, y) || !nested(z, x) || !nested(z, y)) return -1;
    return g.where(g.binary(op::less, z, number(0.3)), x, y);
  }

  // Axes of x moved such that these stand side by side, in their order.
  int side_by_side(int x, array_view<const axis_info*> wanted) {
    list<const axis_info*> others, order;
    for (const axis_info* a : axes_of(x))
      if (!list<const axis_info*>(wanted).has(a)) others.push(a);
    const int before = roll(others.size() + 1);
    for (int i = 0; i < before; ++i) order.push(others[i]);
    order.append(wanted);
    for (int i = before; i < others.size(); ++i) order.push(others[i]);
    return order.size() < 2 ? x : g.with_axes(op::permute, x, order);
  }
  list<const axis_info*> parts_of(const made_axis& m) {
    list<const axis_info*> parts(m.parts, m.count);
    shuffle(parts);
    return parts;
  }
  [[nodiscard]] bool has_all(int x, const made_axis& m) const {
    for (int i = 0; i < m.count; ++i)
      if (!g.type(x).has(m.parts[i])) return false;
    return true;
  }
  [[nodiscard]] bool has_any(int x, const made_axis& m) const {
    for (int i = 0; i < m.count; ++i)
      if (g.type(x).has(m.parts[i])) return true;
    return false;
  }
  int merge(int x) {
    const made_axis& m = merged_axes[roll(4)];
    if (!has_all(x, m) || g.type(x).has(m.to)) return -1;
    list<const axis_info*> axes = parts_of(m);
    const int beside = side_by_side(x, axes);
    axes.push(m.to);
    return g.with_axes(op::merge, beside, axes);
  }
  int split(int x) {
    const made_axis& m = merged_axes[roll(4)];
    if (!g.type(x).has(m.to) || has_any(x, m)) return -1;
    list<const axis_info*> axes;
    axes.push(m.to), axes.append(parts_of(m));
    return g.with_axes(op::split, x, axes);
  }
  // Parts of an axis: its beginning, its end, every other element.
  int part(int x) {
    const made_axis& m = joined_axes[roll(3)];
    if (!g.type(x).has(m.to)) return -1;
    const int which = roll(2);
    if (g.type(x).has(m.parts[which])) return -1;
    const bool doubled = m.parts[0] == m.parts[1], others = doubled && roll(3) == 0 && nowhere_empty;
    list<const axis_info*> axes;
    axes.push(m.to), axes.push(m.parts[which]);
    if (which == 1 && !others) axes.push(m.parts[0]);
    const u64 numbers[] = {static_cast<u64>(others ? which : 0), others ? u64{2} : u64{1},
                           static_cast<u64>(others && roll(2) ? -1 : as_result)};
    return g.put(op::slice, {&x, 1}, axes, numbers);
  }
  int padding(int x) {
    const made_axis& m = joined_axes[roll(3)];
    const int which = roll(2);
    if (!g.type(x).has(m.parts[which]) || g.type(x).has(m.to)) return -1;
    list<const axis_info*> axes;
    axes.push(m.parts[which]), axes.push(m.to);
    if (which == 1) axes.push(m.parts[0]);
    const u64 numbers[] = {0, static_cast<u64>(as_result), __builtin_bit_cast(u64, roll(2) ? 0.0 : 0.5), 1};
    return g.put(op::pad, {&x, 1}, axes, numbers);
  }
  // Two parts side by side, the second in whichever order its axes stand.
  int joined(int x, int y) {
    const made_axis& m = joined_axes[roll(3)];
    if (roll(2)) y = m.parts[0] == m.parts[1] ? unary(x) : y;
    const int in[] = {x, y};
    const axis_info* axes[] = {m.parts[0], m.parts[1], m.to};
    for (int i = 0; i < 2; ++i)
      if (!g.type(in[i]).has(axes[i]) || g.type(in[i]).has(m.to)) return -1;
    if (g.type(x).rank != g.type(y).rank) return -1;
    for (const axis_info* a : axes_of(y))
      if (a != axes[1] && (a == axes[0] || !g.type(x).has(a))) return -1;
    return g.put(op::concatenate, in, axes);
  }

  int mean_over(int x, array_view<const axis_info*> over) {
    int count = number(1);
    for (const axis_info* a : over) count = g.binary(op::mul, count, g.extent(a, dtype::f64));
    return g.binary(op::div, g.with_axes(op::sum, x, over), count);
  }
  // (x - mean) / sqrt(variance + eps) over some axes.
  int normed(int x) {
    list<const axis_info*> over;
    for (const axis_info* a : axes_of(x))
      if (roll(2)) over.push(a);
    if (over.empty()) return -1;
    const int centred = g.binary(op::sub, x, mean_over(x, over));
    const int variance = mean_over(g.binary(op::mul, centred, centred), over);
    return g.binary(op::mul, centred, g.unary(op::rsqrt, g.binary(op::add, variance, number(0.25))));
  }
  int affine(int x, int scale, int shift) {
    if (!within(g.type(scale), g.type(x)) || !within(g.type(shift), g.type(x))) return x;
    return g.binary(op::add, g.binary(op::mul, x, scale), shift);
  }
  int silu(int x) { return g.binary(op::mul, x, g.unary(op::sigmoid, x)); }
  // Over groups of a merged axis, what follows with the axis merged again, as in a network.
  int group_norm(int x) {
    const made_axis& m = merged_axes[roll(3)];
    if (!g.type(x).has(m.to) || has_any(x, m)) return -1;
    list<const axis_info*> axes = parts_of(m);
    list<const axis_info*> with;
    with.push(m.to), with.append(axes);
    int n = normed(g.with_axes(op::split, x, with));
    if (n < 0) return -1;
    axes.push(m.to);
    n = affine(g.with_axes(op::merge, n, axes), any(), any());
    return roll(2) ? silu(n) : n;
  }
  int layer_norm(int x) {
    const int n = normed(x);
    return n < 0 ? -1 : affine(n, any(), any());
  }

  virtual int operation() {
    const int kind = roll(34), x = any(), y = any();
    if (kind >= 33) return padding(x);
    if (kind >= 31) return joined(x, y);
    if (kind >= 29) return part(x);
    if (kind >= 27) return split(x);
    if (kind >= 24) return merge(x);
    if (kind >= 22) return group_norm(x);
    if (kind >= 20) return layer_norm(x);
    if (kind < 4) return unary(x);
    if (kind < 11) return binary(x, y);
    if (kind < 12) return quotient(x, y);
    if (kind < 15) return reduction(x);
    if (kind < 16) return permutation(x);
    if (kind < 18) return repetition(x);
    if (kind < 19) return product(x, y);
    return choice(x, y, any());
  }

  void grow(int count, int outputs) {
    for (int tries = 0; pool.size() < count && tries < 10 * count; ++tries)
      if (const int n = operation(); n >= 0 && !pool.has(n)) pool.push(n);
    // The first among the last, the others further and further back.
    for (int i = 0; i < outputs; ++i)
      g.outputs.push(pool[pool.size() - 1 - roll(std::min(pool.size() - first_grown, 2 + 6 * i))]);
  }
};

}  // namespace flame::laws
