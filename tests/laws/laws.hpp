// What every operation owes, and how one line enrols an operation in all of it.
//
// A formula is traced once, in f64; everything varies at run time: gradients (the passes are plain
// functions), element types (a graph is retyped), extents, strides. So a line costs the compiler next to
// nothing.
#pragma once
#include <doctest/doctest.h>
#include <flame/expr/attention.hpp>
#include <flame/expr/gradient.hpp>
#include <flame/expr/image.hpp>
#include <flame/expr/random.hpp>

#include <deque>
#include <string>
#include <vector>

namespace flame::laws {

// ---- Leaves -----------------------------------------------------------------------------------------------

// From where the values of a leaf come. They are spread evenly, in random order, and 0.02 or more from every
// multiple of one half, so that finite differences see no tie and no kink.
struct domain {
  double low = -1.6, high = 2.3;
  const axis_info* below = nullptr;  // integers: an index into this axis
};
inline constexpr domain positive{0.3, 3};

struct known_leaf {
  leaf_info info;
  domain from;
};

// Leaves live as long as the program: graphs know them by address.
inline std::deque<known_leaf>& leaves() {
  static std::deque<known_leaf> all;
  return all;
}
inline const known_leaf& leaf_at(const leaf_info* l) {
  for (const known_leaf& k : leaves())
    if (&k.info == l) return k;
  throw error("laws: a leaf that was not made by flame::laws::leaf");
}
// Of parameters, which are leaves by their type, any numbers will do.
inline domain domain_of(const leaf_info* l) {
  return l->kind == leaf_kind::input ? leaf_at(l).from : domain{};
}

// The graph to which all formulas of a file append their nodes.
inline graph& tape() {
  static graph g;
  return g;
}

inline const leaf_info* new_leaf(const tensor_type& t, text name, domain from) {
  u64 id = mix(hash_of(name), leaves().size());
  leaves().push_back({{id, leaf_kind::input, t, name}, from});
  return &leaves().back().info;
}

// inline const auto x = leaf<f64, row, col>("x");
template <class Element, const auto&... Axes>
sym<Element, tag_of<Axes>...> leaf(text name, domain from = {}) {
  const leaf_info* l = new_leaf(shape<Element, tag_of<Axes>...>::value(), name, from);
  return {{}, &tape(), tape().leaf(l)};
}

// ---- Axes -------------------------------------------------------------------------------------------------

// An axis of leaves has four extents: small enough for finite differences, odd, longer than a vector
// register, and one. Each axis is also made empty in turn.
inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct plane : dim<> {
} plane;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct entry : dim<> {
} entry;

struct extents_of_axis {
  const axis_info* axis;
  i64 small, odd, large, one;
};
inline std::vector<extents_of_axis>& axis_table() {
  static std::vector<extents_of_axis> table = {
      {axis_ptr<struct row>, 3, 7, 37, 1},   {axis_ptr<struct col>, 5, 13, 67, 1},
      {axis_ptr<struct plane>, 2, 3, 5, 1},  {axis_ptr<struct other>, 4, 9, 33, 1},
      {axis_ptr<struct entry>, 4, 5, 19, 1},
  };
  return table;
}
template <class Axis> int extents_for(const Axis&, i64 small, i64 odd, i64 large, i64 one = 1) {
  axis_table().push_back({axis_ptr<Axis>, small, odd, large, one});
  return 0;
}

// ---- Laws -------------------------------------------------------------------------------------------------

struct options {
  bool linear = false;             // in each of its floating leaves
  bool twice = true;               // the gradient of the gradient is tested too
  bool empty = true;               // works where an axis has no elements
  bool half = true;                // works in bf16 and f16
  bool specials = true;            // NaN and infinities give the same on the host
  bool host = true;                // has a lowering on the host
  bool padded = false;             // zeros of a padding may meet infinities (0 * inf = NaN), or be left out
  double f32 = 1e-5, f64 = 1e-12;  // the host against the reference, by norm
  double differences = 1e-6;       // gradients against finite differences, by norm
};

// What the laws of a process have generated: laws; programs run on one set of extents and one layout of
// memory, of these those that differ in more than the element type; sets that an operation refused.
struct tally {
  int laws = 0, runs = 0, cases = 0, empty = 0, refused = 0;
};
inline tally& generated() {
  static tally all;
  return all;
}

// Output n of the tape: gradients, gradients of gradients, linearity, simplification, words, the host in
// every element type, sizes, strides, broadcast inputs, NaN and infinities.
void enrol(int n, const options& o);

// The formulas of all laws of the program: each gives its output on the tape.
inline std::vector<int (*)()>& formulas() {
  static std::vector<int (*)()> all;
  return all;
}
inline bool remember(int (*formula)()) {
  formulas().push_back(formula);
  return true;
}

}  // namespace flame::laws

// LAW(softmax, softmax(x, col)); LAW(sum, sum(x, row), .linear = true)
#define LAW(name, formula, ...)                                                 \
  int law_##name() { return (formula).n; }                                      \
  [[maybe_unused]] const bool known_##name = flame::laws::remember(law_##name); \
  TEST_CASE(#name) { flame::laws::enrol(law_##name(), flame::laws::options{__VA_ARGS__}); }
