// Functions that random graphs call (tests/laws/graphs.cpp), and the gradients of such graphs: a call's
// derivative is a type, so that every pattern of what needs one is made before.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/contract.hpp>
#include <flame/expr/function.hpp>
#include <flame/pass/gradient.hpp>

#include <vector>

#include "grower.hpp"

namespace flame::laws {

// ---- Functions, with axes of their own --------------------------------------------------------------------

inline constexpr struct first : dim<> {
} first;
inline constexpr struct second : dim<> {
} second;
inline constexpr struct third : dim<> {
} third;

// A norm, what follows it, and a residual.
struct normed_block {
  constexpr auto operator()(auto h, auto v) const { return 0.5 * h + silu(layer_norm(h, 0.25, second) * v); }
};
struct two_results {
  constexpr auto operator()(auto h) const {
    auto s = sin(h) * 0.5;
    return std::tuple{s, sum(s * h, second) * 0.25};
  }
};
struct product {
  constexpr auto operator()(auto h, auto u) const { return tanh(matmul(h, u, second) * 0.25); }
};
struct twice_called {
  constexpr auto operator()(auto h, auto v) const {
    auto once = call(normed_block{}, h, v);
    return call(normed_block{}, once, sin(v)) - 0.25 * once;
  }
};
// Of a stack: what is carried, and each instance's own.
struct instance {
  constexpr auto operator()(auto h, auto w) const { return 0.5 * h + tanh(h * w) * sum(h, first) * 0.125; }
};

// What is looked at of a stack, which no program gives as its result: a number of all its elements, by
// instance.
struct looked_at {
  constexpr auto operator()(auto sum_before, auto w) const {
    return sum_before * 1.25 + sum(w * (iota<f64>(second, w) + 1.0), second);
  }
};

// ---- Derivatives ------------------------------------------------------------------------------------------

// One function that is called, with its derivatives with respect to all sets of operands, of all sets of
// outputs.
struct called_function {
  const function_info* f;
  bool repeats;
  struct derivative {
    mask in, out;
    const derived_call* call;
  };
  std::vector<derivative> derivatives = {};
};

[[nodiscard]] constexpr mask mask_of(u64 bits) {
  mask m;
  m.word[0] = bits;
  return m;
}

template <const function_info* F, bool Repeats, int... I>
called_function all_derivatives(std::integer_sequence<int, I...>) {
  called_function c{F, Repeats};
  constexpr u64 ins = (u64{1} << F->leaf_count) - 1;
  auto add = [&]<u64 In, u64 Out>(std::integral_constant<u64, In>, std::integral_constant<u64, Out>) {
    c.derivatives.push_back(
        {mask_of(In), mask_of(Out),
         &derive<F, mask_of(In), mask_of(Out), mask_of(Repeats ? 1 : 0), keep::cut>::call});
  };
  (add(std::integral_constant<u64, 1 + static_cast<u64>(I) % ins>{},
       std::integral_constant<u64, 1 + static_cast<u64>(I) / ins>{}),
   ...);
  return c;
}
template <const function_info* F, bool Repeats = false> called_function called() {
  return all_derivatives<F, Repeats>(
      std::make_integer_sequence<int, ((1 << F->leaf_count) - 1) * ((1 << F->output_count) - 1)>{});
}

inline const std::vector<called_function>& called_functions() {
  using matrix = shape<f64, struct first, struct second>;
  using other = shape<f64, struct second, struct third>;
  using vector = shape<f64, struct second>;
  static const std::vector<called_function> all = [] {
    std::vector<called_function> c;
    c.push_back(called<kept_function_of<keep::caller, two_results, matrix>>());
    auto kept = [&]<keep K>(std::integral_constant<keep, K>) {
      c.push_back(called<kept_function_of<K, normed_block, matrix, vector>>());
      c.push_back(called<kept_function_of<K, product, matrix, other>>());
      c.push_back(called<kept_function_of<K, twice_called, matrix, vector>>());
      c.push_back(called<kept_function_of<K, instance, matrix, vector>, true>());
    };
    kept(std::integral_constant<keep, keep::all>{});
    kept(std::integral_constant<keep, keep::cut>{});
    kept(std::integral_constant<keep, keep::inputs>{});
    return c;
  }();
  return all;
}

inline derived_call derivative_of(const call_activity& a, const function_info* f) {
  for (const called_function& c : called_functions())
    if (c.f == f)
      for (const called_function::derivative& d : c.derivatives)
        if (d.in == a.in && d.out == a.out) return *d.call;
  throw error("laws: a call's derivative that was not made before");
}

// ---- Graphs that call -------------------------------------------------------------------------------------

struct caller : grower {
  using grower::grower;

