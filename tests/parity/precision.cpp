// The networks of the examples in bf16 and f16: how far every gradient is from that in f64, beside PyTorch's
// (precision.py).
#include <doctest/doctest.h>

#include "../../examples/transformer.hpp"
#include "reference.hpp"

#include <fstream>

using namespace digits;

namespace {

using json = nlohmann::json;

auto classification = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };

double square(const std::vector<float>& v) {
  double s = 0;
  for (float x : v) s += static_cast<double>(x) * x;
  return s;
}

// Norms of differences over norms of references: no tensor beyond 1.5 times the larger of PyTorch's two ways,
// all together not beyond 1.5 times the better one; of the cnn, in whose pooling windows another pixel wins
// where two round to one number, 1.5 times the way that rounds as often.
template <class Step> void compare(const reference& r, Step& step, const std::string& name, precision p) {
  std::ifstream file(std::string(std::getenv("FLAME_TESTS")) + "/parity/data/precision.json");
  const json kept = json::parse(file).at(name).at(p == precision::f16 ? "f16" : "bf16");
  auto theirs = [&](const std::string& path, bool better) {
    const double a = kept["plain"][path].get<double>(), b = kept["autocast"][path].get<double>();
    return better ? std::min(a, b) : std::max(a, b);
  };
  double errors = 0, all = 0;
  for (const weight& w : step.weights().weights()) {
    std::span<const float> g = step.gradient(w.path);
    std::vector<float> ours(g.begin(), g.end()), difference = r.gradient(w.path);
    if (flame::detail::is_convolution(w)) ours = flame::detail::reordered<float>(w.extents, g.data(), true);
    const std::string beside = r.vanishes(w.path) ? w.path.substr(0, w.path.rfind('.')) + ".weight" : w.path;
    all += square(difference);
    for (std::size_t i = 0; i < ours.size(); ++i) difference[i] -= ours[i];
    errors += square(difference);
    const double error = std::sqrt(square(difference) / square(r.gradient(beside)));
    INFO(w.path, ": ", error, ", PyTorch ", theirs(w.path, false));
    CHECK(error <= 1.5 * theirs(w.path, false));
  }
  const double whole = name == "cnn" ? kept["plain"]["all"].get<double>() : theirs("all", true);
  INFO(name, ": ", std::sqrt(errors / all), ", PyTorch ", whole);
  CHECK(std::sqrt(errors / all) <= 1.5 * whole);
}

step_options stored_in(precision p) { return {.precision = p, .scaling = {.first = 1024}}; }

}  // namespace

TEST_CASE("mlp") {
  reference r("mlp");
  auto model = init<mlp, host>(key(0), hidden == r.number("hidden"));
  load(r.path, model, "parameter.");
  for (precision p : {precision::bf16, precision::f16}) {
    auto step = train_step(model, classification, sgd{.lr = 0}, stored_in(p));
    CHECK(step(r.input<images>("image"), r.input<labels>("label")).item() ==
          doctest::Approx(r.loss()).epsilon(p == precision::f16 ? 1e-3 : 1e-2));
    compare(r, step, "mlp", p);
  }
}

TEST_CASE("cnn") {
  reference r("cnn");
  const i64 second = r.configuration["channels"][1].get<i64>();
  auto model = init<cnn, host>(key(0), narrow == r.configuration["channels"][0].get<i64>(), wide == second,
                               flat == 49 * second, hidden == r.number("hidden"));
  load(r.path, model, "parameter.");
  for (precision p : {precision::bf16, precision::f16}) {
    auto step = train_step(model, classification, sgd{.lr = 0}, stored_in(p));
    CHECK(step(r.input<images>("image"), r.input<labels>("label")).item() ==
          doctest::Approx(r.loss()).epsilon(p == precision::f16 ? 1e-3 : 1e-2));
    compare(r, step, "cnn", p);
  }
}

TEST_CASE("diffusion transformer") {
  reference r("dit");
  const i64 wide = r.number("width");
  auto model = init<transformer, host>(key(0), channel == wide, heads_dim == wide, feature == 4 * wide,
                                       time_feature == wide, six == 6 * wide, two == 2 * wide,
                                       instances_of("blocks", r.number("blocks")));
  load(r.path, model, "parameter.");
  for (precision p : {precision::bf16, precision::f16}) {
    auto step = train_step(
        model,
        [](auto m, auto data, auto noise, auto t, auto label) {
          auto x = to_patches(data), n = to_patches(noise);
          return mse(m(flow_sample(x, n, t), t, label), flow_target(x, n));
        },
        sgd{.lr = 0}, stored_in(p));
    CHECK(step(r.input<images>("data"), r.input<images>("noise"), r.input<tensor<f32, batch>>("t"),
               r.input<labels>("label"))
              .item() == doctest::Approx(r.loss()).epsilon(p == precision::f16 ? 1e-3 : 1e-2));
    compare(r, step, "dit", p);
  }
}
