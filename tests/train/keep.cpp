// What of a block's forward is kept for its backward: the same gradients, other memory and other work.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/stack.hpp>
#include <flame/nn/summary.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include "../support.hpp"

using namespace flame;
using flame::tests::same_bits;

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
template <class Place, keep Kept> struct called {
  BOOST_HANA_DEFINE_STRUCT(called, (as_function<in<Place, "first">, block, Kept>, first),
                           (as_function<in<Place, "second">, block, Kept>, second));
  constexpr auto operator()(const auto& x) const { return second(first(x)); }
};
template <class Place> struct drops {
  BOOST_HANA_DEFINE_STRUCT(drops, (dropout_layer<in<Place, "drop">>, drop),
                           (linear<in<Place, "fc">, feature, feature>, fc));
  constexpr auto operator()(const auto& x, const auto& k) const { return drop(x, 0.5, k) + fc(x) * 0.0; }
};
template <class Place> struct dropping {
  BOOST_HANA_DEFINE_STRUCT(dropping, (as_function<in<Place, "a">, drops>, a),
                           (as_function<in<Place, "b">, drops>, b), (stack<in<Place, "c">, drops>, c),
                           (stack<in<Place, "d">, drops>, d));
};
template <class Place> struct levels {
  template <class P> using level = stacked<P, keep::caller>;
  BOOST_HANA_DEFINE_STRUCT(levels, (as_function<in<Place, "levels.1">, level>, one),
                           (as_function<in<Place, "levels.2">, level>, two));
  constexpr auto operator()(const auto& x) const { return two(one(x)); }
};
template <class Place> using stack_caller = stacked<Place, keep::caller>;
template <class Place> using stack_all = stacked<Place, keep::all>;
template <class Place> using stack_cut = stacked<Place, keep::cut>;
template <class Place> using stack_inputs = stacked<Place, keep::inputs>;
template <class Place> using call_cut = called<Place, keep::cut>;
template <class Place> using call_inputs = called<Place, keep::inputs>;

struct trained {
  float loss;
  std::vector<float> gradients;
  i64 arena;
  int products;
};
template <template <class> class Net, class... Given> trained one_step(const Given&... given) {
  auto m = init<Net, host>(key(0), feature == 16, hidden == 64, given...);
  auto step = train_step(
      m, [](auto n, auto x) { return mean(n(x) * n(x)); }, sgd{.lr = 0});
  trained t;
  t.loss = step(normal<f32>(key(1), batch == 32, feature == 16)).item();
  for (const weight& w : m.weights()) {
    const auto g = step.gradient(w.path);
    t.gradients.insert(t.gradients.end(), g.begin(), g.end());
  }
  t.arena = step.plan().arena_bytes;
  t.products = 0;
  for (const program_step& s : step.plan().steps) t.products += s.library == op::contract && !s.code;
  return t;
}

// Equal but for the order of sums.
void expect_same(const trained& a, const trained& b) {
  CHECK(a.loss == doctest::Approx(b.loss).epsilon(1e-6));
  REQUIRE(a.gradients.size() == b.gradients.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.gradients.size(); ++i)
    difference += std::pow(a.gradients[i] - b.gradients[i], 2), norm += std::pow(b.gradients[i], 2);
  CHECK(norm > 0);
  CHECK(std::sqrt(difference / norm) < 1e-6);
}

}  // namespace

TEST_CASE("a stack keeps everything, what is costly, or its inputs alone") {
  const auto eight = instances_of("blocks", 8);
  const trained caller = one_step<stack_caller>(eight), all = one_step<stack_all>(eight),
                cut = one_step<stack_cut>(eight), inputs = one_step<stack_inputs>(eight);
  for (const trained& t : {caller, all, inputs}) expect_same(t, cut);
  CHECK(caller.arena == cut.arena);
  CHECK(caller.products == cut.products);
  CHECK(all.products == cut.products);
  CHECK(cut.arena < all.arena);
  // Of each block two products are computed again, but for the last one's last, which no gradient needs.
  CHECK(inputs.products > cut.products);
  CHECK(inputs.products <= cut.products + 2 * 8);
  CHECK(2 * inputs.arena < cut.arena);
  MESSAGE("arena: all ", all.arena, ", cut ", cut.arena, ", inputs ", inputs.arena, "; products ",
          cut.products, " and ", inputs.products);
}

TEST_CASE("blocks that are functions of their own") {
  const trained cut = one_step<call_cut>(), inputs = one_step<call_inputs>();
  expect_same(inputs, cut);
  CHECK(inputs.products > cut.products);
  CHECK(inputs.arena < cut.arena);
  auto m = init<call_cut, host>(key(0), feature == 16, hidden == 64);
  CHECK(m.has("first.fc1.weight"));
  CHECK(m.find("second.norm.bias").extents == std::vector<i64>{16});
  CHECK(m.weights().size() == 12);
}

TEST_CASE("stacks inside of functions: each has its own number of instances") {
  const trained t = one_step<levels>(instances_of("levels.1.blocks", 3), instances_of("levels.2.blocks", 1));
  CHECK(t.products == 2 * 4 + 4 * 4);
  auto m = init<levels, host>(key(0), feature == 16, hidden == 64, instances_of("levels.1.blocks", 3),
                              instances_of("levels.2.blocks", 1));
  CHECK(m.find("levels.1.blocks.2.fc1.weight").extents == std::vector<i64>{64, 16});
  const std::string table = summary(m);
  CHECK(table.find("levels.1.blocks.0-2.fc1.weight") != table.npos);
  CHECK(table.find("levels.2.blocks.0.fc1.weight") != table.npos);
}

TEST_CASE("every member has random draws of its own") {
  auto m = init<dropping, host>(key(0), feature == 16, instances_of("c", 1), instances_of("d", 1));
  auto x = ones<f32>(batch == 32, feature == 16);
  auto difference = [&](auto loss) { return train_step(m, loss, sgd{.lr = 0})(x).item(); };
  // Draws of 0 and 2 with even chances differ by 2 in half of the places.
  CHECK(difference([](auto n, auto v, auto k) {
          auto d = n.a(v, k) - n.b(v, k);
          return mean(d * d);
        }) > 1);
  CHECK(difference([](auto n, auto v, auto k) {
          auto d = n.c(carry(v), keyed(k)) - n.d(carry(v), keyed(k));
          return mean(d * d);
        }) > 1);
  CHECK(difference([](auto n, auto v, auto k) {
          auto d = n.a(v, k) - n.c(carry(v), keyed(k));
          return mean(d * d);
        }) > 1);
  CHECK(difference([](auto n, auto v, auto k) {
          auto d = n.a(v, k) - n.a(v, k);
          return mean(d * d);
        }) == 0);
}
