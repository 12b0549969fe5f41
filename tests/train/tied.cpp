// Members in one Place are tied: one weight, which begins once, is saved once and is trained by all its uses.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/summary.hpp>
#include <flame/run/create.hpp>
#include <flame/train/resume.hpp>
#include <flame/train/step.hpp>

#include <algorithm>
#include <filesystem>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct word : dim<> {
} word;
inline constexpr struct channel : dim<> {
} channel;

// Reads words and gives scores of words (Press and Wolf 2017), in a block of a stack too.
template <class Place> struct inner {
  BOOST_HANA_DEFINE_STRUCT(inner, (linear<in<Place, "fc">, channel, channel>, fc),
                           (linear<in<Place, "fc">, channel, channel>, again));
  constexpr auto operator()(const auto& h) const { return h + fc(tanh(again(h))); }
};
template <class Place> struct tied {
  BOOST_HANA_DEFINE_STRUCT(tied, (embedding_table<in<Place, "words">, word, channel>, words),
                           (stack<in<Place, "blocks">, inner>, blocks),
                           (linear<in<Place, "words">, channel, word, false>, scores));
  constexpr auto operator()(const auto& index) const { return scores(blocks(carry(words(index)))); }
};
template <class Place> struct free_block {
  BOOST_HANA_DEFINE_STRUCT(free_block, (linear<in<Place, "fc">, channel, channel>, fc),
                           (linear<in<Place, "again">, channel, channel>, again));
  constexpr auto operator()(const auto& h) const { return h + fc(tanh(again(h))); }
};
template <class Place> struct untied {
  BOOST_HANA_DEFINE_STRUCT(untied, (embedding_table<in<Place, "words">, word, channel>, words),
                           (stack<in<Place, "blocks">, free_block>, blocks),
                           (linear<in<Place, "scores">, channel, word, false>, scores));
  constexpr auto operator()(const auto& index) const { return scores(blocks(carry(words(index)))); }
};
// The head comes first, and is another tensor than the table.
template <class Place> struct clash {
  BOOST_HANA_DEFINE_STRUCT(clash, (linear<in<Place, "words">, word, channel, false>, scores),
                           (embedding_table<in<Place, "words">, word, channel>, words));
};

template <template <class> class Net> auto make(u64 seed = 0) {
  return init<Net, host, f64>(key(seed), word == 7, channel == 5, instances_of("blocks", 2));
}
auto loss = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };

tensor<i32, batch> numbered(i64 step) {
  tensor<i32, batch> l(std::vector<i64>{6});
  for (i64 i = 0; i < 6; ++i) l.data()[i] = static_cast<i32>(i * step % 7);
  return l;
}

}  // namespace

TEST_CASE("a tied parameter is one weight, that of the member that comes first") {
  auto m = make<tied>();
  std::vector<std::string> paths;
  for (const weight& w : m.weights()) paths.push_back(w.path);
  CHECK(paths == std::vector<std::string>{"words.weight", "blocks.0.fc.weight", "blocks.0.fc.bias",
                                          "blocks.1.fc.weight", "blocks.1.fc.bias"});
  CHECK(m.parameter_count() == 35 + 2 * 30);
  CHECK(m.find("words.weight").init.kind == initial::kind::normal);  // as a table begins
  CHECK(summary(m).find("parameters: 95,") != std::string::npos);
  CHECK_THROWS_WITH((init<clash, host>(key(0), word == 7, channel == 5)),
                    "flame::init: two members of the model stand in the Place of words.weight, with "
                    "different axes");
}

TEST_CASE("the gradient of a tied parameter is the sum over its uses, and one update moves all of them") {
  auto m = make<tied>();
  auto n = make<untied>(1);
  auto set = [&](const std::string& to, const std::string& from) {
    std::ranges::copy(m.values(from), n.values(to).begin());
  };
  set("words.weight", "words.weight"), set("scores.weight", "words.weight");
  for (const char* fc :
       {"blocks.0.fc.weight", "blocks.0.fc.bias", "blocks.1.fc.weight", "blocks.1.fc.bias"}) {
    std::string again = fc;
    again.replace(again.find("fc"), 2, "again");
    set(fc, fc), set(again, fc);
  }
  auto step = train_step(m, loss, sgd{.lr = 0.5});
  auto other = train_step(n, loss, sgd{.lr = 0});
  const std::vector<double> before(m.values("words.weight").begin(), m.values("words.weight").end());
  const double first = step(numbered(2), numbered(3)).item();
  CHECK(first == doctest::Approx(other(numbered(2), numbered(3)).item()).epsilon(1e-12));
  auto sum_of = [&](const std::string& path, const std::string& a, const std::string& b) {
    INFO(path);
    auto g = step.gradient(path), x = other.gradient(a), y = other.gradient(b);
    REQUIRE(g.size() == x.size());
    double most = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      CHECK(g[i] == doctest::Approx(x[i] + y[i]).epsilon(1e-10));
      most = std::max(most, std::min(std::abs(x[i]), std::abs(y[i])));
    }
    CHECK(most > 1e-4);  // both uses have a part in it
  };
  sum_of("words.weight", "words.weight", "scores.weight");
  sum_of("blocks.1.fc.weight", "blocks.1.fc.weight", "blocks.1.again.weight");
  sum_of("blocks.0.fc.bias", "blocks.0.fc.bias", "blocks.0.again.bias");
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(m.values("words.weight")[i] ==
          doctest::Approx(before[i] - 0.5 * step.gradient("words.weight")[i]).epsilon(1e-12));
  CHECK(step(numbered(2), numbered(3)).item() < first);
}

TEST_CASE("a tied parameter is saved once, and what is read is in all its uses") {
  auto m = make<tied>(), n = make<tied>(1);
  const std::string path = (std::filesystem::temp_directory_path() / "tied.safetensors").string();
  save(path, m);
  safetensors::reader file(path);
  CHECK(file.entries().size() == 5);
  CHECK(file.find("words.weight"));
  CHECK_FALSE(file.find("scores.weight"));
  load(path, n);
  auto scores = [](auto net, auto x) { return net(x); };
  auto a = forward(m, scores)(numbered(2)), b = forward(n, scores)(numbered(2));
  CHECK(std::ranges::equal(a.values(), b.values()));
}
