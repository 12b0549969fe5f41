// The kernels of one GPU by their names: compiled beforehand, kept on disk, or compiled now.
#pragma once
#include <flame/run/cuda/ahead.hpp>
#include <flame/run/cuda/check.hpp>
#include <flame/run/cuda/compiler.hpp>
#include <flame/run/cuda/disk_cache.hpp>
#include <flame/run/cuda/launcher.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace flame::cuda_kernels {

// Where kernels came from, since the program began.
struct kernel_counts {
  int ahead = 0, from_disk = 0, compiled = 0;
};

// Thread-safe. Kernels stay loaded as long as the process lives.
class kernel_store final : public launcher {
 public:
  explicit kernel_store(int device, disk_cache cache = disk_cache(disk_cache::default_folder()))
      : device_(device), cache_(std::move(cache)) {
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "flame::cuda",
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "flame::cuda",
          "cudaDeviceGetAttribute");
    architecture_ = 10 * major + minor;
  }

  [[nodiscard]] static kernel_store& of(int device) {
    static std::mutex lock;
    static auto* all = new std::unordered_map<int, std::unique_ptr<kernel_store>>;
    const std::lock_guard guard(lock);
    std::unique_ptr<kernel_store>& store = (*all)[device];
    if (!store) store = std::make_unique<kernel_store>(device);
    return *store;
  }

  // Makes all of these ready, compiling on all processors those that are nowhere yet.
  void prepare(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    {
      const std::lock_guard guard(lock_);
      std::erase_if(names, [&](const std::string& n) { return kernels_.count(n) != 0 || take_ahead(n); });
    }
    if (names.empty()) return;
    std::vector<machine_code> codes(names.size());
    std::vector<std::exception_ptr> failed(names.size());
    std::atomic<std::size_t> next{0};
    auto work = [&] {
      for (std::size_t i; (i = next++) < names.size();) try {
          codes[i] = code_of(names[i]);
        } catch (...) {
          failed[i] = std::current_exception();
        }
    };
    const unsigned most = std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::thread> threads;
    for (unsigned t = 1; t < std::min<std::size_t>(most, names.size()); ++t) threads.emplace_back(work);
    work();
    for (std::thread& t : threads) t.join();
    for (const std::exception_ptr& e : failed)
      if (e) std::rethrow_exception(e);
    const std::lock_guard guard(lock_);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (!kernels_.count(names[i])) kernels_[names[i]] = load(names[i], codes[i]);
  }

  // What cudaLaunchKernel takes.
  [[nodiscard]] const void* get(const std::string& name) {
    {
      const std::lock_guard guard(lock_);
      if (auto at = kernels_.find(name); at != kernels_.end()) return at->second;
    }
    prepare({name});
    const std::lock_guard guard(lock_);
    return kernels_.at(name);
  }

  void launch(const char* name, dim3 grid, dim3 block, unsigned shared_bytes, void** arguments,
              cudaStream_t stream) override {
    check(cudaLaunchKernel(get(name), grid, block, arguments, shared_bytes, stream), name,
          "cudaLaunchKernel");
  }

  [[nodiscard]] int device() const { return device_; }
  [[nodiscard]] int architecture() const { return architecture_; }
  [[nodiscard]] const kernel_counts& counts() const { return counts_; }

 private:
  // FLAME_KERNELS_AHEAD=0 leaves out what was compiled beforehand.
  [[nodiscard]] static bool wants_ahead() {
    const char* said = std::getenv("FLAME_KERNELS_AHEAD");
    return !said || std::strcmp(said, "0") != 0;
  }
  // Whether the kernel was compiled beforehand. Writes the name of each new kernel to FLAME_KERNEL_LIST.
  bool take_ahead(const std::string& name) {
    record_kernel(name.c_str());
    const void* kernel = ahead_ ? find_ahead(name.c_str(), architecture_) : nullptr;
    if (kernel) kernels_[name] = kernel, ++counts_.ahead;
    return kernel != nullptr;
  }

  machine_code code_of(const std::string& name) {
    const std::string key =
        name + " sm_" + std::to_string(architecture_) + " " + std::to_string(compiler_version());
    machine_code code;
    if (std::optional<std::string> kept = cache_.get(key)) {
      const std::size_t end = kept->find('\0');
      if (end != std::string::npos) {
        code.symbol = kept->substr(0, end), code.image = kept->substr(end + 1);
        ++from_disk_;
        return code;
      }
    }
    code = compile_kernel(name, architecture_);
    ++compiled_;
    static_cast<void>(cache_.put(key, code.symbol + '\0' + code.image));
    return code;
  }

  const void* load(const std::string& name, const machine_code& code) {
    counts_.from_disk = from_disk_, counts_.compiled = compiled_;
    cudaLibrary_t library = nullptr;
    check(cudaLibraryLoadData(&library, code.image.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
          name.c_str(), "cudaLibraryLoadData");
    cudaKernel_t kernel = nullptr;
    check(cudaLibraryGetKernel(&kernel, library, code.symbol.c_str()), name.c_str(), "cudaLibraryGetKernel");
    return reinterpret_cast<const void*>(kernel);
  }

  int device_, architecture_ = 0;
  bool ahead_ = wants_ahead();
  disk_cache cache_;
  std::mutex lock_;
  std::unordered_map<std::string, const void*> kernels_;
  kernel_counts counts_;
  std::atomic<int> from_disk_{0}, compiled_{0};
};

}  // namespace flame::cuda_kernels
