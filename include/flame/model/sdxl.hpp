// SDXL's UNet.
#pragma once
#include <flame/expr/rotary.hpp>
#include <flame/model/resample.hpp>
#include <flame/model/residual_block.hpp>
#include <flame/model/spatial_transformer.hpp>
#include <flame/model/unet_axes.hpp>
#include <flame/nn/weights.hpp>

#include <string>

namespace flame::stable_diffusion {

// Two linear layers with SiLU between them (diffusers' TimestepEmbedding).
template <class Place, const auto& In> struct embedding_layers {
  BOOST_HANA_DEFINE_STRUCT(embedding_layers, (linear<in<Place, "linear_1">, In, condition>, linear_1),
                           (linear<in<Place, "linear_2">, condition, condition>, linear_2));
  constexpr auto operator()(const auto& x) const { return linear_2(silu(linear_1(x))); }
};

// Residual blocks and transformers are functions of their own: those of the same axes are one function.
template <class Place, fixed_string Name, const auto& In, const auto& Out> struct residual_member {
  template <class P> using block = residual_block<P, In, Out, condition>;
  using type = as_function<in<Place, Name>, block>;
};
template <class Place, fixed_string Name, const auto& Channel, keep Kept> struct transformer_member {
  template <class P> using block = spatial_transformer<P, Channel, context, 64, 32, Kept>;
  using type = as_function<in<Place, Name>, block>;
};
// x where a level has no transformer.
template <class Transformer>
constexpr auto attend(const Transformer& transformer, const auto& x, const auto& text) {
  if constexpr (std::is_same_v<Transformer, absent>)
    return x;
  else
    return transformer(x, text);
}
template <bool Present, class Member>
using member_if = typename std::conditional_t<Present, Member, std::type_identity<absent>>::type;

// Two residual blocks, each with a transformer behind it where the level Attends, then half the size but at
// the last level.
template <class Place, const auto& In, const auto& Out, bool Attends, bool Halves, keep Kept>
struct down_block {
  BOOST_HANA_DEFINE_STRUCT(
      down_block, (typename residual_member<Place, "resnets.0", In, Out>::type, resnet_0),
      (member_if<Attends, transformer_member<Place, "attentions.0", Out, Kept>>, attention_0),
      (typename residual_member<Place, "resnets.1", Out, Out>::type, resnet_1),
      (member_if<Attends, transformer_member<Place, "attentions.1", Out, Kept>>, attention_1),
      (member_if<Halves, std::type_identity<downsample<in<Place, "downsamplers.0">, Out>>>, downsampler));

  // What the way up takes: of each residual block, and the halved one where there is one.
  constexpr auto operator()(const auto& x, const auto& emb, const auto& text) const {
    auto a = attend(attention_0, resnet_0(x, emb), text);
    auto b = attend(attention_1, resnet_1(a, emb), text);
    if constexpr (Halves)
      return std::tuple{a, b, downsampler(b)};
    else
      return std::tuple{a, b};
  }
};

template <class Place, const auto& Channel, keep Kept> struct middle_block {
  BOOST_HANA_DEFINE_STRUCT(middle_block,
                           (typename residual_member<Place, "resnets.0", Channel, Channel>::type, resnet_0),
                           (typename transformer_member<Place, "attentions.0", Channel, Kept>::type,
                            attention),
                           (typename residual_member<Place, "resnets.1", Channel, Channel>::type, resnet_1));
  constexpr auto operator()(const auto& x, const auto& emb, const auto& text) const {
    return resnet_1(attention(resnet_0(x, emb), text), emb);
  }
};

// Three residual blocks, each of what came from below and what the way down left, in this order; twice the
// size behind them but at the first level. Below: the channels that come; First, Second, Third: those left.
template <class Place, const auto& Below, const auto& Out, const auto& First, const auto& Second,
          const auto& Third, bool Attends, bool Doubles, keep Kept>
struct up_block {
  template <const auto& A, const auto& B>
  static constexpr const auto& both = flame::detail::axis_object<joined_axis<tag_of<A>, tag_of<B>>>;

  BOOST_HANA_DEFINE_STRUCT(
      up_block, (typename residual_member<Place, "resnets.0", both<Below, First>, Out>::type, resnet_0),
      (member_if<Attends, transformer_member<Place, "attentions.0", Out, Kept>>, attention_0),
      (typename residual_member<Place, "resnets.1", both<Out, Second>, Out>::type, resnet_1),
      (member_if<Attends, transformer_member<Place, "attentions.1", Out, Kept>>, attention_1),
      (typename residual_member<Place, "resnets.2", both<Out, Third>, Out>::type, resnet_2),
      (member_if<Attends, transformer_member<Place, "attentions.2", Out, Kept>>, attention_2),
      (member_if<Doubles, std::type_identity<upsample<in<Place, "upsamplers.0">, Out>>>, upsampler));

