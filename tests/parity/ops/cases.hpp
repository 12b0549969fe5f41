// The cases of data/ops.safetensors, and formulas that claim to be what PyTorch computed.
#pragma once
#include "../../laws/laws.hpp"
#include "../../laws/numbers.hpp"

namespace flame::parity {

// How a stored tensor becomes a value: its axes in this order, then read as this shape. PyTorch's axes have
// places, FLAME's have names; so a reduction over axes {0, 2} is one over the last axis of the rearranged
// tensor.
struct arrangement {
  std::vector<int> order;
  std::vector<i64> shape;
};

struct argument {
  std::string name;
  const leaf_info* leaf;
  arrangement how;
};

// Output n of the tape is the operation of a case on its arguments.
struct formula {
  int n = -1;
  std::vector<argument> arguments;
  arrangement output;
};

// A case of the file; its attributes are JSON, which only ops.cpp reads.
class test_case {
 public:
  std::string name, op;  // conv2d.bias, conv2d

  test_case(std::string name, const void* attributes, const void* file);
  [[nodiscard]] std::vector<i64> shape(const std::string& what) const;
  [[nodiscard]] value load(const std::string& what) const;
  [[nodiscard]] bool has_argument(const std::string& what) const;
  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] double number(const char* key) const;
  [[nodiscard]] bool flag(const char* key) const;
  [[nodiscard]] std::string text(const char* key) const;
  [[nodiscard]] std::vector<int> numbers(const char* key) const;
  [[nodiscard]] std::vector<std::string> differentiable() const;
  [[nodiscard]] std::vector<std::string> floating() const;  // arguments, in the file's order

 private:
  const void *attributes_, *file_;
};

[[nodiscard]] inline i64 product(const std::vector<i64>& shape, std::size_t first, std::size_t last) {
  i64 n = 1;
  for (std::size_t i = first; i < last; ++i) n *= shape[i];
  return n;
}
[[nodiscard]] inline arrangement as_stored(const std::vector<i64>& shape) {
  arrangement a{{}, shape};
  for (std::size_t i = 0; i < shape.size(); ++i) a.order.push_back(static_cast<int>(i));
  return a;
}
// In one axis, and in two: all but the last `inner` axes, then those.
[[nodiscard]] inline arrangement in_one(const std::vector<i64>& shape) {
  arrangement a = as_stored(shape);
  a.shape = {product(shape, 0, shape.size())};
  return a;
}
[[nodiscard]] inline arrangement in_two(const std::vector<i64>& shape, std::size_t inner) {
  arrangement a = as_stored(shape);
  a.shape = {product(shape, 0, shape.size() - inner), product(shape, shape.size() - inner, shape.size())};
  return a;
}
// In two axes: those not named, then those named.
[[nodiscard]] inline arrangement named_last(const std::vector<i64>& shape, const std::vector<int>& axes) {
  arrangement a{{}, {1, 1}};
  for (int named = 0; named < 2; ++named)
    for (std::size_t i = 0; i < shape.size(); ++i)
      if ((std::find(axes.begin(), axes.end(), static_cast<int>(i)) != axes.end()) == (named == 1)) {
        a.order.push_back(static_cast<int>(i));
        a.shape[static_cast<std::size_t>(named)] *= shape[i];
      }
  return a;
}

// The formulas, by groups of operations; n is -1 where a group does not know the operation.
[[nodiscard]] formula elementwise(const test_case& c);
[[nodiscard]] formula reductions(const test_case& c);
[[nodiscard]] formula others(const test_case& c);
// Of data/composites.safetensors.
[[nodiscard]] formula activations(const test_case& c);
[[nodiscard]] formula norms(const test_case& c);
[[nodiscard]] formula losses(const test_case& c);
[[nodiscard]] formula pictures(const test_case& c);
[[nodiscard]] formula positions(const test_case& c);
[[nodiscard]] formula arrangements(const test_case& c);
// Of data/attention.safetensors.
[[nodiscard]] formula attentions(const test_case& c);
// Of data/layers.safetensors.
[[nodiscard]] formula layers(const test_case& c);

// The arguments of a formula as they are taken.
struct formula_maker {
  const test_case& c;
  formula f = {};

  template <class Element, const auto&... Axes> auto take(const char* name, const arrangement& how) {
    auto s = laws::leaf<Element, Axes...>("x");
    f.arguments.push_back({name, (*s.g)[s.n].leaf, how});
    return s;
  }
  template <class Element, const auto&... Axes> auto take(const char* name) {
    return take<Element, Axes...>(name, as_stored(c.shape(name)));
  }
  template <class Sym> void give(const Sym& s, const arrangement& how) {
    f.n = s.n;
    f.output = how;
  }
  template <class Sym> void give(const Sym& s) { give(s, as_stored(c.shape("output"))); }
};

}  // namespace flame::parity
