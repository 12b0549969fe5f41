// Optimizers as expressions over one flat buffer: a step is one kernel, whatever the number of parameters.
//
// An optimizer is an aggregate of its settings, which may change between steps. It says how many buffers it
// keeps
// (`moments`), how many numbers its formula takes (`number_count`), what they are at a step, counted from 1,
// and the formula: update(parameter, gradient, moments..., numbers...) gives the new parameter, then the new
// moments.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/function.hpp>

#include <array>
#include <cmath>

namespace flame {

// All parameters, one after another.
inline constexpr struct flat_axis : dim<> {
} flat_axis;

// d = g + weight_decay p; b = momentum b + (1 - dampening) d, at the first step b = d; p = p - lr b, with
// Nesterov p = p - lr (d + momentum b). As PyTorch's SGD.
struct sgd {
  double lr = 1e-2, momentum = 0, weight_decay = 0, dampening = 0;
  bool nesterov = false;

  static constexpr int moments = 1;
  static constexpr int number_count = 5;
  [[nodiscard]] std::array<double, number_count> numbers(i64 step) const {
    return {lr, momentum, weight_decay, step == 1 || momentum == 0 ? 1 : 1 - dampening, nesterov ? 1.0 : 0.0};
  }
  static constexpr auto update(auto p, auto g, auto b, auto lr, auto momentum, auto decay, auto fresh,
                               auto nesterov) {
    auto d = g + decay * p;
    auto velocity = momentum * b + fresh * d;
    auto direction = where(nesterov > 0.5, d + momentum * velocity, velocity);
    return outputs(p - lr * direction, velocity);
  }
};

// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// (Kingma and Ba 2015). weight_decay p is added to the gradient, as in PyTorch's Adam.
struct adam {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;

  static constexpr int moments = 2;
  static constexpr int number_count = 8;
  [[nodiscard]] std::array<double, number_count> numbers(i64 step) const {
    const double t = static_cast<double>(step);
    return {lr / (1 - std::pow(beta1, t)),         beta1,     beta2,    eps, weight_decay,
            1 / std::sqrt(1 - std::pow(beta2, t)), 1 - beta1, 1 - beta2};
  }
  static constexpr auto update(auto p, auto g, auto m, auto v, auto lr, auto beta1, auto beta2, auto eps,
                               auto decay, auto correction, auto rest1, auto rest2) {
    auto d = g + decay * p;
    auto m1 = beta1 * m + rest1 * d;
    auto v1 = beta2 * v + rest2 * (d * d);
    return outputs(p - lr * m1 / (sqrt(v1) * correction + eps), m1, v1);
  }
};

// As adam, with the decay taken from the parameter itself: p = p - lr weight_decay p (Loshchilov and Hutter
// 2019).
struct adamw {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 1e-2;

  static constexpr int moments = 2;
  static constexpr int number_count = 8;
  [[nodiscard]] std::array<double, number_count> numbers(i64 step) const {
    const double t = static_cast<double>(step);
    return {lr / (1 - std::pow(beta1, t)),         beta1,     beta2,    eps, lr * weight_decay,
            1 / std::sqrt(1 - std::pow(beta2, t)), 1 - beta1, 1 - beta2};
  }
  static constexpr auto update(auto p, auto g, auto m, auto v, auto lr, auto beta1, auto beta2, auto eps,
                               auto decay, auto correction, auto rest1, auto rest2) {
    auto m1 = beta1 * m + rest1 * g;
    auto v1 = beta2 * v + rest2 * (g * g);
    return outputs(p - decay * p - lr * m1 / (sqrt(v1) * correction + eps), m1, v1);
  }
};

}  // namespace flame
