// Two GPUs in one process: side by side from one thread and from two, moves between them, what is refused,
// and what is kept for each.
//
// labels: cuda
// needs: flame::cuda
#define FLAME_TEST_GPUS 2
#include "gpu.hpp"  // first: it reads FLAME_TEST_GPUS

#include <cuda_runtime_api.h>

#include <filesystem>
#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/cuda/kernel_store.hpp>
#include <flame/run/function.hpp>
#include <flame/train/resume.hpp>
#include <thread>

#include "network.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct x : input<f32, row, col> {
} x;
// Each test begins and ends on device 0.
struct from_first {
  from_first() { cuda::set_device(0); }
  ~from_first() { cuda::set_device(0); }
};

const char* const refused =
    "flame: a tensor lies on device 0 of cuda, this thread uses device 1; say cuda::set_device(0)";

TEST_CASE("one thread, both devices at work before either is waited for") {
  const from_first here;
  const auto a = normal(key(1), row == 300, col == 70);
  auto f = compile<cuda>(softmax(tanh(x) * x, col) + sum(x, row), x);
  const auto expected = compile<host>(softmax(tanh(x) * x, col) + sum(x, row), x)(a);
  std::vector<device_tensor<f32, row, col>> given, results;
  for (int device : {0, 1}) {
    cuda::set_device(device);
    given.push_back(to<cuda>(a));
    CHECK(given.back().memory().device() == device);
  }
  for (int i = 0; i < 40; ++i) {
    cuda::set_device(i % 2);
    results.push_back(f(given[static_cast<std::size_t>(i % 2)]));
    CHECK(results.back().memory().device() == i % 2);
  }
  std::vector<f32> first;
  for (std::size_t i = 0; i < results.size(); ++i) {
    cuda::set_device(static_cast<int>(i % 2));
    if (i == 0) first = results[0].to_vector();
    CHECK(results[i].to_vector() == first);
  }
  cuda::set_device(0);
  CHECK(distance(results[0], expected) < 1e-5);
}

TEST_CASE("a device's thread for each, the same bits on both") {
  const from_first here;
  const auto a = normal(key(1), row == 300, col == 70);
  std::vector<std::vector<f32>> results(2);
  std::vector<std::string> wrong(2);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      wrong[t] = refusal([&] {
        cuda::set_device(static_cast<int>(t));
        const auto u = to<cuda>(a);
        auto f = compile<cuda>(softmax(tanh(x) * x, col) + sum(x, row), x);
        results[t] = f(u).to_vector();
        for (int i = 0; i < 200; ++i)
          if (f(u).to_vector() != results[t]) throw error("other bits");
      });
    });
  for (std::thread& t : threads) t.join();
  for (const std::string& w : wrong) CHECK(w == "");
  CHECK(results[0] == results[1]);
}

// The weights after some steps.
std::vector<f32> trained(int device, const step_options& options, int steps) {
  cuda::set_device(device);
  const auto m = to<cuda>(network());
  CHECK(m.flat().memory().device() == device);
  const auto u = to<cuda>(images());
  const auto v = to<cuda>(numbered(16));
  auto step = train_step(m, classify, adamw{}, options);
  for (int i = 0; i < steps; ++i) step(u, v);
  return m.flat().to_vector();
}

TEST_CASE("training on the second device is training on the first, alone and with both at once") {
  const from_first here;
  for (const step_options& options :
       {step_options{.ema = 0.9, .clip_norm = 1}, step_options{.clip_norm = 1, .precision = precision::bf16},
        step_options{.precision = precision::f16, .scaling = {.first = 1024}}}) {
    CAPTURE(static_cast<int>(options.precision));
    const std::vector<f32> first = trained(0, options, 6);
    CHECK(trained(1, options, 6) == first);
    cuda::set_device(0);
    std::vector<std::vector<f32>> both(2);
    std::thread one([&] { both[0] = trained(0, options, 6); }),
        two([&] { both[1] = trained(1, options, 6); });
    one.join(), two.join();
    CHECK(both[0] == first);
    CHECK(both[1] == first);
  }
}

