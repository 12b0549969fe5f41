// Fused groups on the host, all threads: milliseconds (the median and the least of many runs), the least time
// of all processors together, which other work on them hardly changes, and bytes of inputs and outputs a
// second; beside copies of as many bytes. An argument picks the cases whose name contains it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <flame/run/host/group.hpp>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace flame;

std::string_view wanted;

struct timing {
  double median, least, processors;
};
timing measure(const std::function<void()>& f) {
  using clock = std::chrono::steady_clock;
  std::vector<double> all;
  double processors = 1e300;
  f();
  auto begin = clock::now();
  while (all.size() < 15 || (clock::now() - begin < std::chrono::milliseconds(700) && all.size() < 2000)) {
    auto start = clock::now();
    std::clock_t spent = std::clock();
    f();
    processors = std::min(processors, 1e3 * static_cast<double>(std::clock() - spent) / CLOCKS_PER_SEC);
    all.push_back(std::chrono::duration<double, std::milli>(clock::now() - start).count());
  }
  std::sort(all.begin(), all.end());
  return {all[all.size() / 2], all[0], processors};
}

void report(const std::string& name, timing t, double bytes) {
  std::printf(
      "{\"name\": \"%s\", \"ms\": %.4g, \"least_ms\": %.4g, \"processors_ms\": %.4g, \"gb_s\": %.4g}\n",
      name.c_str(), t.median, t.least, t.processors, bytes / t.median * 1e-6);
  std::fflush(stdout);
}

// A group of f32 values (or of another type in memory) over (outer, inner), written as one writes formulas.
struct writer {
  struct value {
    writer* w;
    int at;
    friend value operator+(value a, value b) { return a.w->make(op::add, a, b); }
    friend value operator-(value a, value b) { return a.w->make(op::sub, a, b); }
    friend value operator*(value a, value b) { return a.w->make(op::mul, a, b); }
    friend value operator/(value a, value b) { return a.w->make(op::div, a, b); }
    friend value operator-(value a) { return a.w->make(op::neg, a); }
  };

  i64 outer, inner;
  group code;
  bound_group bound;
  std::vector<std::shared_ptr<std::vector<char>>> memory;
  double bytes = 0;

  writer(i64 rows, i64 columns) : outer(rows), inner(columns) {
    bound.outer_rank = bound.inner_rank = 1;
    bound.extents[0] = rows, bound.extents[1] = columns;
  }
  int slot(slot_kind kind, dtype d) {
    bound.slots.push({});
    return code.slots.push({kind, d, -1});
  }
  level at(value v) const { return code.body[v.at].at; }
  value make(op o, value a, value b = {}, value c = {}, reduce_mode reduce = reduce_mode::none) {
    instruction i;
    i.code = static_cast<u8>(o);
    i.reduce = reduce;
    i.at = at(a);
    for (value v : {b, c})
      if (v.w && at(v) > i.at) i.at = at(v);
    if (reduce == reduce_mode::row) i.at = level::row;
    i.a = a.at, i.b = b.w ? b.at : -1, i.c = c.w ? c.at : -1;
    return {this, code.body.push(i)};
  }
  value load(int s, level l) {
    instruction i;
    i.code = code_load;
    i.element = compute_type(code.slots[s].element);
    i.at = l;
    i.a = s;
    return {this, code.body.push(i)};
  }
  value number(double x) {
    int s = slot(slot_kind::uniform, dtype::f32);
    bound.slots[s].number = x;
    return load(s, level::uniform);
  }
  void* allocate(i64 count, dtype d) {
    memory.push_back(std::make_shared<std::vector<char>>(static_cast<std::size_t>(count * size_of(d) + 64)));
    bytes += static_cast<double>(count * size_of(d));
    auto address = reinterpret_cast<unsigned long>(memory.back()->data());
    return reinterpret_cast<void*>((address + 63) / 64 * 64);
  }
  value input(i64 row_stride, i64 column_stride, dtype d = dtype::f32) {
    int s = slot(slot_kind::input, d);
    i64 n = (row_stride ? outer : 1) * (column_stride ? inner : 1);
    void* m = allocate(n, d);
    std::mt19937 engine(static_cast<unsigned>(s) + 1);
    std::normal_distribution<float> normal;
    for (i64 i = 0; i < n; ++i) {
      float x = normal(engine);
      if (d == dtype::bf16)
        static_cast<bf16*>(m)[i] = bf16(x);
      else
        static_cast<float*>(m)[i] = x;
    }
    bound.slots[s].memory = m;
    bound.slots[s].strides[0] = row_stride, bound.slots[s].strides[1] = column_stride;
    return load(s, column_stride ? level::full : level::row);
  }
  value input(dtype d = dtype::f32) { return input(inner, 1, d); }
  value random() {
    int k = slot(slot_kind::uniform, dtype::key), i = slot(slot_kind::index, dtype::int64);
    bound.slots[k].bits = 7;
    bound.slots[i].strides[0] = inner, bound.slots[i].strides[1] = 1;
    value key = load(k, level::uniform), index = load(i, level::full);
    return make(op::uniform, key, index);
  }
  value row(op o, value x) { return make(o, x, {}, {}, reduce_mode::row); }
  void store(value v, i64 row_stride, i64 column_stride, dtype d = dtype::f32, void* where = nullptr) {
    int s = slot(slot_kind::output, d);
    bound.slots[s].memory =
        where ? where : allocate((row_stride ? outer : 1) * (column_stride ? inner : 1), d);
    bound.slots[s].strides[0] = row_stride, bound.slots[s].strides[1] = column_stride;
    instruction i;
    i.code = code_store;
    i.at = level::full;
    i.a = s, i.b = v.at;
    code.body.push(i);
  }
  void store(value v, dtype d = dtype::f32) { store(v, inner, 1, d); }
  void column_sum(value v) { store(make(op::sum, v, {}, {}, reduce_mode::column), 0, 1); }
  void total_sum(value v) { store(make(op::sum, v, {}, {}, reduce_mode::total), 0, 0); }
};
using value = writer::value;