  // larger: a tensor whose height and width the doubled result has.
  constexpr auto operator()(const auto& x, const auto& first, const auto& second, const auto& third,
                            const auto& emb, const auto& text, const auto& larger) const {
    auto a =
        attend(attention_0, resnet_0(concatenate(x, Below, first, First, both<Below, First>), emb), text);
    auto b = attend(attention_1, resnet_1(concatenate(a, Out, second, Second, both<Out, Second>), emb), text);
    auto c = attend(attention_2, resnet_2(concatenate(b, Out, third, Third, both<Out, Third>), emb), text);
    if constexpr (Doubles) {
      using image = flame::detail::image_axes<shape_of<decltype(larger)>>;
      return upsampler(c, typename image::height{}, typename image::width{});
    } else {
      return c;
    }
  }
};

// Stable Diffusion XL's UNet (Podell et al. 2023), 2,567,463,684 parameters at its own widths (sdxl_extents).
//   net(x, t, text, pooled_text, sizes) -> as x: the noise that the model sees in x
// x [batch, height, width, latent], height and width multiples of 4; t [batch], 0 to 999; text [batch, word,
// context]; pooled_text [batch, pooled]; sizes [batch, size_number]: height and width of the original, top
// and left of the crop, height and width of the target. Heads have 64 channels, norms 32 groups: channels are
// multiples of 64, where a level attends, and of 32. Paths are those of diffusers' UNet2DConditionModel.
// Kept: what of each transformer block is kept for the backward.
template <class Place, keep Kept = keep::caller> struct sdxl_net {
  using sizes_axis = merged_axis<tag_of<size_number>, tag_of<size_feature>>;
  using label_axis = joined_axis<tag_of<pooled>, sizes_axis>;
  static constexpr conv_options same{.padding = 1};

  BOOST_HANA_DEFINE_STRUCT(
      sdxl_net, (convolution_layer<in<Place, "conv_in">, latent, channel<0>, 3, same>, conv_in),
      (embedding_layers<in<Place, "time_embedding">, channel<0>>, time_embedding),
      (embedding_layers<in<Place, "add_embedding">, flame::detail::axis_object<label_axis>>, add_embedding),
      (down_block<in<Place, "down_blocks.0">, channel<0>, channel<0>, false, true, Kept>, down_0),
      (down_block<in<Place, "down_blocks.1">, channel<0>, channel<1>, true, true, Kept>, down_1),
      (down_block<in<Place, "down_blocks.2">, channel<1>, channel<2>, true, false, Kept>, down_2),
      (middle_block<in<Place, "mid_block">, channel<2>, Kept>, middle),
      (up_block<in<Place, "up_blocks.0">, channel<2>, channel<2>, channel<2>, channel<2>, channel<1>, true,
                true, Kept>,
       up_0),
      (up_block<in<Place, "up_blocks.1">, channel<2>, channel<1>, channel<1>, channel<1>, channel<0>, true,
                true, Kept>,
       up_1),
      (up_block<in<Place, "up_blocks.2">, channel<1>, channel<0>, channel<0>, channel<0>, channel<0>, false,
                false, Kept>,
       up_2),
      (group_norm_layer<in<Place, "conv_norm_out">, channel<0>, 32>, conv_norm_out),
      (convolution_layer<in<Place, "conv_out">, channel<0>, latent, 3, same>, conv_out));

  constexpr auto operator()(const auto& x, const auto& t, const auto& text, const auto& pooled_text,
                            const auto& sizes) const {
    auto size_parts = merge(timestep_embedding(sizes, size_feature), size_number, size_feature, sizes_axis{});
    auto emb = time_embedding(timestep_embedding(t, channel<0>)) +
               add_embedding(concatenate(pooled_text, pooled, size_parts, sizes_axis{},
                                         label_axis{}));  // [batch, condition]

    auto h0 = conv_in(x);
    auto [h1, h2, h3] = down_0(h0, emb, text);
    auto [h4, h5, h6] = down_1(h3, emb, text);
    auto [h7, h8] = down_2(h6, emb, text);
    auto m = middle(h8, emb, text);
    auto u0 = up_0(m, h8, h7, h6, emb, text, h5);
    auto u1 = up_1(u0, h5, h4, h3, emb, text, h2);
    auto u2 = up_2(u1, h2, h1, h0, emb, text, h0);
    return conv_out(silu(conv_norm_out(u2)));
  }
};
template <class Place> using sdxl = sdxl_net<Place>;

// The sizes of an SDXL; as they are, those of Stable Diffusion XL base 1.0.
struct sdxl_sizes {
  i64 channels[3] = {320, 640, 1280};  // of each level
  i64 depth[2] = {2, 10};  // transformer blocks in each transformer of the second and the third level
  i64 latent = 4, condition = 1280, context = 2048, pooled = 1280, size_feature = 256;
};
// What init needs: init<sdxl, host>(key(0), extents_of(sdxl_sizes{})).
[[nodiscard]] inline model_extents extents_of(const sdxl_sizes& s) {
  model_extents e;
  e.axes = {channel<0> == s.channels[0],
            channel<1> == s.channels[1],
            channel<2> == s.channels[2],
            flame::stable_diffusion::latent == s.latent,
            flame::stable_diffusion::condition == s.condition,
            flame::stable_diffusion::context == s.context,
            flame::stable_diffusion::pooled == s.pooled,
            flame::stable_diffusion::size_feature == s.size_feature};
  auto transformers = [&](const std::string& block, int count, i64 depth) {
    for (int i = 0; i < count; ++i)
      e.stacks.push_back(
          instances_of(block + ".attentions." + std::to_string(i) + ".transformer_blocks", depth));
  };
  transformers("down_blocks.1", 2, s.depth[0]);
  transformers("down_blocks.2", 2, s.depth[1]);
  transformers("mid_block", 1, s.depth[1]);
  transformers("up_blocks.0", 3, s.depth[1]);
  transformers("up_blocks.1", 3, s.depth[0]);
  return e;
}

}  // namespace flame::stable_diffusion