TEST_CASE("tensors, views, models and trainings move between devices, behind what computes them") {
  const from_first here;
  const auto a = to<cuda>(normal(key(1), row == 2000, inner == 3000));
  const auto b = to<cuda>(normal(key(2), inner == 3000, col == 2000));
  auto product = eval(matmul(a, b));
  for (int i = 0; i < 10; ++i) product = eval(tanh(product) * 0.5 + matmul(a, b) * 0.001);  // not waited for
  cuda::set_device(1);
  const auto moved = to<cuda>(product);
  const auto turned = to<cuda>(product.permute(col, row));
  const auto part = to<cuda>(product.slice(col, 3, 1777, 5));
  CHECK(moved.memory().device() == 1);
  CHECK(to<cuda>(moved).data() == moved.data());
  cuda::set_device(0);
  const std::vector<f32> expected = product.to_vector(),
                         expected_turned = product.permute(col, row).to_vector(),
                         expected_part = product.slice(col, 3, 1777, 5).to_vector();
  cuda::set_device(1);
  CHECK(moved.to_vector() == expected);
  CHECK(turned.to_vector() == expected_turned);
  CHECK(part.to_vector() == expected_part);
  // Given back at once: whoever takes the memory next comes after the copy.
  for (int i = 0; i < 20; ++i) {
    cuda::set_device(0);
    auto left = eval(product + i);
    cuda::set_device(1);
    const auto taken = to<cuda>(left);
    cuda::set_device(0);
    left = {};
    const auto over = eval(product * 0 - 1);
    cuda::set_device(1);
    CHECK(taken.select(row, 1999).select(col, 1999).item() == expected.back() + static_cast<f32>(i));
  }
  // A training goes on elsewhere where its state goes on.
  cuda::set_device(0);
  const std::vector<f32> whole = trained(0, {}, 6);
  const auto m = to<cuda>(network());
  const auto u = to<cuda>(images());
  const auto v = to<cuda>(numbered(16));
  auto step = train_step(m, classify, adamw{});
  for (int i = 0; i < 3; ++i) step(u, v);
  const std::string file = (std::filesystem::temp_directory_path() / "training.safetensors").string();
  save_training(file, step);
  cuda::set_device(1);
  const auto n = to<cuda>(m);
  CHECK(n.flat().memory().device() == 1);
  const auto u1 = to<cuda>(u);
  const auto v1 = to<cuda>(v);
  auto later = train_step(n, classify, adamw{});
  load_training(file, later);
  for (int i = 0; i < 3; ++i) later(u1, v1);
  CHECK(n.flat().to_vector() == whole);
}

TEST_CASE("what lies on another device is refused by name, and all goes on") {
  const from_first here;
  const auto a = to<cuda>(normal(key(1), row == 30, col == 7));
  const auto m = to<cuda>(network());
  const auto u = to<cuda>(images());
  const auto v = to<cuda>(numbered(16));
  auto f = compile<cuda>(tanh(x) * x, x);
  auto step = train_step(m, classify, sgd{});
  auto run = forward(m, [](auto n, auto given) { return n(given); });
  const auto before = f(a).to_vector();
  cuda::set_device(1);
  const auto b = to<cuda>(a);
  const auto u1 = to<cuda>(u);
  const auto v1 = to<cuda>(v);
  CHECK(refusal([&] { static_cast<void>(f(a)); }) == refused);
  CHECK(refusal([&] { static_cast<void>(eval(a + b)); }) == refused);
  CHECK(refusal([&] { static_cast<void>(a.to_vector()); }) == refused);
  CHECK(refusal([&] { b.copy_from(a); }) == refused);
  CHECK(refusal([&] { static_cast<void>(step(u, v)); }) == refused);
  CHECK(refusal([&] { static_cast<void>(step(u1, v1)); }) == refused);
  CHECK(refusal([&] { static_cast<void>(run(u1)); }) == refused);
  CHECK(refusal([&] { static_cast<void>(train_step(m, classify, sgd{})); }) == refused);
  void* first = nullptr;
  REQUIRE(cudaSetDevice(0) == cudaSuccess);
  REQUIRE(cudaMalloc(&first, 1024) == cudaSuccess);
  CHECK(
      refusal([&] { static_cast<void>(borrow<f32, cuda>(static_cast<f32*>(first), row == 10, col == 7)); }) ==
      "flame::tensor: the memory that is wrapped lies on device 0 of cuda, this thread uses device 1; say "
      "cuda::set_device(0)");
  CHECK(f(b).to_vector() == before);
  cuda::set_device(0);
  CHECK(f(a).to_vector() == before);
  CHECK(refusal([&] {
          for (int i = 0; i < 4; ++i) static_cast<void>(step(u, v)), static_cast<void>(run(u));
        }) == "");
  CHECK(std::isfinite(step(u, v).item()));
  REQUIRE(cudaFree(first) == cudaSuccess);
}

