// Fused groups on a GPU, beside bench/peer/gpu_groups.py: maps, rows and sums over rows, each with the bytes
// that it must move. One line of JSON each.
#include <flame/flame.hpp>
#include <flame/run/cuda/execute.hpp>

#include <cstdio>
#include <random>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;

template <class T> struct leaves {
  static constexpr struct a_ : input<T, row, col> {
  } a{};
  static constexpr struct b_ : input<T, row, col> {
  } b{};
  static constexpr struct c_ : input<T, row, col> {
  } c{};
  static constexpr struct d_ : input<T, row, col> {
  } d{};
  static constexpr struct v_ : input<T, col> {
  } v{};
  static constexpr struct w_ : input<T, col> { } w{}; };

bool tune = false;

// Fills with random numbers; bits of normal f32, or of normal bf16 two by two.
void fill(std::byte* device, i64 bytes, dtype element) {
  std::vector<u16> numbers(1 << 20);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> floats(numbers.size() / 2);
  for (float& f : floats) f = normal(random);
  if (element == dtype::f32)
    std::memcpy(numbers.data(), floats.data(), numbers.size() * 2);
  else
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = bf16(floats[i % floats.size()]).bits;
  for (i64 at = 0; at < bytes; at += static_cast<i64>(numbers.size() * 2))
    cuda_code::copy_to_device(device + at, numbers.data(),
                              std::min<i64>(bytes - at, static_cast<i64>(numbers.size() * 2)));
  cuda_code::synchronize();
}

template <class F, class... T> void measure(const std::string& name, F f, const T&... shapes) {
  const program& p = f.plan(shapes...);
  std::vector<cuda_code::tuning> tunings{{}};
  if (tune)
    for (int packs : {1, 2, 3, 4, 5})
      for (int threads : {128, 256})
        for (int blocks : {2, 4, 8}) tunings.push_back({packs, threads, blocks});
  std::vector<std::shared_ptr<std::byte>> memory;
  std::vector<void*> externals;
  i64 bytes = 0;
  std::vector<dtype> elements(static_cast<std::size_t>(p.buffers.size()), dtype::f32);
  for (const program_step& s : p.steps)
    for (const located& t : s.tensors)
      if (t.buffer >= 0) elements[static_cast<std::size_t>(t.buffer)] = t.element;
  for (int b = 0; b < p.buffers.size(); ++b) {
    if (p.buffers[b].kind != buffer_kind::external) {
      externals.push_back(nullptr);
      continue;
    }
    memory.push_back(cuda_code::allocate(p.buffers[b].bytes));
    fill(memory.back().get(), p.buffers[b].bytes, elements[static_cast<std::size_t>(b)]);
    externals.push_back(memory.back().get());
    if (p.buffers[b].first >= 0) bytes += p.buffers[b].bytes;
  }
  for (const cuda_code::tuning& t : tunings) try {
      cuda_code::executable run(p, t);
      run.run(externals);
      cuda_code::synchronize();
      double total = 0;
      const int repetitions = bytes > (i64{1} << 28) ? 20 : 100;
      for (double ms : run.time(externals, repetitions)) total += ms;
      std::printf(
          "{\"name\": \"%s\", \"us\": %.2f, \"bytes\": %lld, \"steps\": %d, \"gbs\": %.0f, \"tuning\": [%d, "
          "%d, %d]}\n",
          name.c_str(), total * 1e3, bytes, p.steps.size(), static_cast<double>(bytes) / total / 1e6, t.packs,
          t.threads, t.blocks);
      std::fflush(stdout);
    } catch (const error& e) {
      if (!tune) throw;  // some cuts need more than a block has
    }
}

template <class T> void maps(const std::string& type, i64 rows, i64 columns) {
  using l = leaves<T>;
  constexpr auto& a = l::a;
  constexpr auto& b = l::b;
  constexpr auto& c = l::c;
  constexpr auto& d = l::d;
  constexpr auto& v = l::v;
  const tensor<T, row, col> m(std::vector<i64>{rows, columns});
  const tensor<T, col> n(std::vector<i64>{columns});
  const std::string end = "." + type + "." + std::to_string(rows) + "x" + std::to_string(columns);
  measure("relu" + end, compile<host>(relu(a), a), m);
  measure("add" + end, compile<host>(a + b, a, b), m, m);
  measure("bias_gelu" + end, compile<host>(gelu(a + v), a, v), m, n);
  // y = a gelu(b): gradients with respect to a and b
  measure("geglu_backward" + end, compile<host>(vjp(a * gelu(b), c, a, b), a, b, c), m, m, m);
  measure("polynomial" + end,
          compile<host>(
              ((((((((((0.1 * a - 0.2) * a + 0.3) * a - 0.4) * a + 0.5) * a - 0.6) * a + 0.7) * a - 0.8) * a +
                 0.9) *
                    a -
                1.0) *
                   a +
               1.1) * b +
                  c,
              a, b, c),
          m, m, m);
  measure("adam" + end,
          compile<host>(a - 0.001 * (0.9 * b + 0.1 * d) / (sqrt(0.999 * (c * c) + 0.001 * (d * d)) + 1e-8), a,
                        b, c, d),
          m, m, m, m);
}

template <class T> void rows_of(const std::string& type, i64 rows, i64 columns) {
  using l = leaves<T>;
  constexpr auto& a = l::a;
  constexpr auto& b = l::b;
  constexpr auto& v = l::v;
  constexpr auto& w = l::w;
  const tensor<T, row, col> m(std::vector<i64>{rows, columns});
  const tensor<T, col> n(std::vector<i64>{columns});
  const std::string end = "." + type + "." + std::to_string(rows) + "x" + std::to_string(columns);
  measure("softmax" + end, compile<host>(softmax(a, col), a), m);
  measure("softmax_backward" + end, compile<host>(vjp(softmax(a, col), b, a), a, b), m, m);
  auto norm = layer_norm(a, 1e-5, col) * v + w;
  measure("layer_norm" + end, compile<host>(norm, a, v, w), m, n, n);
  measure("layer_norm_backward" + end, compile<host>(vjp(norm, b, a, v, w), a, b, v, w), m, m, n, n);
  measure("column_sum" + end, compile<host>(sum(a, row), a), m);
}

int main(int count, char**) {
  tune = count > 1;  // any argument: other cuts too
  for (i64 n : {1 << 20, 1 << 24, 1 << 27}) {
    if (tune) continue;
    maps<bf16>("bf16", n / 4096, 4096);
    maps<f32>("f32", n / 4096, 4096);
  }
  rows_of<bf16>("bf16", 65536, 640);
  rows_of<f32>("f32", 65536, 640);
  rows_of<bf16>("bf16", 16384, 1280);
  rows_of<bf16>("bf16", 4096, 4096);
  rows_of<bf16>("bf16", 1024, 32768);
}
