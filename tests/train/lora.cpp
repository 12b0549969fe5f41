// Low-rank adapters: chosen by path and instance, trained alone, pruned where they are not, merged, saved.
#include <doctest/doctest.h>

#include <flame/io/checkpoint.hpp>
#include <flame/language.hpp>
#include <flame/nn/lora.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include <filesystem>

#include "../support.hpp"

using namespace flame;
using flame::tests::same_bits;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct answer : dim<3> {
} answer;

template <class Place> struct block {
  BOOST_HANA_DEFINE_STRUCT(block, (linear<in<Place, "fc">, feature, feature>, fc));
  constexpr auto operator()(const auto& h) const { return h + tanh(fc(h)); }
};

template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(net, (stack<in<Place, "blocks">, block>, blocks),
                           (linear<in<Place, "head">, feature, answer>, head));
  constexpr auto operator()(const auto& x) const { return head(blocks(carry(x))); }
};

// An adapted member both inside a call without a path and beside it: tied.
template <class Place> struct tied {
  BOOST_HANA_DEFINE_STRUCT(tied, (linear<in<Place, "fc">, feature, feature>, fc));
  struct inner {
    constexpr auto operator()(const auto& x) const { return tied{}.fc(x); }
  };
  constexpr auto operator()(const auto& x) const { return fc(call(inner{}, x)); }
};

using which = adapters<"fc", "head">;
auto run = [](auto m, auto x) { return m(x); };
auto loss = [](auto m, auto x) { return mean(m(x) * m(x)); };

template <class Element> using samples = basic_tensor<host, Element, tag_of<batch>, tag_of<feature>>;
template <class Element = f32> samples<Element> draw(i64 n = 7) {
  return normal<Element>(key(1), batch == n, feature == 8);
}

auto plain() { return init<net, host>(key(0), feature == 8, instances_of("blocks", 3)); }
template <class Element = f32> auto adapted(std::vector<lora> chosen) {
  model_extents e;
  e.axes = {feature == 8};
  e.stacks = {instances_of("blocks", 3)};
  e.adapted = chosen;
  model<net, host, Element, which> m(e);
  for (const weight& w : m.weights()) initialise(m.values(w), w, key(0));
  return m;
}

int products(const program& p) {
  int n = 0;
  for (const program_step& s : p.steps) n += s.library == op::contract && !s.code;
  return n;
}
std::string file(const char* name) { return (std::filesystem::temp_directory_path() / name).string(); }

}  // namespace

TEST_CASE("adapters change nothing until they are trained, then only themselves") {
  auto base = plain();
  auto m = adapt<which>(base, key(5), lora{.path = "blocks.2.*", .rank = 4, .alpha = 8});
  CHECK(same_bits(forward(base, run)(draw()).values(), forward(m, run)(draw()).values()));
  CHECK(m.values("blocks.2.fc.lora_scale")[0] == 2);
  CHECK(m.parameter_count() == base.parameter_count() + 2 * 4 * 8);
  CHECK(m.template parameter_count<all_adapters>() == 2 * 4 * 8);

  auto step = train_step<all_adapters>(m, loss, adamw{.lr = 1e-2, .weight_decay = 0.1});
  const float first = step(draw()).item();
  for (int i = 0; i < 30; ++i) step(draw());
  CHECK(step(draw()).item() < first);
  for (const weight& w : base.weights()) CHECK(same_bits(base.values(w), m.values(w.path)));
  CHECK(m.values("blocks.2.fc.lora_scale")[0] == 2);
  CHECK(step.engine().trained() == 2 * 4 * 8);  // gradients and moments are kept for the adapters alone
  CHECK(m.values("blocks.0.fc.lora_A").empty());

  auto whole = merged(m);
  CHECK_FALSE(whole.has("blocks.2.fc.lora_A"));
  auto a = forward(m, run)(draw()), b = forward(whole, run)(draw());
  for (std::size_t i = 0; i < a.values().size(); ++i)
    CHECK(a.values()[i] == doctest::Approx(b.values()[i]).epsilon(1e-5));
  CHECK_FALSE(same_bits(a.values(), forward(base, run)(draw()).values()));
}

TEST_CASE("what is not adapted costs nothing, forward and backward") {
  auto count = [](auto m) {
    auto step = train_step<all_adapters>(
        m, [](auto n, auto x) { return mean(n(x)); }, sgd{});
    step(draw());
    return products(step.plan());
  };
  // Four products forward, two for each adapter. Backward three for each adapter, and one or two more to
  // reach it: through the head, and through each block behind an adapted one.
  CHECK(count(adapted({{.path = "blocks.2.fc", .rank = 4}})) == 4 + 2 + 3 + 1);
  CHECK(count(adapted({{.path = "blocks.*", .rank = 4}})) == 4 + 3 * 2 + 3 * 3 + 1 + 2 * 2);
  CHECK(count(adapted({{.path = "head", .rank = 4}})) == 4 + 2 + 3);
  CHECK(count(adapted({{.path = "blocks.0.fc", .rank = 4}})) == 4 + 2 + 3 + 1 + 2);

  auto base = plain();
  auto with = forward(base, run);
  auto without = forward(adapted({}), run);
  CHECK(products(with.plan(draw())) == 4);
  CHECK(products(without.plan(draw())) == 4);
  CHECK(with.plan(draw()).steps.size() == without.plan(draw()).steps.size());
  CHECK(same_bits(with(draw()).values(), without(draw()).values()));
  CHECK_THROWS_WITH(train_step<all_adapters>(adapted({}), loss, sgd{}),
                    "flame::train_step: no parameter is trained: those that are chosen have no elements");
}

