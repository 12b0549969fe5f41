// Training on a GPU: steps of a perceptron and of a convolutional network with batch norm against the host's,
// the same bits again, learning rates and keys that change, a training's state in files, memory, threads.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <filesystem>
#include <flame/expr/random.hpp>
#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/lora.hpp>
#include <flame/train/resume.hpp>
#include <thread>

#include "network.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct feature : dim<24> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
template <class Place> struct mlp {
  BOOST_HANA_DEFINE_STRUCT(mlp, (linear<in<Place, "fc1">, feature, hidden>, fc1),
                           (linear<in<Place, "fc2">, hidden, answer>, fc2));
  constexpr auto operator()(const auto& x) const { return fc2(relu(fc1(x))); }
};
inline constexpr auto classify_dropped = [](auto m, auto x, auto label, auto k) {
  return cross_entropy(m(dropout(x, 0.25, k)), label);
};

// Three steps on both backends, of one program: the weights after each, by norm, and the losses.
template <class Host, class Loss, class Optimizer, class Input>
void check_steps(const Host& start, Loss loss, const Optimizer& how, const step_options& options,
                 const Input& x, double first, double later) {
  const auto m = start.clone();
  const auto n = to<cuda>(m);
  auto step = train_step(m, loss, how, options);
  auto other = train_step(n, loss, how, options);
  const auto label = numbered(x.extent(0));
  const auto u = to<cuda>(x);
  const auto v = to<cuda>(label);
  for (int i = 0; i < 3; ++i) {
    INFO("step ", i);
    step.optimizer().lr = other.optimizer().lr = 1e-3 * (i + 1);
    const auto expected = step(x, label);
    CHECK(distance(other(u, v), expected) < (i == 0 ? first : later));
    CHECK(distance(n.flat(), m.flat()) < (i == 0 ? first : later));
    // As a whole: the gradient of a bias before batch norm is 0 but for rounding.
    if (i == 0) CHECK(distance(other.engine().gradients(), step.engine().gradients()) < 10 * first);
    if (i == 0) CHECK(other.gradient_norm() == doctest::Approx(step.gradient_norm()).epsilon(1e-4));
  }
  if (options.ema > 0) CHECK(distance(other.averaged().flat(), step.averaged().flat()) < later);
}

template <class Element> auto perceptron() { return init<mlp, host, Element>(key(3), hidden == 40); }

TEST_CASE("a perceptron in f32 and f64") {
  const auto x = normal(key(1), batch == 32, feature);
  check_steps(perceptron<f32>(), classify, sgd{.momentum = 0.9}, {}, x, 1e-5, 1e-4);
  check_steps(perceptron<f32>(), classify, adamw{}, {.ema = 0.9, .clip_norm = 0.1}, x, 1e-5, 1e-3);
  const auto wide = normal<f64>(key(1), batch == 33, feature);
  check_steps(perceptron<f64>(), classify, adamw{}, {.ema = 0.9, .clip_norm = 0.1}, wide, 1e-10, 1e-9);
}
TEST_CASE("a convolutional network with batch norm, whose statistics are renewed") {
  const auto x = images();
  check_steps(network<f32>(), classify, sgd{.momentum = 0.9}, {}, x, 1e-5, 1e-4);
  const auto wide = images<f64>();
  check_steps(network<f64>(), classify, adamw{}, {.ema = 0.9}, wide, 1e-10, 1e-8);
}
TEST_CASE("a loss that draws: the same draws, others at each step") {
  const auto x = normal<f64>(key(1), batch == 32, feature);
  check_steps(perceptron<f64>(), classify_dropped, sgd{}, {.seed = 9}, x, 1e-10, 1e-9);
}

