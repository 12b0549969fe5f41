// Training in bf16 and f16 with f32 weights: by one option, as good as f32, with less memory and as many
// kernels.
#include <doctest/doctest.h>

#include <flame/expr/attention.hpp>
#include <flame/expr/random.hpp>
#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/plan/explain.hpp>
#include <flame/run/create.hpp>
#include <flame/train/resume.hpp>

#include <filesystem>

#include "perceptron.hpp"

using namespace flame;
using namespace flame::tests;

namespace {

auto make(i64 width = 64) { return perceptron(width); }
// Of which third of the features has the largest sum.
labels answers(const samples& x) {
  labels l(std::vector<i64>{x.extent(0)});
  for (i64 i = 0; i < x.extent(0); ++i) {
    float sums[3] = {};
    for (i64 k = 0; k < 12; ++k) sums[k / 4] += x(i, k);
    l.data()[i] = static_cast<i32>(std::max_element(sums, sums + 3) - sums);
  }
  return l;
}

// The losses of so many steps.
std::vector<float> losses(precision p, int steps, const model<net, host>& m) {
  auto step = train_step(m, classify, adamw{.lr = 5e-3}, {.ema = 0.9, .clip_norm = 1, .precision = p});
  std::vector<float> all;
  for (int i = 0; i < steps; ++i) {
    const samples x = draw(64, static_cast<u64>(i));
    all.push_back(step(x, answers(x)).item());
  }
  const std::vector<float> average = copy(step.averaged().flat().values());
  all.insert(all.end(), average.begin(), average.end());
  return all;
}

int steps_of(const program& p, op code) {
  int n = 0;
  for (const program_step& s : p.steps) n += !s.code && s.library == code;
  return n;
}

}  // namespace

TEST_CASE("the loss falls as in f32") {
  auto reference = make();
  const std::vector<float> full = losses(precision::full, 60, reference);
  REQUIRE(full[59] < 0.5f * full[0]);
  for (precision p : {precision::bf16, precision::f16}) {
    CAPTURE(static_cast<int>(p));
    auto m = make();
    const std::vector<float> half = losses(p, 60, m);
    for (std::size_t i = 0; i < 60; ++i) {
      CAPTURE(i);
      CHECK(std::abs(half[i] - full[i]) < 0.02f * full[i] + 0.002f);
    }
    CHECK(half != full);
    auto again = make();
    CHECK(same_bits(half, losses(p, 60, again)));
    CHECK(same_bits(m.flat().values(), again.flat().values()));
  }
}

TEST_CASE("products read 16 bits, losses are f32; no cast has a kernel but the batch's; less memory") {
  auto m = make(256), n = make(256);
  const samples x = draw(512);
  const labels y = answers(x);
  auto full = train_step(m, classify, adamw{});
  auto half = train_step(n, classify, adamw{}, {.precision = precision::bf16});
  full(x, y), half(x, y);
  const program &wide = full.plan(), &narrow = half.plan();
  CHECK(narrow.steps.size() == wide.steps.size() + 1);
  CHECK(steps_of(narrow, op::contract) == 5);
  int updates = 0;
  for (const program_step& s : narrow.steps) {
    if (!s.code && s.library != op::in_range)
      for (const located& t : s.tensors) CHECK(t.element == dtype::bf16);
    for (int i = 0; i < s.tensors.size(); ++i)
      updates += s.writes[i] && s.tensors[i].buffer == 0;  // the weights themselves
  }
  CHECK(updates == 1);
  CHECK(narrow.arena_bytes < 0.65 * static_cast<double>(wide.arena_bytes));
  CHECK(half.working_bytes() < full.working_bytes());
  CHECK(explain(narrow).find(":bf16") != std::string::npos);
  CHECK(explain(wide).find(":bf16") == std::string::npos);
}

TEST_CASE("f16: a step whose gradients overflow is left out, and the scale halves; good steps let it grow") {
  auto m = make();
  auto step =
      train_step(m, classify, adamw{.lr = 1e-2},
                 {.ema = 0.5, .precision = precision::f16, .scaling = {.first = 1024, .interval = 3}});
  const samples x = draw(32);
  const labels y = answers(x);
  samples huge(std::vector<i64>{32, 12});
  huge.fill(6e4f);  // 1024 times its gradients is beyond f16
  CHECK(step.loss_scale() == 1024);
  step(x, y);
  CHECK(step.loss_scale() == 1024);
  CHECK(step.skipped_steps() == 0);
  const std::vector<float> before = copy(m.flat().values());
  const std::vector<float> average = copy(step.averaged().flat().values());
  std::vector<std::vector<float>> moments;
  for (const auto& t : step.engine().moments()) moments.push_back(copy(t.values()));
  const float gradient = step.gradient("fc1.weight")[7];
  for (int i = 1; i <= 2; ++i) {
    step(huge, y);
    CHECK(step.loss_scale() == 1024 / (1 << i));
    CHECK(step.skipped_steps() == i);
  }
  CHECK(same_bits(before, m.flat().values()));
  CHECK(same_bits(average, step.averaged().flat().values()));
  for (std::size_t i = 0; i < moments.size(); ++i)
    CHECK(same_bits(moments[i], step.engine().moments()[i].values()));
  for (int i = 0; i < 2; ++i) {
    step(x, y);
    CHECK(step.loss_scale() == 256);
  }
  CHECK_FALSE(same_bits(before, m.flat().values()));
  step(x, y);
  CHECK(step.loss_scale() == 512);
  CHECK(step.skipped_steps() == 2);

  // What it is scaled by shows in no gradient.
  auto n = make();
  auto other =
      train_step(n, classify, adamw{.lr = 1e-2}, {.precision = precision::f16, .scaling = {.first = 64}});
  other(x, y);
  CHECK(other.gradient("fc1.weight")[7] == doctest::Approx(gradient).epsilon(2e-3));
}

