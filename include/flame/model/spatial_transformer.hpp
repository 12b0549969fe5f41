// The transformer of Stable Diffusion's UNets: the pixels of a picture as tokens, which look at each other
// and at a text.
#pragma once
#include <flame/expr/activation.hpp>
#include <flame/expr/resize.hpp>
#include <flame/nn/attention.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/norm.hpp>
#include <flame/nn/stack.hpp>

namespace flame::stable_diffusion {

// What diffusers calls the projections of attention.
struct projection_names {
  static constexpr fixed_string q = "to_q";
  static constexpr fixed_string k = "to_k";
  static constexpr fixed_string v = "to_v";
  static constexpr fixed_string out = "to_out.0";
};
// A head of Size channels, and how many there are.
template <int Size> struct head_dim : dim<Size> {
  static constexpr u64 id = mix(0x0E72, static_cast<u64>(Size));
};

// GEGLU between two linear layers: out(a gelu(b)), a and b the halves of proj(h), each Channel times 4.
template <class Place, const auto& Channel> struct feed_forward {
  using wide = multiple_of<tag_of<Channel>, 8>;
  using narrow = multiple_of<tag_of<Channel>, 4>;
  BOOST_HANA_DEFINE_STRUCT(feed_forward,
                           (linear<in<Place, "net.0.proj">, Channel, flame::detail::axis_object<wide>>, proj),
                           (linear<in<Place, "net.2">, flame::detail::axis_object<narrow>, Channel>, out));
  constexpr auto operator()(const auto& h) const { return out(geglu(proj(h), wide{}, narrow{})); }
};

// block(h, context): h [..., token, Channel], context [..., word, Context] -> as h.
//   h += attn1(norm1(h)); h += attn2(norm2(h), context); h += ff(norm3(h))
// Heads have HeadDim channels each; q, k and v have no bias. Members are named as in diffusers'
// BasicTransformerBlock.
template <class Place, const auto& Channel, const auto& Context, int HeadDim = 64> struct transformer_block {
  using head = part_of<tag_of<Channel>, HeadDim>;
  template <fixed_string Name, const auto& From>
  using attention =
      attention_layer<in<Place, Name>, Channel, Channel, flame::detail::axis_object<head>,
                      flame::detail::axis_object<head_dim<HeadDim>>, From, false, projection_names>;
  template <fixed_string Name> using norm = layer_norm_layer<in<Place, Name>, Channel>;
  using self_attention = attention<"attn1", Channel>;
  using cross_attention = attention<"attn2", Context>;

  BOOST_HANA_DEFINE_STRUCT(transformer_block, (norm<"norm1">, norm1), (self_attention, attn1),
                           (norm<"norm2">, norm2), (cross_attention, attn2), (norm<"norm3">, norm3),
                           (feed_forward<in<Place, "ff">, Channel>, ff));

  constexpr auto operator()(const auto& h, const auto& context) const {
    using token = typename flame::detail::axis_from_last<shape_of<decltype(h)>, 1>::type;
    using word = typename flame::detail::axis_from_last<shape_of<decltype(context)>, 1>::type;
    auto a = h + attn1(norm1(h), token{});
    auto b = a + attn2(norm2(a), context, word{});
    return b + ff(norm3(b));
  }
};

// transformer(x, context): x [..., height, width, Channel], context [..., word, Context] -> as x.
//   x + proj_out(blocks(proj_in(norm(x)))), proj_in and proj_out linear layers, norm with eps 1e-6
// Its blocks are a stack, transformer_blocks. Members are named as in diffusers' Transformer2DModel. Kept:
// what of each block is kept for the backward.
template <class Place, const auto& Channel, const auto& Context, int HeadDim = 64, int Groups = 32,
          keep Kept = keep::caller>
struct spatial_transformer {
  template <class P> using block = transformer_block<P, Channel, Context, HeadDim>;
  BOOST_HANA_DEFINE_STRUCT(spatial_transformer, (group_norm_layer<in<Place, "norm">, Channel, Groups>, norm),
                           (linear<in<Place, "proj_in">, Channel, Channel>, proj_in),
                           (stack<in<Place, "transformer_blocks">, block, Kept>, transformer_blocks),
                           (linear<in<Place, "proj_out">, Channel, Channel>, proj_out));

  constexpr auto operator()(const auto& x, const auto& context) const {
    using image = flame::detail::image_axes<shape_of<decltype(x)>>;
    using height = typename image::height;
    using width = typename image::width;
    using token = merged_axis<height, width>;
    auto h = merge(norm(x, 1e-6), height{}, width{}, token{});  // [..., token, Channel]
    auto y = proj_out(transformer_blocks(carry(proj_in(h)), context));
    return x + split(y, token{}, height{}, width{});
  }
};

}  // namespace flame::stable_diffusion
