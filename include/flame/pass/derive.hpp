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
// `outputs(const graph&)`, `wrt(const graph&)`.
template <class Source, keep Policy>
struct derived_calls {
  static constexpr list<call_activity> active() {
    graph g = Source::from();
    return analyse(g, Source::outputs(g), Source::wrt(g)).calls;
  }
  static constexpr int count = active().size();
  static constexpr request_list<count> list_requests() {
    request_list<count> r;
    graph g = Source::from();
    list<call_activity> calls = analyse(g, Source::outputs(g), Source::wrt(g)).calls;
    for (int i = 0; i < count; ++i) r.at[i] = {g[calls[i].node].function, calls[i].in, calls[i].out, calls[i].carried};
    return r;
  }
  static constexpr request_list<count> requests = list_requests();
  struct table_type {
    derived_call at[static_cast<unsigned>(count) + 1] = {};
  };
  template <int... I>
  static constexpr table_type make(std::integer_sequence<int, I...>) {
    return {{derive<requests.at[I].function, requests.at[I].in, requests.at[I].out, requests.at[I].carried,
                    Policy>::call...,
             derived_call{}}};
  }
  static constexpr table_type table = make(std::make_integer_sequence<int, count>{});
};

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

  // The function's outputs, then the gradients.
  static constexpr graph joint() {
    graph g = from();
    list<const leaf_info*> with;
    for (int i = 0; i < F->output_count; ++i)
      if (Out.has(i)) with.push(&cotangents.at[i]);
    differentiated d = differentiate(g, outputs(g), with, wrt(g), derived_calls<derive, Policy>::table.at);
    d.g.outputs = d.values;
    list<int> leaves = wrt(g);
    for (int i = 0; i < d.gradients.size(); ++i) {
      int n = d.gradients[i];
      if (n < 0) n = d.g.as_type(d.g.constant(0, g.type(leaves[i]).element), g.type(leaves[i]));
      d.g.outputs.push(n);
    }
    return simplify(d.g);
  }
  static constexpr list<int> kept(const graph& g) {
    list<u8> held;
    held.resize(g.size(), 0);
    for (int n = 0; n < g.size(); ++n)
      if (g.is(n, op::leaf))
        for (int i = 0; i < F->leaf_count; ++i)
          if (F->leaves[i] == g[n].leaf && !Carried.has(i)) held[n] = 1;
    return partition(g, F->output_count, held, Policy);
  }

  static constexpr int count_kept() {
    graph g = joint();
    return kept(g).size();
  }
  static constexpr int kept_count = count_kept();
  static constexpr leaf_list<kept_count> make_residual() {
    leaf_list<kept_count> l;
    graph g = joint();
    list<int> k = kept(g);
    for (int i = 0; i < kept_count; ++i)
      l.at[i] = {mix(mix(0x4E51D0A1, F->id), static_cast<u64>(i)), leaf_kind::argument, g.type(k[i]), "residual"};
    return l;
  }
  static constexpr leaf_list<kept_count> residual = make_residual();

  struct forward_maker {
    static constexpr text name = derive::name;
    static constexpr draft make() {
      draft d;
      d.g = joint();
      list<int> k = kept(d.g), outs;
      for (int i = 0; i < F->output_count; ++i) outs.push(d.g.outputs[i]);
      outs.append(k);
      d.g.outputs = outs;
      d.operands = list<const leaf_info*>(F->leaves, F->leaf_count);
      d.states = list<const leaf_info*>(F->states, F->state_count);
      d.first_state = F->first_state;
      return d;
    }
  };
  struct backward_maker {
    static constexpr text name = derive::name;
    static constexpr draft make() {
      graph g = joint();
      list<int> k = kept(g), place, in;
      draft d;
      for (int i = 0; i < F->output_count; ++i)
        if (Out.has(i)) d.operands.push(&cotangents.at[i]);
      for (int i = 0; i < F->leaf_count; ++i)
        if (!Carried.has(i)) d.operands.push(F->leaves[i]);
      for (int i = 0; i < kept_count; ++i) d.operands.push(&residual.at[i]);
      list<u8> needed;
      needed.resize(g.size(), 0);
      place.resize(g.size(), -1);
      for (int i = F->output_count; i < g.outputs.size(); ++i) needed[g.outputs[i]] = 1;
      for (int i = 0; i < k.size(); ++i) place[k[i]] = d.g.leaf(&residual.at[i]);
      for (int n = g.size() - 1; n >= 0; --n)
        if (needed[n] && place[n] < 0)
          for (int i = 0; i < g[n].arg_count; ++i) needed[g.arg(n, i)] = 1;
      for (int n = 0; n < g.size(); ++n) {
        if (!needed[n] || place[n] >= 0) continue;
        in.clear();
        for (int i = 0; i < g[n].arg_count; ++i) in.push(place[g.arg(n, i)]);
        place[n] = d.g.copy(g, n, in);
      }
      for (int i = F->output_count; i < g.outputs.size(); ++i) d.g.outputs.push(place[g.outputs[i]]);
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
