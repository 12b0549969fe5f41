// Whole training steps on the host, beside bench/peer/steps.py.
#include "steps.hpp"

namespace {

// The median of many single calls after a warm-up.
double median_ms(const std::function<void()>& call) {
  using digits::clock;
  for (int i = 0; i < 3; ++i) call();
  std::vector<double> times;
  for (clock::time_point begin = clock::now(); times.size() < 7 || digits::seconds_since(begin) < 4;) {
    clock::time_point t = clock::now();
    call();
    times.push_back(1e3 * digits::seconds_since(t));
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main() { steps::all<flame::host>(median_ms); }
