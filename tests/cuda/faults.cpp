// What a user sees when something is wrong: no driver, an old one, memory that is short, calls and kernels
// that fail, machine code that does not load, tensors on another device. On a runtime that stands in for
// CUDA's.
//
// labels: cuda
// needs: flame::cuda
#include "stand_in.hpp"

#include <doctest/doctest.h>

#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/create.hpp>
#include <flame/run/cuda/execute.hpp>
#include <flame/run/cuda/kernel/arguments.hpp>
#include <flame/run/function.hpp>
#include <flame/run/watch.hpp>
#include <flame/train/step.hpp>

#include <thread>

#include "../support.hpp"

namespace {

using namespace flame;
using cuda_tests::stand_in;

// Nothing of this is kept on disk, nor taken from there.
[[maybe_unused]] const int without_cache = setenv("FLAME_CACHE", "", 1);

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct wide : input<f32, row, col> {
} wide;
inline constexpr struct feature : dim<8> {
} feature;
template <class Place> struct affine {  // no product: cuBLASLt has no stand-in
  BOOST_HANA_DEFINE_STRUCT(affine, (layer_norm_layer<in<Place, "norm">, feature>, norm));
  constexpr auto operator()(const auto& u) const { return norm(u); }
};
inline constexpr auto squares = [](auto m, auto u) { return mean(m(u) * m(u)); };

template <class Element, const auto&... Axes>
using device_tensor = basic_tensor<cuda, Element, tag_of<Axes>...>;

using flame::tests::refusal;
// Tests may not find what others of this process left.
struct whole {
  stand_in& machine = stand_in::instance();
  whole() { reset(); }
  ~whole() { reset(); }
  void reset() {
    machine.devices = 3, machine.driver = CUDART_VERSION, machine.total = std::size_t{1} << 30;
    machine.kernels_fail_with = machine.launches_fail_with = cudaSuccess;
    machine.loads_to_refuse = 0, machine.run = nullptr;
    set_watch(watch::nothing);
    cuda::set_device(0);
  }
};

TEST_CASE("no GPU, no driver, an old driver: each is said, and no device is made up") {
  whole w;
  w.machine.devices = 0;
  CHECK(cuda::device_count() == 0);
  CHECK(refusal([] { cuda::set_device(1); }) == "flame::cuda: there is no device 1: the machine has 0");
  w.machine.devices = 3;
  for (cudaError_t none : {cudaErrorNoDevice, cudaErrorStubLibrary, cudaErrorInsufficientDriver}) {
    w.machine.driver = 0, w.machine.without_driver = none;
    CHECK(cuda::device_count() == 0);
    CHECK(refusal([] { cuda::set_device(0); }) == "flame::cuda: there is no device 0: the machine has 0");
  }
  w.machine.driver = 11080;
  const std::string text = refusal([] { static_cast<void>(cuda::device_count()); });
  CHECK(text.starts_with("flame::cuda: the NVIDIA driver supports CUDA 11.8, and this program needs "));
  CHECK(text.ends_with(": install a newer driver"));
  CHECK(refusal([] { cuda::set_device(0); }) == text);
}

TEST_CASE("too little memory for a tensor: needed and free bytes, and all goes on") {
  whole w;
  const std::string text = refusal([] { static_cast<void>(zeros<f32, cuda>(row == (i64{1} << 29))); });
  CHECK(text.starts_with("flame::tensor: the GPU has too little memory: 2147483648 bytes are needed, "));
  CHECK(text.find(" of 1073741824 are free; this process' tensors and programs use ") != std::string::npos);
  CHECK(zeros<f32, cuda>(row == 1000).to_vector() == std::vector<f32>(1000, 0));
}

TEST_CASE("memory that is kept for later tensors is given back before one is refused") {
  whole w;
  {
    std::vector<device_tensor<f32, row>> many;
    for (int i = 0; i < 60; ++i) many.push_back(zeros<f32, cuda>(row == 200 * 1024));
  }
  CHECK(w.machine.used > std::size_t{40} << 20);  // nobody's, and kept
  w.machine.total = w.machine.used + 1000;
  CHECK(refusal([] { static_cast<void>(zeros<f32, cuda>(row == 8 * 1024 * 1024)); }) == "");
}

TEST_CASE("too little memory for a program is said when it is prepared, before its first step") {
  whole w;
  auto f = compile<cuda>(softmax(sum(wide, col), row), wide);
  const auto a = zeros<f32, cuda>(row == 4 * 1024 * 1024, col == 8);
  const auto before = w.machine.called("cudaLaunchKernel");
  w.machine.total = w.machine.used + (i64{1} << 20);
  const std::string text = refusal([&] { static_cast<void>(f(a)); });
  CHECK(text.starts_with("flame::compile<cuda>: the GPU has too little memory: "));
  CHECK(text.find(" bytes are needed, 1048576 of ") != std::string::npos);
  CHECK(w.machine.called("cudaLaunchKernel") == before);
  w.machine.total = std::size_t{1} << 30;
  CHECK(refusal([&] { static_cast<void>(f(a)); }) == "");
  CHECK(w.machine.called("cudaLaunchKernel") > before);
}

TEST_CASE("a kernel that does not start, and one that fails while it runs") {
  whole w;
  const auto a = ones<f32, cuda>(row == 100);
  w.machine.launches_fail_with = cudaErrorLaunchOutOfResources;
  const std::string text = refusal([&] { static_cast<void>(eval(a * a - a)); });
  CHECK(text.find("cudaLaunchKernel failed: ") != std::string::npos);
  CHECK(text.find("; in step 1 of 1, map 100: result = ") != std::string::npos);
  w.machine.launches_fail_with = cudaSuccess;
  const auto b = eval(a * a - a);
  w.machine.kernels_fail_with = cudaErrorIllegalAddress;
  CHECK(refusal([&] { static_cast<void>(b.to_vector()); }) ==
        "flame::cuda: cudaStreamSynchronize failed: an illegal memory access was encountered; a kernel that "
        "was started before failed, FLAME_WATCH=1 says which (700)");
  CHECK(refusal([] { cuda::synchronize(); }).find("(700)") != std::string::npos);
}

TEST_CASE("a launch that fails while a graph is made leaves nothing behind") {
  whole w;
  const auto a = ones<f32, cuda>(row == 64, col == 48);
  const auto p = wide / sum(wide, row);
  const auto q = p / sum(p, col);
  auto f = compile<cuda>(q / sum(q, row), wide);
  REQUIRE(f.plan(a).steps.size() >= 3);
  const int before = w.machine.graphs;
  static_cast<void>(f(a));
  w.machine.launches_fail_with = cudaErrorLaunchOutOfResources;
  CHECK(refusal([&] { static_cast<void>(f(a)); }).find("; in step 1 of ") != std::string::npos);
  CHECK(w.machine.captured.empty());
  CHECK(w.machine.graphs == before);
  w.machine.launches_fail_with = cudaSuccess;
  for (int i = 0; i < 2; ++i) CHECK(refusal([&] { static_cast<void>(f(a)); }) == "");
  CHECK(w.machine.graphs == before + 1);
  CHECK(w.machine.called("cudaGraphLaunch") >= 1);
}

TEST_CASE("machine code that does not load is compiled once more; then the error is shown") {
  whole w;
  const auto a = ones<f32, cuda>(row == 100);
  w.machine.loads_to_refuse = 1;
  CHECK(refusal([&] { static_cast<void>(eval(sin(a) * a - 3)); }) == "");
  w.machine.loads_to_refuse = 2;
  const std::string text = refusal([&] { static_cast<void>(eval(cos(a) * a - 3)); });
  CHECK(text.find("cudaLibraryLoadData failed: ") != std::string::npos);
  CHECK(refusal([&] { static_cast<void>(eval(cos(a) * a - 3)); }) == "");
}

TEST_CASE("a kernel that cannot be compiled is said with the formula that it is for") {
  whole w;
  cuda::set_device(2);
  const auto a = device_tensor<f32, row>(std::vector<i64>{8});
  auto f = compile<cuda>(tanh(x) * x, x);
  const std::string text = refusal([&] { static_cast<void>(f(a)); });
  CHECK(
      text.starts_with("flame::compile<cuda>: step 1 of 1, map 8: result = tanh(x) * x (in expression) has "
                       "no kernel: flame::cuda: the kernel flame::kernel::map<"));
  CHECK(text.find(" does not compile for sm_10 ") != std::string::npos);
  CHECK(refusal([&] { static_cast<void>(f(a)); }) == text);
}

// Writes a number over what the kernel of one operand and one result writes.
void write_result(void** arguments, float number) {
  const u64 address = static_cast<kernel::map_arguments<2, 2, 0, 1, u32>*>(arguments[0])->word[1];
  *reinterpret_cast<float*>(address) = number;
}

TEST_CASE("watched: the step that failed, or made a NaN, is named") {
  whole w;
  const auto a = zeros<f32, cuda>(row == 8);
  auto f = compile<cuda>(tanh(x), x);
  set_watch(watch::nans);
  float number = 1;
  w.machine.run = [&](const char*, void** arguments) { write_result(arguments, number); };
  CHECK(refusal([&] { static_cast<void>(f(a)); }) == "");
  number = std::numeric_limits<float>::quiet_NaN();
  CHECK(
      refusal([&] { static_cast<void>(f(a)); }) ==
      "flame: step 1 of 1, map 8: result = tanh(x) (in expression) made a NaN where none of its operands has "
      "one, in result first at (row 0); x from 0 to 0");
  w.machine.run = [&](const char*, void**) { w.machine.kernels_fail_with = cudaErrorIllegalAddress; };
  const std::string text = refusal([&] { static_cast<void>(f(a)); });
  CHECK(
      text.starts_with("flame: step 1 of 1, map 8: result = tanh(x) (in expression) failed: flame::cuda: "
                       "cudaStreamSynchronize failed: an illegal memory access was encountered"));
}

TEST_CASE("memory that the device does not reach is not wrapped") {
  whole w;
  const auto a = ones<f32, cuda>(row == 8);
  CHECK(borrow<f32, cuda>(a.data() + 3, row == 5).size() == 5);
  std::vector<f32> mine(8);
  CHECK(refusal([&] { static_cast<void>(borrow<f32, cuda>(mine.data(), row == 8)); }) ==
        "flame::tensor: the memory that is wrapped is the host's, which the GPU does not reach; expected "
        "cudaMalloc's, or managed or pinned memory");
  CHECK(refusal([&] { static_cast<void>(borrow<f32, cuda>(reinterpret_cast<f32*>(1), row == 8)); }) ==
        "flame::tensor: the memory that is wrapped lies on device 1 of cuda, this thread uses device 0; say "
        "cuda::set_device(1)");
  CHECK(borrow<f32, cuda>(static_cast<f32*>(nullptr), row == 0).size() == 0);
}

TEST_CASE("a tensor on another device than the thread's is refused wherever it is used") {
  whole w;
  const auto a = ones<f32, cuda>(row == 3);
  const std::string text =
      "flame: a tensor lies on device 0 of cuda, this thread uses device 1; say cuda::set_device(0)";
  auto f = compile<cuda>(x * 2, x);
  static_cast<void>(f(a));
  cuda::set_device(1);
  CHECK(refusal([&] { static_cast<void>(a.to_vector()); }) == text);
  CHECK(refusal([&] { static_cast<void>(a.select(row, 0).item()); }) == text);
  CHECK(refusal([&] { a.fill(1); }) == text);
  CHECK(refusal([&] { static_cast<void>(a.clone()); }) == text);
  CHECK(refusal([&] { static_cast<void>(eval(a + 1)); }) == text);
  CHECK(refusal([&] { static_cast<void>(f(a)); }) == text);
  CHECK(refusal([&] { static_cast<void>(f(give(x, a))); }) == text);
  const auto b = ones<f32, cuda>(row == 3);
  CHECK(b.memory().device() == 1);
  CHECK(refusal([&] { static_cast<void>(eval(a + b)); }) == text);
  CHECK(refusal([&] { static_cast<void>(f(b)); }) == "");
  std::thread([&] {  // each thread begins on device 0
    CHECK(cuda::device() == 0);
    CHECK(refusal([&] { static_cast<void>(eval(a + 1)); }) == "");
    CHECK(refusal([&] { static_cast<void>(eval(b + 1)); }).find("lies on device 1") != std::string::npos);
  })
      .join();
}

TEST_CASE("which device CUDA calls current is the caller's business") {
  whole w;
  const auto all = [] {
    const auto a = ones<f32, cuda>(row == 40000, col == 3);  // more than a call of CUDA's takes along
    const auto b =
        device_tensor<f32, row, col>(a.shape()).copy_from(a.permute(col, row).clone().permute(row, col));
    b.slice(row, 0, 7).fill(2);
    const auto c = eval(a * b + 3);
    double n = 0;
    for (int i = 0; i < 4; ++i) static_cast<void>(eval(a * (n += 1)));
    const auto p = wide / sum(wide, row);
    const auto q = p / sum(p, col);
    auto f = compile<cuda>(q / sum(q, row), wide);
    for (int i = 0; i < 4; ++i) static_cast<void>(f(a));
    char name = 0;
    cuda::set_stream(&name);
    static_cast<void>(f(a));
    cuda::set_stream(nullptr);
    static_cast<void>(f(a));
    return c.to_vector().size();
  };
  for (int mine : {0, 1})
    for (int users : {1, 0}) {
      cuda::set_device(mine);
      stand_in::device = users;
      CHECK(refusal([&] { CHECK(all() == 120000); }) == "");
      CHECK(stand_in::device == users);
    }
}

TEST_CASE("a model on another device is refused, and goes on where it is") {
  whole w;
  const auto made = [] { return zeros<f32, cuda>(row == 16, feature); };
  const auto m = init<affine, cuda>(key(1));
  const auto u = made();
  auto step = train_step(m, squares, sgd{});
  auto run = forward(m, [](auto n, auto v) { return n(v); });
  cuda::set_device(1);
  const std::string text =
      "flame: a tensor lies on device 0 of cuda, this thread uses device 1; say cuda::set_device(0)";
  const auto v = made();
  CHECK(refusal([&] { static_cast<void>(step(v)); }) == text);
  CHECK(refusal([&] { static_cast<void>(run(v)); }) == text);
  CHECK(refusal([&] { static_cast<void>(train_step(m, squares, sgd{})); }) == text);
  const auto n = to<cuda>(m);
  CHECK(n.flat().memory().device() == 1);
  auto other = train_step(n, squares, sgd{});
  CHECK(refusal([&] {
          for (int i = 0; i < 4; ++i) static_cast<void>(other(v));
        }) == "");
  cuda::set_device(0);
  CHECK(to<cuda>(m).flat().data() == m.flat().data());
  CHECK(refusal([&] {
          for (int i = 0; i < 4; ++i) static_cast<void>(step(u)), static_cast<void>(run(u));
        }) == "");
}

TEST_CASE("to<cuda> moves between devices, behind what is computed there") {
  whole w;
  const auto a = to<cuda>(arange<f32>(row == 6, 0, 1));
  CHECK(to<cuda>(a).data() == a.data());
  const auto m = to<cuda>(tensor<f32, row, col>{{1, 2, 3}, {4, 5, 6}});
  cuda::set_device(1);
  const auto b = to<cuda>(a);
  CHECK(b.memory().device() == 1);
  CHECK(b.data() != a.data());
  CHECK(b.to_vector() == std::vector<f32>{0, 1, 2, 3, 4, 5});
  CHECK(to<cuda>(a.slice(row, 2, 4)).to_vector() == std::vector<f32>{2, 3});
  // What is no row of memory is copied together where it lies.
  int device = -1;
  w.machine.run = [&](const char*, void**) { device = stand_in::device; };
  CHECK(to<cuda>(m.permute(col, row)).shape() == std::vector<i64>{3, 2});
  CHECK(device == 0);
  CHECK(cuda::device() == 1);
  CHECK(to<cuda>(zeros<f32, cuda>(row == 0)).size() == 0);
  CHECK(to<host>(b).to_vector()[5] == 5);
  CHECK(to<cuda>(device_tensor<f32, row>()).data() == nullptr);
}

}  // namespace
