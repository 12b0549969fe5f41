// Fused groups on the host: random ones against the plain meaning of their instructions, and what must hold
// of each.
//
// labels: threads
#include "group/random.hpp"
#include "group/reference.hpp"

#include <doctest/doctest.h>

#include <flame/run/host/group.hpp>
#include <string>
#include <vector>

namespace {

using namespace flame;
using random_groups::sample;

// The first element of an output that differs from what the reference says, or nothing.
std::string difference(const sample& got, const sample& wanted) {
  for (int n = 0; n < got.code.slots.size(); ++n) {
    const group_slot& slot = got.code.slots[n];
    std::size_t k = static_cast<std::size_t>(n), m = got.home[k];
    if (slot.kind != slot_kind::output || !got.bound.slots[n].memory) continue;
    i64 count = static_cast<i64>(got.memory[m].size()) / size_of(slot.element);
    for (i64 i = 0; i < count; ++i) {
      reference::number a = reference::read(slot.element, got.memory[m].data(), i);
      reference::number b = reference::read(slot.element, wanted.memory[m].data(), i);
      double tolerance = got.tolerance[k];
      if (tolerance > 0 && slot.element == dtype::bf16) tolerance += std::fabs(b.f) / 64;
      if (tolerance > 0 && slot.element == dtype::f16) tolerance += std::fabs(b.f) / 512;
      bool both_nan = std::isnan(a.f) && std::isnan(b.f);
      if (a.i == b.i && (a.f == b.f || both_nan || std::fabs(a.f - b.f) <= tolerance)) continue;
      return "slot " + std::to_string(n) + " (" + name_of(slot.element) + ") element " + std::to_string(i) +
             ": " + std::to_string(a.f) + " " + std::to_string(a.i) + ", wanted " + std::to_string(b.f) +
             " " + std::to_string(b.i) + " within " + std::to_string(tolerance);
    }
  }
  return "";
}

std::string text_of(const sample& s) {
  std::string t = "extents";
  for (int i = 0; i < s.bound.batch_rank + s.bound.outer_rank + s.bound.inner_rank; ++i) {
    if (i == s.bound.batch_rank || i == s.bound.batch_rank + s.bound.outer_rank) t += " |";
    t += " " + std::to_string(s.bound.extents[i]);
  }
  for (int i = 0; i < s.code.slots.size(); ++i) {
    const group_slot& slot = s.code.slots[i];
    t += "\nslot " + std::to_string(i) + " kind " + std::to_string(static_cast<int>(slot.kind)) + " " +
         name_of(slot.element);
    for (int k = 0; k < max_rank; ++k) t += " " + std::to_string(s.bound.slots[i].strides[k]);
  }
  for (int n = 0; n < s.code.body.size(); ++n) {
    const instruction& i = s.code.body[n];
    t += "\n" + std::to_string(n) + ": ";
    t += i.code == code_load    ? "load"
         : i.code == code_store ? "store"
                                : string_of(name_of(static_cast<op>(i.code)));
    t += " " + std::to_string(i.a) + " " + std::to_string(i.b) + " " + std::to_string(i.c) + " " +
         name_of(i.element) + " level " + std::to_string(static_cast<int>(i.at)) + " reduce " +
         std::to_string(static_cast<int>(i.reduce));
  }
  return t;
}

void copy(const sample& from, sample& to) {
  to = from;
  to.attach();
}

void check_random(u64 seed, i64 most) {
  auto s = random_groups::make(seed, most);
  host_kernels::prepared_group p = host_kernels::prepare(s->code);
  INFO("seed " << seed << "\n" << text_of(*s));
  sample wanted, got;
  copy(*s, wanted), copy(*s, got);
  reference::run(wanted.bound);
  host_kernels::run(p, got.bound);
  REQUIRE(difference(got, wanted) == "");

  sample again;
  copy(*s, again);
  for (int n = 0; n < s->code.slots.size();
       ++n)  // without some outputs the others are the same, in every bit
    if (s->code.slots[n].kind == slot_kind::output && mix(seed, static_cast<u64>(n)) % 3 == 0)
      again.bound.slots[n].memory = nullptr;
  host_kernels::run(p, again.bound);
  for (int n = 0; n < s->code.slots.size(); ++n) {
    std::size_t k = static_cast<std::size_t>(n);
    REQUIRE(again.memory[k] == (again.bound.slots[n].memory ? got.memory[k] : s->memory[k]));
  }

  if (!s->overwrite_inputs()) return;
  copy(*s, wanted), copy(*s, got);
  reference::run(wanted.bound);
  host_kernels::run(p, got.bound);
  INFO("in place");
  REQUIRE(difference(got, wanted) == "");
}

TEST_CASE("random groups mean what their instructions say") {
  for (u64 seed = 0; seed < 4000; ++seed) check_random(seed, 2000);
}

TEST_CASE("so do larger ones, of many tiles and items") {
  for (u64 seed = 10000; seed < 10120; ++seed) check_random(seed, 60000);
}

TEST_CASE("the number of threads changes no bit") {
  int before = host_kernels::thread_count();
  for (u64 seed = 20000; seed < 20060; ++seed) {
    auto s = random_groups::make(seed, 60000);
    host_kernels::prepared_group p = host_kernels::prepare(s->code);
    sample one, many;
    copy(*s, one), copy(*s, many);
    host_kernels::set_thread_count(1);
    host_kernels::run(p, one.bound);
    host_kernels::set_thread_count(5);
    host_kernels::run(p, many.bound);
    INFO("seed " << seed << "\n" << text_of(*s));
    REQUIRE(one.memory == many.memory);
  }
  host_kernels::set_thread_count(before);
}

// ---- Groups written by hand ----

// f32 over (outer, inner), unless said otherwise.
struct writer {
  group code;
  bound_group bound;

