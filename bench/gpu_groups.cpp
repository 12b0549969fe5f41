// Fused groups on a GPU, beside bench/peer/gpu_groups.py: ten maps in three layouts, rows and sums over rows,
// each with the bytes that it must move. One line of JSON each.
//   gpu_groups --lines file    several runs, each line the words of one
//   gpu_groups [--tune] [--cut packs,threads,blocks,stages,cluster,vector]... [--prepare] [--names] [--part
//   k/n] [text...]
// of the cases whose names contain a text, every n-th. --tune tries other cuts than those that are chosen,
// --cut this one, each beside the chosen one and its results; --prepare compiles kernels for the cache and
// measures nothing; --names prints the kernels' names, and needs no GPU.
#include <flame/flame.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/cuda/execute.hpp>
#include <flame/run/cuda/names.hpp>
#include <flame/run/program_cache.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
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
  std::vector<cuda_code::tuning> cuts;
  std::string lines;

  bool wants(const std::string& name) {
    bool found = texts.empty();
    for (const std::string& t : texts) found = found || name.find(t) != std::string::npos;
    return found;
  }
  bool turn() { return seen++ % parts == part; }
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
    if (bytes <= 8) {                       // a formula's number: the same in all element types' halves
      const u64 word = 0x3a803a803a803a80;  // about 0.001
      cuda_code::copy_to_device(to, &word, bytes);
      return cuda_code::synchronize();
    }
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

// What a program has written, for looking at: one number in seven.
std::vector<std::vector<float>> written(const program& p, const std::vector<void*>& externals) {
  std::vector<std::vector<float>> all;
  for (const program_step& s : p.steps)
    for (int i = 0; i < s.tensors.size(); ++i) {
      const located& t = s.tensors[i];
      if (!s.writes[i] || t.buffer < 0 || p.buffers[t.buffer].kind != buffer_kind::external) continue;
      if (t.element != dtype::f32 && t.element != dtype::bf16) continue;
      const i64 bytes = p.buffers[t.buffer].bytes;
      std::vector<std::byte> raw(static_cast<std::size_t>(bytes));
      cuda_code::copy_to_host(raw.data(), externals[static_cast<std::size_t>(t.buffer)], bytes);
      std::vector<float> numbers;
      const std::size_t size = static_cast<std::size_t>(size_of(t.element));
      for (std::size_t k = 0; k < raw.size(); k += 7 * size) {
        float x;
        bf16 short_one;
        if (t.element == dtype::f32)
          std::memcpy(&x, raw.data() + k, 4);
        else
          std::memcpy(&short_one.bits, raw.data() + k, 2), x = static_cast<float>(short_one);
        numbers.push_back(x);
      }
      all.push_back(std::move(numbers));
    }
  return all;
}
// The largest difference, beside the root of the mean square.
double difference(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double most = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    double apart = 0, squares = 0;
    for (std::size_t k = 0; k < a[t].size(); ++k) {
      const double d = std::abs(static_cast<double>(a[t][k]) - static_cast<double>(b[t][k]));
      apart = std::max(apart, std::isnan(d) ? 1e30 : d);
      squares += static_cast<double>(a[t][k]) * static_cast<double>(a[t][k]);
    }
    most = std::max(most, apart / std::sqrt(squares / static_cast<double>(a[t].size()) + 1e-30));
  }
  return most;
}

