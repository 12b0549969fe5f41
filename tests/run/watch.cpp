// Programs that are watched: the step that made a NaN is named, and so is what reads or writes memory that is
// nobody's; results stay what they are.
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <flame/run/watch_steps.hpp>

#include <cstdlib>

#include "../support.hpp"
#include "watched.hpp"

namespace {

using namespace flame;

using namespace flame::tests;

TEST_CASE("the first step that makes a NaN is named with its formula, the place and its operands") {
  const tensor<f32, row, inner> l{{1, 2}, {3, 4}, {5, 6}};
  const tensor<f32, inner, col> r{{1, -1}, {1, 1}};
  auto f = compile<host>(roots, left, right);
  const auto before = f(l, r);
  CHECK(std::isnan(before.to_vector()[0]));
  const watched_for_now now(watch::nans);
  const std::string text = refusal([&] { static_cast<void>(f(l, r)); });
  CHECK(text.starts_with("flame: step 2 of 2, row 3 x 2: result = "));
  CHECK(has(text, "sqrt("));
  CHECK(
      has(text, "(in expression) made a NaN where none of its operands has one, in result first at (row 0"));
  CHECK(has(text, "t1 from 1 to 11"));
}

TEST_CASE(
    "a NaN that came with an argument is nobody's fault; infinities are looked for where they are asked "
    "for") {
  const f32 nan = std::numeric_limits<f32>::quiet_NaN();
  const tensor<f32, row, col> a{{1, nan}, {0, 2}}, b{{1, 3}, {0, 2}};
  const tensor<f32, row, inner> l{{1, nan}};
  const tensor<f32, inner, col> r{{1, 2}, {3, 4}};
  auto f = compile<host>(sum(tanh(matmul(left, right, inner)), col), left, right);
  auto g = compile<host>(1 / x, x);
  {
    const watched_for_now now(watch::nans);
    CHECK(std::isnan(f(l, r).to_vector()[0]));
    CHECK(refusal([&] { static_cast<void>(g(b)); }) == "");
  }
  const watched_for_now now(watch::infinities);
  const std::string text = refusal([&] { static_cast<void>(g(b)); });
  CHECK(
      has(text, "made an infinity where none of its operands has one, in result first at (row 1, col 0); "));
  CHECK(has(text, "x from 0 to 3"));
  CHECK(refusal([&] { static_cast<void>(g(a)); }) == "");  // it has a NaN: what comes of it is no news
}

TEST_CASE("a step that fails is named") {
  auto f = compile<host>(gather(x, which, row), x, which);
  const tensor<f32, row, col> a{{1, 2}, {3, 4}};
  const watched_for_now now(watch::nans);
  const std::string text = refusal([&] { static_cast<void>(f(a, tensor<i32, inner>{0, 2})); });
  CHECK(text.starts_with("flame: step 1 of 1, gather "));
  CHECK(has(text, " failed: "));
}

TEST_CASE("watched programs give the same bits, gradients and all") {
  const auto a = normal(key(1), row == 33, col == 20);
  const auto u = normal(key(2), row == 33, inner == 17);
  const auto v = normal(key(3), inner == 17, col == 20);
  auto f = compile<host>(with_gradients, x, left, right);
  const auto [value, dx, dl, dr] = f(a, u, v);
  for (watch w : {watch::nans, watch::infinities}) {
    const watched_for_now now(w);
    const auto [again, ax, al, ar] = f(a, u, v);
    CHECK(all_equal(again, value));
    CHECK(all_equal(ax, dx));
    CHECK(all_equal(al, dl));
    CHECK(all_equal(ar, dr));
  }
}

TEST_CASE("what the environment says") {
  for (auto [text, means] : {std::pair{"", watch::nothing},
                             {"0", watch::nothing},
                             {"1", watch::nans},
                             {"nan", watch::nans},
                             {"inf", watch::infinities}}) {
    setenv("FLAME_WATCH", text, 1);
    CHECK(flame::detail::watch_of_environment() == means);
  }
  setenv("FLAME_WATCH", "yes", 1);
  CHECK(refusal([] { static_cast<void>(flame::detail::watch_of_environment()); }) ==
        "FLAME_WATCH is 'yes', expected 0, 1 (for NaN) or inf (for infinities too)");
  unsetenv("FLAME_WATCH");
  CHECK(flame::detail::watch_of_environment() == watch::nothing);
  CHECK_FALSE(watching());
}

// ---- Memory ----

struct host_memory final : watched::memory {
  i64 seen = 0, most = 0;
  const std::byte* see(const std::byte* from, i64 bytes) override {
    seen += bytes, most = std::max(most, bytes);
    return from;
  }
  void fill(std::byte* to, int byte, i64 bytes) override {
    std::memset(to, byte, static_cast<std::size_t>(bytes));
  }
  void wait() override {}
};

// Two steps: t0 = x, result = t0, of 5 numbers each, with room of 64 bytes for t0 and 64 nobody's.
struct small_program {
  program p;
  alignas(64) std::byte arena[128];
  float in[5] = {1, 2, 3, 4, 5}, out[5] = {};
  small_program() {
    located t;
    t.rank = 1, t.extents[0] = 5, t.strides[0] = 1;
    for (buffer_kind kind : {buffer_kind::external, buffer_kind::arena, buffer_kind::external}) {
      buffer b;
      b.kind = kind, b.bytes = 20;
      if (kind == buffer_kind::arena) b.first = 0, b.last = 1, b.home = 1, b.offset = 32;
      p.buffers.push(b);
    }
    for (int i = 0; i < 2; ++i) {
      program_step s;
      s.library = op::gather;
      t.buffer = i, s.tensors.push(t), s.writes.push(0);
      t.buffer = i + 1, s.tensors.push(t), s.writes.push(1);
      p.steps.push(s);
    }
    p.arena_bytes = 128;
  }
  float* t0() { return reinterpret_cast<float*>(arena + 32); }
  // What is thrown where the steps do this.
  template <class First, class Second> std::string run(First&& first, Second&& second) {
    host_memory memory;
    return refusal([&] {
      watched::run all(p, arena, memory, watch::nans);
      all.step(0, {in, t0()}, first);
      all.step(1, {t0(), out}, second);
      all.finish();
    });
  }
};

TEST_CASE("memory that is nobody's is filled, and found where it was written") {
  small_program s;
  auto good = [&] { std::copy_n(s.in, 5, s.t0()); };
  auto end = [&] { std::copy_n(s.t0(), 5, s.out); };
  CHECK(s.run(good, end) == "");
  CHECK(s.out[4] == 5);
  for (std::byte b : s.arena) CHECK(b == std::byte{0xff});  // t0 has died
  CHECK(has(s.run([&] { good(), s.t0()[5] = 0; }, end), "flame: step 1 of 2, gather 5 -> 5: t1@32 = "));
  CHECK(
      has(s.run([&] { good(), s.t0()[5] = 0; }, end), "wrote at byte 52 of the program's memory, where no"));
  CHECK(has(s.run([&] { good(), s.t0()[-1] = 0; }, end), "wrote at byte 28 "));
  CHECK(has(s.run(good, [&] { end(), s.t0()[20] = 7; }), "a step of the program wrote at byte 112 "));
  CHECK(has(s.run([&] { std::copy_n(s.in, 4, s.t0()); }, end), " made a NaN where none"));  // 4 of 5
}

TEST_CASE("what is read before it is written is said") {
  small_program s;
  // The first step is told to write nothing, so that nothing of it is looked at.
  s.p.steps[0].tensors[1].buffer = -1;
  CHECK(has(s.run([] {}, [] {}), "flame: step 2 of 2, gather 5 -> 5: "));
  CHECK(has(s.run([] {}, [] {}), "where no step has written, at "));
}

TEST_CASE("live ranges and gaps") {
  using watched::ranges;
  CHECK(watched::gaps_between({}, 10) == ranges{{0, 10}});
  CHECK(watched::gaps_between({{0, 4}, {6, 10}}, 10) == ranges{{4, 6}});
  CHECK(watched::gaps_between({{2, 4}, {4, 8}}, 10) == ranges{{0, 2}, {8, 10}});
  CHECK(watched::gaps_between({{0, 10}}, 10).empty());
  const small_program s;
  CHECK(watched::live_ranges(s.p, 0, true) == ranges{{32, 52}});
  CHECK(watched::live_ranges(s.p, 1, true) == ranges{{32, 52}});
  CHECK(watched::live_ranges(s.p, 1, false).empty());
}

// ---- Values ----

template <class Element, class Tensor> watched::values values_of(const Tensor& t, host_memory& memory) {
  located l;
  l.element = dtype_of<Element>, l.rank = t.rank;
  for (int i = 0; i < t.rank; ++i) l.extents[i] = t.extent(i), l.strides[i] = t.stride(i);
  return watched::values_of(memory, l, t.data());
}

template <class Element> void finds() {
  host_memory memory;
  const auto a = arange<f32>(row == 12, -3, 1).cast<Element>();
  const auto t = a.reshape(row == 3, col == 4);
  const auto all = values_of<Element>(t, memory);
  CHECK(all.least == -3);
  CHECK(all.most == 8);
  CHECK_FALSE(all.nan);
  const auto view = t.slice(row, 1, 3).slice(col, 0, 4, 2);
  CHECK(values_of<Element>(view, memory).least == 1);
  CHECK(values_of<Element>(view, memory).most == 7);
  view.select(row, 1).select(col, 1).fill(std::numeric_limits<double>::quiet_NaN());
  t.select(row, 0).select(col, 3).fill(-std::numeric_limits<double>::infinity());
  const auto bad = values_of<Element>(view, memory);
  CHECK(bad.nan);
  CHECK(bad.first_nan == std::vector<i64>{1, 1});
  CHECK_FALSE(bad.infinite);
  CHECK(values_of<Element>(t, memory).first_infinite == std::vector<i64>{0, 3});
  CHECK(values_of<Element>(t.permute(col, row), memory).first_nan == std::vector<i64>{2, 2});
}
TEST_CASE("values of each floating type, of views too") {
  finds<f32>(), finds<f64>(), finds<bf16>(), finds<f16>();
}

TEST_CASE("large tensors are seen in pieces") {
  host_memory memory;
  const auto a = zeros<f32>(row == 3, col == 9 << 20);  // 108 MiB
  a.select(row, 2).select(col, -1).fill(std::numeric_limits<float>::infinity());
  const auto v = values_of<f32>(a, memory);
  CHECK(v.first_infinite == std::vector<i64>{2, (9 << 20) - 1});
  CHECK(memory.most <= i64{64} << 20);
  CHECK(memory.seen == a.size() * 4);
  memory.most = 0;
  CHECK(values_of<f32>(a.reshape(row == 9 << 20, col == 3), memory).first_infinite ==
        std::vector<i64>{(9 << 20) - 1, 2});
  CHECK(memory.most <= i64{64} << 20);
}

}  // namespace