// Sums are added in another order than on the host, so that a number may be rounded to its neighbour of 16
// bits.
TEST_CASE(
    "bf16 and f16: the host's steps but for rounding, the same bits again; an overflow leaves a step out") {
  const auto check = [](const auto& start, const auto& x, precision p) {
    CAPTURE(static_cast<int>(p));
    const double unit = p == precision::f16 ? 0x1p-11 : 0x1p-8;
    const step_options options{.ema = 0.9, .clip_norm = 1, .precision = p, .scaling = {.first = 1024}};
    const auto m = start.clone(), full = start.clone();
    const auto n = to<cuda>(start.clone()), again = to<cuda>(start.clone());
    auto step = train_step(m, classify, adamw{}, options);
    auto wide = train_step(full, classify, adamw{}, {.ema = 0.9, .clip_norm = 1});
    auto other = train_step(n, classify, adamw{}, options),
         same = train_step(again, classify, adamw{}, options);
    const auto label = numbered(x.extent(0));
    const auto u = to<cuda>(x);
    const auto v = to<cuda>(label);
    for (int i = 0; i < 3; ++i) {
      const auto expected = step(x, label);
      wide(x, label);
      CHECK(distance(other(u, v), expected) < 2 * unit);
      CHECK(distance(other.engine().gradients(), step.engine().gradients()) < 15 * unit);
      CHECK(distance(other.engine().gradients(), wide.engine().gradients()) < 30 * unit);
      CHECK(distance(n.flat(), m.flat()) < 1e-2);
      same(u, v);
    }
    CHECK(n.flat().to_vector() == again.flat().to_vector());
    CHECK(other.loss_scale() == step.loss_scale());
    CHECK(other.skipped_steps() == 0);
    if (p != precision::f16) return;
    const auto before = n.part(n.weights()[0]).to_vector();  // running statistics are renewed
    auto huge = x.clone();                                   // beyond f16 here and there
    for (i64 i = 0; i < huge.size(); ++i) huge.data()[i] *= 6e4f;
    other(to<cuda>(huge), v);
    CHECK(other.loss_scale() == 512);
    CHECK(other.skipped_steps() == 1);
    CHECK(n.part(n.weights()[0]).to_vector() == before);
  };
  for (precision p : {precision::bf16, precision::f16}) {
    check(perceptron<f32>(), normal(key(1), batch == 64, feature), p);
    check(network<f32>(), images(), p);
  }
}

