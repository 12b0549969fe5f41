// Layers with parameters: embedding, conv2d, layer norm, batch norm.
#pragma once
#include <flame/expr/derived_axis.hpp>
#include <flame/expr/image.hpp>
#include <flame/expr/random.hpp>
#include <flame/nn/linear.hpp>

namespace flame {

namespace detail {

// Every axis of a shape but one.
template <class Shape, class Axis> struct other_axes;
template <class E, class... X, class Axis> struct other_axes<shape<E, X...>, Axis> {
  template <class... C> static auto value(types<C...>) -> on_axes<C...>;
  using type = decltype(value(
      typename concat<std::conditional_t<std::is_same_v<X, Axis>, types<>, types<X>>...>::type{}));
};
template <class Axes> struct mean_of;
template <class... Axes> struct mean_of<on_axes<Axes...>> {
  static constexpr auto value(const auto& x) { return mean(x, Axes{}...); }
};
template <class Others> constexpr auto mean_over(const auto& x, Others) {
  return mean_of<typename Others::type>::value(x);
}

// A leaf as a symbol of the graph that another operand is traced in: what is made of it and numbers stays in
// the graph.
template <leaf_type Leaf, operand_type Other> constexpr auto beside(const Leaf& leaf, const Other& other) {
  return typename sym_for<shape_of<Leaf>>::type{{}, other.g, import_into(*other.g, leaf)};
}

}  // namespace detail

// embedding_table(index) = weight[index], weight [entry, feature], normal with deviation 1 as in PyTorch.
template <class Place, const auto& Entry, const auto& Feature, class Init = initial::normal<1000>>
struct embedding_table {
  BOOST_HANA_DEFINE_STRUCT(embedding_table, (param<Place, "weight", Init, Entry, Feature>, weight));
  constexpr auto operator()(const auto& index) const { return gather(weight, index, tag_of<Entry>{}); }
};

// The axes of a kernel of Size x Size taps.
template <int Size> struct tap_row : dim<Size> { static constexpr u64 id = mix(0x7A90, Size); };
template <int Size> struct tap_column : dim<Size> { static constexpr u64 id = mix(0x7A91, Size); };

// The channels that one of Parts groups reads.
template <class Axis, int Parts>
struct group_of : dim<Axis::extent == dynamic ? dynamic : Axis::extent / (Parts < 1 ? 1 : Parts)> {
  static_assert(Parts >= 1 && (Axis::extent == dynamic || Axis::extent % Parts == 0),
                "flame::convolution_layer: groups must divide the channels");
  static constexpr u64 id = mix(mix(0x7A92, axis_of<Axis>::id()), static_cast<u64>(Parts));
  static constexpr i64 derived(const auto& of) { return part_of<Axis, Parts>::derived(of); }
};

// conv(x) = conv2d(x, weight) + bias on [..., height, width, in]; weight [out, row, column, in / groups]. A
// checkpoint holds it as PyTorch does, [out, in / groups, row, column]: see io/checkpoint.hpp. With as many
// groups as channels each channel has weights of its own. Groups must divide In and Out. Where the model's
// mode adapts this member, + scale conv2d(conv2d(x, A), B) with A [rank, row, column, in] and B [out, 1, 1,
// rank] (LoRA of convolutions, as kohya's LoCon and peft have it); grouped ones cannot be adapted.
template <class Place, const auto& In, const auto& Out, int Kernel, conv_options Options = conv_options{},
          bool Bias = true>
struct convolution_layer {
  static constexpr bool grouped = Options.groups != 1;
  using in_axis =
      typename std::conditional_t<grouped, std::type_identity<group_of<tag_of<In>, Options.groups>>,
                                  std::type_identity<detail::weight_axis<tag_of<In>, tag_of<Out>>>>::type;
  using rows = tap_row<Kernel>;
  using columns = tap_column<Kernel>;
  using fan = initial::fan_in<rows, columns, in_axis>;
  using rank = lora_rank<typename Place::path_type>;
  static constexpr bool adapted = detail::adapts<Place>;
  template <bool Present, fixed_string Name, class Init, const auto&... Axes>
  using optional = std::conditional_t<Present, param<Place, Name, Init, Axes...>, absent>;
  static_assert(tag_of<Out>::extent == dynamic || Options.groups < 1 ||
                    tag_of<Out>::extent % Options.groups == 0,
                "flame::convolution_layer: groups must divide the channels");
  static_assert(!adapted || !grouped,
                "flame::convolution_layer: a grouped convolution cannot have a low-rank adapter; choose "
                "adapters<...> that leave it out");

  BOOST_HANA_DEFINE_STRUCT(
      convolution_layer,
      (param<Place, "weight", fan, Out, detail::axis_object<rows>, detail::axis_object<columns>,
             detail::axis_object<in_axis>>,
       weight),
      (optional<Bias, "bias", fan, Out>, bias),
      (optional<adapted, "lora_A", fan, detail::axis_object<rank>, detail::axis_object<rows>,
                detail::axis_object<columns>, detail::axis_object<in_axis>>,
       lora_A),
      (optional<adapted, "lora_B", initial::zeros, Out, detail::axis_object<tap_row<1>>,
                detail::axis_object<tap_column<1>>, detail::axis_object<rank>>,
       lora_B),
      (std::conditional_t<adapted, state<Place, "lora_scale", initial::ones>, absent>, lora_scale));

