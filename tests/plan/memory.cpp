// The memory plan: results written over operands that die, an order in which little is alive, the same bits
// as with memory of its own for every value.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <cstring>

namespace memory_test {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct head_dim : dim<24> {
} head_dim;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct x : input<f32, batch, token, channel> {
} x;
inline constexpr struct up : input<f32, feature, channel> {
} up;
inline constexpr struct down : input<f32, channel, feature> {
} down;
inline constexpr struct bias : input<f32, channel> {
} bias;
inline constexpr struct query : dim<49> {
} query;
inline constexpr struct one_query : dim<1> {
} one_query;
inline constexpr struct key_place : dim<49> {
} key_place;
inline constexpr struct wide_feature : dim<4096> {
} wide_feature;
inline constexpr struct many : input<f32, batch, head, query, head_dim> {
} many;
inline constexpr struct few : input<f32, batch, head, one_query, head_dim> {
} few;
inline constexpr struct keys : input<f32, batch, head, key_place, head_dim> {
} keys;
inline constexpr struct wide : input<f32, wide_feature, channel> {
} wide;

// Runs a program; its external buffers hold `given` in their order, the last of them are results.
std::vector<std::vector<float>> run(const program& p, std::vector<std::vector<float>> given) {
  std::vector<void*> externals(static_cast<std::size_t>(p.buffers.size()), nullptr);
  for (std::size_t i = 0; i < given.size(); ++i) externals[i] = given[i].data();
  host_code::arena memory;
  // Nothing that a step reads may be there by chance.
  std::memset(memory.reserve(p.arena_bytes), 0xFF, static_cast<std::size_t>(p.arena_bytes));
  host_code::executable(program(p)).run(externals, memory);
  return given;
}

// The same program without any sharing of memory.
program apart(program p) {
  p.arena_bytes = 0;
  for (int b = 0; b < p.buffers.size(); ++b) {
    buffer& at = p.buffers[b];
    if (at.kind != buffer_kind::arena) continue;
    at.home = b;
    at.offset = p.arena_bytes;
    p.arena_bytes += (at.bytes + 63) / 64 * 64;
  }
  return p;
}

int taken_over(const program& p) {
  int n = 0;
  for (int b = 0; b < p.buffers.size(); ++b)
    n += p.buffers[b].kind == buffer_kind::arena && p.buffers[b].first >= 0 && p.buffers[b].home != b;
  return n;
}

// Shared or apart, the results are the same bits. Returns how many buffers took over another's memory.
int check_same_bits(const program& p) {
  std::vector<std::vector<float>> given;
  for (int b = 0; b < p.buffers.size() && p.buffers[b].kind == buffer_kind::external; ++b) {
    std::vector<float> values(static_cast<std::size_t>(p.buffers[b].bytes / 4));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = normal_element<float>(static_cast<u64>(b), static_cast<u64>(i));
    given.push_back(values);
  }
  const auto shared = run(p, given), own = run(apart(p), given);
  bool same = true, changed = false;
  for (std::size_t b = 0; b < given.size(); ++b) {
    same = same && std::memcmp(shared[b].data(), own[b].data(), 4 * own[b].size()) == 0;
    changed = changed || own[b] != given[b];
  }
  CHECK(same);
  CHECK(changed);
  return taken_over(p);
}

constexpr auto network = [](const auto& h) {
  auto f = gelu_tanh(matmul(layer_norm(h, 1e-5, channel) + bias, up, channel));
  return h + matmul(f, down, feature);
};

TEST_CASE("Results written over operands: the same bits, at odd sizes too") {
  auto y = network(x);
  auto f = compile<host>(grad(sum(y * y), x, up, down, bias), x, up, down, bias);
  int shared = 0;
  for (i64 n : {1, 2, 3, 7})
    for (i64 c : {1, 5, 16, 33, 96}) {
      auto a = ones<f32>(batch == n, token == 9, channel == c);
      auto w = ones<f32>(feature == 3 * c + 1, channel == c);
      auto z = ones<f32>(channel == c, feature == 3 * c + 1);
      auto b = ones<f32>(channel == c);
      shared += check_same_bits(f.plan(a, w, z, b));
    }
  CHECK(shared > 0);
}

TEST_CASE("A chain of maps and products needs two buffers") {
  auto product = matmul(tanh(x), up, channel);
  auto f = compile<host>(matmul(tanh(product) * sin(product), down, feature), x, up, down);
  auto a = ones<f32>(batch == 4, token == 8, channel == 16);
  const program& p =
      f.plan(a, ones<f32>(feature == 16, channel == 16), ones<f32>(channel == 16, feature == 16));
  // tanh(x); its product, over which what the second product reads is written.
  CHECK(p.arena_bytes == 2 * 4 * 4 * 8 * 16);
  CHECK(check_same_bits(p) == 1);
}

TEST_CASE("An operand that another reads later keeps its memory") {
  auto h = matmul(x, up, channel);
  auto f = compile<host>(matmul(exp(h), down, feature) + sin(matmul(h + 1.0, down, feature)), x, up, down);
  auto a = ones<f32>(batch == 3, token == 5, channel == 7);
  check_same_bits(f.plan(a, ones<f32>(feature == 7, channel == 7), ones<f32>(channel == 7, feature == 7)));
}

TEST_CASE("Steps that free memory come early, steps that take it come late") {
  // Three branches, each of which grows to three times the size of x and ends in one small value: one by one.
  auto branch = [](const auto& h) { return sum(matmul(h, up, channel), batch, token); };
  auto f = compile<host>(branch(exp(x)) * branch(sin(x)) * branch(tanh(x)), x, up);
  const i64 b = 16, t = 8, c = 32, grown = 3 * c;
  auto a = ones<f32>(batch == b, token == t, channel == c);
  const program& p = f.plan(a, ones<f32>(feature == grown, channel == c));
  CHECK(p.arena_bytes <= 4 * (b * t * (c + grown) + 4 * grown));
  check_same_bits(p);
}

TEST_CASE("What is read later only is made beside what it is made of") {
  auto a = tanh(x);
  auto early = matmul(sin(matmul(a * a, up, channel)), down, feature);
  auto f = compile<host>(matmul(a + x, up, channel) * matmul(early, up, channel), x, up, down);
  const program& p = f.plan(ones<f32>(batch == 2, token == 3, channel == 5),
                            ones<f32>(feature == 4, channel == 5), ones<f32>(channel == 5, feature == 4));
  int groups = 0;
  for (const program_step& s : p.steps) groups += s.code != nullptr;
  CHECK(groups == 3);  // tanh with both of its readers, sin, the product of the two
  check_same_bits(p);
}

TEST_CASE("What reads a sum over columns is not made beside it") {
  auto e = exp(x - max(x, batch, token));
  auto share = compile<host>(e / sum(e, batch, token), x);
  check_same_bits(share.plan(ones<f32>(batch == 2, token == 3, channel == 5)));
  auto f = compile<host>(sum(x, channel) * (sum(x, batch, token) * x) + x, x);
  check_same_bits(f.plan(ones<f32>(batch == 2, token == 3, channel == 5)));
}

TEST_CASE("Scores of attention are made anew, products with weights are kept") {
  auto costly = [](const auto& e) {
    const graph g = e.to_graph();
    for (int n = 0; n < g.size(); ++n)
      if (g.is(n, op::contract)) return is_costly(g, n);
    return false;
  };
  CHECK(!costly(contract(many, keys, batch, head, query, key_place)));
  CHECK(costly(contract(few, keys, batch, head, one_query, key_place)));
  CHECK(costly(matmul(x, up, channel)));
  CHECK(costly(matmul(x, wide, channel)));
}

}  // namespace memory_test
