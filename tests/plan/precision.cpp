// The pass that stores a program's values in 16 bits: what it changes, what stays f32, where casts stand.
#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/plan/memory.hpp>
#include <flame/plan/precision.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>

#include <cstring>

namespace precision_test {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct answer : dim<> {
} answer;
inline constexpr struct x : input<f32, batch, feature> {
} x;
inline constexpr struct first : input<f32, feature, hidden> {
} first;
inline constexpr struct second : input<f32, feature, hidden> {
} second;
inline constexpr struct last : input<f32, hidden, answer> {
} last;

constexpr i64 rows = 20, features = 12, wide = 32, answers = 8;

struct both {
  program f32, bf16;
  std::vector<i64> elements;  // of the external buffers
  int image = 0;              // the one that is x
};
// The program of an expression of x, first, second and last, and the same with the last three in bf16.
template <class E> both plans(const E& e) {
  auto f = compile<host>(e, x, first, second, last);
  both r;
  r.f32 = r.bf16 = f.plan(
      normal(key(1), batch == rows, feature == features), normal(key(2), feature == features, hidden == wide),
      normal(key(3), feature == features, hidden == wide), normal(key(4), hidden == wide, answer == answers));
  list<u8> given;
  given.resize(r.f32.buffers.size(), 0);
  for (int b = 0; b < 5; ++b) r.elements.push_back(r.f32.buffers[b].bytes / 4);
  for (int b = 0; b < 4; ++b)
    if (E::leaves::at[b] == &leaf_of<std::remove_cvref_t<decltype(x)>>::info)
      r.image = b;
    else
      given[b] = 1;
  store_in(r.bf16, dtype::bf16, given);
  order_for_memory(r.bf16);
  place_buffers(r.bf16);
  return r;
}

int casts(const program& p) {
  int n = 0;
  for (const program_step& s : p.steps)
    n += planning::is_copy(s) && s.tensors[0].element != s.tensors[1].element;
  return n;
}
int products_in(const program& p, dtype d) {
  int n = 0;
  for (const program_step& s : p.steps) {
    bool all = !s.code;
    for (const located& t : s.tensors) all = all && t.element == d;
    n += all;
  }
  return n;
}

// The result, a scalar, of inputs that bf16 can hold.
float run(const both& of, const program& p) {
  std::vector<void*> externals(static_cast<std::size_t>(p.buffers.size()), nullptr);
  std::vector<std::vector<float>> memory;
  for (std::size_t b = 0; b < 5; ++b) {
    std::vector<float>& values = memory.emplace_back(static_cast<std::size_t>(of.elements[b]), 0.0f);
    const bool half = p.buffers[static_cast<int>(b)].bytes == 2 * of.elements[b];
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bf16 one(0.3f * normal_element<float>(b + 1, i));
      if (half)
        std::memcpy(reinterpret_cast<char*>(values.data()) + 2 * i, &one, 2);
      else
        values[i] = static_cast<float>(one);
    }
  }
  for (std::size_t b = 0; b < 5; ++b) externals[b] = memory[b].data();
  host_code::arena arena;
  host_code::executable(program(p)).run(externals, arena);
  return memory[4][0];
}
void check_close(const both& p) { CHECK(run(p, p.bf16) == doctest::Approx(run(p, p.f32)).epsilon(0.02)); }

TEST_CASE("an input that two products read is cast once; the result of a reduction is f32") {
  const both p = plans(sum(matmul(matmul(x, first, feature) * matmul(x, second, feature), last, hidden)));
  CHECK(casts(p.f32) == 0);
  CHECK(casts(p.bf16) == 1);
  CHECK(products_in(p.f32, dtype::f32) == 3);
  CHECK(products_in(p.bf16, dtype::bf16) == 3);
  CHECK(p.bf16.steps.size() == p.f32.steps.size() + 1);
  CHECK(p.bf16.arena_bytes < p.f32.arena_bytes);
  for (int b = 0; b < 4; ++b)
    CHECK(p.bf16.buffers[b].bytes == p.f32.buffers[b].bytes / (b == p.image ? 1 : 2));
  CHECK(p.bf16.buffers[4].bytes == 4);
  check_close(p);
}

// sin(x) stands in f32 for the sum and in bf16 for the product, both written by one kernel.
TEST_CASE("a value that a kernel and a product read is written twice by the kernel that makes it") {
  const auto y = sin(x);
  const auto h = matmul(y, first, feature);
  const both p = plans(sum(matmul(h * matmul(x, second, feature), last, hidden)) +
                       sum(matmul(exp(h), last, hidden)) * sum(y * sum(y, feature)));
  int twice = 0;
  for (const program_step& s : p.bf16.steps) {
    if (!s.code) continue;
    bool wide_one = false, narrow_one = false;
    for (int i = 0; i < s.tensors.size(); ++i) {
      if (!s.writes[i] || s.tensors[i].buffer < 0 || s.tensors[i].elements() != rows * features) continue;
      (s.tensors[i].element == dtype::f32 ? wide_one : narrow_one) = true;
    }
    twice += wide_one && narrow_one;
  }
  CHECK(twice == 1);
  CHECK(casts(p.bf16) == 1);  // of x
  check_close(p);
}

TEST_CASE("means of rows are f32, what is made with them for each point is not") {
  const auto h = matmul(x, first, feature);
  const auto shifted = h - mean(h, batch);  // over rows: a kernel of its own
  const both p = plans(sum(matmul(tanh(shifted) * matmul(x, second, feature), last, hidden)));
  int means = 0, points = 0;
  for (const program_step& s : p.bf16.steps)
    for (int i = 0; i < s.tensors.size(); ++i) {
      const located& t = s.tensors[i];
      if (!s.code || !s.writes[i] || t.buffer < 0) continue;
      if (t.elements() == wide) {
        CHECK(t.element == dtype::f32);
        ++means;
      }
      if (t.elements() == rows * wide) {
        CHECK(t.element == dtype::bf16);
        ++points;
      }
    }
  CHECK(means >= 1);
  CHECK(points >= 1);
  check_close(p);
}

// y is stored, since two kernels read it: in 16 bits where it is made of an argument that has 16 bits.
template <class Element> int stored_in_bf16() {
  struct given : input<Element, batch, feature> {};
  auto y = tanh(cast<f32>(given{}));
  auto f = compile<host>(sum(y * sum(y, batch)), given{});
  program p = f.plan(normal<Element>(key(1), batch == rows, feature == features));
  list<u8> none;
  none.resize(p.buffers.size(), 0);
  store_in(p, dtype::bf16, none);
  int written = 0;
  for (const program_step& s : p.steps)
    for (int k = 0; k < s.tensors.size(); ++k)
      written += s.writes[k] && s.tensors[k].rank > 0 && s.tensors[k].elements() == rows * features &&
                 s.tensors[k].element == dtype::bf16;
  return written;
}

TEST_CASE("what is made of an argument in 16 bits is stored in 16 bits") {
  CHECK(stored_in_bf16<bf16>() == 1);
  CHECK(stored_in_bf16<f32>() == 0);
}

}  // namespace precision_test
