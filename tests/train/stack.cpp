// Stacks in training: dropout by instance, running statistics, stacks of stacks; against the same network
// unrolled.
#include <doctest/doctest.h>

#include <flame/io/safetensors.hpp>
#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include <cstdlib>
#include <cstring>
#include <set>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct feature : dim<> {
} feature;

using samples = tensor<f64, batch, feature>;

// ---- Batch norm against PyTorch ----

template <class Place> struct normed {
  BOOST_HANA_DEFINE_STRUCT(normed, (param<Place, "x", initial::zeros, batch, row, column, feature>, x),
                           (batch_norm<in<Place, "norm">, feature>, norm));
};
using image = tensor<f64, batch, row, column, feature>;

std::vector<double> reference(const std::string& name) {
  static const safetensors::reader file(std::string(std::getenv("FLAME_TESTS")) +
                                        "/parity/data/ops.safetensors");
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
double distance(std::span<const double> a, std::span<const double> b) {
  REQUIRE(a.size() == b.size());
  double d = 0, n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d += (a[i] - b[i]) * (a[i] - b[i]), n += b[i] * b[i];
  return std::sqrt(d / n);
}
auto loaded(const std::string& name) {
  auto m = init<normed, host, f64>(key(0), batch == 3, row == 4, column == 5, feature == 6);
  std::ranges::copy(reference(name + ".x"), m.values("x").begin());
  for (const char* part : {"weight", "bias", "running_mean", "running_var"})
    std::ranges::copy(reference(name + "." + part), m.values(std::string("norm.") + part).begin());
  return m;
}

template <class Place> struct normed_linear {
  BOOST_HANA_DEFINE_STRUCT(normed_linear, (linear<in<Place, "fc">, feature, feature>, fc),
                           (batch_norm<in<Place, "norm">, feature>, norm));
  constexpr auto operator()(const auto& x) const { return norm(fc(x)); }
};

// ---- A block with everything that instances must keep apart ----

template <class Place> struct block {
  BOOST_HANA_DEFINE_STRUCT(block, (linear<in<Place, "fc">, feature, feature>, fc),
                           (batch_norm<in<Place, "norm">, feature>, norm));
  constexpr auto operator()(const auto& h, const auto& k) const {
    return h + tanh(dropout<7>(norm(fc(h)), 0.25, k));
  }
};
template <class Place> struct stacked {
  BOOST_HANA_DEFINE_STRUCT(stacked, (stack<in<Place, "blocks">, block>, blocks));
  constexpr auto operator()(const auto& x, const auto& k) const { return blocks(carry(x), keyed(k)); }
};
template <class Place> struct unrolled {
  BOOST_HANA_DEFINE_STRUCT(unrolled, (block<in<Place, "first">>, first),
                           (block<in<Place, "second">>, second));
  constexpr auto operator()(const auto& x, const auto& k) const {
    auto own = flame::detail::own_key<path<"blocks">>(k);  // of the stack
    return second(first(x, fold(own, 0)), fold(own, 1));
  }
};

template <class Place> struct plain_block {
  BOOST_HANA_DEFINE_STRUCT(plain_block, (linear<in<Place, "fc">, feature, feature>, fc));
  constexpr auto operator()(const auto& h) const { return h + tanh(fc(h)); }
};
template <class Place> struct stage {
  BOOST_HANA_DEFINE_STRUCT(stage, (stack<in<Place, "blocks">, plain_block>, blocks));
  constexpr auto operator()(const auto& h) const { return blocks(carry(h)); }
};
template <class Place> struct staged {
  BOOST_HANA_DEFINE_STRUCT(staged, (linear<in<Place, "first">, feature, feature>, first),
                           (stack<in<Place, "stages">, stage>, stages));
  constexpr auto operator()(const auto& x) const { return stages(carry(first(x))); }
};
template <class Place> struct flat {
  BOOST_HANA_DEFINE_STRUCT(flat, (linear<in<Place, "first">, feature, feature>, first),
                           (stack<in<Place, "blocks">, plain_block>, blocks));
  constexpr auto operator()(const auto& x) const { return blocks(carry(first(x))); }
};

auto noisy = [](auto m, auto x, auto k) { return mean(m(x, k) * m(x, k)); };
auto plain = [](auto m, auto x) { return mean(m(x) * m(x)); };

samples draw() { return normal<f64>(key(1), batch == 9, feature == 5); }

}  // namespace

