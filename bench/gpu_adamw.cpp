// AdamW over 722 tensors, 23 M numbers in all (SDXL's adapters of rank 16), on a GPU: the step of a training
// program that renews the parameters, alone in a graph. bench/peer/gpu_adamw.py is its peer.
#include <flame/flame.hpp>
#include <flame/run/cuda/profile.hpp>

#include <algorithm>
#include <cstdio>

namespace {

using namespace flame;

inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct low : dim<16> {
} low;

template <class Place> struct adapter {
  BOOST_HANA_DEFINE_STRUCT(adapter, (param<Place, "down", initial::ones, low, wide>, down),
                           (param<Place, "up", initial::ones, wide, low>, up));
  constexpr auto operator()(const auto& h) const { return h + sum(down * down) + sum(up * up); }
};
template <class Place> struct adapters_of_sdxl {
  BOOST_HANA_DEFINE_STRUCT(adapters_of_sdxl, (stack<in<Place, "all">, adapter>, all));
  constexpr auto operator()(const auto& h) const { return all(carry(h)); }
};

}  // namespace

int main() {
  constexpr i64 tensors = 722, each = 1990;
  auto m = init<adapters_of_sdxl, cuda>(key(0), wide == each, instances_of("all", tensors / 2));
  auto step = train_step(
      m, [](auto n, auto x) { return n(x); }, adamw{.lr = 1e-4});
  const auto loss = step(to<cuda>(ones<f32>()));
  static_cast<void>(loss.item());
  const program& p = step.plan();
  const i64 bytes = tensors * each * 16 * 4;
  // The update reads parameter, gradient and moments and writes all but the gradient.
  const program_profile all = measure_profile(p);
  const auto update = std::max_element(
      all.steps.begin(), all.steps.end(),
      [](const step_profile& a, const step_profile& b) { return a.microseconds < b.microseconds; });
  std::printf("{\"name\": \"adamw.%lld_tensors\", \"us\": %.2f, \"gbs\": %.0f, \"elements\": %lld}\n",
              tensors, update->microseconds, 7.0 * static_cast<double>(bytes) / update->microseconds / 1e3,
              bytes / 4);
}
