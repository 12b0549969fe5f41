// The machine code of kernels, compiled for sm_90 without a GPU: it loads each leaf once and stores each
// result once, 16 bytes at a time where they lie side by side, and has no stack, spill, call or division.
//
// labels: cuda
// needs: flame::cuda
#include <doctest/doctest.h>
#include <flame/expr/attention.hpp>
#include <flame/expr/gradient.hpp>
#include <flame/expr/random.hpp>

#include <cstdlib>
#include <fstream>

#include "../../bench/formulas.hpp"
#include "../../bench/steps.hpp"
#include "code/checks.hpp"

namespace {

using namespace flame;
using namespace flame::code_tests;

// The kernels of programs, each once.
struct collection {
  std::set<std::string> kernels;
  int doubled = 0;
  void add(const program& p) {
    for (const auto& names : {cuda_kernels::kernel_names(p), cuda_kernels::product_names(p, architecture)})
      kernels.insert(names.begin(), names.end());
    for (const program_step& s : p.steps) doubled += doubled_operands(s);
  }
  void check(const std::string& of) const {
    CHECK(doubled == 0);
    const checked_kernels all = check_kernels(kernels);
    for (const std::string& problem : all.problems) FAIL_CHECK(problem);
    MESSAGE(of << ": " << all.count << " kernels, at most " << all.most_registers << " registers a thread");
  }
};

// ---- Training steps ----

collection& of_steps() {
  static collection all;
  return all;
}

TEST_CASE("training steps of the examples") {
  steps::halves_on_host = true;
  steps::inspect = [](const char*, const program& plan) { of_steps().add(plan); };
  steps::all<host>([](const std::function<void()>& call) { return call(), 0.0; });
  CHECK(of_steps().kernels.size() > 40);
  of_steps().check("training steps");
}

// ---- Models ----

TEST_CASE("SDXL's blocks in training, at the sizes of 1024 x 1024, in bf16") {
  std::ifstream list(std::string(std::getenv("FLAME_TESTS")) + "/cuda/lists/sdxl.txt");
  collection all;
  for (std::string line; std::getline(list, line);)
    if (!line.empty() && line[0] != '#') all.kernels.insert(line);
  CHECK(all.kernels.size() > 60);
  all.check("SDXL's blocks");
}

// ---- Formulas ----

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
  static constexpr struct t_ : input<T, col, row> {
  } t{};
  static constexpr struct label_ : input<i32, row> { } label{}; };

// The plan of a formula for matrices of so many rows and columns, of the leaves that it is told.
template <class T> struct planner_of {
  i64 rows, columns;
  collection& to;
  tensor<T, row, col> m{std::vector<i64>{rows, columns}};
  tensor<T, col, row> turned{std::vector<i64>{columns, rows}};
  tensor<T, col> n{std::vector<i64>{columns}};
  tensor<i32, row> labels{std::vector<i64>{rows}};

  template <class L> const auto& given(const L&) const {
    using leaf = std::remove_cvref_t<L>;
    if constexpr (std::is_same_v<leaf, typename leaves<T>::label_>)
      return labels;
    else if constexpr (std::is_same_v<leaf, typename leaves<T>::t_>)
      return turned;
    else if constexpr (shape_of<leaf>::rank == 1)
      return n;
    else
      return m;
  }
  template <class E, class... L> void operator()(const E& e, const L&... in) const {
    to.add(compile<host>(e, in...).plan(given(in)...));
  }
};

// The functors of CUB's benchmarks.
template <class T> void functors(const planner_of<T>& plan) {
  using l = leaves<T>;
  constexpr auto& a = l::a;
  constexpr auto& b = l::b;
  plan(relu(a), a), plan(sigmoid(a), a), plan(tanh(a), a), plan(gelu(a), a), plan(sin(a), a), plan(exp(a), a);
  plan(a + b, a, b), plan(a - b, a, b), plan(a * b, a, b), plan(a / b, a, b);
  plan(a <= b, a, b), plan(minimum(a, b), a, b), plan(maximum(a, b), a, b);
}

