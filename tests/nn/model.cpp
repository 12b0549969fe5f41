// Models as tables of weights: paths, first values as PyTorch's, patterns, sharing, summaries, refusals.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/lora.hpp>
#include <flame/nn/summary.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace flame;

namespace {

inline constexpr struct input_channel : dim<> {
} input_channel;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct hidden : dim<48> {
} hidden;
inline constexpr struct word : dim<> {
} word;
inline constexpr struct stranger : dim<> {
} stranger;

template <class Place> struct block {
  BOOST_HANA_DEFINE_STRUCT(block, (batch_norm<in<Place, "norm">, channel>, norm),
                           (linear<in<Place, "fc">, channel, channel>, fc));
};
template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(net, (convolution_layer<in<Place, "conv">, input_channel, channel, 5>, conv),
                           (linear<in<Place, "fc">, channel, hidden>, fc),
                           (linear<in<Place, "plain">, channel, hidden, false, initial::zeros>, plain),
                           (embedding_table<in<Place, "words">, word, channel>, words),
                           (layer_norm_layer<in<Place, "norm">, channel>, norm),
                           (param<Place, "position", initial::normal<20>, word, channel>, position),
                           (stack<in<Place, "blocks">, block>, blocks));
};

auto make(u64 seed = 0) {
  return init<net, host>(key(seed), input_channel == 3, channel == 64, word == 500,
                         instances_of("blocks", 3));
}

struct moments {
  double mean = 0, deviation = 0, least = 0, most = 0;
};
moments of(std::span<const float> v) {
  moments m;
  for (float x : v) m.mean += static_cast<double>(x) / static_cast<double>(v.size());
  for (float x : v)
    m.deviation += std::pow(static_cast<double>(x) - m.mean, 2) / static_cast<double>(v.size());
  m.deviation = std::sqrt(m.deviation);
  m.least = static_cast<double>(*std::ranges::min_element(v)),
  m.most = static_cast<double>(*std::ranges::max_element(v));
  return m;
}
// The greatest distance of the distribution from a given one (Kolmogorov), times sqrt(n): beyond 1.95 once in
// a thousand.
template <class F> double kolmogorov(std::span<const float> values, F distribution) {
  std::vector<float> v(values.begin(), values.end());
  std::ranges::sort(v);
  double d = 0;
  const double n = static_cast<double>(v.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double f = distribution(static_cast<double>(v[i]));
    d = std::max({d, std::abs(f - static_cast<double>(i) / n), std::abs(f - static_cast<double>(i + 1) / n)});
  }
  return d * std::sqrt(n);
}
bool all(std::span<const float> v, float x) {
  return std::ranges::all_of(v, [&](float y) { return y == x; });
}

static_assert(matches("*", "a.b") && matches("a.*", "a.b.c") && matches("*.c", "a.b.c") &&
              matches("a*c", "abc"));
static_assert(matches("", "") && !matches("", "a") && !matches("a", "") && matches("**", ""));
static_assert(!matches("a.*", "b.a.c") && !matches("*.c", "a.b") && !matches("a", "ab") &&
              matches("*a*b*", "xaybz"));
static_assert(matches("*aab", "aaab"));  // the first try of the star is wrong
static_assert(trainable<"blocks.2.*">::may_have("blocks.fc.weight") && trainable<"2.*">::may_have("fc"));
static_assert(!trainable<"blocks.2.*">::may_have("fc.weight") &&
              trainable<"blocks.fc2.*">::may_have("blocks.fc2.weight"));
static_assert(trainable<"blocks.*">::has("blocks.2.fc.weight", "blocks.fc.weight"));
static_assert(trainable<"blocks.fc.*">::has("blocks.2.fc.weight", "blocks.fc.weight"));
static_assert(!trainable<"blocks.1.*">::has("blocks.2.fc.weight", "blocks.fc.weight") &&
              !trainable<>::has("a", "a"));

}  // namespace

