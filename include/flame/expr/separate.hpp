// Functions compiled in another file: declared with their signature where they are called, traced where they
// are defined, linked by name.
#pragma once
#include <flame/expr/function.hpp>

namespace flame {

namespace detail {

// What only the defining file knows of a function: the address of each part is a constant wherever it is
// declared, what it holds is read when a program is planned.
struct separate_body {
  static constexpr int words_room = 4096, axes_room = 255, functions_room = 64;
  u64 words[words_room] = {};
  const axis_info* axes[axes_room] = {};
  const function_info* functions[functions_room] = {};
};

struct separate_bodies {
  separate_body forward, backward;
};
// Defined by FLAME_DEFINE in one file; a program that lacks it does not link.
template <class Name> struct defined_elsewhere { static const separate_bodies bodies; };

template <class T> struct signature_shape { using type = typename T::held_shape; };
template <class E, class... Axes> struct signature_shape<shape<E, Axes...>> {
  using type = shape<E, Axes...>;
};
template <class T> struct signature_results { using type = types<typename signature_shape<T>::type>; };
template <class... T> struct signature_results<std::tuple<T...>> {
  using type = types<typename signature_shape<T>::type...>;
};

template <class Shapes> struct argument_leaves;
template <class... Shapes> struct argument_leaves<types<Shapes...>> {
  static constexpr int count = sizeof...(Shapes);
  struct list {
    const leaf_info* at[sizeof...(Shapes) + 1] = {};
  };
  template <int... I> static constexpr list make(std::integer_sequence<int, I...>) {
    return {{&argument<I, Shapes>::info...}};
  }
  static constexpr list value = make(std::make_integer_sequence<int, count>{});
};

template <class Shapes> struct result_types;
template <class... Shapes> struct result_types<types<Shapes...>> {
  static constexpr tensor_type at[] = {Shapes::value()...};
};

template <class Shapes> struct floating_of;
template <class... Shapes>
struct floating_of<types<Shapes...>>
    : concat<std::conditional_t<is_floating(dtype_of<element_of<Shapes>>), types<Shapes>, types<>>...> {};

// A function as its callers know it: everything but its body.
template <class Name, class Operands, class Results>
constexpr function_info declared_function(const separate_body& body, u64 salt,
                                          const function_info* derivative) {
  using leaves = argument_leaves<Operands>;
  function_info f;
  f.name = type_name<Name>();
  f.id = hash_of(f.name, salt);
  for (int i = 0; i < leaves::count; ++i) f.id = mix(f.id, leaves::value.at[i]->id);
  f.words = body.words, f.axes = body.axes, f.functions = body.functions;
  f.leaves = leaves::value.at, f.leaf_count = leaves::count;
  f.outputs = result_types<Results>::at, f.output_count = Results::size;
  f.derivative = derivative;
  return f;
}
// clang asks where the bodies are defined: in the file that has FLAME_DEFINE.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#endif
template <class Name, class Arguments, class Results> struct declared {
  using with_cotangents = typename concat<Arguments, Results>::type;
  static constexpr function_info backward =
      declared_function<Name, with_cotangents, typename floating_of<Arguments>::type>(
          defined_elsewhere<Name>::bodies.backward, 0xBAC4, nullptr);
  static constexpr function_info info =
      declared_function<Name, Arguments, Results>(defined_elsewhere<Name>::bodies.forward, 0xF04, &backward);
};
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

// The gradients of a function with respect to its floating operands, from operands and cotangents.
template <class Forward, class Arguments, class Results> struct separate_backward {
  using all_operands = argument_leaves<typename concat<Arguments, Results>::type>;
  static constexpr int argument_count = Arguments::size;
  static constexpr const function_info* function = &frozen<Forward>::info;
  static constexpr text name = Forward::name;
  struct source : function_source<function> {
    static constexpr list<int> outputs(const graph& g) { return g.outputs; }
    static constexpr list<int> wrt(const graph&) {
      list<int> w;
      for (int i = 0; i < argument_count; ++i)
        if (is_floating(all_operands::value.at[i]->type.element)) w.push(i);
      return w;
    }
    static constexpr list<const leaf_info*> cotangents() {
      return list<const leaf_info*>(all_operands::value.at + argument_count, Results::size);
    }
  };
  template <class... W> static constexpr void complete(graph& g, types<W...>) {
    int i = 0;
    ((g.outputs[i] = g.as_type(g.outputs[i], W::value()), ++i), ...);
  }
  static constexpr draft make() {
    draft d;
    d.g = derived_calls<source, keep::cut>::differentiated();
    const list<int> all = d.g.outputs;
    d.g.outputs = list<int>(all.items + Results::size, all.count - Results::size);
    complete(d.g, typename floating_of<Arguments>::type{});
    d.operands = list<const leaf_info*>(all_operands::value.at, all_operands::count);
    return d;
  }
};

// The body of a function that is known here.
template <class Maker> constexpr separate_body body_of() {
  using made = stored<recorded_function<Maker>>;
  constexpr const function_info& f = made::info;
  static_assert(f.word_count <= separate_body::words_room && f.axis_count <= separate_body::axes_room &&
                    f.function_count <= separate_body::functions_room,
                "FLAME_DEFINE(name, f): f is too large; call parts of it");
  separate_body b;
  for (int i = 0; i < f.word_count; ++i) b.words[i] = f.words[i];
  for (int i = 0; i < f.axis_count; ++i) b.axes[i] = f.axes[i];
  for (int i = 0; i < f.function_count; ++i) b.functions[i] = f.functions[i];
  return b;
}

}  // namespace detail

// A function that is declared here and traced in another file, so that the blocks of a large model are
// compiled in parallel, each once, and not again when the model around them changes:
//
//   // mixer.hpp: the tensors that it gives and takes
//   inline constexpr struct mixer : separate<mixer, tensor<f32, batch, channel>(tensor<f32, batch, channel>,
//                                            tensor<f32, feature, channel>)> {} mixer;
//   // mixer.cpp, outside of any namespace
//   FLAME_DEFINE(mixer, [](auto h, auto w) { return h + tanh(matmul(h, w, channel)); })
//
// Inside a traced function, anywhere: mixer(h, weight). Several results are a std::tuple in the signature and
// outputs(...) in the definition. It works on its arguments alone: parameters are handed to it. Its
// gradients, with respect to all floating arguments, are compiled with it; they compute it anew from its
// arguments, and to differentiate them again is refused.
template <class Name, class Signature> struct separate;
template <class Name, class Result, class... Given> struct separate<Name, Result(Given...)> {
  using arguments = types<typename detail::signature_shape<Given>::type...>;
  using results = typename detail::signature_results<Result>::type;

  template <operand_type... A> constexpr auto operator()(const A&... a) const {
    static_assert((is_sym<A> || ...),
                  "flame::separate(a...): a call belongs inside a function that is traced");
    static_assert(std::is_same_v<types<shape_of<A>...>, arguments>,
                  "flame::separate(a...): the arguments must have the element types and axes of the "
                  "signature, in order");
    graph* g = nullptr;
    ((g = g ? g : detail::graph_in(a)), ...);
    list<int> in;
    (in.push(detail::import_into(*g, a)), ...);
    call_info info;
    info.operands.resize(sizeof...(A));
    info.outputs.resize(results::size, output_mode::carry);
    list<u64> numbers;
    info.encode(numbers);
    const int node =
        g->put(op::call, in, {}, numbers, nullptr, &detail::declared<Name, arguments, results>::info);
    return detail::call_results<results, void, results::size>(
        g, node, std::make_integer_sequence<int, results::size>{});
  }

  // For FLAME_DEFINE.
  template <class Fn> static constexpr detail::separate_bodies define() { return define<Fn>(arguments{}); }

 private:
  template <class Fn, class... Shapes> static constexpr detail::separate_bodies define(types<Shapes...>) {
    using forward = detail::trace<Fn, Shapes...>;
    static_assert(std::is_same_v<typename forward::results, results>,
                  "FLAME_DEFINE(name, f): f must give the element types and axes of the signature, in order");
    static_assert(frozen<forward>::info.leaf_count == sizeof...(Shapes),
                  "FLAME_DEFINE(name, f): f works on its arguments alone; hand it parameters as arguments");
    return {detail::body_of<forward>(),
            detail::body_of<detail::separate_backward<forward, arguments, results>>()};
  }
};

}  // namespace flame

// Defines a function that was declared as separate<name, ...>: once in a program, outside of any namespace.
#define FLAME_DEFINE(name, ...)                                                       \
  template <>                                                                         \
  constinit const flame::detail::separate_bodies                                      \
      flame::detail::defined_elsewhere<std::remove_cvref_t<decltype(name)>>::bodies = \
          std::remove_cvref_t<decltype(name)>::define<decltype(__VA_ARGS__)>();