value exp(value x) { return x.w->make(op::exp, x); }
value sin(value x) { return x.w->make(op::sin, x); }
value cos(value x) { return x.w->make(op::cos, x); }
value tanh(value x) { return x.w->make(op::tanh, x); }
value log(value x) { return x.w->make(op::log, x); }
value erf(value x) { return x.w->make(op::erf, x); }
value sigmoid(value x) { return x.w->make(op::sigmoid, x); }
value sqrt(value x) { return x.w->make(op::sqrt, x); }
value rsqrt(value x) { return x.w->make(op::rsqrt, x); }

void bench(const std::string& name, i64 rows, i64 columns, const std::function<void(writer&)>& write) {
  if (name.find(wanted) == std::string::npos) return;
  writer w(rows, columns);
  write(w);
  w.bound.code = &w.code;
  host_kernels::prepared_group p = host_kernels::prepare(w.code);
  report(name, measure([&] { host_kernels::run(p, w.bound); }), w.bytes);
}

void copy(const std::string& name, i64 bytes) {
  if (name.find(wanted) == std::string::npos) return;
  std::vector<char> x(static_cast<std::size_t>(bytes), 1), y(x.size());
  timing t = measure([&] {
    host_kernels::parallel_for(bytes, 1 << 18, [&](i64 begin, i64 end) {
      std::memcpy(y.data() + begin, x.data() + begin, static_cast<std::size_t>(end - begin));
    });
  });
  report(name, t, 2.0 * static_cast<double>(bytes));
}