  // Operands of a rank that stand in the function's axes' place.
  int of_rank(int rank) {
    for (int tries = 0; tries < 20; ++tries)
      if (const int n = any(); g.type(n).rank == rank && g.type(n).stack == 0) return n;
    return -1;
  }
  int turned(int x) {
    list<const axis_info*> axes = axes_of(x);
    shuffle(axes);
    return g.with_axes(op::permute, x, axes);
  }
  // The leaf that holds one vector for each instance, and what it is handed to.
  int repetition_of(const called_function& f) {
    const int x = of_rank(2);
    const leaf_info& stack = leaves[leaf_count - 1];
    const axis_info* own = stack.type.axes[1];
    if (x < 0 || !g.type(x).has(own)) return -1;
    list<const axis_info*> axes;
    axes.push(g.type(x).axes[g.type(x).axes[0] == own ? 1 : 0]), axes.push(own);
    call_info info;
    info.repeat = true, info.reverse = roll(2);
    info.operands.push({operand_mode::carry, 0}), info.operands.push({operand_mode::each, 0});
    info.outputs.push(output_mode::carry);
    list<u64> numbers;
    info.encode(numbers);
    const int in[] = {g.with_axes(op::permute, x, axes), g.leaf(&stack)};
    return g.result(g.put(op::call, in, {stack.type.axes, 1}, numbers, nullptr, f.f), 0);
  }
  int calling() {
    const called_function& f =
        called_functions()[static_cast<std::size_t>(roll(static_cast<int>(called_functions().size())))];
    if (f.repeats) return repetition_of(f);
    list<int> in;
    const int x = of_rank(2);
    if (x < 0) return -1;
    in.push(turned(x));
    if (f.f->leaf_count > 1) {
      const int y = of_rank(f.f->leaves[1]->type.rank);
      if (y < 0) return -1;
      const int other = g.type(y).rank > 1 ? turned(y) : y;
      if (g.type(other).axes[0] != g.type(in[0]).axes[1]) return -1;
      if (g.type(other).rank > 1 && g.type(other).axes[1] == g.type(in[0]).axes[0]) return -1;
      in.push(other);
    }
    call_info info;
    info.operands.resize(f.f->leaf_count);
    info.outputs.resize(f.f->output_count, output_mode::carry);
    list<u64> numbers;
    info.encode(numbers);
    return g.result(g.put(op::call, in, {}, numbers, nullptr, f.f), roll(f.f->output_count));
  }
  int operation() override { return roll(12) ? grower::operation() : calling(); }
};

// A graph as a function, for as long as there is the object.
struct graph_as_function {
  encoded code;
  function_info info;
  graph_as_function(const graph& g, const list<const leaf_info*>& operands) : code(encode(g, operands)) {
    info.id = code.id;
    info.name = "law";
    info.words = code.words.items, info.word_count = code.words.size();
    info.axes = code.axes.items, info.axis_count = code.axes.size();
    info.leaves = code.leaves.items, info.leaf_count = code.leaves.size();
    info.functions = code.functions.items, info.function_count = code.functions.size();
    info.outputs = code.outputs.items, info.output_count = code.outputs.size();
  }
  graph_as_function(const graph_as_function&) = delete;
  graph_as_function& operator=(const graph_as_function&) = delete;
};

// The loss, then its gradient with respect to each leaf; of the stack's, where one reaches it, what is looked
// at.
inline graph gradients_of(const graph& loss) {
  const graph_as_function once(loss, operands());
  const graph plain = graph_of(once.info);
  list<int> wrt;
  for (int i = 0; i < leaf_count; ++i) wrt.push(i);  // graph_of: leaf i is node i
  const activity a = analyse(plain, plain.outputs, wrt);
  if (!a.active[leaf_count - 1]) wrt.resize(leaf_count - 1);
  list<const function_info*> forwards;
  std::vector<derived_call> derived;
  forwards.resize(count_calls(once.info.words), nullptr);
  for (const call_activity& c : a.calls) {
    derived.push_back(derivative_of(c, plain[c.node].function));
    forwards[c.number] = derived.back().forward;
  }
  graph g = graph_of(once.info, forwards);
  list<const leaf_info*> cotangents;
  cotangents.push(nullptr);
  differentiate(g, list<int>(g.outputs), cotangents, wrt, a.active, a.calls, derived.data());
  if (wrt.size() == leaf_count) {
    static constexpr const function_info* look =
        function_of<looked_at, shape<f64>, shape<f64, struct second>>;
    call_info info;
    info.repeat = true;
    info.operands.push({operand_mode::carry, 0}), info.operands.push({operand_mode::each, 0});
    info.outputs.push(output_mode::carry);
    list<u64> numbers;
    info.encode(numbers);
    const int in[] = {g.constant(0, dtype::f64), g.outputs.back()};
    const leaf_info& stack = leaves[leaf_count - 1];
    g.outputs.back() = g.result(g.put(op::call, in, {stack.type.axes, 1}, numbers, nullptr, look), 0);
  }
  return g;
}

}  // namespace flame::laws