void measure(const std::string& name, const program& p) {
  if (asked.names) {
    for (const std::string& kernel : cuda_kernels::kernel_names(p))
      if (kernel.find("put_numbers") == kernel.npos) std::printf("%s %s\n", name.c_str(), kernel.c_str());
    return;
  }
  std::vector<cuda_code::tuning> tunings{{}};
  tunings.insert(tunings.end(), asked.cuts.begin(), asked.cuts.end());
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
  const bool tries = tunings.size() > 1;
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
  std::vector<std::vector<float>> results;
  for (const cuda_code::tuning& t : tunings) try {
      if (!asked.turn()) continue;
      cuda_code::executable run(p, t);
      if (asked.prepare) continue;
      run.run(externals);
      cuda_code::synchronize();
      double apart = 0;
      if (tries) {
        std::vector<std::vector<float>> now = written(p, externals);
        if (results.empty())
          results = std::move(now);
        else
          apart = difference(results, now);
      }
      std::vector<double> totals;
      for (int i = 0; i < (tries ? 3 : 4); ++i) {
        double total = 0;
        for (double ms : run.time(externals, bytes > (i64{1} << 30) ? 10 : bytes > (i64{1} << 27) ? 20 : 100))
          total += ms;
        totals.push_back(total);
      }
      std::sort(totals.begin() + 1, totals.end());  // but for the first, which warms up
      const double ms = totals[totals.size() / 2];
      std::printf(
          "{\"name\": \"%s\", \"us\": %.2f, \"bytes\": %lld, \"steps\": %d, \"gbs\": %.0f, \"tuning\": [%d, "
          "%d, %d, %d, %d, %d]",
          name.c_str(), ms * 1e3, bytes, p.steps.size(), static_cast<double>(bytes) / ms / 1e6, t.packs,
          t.threads, t.blocks, t.stages, t.cluster, t.vector);
      if (tries) std::printf(", \"apart\": %.1e", apart);
      std::printf("}\n");
      std::fflush(stdout);
    } catch (const error& e) {
      if (!tries) throw;  // some cuts need more than a block has
      if (!asked.cuts.empty() && !asked.prepare)
        std::printf("%s [%d, %d, %d, %d, %d]: %.200s\n", name.c_str(), t.packs, t.threads, t.blocks, t.stages,
                    t.cluster, e.what());
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
inline constexpr struct image : dim<> {
} image;
template <class T> struct images {
  static constexpr struct a_ : input<T, image, row, col> { } a{}; };
// The sum of each image's rows.
template <class T> void sums_of_images(const std::string& type, i64 count, i64 rows, i64 columns) {
  constexpr auto& a = images<T>::a;
  const tensor<T, image, row, col> m(std::vector<i64>{count, rows, columns});
  measure("column_sum." + type + "." + std::to_string(count) + "x" + std::to_string(rows) + "x" +
              std::to_string(columns),
          compile<host>(sum(a, row), a), m);
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

void read(const std::vector<std::string>& words);
void run() {
  for (i64 n : {256, 1024, 4096, 16384}) {
    maps<bf16>("bf16", n);
    maps<f32>("f32", n);
  }
  for (auto [rows, columns] : {std::pair<i64, i64>{65536, 640},
                               {16384, 1280},
                               {4096, 4096},
                               {1024, 32768},
                               {6272, 96},
                               {25088, 49}}) {
    rows_of<bf16>("bf16", rows, columns);
    rows_of<f32>("f32", rows, columns);
  }
  sums_of_images<bf16>("bf16", 128, 49, 96);
  sums_of_images<f32>("f32", 128, 49, 96);
  for (auto [rows, classes] : {std::pair<i64, i64>{4096, 1000}, {8192, 32000}}) {
    losses<bf16>("bf16", rows, classes);
    losses<f32>("f32", rows, classes);
  }
}
// A line of a file is a run's texts and cuts.
void run_lines(const std::string& file) {
  std::ifstream from(file);
  for (std::string line, word; std::getline(from, line);) {
    asked.texts.clear(), asked.cuts.clear();
    std::istringstream in(line);
    std::vector<std::string> words;
    while (in >> word) words.push_back(word);
    read(words);
    if (!asked.texts.empty()) run();
  }
}
void read(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool more = i + 1 < words.size();
    if (word == "--tune") {
      asked.tune = true;
    } else if (word == "--prepare") {
      asked.prepare = true;
    } else if (word == "--names") {
      asked.names = true;
    } else if (word == "--part" && more) {
      std::sscanf(words[++i].c_str(), "%d/%d", &asked.part, &asked.parts);
    } else if (word == "--lines" && more) {
      asked.lines = words[++i];
    } else if (word == "--cut" && more) {
      cuda_code::tuning t;
      std::sscanf(words[++i].c_str(), "%d,%d,%d,%d,%d,%d", &t.packs, &t.threads, &t.blocks, &t.stages,
                  &t.cluster, &t.vector);
      asked.cuts.push_back(t);
    } else {
      asked.texts.push_back(word);
    }
  }
}

int main(int count, char** arguments) {
  read({arguments + 1, arguments + count});
  if (asked.lines.empty())
    run();
  else
    run_lines(asked.lines);
}