void maps() {
  const i64 n = 1 << 24;
  copy("copy.64MiB", n * 4);
  bench("map.scale", 1, n, [](writer& w) { w.store(w.input() * w.number(2)); });
  bench("map.add", 1, n, [](writer& w) { w.store(w.input() + w.input()); });
  bench("map.add_bf16", 1, n,
        [](writer& w) { w.store(w.input(dtype::bf16) + w.input(dtype::bf16), dtype::bf16); });
  bench("map.five_transcendental", 1, n, [](writer& w) {
    value a = w.input(), b = w.input(), c = w.input();
    w.store(exp(-(a * a)) * sin(b) + tanh(c) * cos(a) + log(b * b + w.number(1)));
  });
  bench("map.gelu_tanh_bias", 1, n, [](writer& w) {
    value x = w.input() + w.input();
    value t = tanh(w.number(0.7978845608) * (x + w.number(0.044715) * x * x * x));
    w.store(w.number(0.5) * x * (w.number(1) + t));
  });
  bench("map.swiglu_backward", 1, n, [](writer& w) {
    value a = w.input(), b = w.input(), c = w.input(), s = sigmoid(b);
    w.store(c * a * (s * (w.number(1) + b * (w.number(1) - s))) + c * (b * s));
  });
  bench("map.gelu_erf_backward", 1, n, [](writer& w) {
    value a = w.input(), b = w.input();
    value p = w.number(0.5) * (w.number(1) + erf(w.number(0.7071067812) * a));
    w.store(b * (p + w.number(0.3989422804) * a * exp(w.number(-0.5) * (a * a))));
  });
  bench("map.polynomial", 1, n, [](writer& w) {
    value a = w.input(), y = w.number(0.1);
    for (int i = 0; i < 10; ++i) y = y * a + w.number((i % 2 ? 1 : -1) * (0.2 + 0.1 * i));
    w.store(y);
  });
  bench("map.adam_in_place", 1, n, [](writer& w) {
    value p = w.input(), m = w.input(), v = w.input(), g = w.input();
    value m1 = w.number(0.9) * m + w.number(0.1) * g,
          v1 = w.number(0.999) * (v * v) + w.number(0.001) * (g * g);
    w.store(m1, w.inner, 1, dtype::f32, w.bound.slots[1].memory);
    w.store(v1, w.inner, 1, dtype::f32, w.bound.slots[2].memory);
    w.store(p - w.number(0.001) * m1 / (sqrt(v1) + w.number(1e-8)), w.inner, 1, dtype::f32,
            w.bound.slots[0].memory);
    w.bytes += 3.0 * 4 * static_cast<double>(w.inner);
  });
  bench("map.dropout", 1, n, [](writer& w) {
    value keep = w.make(op::less, w.random(), w.number(0.9));
    w.store(w.make(op::where, keep, w.input() * w.number(1 / 0.9), w.number(0)));
  });
  bench("map.bias_channels.65536x96", 65536, 96, [](writer& w) { w.store(w.input() + w.input(0, 1)); });
  bench("map.transpose.2048x2048", 2048, 2048, [](writer& w) { w.store(w.input(1, 2048)); });
}

value layer_norm(value x) {
  writer& w = *x.w;
  value n = w.number(1.0 / static_cast<double>(w.inner));
  value d = x - w.row(op::sum, x) * n;
  return d * rsqrt(w.row(op::sum, d * d) * n + w.number(1e-6));
}
value softmax(value x) {
  value e = exp(x - x.w->row(op::max, x));
  return e / x.w->row(op::sum, e);
}

void rows() {
  const i64 shapes[][2] = {{6272, 96}, {25088, 49}, {4096, 1024}, {128, 10}, {64, 100000}};
  for (const auto& s : shapes) {
    std::string size = ".";
    size += std::to_string(s[0]) + "x" + std::to_string(s[1]);
    copy("copy" + size, s[0] * s[1] * 4);
    bench("row.softmax" + size + ".forward", s[0], s[1], [](writer& w) { w.store(softmax(w.input())); });
    bench("row.softmax" + size + ".backward", s[0], s[1], [](writer& w) {
      value y = w.input(), dy = w.input();
      w.store(y * (dy - w.row(op::sum, dy * y)));
    });
    bench("row.layer_norm" + size + ".forward", s[0], s[1],
          [](writer& w) { w.store(layer_norm(w.input())); });
    bench("row.layer_norm_weights" + size + ".forward", s[0], s[1],
          [](writer& w) { w.store(layer_norm(w.input()) * w.input(0, 1) + w.input(0, 1)); });
    bench("row.layer_norm_weights" + size + ".backward", s[0], s[1], [](writer& w) {
      value x = w.input(), dy = w.input(), gamma = w.input(0, 1),
            n = w.number(1.0 / static_cast<double>(w.inner));
      value d = x - w.row(op::sum, x) * n, r = rsqrt(w.row(op::sum, d * d) * n + w.number(1e-6)), h = d * r;
      value g = dy * gamma;
      w.store(r * (g - w.row(op::sum, g) * n - h * (w.row(op::sum, g * h) * n)));
      w.column_sum(dy * h);
      w.column_sum(dy);
    });
  }
}

void sums() {
  bench("column.sum.65536x96", 65536, 96, [](writer& w) { w.column_sum(w.input()); });
  bench("column.sum.2097152x3", 2097152, 3, [](writer& w) { w.column_sum(w.input()); });
  bench("column.sum.64x131072", 64, 131072, [](writer& w) { w.column_sum(w.input()); });
  bench("total.sum.16777216", 1, 1 << 24, [](writer& w) { w.total_sum(w.input()); });
  bench("total.squares_bf16.16777216", 1, 1 << 24, [](writer& w) {
    value x = w.input(dtype::bf16);
    w.total_sum(x * x);
  });
  bench("map.tiny.16", 1, 16, [](writer& w) { w.store(w.input() + w.input()); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) wanted = argv[1];
  maps();
  rows();
  sums();
}
