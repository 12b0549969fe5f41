// What functions owe: a network of calls and stacks equals the same network unrolled, in value, gradients and
// gradients of gradients, whatever the forward keeps for the backward; as the reference evaluator sees it and
// as the host runs it.
#pragma once
#include <doctest/doctest.h>
#include <flame/expr/attention.hpp>
#include <flame/expr/random.hpp>
#include <flame/nn/place.hpp>
#include <flame/pass/gradient.hpp>

#include <map>
#include <string>
#include <vector>

#include "../numbers.hpp"

namespace flame::laws {

// ---- Values of stacks -------------------------------------------------------------------------------------

// A value, or one for each instance of a stack.
struct nested {
  value one;
  std::vector<nested> instances;
  bool stacked = false;
};

// ---- Gradients --------------------------------------------------------------------------------------------

template <mask In> struct in_mask {
  static constexpr bool has(int i) { return In.has(i); }
};

// In which direction the gradient with respect to leaf I of F is looked at. (clang 14 takes no address of a
// leaf, a part of an array, as an argument.)
template <const function_info* F, int I> struct direction {
  static constexpr const leaf_info* L = F->leaves[I];
  static constexpr leaf_info info{mix(0xD14EC7, L->id), leaf_kind::argument, L->type, "direction"};
};

// (sum, a, b) -> sum + <a, b> for one instance of the stack that leaf I of F is.
template <const function_info* F, int I> struct inner_product {
  static constexpr const leaf_info* L = F->leaves[I];
  static constexpr text name = "inner product";
  static constexpr tensor_type instance() {
    tensor_type t;
    t.element = L->type.element;
    t.stack = static_cast<u8>(L->type.stack - 1);
    for (int i = 1; i < L->type.rank; ++i) t.push(L->type.axes[i]);
    return t;
  }
  static constexpr leaf_info sum{1, leaf_kind::argument, shape<f64>::value(), "sum"};
  static constexpr leaf_info a{2, leaf_kind::argument, instance(), "a"},
      b{3, leaf_kind::argument, instance(), "b"};
  static constexpr draft make() {
    draft d;
    d.operands.push(&sum), d.operands.push(&a), d.operands.push(&b);
    int x = d.g.leaf(&sum), y = d.g.leaf(&a), z = d.g.leaf(&b);
    list<const axis_info*> all;
    for (int i = 0; i < instance().rank; ++i) all.push(instance().axes[i]);
    d.g.outputs.push(d.g.binary(op::add, x, d.g.with_axes(op::sum, d.g.binary(op::mul, y, z), all)));
    return d;
  }
};

// The sum of <gradient, direction> as a function of F's operands and the directions.
template <const function_info* F, mask In, keep Policy> struct along_directions {
  static constexpr text name = "along";
  template <int I> static constexpr const function_info* product_of() {
    if constexpr (In.has(I) && F->leaves[I]->type.stack == 1)
      return &frozen<inner_product<F, I>>::info;
    else
      return nullptr;
  }
  struct table_type {
    const function_info* products[static_cast<unsigned>(F->leaf_count) + 1] = {};
    const leaf_info* directions[static_cast<unsigned>(F->leaf_count) + 1] = {};
  };
  template <int... I> static constexpr table_type make_table(std::integer_sequence<int, I...>) {
    return {{product_of<I>()..., nullptr}, {&direction<F, I>::info..., nullptr}};
  }
  static constexpr table_type table = make_table(std::make_integer_sequence<int, F->leaf_count>{});

  static constexpr draft make() {
    draft d;
    graph& g = d.g;
    g = graph_of(*gradient_function<F, in_mask<In>, Policy>);
    for (int i = 0; i < F->leaf_count; ++i) d.operands.push(F->leaves[i]);
    int sum = g.constant(0, dtype::f64);
    for (int i = 0, k = F->output_count; i < F->leaf_count; ++i) {
      if (!In.has(i)) continue;
      const int gradient = g.outputs[k++], along = g.leaf(table.directions[i]);
      d.operands.push(table.directions[i]);
      if (!table.products[i]) {
        list<const axis_info*> all;
        for (int a = 0; a < g.type(gradient).rank; ++a) all.push(g.type(gradient).axes[a]);
        sum = g.binary(op::add, sum, g.with_axes(op::sum, g.binary(op::mul, gradient, along), all));
        continue;
      }
      call_info info;
      info.repeat = true;
      info.operands.push({operand_mode::carry, 0});
      info.operands.push({operand_mode::each, 0}), info.operands.push({operand_mode::each, 0});
      info.outputs.push(output_mode::carry);
      list<u64> numbers;
      info.encode(numbers);
      list<int> in;
      in.push(sum), in.push(gradient), in.push(along);
      list<const axis_info*> count;
      count.push(F->leaves[i]->type.axes[0]);
      sum = g.result(g.put(op::call, in, count, numbers, nullptr, table.products[i]), 0);
    }
    g.outputs.clear();
    g.outputs.push(sum);
    return d;
  }
};
template <const function_info* F, mask In, keep Policy>
inline constexpr const function_info* along = &frozen<along_directions<F, In, Policy>>::info;

struct network {
  const function_info* f = nullptr;
  list<int> wrt;                             // operands
  std::vector<const leaf_info*> directions;  // of them
  struct kept {
    std::string name;
    graph once, twice;  // outputs: the scalar, then its gradients
  };
  std::vector<kept> policies;
};

template <const function_info* F, mask In> network make_network() {
  network n;
  n.f = F;
  for (int i = 0; i < F->leaf_count; ++i)
    if (In.has(i))
      n.wrt.push(i), n.directions.push_back(along_directions<F, In, keep::all>::table.directions[i]);
  auto add = [&]<keep Policy>(const char* name, std::integral_constant<keep, Policy>) {
    n.policies.push_back({name, graph_of(*gradient_function<F, in_mask<In>, Policy>),
                          graph_of(*gradient_function<along<F, In, Policy>, in_mask<In>, Policy>)});
  };
  add("all", std::integral_constant<keep, keep::all>{});
  add("cut", std::integral_constant<keep, keep::cut>{});
  add("inputs", std::integral_constant<keep, keep::inputs>{});
  return n;
}

// All floating operands; or those whose path is one of these.
template <const function_info* F> constexpr mask all_floating() {
  mask m;
  for (int i = 0; i < F->leaf_count; ++i)
    if (is_floating(F->leaves[i]->type.element)) m.add(i);
  return m;
}
template <const function_info* F, class... Name> constexpr mask named(Name... names) {
  mask m;
  for (int i = 0; i < F->leaf_count; ++i)
    if (((F->leaves[i]->name == text(names)) || ...)) m.add(i);
  return m;
}

// ---- Laws -------------------------------------------------------------------------------------------------

// How long the axes are. One axis may differ among the instances of the outermost stack: that of adapters'
// ranks.
struct shapes_of_network {
  std::map<const axis_info*, i64> extents;
  const axis_info* ragged = nullptr;
  std::vector<i64> ranks = {};
};

struct step_counts_of_network {
  int steps = 0, contractions = 0;
};

void check_network(const network& n, const shapes_of_network& s);

// Steps of the program that gives the value and the gradients that were asked for, as kept under a policy.
[[nodiscard]] step_counts_of_network count_steps(const network& n, const shapes_of_network& s,
                                                 const std::string& policy);

}  // namespace flame::laws