TEST_CASE("batch norm as PyTorch's: the batch's statistics, gradients, running statistics, evaluation") {
  auto m = loaded("batch_norm.train");
  auto step =
      train_step(m, [](auto n, auto d) { return sum(n.norm(n.x + 0 * d) * d); }, sgd{.lr = 0}, {.ema = 0.5});
  image cotangent(std::vector<i64>{3, 4, 5, 6}, reference("batch_norm.train.cotangent"));
  const double loss = step(cotangent).item();
  const std::vector<double> output = reference("batch_norm.train.output");
  double expected = 0;
  for (std::size_t i = 0; i < output.size(); ++i) expected += output[i] * cotangent.values()[i];
  CHECK(loss == doctest::Approx(expected).epsilon(1e-9));
  CHECK(distance(step.gradient("x"), reference("batch_norm.train.gradient.x")) < 1e-9);
  CHECK(distance(step.gradient("norm.weight"), reference("batch_norm.train.gradient.weight")) < 1e-9);
  CHECK(distance(step.gradient("norm.bias"), reference("batch_norm.train.gradient.bias")) < 1e-9);
  CHECK(distance(m.values("norm.running_mean"), reference("batch_norm.train.output_mean")) < 1e-9);
  CHECK(distance(m.values("norm.running_var"), reference("batch_norm.train.output_var")) < 1e-9);
  CHECK(distance(step.averaged().values("norm.running_var"), reference("batch_norm.train.output_var")) <
        1e-9);
  CHECK(m.parameter_count() == 3 * 4 * 5 * 6 + 2 * 6);

  auto n = loaded("batch_norm.eval");
  auto out = forward(n, [](auto p, auto zero) { return p.norm(p.x + zero); })(
      full<f64>(0.0, batch == 3, row == 4, column == 5, feature == 6));
  CHECK(distance(out.values(), reference("batch_norm.eval.output")) < 1e-9);
}

TEST_CASE("a batch without values changes nothing, one of one value no running variance") {
  auto m = init<normed_linear, host, f64>(key(0), feature == 4);
  auto step = train_step(
      m,
      [](auto net, auto x) {
        auto y = net(x);
        return sum(y * y);
      },
      sgd{.lr = 0.1});
  const auto before = m.flat().clone();
  step(zeros<f64>(batch == 0, feature == 4));
  CHECK(std::ranges::equal(m.flat().values(), before.values()));
  step(ones<f64>(batch == 1, feature == 4));
  CHECK(std::ranges::none_of(m.flat().values(), [](double v) { return std::isnan(v); }));
  CHECK(std::ranges::count(m.values("norm.running_var"), 1.0) == 4);
  CHECK(std::ranges::count(m.values("norm.running_mean"), 0.0) == 0);
  step(normal<f64>(key(1), batch == 9, feature == 4));
  CHECK(std::ranges::count(m.values("norm.running_var"), 1.0) == 0);
}

TEST_CASE("a stack trains as the same blocks one by one: dropout, running statistics, moving average") {
  auto a = init<stacked, host, f64>(key(0), feature == 5, instances_of("blocks", 2));
  auto b = init<unrolled, host, f64>(key(0), feature == 5);
  auto twin = [](const std::string& path) {
    return (path.starts_with("blocks.0") ? "first" : "second") + path.substr(std::strlen("blocks.0"));
  };
  for (const weight& w : a.weights()) std::ranges::copy(a.values(w), b.values(twin(w.path)).begin());
  auto one = train_step(a, noisy, adamw{.lr = 1e-2}, {.seed = 3, .ema = 0.9, .clip_norm = 0.1});
  auto two = train_step(b, noisy, adamw{.lr = 1e-2}, {.seed = 3, .ema = 0.9, .clip_norm = 0.1});
  for (int i = 0; i < 3; ++i) CHECK(one(draw()).item() == doctest::Approx(two(draw()).item()).epsilon(1e-12));
  for (const weight& w : a.weights()) {
    INFO(w.path);
    CHECK(distance(a.values(w), b.values(twin(w.path))) < 1e-10);
    CHECK(distance(one.averaged().values(w), two.averaged().values(twin(w.path))) < 1e-10);
  }
  CHECK(distance(a.values("blocks.0.norm.running_var"), a.values("blocks.1.norm.running_var")) > 1e-3);
  const std::vector<double> fresh(5, 1.0);
  CHECK(distance(a.values("blocks.0.norm.running_var"), fresh) > 1e-3);

  SUBCASE("evaluation takes the running statistics") {
    auto read = forward(a, [](auto m, auto x, auto k) { return m(x, k); });
    auto x = draw();
    CHECK(distance(
              read(x, tensor<key>(key(1))).values(),
              forward(b, [](auto m, auto y, auto k) { return m(y, k); })(x, tensor<key>(key(1))).values()) <
          1e-10);
  }
}

