// The derivative of a function as two functions, made once for each pattern of what needs gradients.
#pragma once
#include <flame/pass/differentiate.hpp>
#include <flame/pass/freeze.hpp>
#include <flame/pass/partition.hpp>
#include <utility>

namespace flame {

template <const function_info* F, mask In, mask Out, mask Carried, keep Policy>
struct derive;

// The derivatives of the calls in what is differentiated, and its gradients. Source: `static constexpr graph from(forwards
// = {})`, in which call number i is of forwards[i] (graph/words.hpp); `outputs(const graph&)`, `wrt(const graph&)` and
// `cotangents()` as for differentiate; `node_room`, at least the number of its nodes; `call_room`, that of its calls.
//
// A graph with calls is analysed in an evaluation of its own, since the calls' derivatives are types.
template <class Source, keep Policy>
struct derived_calls {
  struct analysis {
    u8 active[static_cast<unsigned>(Source::node_room) + 1] = {};
    int node_count = 0;
    call_activity calls[static_cast<unsigned>(Source::call_room) + 1] = {};
    const function_info* functions[static_cast<unsigned>(Source::call_room) + 1] = {};
    int call_count = 0;
  };
  static constexpr analysis find() {
    analysis r;
    if (Source::call_room > 0) {
      const graph g = Source::from();
      const activity a = analyse(g, Source::outputs(g), Source::wrt(g));
      for (u8 active : a.active) r.active[r.node_count++] = active;
      for (const call_activity& c : a.calls) {
        r.functions[r.call_count] = g[c.node].function;
        r.calls[r.call_count++] = c;
      }
    }
    return r;
  }
  static constexpr analysis found = find();
  struct table_type {
    derived_call at[static_cast<unsigned>(found.call_count) + 1] = {};
  };
  template <int... I>
  static constexpr table_type make(std::integer_sequence<int, I...>) {
    return {{derive<found.functions[I], found.calls[I].in, found.calls[I].out, found.calls[I].carried, Policy>::call...,
             derived_call{}}};
  }
  static constexpr table_type table = make(std::make_integer_sequence<int, found.call_count>{});

  // Source's graph with its gradients behind its outputs.
  static constexpr graph differentiated() {
    list<const function_info*> forwards;
    forwards.resize(Source::call_room, nullptr);
    for (int i = 0; i < found.call_count; ++i) forwards[found.calls[i].number] = table.at[i].forward;
    graph g = Source::from(forwards);
    const list<int> outputs = Source::outputs(g), wrt = Source::wrt(g);
    if (Source::call_room > 0) {
      differentiate(g, outputs, Source::cotangents(), wrt, {found.active, found.node_count},
                    {found.calls, found.call_count}, table.at);
    } else {
      const activity a = analyse(g, outputs, wrt);
      differentiate(g, outputs, Source::cotangents(), wrt, a.active, a.calls, table.at);
    }
    return g;
  }
};

// How many nodes of some words are calls.
[[nodiscard]] constexpr int count_calls(const u64* words) {
  int calls = 0;
  word_reader r(words);
  for (int n = 0; n < r.count; ++n) {
    r.read();
    if (r.code == op::call) ++calls;
  }
  return calls;
}

// A function as a source of derivatives.
template <const function_info* F>
struct function_source {
  static constexpr int node_room = node_count(F->words) + F->leaf_count;
  static constexpr int call_room = F->function_count == 0 ? 0 : count_calls(F->words);
  static constexpr graph from(array_view<const function_info*> forwards = {}) { return graph_of(*F, forwards); }
};

template <int N>
struct leaf_list {
  leaf_info at[static_cast<unsigned>(N) + 1] = {};
};

template <const function_info* F, mask In, mask Out, mask Carried, keep Policy>
struct derive {
  static_assert(F->word_count > 0,
                "flame::separate: its gradient is compiled with it, in another file, and is not differentiated again");
  static constexpr text name = F->name;
  static constexpr keep policy = F->kept == keep::caller ? Policy : F->kept;