  constexpr auto operator()(const auto& x) const {
    auto y = add_bias(conv2d<Options>(renamed(x), weight));
    if constexpr (adapted)
      return y + conv2d(conv2d<Options>(renamed(x), lora_A * lora_scale), lora_B);
    else
      return y;
  }

 private:
  static constexpr auto renamed(const auto& x) {
    if constexpr (grouped || std::is_same_v<in_axis, tag_of<In>>)
      return x;
    else
      return rename(x, tag_of<In>{}, in_axis{});
  }
  constexpr auto add_bias(const auto& y) const {
    if constexpr (Bias)
      return y + bias;
    else
      return y;
  }
};

namespace detail {
template <int N, class Shape> struct flattened;
template <int N, class E, class... X> struct flattened<N, shape<E, X...>> {
  using all = candidates<X...>;
  template <int... I, class To>
  static constexpr auto value(const auto& x, std::integer_sequence<int, I...>, const To& to) {
    return merge(x, typename all::template tag<static_cast<int>(sizeof...(X)) - N + I>{}..., to);
  }
};
}  // namespace detail

// The last N axes as one.
template <int N, operand_type A, axis To> constexpr auto flatten(const A& x, const To& to) {
  static_assert(N >= 1 && N <= shape_of<A>::rank, "flame::flatten<n>(x, to): x has fewer than n axes");
  return detail::flattened<N, shape_of<A>>::value(x, std::make_integer_sequence<int, N>{}, to);
}

// layer_norm over one axis, times weight plus bias.
template <class Place, const auto& Feature, bool Affine = true> struct layer_norm_layer {
  template <bool Present, fixed_string Name, class Init, const auto&... Axes>
  using optional = std::conditional_t<Present, param<Place, Name, Init, Axes...>, absent>;
  BOOST_HANA_DEFINE_STRUCT(layer_norm_layer, (optional<Affine, "weight", initial::ones, Feature>, weight),
                           (optional<Affine, "bias", initial::zeros, Feature>, bias));
  constexpr auto operator()(const auto& x, double eps = 1e-5) const {
    auto y = layer_norm(x, eps, tag_of<Feature>{});
    if constexpr (Affine)
      return y * weight + bias;
    else
      return y;
  }
};

// dropout(x, p, key) while the model is trained, else x, and then no key is needed: drop(x, 0.1, key...).
// Each member has draws of its own.
template <class Place> struct dropout_layer {
  constexpr auto operator()(const auto& x, [[maybe_unused]] double p, const auto&... key) const {
    if constexpr (Place::mode::training) {
      static_assert(sizeof...(key) == 1, "flame::dropout_layer(x, p, key): training needs a random key");
      return dropout<hash_of(Place::path_type::name)>(x, p, key...);
    } else {
      return x;
    }
  }
};

// Batch norm over every axis but Feature (Ioffe and Szegedy 2015). Training uses the batch's statistics and
// renews the running ones: running = (1 - momentum) running + momentum batch, the variance unbiased there, as
// in PyTorch. No values have no statistics, and one has no unbiased variance: what runs stays then as it is.
template <class Place, const auto& Feature> struct batch_norm {
  BOOST_HANA_DEFINE_STRUCT(batch_norm, (param<Place, "weight", initial::ones, Feature>, weight),
                           (param<Place, "bias", initial::zeros, Feature>, bias),
                           (state<Place, "running_mean", initial::zeros, Feature>, running_mean),
                           (state<Place, "running_var", initial::ones, Feature>, running_var));

  constexpr auto operator()(const auto& x, double momentum = 0.1, double eps = 1e-5) const {
    if constexpr (Place::mode::training) {
      auto others = detail::other_axes<shape_of<decltype(x)>, tag_of<Feature>>{};
      auto m = detail::mean_over(x, others);
      auto centred = x - m;
      auto v = detail::mean_over(centred * centred, others);
      using E = element_of<shape_of<decltype(x)>>;
      auto n = detail::count<E>(x, typename decltype(others)::type{});
      auto old_mean = detail::beside(running_mean, x), old_var = detail::beside(running_var, x);
      auto new_mean = old_mean * (1 - momentum) + m * momentum;
      auto new_var = old_var * (1 - momentum) + v * (n / (n - 1.0)) * momentum;
      assign(running_mean, stop_gradient(where(n >= 1.0, new_mean, old_mean)));
      assign(running_var, stop_gradient(where(n >= 2.0, new_var, old_var)));
      return centred * rsqrt(v + eps) * weight + bias;
    } else {
      auto v = detail::beside(running_var, x);
      return (x - running_mean) * rsqrt(v + eps) * weight + bias;
    }
  }
};

}  // namespace flame