TEST_CASE("first values are PyTorch's: bounds and moments") {
  auto m = make();
  auto uniform = [&](const std::string& path, double bound) {
    INFO(path);
    std::span<const float> v = m.values(path);
    const moments s = of(v);
    CHECK(s.least >= -bound);
    CHECK(s.most <= bound);
    if (v.size() < 1000) {
      CHECK(s.most - s.least > bound);
      return;
    }
    CHECK(s.most > 0.99 * bound);
    CHECK(s.least < -0.99 * bound);
    CHECK(std::abs(s.mean) < 4 * bound / std::sqrt(3.0 * static_cast<double>(v.size())));
    CHECK(kolmogorov(v, [&](double x) { return (x + bound) / (2 * bound); }) < 1.95);
  };
  auto normal = [&](const std::string& path, double deviation) {
    INFO(path);
    CHECK(of(m.values(path)).deviation == doctest::Approx(deviation).epsilon(0.02));
    CHECK(kolmogorov(m.values(path),
                     [&](double x) { return 0.5 * std::erfc(-x / deviation / std::sqrt(2)); }) < 1.95);
  };
  uniform("conv.weight", 1 / std::sqrt(3.0 * 25));  // kaiming_uniform_(a = sqrt 5): 1 / sqrt(fan in)
  uniform("conv.bias", 1 / std::sqrt(3.0 * 25));
  uniform("fc.weight", 1 / 8.0);
  uniform("fc.bias", 1 / 8.0);
  uniform("blocks.1.fc.weight", 1 / 8.0);
  normal("words.weight", 1);
  normal("position", 0.02);
  CHECK(all(m.values("plain.weight"), 0));
  CHECK(all(m.values("norm.weight"), 1));
  CHECK(all(m.values("norm.bias"), 0));
  CHECK(all(m.values("blocks.2.norm.weight"), 1));
  CHECK(all(m.values("blocks.2.norm.running_mean"), 0));
  CHECK(all(m.values("blocks.2.norm.running_var"), 1));
}

TEST_CASE("first values depend on the key and the path alone") {
  auto same = [](std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
  };
  auto m = make(), again = make(), other = make(1);
  CHECK(same(m.flat().values(), again.flat().values()));
  CHECK_FALSE(same(m.values("fc.weight"), other.values("fc.weight")));
  CHECK_FALSE(same(m.values("blocks.0.fc.weight"), m.values("blocks.1.fc.weight")));
  auto deeper =
      init<net, host>(key(0), input_channel == 3, channel == 64, word == 500, instances_of("blocks", 9));
  CHECK(same(m.values("blocks.2.fc.weight"), deeper.values("blocks.2.fc.weight")));
  auto adapted =
      init<net, host, f32, adapters<"fc">>(key(0), input_channel == 3, channel == 64, word == 500,
                                           instances_of("blocks", 3), lora{.path = "*.1.fc", .rank = 2});
  CHECK(same(m.values("blocks.1.fc.weight"), adapted.values("blocks.1.fc.weight")));
  CHECK(adapted.values("blocks.1.fc.lora_A").size() == 2 * 64);
}

TEST_CASE("paths, extents and counts") {
  auto m = make();
  std::vector<std::string> paths;
  for (const weight& w : m.weights()) paths.push_back(w.path);
  CHECK(paths.size() == 9 + 3 * 6);
  CHECK(std::ranges::find(paths, "blocks.2.norm.running_var") != paths.end());
  CHECK(m.find("conv.weight").extents == std::vector<i64>{64, 5, 5, 3});
  CHECK(m.find("blocks.0.fc.weight").extents ==
        std::vector<i64>{64, 64});  // the input axis is as long as the output's
  CHECK(m.find("blocks.0.fc.weight").leaf_name == "blocks.fc.weight");
  const i64 block = 64 * 64 + 64 + 2 * 64;
  CHECK(m.parameter_count() ==
        64 * 75 + 64 + 64 * 48 + 48 + 64 * 48 + 500 * 64 + 2 * 64 + 500 * 64 + 3 * block);
  CHECK(m.template parameter_count<trainable<"blocks.*">>() == 3 * block);
  CHECK(m.template parameter_count<trainable<"blocks.1.fc.*", "fc.bias">>() == 64 * 64 + 64 + 48);
  for (const weight& w : m.weights()) CHECK(w.offset % 16 == 0);
  CHECK_THROWS_WITH(static_cast<void>(m.find("fc9")), "flame::model: it has no parameter fc9");
}

