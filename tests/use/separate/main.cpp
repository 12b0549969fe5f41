// Calls functions that other files define, alone, behind each other and in a stack: values and trained
// weights are those of the same formulas in this file.
#include "wave.hpp"

#include <flame/expr/gradient.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include <cmath>
#include <cstdio>

using namespace waves;

namespace {

struct elsewhere {
  static constexpr auto mix(const auto& h, const auto& w) { return waves::mixer(h, w); }
  static constexpr auto roll(const auto& h, const auto& w) { return waves::wave(h, w); }
};
struct here {
  static constexpr auto mix(const auto& h, const auto& w) { return waves::mixed(h, w); }
  static constexpr auto roll(const auto& h, const auto& w) {
    return outputs(h * sin(waves::mixed(h, w)), sum(h, channel));
  }
};

template <class From> struct built {
  template <class Place> struct layer {
    BOOST_HANA_DEFINE_STRUCT(layer, (param<Place, "weight", initial::normal<300>, feature, channel>, weight));
    constexpr auto operator()(const auto& h) const { return From::mix(h, weight); }
  };
  template <class Place> struct net {
    BOOST_HANA_DEFINE_STRUCT(net, (param<Place, "first", initial::normal<300>, feature, channel>, first),
                             (stack<in<Place, "layers">, layer>, layers));
    // Loss, and the states before it.
    constexpr auto operator()(const auto& x) const {
      auto [h, sums] = From::roll(layers(carry(From::mix(x, first))), first);
      return outputs(mean(h * h) + mean(sums), h);
    }
  };
};

int failures = 0;
template <class A, class B> void expect_near(const char* what, const A& a, const B& b) {
  double worst = a.size() == b.size() && a.size() > 0 ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]) / (1e-3 + std::abs(b[i])));
  std::printf("%s: %zu numbers, largest relative difference %.2g\n", what, a.size(), worst);
  if (!(worst < 1e-9)) ++failures;
}

}  // namespace

int main() {
  auto apart =
      init<built<elsewhere>::net, host, f64>(key(0), channel == 12, feature == 20, instances_of("layers", 3));
  auto together =
      init<built<here>::net, host, f64>(key(0), channel == 12, feature == 20, instances_of("layers", 3));
  auto evaluate = [](auto m, auto x) { return m(x); };
  auto loss = [](auto m, auto x) { return std::get<0>(m(x)); };
  auto step_apart = train_step(apart, loss, sgd{.lr = 0.01});
  auto step_together = train_step(together, loss, sgd{.lr = 0.01});
  for (i64 n : {5, 3, 1}) {  // new extents are planned anew
    const auto x = normal<f64>(key(static_cast<u64>(n)), batch == n, channel == 12);
    auto [value, states] = forward(apart, evaluate)(x);
    auto [wanted, wanted_states] = forward(together, evaluate)(x);
    expect_near("loss", value.to_vector(), wanted.to_vector());
    expect_near("states", states.to_vector(), wanted_states.to_vector());
    const std::vector<double> before = apart.flat().to_vector();
    step_apart(x), step_together(x);
    std::vector<double> moved = apart.flat().to_vector(), wanted_moved = together.flat().to_vector();
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= before[i], wanted_moved[i] -= before[i];
    expect_near("what a step changes", moved, wanted_moved);
  }
  return failures;
}
