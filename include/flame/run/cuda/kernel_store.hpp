// The kernels of one GPU by their names: compiled beforehand, kept on disk, or compiled now.
#pragma once
#include <flame/run/cuda/ahead.hpp>
#include <flame/run/cuda/check.hpp>
#include <flame/run/cuda/kernel_images.hpp>
#include <flame/run/cuda/launcher.hpp>

#include <memory>
#include <string_view>
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
      : device_(device), images_(architecture_of(device), std::move(cache)) {}

  [[nodiscard]] static kernel_store& of(int device) {
    static std::mutex lock;
    static auto* all = new std::unordered_map<int, std::unique_ptr<kernel_store>>;
    const std::lock_guard guard(lock);
    std::unique_ptr<kernel_store>& store = (*all)[device];
    if (!store) store = std::make_unique<kernel_store>(device);
    return *store;
  }

  // Makes all of these ready, compiling on all processors those that are nowhere yet. Throws flame::error
  // with what a kernel is for where it does not compile.
  void prepare(std::vector<std::string> names, const kernel_purpose& purpose = {}) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    {
      const std::lock_guard guard(lock_);
      std::erase_if(names, [&](const std::string& n) { return kernels_.count(n) != 0 || take_ahead(n); });
    }
    if (names.empty()) return;
    const std::vector<machine_code> codes = images_.get(names, purpose);
    const std::lock_guard guard(lock_);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (!kernels_.count(names[i])) kernels_[names[i]] = load(names[i], codes[i]);
  }

  // What cudaLaunchKernel takes.
  [[nodiscard]] const void* get(std::string_view name) {
    if (const void* kernel = find(name)) return kernel;
    prepare({std::string(name)});
    return find(name);
  }

  void launch(const char* name, dim3 grid, dim3 block, unsigned shared_bytes, void** arguments,
              cudaStream_t stream, unsigned cluster = 1) override {
    check(start_kernel(get(name), grid, block, shared_bytes, arguments, stream, cluster), name,
          "cudaLaunchKernel");
  }

  [[nodiscard]] int device() const { return device_; }
  [[nodiscard]] int architecture() const { return images_.architecture(); }
  [[nodiscard]] kernel_counts counts() const {
    return {ahead_count_, images_.from_disk(), images_.compiled()};
  }

 private:
  // Looked up by any text, without a string of its own.
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  // FLAME_KERNELS_AHEAD=0 leaves out what was compiled beforehand.
  [[nodiscard]] static bool wants_ahead() {
    const char* said = std::getenv("FLAME_KERNELS_AHEAD");
    return !said || std::strcmp(said, "0") != 0;
  }
  // Whether the kernel was compiled beforehand. Writes the name of each new kernel to FLAME_KERNEL_LIST.
  bool take_ahead(const std::string& name) {
    record_kernel(name.c_str());
    const void* kernel = ahead_ ? find_ahead(name.c_str(), architecture()) : nullptr;
    if (kernel) kernels_[name] = kernel, ++ahead_count_;
    return kernel != nullptr;
  }
  static int architecture_of(int device) {
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "flame::cuda",
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "flame::cuda",
          "cudaDeviceGetAttribute");
    return 10 * major + minor;
  }
  [[nodiscard]] const void* find(std::string_view name) {
    const std::lock_guard guard(lock_);
    const auto at = kernels_.find(name);
    return at == kernels_.end() ? nullptr : at->second;
  }
  // An entry of the disk may be whole and yet no machine code for this GPU: then it is compiled once more.
  const void* load(const std::string& name, const machine_code& code) {
    cudaLibrary_t library = nullptr;
    if (cudaLibraryLoadData(&library, code.image.data(), nullptr, nullptr, 0, nullptr, nullptr, 0) ==
        cudaSuccess)
      return kernel_of(library, name, code);
    static_cast<void>(cudaGetLastError());
    const machine_code again = images_.compile(name);
    check(cudaLibraryLoadData(&library, again.image.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
          name.c_str(), "cudaLibraryLoadData");
    return kernel_of(library, name, again);
  }
  static const void* kernel_of(cudaLibrary_t library, const std::string& name, const machine_code& code) {
    cudaKernel_t kernel = nullptr;
    check(cudaLibraryGetKernel(&kernel, library, code.symbol.c_str()), name.c_str(), "cudaLibraryGetKernel");
    return reinterpret_cast<const void*>(kernel);
  }

  int device_;
  bool ahead_ = wants_ahead();
  std::atomic<int> ahead_count_{0};
  kernel_images images_;
  std::mutex lock_;
  std::unordered_map<std::string, const void*, hash, std::equal_to<>> kernels_;
};

}  // namespace flame::cuda_kernels
