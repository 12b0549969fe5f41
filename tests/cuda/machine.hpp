// What the tests of CUDA's library steps run on: a GPU with kernels from NVRTC, or a CPU that plays every
// thread.
#pragma once
#include <cuda_runtime_api.h>
#include <nvrtc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <flame/run/cuda/check.hpp>
#include <flame/run/cuda/kernel/library.hpp>
#include <flame/run/cuda/launcher.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace flame::cuda_tests {

using cuda_kernels::check;

// Where operands lie and kernels run.
struct machine {
  virtual ~machine() = default;
  virtual cuda_kernels::launcher& start() = 0;
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;  // either way, after all that runs
};

// Kernels as functions of this program, a thread after the other.
class emulated_launcher : public cuda_kernels::launcher {
 public:
  emulated_launcher() {
    pools<0>(), pools<1>(), pools<2>(), pools<3>();
    scatters<0>(), scatters<1>(), scatters<2>(), scatters<3>(), scatters<4>(), scatters<5>(), scatters<6>();
    floating<0>(), floating<1>(), floating<2>(), floating<3>();
    orders<0>(), orders<1>(), orders<2>(), orders<3>(), orders<4>(), orders<5>(), orders<6>();
    copies<1>(), copies<2>(), copies<4>(), copies<8>(), copies<16>();
    add("scatter_keys", {0}, &kernel::scatter_keys<0>), add("radix_count", {0}, &kernel::radix_count<0>);
    add("scan_ranges_of", {0}, &kernel::scan_ranges_of<0>), add("scan_counts", {0}, &kernel::scan_counts<0>);
    add("radix_place", {0}, &kernel::radix_place<0>);
    add("in_range", {4}, &kernel::in_range<4>), add("in_range", {5}, &kernel::in_range<5>);
    add("in_range", {6}, &kernel::in_range<6>);
  }
  void launch(const char* name, dim3 grid, dim3 block, unsigned, void** arguments, cudaStream_t,
              unsigned) override {
    const auto found = kernels_.find(name);
    if (found == kernels_.end()) throw error("emulated: there is no kernel ", name);
    found->second(arguments, static_cast<i64>(grid.x) * block.x);
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, run] : kernels_) all.push_back(name);
    return all;
  }

 private:
  template <class... A> void add(const char* name, std::initializer_list<int> numbers, void (*run)(A...)) {
    kernels_[cuda_kernels::kernel_name(name, numbers)] = [run](void** arguments, i64 threads) {
      call(run, arguments, threads, std::index_sequence_for<A...>());
    };
  }
  template <class... A, std::size_t... I>
  static void call(void (*run)(A...), void** arguments, i64 threads, std::index_sequence<I...>) {
    for (i64 i = 0; i < threads; ++i) {
      kernel::emulated_thread = i;
      run(*static_cast<A*>(arguments[I])...);
    }
  }

  template <int E, int W = 16 / static_cast<int>(sizeof(typename kernel::number<E>::stored))> void pools() {
    add("pool_take", {E, W}, &kernel::pool_take<E, W>), add("pool_put", {E, W}, &kernel::pool_put<E, W>);
    add("pool_put_once", {E, W}, &kernel::pool_put_once<E, W>),
        add("pool_mean", {E, W}, &kernel::pool_mean<E, W>);
    add("pool_mean_put", {E, W}, &kernel::pool_mean_put<E, W>);
    if constexpr (W > 1) pools<E, W / 2>();
  }
  template <int E, int W = 16 / static_cast<int>(sizeof(typename kernel::number<E>::stored))>
  void scatters() {
    add("scatter_walk", {E, W}, &kernel::scatter_walk<E, W>);
    add("scatter_sorted", {E, W}, &kernel::scatter_sorted<E, W>);
    if constexpr (W > 1)
      scatters<E, W / 2>();
    else
      add("scatter_finish", {E}, &kernel::scatter_finish<E>),
          add("scatter_join", {E}, &kernel::scatter_join<E>);
  }
  template <int E> void floating() {
    add("conv", {E}, &kernel::conv<E>), add("conv_data", {E}, &kernel::conv_data<E>);
    add("conv_weight", {E}, &kernel::conv_weight<E>), add("add_parts", {E}, &kernel::add_parts<E>);
    add("contract_direct", {E}, &kernel::contract_direct<E>);
  }
  template <int E> void orders() {
    add("cumsum", {E}, &kernel::cumsum<E>), add("cumsum_tiles", {E}, &kernel::cumsum_tiles<E>);
    add("cumsum_before", {E}, &kernel::cumsum_before<E>), add("largest", {E}, &kernel::largest<E>);
  }
  template <int Bytes> void copies() {
    add("copy", {Bytes}, &kernel::copy<Bytes>), add("fill_zeros", {Bytes}, &kernel::fill_zeros<Bytes>);
    add("gather", {Bytes}, &kernel::gather<Bytes>);
  }

  std::map<std::string, std::function<void(void**, i64)>, std::less<>> kernels_;
};

