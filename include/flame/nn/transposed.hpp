// Transposed convolution as a layer.
#pragma once
#include <flame/expr/transposed.hpp>
#include <flame/nn/layers.hpp>

namespace flame {

// conv_transpose2d(x, weight) + bias on [..., height, width, In]; weight [In, row, column, Out / groups]. A
// checkpoint holds it as PyTorch does, [In, Out / groups, row, column]. Groups must divide In and Out.
template <class Place, const auto& In, const auto& Out, int Kernel,
          conv_transpose_options Options = conv_transpose_options{}, bool Bias = true>
struct transposed_convolution_layer {
  static constexpr bool grouped = Options.groups != 1;
  using in_axis = detail::weight_axis<tag_of<In>, tag_of<Out>>;
  using part = typename std::conditional_t<grouped, std::type_identity<group_of<tag_of<Out>, Options.groups>>,
                                           std::type_identity<tag_of<Out>>>::type;
  using rows = tap_row<Kernel>;
  using columns = tap_column<Kernel>;
  using fan = initial::fan_in<rows, columns, part>;
  template <bool Present, fixed_string Name, class Init, const auto&... Axes>
  using optional = std::conditional_t<Present, param<Place, Name, Init, Axes...>, absent>;
  static_assert(tag_of<In>::extent == dynamic || Options.groups < 1 ||
                    tag_of<In>::extent % Options.groups == 0,
                "flame::transposed_convolution_layer: groups must divide the channels");

  BOOST_HANA_DEFINE_STRUCT(
      transposed_convolution_layer,
      (param<Place, "weight", fan, detail::axis_object<in_axis>, detail::axis_object<rows>,
             detail::axis_object<columns>, detail::axis_object<part>>,
       weight),
      (optional<Bias, "bias", fan, Out>, bias));

  constexpr auto operator()(const auto& x) const {
    auto y = [&] {
      if constexpr (std::is_same_v<in_axis, tag_of<In>>)
        return conv_transpose2d<Options>(x, weight);
      else
        return conv_transpose2d<Options>(rename(x, tag_of<In>{}, in_axis{}), weight);
    }();
    if constexpr (grouped && Bias)
      return rename(y, multiple_of<part, Options.groups>{}, tag_of<Out>{}) + bias;
    else if constexpr (grouped)
      return rename(y, multiple_of<part, Options.groups>{}, tag_of<Out>{});
    else if constexpr (Bias)
      return y + bias;
    else
      return y;
  }
};

}  // namespace flame