// The maps of bench/gpu_groups.
enum class layout { contiguous, with_row, permuted };
template <class T> void maps(const planner_of<T>& plan, layout how) {
  formula::each([&]<class F, class Alone>(const char*) {
    const auto add = [&]<class G>(G, const auto&... given) {
      using shapes = types<typename std::remove_cvref_t<decltype(given)>::held_shape...>;
      [&]<class... S>(types<S...>) {
        program_cache cache(*function_of<G, S...>);
        plan.to.add(cache.plan({given.view()...}));
      }(shapes{});
    };
    if (how == layout::contiguous)
      add(Alone{}, plan.m, plan.m, plan.m, plan.m);
    else if (how == layout::with_row)
      add(formula::with_row<Alone>{}, plan.m, plan.n, plan.m, plan.m, plan.m);
    else
      add(formula::permuted<F>{}, plan.m, plan.turned, plan.m, plan.m);
  });
}

template <class T> void rows_of(const planner_of<T>& plan) {
  using l = leaves<T>;
  constexpr auto& a = l::a;
  constexpr auto& b = l::b;
  constexpr auto& v = l::v;
  constexpr auto& w = l::w;
  plan(softmax(a, col), a);
  plan(vjp(softmax(a, col), b, a), a, b);
  const auto norm = layer_norm(a, 1e-5, col) * v + w;
  plan(norm, a, v, w);
  plan(vjp(norm, b, a, v, w), a, b, v, w);
  plan(cross_entropy(a, l::label), a, l::label);
  plan(grad(cross_entropy(a, l::label), a), a, l::label);
  plan(sum(a, row), a);
  plan(sum(a), a);
  plan(argmax(a, col), a);
}

// Every access of every tensor of the group is 16 bytes wide, or one number for the whole row.
bool wide_accesses(const group_name& g) {
  int smallest = 16;
  for (const auto& s : g.slots)
    if (s.by_packs()) smallest = std::min(smallest, size_of(s.element));
  return g.contiguous() && !g.tail && g.vector * smallest >= std::min(16, 8 * smallest);
}

template <class T> void check_maps(const char* type) {
  SUBCASE("contiguous") {
    collection all;
    functors<T>({4096, 4096, all});  // fewer elements are spread over more threads
    maps<T>({4096, 4096, all}, layout::contiguous);
    CHECK(all.doubled == 0);
    for (const std::string& name : all.kernels)
      if (group_name::is(name)) CHECK_MESSAGE(wide_accesses(group_name(name)), name);
    all.check(type);
  }
  SUBCASE("an odd number of columns") {
    collection all;
    functors<T>({100, 999, all});
    maps<T>({100, 999, all}, layout::contiguous);
    all.check(type);
  }
  SUBCASE("a row added") {
    collection all;
    maps<T>({256, 4096, all}, layout::with_row);
    all.check(type);
  }
  SUBCASE("an operand turned") {
    collection all;
    const planner_of<T> plan{128, 256, all};
    using l = leaves<T>;
    plan(gelu(permute(l::t, row, col)), l::t);
    maps<T>(plan, layout::permuted);
    all.check(type);
  }
}
TEST_CASE("maps in f32") { check_maps<f32>("f32"); }
TEST_CASE("maps in bf16") { check_maps<bf16>("bf16"); }

template <class T> void check_rows(const char* type) {
  collection all;
  for (i64 columns : {32, 640, 1280, 4096, 32768}) rows_of<T>({64, columns, all});
  // So many that rows come through shared memory, short ones of an odd length, and few columns.
  for (auto [rows, columns] :
       {std::pair<i64, i64>{9000, 640}, {9000, 1280}, {2048, 4096}, {20000, 49}, {6272, 96}})
    rows_of<T>({rows, columns, all});
  for (const char* family : {"group<", "staged<", "columns<"})
    CHECK_MESSAGE(std::any_of(all.kernels.begin(), all.kernels.end(),
                              [&](const std::string& name) { return name.find(family) != name.npos; }),
                  family);
  all.check(type);
}
TEST_CASE("rows in f32") { check_rows<f32>("f32"); }
TEST_CASE("rows in bf16") { check_rows<bf16>("bf16"); }

