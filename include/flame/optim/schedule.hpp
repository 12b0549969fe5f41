// Learning rates over the steps of a training.
#pragma once
#include <algorithm>
#include <cmath>

namespace flame {

// Linear from 0 to `peak` over `warmup` steps, then half a cosine down to `last` at step `total` (Loshchilov
// and Hutter 2017). Steps count from 1.
struct cosine_schedule {
  double peak = 1e-3;
  long long total = 1000, warmup = 0;
  double last = 0;

  [[nodiscard]] double operator()(long long step) const {
    if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(std::max(1LL, warmup));
    double t = static_cast<double>(step - warmup) / static_cast<double>(std::max(1LL, total - warmup));
    return last + (peak - last) * 0.5 * (1 + std::cos(3.14159265358979323846 * std::min(t, 1.0)));
  }
};

}  // namespace flame
