// Flow matching: the noisy sample, its target, and times.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/random.hpp>

namespace flame {

// Of rectified flow (Liu et al. 2022): at time t in [0, 1], x_t = (1 - t) noise + t data; the model learns the velocity
// data - noise, and sampling goes from t = 0 to 1.
constexpr auto flow_sample(const auto& data, const auto& noise, const auto& t) { return noise + t * (data - noise); }
constexpr auto flow_target(const auto& data, const auto& noise) { return data - noise; }

// Times whose logit is normal (Esser et al. 2024): sigmoid(mean + deviation z).
template <u64 Site = 1, axis... Axes>
constexpr auto logit_normal_times(const auto& key, double mean, double deviation, const Axes&... axes) {
  return sigmoid(normal<f32, Site>(key, axes...) * deviation + mean);
}

}  // namespace flame