class emulated : public machine {
 public:
  cuda_kernels::launcher& start() override { return start_; }
  void* allocate(std::size_t bytes) override { return std::aligned_alloc(256, (bytes + 255) / 256 * 256); }
  void release(void* memory) override { std::free(memory); }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes) std::memcpy(to, from, bytes);
  }

 private:
  emulated_launcher start_;
};

// The image of some kernels for an architecture such as "sm_90", and their names in it. Warnings are errors.
inline std::string compile(const std::vector<std::string>& names, const std::string& architecture,
                           std::vector<std::string>& lowered) {
  const std::string tests = std::getenv("FLAME_TESTS") ? std::getenv("FLAME_TESTS") : "tests";
  const std::string options[] = {"-std=c++20", "-arch=" + architecture, "--device-as-default-execution-space",
                                 "-I" + tests + "/../include"};
  std::vector<const char*> given;
  for (const std::string& option : options) given.push_back(option.c_str());
  nvrtcProgram program{};
  check(nvrtcCreateProgram(&program,
                           "#include <flame/run/cuda/kernel/library.hpp>\n"
                           "#include <flame/run/cuda/kernel/product16.hpp>\n",
                           "library.cu", 0, nullptr, nullptr),
        "compile", "nvrtcCreateProgram");
  for (const std::string& name : names)
    check(nvrtcAddNameExpression(program, name.c_str()), "compile", "nvrtcAddNameExpression");
  const nvrtcResult status = nvrtcCompileProgram(program, static_cast<int>(given.size()), given.data());
  std::size_t size = 0;
  nvrtcGetProgramLogSize(program, &size);
  std::string text(size, ' ');
  nvrtcGetProgramLog(program, text.data());
  if (status != NVRTC_SUCCESS || text.find("warning") != std::string::npos)
    throw error("compile: NVRTC says: ", text.c_str());
  for (const std::string& name : names) {
    const char* in_image = nullptr;
    check(nvrtcGetLoweredName(program, name.c_str(), &in_image), "compile", "nvrtcGetLoweredName");
    lowered.push_back(in_image);
  }
  check(nvrtcGetCUBINSize(program, &size), "compile", "nvrtcGetCUBINSize");
  std::string image(size, ' ');
  check(nvrtcGetCUBIN(program, image.data()), "compile", "nvrtcGetCUBIN");
  nvrtcDestroyProgram(&program);
  return image;
}

// The images of many kernels, compiled on all processors; use(names, image, names in the image) of each.
template <class Use>
void compile_all(const std::vector<std::string>& names, const std::string& architecture, Use&& use) {
  const std::size_t most = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t each = std::clamp<std::size_t>(names.size() / most, 1, 16);
  std::vector<std::vector<std::string>> parts, lowered;
  for (std::size_t i = 0; i < names.size(); i += each)
    parts.emplace_back(names.begin() + static_cast<std::ptrdiff_t>(i),
                       names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), i + each)));
  lowered.resize(parts.size());
  std::vector<std::string> images(parts.size());
  std::vector<std::exception_ptr> failed(parts.size());
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < std::min(most, parts.size()); ++t)
    threads.emplace_back([&] {
      for (std::size_t i; (i = next++) < parts.size();) try {
          images[i] = compile(parts[i], architecture, lowered[i]);
        } catch (...) {
          failed[i] = std::current_exception();
        }
    });
  for (std::thread& t : threads) t.join();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (failed[i]) std::rethrow_exception(failed[i]);
    use(parts[i], std::move(images[i]), lowered[i]);
  }
}

