// Half and twice the height and width, as Stable Diffusion's UNets do it.
#pragma once
#include <flame/expr/resize.hpp>
#include <flame/nn/layers.hpp>

namespace flame::stable_diffusion {

// [..., height, width, Channel] -> half of both, rounded up: a 3 x 3 convolution with stride 2.
template <class Place, const auto& Channel> struct downsample {
  static constexpr conv_options halved{.stride = 2, .padding = 1};
  BOOST_HANA_DEFINE_STRUCT(downsample,
                           (convolution_layer<in<Place, "conv">, Channel, Channel, 3, halved>, conv));
  constexpr auto operator()(const auto& x) const { return conv(x); }
};

// [..., h, w, Channel] -> [..., height, width, Channel], twice as high and wide: every pixel four times, then
// a 3 x 3 convolution. What it meets on those axes must be as long.
template <class Place, const auto& Channel> struct upsample {
  static constexpr conv_options same{.padding = 1};
  BOOST_HANA_DEFINE_STRUCT(upsample, (convolution_layer<in<Place, "conv">, Channel, Channel, 3, same>, conv));
  template <axis Height, axis Width>
  constexpr auto operator()(const auto& x, const Height& height, const Width& width) const {
    return conv(upsample_nearest<2>(x, height, width));
  }
};

}  // namespace flame::stable_diffusion