TEST_CASE("every instance has a rank of its own; gradients against finite differences") {
  auto m =
      adapted<f64>({{.path = "*", .rank = 2, .alpha = 3}, {.path = "blocks.1.fc", .rank = 5, .alpha = 2}});
  std::size_t n = 0;
  for (const weight& w : m.weights())
    if (w.path.ends_with("lora_B"))  // not zero, so that A has a gradient
      initialise(m.values(w), {initial::kind::normal, 0.3}, key(n++));
  CHECK(m.find("blocks.1.fc.lora_A").extents == std::vector<i64>{5, 8});
  CHECK(m.find("head.lora_B").extents == std::vector<i64>{3, 2});
  auto step = train_step<all_adapters>(m, loss, sgd{.lr = 0});
  samples<f64> x = draw<f64>();
  int compared = 0;
  for (const weight& w : m.weights()) {
    if (!w.is_parameter() || w.rank < 0) continue;
    step(x);
    const std::vector<double> gradient(step.gradient(w.path).begin(), step.gradient(w.path).end());
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      double& value = m.values(w)[i];
      const double old = value, h = 1e-5;
      value = old + h;
      const double above = step(x).item();
      value = old - h;
      const double below = step(x).item();
      value = old;
      difference += std::pow((above - below) / (2 * h) - gradient[i], 2), norm += gradient[i] * gradient[i];
    }
    INFO(w.path);
    CHECK(norm > 0);
    CHECK(std::sqrt(difference / norm) < 1e-6);
    ++compared;
  }
  CHECK(compared == 8);
}

TEST_CASE("adapters in files of their own") {
  auto base = plain();
  auto m = adapt<which>(base, key(5), lora{.path = "blocks.1.*", .rank = 2}),
       n = adapt<which>(base, key(6), lora{.path = "blocks.1.*", .rank = 2});
  std::ranges::fill(m.values("blocks.1.fc.lora_B"), 0.5f);
  m.values("blocks.1.fc.lora_scale")[0] = 3;
  save<all_adapters>(file("adapters"), m);
  CHECK(safetensors::reader(file("adapters")).entries().size() == 3);
  load<all_adapters>(file("adapters"), n);
  CHECK(same_bits(m.flat().values(), n.flat().values()));

  auto other = adapt<which>(base, key(6), lora{.path = "blocks.0.*", .rank = 2});
  CHECK_THROWS_WITH_AS(load<all_adapters>(file("adapters"), other),
                       doctest::Contains("has no tensor blocks.0.fc.lora_A"), error);
  auto wider = adapt<which>(base, key(6), lora{.path = "blocks.1.*", .rank = 3});
  CHECK_THROWS_WITH_AS(load<all_adapters>(file("adapters"), wider),
                       doctest::Contains("has shape [2, 8], the model's is [3, 8]"), error);

  save(file("plain"), adapt<which>(base, key(7)));  // adapted nowhere: the base's file
  auto again = plain();
  std::ranges::fill(again.flat().values(), 0.0f);
  load(file("plain"), again);
  CHECK(same_bits(again.flat().values(), base.flat().values()));
}

TEST_CASE("choices that fit nothing are refused") {
  CHECK_THROWS_WITH(
      adapted({{.path = "blocks.3.fc"}}),
      "flame::init: lora{.path = \"blocks.3.fc\"} matches no member that the model's adapters<...> name");
  CHECK_THROWS_WITH(adapted({{.path = "*", .rank = -1}}),
                    "flame::init: lora{.path = \"*\"}: rank is -1, expected 0 or more");
  CHECK_THROWS_WITH(
      (adapt<adapters<"fc", "tail">>(plain(), key(0))),
      "flame::init: adapters<\"tail\"> matches no linear layer or convolution of the model; paths inside "
      "of a stack or an as_function begin there");
  CHECK_THROWS_WITH(adapt<adapters<>>(plain(), key(0), lora{}),
                    "flame::init: lora{.path = \"*\"} matches no member that the model's adapters<...> name");
}

TEST_CASE("an adapted member inside a call without a path is the one beside it") {
  auto m = adapt<adapters<"fc">>(init<tied, host>(key(0), feature == 8), key(5), lora{.rank = 2, .alpha = 2});
  for (const weight& w : m.weights())
    if (w.path == "fc.lora_B") initialise(m.values(w), {initial::kind::normal, 0.3}, key(9));
  auto a = forward(m, run)(draw()), b = forward(merged(m), run)(draw());
  for (std::size_t i = 0; i < a.values().size(); ++i)
    CHECK(a.values()[i] == doctest::Approx(b.values()[i]).epsilon(1e-4));
}