TEST_CASE("f16: gradients too small for it are kept by the scale, and clipping sees them unscaled") {
  auto small = [](auto m, auto x, auto label) { return cross_entropy(m(x), label) * 1e-6; };
  const samples x = draw(32);
  const labels y = answers(x);
  auto gradient = [&](double scale) {
    auto m = make();
    auto step = train_step(m, small, sgd{}, {.precision = precision::f16, .scaling = {.first = scale}});
    step(x, y);
    return step.gradient_norm();
  };
  auto m = make();
  auto full = train_step(m, small, sgd{});
  full(x, y);
  CHECK(gradient(65536) == doctest::Approx(full.gradient_norm()).epsilon(2e-3));
  CHECK(gradient(1) < 0.9 * full.gradient_norm());

  auto n = make();
  const std::vector<float> before = copy(n.flat().values());
  auto step = train_step(n, classify, sgd{.lr = 1}, {.clip_norm = 1e-2, .precision = precision::f16});
  step(x, y);
  double moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    moved += std::pow(static_cast<double>(n.flat().values()[i] - before[i]), 2);
  CHECK(std::sqrt(moved) == doctest::Approx(1e-2).epsilon(2e-3));
}

TEST_CASE("a resumed training has the scale, the copies and the bits of one that never stopped") {
  const std::string file = (std::filesystem::temp_directory_path() / "training.safetensors").string();
  for (precision p : {precision::bf16, precision::f16}) {
    CAPTURE(static_cast<int>(p));
    auto m = make(), n = init<net, host>(key(9), hidden == 64);
    const step_options options{.ema = 0.9, .precision = p, .scaling = {.first = 64, .interval = 4}};
    auto one = train_step(m, classify, adamw{.lr = 1e-2}, options);
    auto run = [](auto& step, int steps) {
      for (int i = 0; i < steps; ++i) {
        const samples x = draw(16, static_cast<u64>(step.steps()));
        step(x, answers(x));
      }
    };
    run(one, 6);
    save_training(file, one);
    run(one, 6);
    auto two = train_step(n, classify, adamw{.lr = 1e-2}, options);
    load_training(file, two);
    CHECK(two.loss_scale() == (p == precision::f16 ? 128 : 1));
    run(two, 6);
    CHECK(same_bits(m.flat().values(), n.flat().values()));
    CHECK(one.loss_scale() == two.loss_scale());
    CHECK(one.loss_scale() == (p == precision::f16 ? 512 : 1));
  }
}

TEST_CASE("weights that others changed are read after refresh()") {
  auto m = make(), n = make();
  const samples x = draw(16);
  const labels y = answers(x);
  auto step = train_step(m, classify, sgd{.lr = 0}, {.precision = precision::bf16});
  auto fresh = train_step(n, classify, sgd{.lr = 0}, {.precision = precision::bf16});
  step(x, y);
  for (auto* one : {&m, &n})
    for (float& v : one->values("fc1.weight")) v *= 2;
  step.refresh(), fresh.refresh();
  CHECK(step(x, y).item() == fresh(x, y).item());
}

// A product gives its result in the type of its operands, and the loss is f32: a cast stands between.
TEST_CASE("a loss that is a product; a product in which no weight has part") {
  const samples x = draw(32);
  auto product = [](auto m, auto a) {
    auto similar = contract(a, a, feature);
    auto y = m(a * similar * 1e-2);
    return contract(y, y);
  };
  auto m = make(), n = make();
  auto full = train_step(m, product, sgd{.lr = 0});
  auto half = train_step(n, product, sgd{.lr = 0}, {.precision = precision::bf16});
  CHECK(half(x).item() == doctest::Approx(full(x).item()).epsilon(1e-2));
  CHECK(half.gradient_norm() == doctest::Approx(full.gradient_norm()).epsilon(1e-2));
  int in_f32 = 0, casts_to_f32 = 0;
  for (const program_step& s : half.plan().steps) {
    if (!s.code && s.tensors.back().element == dtype::f32) {
      ++in_f32;
      for (const located& t : s.tensors) CHECK(t.element == dtype::f32);
    }
    casts_to_f32 += s.code && s.code->body.size() == 2 && s.tensors[0].element == dtype::bf16 &&
                    s.tensors[1].element == dtype::f32;
  }
  CHECK(in_f32 == 1);
  CHECK(casts_to_f32 == 1);
}

