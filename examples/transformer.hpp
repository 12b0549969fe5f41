// The diffusion transformer that draws digits: patches as tokens, adaptive layer norm from time and class.
#pragma once
#include "digits.hpp"

#include <flame/diffusion/flow.hpp>
#include <flame/expr/attention.hpp>
#include <flame/expr/rotary.hpp>

namespace digits {

inline constexpr struct row : dim<7> {} row;  // patches of 4 x 4 pixels
inline constexpr struct column : dim<7> {} column;
inline constexpr struct patch_row : dim<4> {} patch_row;
inline constexpr struct patch_column : dim<4> {} patch_column;
inline constexpr struct token : dim<49> {} token;
inline constexpr struct patch_pixel : dim<16> {} patch_pixel;
inline constexpr struct channel : dim<> {} channel;
inline constexpr struct heads_dim : dim<> {} heads_dim;  // heads * 24
inline constexpr struct head : dim<> {} head;
inline constexpr struct head_dim : dim<24> {} head_dim;
inline constexpr struct feature : dim<> {} feature;  // of the mlp
inline constexpr struct time_feature : dim<> {} time_feature;
inline constexpr struct six : dim<> {} six;          // shift, scale, gate, twice: 6 * channel
inline constexpr struct sixth : dim<6> {} sixth;
inline constexpr struct two : dim<> {} two;          // shift, scale: 2 * channel
inline constexpr struct half : dim<2> {} half;
inline constexpr struct kind : dim<11> {} kind;      // ten digits, and none
inline constexpr int no_digit = 10;

// A layer norm without parameters, then scale and shift: AdaLN (Peebles and Xie 2023).
constexpr auto modulated(const auto& h, const auto& shift, const auto& scale) {
  return layer_norm(h, 1e-6, channel) * (scale + 1.0) + shift;
}

template <class Place, const auto& In, const auto& Out>
using zero_linear = linear<Place, In, Out, true, initial::zeros>;

template <class Place>
struct self_attention {
  BOOST_HANA_DEFINE_STRUCT(self_attention,
    (linear<in<Place, "q">, channel, heads_dim>, q),
    (linear<in<Place, "k">, channel, heads_dim>, k),
    (linear<in<Place, "v">, channel, heads_dim>, v),
    (linear<in<Place, "out">, heads_dim, channel>, out));

  constexpr auto operator()(const auto& h) const {  // [batch, token, channel]
    auto heads = [](const auto& a) { return split(a, heads_dim, head, head_dim); };
    auto a = flame::attention(heads(q(h)), heads(k(h)), heads(v(h)), token, head_dim);  // [batch, token, head, head_dim]
    return out(merge(a, head, head_dim, heads_dim));
  }
};

template <class Place>
struct block {
  BOOST_HANA_DEFINE_STRUCT(block,
    (zero_linear<in<Place, "modulation">, channel, six>, modulation),
    (self_attention<in<Place, "attention">>, attention),
    (linear<in<Place, "fc1">, channel, feature>, fc1),
    (linear<in<Place, "fc2">, feature, channel>, fc2));

  constexpr auto operator()(const auto& h, const auto& c) const {   // [batch, token, channel], [batch, channel]
    auto m = split(modulation(silu(c)), six, sixth, channel);       // [batch, sixth, channel]
    auto a = h + select<2>(m, sixth) * attention(modulated(h, select<0>(m, sixth), select<1>(m, sixth)));
    auto f = fc1(modulated(a, select<3>(m, sixth), select<4>(m, sixth)));
    return a + select<5>(m, sixth) * fc2(gelu_tanh(f));
  }
};

template <class Place>
struct time_embedding {
  BOOST_HANA_DEFINE_STRUCT(time_embedding,
    (linear<in<Place, "fc1">, channel, time_feature>, fc1),
    (linear<in<Place, "fc2">, time_feature, channel>, fc2));
  constexpr auto operator()(const auto& t) const {  // [batch, channel]
    return fc2(silu(fc1(timestep_embedding(t, channel, {.scale = 1000}))));
  }
};

template <class Place>
struct final_layer {
  BOOST_HANA_DEFINE_STRUCT(final_layer,
    (zero_linear<in<Place, "modulation">, channel, two>, modulation),
    (zero_linear<in<Place, "out">, channel, patch_pixel>, out));
  constexpr auto operator()(const auto& h, const auto& c) const {
    auto m = split(modulation(silu(c)), two, half, channel);
    return out(modulated(h, select<0>(m, half), select<1>(m, half)));
  }
};

template <class Place>
struct transformer {
  BOOST_HANA_DEFINE_STRUCT(transformer,
    (linear<in<Place, "patch">, patch_pixel, channel>, patch),
    (param<Place, "position", initial::normal<500>, token, channel>, position),
    (time_embedding<in<Place, "time">>, time),
    (param<Place, "label", initial::normal<500>, kind, channel>, label),
    (stack<in<Place, "blocks">, block>, blocks),
    (final_layer<in<Place, "final">>, final));

  // Patches [batch, token, patch_pixel], times [batch], classes [batch] -> velocity of the patches.
  constexpr auto operator()(const auto& patches, const auto& t, const auto& classes) const {
    auto c = time(t) + embedding(label, classes);  // [batch, channel]
    return final(blocks(carry(patch(patches) + position), c), c);
  }
};

// [batch, height, width, grey] <-> [batch, token, patch_pixel]
constexpr auto to_patches(const auto& image) {
  auto p = split(split(merge(image, width, grey, width), height, row, patch_row), width, column, patch_column);
  return merge(merge(permute(p, batch, row, column, patch_row, patch_column), row, column, token), patch_row,
               patch_column, patch_pixel);
}
constexpr auto to_image(const auto& patches) {
  auto p = split(split(patches, token, row, column), patch_pixel, patch_row, patch_column);
  auto q = permute(p, batch, row, patch_row, column, patch_column);
  return split(merge(merge(q, row, patch_row, height), column, patch_column, width), width, width, grey);
}

}  // namespace digits
