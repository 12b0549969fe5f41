// Flow matching: the noisy sample, its target, times, and the embedding of a time.
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

// The embedding of t in an axis of Feature.extent values: cos(1000 t f_i) for the first half, then sin, with f_i =
// 10000^(-i / half) (Vaswani et al. 2017, with diffusion's order of halves).
template <operand_type T, axis Feature>
constexpr auto sinusoidal(const T& t, const Feature& feature) {
  using E = element_of<shape_of<T>>;
  auto i = iota<E>(feature, t);
  auto half = extent<E>(feature, t) * 0.5;
  auto second = half <= i;
  auto k = where(second, i - half, i);
  auto angle = emit<op::mul>(t * 1000.0, exp(k * (-9.210340371976184) / half));  // [..., feature]
  return where(second, sin(angle), cos(angle));
}

}  // namespace flame