TEST_CASE("the same bits, whether or not losses are waited for") {
  const auto x = normal<f32, cuda>(key(1), batch == 64, feature);
  const auto label = to<cuda>(numbered(64));
  std::vector<std::vector<f32>> results;
  for (bool wait : {true, false, true}) {
    const auto m = to<cuda>(perceptron<f32>());
    auto step = train_step(m, classify_dropped, adam{}, {.seed = 4, .ema = 0.99});
    for (int i = 1; i <= 30; ++i) {
      step.optimizer().lr = 1e-3 / i;
      const auto loss = step(x, label);
      if (wait) CHECK(std::isfinite(loss.item()));
    }
    results.push_back(m.flat().to_vector());
    for (float w : step.averaged().flat().to_vector()) results.back().push_back(w);
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("a step after the first takes no memory of the device") {
  const auto x = normal<f32, cuda>(key(1), batch == 64, feature);
  const auto label = to<cuda>(numbered(64));
  const auto m = to<cuda>(perceptron<f32>());
  auto step = train_step(m, classify_dropped, adamw{}, {.ema = 0.99, .clip_norm = 1});
  static_cast<void>(step(x, label).item());
  const cuda_code::memory_count before = cuda_code::memory_use();
  for (int i = 0; i < 20; ++i) static_cast<void>(step(x, label));
  cuda::synchronize();
  CHECK(cuda_code::memory_use().used == before.used);
  CHECK(cuda_code::memory_use().most == before.most);
}

TEST_CASE("new values in the same tensors are what the next step sees") {
  const auto x = to<cuda>(normal(key(1), batch == 8, feature));
  const auto label = to<cuda>(numbered(8));
  const auto m = to<cuda>(perceptron<f32>());
  auto step = train_step(m, classify, sgd{.lr = 0});
  std::vector<float> losses;
  for (u64 k = 0; k < 8; ++k) {
    x.copy_from(normal(key(k), batch == 8, feature).values());
    losses.push_back(step(x, label).item());
  }
  for (u64 k = 0; k < 8; ++k) {
    x.copy_from(normal(key(k), batch == 8, feature).values());
    CHECK(step(x, label).item() == losses[k]);
    CHECK((k == 0 || losses[k] != losses[k - 1]));
  }
}

TEST_CASE("weights and a whole training in files, on either backend") {
  const std::string folder = std::filesystem::temp_directory_path().string();
  const auto x = normal<f32, cuda>(key(1), batch == 16, feature);
  const auto label = to<cuda>(numbered(16));
  const auto m = to<cuda>(perceptron<f32>());
  auto step = train_step(m, classify_dropped, adam{}, {.ema = 0.9});
  for (int i = 0; i < 3; ++i) step(x, label);
  save(folder + "/m.safetensors", m);
  save_training(folder + "/t.safetensors", step);
  const auto read = perceptron<f32>();
  load(folder + "/m.safetensors", read);
  CHECK(same_values(read.flat(), m.flat()));
  for (int i = 0; i < 3; ++i) step(x, label);

  const auto again = to<cuda>(perceptron<f32>());
  auto resumed = train_step(again, classify_dropped, adam{}, {.ema = 0.9});
  load_training(folder + "/t.safetensors", resumed);
  CHECK(resumed.steps() == 3);
  CHECK(same_values(again.flat(), read.flat()));
  for (int i = 0; i < 3; ++i) resumed(x, label);
  CHECK(same_values(again.flat(), m.flat()));
  CHECK(same_values(resumed.averaged().flat(), step.averaged().flat()));
  CHECK(refusal([&] {
          load(folder + "/m.safetensors", init<mlp, cuda>(key(0), hidden == 41));
        }).find("fc1") != std::string::npos);
}

inline constexpr auto classify_adapted = [](auto m, auto x, auto label) {
  return cross_entropy(m(x), label);
};

TEST_CASE("adapters are trained alone, and merged") {
  const auto x = normal<f32, cuda>(key(1), batch == 16, feature);
  const auto label = to<cuda>(numbered(16));
  const auto plain = to<cuda>(perceptron<f32>());
  const auto m = adapt<adapters<"*">>(plain, key(2), lora{.path = "fc1", .rank = 4, .alpha = 8});
  auto step = train_step<all_adapters>(m, classify_adapted, adam{.lr = 1e-2});
  const float first = step(x, label).item();
  for (int i = 0; i < 20; ++i) step(x, label);
  CHECK(step(x, label).item() < first);
  CHECK(same_values(m.part("fc1.weight"), plain.part("fc1.weight")));
  auto read = [](auto net, auto a) { return net(a); };
  const auto with = forward(m, read)(x);
  CHECK(distance(forward(merged(m), read)(x), with) < 1e-5);
  CHECK(distance(forward(plain, read)(x), with) > 1e-3);
}

TEST_CASE("two threads train two models") {
  std::vector<std::vector<f32>> results(3);
  auto train = [&](std::size_t t) {
    const auto x = normal<f32, cuda>(key(1), batch == 64, feature);
    const auto label = to<cuda>(numbered(64));
    const auto m = to<cuda>(perceptron<f32>());
    auto step = train_step(m, classify_dropped, adam{}, {.seed = 4});
    for (int i = 0; i < 50; ++i) step(x, label);
    results[t] = m.flat().to_vector();
  };
  train(2);
  std::thread one(train, 0), two(train, 1);
  one.join(), two.join();
  CHECK(results[0] == results[2]);
  CHECK(results[1] == results[2]);
}

}  // namespace
