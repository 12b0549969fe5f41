// The networks of the examples against PyTorch in f64: the loss, and the gradient of every parameter.
#include <doctest/doctest.h>

#include "../../examples/transformer.hpp"
#include "reference.hpp"

using namespace digits;

namespace {

double norm(const std::vector<float>& v) {
  double s = 0;
  for (float x : v) s += static_cast<double>(x) * x;
  return std::sqrt(s);
}

// Norm of the difference over norm of the reference, tensor by tensor.
template <class Step> void compare(const reference& r, Step& step, float loss, std::size_t tensors) {
  CHECK(std::abs(loss - r.loss()) / r.loss() <= 1e-5);
  std::size_t compared = 0;
  for (const weight& w : step.weights().weights()) {
    std::span<const float> g = step.gradient(w.path);
    std::vector<float> ours(g.begin(), g.end()), difference = r.gradient(w.path);
    if (flame::detail::is_convolution(w)) ours = flame::detail::reordered<float>(w.extents, g.data(), true);
    REQUIRE(ours.size() == difference.size());
    const double scale =
        norm(r.gradient(r.vanishes(w.path) ? w.path.substr(0, w.path.rfind('.')) + ".weight" : w.path));
    for (std::size_t i = 0; i < ours.size(); ++i) difference[i] -= ours[i];
    INFO(w.path, ": ", norm(difference) / scale);
    CHECK(scale > 0);
    CHECK(norm(difference) / scale <= 1e-5);
    ++compared;
  }
  CHECK(compared == tensors);
}

auto classification = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };

}  // namespace

TEST_CASE("mlp") {
  reference r("mlp");
  auto model = init<mlp, host>(key(0), hidden == r.number("hidden"));
  load(r.path, model, "parameter.");
  auto step = train_step(model, classification, sgd{.lr = 0});
  compare(r, step, step(r.input<images>("image"), r.input<labels>("label")).item(), 4);
}

TEST_CASE("cnn") {
  reference r("cnn");
  const i64 second = r.configuration["channels"][1].get<i64>();
  auto model = init<cnn, host>(key(0), narrow == r.configuration["channels"][0].get<i64>(), wide == second,
                               flat == 49 * second, hidden == r.number("hidden"));
  load(r.path, model, "parameter.");
  auto step = train_step(model, classification, sgd{.lr = 0});
  compare(r, step, step(r.input<images>("image"), r.input<labels>("label")).item(), 8);
}

TEST_CASE("diffusion transformer") {
  reference r("dit");
  const i64 wide = r.number("width");
  auto model = init<transformer, host>(key(0), channel == wide, heads_dim == wide, feature == 4 * wide,
                                       time_feature == wide, six == 6 * wide, two == 2 * wide,
                                       instances_of("blocks", r.number("blocks")));
  load(r.path, model, "parameter.");
  auto step = train_step(
      model,
      [](auto m, auto data, auto noise, auto t, auto label) {
        auto x = to_patches(data), n = to_patches(noise);
        return mse(m(flow_sample(x, n, t), t, label), flow_target(x, n));
      },
      sgd{.lr = 0});
  float loss = step(r.input<images>("data"), r.input<images>("noise"), r.input<tensor<f32, batch>>("t"),
                    r.input<labels>("label"))
                   .item();
  compare(r, step, loss, 8 + 2 * 14 + 4);
}
