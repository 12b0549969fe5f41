// One GPU: its stream, its libraries, its memory, and what its kernels found wrong.
#pragma once
#include <flame/run/cuda/blocks.hpp>
#include <flame/run/cuda/execute.hpp>
#include <flame/run/cuda/kernel/half.hpp>
#include <flame/run/cuda/kernel_store.hpp>
#include <flame/run/cuda/staging.hpp>

#include <cstdlib>
#include <functional>
#include <map>
#include <string>

namespace flame::cuda_code {

using cuda_kernels::check;

// An event that tells when what was put on a stream has passed, of the device that is current when it is
// made.
struct event {
  cudaEvent_t handle = nullptr;
  event() {
    check(cudaEventCreateWithFlags(&handle, cudaEventDisableTiming), "flame::cuda",
          "cudaEventCreateWithFlags");
  }
  ~event() { cudaEventDestroy(handle); }
  event(const event&) = delete;
  event& operator=(const event&) = delete;
};

// What belongs to a device as long as the process lives.
class context {
 public:
  explicit context(int device) : device_(device) {
    guard use(device);
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "flame::cuda",
          "cudaStreamCreateWithFlags");
    check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device), "flame::cuda",
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&shared_bytes_, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "flame::cuda", "cudaDeviceGetAttribute");
    // Kernels write what they find wrong where the host can read it without asking the device.
    check(cudaHostAlloc(reinterpret_cast<void**>(&fault_), sizeof(kernel::fault), cudaHostAllocMapped),
          "flame::cuda", "cudaHostAlloc");
    *fault_ = {};
    check(cudaMalloc(&zeros_, 256), "flame::cuda", "cudaMalloc");
    check(cudaMemset(zeros_, 0, 256), "flame::cuda", "cudaMemset");
    cudaMemPool_t pool = nullptr;
    check(cudaDeviceGetDefaultMemPool(&pool, device), "flame::cuda", "cudaDeviceGetDefaultMemPool");
    u64 keep = ~u64{0};  // memory that is released is kept for the next tensor
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "flame::cuda",
          "cudaMemPoolSetAttribute");
  }
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  // The device is current as long as this lives.
  struct guard {
    int before = 0;
    bool other = false;
    explicit guard(int device) {
      check(cudaGetDevice(&before), "flame::cuda", "cudaGetDevice");
      if (before != device) check(cudaSetDevice(device), "flame::cuda", "cudaSetDevice"), other = true;
    }
    ~guard() {
      if (other) cudaSetDevice(before);
    }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
  };

  [[nodiscard]] static context& of(int device) {
    static std::mutex lock;
    static auto* all = new std::map<int, std::unique_ptr<context>>;
    const std::lock_guard hold(lock);
    std::unique_ptr<context>& c = (*all)[device];
    if (!c) {
      if (device_count() == 0) throw error("flame::cuda: there is no NVIDIA GPU here, or no driver for it");
      c = std::make_unique<context>(device);
    }
    return *c;
  }
  [[nodiscard]] static context& current() {
    static thread_local context* last = nullptr;  // contexts are never destroyed
    if (const int device = current_device(); !last || last->device_ != device) last = &of(device);
    return *last;
  }

  [[nodiscard]] int device() const { return device_; }
  [[nodiscard]] int multiprocessors() const { return multiprocessors_; }
  // Of memory that a block may share.
  [[nodiscard]] i64 shared_bytes() const { return shared_bytes_; }
  [[nodiscard]] cudaStream_t stream() const { return stream_; }
  [[nodiscard]] void* zeros() const { return zeros_; }
  [[nodiscard]] staging& stage() { return staging_; }
  // Whether kernels that wait by themselves may be started while those before them end: from sm_90 on, and
  // not with FLAME_EARLY=0, for tools that follow launches one by one (racecheck of compute-sanitizer does).
  [[nodiscard]] bool starts_early() const {
    static const bool wanted = [] {
      const char* said = std::getenv("FLAME_EARLY");
      return !said || std::string(said) != "0";
    }();
    return wanted && kernels().architecture() >= 90;
  }
  [[nodiscard]] cuda_kernels::kernel_store& kernels() const {
    return cuda_kernels::kernel_store::of(device_);
  }

  // ---- Faults ----

  [[nodiscard]] kernel::fault* fault() const { return fault_; }
  // A number for a step whose kernels may find something wrong, and how to say it.
  u32 add_step(std::function<std::string(const kernel::fault&)> text) {
    const std::lock_guard hold(lock_);
    texts_[++steps_] = std::move(text);
    return steps_;
  }
  void remove_step(u32 step) {
    const std::lock_guard hold(lock_);
    texts_.erase(step);
  }
  // After the stream was waited for: throws what was found, once.
  void report() {
    if (fault_->step == 0) return;
    const kernel::fault found = *fault_;
    *fault_ = {};
    const std::lock_guard hold(lock_);
    auto at = texts_.find(found.step);
    throw error(at == texts_.end() ? "flame::cuda: a kernel found an index out of range" : at->second(found));
  }

  // ---- Memory ----

  void add_use(i64 bytes) {
    const std::lock_guard hold(lock_);
    count(bytes);
  }
  [[nodiscard]] memory_count use() {
    const std::lock_guard hold(lock_);
    return use_;
  }
  // Throws with needed and free bytes.
  [[nodiscard]] void* take(i64 bytes, cudaStream_t stream, const char* what) {
    void* memory = nullptr;
    const i64 size = is_small(bytes, stream) ? small_blocks::size_for(bytes) : bytes;
    if (is_small(bytes, stream)) {
      const std::lock_guard hold(lock_);
      if ((memory = blocks_.take(size))) return count(bytes), memory;
    }
    const guard current(device_);
    cudaError_t failed = cudaMallocAsync(&memory, static_cast<std::size_t>(size), stream);
    if (failed == cudaErrorMemoryAllocation) {  // once more, when all that is kept for later is given back
      cudaGetLastError();
      release_kept(stream);
      failed = cudaMallocAsync(&memory, static_cast<std::size_t>(size), stream);
    }
    if (failed == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t free = 0, all = 0;
      cudaMemGetInfo(&free, &all);
      throw error((std::string(what) + ": the GPU has too little memory: " + std::to_string(bytes) +
                   " bytes are needed, " + std::to_string(free) + " of " + std::to_string(all) +
                   " are free; this process' tensors and programs use " + std::to_string(use().used))
                      .c_str());
    }
    check(failed, what, "cudaMallocAsync");
    add_use(bytes);
    return memory;
  }
  void give_back(void* memory, i64 bytes, cudaStream_t stream) {
    {
      const std::lock_guard hold(lock_);
      count(-bytes);
      if (is_small(bytes, stream) && blocks_.keep(memory, small_blocks::size_for(bytes))) return;
    }
    cudaFreeAsync(memory, stream);
  }

 private:
  // What tensors have given back, to the driver: waits until it is free.
  void release_kept(cudaStream_t stream) {
    const std::lock_guard hold(lock_);
    for (void* block : blocks_.release()) cudaFreeAsync(block, stream_);
    cudaStreamSynchronize(stream_);
    if (stream != stream_) cudaStreamSynchronize(stream);
    if (cudaMemPool_t pool = nullptr; cudaDeviceGetDefaultMemPool(&pool, device_) == cudaSuccess)
      cudaMemPoolTrimTo(pool, 0);
    cudaGetLastError();  // what goes wrong here shows in the call that follows
  }
  // Memory of a stream of the user's is left to CUDA: the stream may be gone when another has its name.
  [[nodiscard]] bool is_small(i64 bytes, cudaStream_t stream) const {
    return bytes <= small_blocks::largest && stream == stream_;
  }
  void count(i64 bytes) {
    use_.used += bytes;
    if (use_.used > use_.most) use_.most = use_.used;
  }

  int device_, multiprocessors_ = 0, shared_bytes_ = 0;
  cudaStream_t stream_ = nullptr;
  kernel::fault* fault_ = nullptr;
  void* zeros_ = nullptr;
  std::mutex lock_;
  u32 steps_ = 0;
  std::map<u32, std::function<std::string(const kernel::fault&)>> texts_;
  memory_count use_;
  small_blocks blocks_;
  staging staging_;
};

[[nodiscard]] inline cudaStream_t stream_now() {
  stream_handle own = current_stream();
  return own ? static_cast<cudaStream_t>(own) : context::current().stream();
}

}  // namespace flame::cuda_code
