// keep::offload on a GPU: the gradients of keep::inputs, less of the device's memory, and the rest in the
// host's.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/stack.hpp>
#include <flame/plan/explain.hpp>
#include <flame/plan/offload.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;

template <class Place> struct block {
  BOOST_HANA_DEFINE_STRUCT(block, (layer_norm_layer<in<Place, "norm">, feature>, norm),
                           (linear<in<Place, "fc1">, feature, hidden>, fc1),
                           (linear<in<Place, "fc2">, hidden, feature>, fc2));
  constexpr auto operator()(const auto& h) const { return h + fc2(gelu(fc1(norm(h)))); }
};
template <class Place, keep Kept> struct stacked {
  BOOST_HANA_DEFINE_STRUCT(stacked, (stack<in<Place, "blocks">, block, Kept>, blocks));
  constexpr auto operator()(const auto& x) const { return blocks(carry(x)); }
};
template <class Place> using inputs = stacked<Place, keep::inputs>;
template <class Place> using offload = stacked<Place, keep::offload>;

struct trained {
  std::vector<float> losses, gradients;
  i64 arena, aside;
  std::string explained;
};
template <template <class> class Net, class Backend> trained run(precision p = precision::full) {
  auto m = init<Net, Backend>(key(0), feature == 64, hidden == 128, instances_of("blocks", 8));
  auto step =
      train_step(m, [](auto n, auto x) { return mean(n(x) * n(x)); }, sgd{.lr = 0.1}, {.precision = p});
  trained t;
  for (u64 i = 1; i < 5; ++i)
    t.losses.push_back(step(to<Backend>(normal<f32>(key(i), batch == 512, feature == 64))).item());
  for (const weight& w : m.weights()) {
    const auto g = step.gradient(w.path);
    std::vector<float> values;
    if constexpr (requires { g.to_vector(); })
      values = g.to_vector();
    else
      values.assign(g.begin(), g.end());
    t.gradients.insert(t.gradients.end(), values.begin(), values.end());
  }
  t.arena = step.plan().arena_bytes, t.aside = bytes_aside(step.plan());
  t.explained = explain(step.plan());
  return t;
}

}  // namespace

TEST_CASE("inputs of blocks wait in the host's memory") {
  for (precision p : {precision::full, precision::bf16}) {
    const trained here = run<inputs, cuda>(p), aside = run<offload, cuda>(p);
    CHECK(here.aside == 0);
    // Of eight blocks all but the first have an input that the program makes, and the last one's is read
    // again too soon.
    const i64 each = 512 * 64 * (p == precision::full ? 4 : 2);
    CHECK(aside.aside >= 5 * each);
    CHECK(aside.aside <= 7 * each);
    CHECK(aside.arena <= here.arena - 3 * each);
    CHECK(aside.losses == here.losses);
    CHECK(aside.gradients == here.gradients);
    CHECK(aside.explained.find("aside in the host's memory") != std::string::npos);
    CHECK(here.explained.find("aside") == std::string::npos);
  }
}

TEST_CASE("what has no backward keeps its values where they are") {
  auto m = init<offload, cuda>(key(0), feature == 64, hidden == 128, instances_of("blocks", 8));
  auto f = forward(m, [](auto n, auto x) { return n(x); });
  CHECK(bytes_aside(f.plan(to<cuda>(ones<f32>(batch == 512, feature == 64)))) == 0);
}

TEST_CASE("on the host keep::offload is keep::inputs") {
  const trained one = run<inputs, host>(), other = run<offload, host>();
  CHECK(other.aside == 0);
  CHECK(other.arena == one.arena);
  CHECK(other.gradients == one.gradients);
}