  // The cotangent of each output, whether it has one or not.
  static constexpr leaf_list<F->output_count> make_cotangents() {
    leaf_list<F->output_count> l;
    for (int i = 0; i < F->output_count; ++i)
      l.at[i] = {mix(mix(0xC07A4E47, F->id), static_cast<u64>(i)), leaf_kind::argument, F->outputs[i], "cotangent"};
    return l;
  }
  static constexpr leaf_list<F->output_count> cotangents = make_cotangents();

  struct source : function_source<F> {
    static constexpr list<int> outputs(const graph& g) {
      list<int> o;
      for (int i = 0; i < F->output_count; ++i)
        if (Out.has(i)) o.push(g.outputs[i]);
      return o;
    }
    static constexpr list<int> wrt(const graph&) {
      list<int> w;
      for (int i = 0; i < F->leaf_count; ++i)
        if (In.has(i)) w.push(i);  // graph_of: leaf i is node i
      return w;
    }
    static constexpr list<const leaf_info*> cotangents() {
      list<const leaf_info*> l;
      for (int i = 0; i < F->output_count; ++i)
        if (Out.has(i)) l.push(&derive::cotangents.at[i]);
      return l;
    }
  };

  // Both functions, from one graph: the forward gives the function's outputs and what is kept of its nodes, the residual;
  // the backward gives the gradients, with leaves in place of the residual.
  template <class Forward, class Backward, int Kept>
  struct split_record {
    record<Forward> forward;
    record<Backward> backward;
    type_record<Kept> residual;
    int kept_count = 0;
    [[nodiscard]] constexpr bool complete() const {
      return forward.complete() && backward.complete() && kept_count <= Kept;
    }
  };
  static constexpr leaf_info residual_leaf(int i, const tensor_type& type) {
    return {mix(mix(0x4E51D0A1, F->id), static_cast<u64>(i)), leaf_kind::argument, type, "residual"};
  }
  template <class Forward, class Backward, int Kept>
  static constexpr split_record<Forward, Backward, Kept> split() {
    const graph g = derived_calls<source, policy>::differentiated();
    list<u8> held;
    held.resize(g.size(), 0);
    for (int i = 0; i < F->leaf_count; ++i) held[i] = !Carried.has(i);
    const list<int> kept = partition(g, F->output_count, held, policy);
    split_record<Forward, Backward, Kept> r;
    r.kept_count = kept.size();
    for (int i = 0; i < kept.size() && i < Kept; ++i) r.residual.set(i, g.type(kept[i]));

    list<int> values(g.outputs.items, F->output_count);
    values.append(kept);
    r.forward.set(encode(g, values, {F->leaves, F->leaf_count}));
    r.forward.state_count = F->state_count, r.forward.first_state = F->first_state;
    for (int i = 0; i < F->state_count; ++i) r.forward.states[i] = F->states[i];

    list<const leaf_info*> taken = source::cotangents(), as_leaf;
    for (int i = 0; i < F->leaf_count; ++i)
      if (!Carried.has(i)) taken.push(F->leaves[i]);
    list<leaf_info> leaves;  // in place of those of `residual`, whose types come from this evaluation
    leaves.resize(kept.size());
    as_leaf.resize(g.size(), nullptr);
    for (int i = 0; i < kept.size(); ++i) {
      leaves[i] = residual_leaf(i, g.type(kept[i]));
      taken.push(&leaves[i]);
      as_leaf[kept[i]] = &leaves[i];
    }
    r.backward.set(encode(g, {g.outputs.items + F->output_count, In.count()}, taken, as_leaf));
    if (policy == keep::offload) r.backward.kept = keep::backward;  // its operands may wait till then
    return r;
  }
  struct ample_split {
    static constexpr int calls = source::call_room;
    static constexpr auto value =
        split<room<F->word_count + 64 * (calls + 1), F->axis_count + 8, 0, F->function_count + calls,
                   F->output_count + 64, F->state_count>,
              room<3 * F->word_count + 128 * (calls + 1), F->axis_count + 32, 0, F->function_count + 2 * calls,
                   F->leaf_count>,
              64>();
  };
  struct exact_split {
    static constexpr const auto& forward() { return ample_split::value.forward; }
    static constexpr const auto& backward() { return ample_split::value.backward; }
    static constexpr auto value =
        split<room<forward().word_count, forward().axis_count, 0, forward().function_count, forward().output_count,
                   F->state_count>,
              room<backward().word_count, backward().axis_count, 0, backward().function_count, backward().output_count>,
              ample_split::value.kept_count>();
  };
  using made_split = std::conditional_t<ample_split::value.complete(), ample_split, exact_split>;
  static constexpr int kept_count = made_split::value.kept_count;

