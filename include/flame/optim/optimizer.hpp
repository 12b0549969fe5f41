// Optimizers as expressions over one flat buffer: a step is one kernel, whatever the number of parameters.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/function.hpp>

#include <cmath>
#include <vector>

namespace flame {

// All parameters, one after another.
inline constexpr struct flat_axis : dim<> {
} flat_axis;

// The numbers that change from step to step reach the kernel as arguments; each optimizer says how many it takes.

// p = p - lr (g + decay p), with momentum: b = momentum b + (g + decay p), p = p - lr b; Nesterov: p = p - lr (g +
// decay p + momentum b). As PyTorch's SGD, whose first step takes b = g.
struct sgd {
  double lr = 1e-2, momentum = 0, weight_decay = 0;
  bool nesterov = false;

  static constexpr int moments = 1;
  static constexpr int number_count = 4;
  [[nodiscard]] std::vector<double> numbers(i64 /*step*/) const {
    return {lr, momentum, weight_decay, nesterov ? 1.0 : 0.0};
  }
  static constexpr auto update(auto p, auto g, auto b, auto lr, auto momentum, auto decay, auto nesterov) {
    auto d = g + decay * p;
    auto velocity = momentum * b + d;
    auto direction = where(nesterov > 0.5, d + momentum * velocity, velocity);
    return outputs(p - lr * direction, velocity);
  }
};

// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// (Kingma and Ba 2015). decay is added to the gradient, as in PyTorch's Adam.
struct adam {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;

  static constexpr int moments = 2;
  static constexpr int number_count = 8;
  [[nodiscard]] std::vector<double> numbers(i64 step) const {
    double t = static_cast<double>(step);
    return {lr / (1 - std::pow(beta1, t)), beta1, beta2, eps, weight_decay, 1 / std::sqrt(1 - std::pow(beta2, t)), 1 - beta1, 1 - beta2};
  }
  static constexpr auto update(auto p, auto g, auto m, auto v, auto lr, auto beta1, auto beta2, auto eps, auto decay,
                               auto correction, auto rest1, auto rest2) {
    auto d = g + decay * p;
    auto m1 = beta1 * m + rest1 * d;
    auto v1 = beta2 * v + rest2 * (d * d);
    return outputs(p - lr * m1 / (sqrt(v1) * correction + eps), m1, v1);
  }
};

// As adam, with the decay taken from the parameter itself: p = p - lr decay p (Loshchilov and Hutter 2019).
struct adamw {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 1e-2;

  static constexpr int moments = 2;
  static constexpr int number_count = 8;
  [[nodiscard]] std::vector<double> numbers(i64 step) const {
    double t = static_cast<double>(step);
    return {lr / (1 - std::pow(beta1, t)), beta1, beta2, eps, lr * weight_decay, 1 / std::sqrt(1 - std::pow(beta2, t)), 1 - beta1, 1 - beta2};
  }
  static constexpr auto update(auto p, auto g, auto m, auto v, auto lr, auto beta1, auto beta2, auto eps, auto decay,
                               auto correction, auto rest1, auto rest2) {
    auto m1 = beta1 * m + rest1 * g;
    auto v1 = beta2 * v + rest2 * (g * g);
    return outputs(p - decay * p - lr * m1 / (sqrt(v1) * correction + eps), m1, v1);
  }
};

}  // namespace flame