  writer(std::vector<i64> outer, std::vector<i64> inner, std::vector<i64> batch = {}) {
    int n = 0;
    for (i64 e : batch) bound.extents[n++] = e;
    for (i64 e : outer) bound.extents[n++] = e;
    for (i64 e : inner) bound.extents[n++] = e;
    bound.batch_rank = static_cast<int>(batch.size());
    bound.outer_rank = static_cast<int>(outer.size());
    bound.inner_rank = static_cast<int>(inner.size());
    bound.code = &code;
  }
  int slot(slot_kind kind, dtype d, const void* memory = nullptr, std::vector<i64> strides = {}) {
    bound_slot s;
    s.memory = const_cast<void*>(memory);
    for (std::size_t i = 0; i < strides.size(); ++i) s.strides[i] = strides[i];
    bound.slots.push(s);
    return code.slots.push({kind, d, -1});
  }
  int make(op o, int a, int b = -1, int c = -1, reduce_mode mode = reduce_mode::none) {
    instruction i;
    i.code = static_cast<u8>(o);
    i.at = code.body[a].at;
    for (int v : {b, c})
      if (v >= 0 && code.body[v].at > i.at) i.at = code.body[v].at;
    if (mode == reduce_mode::row) i.at = level::row;
    i.reduce = mode;
    i.a = a, i.b = b, i.c = c;
    return code.body.push(i);
  }
  int load(int s, level at) {
    instruction i;
    i.code = code_load;
    i.at = at;
    i.a = s;
    return code.body.push(i);
  }
  template <class T> int input(const std::vector<T>& x, std::vector<i64> strides, level at = level::full) {
    return load(slot(slot_kind::input, dtype_of<T>, x.data(), strides), at);
  }
  int number(double x) {
    int s = slot(slot_kind::uniform, dtype::f32);
    bound.slots[s].number = x;
    return load(s, level::uniform);
  }
  template <class T> void output(int v, std::vector<T>& y, std::vector<i64> strides, level at = level::full) {
    instruction i;
    i.code = code_store;
    i.at = at;
    i.a = slot(slot_kind::output, dtype_of<T>, y.data(), strides);
    i.b = v;
    code.body.push(i);
  }
  void run() { host_kernels::run(bound); }
};

std::vector<float> counted(i64 n, float step = 1) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = step * static_cast<float>(i);
  return x;
}

TEST_CASE("the largest is NaN wherever one stands, and argmax finds the first largest") {
  for (i64 n : {1, 2, 3, 7, 15, 16, 17, 31, 33, 49, 64, 65, 200, 1000, 5000})
    for (i64 at : {i64{0}, n / 3, n / 2, n - 1}) {
      std::vector<float> x(static_cast<std::size_t>(2 * n), 1.0f), none(4, 0.0f), largest(2), smallest(2),
          all(1);
      x[static_cast<std::size_t>(at)] = x[static_cast<std::size_t>(n - 1)] = 5;  // a tie in the first row
      x[static_cast<std::size_t>(n + at)] = NAN;
      if (at > 0) x[static_cast<std::size_t>(n)] = INFINITY;
      std::vector<i32> first(2), of_all(1), by_column(static_cast<std::size_t>(n));
      writer w({2}, {n});
      int v = w.input(x, {n, 1});
      w.output(w.make(op::max, v, -1, -1, reduce_mode::row), largest, {1}, level::row);
      w.output(w.make(op::min, v, -1, -1, reduce_mode::row), smallest, {1}, level::row);
      w.output(w.make(op::argmax, v, -1, -1, reduce_mode::row), first, {1}, level::row);
      w.output(w.make(op::max, v, -1, -1, reduce_mode::total), all, {});
      w.output(w.make(op::argmax, v, -1, -1, reduce_mode::total), of_all, {});
      w.output(w.make(op::argmax, v, -1, -1, reduce_mode::column), by_column, {0, 1});
      w.run();
      CAPTURE(n);
      CAPTURE(at);
      CHECK(largest[0] == 5);
      CHECK(std::isnan(largest[1]));
      CHECK(std::isnan(smallest[1]));
      CHECK(std::isnan(all[0]));
      CHECK(first[0] == at);
      CHECK(first[1] == at);
      CHECK(of_all[0] == n + at);
      CHECK(by_column[static_cast<std::size_t>(at)] == 1);
    }
}

