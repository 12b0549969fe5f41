// The derivative of a function as two functions, made once for each pattern of what needs gradients.
#pragma once
#include <flame/pass/differentiate.hpp>
#include <flame/pass/freeze.hpp>
#include <flame/pass/partition.hpp>
#include <flame/pass/simplify.hpp>
#include <utility>

namespace flame {

struct derivative_request {
  const function_info* function = nullptr;
  mask in, out, carried;
};

template <int N>
struct request_list {
  derivative_request at[static_cast<unsigned>(N) + 1] = {};
};

template <const function_info* F, mask In, mask Out, mask Carried, keep Policy>
struct derive;

// What a graph with calls needs before it can be differentiated. Source: `static constexpr graph from()`,
// `outputs(const graph&)`, `wrt(const graph&)`; and, to spare an evaluation, `call_room`, the number of its calls.
template <class Source, keep Policy>
struct derived_calls {
  static constexpr int find_room() {
    if constexpr (requires { Source::call_room; }) {
      return Source::call_room;
    } else {
      int calls = 0;
      for (const node& o : Source::from().nodes) calls += o.code == op::call;
      return calls;
    }
  }
  static constexpr int room = find_room();
  struct request_list {
    derivative_request at[static_cast<unsigned>(room) + 1] = {};
    int count = 0;
  };
  static constexpr request_list list_requests() {
    request_list r;
    if (room == 0) return r;
    graph g = Source::from();
    const activity a = analyse(g, Source::outputs(g), Source::wrt(g));
    for (const call_activity& c : a.calls) r.at[r.count++] = {g[c.node].function, c.in, c.out, c.carried};
    return r;
  }
  static constexpr request_list requests = list_requests();
  struct table_type {
    derived_call at[static_cast<unsigned>(requests.count) + 1] = {};
  };
  template <int... I>
  static constexpr table_type make(std::integer_sequence<int, I...>) {
    return {{derive<requests.at[I].function, requests.at[I].in, requests.at[I].out, requests.at[I].carried,
                    Policy>::call...,
             derived_call{}}};
  }
  static constexpr table_type table = make(std::make_integer_sequence<int, requests.count>{});
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

template <int N>
struct leaf_list {
  leaf_info at[static_cast<unsigned>(N) + 1] = {};
};

template <const function_info* F, mask In, mask Out, mask Carried, keep Policy>
struct derive {
  static constexpr text name = F->name;

  // The cotangent of each output, whether it has one or not.
  static constexpr leaf_list<F->output_count> make_cotangents() {
    leaf_list<F->output_count> l;
    for (int i = 0; i < F->output_count; ++i)
      l.at[i] = {mix(mix(0xC07A4E47, F->id), static_cast<u64>(i)), leaf_kind::argument, F->outputs[i], "cotangent"};
    return l;
  }
  static constexpr leaf_list<F->output_count> cotangents = make_cotangents();

  static constexpr int call_room = F->function_count == 0 ? 0 : count_calls(F->words);
  static constexpr graph from() { return graph_of(*F); }
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

  // Forward and backward in one: the outputs, the gradients, what the forward keeps for the backward.
  struct joint_maker {
    static constexpr text name = derive::name;
    static constexpr draft make() {
      const graph g = from();
      const list<int> of = outputs(g), leaves = wrt(g);
      draft d;
      d.operands.append({F->leaves, F->leaf_count});
      list<const leaf_info*> with;
      for (int i = 0; i < F->output_count; ++i)
        if (Out.has(i)) with.push(&cotangents.at[i]);
      d.operands.append(with);
      differentiated j = differentiate(g, of, with, leaves, derived_calls<derive, Policy>::table.at);
      d.g = static_cast<graph&&>(j.g);
      d.g.outputs = j.values;
      for (int i = 0; i < leaves.size(); ++i) {
        int n = j.gradients[i];
        d.g.outputs.push(n >= 0 ? n : zeros(d.g, g.type(leaves[i])));
      }
      list<u8> held;
      held.resize(d.g.size(), 0);
      for (int i = 0; i < F->leaf_count; ++i) held[i] = !Carried.has(i);
      d.g.outputs.append(partition(d.g, F->output_count, held, Policy));
      return d;
    }
  };
  using joint = recorded<joint_maker, room_for_functions>;
  static constexpr int gradient_count = In.count();
  static constexpr int kept_count = joint::value.output_count - F->output_count - gradient_count;
  static constexpr word_view joint_words() {
    return {joint::value.words, joint::value.axes, joint::value.leaves, joint::value.functions};
  }

