// The machine code of kernels by their names, for one architecture: kept on disk, or compiled now. Needs no
// GPU.
#pragma once
#include <flame/run/cuda/compiler.hpp>
#include <flame/run/cuda/disk_cache.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>

namespace flame::cuda_kernels {

// What a kernel is for, in the user's words: asked for only where it cannot be compiled. May be empty.
using kernel_purpose = std::function<std::string(const std::string& name)>;

// Thread-safe.
class kernel_images {
 public:
  explicit kernel_images(int architecture, disk_cache cache = disk_cache(disk_cache::default_folder()))
      : architecture_(architecture), cache_(std::move(cache)) {}

  // By name, in their order. Compiles those that are not on disk on all processors. Throws flame::error with
  // what the kernel is for and the compiler's words if one does not compile; the others are kept all the
  // same.
  [[nodiscard]] std::vector<machine_code> get(const std::vector<std::string>& names,
                                              const kernel_purpose& purpose = {}) {
    std::vector<machine_code> codes(names.size());
    std::vector<std::exception_ptr> failed(names.size());
    std::atomic<std::size_t> next{0};
    auto work = [&] {
      for (std::size_t i; (i = next++) < names.size();) try {
          codes[i] = one(names[i]);
        } catch (...) {
          failed[i] = std::current_exception();
        }
    };
    std::vector<std::thread> threads;
    const std::size_t most = std::max(1u, std::thread::hardware_concurrency());
    try {
      for (std::size_t t = 1; t < std::min(most, names.size()); ++t) threads.emplace_back(work);
    } catch (const std::system_error&) {  // the system starts no more threads: those that run do all the work
    }
    work();
    for (std::thread& t : threads) t.join();
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!failed[i]) continue;
      const std::string what = purpose ? purpose(names[i]) : "";
      if (what.empty()) std::rethrow_exception(failed[i]);
      try {
        std::rethrow_exception(failed[i]);
      } catch (const error& e) {
        throw error("flame::compile<cuda>: " + what + " has no kernel: " + e.what());
      }
    }
    return codes;
  }

  // One of them, on this thread.
  [[nodiscard]] machine_code one(const std::string& name) {
    if (std::optional<std::string> kept = cache_.get(key_of(name))) {
      if (const std::size_t end = kept->find('\0'); end != std::string::npos) {
        ++from_disk_;
        return {kept->substr(0, end), kept->substr(end + 1)};
      }
    }
    return compile(name);
  }
  // Compiled though the disk has it, which could not be used.
  [[nodiscard]] machine_code compile(const std::string& name) {
    machine_code code = compile_kernel(name, architecture_);
    ++compiled_;
    if (!tidied_.exchange(true)) cache_.remove_old_drafts();
    static_cast<void>(cache_.put(key_of(name), code.symbol + '\0' + code.image));
    return code;
  }

  [[nodiscard]] int architecture() const { return architecture_; }
  [[nodiscard]] const disk_cache& cache() const { return cache_; }
  // How many, since this was made.
  [[nodiscard]] int from_disk() const { return from_disk_; }
  [[nodiscard]] int compiled() const { return compiled_; }
  // The name on disk: another architecture, compiler or text of a kernel is another entry. Machine code
  // depends on no driver.
  [[nodiscard]] std::string key_of(const std::string& name) const {
    return name + " sm_" + std::to_string(architecture_) + " " + std::to_string(compiler_version());
  }

 private:
  int architecture_;
  disk_cache cache_;
  std::atomic<int> from_disk_{0}, compiled_{0};
  std::atomic<bool> tidied_{false};
};

}  // namespace flame::cuda_kernels