// Rows of every length: a block has what its cut says, and the blocks of a cluster have the row.
TEST_CASE("cuts of rows through shared memory") {
  using namespace cuda_kernels::group_launch;
  int cuts = 0;
  auto check = [&](const row_facts& f, const row_cut& cut, i64 threads, i64 teams) {
    ++cuts;
    INFO(f.numbers << " numbers of " << f.bytes << " bytes, " << cut.packs << " packs, " << cut.threads
                   << " threads");
    CHECK(cut.packs * f.vector * threads * cut.cluster >= f.numbers);
    CHECK(threads * teams <= 1024);
    CHECK((cut.cluster == 1 || cut.cluster == 2 || cut.cluster == 4 || cut.cluster == 8));
    CHECK(cut.stages >= 1);
    CHECK(cut.stages * cut.packs * f.vector * threads * teams * f.bytes <= f.most_shared);
  };
  for (i64 numbers = 8; numbers < 200000; numbers += numbers / 16 / 8 * 8 + 8)
    for (int inputs : {1, 2, 3})
      for (int what = 0; what < 16; ++what) {
        row_facts f;
        f.numbers = numbers, f.rows = 4096, f.inputs = inputs, f.live = 2 * inputs;
        f.halves = what & 1, f.columns = what & 2, f.stores = what & 4, f.repeats = what & 8;
        f.vector = f.halves ? 8 : 4, f.bytes = inputs * (f.halves ? 2 : 4);
        if (auto cut = cut_of_long_rows(f)) check(f, *cut, cut->threads, 1);
        for (i64 packs : {1, 2, 4, 5}) {
          const i64 lanes = (numbers + packs * f.vector - 1) / (packs * f.vector);
          if (lanes > 512) continue;
          const i64 whole = lanes <= 32 ? 32 : (lanes + 31) / 32 * 32;
          if (auto cut = cut_of_held_rows(f, packs, whole);
              cut && cut->stages * packs * f.vector * f.bytes <= 256)
            check(f, *cut, whole, std::max<i64>(cut->threads / whole, 1));
        }
      }
  CHECK(cuts > 1000);
}

// ---- Code that must be refused ----

// The problems of a kernel of this text, called bad<1>, where a group's rules hold.
std::string refusal(const std::string& text, const group_name& g) {
  cuda_kernels::compiler_report report;
  const std::string source = "#include <flame/run/cuda/kernel/group.hpp>\n" + text;
  const auto made = cuda_kernels::compile_text(source.c_str(), "bad<1>", architecture, &report);
  std::string all;
  for (const std::string& p : problems_of(read_code(made, report), g)) all += p + "\n";
  return all;
}

// A copy of f32, 16 bytes a thread.
group_name copy_name() {
  const auto word = [](const instruction& i) { return "," + std::to_string(i.word()) + "ull"; };
  const auto slot = [](slot_kind kind) {
    return "," + std::to_string(static_cast<u64>(kind) | u64{group_name::side_by_side} << 16) + "ull";
  };
  return group_name("flame::kernel::group<4,1,128,1,0,false,true,flame::u32,2ull" + slot(slot_kind::input) +
                    slot(slot_kind::output) + word({.code = code_load, .a = 0}) +
                    word({.code = code_store, .a = 1, .b = 0}) + ">");
}

TEST_CASE("a kernel that does as its name says is not refused") {
  const group_name copy = copy_name();
  CHECK(refusal("template <int> __global__ void bad(const float4* a, float4* b, int n) {"
                "  const int i = blockIdx.x * 128 + threadIdx.x;"
                "  if (i < n) b[i] = a[i];"
                "}",
                copy) == "");
}

