// States that a step renews by each other's old values, or by their own in another order.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include <vector>

using namespace flame;

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<3> {
} row;
inline constexpr struct column : dim<3> {
} column;
inline constexpr struct other : dim<3> {
} other;

using samples = tensor<f32, batch, column>;

// The value of a state as a value of the function that is traced.
auto old = [](const auto& state, const auto& x) { return flame::detail::beside(state, x); };

template <class Place> struct exchanging {
  BOOST_HANA_DEFINE_STRUCT(exchanging, (param<Place, "weight", initial::ones, column>, weight),
                           (state<Place, "a", initial::zeros, row, column>, a),
                           (state<Place, "b", initial::zeros, row, column>, b),
                           (state<Place, "c", initial::zeros, row, column>, c));
};

auto exchange = [](auto m, auto x) {
  assign(m.a, old(m.b, x));
  assign(m.b, old(m.a, x));
  return mean(x * m.weight);
};
auto turn = [](auto m, auto x) {
  assign(m.a, old(m.b, x));
  assign(m.b, old(m.c, x));
  assign(m.c, old(m.a, x));
  return mean(x * m.weight);
};
auto shift = [](auto m, auto x) {  // each is read before it is written: nothing has to be kept
  assign(m.a, old(m.b, x));
  assign(m.b, old(m.c, x));
  return mean(x * m.weight);
};
auto transpose_own = [](auto m, auto x) {
  assign(m.a,
         rename(rename(rename(permute(old(m.a, x), column, row), column, other), row, column), other, row));
  return mean(x * m.weight);
};

// A state of each instance takes what the instance before it had.
template <class Place> struct handing_on {
  BOOST_HANA_DEFINE_STRUCT(handing_on, (param<Place, "weight", initial::ones, column>, weight),
                           (state<Place, "kept", initial::zeros, column>, kept));
  constexpr auto operator()(const auto& h, const auto& given) const {
    auto mine = old(kept, h);
    assign(kept, given);
    return std::tuple{h * weight, mine};
  }
};
template <class Place> struct chain {
  BOOST_HANA_DEFINE_STRUCT(chain, (state<Place, "first", initial::zeros, column>, first),
                           (stack<in<Place, "blocks">, handing_on>, blocks));
};
auto hand_on = [](auto m, auto x) {
  auto [h, last] = m.blocks(carry(x), carry(old(m.first, x)));
  assign(m.first, last);
  return mean(h);
};

std::vector<float> values(const auto& m, const char* path) {
  const auto v = m.values(path);
  return {v.begin(), v.end()};
}
void fill(auto& m, const char* path, float first) {
  for (float& v : m.values(path)) v = first, first += 1.0009765625f;  // not a number of bf16
}
i64 plain_copies(const program& p) {
  i64 n = 0;
  for (const program_step& s : p.steps) n += s.code != nullptr && s.code->body.size() == 2;
  return n;
}

}  // namespace

TEST_CASE("states are exchanged, in any precision") {
  for (precision stored : {precision::full, precision::bf16}) {
    auto m = init<exchanging, host>(key(0));
    fill(m, "a", 1), fill(m, "b", 101), fill(m, "c", 201);
    const auto a = values(m, "a"), b = values(m, "b"), c = values(m, "c");
    auto step = train_step(m, exchange, sgd{}, {.precision = stored});
    const auto x = ones<f32>(batch == 4, column);
    step(x);
    CHECK(values(m, "a") == b);
    CHECK(values(m, "b") == a);
    CHECK(values(m, "c") == c);
    step(x);
    CHECK(values(m, "a") == a);
    CHECK(values(m, "b") == b);
  }
}

TEST_CASE("three states are turned round") {
  auto m = init<exchanging, host>(key(0));
  fill(m, "a", 1), fill(m, "b", 101), fill(m, "c", 201);
  const auto a = values(m, "a"), b = values(m, "b"), c = values(m, "c");
  auto step = train_step(m, turn, sgd{});
  step(ones<f32>(batch == 4, column));
  CHECK(values(m, "a") == b);
  CHECK(values(m, "b") == c);
  CHECK(values(m, "c") == a);
}

TEST_CASE("a state is renewed by itself, its axes exchanged") {
  auto m = init<exchanging, host>(key(0));
  fill(m, "a", 1);
  const auto a = values(m, "a");
  auto step = train_step(m, transpose_own, sgd{});
  step(ones<f32>(batch == 4, column));
  const auto now = values(m, "a");
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 3; ++k) CHECK(now[3 * i + k] == a[3 * k + i]);
}

TEST_CASE("instances of a stack hand their states on") {
  auto m = init<chain, host>(key(0), instances_of("blocks", 3));
  fill(m, "first", 1);
  fill(m, "blocks.0.kept", 11), fill(m, "blocks.1.kept", 21), fill(m, "blocks.2.kept", 31);
  const char* paths[] = {"first", "blocks.0.kept", "blocks.1.kept", "blocks.2.kept"};
  std::vector<std::vector<float>> before;
  for (const char* path : paths) before.push_back(values(m, path));
  auto step = train_step(m, hand_on, sgd{.lr = 0});
  step(ones<f32>(batch == 4, column));
  for (std::size_t i = 0; i < 4; ++i) CHECK(values(m, paths[i]) == before[(i + 3) % 4]);
}

TEST_CASE("what no other state reads is written once") {
  auto m = init<exchanging, host>(key(0));
  fill(m, "b", 101), fill(m, "c", 201);
  const auto b = values(m, "b"), c = values(m, "c");
  auto shifted = train_step(m, shift, sgd{});
  shifted(ones<f32>(batch == 4, column));
  CHECK(values(m, "a") == b);
  CHECK(values(m, "b") == c);
  auto exchanged = train_step(m, exchange, sgd{});
  exchanged(ones<f32>(batch == 4, column));
  CHECK(plain_copies(shifted.plan()) == 2);
  CHECK(plain_copies(exchanged.plan()) == 3);
}