  static constexpr leaf_list<kept_count> make_residual() {
    leaf_list<kept_count> l;
    for (int i = 0; i < kept_count; ++i) l.at[i] = residual_leaf(i, made_split::value.residual[i]);
    return l;
  }
  static constexpr leaf_list<kept_count> residual = make_residual();

  struct made_forward {
    static constexpr text name = derive::name;
    static constexpr const auto& made() { return made_split::value.forward; }
    static constexpr const leaf_info* const* leaves() { return F->leaves; }
  };
  static constexpr int operand_count = Out.count() + F->leaf_count - Carried.count() + kept_count;
  struct operand_list {
    const leaf_info* leaves[static_cast<unsigned>(operand_count) + 1] = {};
    operand_source sources[static_cast<unsigned>(operand_count) + 1] = {};
  };
  static constexpr operand_list list_operands() {
    operand_list l;
    int n = 0;
    auto add = [&](const leaf_info* of_operand, operand_source its_source) {
      l.leaves[n] = of_operand, l.sources[n++] = its_source;
    };
    for (int i = 0; i < F->output_count; ++i)
      if (Out.has(i)) add(&cotangents.at[i], {operand_source::cotangent, i});
    for (int i = 0; i < F->leaf_count; ++i)
      if (!Carried.has(i)) add(F->leaves[i], {operand_source::operand, i});
    for (int i = 0; i < kept_count; ++i) add(&residual.at[i], {operand_source::residual, F->output_count + i});
    return l;
  }
  static constexpr operand_list operands = list_operands();
  struct made_backward {
    static constexpr text name = derive::name;
    static constexpr const auto& made() { return made_split::value.backward; }
    static constexpr const leaf_info* const* leaves() { return operands.leaves; }
  };

  // With nothing kept the forward is the function itself.
  static constexpr const function_info* forward() {
    if constexpr (kept_count == 0)
      return F;
    else
      return &stored<made_forward>::info;
  }
  static constexpr derived_call call{forward(), &stored<made_backward>::info, operands.sources, operand_count, In, Out};
};

// A function whose derivative the user gave: it takes the operands, then the cotangents of all outputs.
template <const function_info* F, mask In, mask Out, mask Carried, keep Policy>
  requires(F->derivative != nullptr)
struct derive<F, In, Out, Carried, Policy> {
  static_assert(!Carried.any(), "flame::custom(f, df): it cannot itself be the block of a stack; call it in the block");
  static constexpr int operand_count = F->leaf_count + F->output_count;
  struct source_list {
    operand_source at[static_cast<unsigned>(operand_count)] = {};
  };
  static constexpr source_list list_sources() {
    source_list s;
    for (int i = 0; i < F->leaf_count; ++i) s.at[i] = {operand_source::operand, i};
    for (int i = 0; i < F->output_count; ++i) s.at[F->leaf_count + i] = {operand_source::cotangent, i};
    return s;
  }
  static constexpr source_list sources = list_sources();
  static constexpr mask find_floating() {
    mask m;
    for (int i = 0; i < F->leaf_count; ++i)
      if (is_floating(F->leaves[i]->type.element)) m.add(i);
    return m;
  }
  static constexpr mask floating = find_floating();
  static constexpr derived_call call{F, F->derivative, sources.at, operand_count, floating, Out};
};

}  // namespace flame