TEST_CASE("ties go to the first element, whatever the order of tiles") {
  const i64 rows = 300, columns = 500;  // read along rows and along columns
  for (bool turned : {false, true}) {
    std::vector<float> x(static_cast<std::size_t>(rows * columns), 0.0f);
    auto at = [&](i64 r, i64 c) -> float& {
      return x[static_cast<std::size_t>(turned ? c * rows + r : r * columns + c)];
    };
    at(17, 400) = at(18, 3) = at(17, 401) = at(250, 0) = 1;
    std::vector<i32> first(1);
    writer w({rows}, {columns});
    int v = w.input(x, turned ? std::vector<i64>{1, rows} : std::vector<i64>{columns, 1});
    w.output(w.make(op::argmax, v, -1, -1, reduce_mode::total), first, {});
    w.run();
    CHECK(first[0] == 17 * columns + 400);
  }
}

TEST_CASE("sums are accurate") {
  // Equal numbers are the worst case of a running sum: in one f32 it would be wrong by 2e-2 here.
  const i64 n = 1 << 20;
  std::vector<float> x(static_cast<std::size_t>(n), 0.1f), row(1), column(1), total(1), thin(4);
  double exact = 0.1f * static_cast<double>(n);
  writer r({1}, {n});
  r.output(r.make(op::sum, r.input(x, {0, 1}), -1, -1, reduce_mode::row), row, {0}, level::row);
  r.run();
  CHECK(std::fabs(row[0] / exact - 1) < 1e-6);
  writer c({n}, {1});
  int v = c.input(x, {1, 0});
  c.output(c.make(op::sum, v, -1, -1, reduce_mode::column), column, {0, 0});
  c.output(c.make(op::sum, v, -1, -1, reduce_mode::total), total, {0, 0});
  c.run();
  CHECK(std::fabs(column[0] / exact - 1) < 1e-6);
  CHECK(std::fabs(total[0] / exact - 1) < 1e-6);
  writer t({n / 4}, {4});
  t.output(t.make(op::sum, t.input(x, {4, 1}), -1, -1, reduce_mode::column), thin, {0, 1});
  t.run();
  for (float y : thin) CHECK(std::fabs(y / exact * 4 - 1) < 1e-6);
}

TEST_CASE("the total of a row value counts each row once") {
  for (i64 columns : {1, 7, 20000}) {
    std::vector<float> x = counted(5), zeros(static_cast<std::size_t>(columns)), sum(1), all(1);
    std::vector<i32> first(1);
    writer w({5}, {columns});
    int v = w.input(x, {1, 0}, level::row);
    w.output(w.make(op::sum, v, -1, -1, reduce_mode::total), sum, {});
    w.output(w.make(op::argmax, v, -1, -1, reduce_mode::total), first, {});
    int full = w.make(op::add, v, w.input(zeros, {0, 1}));
    w.output(w.make(op::sum, full, -1, -1, reduce_mode::total), all, {});
    w.run();
    CHECK(sum[0] == 10);
    CHECK(first[0] == 4);
    CHECK(all[0] == 10 * static_cast<float>(columns));
  }
}

