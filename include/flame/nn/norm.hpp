// Norms as layers: RMS, group and instance norm; and stochastic depth.
#pragma once
#include <flame/expr/drop.hpp>
#include <flame/expr/norm.hpp>
#include <flame/nn/linear.hpp>

namespace flame {

namespace detail {
template <bool Present, class Place, fixed_string Name, class Init, const auto& Axis>
using optional_member =
    typename std::conditional_t<Present, std::type_identity<param<Place, Name, Init, Axis>>,
                                std::type_identity<absent>>::type;
}  // namespace detail

// rms_norm over one axis, times weight (torch.nn.RMSNorm, T5's layer norm). Over the axis of a head it is the
// norm of queries or keys of SD3.5 and Flux.
template <class Place, const auto& Feature, bool Affine = true> struct rms_norm_layer {
  BOOST_HANA_DEFINE_STRUCT(rms_norm_layer,
                           (detail::optional_member<Affine, Place, "weight", initial::ones, Feature>,
                            weight));
  constexpr auto operator()(const auto& x, double eps = 1e-6) const {
    auto y = rms_norm(x, eps, tag_of<Feature>{});
    if constexpr (Affine)
      return y * weight;
    else
      return y;
  }
};

// group_norm of images [..., height, width, Channel] in Groups groups of channels, times weight plus bias
// (torch.nn.GroupNorm); of other tensors with the axes of a sample named: norm(x, 1e-5, token).
template <class Place, const auto& Channel, int Groups, bool Affine = true> struct group_norm_layer {
  static_assert(detail::grouped_by<tag_of<Channel>, Groups>,
                "flame::group_norm_layer: groups must divide the channels");
  BOOST_HANA_DEFINE_STRUCT(group_norm_layer,
                           (detail::optional_member<Affine, Place, "weight", initial::ones, Channel>, weight),
                           (detail::optional_member<Affine, Place, "bias", initial::zeros, Channel>, bias));
  constexpr auto operator()(const auto& x, double eps = 1e-5) const {
    return affine(group_norm<Groups>(x, eps));
  }
  template <axis... Axes>
  requires(sizeof...(Axes) > 0) constexpr auto operator()(const auto& x, double eps,
                                                          const Axes&... axes) const {
    return affine(group_norm<Groups>(x, eps, tag_of<Channel>{}, axes...));
  }

 private:
  constexpr auto affine(const auto& y) const {
    if constexpr (Affine)
      return y * weight + bias;
    else
      return y;
  }
};

// instance_norm of images [..., height, width, Channel]; without parameters unless they are asked for, as in
// PyTorch (torch.nn.InstanceNorm2d).
template <class Place, const auto& Channel, bool Affine = false> struct instance_norm_layer {
  BOOST_HANA_DEFINE_STRUCT(instance_norm_layer,
                           (detail::optional_member<Affine, Place, "weight", initial::ones, Channel>, weight),
                           (detail::optional_member<Affine, Place, "bias", initial::zeros, Channel>, bias));
  constexpr auto operator()(const auto& x, double eps = 1e-5) const {
    using S = shape_of<decltype(x)>;
    static_assert(S::rank >= 3, "flame::instance_norm_layer: x has the axes [..., height, width, channel]");
    auto y = instance_norm(x, eps, typename detail::axis_from_last<S, 2>::type{},
                           typename detail::axis_from_last<S, 1>::type{});
    if constexpr (Affine)
      return y * weight + bias;
    else
      return y;
  }
};

// drop_path(x, p, key, axis) while the model is trained, else x, and then no key is needed: one draw for each
// place of Axis, the batch's. Each member has draws of its own.
template <class Place, const auto& Axis> struct drop_path_layer {
  constexpr auto operator()(const auto& x, [[maybe_unused]] double p, const auto&... key) const {
    if constexpr (Place::mode::training) {
      static_assert(sizeof...(key) == 1, "flame::drop_path_layer(x, p, key): training needs a random key");
      return drop_path<hash_of(Place::path_type::name)>(x, p, key..., tag_of<Axis>{});
    } else {
      return x;
    }
  }
};

}  // namespace flame
