// Optimizers, clipping and schedules: trajectories against PyTorch's, in f64 and f32.
#include <doctest/doctest.h>

#include <flame/io/safetensors.hpp>
#include <flame/language.hpp>
#include <flame/nn/linear.hpp>
#include <flame/optim/schedule.hpp>
#include <flame/train/step.hpp>

#include <cstdlib>
#include <nlohmann/json.hpp>

using namespace flame;

namespace {

using json = nlohmann::json;

inline constexpr struct entry : dim<> {
} entry;

// A model whose gradient is given: the loss <weight, given>.
template <class Place> struct vector_model {
  BOOST_HANA_DEFINE_STRUCT(vector_model, (param<Place, "weight", initial::zeros, entry>, weight));
};
auto dot = [](auto m, auto given) { return sum(m.weight * given); };

struct cases {
  safetensors::reader file{std::string(std::getenv("FLAME_TESTS")) + "/parity/data/optim.safetensors"};

  [[nodiscard]] json attributes(const std::string& name) const {
    return json::parse(file.metadata().at(name));
  }
  [[nodiscard]] std::vector<double> values(const std::string& name) const {
    const safetensors::tensor_entry& e = file.at(name);
    const std::size_t size = e.dtype == safetensors::dtype::f64 ? 8 : 4;
    std::vector<double> v(e.bytes / size);
    for (std::size_t i = 0; i < v.size(); ++i) {
      float f;
      if (size == 8)
        std::memcpy(&v[i], e.data + 8 * i, 8);
      else
        std::memcpy(&f, e.data + 4 * i, 4), v[i] = static_cast<double>(f);
    }
    return v;
  }
};

// Five steps of PyTorch's, element by element.
template <class Element, class Optimizer>
void follow(const cases& c, const std::string& name, const Optimizer& o, double tolerance) {
  INFO(name);
  const std::vector<double> start = c.values(name + ".parameter"), given = c.values(name + ".gradient"),
                            expected = c.values(name + ".output");
  const std::size_t n = start.size(), steps = given.size() / n;
  auto m = init<vector_model, host, Element>(key(0), entry == static_cast<i64>(n));
  std::span<Element> p = m.values("weight");
  for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<Element>(start[i]);
  auto step = train_step(m, dot, o);
  basic_tensor<host, Element, tag_of<entry>> g(std::vector<i64>{static_cast<i64>(n)});
  REQUIRE(steps == 5);
  for (std::size_t s = 0; s < steps; ++s) {
    for (std::size_t i = 0; i < n; ++i) g.data()[i] = static_cast<Element>(given[s * n + i]);
    step(g);
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double want = expected[s * n + i], have = static_cast<double>(p[i]);
      difference += (have - want) * (have - want), norm += want * want;
    }
    INFO("step ", s + 1);
    CHECK(std::sqrt(difference / norm) <= tolerance);
  }
}

template <class Element> void all(double tolerance) {
  const cases c;
  int followed = 0;
  for (const auto& [name, text] : c.file.metadata()) {
    const json a = json::parse(text);
    auto number = [&](const char* k, double otherwise) {
      return a.contains(k) ? a[k].get<double>() : otherwise;
    };
    auto beta = [&](std::size_t i, double otherwise) {
      return a.contains("betas") ? a["betas"][i].get<double>() : otherwise;
    };
    if (name.starts_with("sgd."))
      follow<Element>(c, name,
                      sgd{.lr = number("lr", 1e-3),
                          .momentum = number("momentum", 0),
                          .weight_decay = number("weight_decay", 0),
                          .dampening = number("dampening", 0),
                          .nesterov = a.value("nesterov", false)},
                      tolerance);
    else if (name.starts_with("adam."))
      follow<Element>(c, name,
                      adam{.lr = number("lr", 1e-3),
                           .beta1 = beta(0, 0.9),
                           .beta2 = beta(1, 0.999),
                           .eps = number("eps", 1e-8),
                           .weight_decay = number("weight_decay", 0)},
                      tolerance);
    else if (name.starts_with("adamw."))
      follow<Element>(c, name,
                      adamw{.lr = number("lr", 1e-3),
                            .beta1 = beta(0, 0.9),
                            .beta2 = beta(1, 0.999),
                            .eps = number("eps", 1e-8),
                            .weight_decay = number("weight_decay", 1e-2)},
                      tolerance);
    else
      continue;
    ++followed;
  }
  CHECK(followed == 9);
}