TEST_CASE("copies share their values, clones do not") {
  auto m = make();
  auto copy = m, clone = m.clone();  // NOLINT(performance-unnecessary-copy-initialization)
  m.values("fc.bias")[3] = 42;
  CHECK(copy.values("fc.bias")[3] == 42);
  CHECK(clone.values("fc.bias")[3] != 42);
}

TEST_CASE("a summary shows shapes by name, equal instances on one line, and what is trained") {
  auto m =
      init<net, host, f32, adapters<"fc">>(key(0), input_channel == 3, channel == 64, word == 500,
                                           instances_of("blocks", 4), lora{.path = "blocks.2.fc", .rank = 2});
  const std::string s = summary<trainable<"blocks.*.lora_*", "conv.bias">>(m);
  INFO(s);
  CHECK(s.starts_with("parameter"));
  auto line = [&](const std::string& begin) {
    const std::size_t at = s.find("\n" + begin);
    REQUIRE(at != std::string::npos);
    std::string l = s.substr(at + 1, s.find('\n', at + 1) - at - 1), r;
    for (char c : l)
      if (c != ' ' || (!r.empty() && r.back() != ' ')) r += c;
    return r;
  };
  CHECK(line("conv.weight") == "conv.weight [channel 64, tap_row 5, tap_column 5, input_channel 3] 4,800 no");
  CHECK(line("conv.bias") == "conv.bias [channel 64] 64 yes");
  CHECK(line("blocks.0-3.fc.weight") == "blocks.0-3.fc.weight [channel 64, input_of 64] 4 x 4,096 no");
  CHECK(line("blocks.2.fc.lora_B") == "blocks.2.fc.lora_B [channel 64, lora_rank 2] 128 yes");
  CHECK(line("blocks.0-3.norm.running_var") == "blocks.0-3.norm.running_var [channel 64] 4 x 64 state");
  CHECK(line("blocks.2.fc.lora_scale") == "blocks.2.fc.lora_scale [] 1 state");
  CHECK(s.find("fc.lora_A") == s.rfind("fc.lora_A"));  // what is not adapted is not shown
  CHECK(
      line("parameters:").starts_with("parameters: 92,592, trained: 320, states: 513, 372,420 bytes in f32"));
}

TEST_CASE("what init is not told, or cannot use, is refused by name") {
  CHECK_THROWS_WITH(
      (init<net, host>(key(0), input_channel == 3, word == 5, instances_of("blocks", 1))),
      "flame::init: the extent of axis channel of conv.weight is known only at run time; give it, as in "
      "init<net>(key, channel == 256)");
  CHECK_THROWS_WITH((init<net, host>(key(0), input_channel == 3, channel == 4, word == 5, stranger == 16,
                                     instances_of("blocks", 1))),
                    "flame::init: stranger == 16 is given, and no parameter has the axis stranger");
  CHECK_THROWS_WITH((init<net, host>(key(0), input_channel == 3, channel == 4, word == 5, hidden == 16,
                                     instances_of("blocks", 1))),
                    "flame::init: hidden == 16 is given, its type says 48");
  CHECK_NOTHROW((init<net, host>(key(0), input_channel == 3, channel == 4, word == 5, hidden == 48,
                                 instances_of("blocks", 1))));
  CHECK_NOTHROW((init<net, host>(key(0), input_channel == 3, channel == 4, word == 5, stranger == 16,
                                 instances_of("blocks", 0))));  // the blocks could have had it
  CHECK_THROWS_WITH((init<net, host>(key(0), input_channel == 3, channel == 4, word == 5)),
                    "flame::init: the number of instances of the stack blocks is not given; add "
                    "instances_of(\"blocks\", n)");
  CHECK_THROWS_WITH(
      (init<net, host>(key(0), input_channel == 3, channel == 4, word == 5, instances_of("blocks", -1))),
      "flame::init: the stack blocks cannot have -1 instances");
}