TEST_CASE("which device CUDA calls current is the caller's business") {
  const from_first here;
  const auto given = normal(key(1), row == 40000, col == 7);
  const auto p = x / sum(x, row);
  const auto q = p / sum(p, col);
  auto f = compile<cuda>(q / sum(q, row), x);
  std::vector<std::vector<f32>> results;
  for (int mine : {0, 1})
    for (int users : {1, 0}) {
      cuda::set_device(mine);
      REQUIRE(cudaSetDevice(users) == cudaSuccess);
      const auto a = to<cuda>(given);
      const auto b = a.permute(col, row).clone().permute(row, col);
      b.slice(row, 0, 7).fill(2);
      double n = 0;
      auto c = eval(b * 0);
      for (int i = 0; i < 5; ++i) c = eval(f(a) * (n += 1) + c * 0.5 + b);
      results.push_back(c.to_vector());
      int now = -1;
      REQUIRE(cudaGetDevice(&now) == cudaSuccess);
      CHECK(now == users);
    }
  for (const auto& r : results) CHECK(r == results[0]);
}

TEST_CASE("a stream of the user's on each device") {
  const from_first here;
  const auto a = normal(key(1), row == 500, col == 70);
  auto f = compile<cuda>(softmax(tanh(x) * x, col) + sum(x, row), x);
  const auto expected = f(to<cuda>(a)).to_vector();
  for (int device : {0, 1, 0, 1}) {
    cuda::set_device(device);
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    {
      const auto own = f(to<cuda>(a)).to_vector();
      cuda::set_stream(stream);
      const auto u = to<cuda>(a);
      for (int i = 0; i < 3; ++i) CHECK(f(u).to_vector() == expected);
      CHECK(own == expected);
    }
    cuda::synchronize();
    cuda::set_stream(nullptr);
    REQUIRE(cudaStreamDestroy(stream) == cudaSuccess);
  }
}

TEST_CASE("memory, kernels and machine code are kept for each device") {
  const from_first here;
  setenv("FLAME_CACHE", (std::filesystem::temp_directory_path() / "kernels").c_str(), 1);
  cuda_kernels::kernel_store first(0), second(1);
  const std::string name = "flame::kernel::copy<4>";
  const void* of_first = first.get(name);
  CHECK(first.get(name) == of_first);
  CHECK(second.get(name) != nullptr);
  CHECK(first.counts().compiled == 1);
  CHECK(second.counts().compiled == 0);  // what the first has compiled is there
  CHECK(second.counts().from_disk == 1);
  const auto used = [](int device) {
    cuda::set_device(device);
    return cuda_code::memory_use().used;
  };
  const i64 before[] = {used(0), used(1)};
  cuda::set_device(1);
  {
    const auto t = zeros<f32, cuda>(row == 1 << 20, col == 3);
    const auto small = zeros<f32, cuda>(row == 10, col == 3);
    CHECK(used(1) >= before[1] + (12 << 20));
    CHECK(used(0) == before[0]);  // and here they are given back, whichever device the thread uses
  }
  CHECK(used(1) == before[1]);
  CHECK(used(0) == before[0]);
}

}  // namespace