TEST_CASE("over no elements") {
  std::vector<float> x(1), rows(3, 7), columns(3, 7), totals(2, 7), outputs(3, 7);
  const std::vector<std::pair<op, float>> neutral{
      {op::sum, 0.0f}, {op::prod, 1.0f}, {op::max, -INFINITY}, {op::min, INFINITY}};
  for (auto [o, wanted] : neutral) {
    writer r({3}, {0});
    int v = r.input(x, {0, 1});
    r.output(v, outputs, {0, 1});
    r.output(r.make(o, v, -1, -1, reduce_mode::row), rows, {1}, level::row);
    r.run();
    CHECK(rows == std::vector<float>(3, wanted));
    CHECK(outputs == std::vector<float>(3, 7));
    writer c({0}, {3});
    c.output(c.make(o, c.input(x, {3, 1}), -1, -1, reduce_mode::column), columns, {0, 1});
    c.run();
    CHECK(columns == std::vector<float>(3, wanted));
    writer t({0}, {3}, {2});
    t.output(t.make(o, t.input(x, {0, 3, 1}), -1, -1, reduce_mode::total), totals, {1});
    t.run();
    CHECK(totals == std::vector<float>(2, wanted));
  }
}

TEST_CASE("an optimizer's update in place, its old values read after the new are made") {
  const i64 n = 10007;
  std::vector<float> p = counted(n, 0.001f), m = counted(n, 0.002f), g = counted(n, -0.003f), p0 = p, m0 = m,
                     g0 = g;
  writer w({}, {n});
  int old = w.input(p, {1}), momentum = w.input(m, {1}), gradient = w.input(g, {1});
  int next = w.make(op::add, w.make(op::mul, momentum, w.number(0.5)), gradient);
  w.output(next, m, {1});
  w.output(w.make(op::sub, old, next), p, {1});
  w.output(w.make(op::add, momentum, old), g, {1});  // still the old ones
  w.run();
  for (std::size_t i = 0; i < p.size(); ++i) {
    float mi = m0[i] * 0.5f + g0[i];  // half of a number is exact
    REQUIRE(m[i] == mi);
    REQUIRE(p[i] == p0[i] - mi);
    REQUIRE(g[i] == m0[i] + p0[i]);
  }
}

TEST_CASE("two buffers change places") {
  std::vector<float> x = counted(5000), y = counted(5000, -1), x0 = x, y0 = y;
  writer w({}, {5000});
  int a = w.input(x, {1}), b = w.input(y, {1});
  w.output(b, x, {1});
  w.output(a, y, {1});
  w.run();
  CHECK(x == y0);
  CHECK(y == x0);
}

TEST_CASE("random numbers are those of the definition, wherever a run begins") {
  const i64 n = 1000;
  for (i64 stride : {1, 3})
    for (i64 offset : {i64{0}, i64{1}, i64{6}, (i64{1} << 34) + 3}) {
      std::vector<float> u(n), z(n);
      std::vector<double> wide(n);
      writer w({}, {n});
      int key = w.slot(slot_kind::uniform, dtype::key),
          index = w.slot(slot_kind::index, dtype::int64, nullptr, {stride});
      w.bound.slots[key].bits = 12345;
      w.bound.slots[index].offset = offset;
      int k = w.load(key, level::uniform), i = w.load(index, level::full);
      w.output(w.make(op::uniform, k, i), u, {1});
      w.output(w.make(op::normal, k, i), z, {1});
      int v = w.make(op::uniform, k, i);
      w.code.body[v].element = dtype::f64;
      w.output(v, wide, {1});
      w.run();
      for (i64 j = 0; j < n; ++j) {
        u64 at = static_cast<u64>(offset + j * stride);
        std::size_t s = static_cast<std::size_t>(j);
        REQUIRE(u[s] == uniform_element<float>(12345, at));
        REQUIRE(wide[s] == uniform_element<double>(12345, at));
        REQUIRE(std::fabs(z[s] - normal_element<float>(12345, at)) < 1e-5f);
      }
    }
}

TEST_CASE("what is no instruction of a group is refused, by number and name") {
  auto words = [](const group& g) -> std::string {
    try {
      static_cast<void>(host_kernels::prepare(g));
    } catch (const error& e) {
      return e.what();
    }
    return "";
  };
  std::vector<float> x(8);
  writer w({}, {8});
  int v = w.input(x, {1});
  w.make(op::logical_not, v);
  CHECK(words(w.code) == "flame::host_kernels::prepare: instruction 1 (not): no such operation on this type");
  w.code.body.pop();
  w.make(op::permute, v);
  CHECK(words(w.code) ==
        "flame::host_kernels::prepare: instruction 1 (permute): not an operation of a fused group");
  w.code.body.pop();
  int total = w.make(op::sum, v, -1, -1, reduce_mode::total);
  w.make(op::neg, total);
  CHECK(words(w.code) ==
        "flame::host_kernels::prepare: instruction 2 (neg): the result of a column or total reduction can "
        "only be "
        "stored");
  w.code.body.pop();
  w.make(op::add, v, 7);
}

}  // namespace