TEST_CASE("what cannot be is refused") {
  auto m = init<net, host, f64>(key(0), hidden == 4);
  CHECK_THROWS_WITH((train_step(m, classify, sgd{}, {.precision = precision::bf16})),
                    "flame::train_step: a precision of 16 bits needs a model whose weights are f32");
  auto n = make();
  CHECK_THROWS_WITH_AS(
      (train_step(n, classify, sgd{}, {.precision = precision::f16, .scaling = {.first = 0}})),
      doctest::Contains("needs first > 0"), error);
}

namespace {

inline constexpr struct token : dim<6> {
} token;
inline constexpr struct wide : dim<24> {
} wide;
inline constexpr struct word : dim<7> {
} word;

// Norms of both kinds, a stack, an embedding, a time, attention, dropout: what a policy must not harm.
template <class Place> struct block {
  BOOST_HANA_DEFINE_STRUCT(block, (layer_norm_layer<in<Place, "norm">, wide>, norm),
                           (linear<in<Place, "q">, wide, hidden>, q),
                           (linear<in<Place, "out">, hidden, wide>, out));
  constexpr auto operator()(const auto& h) const {
    auto a = q(norm(h));
    return h + out(flame::attention(a, a, a, token, hidden));
  }
};
template <class Place> struct rich {
  BOOST_HANA_DEFINE_STRUCT(rich, (param<Place, "table", initial::normal<500>, word, wide>, table),
                           (linear<in<Place, "time">, wide, wide>, time),
                           (stack<in<Place, "blocks">, block>, blocks),
                           (batch_norm<in<Place, "norm">, wide>, norm),
                           (linear<in<Place, "last">, wide, answer>, last),
                           (dropout_layer<in<Place, "drop">>, drop));
  constexpr auto operator()(const auto& words, const auto& t, const auto&... key) const {
    auto waves = sin(emit<op::mul>(t * 1000.0, iota<f32>(wide, t) * 0.01));
    auto h = blocks(carry(embedding(table, words) + time(waves)));
    return last(drop(norm(mean(h, token)), 0.1, key...));
  }
};
using sentences = tensor<i32, batch, token>;
using times = tensor<f32, batch>;

auto classify_words = [](auto m, auto words, auto t, auto label, auto k) {
  return cross_entropy(m(words, t + uniform(k, batch) * 1e-3, k), label);
};

}  // namespace

TEST_CASE("norms, a stack, an embedding, times, attention and dropout, with parameters that lie apart") {
  sentences words(std::vector<i64>{32, 6});
  for (i64 i = 0; i < words.size(); ++i) words.data()[i] = static_cast<i32>(i * i % 7);
  labels y(std::vector<i64>{32});
  for (i64 i = 0; i < 32; ++i) y.data()[i] = words(i, 0) % 3;
  const times t = uniform(key(4), batch == 32);
  auto make_rich = [] { return init<rich, host>(key(0), hidden == 16, instances_of("blocks", 3)); };
  auto reference = make_rich();
  auto full = train_step<trainable<"*weight", "table">>(reference, classify_words, adamw{.lr = 3e-3},
                                                        {.seed = 1, .ema = 0.9});
  std::vector<float> expected;
  for (int i = 0; i < 40; ++i) expected.push_back(full(words, t, y).item());
  REQUIRE(expected[39] < 0.5f * expected[0]);
  for (precision p : {precision::bf16, precision::f16}) {
    CAPTURE(static_cast<int>(p));
    auto m = make_rich();
    const std::vector<float> bias = copy(m.values("last.bias"));
    auto step = train_step<trainable<"*weight", "table">>(m, classify_words, adamw{.lr = 3e-3},
                                                          {.seed = 1, .ema = 0.9, .precision = p});
    for (std::size_t i = 0; i < 40; ++i) {
      CAPTURE(i);
      CHECK(std::abs(step(words, t, y).item() - expected[i]) < 0.05f * expected[i] + 0.01f);
    }
    CHECK(same_bits(bias, m.values("last.bias")));
    for (const char* path : {"norm.running_mean", "norm.running_var"}) {
      double difference = 0, whole = 0;
      for (std::size_t i = 0; i < 24; ++i) {
        const double a = m.values(path)[i], b = reference.values(path)[i];
        difference += (a - b) * (a - b), whole += b * b;
      }
      CHECK(std::sqrt(difference / whole) < 0.02);
    }
    const program& narrow = step.plan();
    CHECK(narrow.steps.size() <= full.plan().steps.size() + (p == precision::f16 ? 3 : 0));
    for (const program_step& s : narrow.steps)
      for (int i = 0; i < s.tensors.size(); ++i) {
        const located& l = s.tensors[i];
        if (!s.writes[i] || l.buffer < 0 || narrow.buffers[l.buffer].kind != buffer_kind::arena) continue;
        if (l.rank == 1 && l.axes[0] == axis_ptr<tag_of<wide>>) CHECK(l.element == dtype::f32);  // statistics
      }
  }
}
