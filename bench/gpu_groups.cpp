// Fused groups on a GPU, beside bench/peer/gpu_groups.py: ten maps in three layouts, rows and sums over rows,
// each with the bytes that it must move. One line of JSON each.
//   gpu_groups [--tune] [--prepare] [--names] [--part k/n] [text...]   of the cases whose names contain a
//   text, every n-th
// --tune tries other cuts than those that are chosen; --prepare compiles kernels for the cache and measures
// nothing; --names prints the kernels' names, and needs no GPU.
#include <flame/flame.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/cuda/execute.hpp>
#include <flame/run/cuda/names.hpp>
#include <flame/run/program_cache.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "formulas.hpp"

using namespace flame;
using namespace flame::literals;
using formula::col;
using formula::row;

template <class T> struct leaves {
  static constexpr struct a_ : input<T, row, col> {
  } a{};
  static constexpr struct b_ : input<T, row, col> {
  } b{};
  static constexpr struct v_ : input<T, col> {
  } v{};
  static constexpr struct w_ : input<T, col> {
  } w{};
  static constexpr struct label_ : input<i32, row> { } label{}; };

// ---- What is asked for ----

struct {
  bool tune = false, prepare = false, names = false;
  int part = 0, parts = 1, seen = 0;
  std::vector<std::string> texts;

  bool wants(const std::string& name) {
    bool found = texts.empty();
    for (const std::string& t : texts) found = found || name.find(t) != std::string::npos;
    return found && seen++ % parts == part;
  }
} asked;

// ---- Measuring ----

// Memory for the tensors of a case, kept for the next: each filled with random numbers, which as bf16 are
// normal, and as f32 too but for their last bits; labels are below 1000.
class memories {
 public:
  void* get(std::size_t number, i64 bytes, dtype element) {
    memory& m = all_[{number, element == dtype::int32}];
    if (m.bytes < bytes) {
      m.block.reset();
      m.block = cuda_code::allocate(bytes);
      m.bytes = bytes;
      fill(m.block.get(), bytes, element == dtype::int32);
    }
    return m.block.get();
  }

 private:
  struct memory {
    std::shared_ptr<std::byte> block;
    i64 bytes = 0;
  };
  static void fill(std::byte* to, i64 bytes, bool labels) {
    std::vector<u16> numbers(1 << 20);
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = labels ? static_cast<u16>(i % 2 ? 0 : random() % 1000) : bf16(normal(random)).bits;
    i64 done = std::min<i64>(bytes, static_cast<i64>(numbers.size() * 2));
    cuda_code::copy_to_device(to, numbers.data(), done);
    cuda_code::synchronize();
    for (; done < bytes; done += std::min(done, bytes - done))
      cuda_code::copy_on_device(to + done, to, std::min(done, bytes - done));
    cuda_code::synchronize();
  }
  std::map<std::pair<std::size_t, bool>, memory> all_;
};
memories kept;

