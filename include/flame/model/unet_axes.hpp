// The axes of Stable Diffusion's UNets.
#pragma once
#include <flame/expr/derived_axis.hpp>

namespace flame::stable_diffusion {

// The channels of the first, second, ... level: 320, 640, 1280 in SDXL.
template <int Level> struct channels : dim<> {
  static constexpr u64 id = mix(0x0E71, static_cast<u64>(Level));
};
template <int Level> inline constexpr channels<Level> channel{};

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<> {
} height;  // of the latent
inline constexpr struct width : dim<> {
} width;
inline constexpr struct latent : dim<> {
} latent;  // channels in and out: 4
inline constexpr struct condition : dim<> {
} condition;  // channels of what time and sizes become: 1280
inline constexpr struct word : dim<> {
} word;  // tokens of the text: 77
inline constexpr struct context : dim<> {
} context;  // channels of the text: 2048
inline constexpr struct pooled : dim<> {
} pooled;  // channels of the pooled text: 1280
inline constexpr struct size_number : dim<6> {
} size_number;  // original, crop, target; height before width
inline constexpr struct size_feature : dim<> {
} size_feature;  // of one of them: 256

}  // namespace flame::stable_diffusion