// Kernels compiled when they are first asked for, or many at once before; once for all tests of a program.
class nvrtc_launcher : public cuda_kernels::launcher {
 public:
  static nvrtc_launcher& instance() {
    static auto* one = new nvrtc_launcher;
    return *one;
  }
  void prepare(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::erase_if(names, [&](const std::string& name) { return kernels_.count(name) != 0; });
    compile_all(names, architecture_,
                [&](const std::vector<std::string>& part, std::string image,
                    const std::vector<std::string>& lowered) {
                  images_.push_back(std::move(image));
                  cudaLibrary_t library{};
                  check(cudaLibraryLoadData(&library, images_.back().data(), nullptr, nullptr, 0, nullptr,
                                            nullptr, 0),
                        part[0].c_str(), "cudaLibraryLoadData");
                  for (std::size_t i = 0; i < part.size(); ++i)
                    check(cudaLibraryGetKernel(&kernels_[part[i]], library, lowered[i].c_str()),
                          part[i].c_str(), "cudaLibraryGetKernel");
                });
  }
  nvrtc_launcher() {
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "test",
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "test",
          "cudaDeviceGetAttribute");
    architecture_ = "sm_" + std::to_string(major) + std::to_string(minor);
  }
  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  void launch(const char* name, dim3 grid, dim3 block, unsigned shared, void** arguments, cudaStream_t stream,
              unsigned cluster) override {
    auto found = kernels_.find(name);
    if (found == kernels_.end()) prepare({name}), found = kernels_.find(name);
    check(cuda_kernels::start_kernel(reinterpret_cast<const void*>(found->second), grid, block, shared,
                                     arguments, stream, cluster),
          name, "cudaLaunchKernel");
  }

 private:
  std::string architecture_;
  std::deque<std::string> images_;
  std::map<std::string, cudaKernel_t, std::less<>> kernels_;
};

class gpu : public machine {
 public:
  gpu() { start_.prepare(emulated_launcher().names()); }
  cuda_kernels::launcher& start() override { return start_; }
  void prepare(std::vector<std::string> names) { start_.prepare(std::move(names)); }
  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "test", "cudaMalloc");
    return memory;
  }
  void release(void* memory) override { cudaFree(memory); }
  void copy(void* to, const void* from, std::size_t bytes) override {
    check(cudaDeviceSynchronize(), "test", "cudaDeviceSynchronize");
    if (bytes) check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "test", "cudaMemcpy");
  }

 private:
  nvrtc_launcher& start_ = nvrtc_launcher::instance();
};

[[nodiscard]] inline bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

// An array on a machine, `offset` elements behind an address that is aligned to 256 bytes.
template <class E> class memory {
 public:
  memory(machine& on, const std::vector<E>& from, i64 offset = 0)
      : on_(on),
        size_(from.size()),
        whole_(on.allocate((size_ + static_cast<std::size_t>(offset)) * sizeof(E) + 64)),
        at_(static_cast<E*>(whole_) + offset) {
    on_.copy(at_, from.data(), size_ * sizeof(E));
  }
  memory(const memory&) = delete;
  memory& operator=(const memory&) = delete;
  ~memory() { on_.release(whole_); }
  [[nodiscard]] E* get() const { return at_; }
  [[nodiscard]] std::vector<E> read() const {
    std::vector<E> to(size_);
    on_.copy(to.data(), at_, size_ * sizeof(E));
    return to;
  }
  void write(const std::vector<E>& from) { on_.copy(at_, from.data(), size_ * sizeof(E)); }

 private:
  machine& on_;
  std::size_t size_;
  void* whole_;
  E* at_;
};

}  // namespace flame::cuda_tests