namespace {
template <class Place> struct dropping {
  BOOST_HANA_DEFINE_STRUCT(dropping, (param<Place, "value", initial::ones, feature>, value),
                           (dropout_layer<in<Place, "first">>, first),
                           (dropout_layer<in<Place, "second">>, second));
  constexpr auto operator()(const auto& h, const auto&... k) const {
    auto one = h * 0 + value;
    return h + first(one, 0.5, k...) + 10 * second(one, 0.5, k...);
  }
};
template <class Place> struct drops {
  BOOST_HANA_DEFINE_STRUCT(drops, (stack<in<Place, "blocks">, dropping>, blocks));
  constexpr auto operator()(const auto& x, const auto&... k) const { return blocks(carry(x), keyed(k)...); }
};
}  // namespace

TEST_CASE("each instance and each member drops by itself") {
  auto m = init<drops, host, f64>(key(0), feature == 5, instances_of("blocks", 2));
  auto x = zeros<f64>(batch == 40, feature == 5);
  auto masked = forward<true>(m, [](auto n, auto y, auto k) { return n(y, k); })(x, tensor<key>(key(1)));
  std::set<double> seen(masked.values().begin(), masked.values().end());
  CHECK(seen.size() == 9);  // 0, 2, 4 and 0, 20, 40
  double ones = 0;
  for (double v : masked.values()) ones += std::fmod(v, 10) / 2;
  CHECK(ones / 400 == doctest::Approx(0.5).epsilon(0.15));
  auto kept = forward(m, [](auto n, auto y) { return n(y); })(x);
  for (double v : kept.values()) CHECK(v == 22);
}

TEST_CASE("stacks of stacks, of unequal depth, and of no depth") {
  auto a = init<staged, host, f64>(key(0), feature == 5, instances_of("stages", 3),
                                   instances_of("stages.0.blocks", 1), instances_of("stages.1.blocks", 0),
                                   instances_of("stages.2.blocks", 2));
  auto b = init<flat, host, f64>(key(0), feature == 5, instances_of("blocks", 3));
  auto twin = [](const std::string& path) {
    if (path.starts_with("first.")) return path;
    const std::size_t end = std::strlen("stages.0.blocks.0");
    return "blocks." + std::to_string(path[7] == '0' ? 0 : 1 + path[end - 1] - '0') + path.substr(end);
  };
  for (const weight& w : a.weights()) std::ranges::copy(a.values(w), b.values(twin(w.path)).begin());
  auto one = train_step(a, plain, sgd{.lr = 0.1});
  auto two = train_step(b, plain, sgd{.lr = 0.1});
  for (int i = 0; i < 2; ++i) CHECK(one(draw()).item() == doctest::Approx(two(draw()).item()).epsilon(1e-12));
  CHECK(a.weights().size() == 8);
  for (const weight& w : a.weights()) {
    INFO(w.path);
    CHECK(distance(one.gradient(w.path), two.gradient(twin(w.path))) < 1e-10);
  }

  SUBCASE("no instance at all") {
    auto c = init<flat, host, f64>(key(0), feature == 5, instances_of("blocks", 0));
    auto step = train_step(c, plain, sgd{.lr = 0.1});
    const double first = step(draw()).item();
    CHECK(step(draw()).item() < first);
  }
  SUBCASE("one instance trained") {
    auto c = init<flat, host, f64>(key(0), feature == 5, instances_of("blocks", 3));
    auto d = c.clone();
    auto all = train_step(d, plain, sgd{.lr = 0});
    auto step = train_step<trainable<"blocks.1.*">>(c, plain, sgd{.lr = 0.1});
    step(draw()), all(draw());
    CHECK(distance(step.gradient("blocks.1.fc.weight"), all.gradient("blocks.1.fc.weight")) < 1e-12);
    for (const weight& w : c.weights())
      CHECK((distance(c.values(w), d.values(w.path)) > 0) == w.path.starts_with("blocks.1."));
  }
}