TEST_CASE("what breaks a rule is found") {
  const group_name copy = copy_name();
  auto has = [&](const std::string& text, const char* words) {
    const std::string all = refusal(text, copy);
    INFO(text << "\n" << all);
    CHECK(all.find(words) != std::string::npos);
  };
  // A leaf that is loaded twice: a barrier keeps the compiler from seeing that it is the same.
  has("template <int> __global__ void bad(const float4* a, float4* b, int n) {"
      "  const int i = blockIdx.x * 128 + threadIdx.x;"
      "  float4 x = a[i];"
      "  __syncthreads();"
      "  x.x += a[i].y + a[i].z + a[i].w;"
      "  if (i < n) b[i] = x;"
      "}",
      "loads 1 of 4 bytes");
  // Element by element.
  has("template <int> __global__ void bad(const float* a, float* b, int n) {"
      "  const int i = blockIdx.x * 128 + threadIdx.x;"
      "  if (i < n) b[i] = a[i];"
      "}",
      "loads 1 of 4 bytes");
  // An array of the stack, where an index is known too late.
  has("template <int> __global__ void bad(const float4* a, float4* b, int n) {"
      "  const int i = blockIdx.x * 128 + threadIdx.x;"
      "  const float4 x = a[i];"
      "  float all[4] = {x.x, x.y, x.z, x.w};"
      "  all[n & 3] = 1;"
      "  b[i] = make_float4(all[(n + 1) & 3], all[1], all[(n + 2) & 3], all[3]);"
      "}",
      "instructions on local memory");
  // More values than registers.
  has("template <int> __global__ void __launch_bounds__(1024) bad(const float4* a, float4* b, int n) {"
      "  float4 x[32];"
      "  const int i = threadIdx.x;"
      "  for (int k = 0; k < 32; ++k) x[k] = a[i + k * n];"
      "  __syncthreads();"
      "  for (int k = 0; k < 32; ++k) b[i + k * n] = x[k];"
      "}",
      "bytes spilled");
  // An index that is divided by a number known when it runs.
  has("template <int> __global__ void bad(const float4* a, float4* b, int n) {"
      "  const int i = blockIdx.x * 128 + threadIdx.x;"
      "  b[i] = a[i / n + i % n];"
      "}",
      "divisions of integers");
  // A function that is not part of the kernel.
  has("__device__ __noinline__ float4 other(const float4* a, int i) { return a[i]; }"
      "template <int> __global__ void bad(const float4* a, float4* b, int n) {"
      "  const int i = blockIdx.x * 128 + threadIdx.x;"
      "  if (i < n) b[i] = other(a, i);"
      "}",
      "calls");
  // A name that says more than its words.
  has("struct a_name_that_goes_on_and_on_and_says_nothing_that_the_words_of_a_kernel_do_not_say {};"
      "struct another_name_that_goes_on_and_on_and_says_nothing_that_words_do_not_say {};"
      "template <int, class = "
      "a_name_that_goes_on_and_on_and_says_nothing_that_the_words_of_a_kernel_do_not_say,"
      "  class = another_name_that_goes_on_and_on_and_says_nothing_that_words_do_not_say>"
      "__global__ void bad(const float4* a, float4* b, int n) { b[n] = a[n]; }",
      "a symbol of");
}

TEST_CASE("operands that are one and the same are found") {
  collection all;
  using l = leaves<f32>;
  const tensor<f32, row, col> m(std::vector<i64>{16, 64});
  program p = compile<host>(l::a + l::b, l::a, l::b).plan(m, m);
  REQUIRE(p.steps.size() == 1);
  CHECK(doubled_operands(p.steps[0]) == 0);
  for (int i = 0; i < p.steps[0].tensors.size(); ++i)
    if (p.steps[0].code->slots[i].kind == slot_kind::input) p.steps[0].tensors[i].buffer = 0;
  CHECK(doubled_operands(p.steps[0]) == 1);
}

}  // namespace