using vector = basic_tensor<host, f64, tag_of<entry>>;

}  // namespace

TEST_CASE("trajectories in f64") { all<f64>(1e-12); }
TEST_CASE("trajectories in f32") { all<f32>(1e-6); }

// The parameters are moved to where the reference has them by gradients that are the difference, at rate 1.
TEST_CASE("moving average") {
  const cases c;
  const std::vector<double> start = c.values("ema.plain.average"), moved = c.values("ema.plain.parameter"),
                            expected = c.values("ema.plain.output");
  const std::size_t n = start.size();
  auto m = init<vector_model, host, f64>(key(0), entry == static_cast<i64>(n));
  std::span<f64> p = m.values("weight");
  std::ranges::copy(start, p.begin());
  auto step = train_step(m, dot, sgd{.lr = 1}, {.ema = c.attributes("ema.plain")["decay"].get<double>()});
  vector g(std::vector<i64>{static_cast<i64>(n)});
  for (std::size_t s = 0; s < moved.size() / n; ++s) {
    for (std::size_t i = 0; i < n; ++i) g.data()[i] = p[i] - moved[s * n + i];
    step(g);
    auto average = step.averaged();
    for (std::size_t i = 0; i < n; ++i)
      CHECK(average.values("weight")[i] == doctest::Approx(expected[s * n + i]).epsilon(1e-12));
  }
  CHECK_THROWS_WITH(static_cast<void>(train_step(m, dot, sgd{}).averaged()),
                    "flame::train_step: averaged() needs a moving average; set .ema in its options");
}

TEST_CASE("clipping scales gradients down to a norm, and never up") {
  auto m = init<vector_model, host, f64>(key(0), entry == 2);
  auto step = train_step(m, dot, sgd{.lr = 1}, {.clip_norm = 1});
  step(vector{3, 4});  // norm 5
  CHECK(m.values("weight")[0] == doctest::Approx(-0.6).epsilon(1e-6));
  CHECK(m.values("weight")[1] == doctest::Approx(-0.8).epsilon(1e-6));
  CHECK(step.gradient("weight")[1] == 4);
  CHECK(step.gradient_norm() == 5);
  std::ranges::fill(m.values("weight"), 0.0);
  step(vector{0.3, 0.4});
  CHECK(m.values("weight")[0] == -0.3);
  std::ranges::fill(m.values("weight"), 0.0);
  step(vector{0, 0});
  CHECK(m.values("weight")[0] == 0);
}

TEST_CASE("an optimizer's settings may change between steps") {
  auto m = init<vector_model, host, f64>(key(0), entry == 1);
  auto step = train_step(m, dot, sgd{.lr = 1});
  step(vector{1});
  step.optimizer().lr = 0.25;
  step(vector{1});
  CHECK(m.values("weight")[0] == -1.25);
  CHECK(step.steps() == 2);
}

TEST_CASE("schedules") {
  CHECK(constant_schedule{.peak = 2, .warmup = 4}(1) == 0.5);
  CHECK(constant_schedule{.peak = 2, .warmup = 4}(4) == 2);
  CHECK(constant_schedule{.peak = 2, .warmup = 4}(9) == 2);
  CHECK(constant_schedule{.peak = 2}(1) == 2);
  const linear_schedule line{.peak = 2, .total = 110, .warmup = 10, .last = 1};
  CHECK(line(5) == doctest::Approx(1));
  CHECK(line(10) == doctest::Approx(2));
  CHECK(line(60) == doctest::Approx(1.5));
  CHECK(line(110) == 1);
  CHECK(line(999) == 1);

  const cosine_schedule rate{.peak = 2, .total = 110, .warmup = 10, .last = 0.5};
  CHECK(rate(1) == doctest::Approx(0.2));
  CHECK(rate(10) == doctest::Approx(2));
  CHECK(rate(60) == doctest::Approx(1.25));  // half way
  CHECK(rate(35) == doctest::Approx(0.5 + 1.5 * (0.5 + 0.5 * std::cos(3.14159265358979 / 4))));
  CHECK(rate(110) == doctest::Approx(0.5));
  CHECK(rate(1000) == doctest::Approx(0.5));
  CHECK(cosine_schedule{.peak = 1, .total = 0}(1) == doctest::Approx(0));  // no division by zero
}
