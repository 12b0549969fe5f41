// The residual block of Stable Diffusion's UNets.
#pragma once
#include <flame/expr/activation.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/norm.hpp>

namespace flame::stable_diffusion {

// block(x, embedding): x [..., height, width, In], embedding [..., Embedding] -> [..., height, width, Out].
//   h = conv1(silu(norm1(x))) + time_emb_proj(silu(embedding))
//   conv_shortcut(x) + conv2(silu(norm2(h))),   without conv_shortcut where In is Out
// Convolutions are 3 x 3, the shortcut 1 x 1; members are named as in diffusers' ResnetBlock2D.
template <class Place, const auto& In, const auto& Out, const auto& Embedding, int Groups = 32>
struct residual_block {
  static constexpr bool widens = !std::is_same_v<tag_of<In>, tag_of<Out>>;
  static constexpr conv_options same{.padding = 1};
  using shortcut = typename std::conditional_t<
      widens, std::type_identity<convolution_layer<in<Place, "conv_shortcut">, In, Out, 1>>,
      std::type_identity<absent>>::type;

  BOOST_HANA_DEFINE_STRUCT(residual_block, (group_norm_layer<in<Place, "norm1">, In, Groups>, norm1),
                           (convolution_layer<in<Place, "conv1">, In, Out, 3, same>, conv1),
                           (linear<in<Place, "time_emb_proj">, Embedding, Out>, time_emb_proj),
                           (group_norm_layer<in<Place, "norm2">, Out, Groups>, norm2),
                           (convolution_layer<in<Place, "conv2">, Out, Out, 3, same>, conv2),
                           (shortcut, conv_shortcut));

  constexpr auto operator()(const auto& x, const auto& embedding) const {
    auto h = conv1(silu(norm1(x))) + time_emb_proj(silu(embedding));
    auto y = conv2(silu(norm2(h)));
    if constexpr (widens)
      return conv_shortcut(x) + y;
    else
      return x + y;
  }
};

}  // namespace flame::stable_diffusion
