// Learning rates over the steps of a training.
#pragma once
#include <algorithm>
#include <cmath>

namespace flame {

// Each rises linearly from 0 to `peak` over `warmup` steps first. Steps count from 1.
namespace detail {
// The share of the way from the end of the warm-up to the last step.
[[nodiscard]] inline double progress(long long step, long long warmup, long long total) {
  const double t = static_cast<double>(step - warmup) / static_cast<double>(std::max(1LL, total - warmup));
  return std::min(t, 1.0);
}
[[nodiscard]] inline double rising(double peak, long long step, long long warmup) {
  return peak * static_cast<double>(step) / static_cast<double>(std::max(1LL, warmup));
}
}  // namespace detail

struct constant_schedule {
  double peak = 1e-3;
  long long warmup = 0;

  [[nodiscard]] double operator()(long long step) const {
    return step <= warmup ? detail::rising(peak, step, warmup) : peak;
  }
};

// Down to `last` at step `total`, and `last` from there on.
struct linear_schedule {
  double peak = 1e-3;
  long long total = 1000, warmup = 0;
  double last = 0;

  [[nodiscard]] double operator()(long long step) const {
    if (step <= warmup) return detail::rising(peak, step, warmup);
    return peak + (last - peak) * detail::progress(step, warmup, total);
  }
};

// Half a cosine down to `last` at step `total`, and `last` from there on (Loshchilov and Hutter 2017).
struct cosine_schedule {
  double peak = 1e-3;
  long long total = 1000, warmup = 0;
  double last = 0;

  [[nodiscard]] double operator()(long long step) const {
    if (step <= warmup) return detail::rising(peak, step, warmup);
    const double t = detail::progress(step, warmup, total);
    return last + (peak - last) * 0.5 * (1 + std::cos(3.14159265358979323846 * t));
  }
};

}  // namespace flame