  static constexpr leaf_list<kept_count> make_residual() {
    leaf_list<kept_count> l;
    for (int i = 0; i < kept_count; ++i)
      l.at[i] = {mix(mix(0x4E51D0A1, F->id), static_cast<u64>(i)), leaf_kind::argument,
                 joint::value.output(F->output_count + gradient_count + i), "residual"};
    return l;
  }
  static constexpr leaf_list<kept_count> residual = make_residual();

  struct forward_maker {
    static constexpr text name = derive::name;
    static constexpr draft make() {
      draft d;
      list<int> all = decode(d.g, joint_words());
      d.g.outputs.append({all.items, F->output_count});
      d.g.outputs.append({all.items + F->output_count + gradient_count, kept_count});
      d.operands.append({F->leaves, F->leaf_count});
      d.states.append({F->states, F->state_count});
      d.first_state = F->first_state;
      return d;
    }
  };
  // The joint graph with leaves in place of what is kept.
  struct backward_maker {
    static constexpr text name = derive::name;
    static constexpr draft make() {
      draft d;
      for (int i = 0; i < F->output_count; ++i)
        if (Out.has(i)) d.operands.push(&cotangents.at[i]);
      for (int i = 0; i < F->leaf_count; ++i)
        if (!Carried.has(i)) d.operands.push(F->leaves[i]);
      for (int i = 0; i < kept_count; ++i) d.operands.push(&residual.at[i]);
      const list<int> places = output_places(joint::value.words, joint::value.word_count);
      list<int> instead;
      instead.resize(node_count(joint::value.words), -1);
      for (int i = 0; i < kept_count; ++i)
        instead[places[F->output_count + gradient_count + i]] = d.g.leaf(&residual.at[i]);
      list<int> all = decode(d.g, joint_words(), {}, instead);
      d.g.outputs.append({all.items + F->output_count, gradient_count});
      return d;
    }
  };

  // With nothing kept the forward is the function itself.
  static constexpr const function_info* forward() {
    if constexpr (kept_count == 0)
      return F;
    else
      return &frozen<forward_maker>::info;
  }
  static constexpr int source_count = Out.count() + F->leaf_count - Carried.count() + kept_count;
  struct source_list {
    operand_source at[static_cast<unsigned>(source_count) + 1] = {};
  };
  static constexpr source_list make_sources() {
    source_list s;
    int n = 0;
    for (int i = 0; i < F->output_count; ++i)
      if (Out.has(i)) s.at[n++] = {operand_source::cotangent, i};
    for (int i = 0; i < F->leaf_count; ++i)
      if (!Carried.has(i)) s.at[n++] = {operand_source::operand, i};
    for (int i = 0; i < kept_count; ++i) s.at[n++] = {operand_source::residual, F->output_count + i};
    return s;
  }
  static constexpr source_list sources = make_sources();
  static constexpr derived_call call{forward(), &frozen<backward_maker>::info, sources.at, source_count, In, Out};
};

// A function whose derivative the user gave: it takes the operands, then the cotangents of all outputs.
template <const function_info* F, mask In, mask Out, mask Carried, keep Policy>
  requires(F->derivative != nullptr)
struct derive<F, In, Out, Carried, Policy> {
  static constexpr int source_count = F->leaf_count + F->output_count;
  struct source_list {
    operand_source at[static_cast<unsigned>(source_count)] = {};
  };
  static constexpr source_list make_sources() {
    source_list s;
    for (int i = 0; i < F->leaf_count; ++i) s.at[i] = {operand_source::operand, i};
    for (int i = 0; i < F->output_count; ++i) s.at[F->leaf_count + i] = {operand_source::cotangent, i};
    return s;
  }
  static constexpr source_list sources = make_sources();
  static constexpr mask find_floating() {
    mask m;
    for (int i = 0; i < F->leaf_count; ++i)
      if (is_floating(F->leaves[i]->type.element)) m.add(i);
    return m;
  }
  static constexpr mask floating = find_floating();
  static constexpr derived_call call{F, F->derivative, sources.at, source_count, floating, Out};
};

}  // namespace flame