void measure(const std::string& name, const program& p) {
  if (asked.names) {
    for (const std::string& kernel : cuda_kernels::kernel_names(p))
      if (kernel.find("put_numbers") == kernel.npos) std::printf("%s %s\n", name.c_str(), kernel.c_str());
    return;
  }
  std::vector<cuda_code::tuning> tunings{{}};
  if (asked.tune) {
    const bool wide = name.find("x32") != name.npos, rows = p.steps[0].code && p.steps[0].code->reduces();
    const bool squares = name.find("_permuted") != name.npos;
    for (int packs : squares ? std::vector<int>{1, 2, 4, 8}
                     : !rows ? std::vector<int>{1}
                     : wide  ? std::vector<int>{0, 201, 202, 204, 104}
                             : std::vector<int>{0, 100})
      for (int threads :
           rows || squares ? std::vector<int>{128, 256, 512} : std::vector<int>{128, 256, 512, 1024})
        for (int blocks : squares ? std::vector<int>{8, 16, 32}
                          : !rows ? std::vector<int>{1, 2, 4, 8}
                                  : std::vector<int>{0, 1, 2, 4, 8, 16, 64})
          tunings.push_back({packs, threads, blocks});
  }
  std::vector<dtype> elements(static_cast<std::size_t>(p.buffers.size()), dtype::f32);
  std::vector<bool> used(elements.size(), false);
  for (const program_step& s : p.steps)
    for (const located& t : s.tensors)
      if (t.buffer >= 0)
        elements[static_cast<std::size_t>(t.buffer)] = t.element,
        used[static_cast<std::size_t>(t.buffer)] = true;
  std::vector<void*> externals;
  i64 bytes = 0;
  for (std::size_t b = 0; b < used.size(); ++b) {
    const buffer& at = p.buffers[static_cast<int>(b)];
    const bool needed = used[b] && at.kind == buffer_kind::external;
    externals.push_back(needed && !asked.prepare ? kept.get(b, at.bytes, elements[b]) : nullptr);
    if (needed && at.first >= 0) bytes += at.bytes;
  }
  for (const cuda_code::tuning& t : tunings) try {
      cuda_code::executable run(p, t);
      if (asked.prepare) continue;
      run.run(externals);
      cuda_code::synchronize();
      std::vector<double> totals;
      for (int i = 0; i < (asked.tune ? 3 : 4); ++i) {
        double total = 0;
        for (double ms : run.time(externals, bytes > (i64{1} << 30) ? 10 : bytes > (i64{1} << 27) ? 20 : 100))
          total += ms;
        totals.push_back(total);
      }
      std::sort(totals.begin() + 1, totals.end());  // but for the first, which warms up
      std::printf(
          "{\"name\": \"%s\", \"us\": %.2f, \"bytes\": %lld, \"steps\": %d, \"gbs\": %.0f, \"tuning\": [%d, "
          "%d, %d]}\n",
          name.c_str(), totals[totals.size() / 2] * 1e3, bytes, p.steps.size(),
          static_cast<double>(bytes) / totals[totals.size() / 2] / 1e6, t.packs, t.threads, t.blocks);
      std::fflush(stdout);
    } catch (const error&) {
      if (!asked.tune) throw;  // some cuts need more than a block has
    }
}
template <class F, class... T> void measure(const std::string& name, F f, const T&... shapes) {
  if (asked.wants(name)) measure(name, f.plan(shapes...));
}

// ---- Maps ----

template <class F, class... Given> void map(const std::string& name, const Given&... given) {
  if (!asked.wants(name)) return;
  program_cache cache(*function_of<F, typename Given::held_shape...>);
  measure(name, cache.plan({given.view()...}));
}
template <class T, class F, class Alone = F>
void map_in_layouts(const std::string& name, const std::string& type, i64 n) {
  const tensor<T, row, col> m(std::vector<i64>{n, n});
  const tensor<T, col, row> turned(std::vector<i64>{n, n});
  const tensor<T, col> v(std::vector<i64>{n});
  const std::string end = "." + type + "." + std::to_string(n) + "x" + std::to_string(n);
  map<Alone>(name + end, m, m, m, m);
  map<formula::with_row<Alone>>(name + "_row" + end, m, v, m, m, m);
  map<formula::permuted<F>>(name + "_permuted" + end, m, turned, m, m);
}
template <class T> void maps(const std::string& type, i64 n) {
  formula::each([&]<class F, class Alone>(const char* name) { map_in_layouts<T, F, Alone>(name, type, n); });
}

// ---- Rows ----

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
template <class T> void losses(const std::string& type, i64 rows, i64 classes) {
  using l = leaves<T>;
  constexpr auto& a = l::a;
  constexpr auto& label = l::label;
  const tensor<T, row, col> m(std::vector<i64>{rows, classes});
  const tensor<i32, row> n(std::vector<i64>{rows});
  const std::string end = "." + type + "." + std::to_string(rows) + "x" + std::to_string(classes);
  measure("cross_entropy" + end, compile<host>(cross_entropy(a, label), a, label), m, n);
  measure("cross_entropy_backward" + end, compile<host>(grad(cross_entropy(a, label), a), a, label), m, n);
}

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    if (word == "--tune")
      asked.tune = true;
    else if (word == "--prepare")
      asked.prepare = true;
    else if (word == "--names")
      asked.names = true;
    else if (word == "--part" && i + 1 < count)
      std::sscanf(arguments[++i], "%d/%d", &asked.part, &asked.parts);
    else
      asked.texts.push_back(word);
  }
  for (i64 n : {256, 1024, 4096, 16384}) {
    maps<bf16>("bf16", n);
    maps<f32>("f32", n);
  }
  for (auto [rows, columns] : {std::pair<i64, i64>{65536, 640}, {16384, 1280}, {4096, 4096}, {1024, 32768}}) {
    rows_of<bf16>("bf16", rows, columns);
    rows_of<f32>("f32", rows, columns);
  }
  for (auto [rows, classes] : {std::pair<i64, i64>{4096, 1000}, {8192, 32000}}) {
    losses<bf16>("bf16", rows, classes);
    losses<f32>("f32", rows, classes);
  }
}
