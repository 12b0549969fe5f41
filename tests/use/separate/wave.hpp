// Two functions that other files define, and the axes that all share.
#pragma once
#include <flame/expr/separate.hpp>
#include <flame/language.hpp>
#include <flame/run/tensor.hpp>

namespace waves {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct feature : dim<> {
} feature;

using states = tensor<f64, batch, channel>;
using weights = tensor<f64, feature, channel>;

// h + tanh(h w^T) w
inline constexpr struct mixer : separate<mixer, states(states, weights)> {
} mixer;
// h sin(mixer(h, w)) and the row sums of h
inline constexpr struct wave : separate<wave, std::tuple<states, tensor<f64, batch>>(states, weights)> {
} wave;

// What they are, for comparison in one file.
inline constexpr auto mixed = [](auto h, auto w) {
  return h + matmul(tanh(matmul(h, w, channel)), w, feature);
};

}  // namespace waves
