// A twin of the device, for machines without a GPU and without CUDA: the functions of run/cuda/memory.hpp
// over memory that the host cannot touch but by them, and programs run there by the host's executors. What is
// tested on it is everything above kernels: tensors, the cache of programs, numbers of the host's, training
// steps, files.
#pragma once
#define FLAME_CUDA
#define FLAME_TEST_TWIN
#include <flame/run/executable.hpp>
#include <flame/run/storage.hpp>
#include <flame/train/engine_definitions.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

template class flame::detail::step_engine<flame::cuda, flame::f32>;
template class flame::detail::step_engine<flame::cuda, flame::f64>;

namespace flame::cuda_code {

// One range of addresses, readable and writable only while someone is inside.
class twin_memory {
 public:
  static twin_memory& instance() {
    static auto* all = new twin_memory;
    return *all;
  }
  struct inside {
    inside() { instance().open(1); }
    ~inside() { instance().open(-1); }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;
  };

  std::byte* take(i64 bytes) {
    const i64 size = (bytes + 256) / 256 * 256;
    const std::lock_guard hold(lock_);
    if (bytes > room)
      throw error(
          ("flame::tensor: the GPU has too little memory: " + std::to_string(bytes) + " bytes are needed")
              .c_str());
    count_.used += bytes, count_.most = std::max(count_.most, count_.used);
    std::vector<std::byte*>& free = free_[size];
    if (!free.empty()) {
      std::byte* block = free.back();
      free.pop_back();
      return block;
    }
    if (end_ + size > room) throw error("the twin of the device is full");
    end_ += size;
    return start_ + end_ - size;
  }
  void give_back(std::byte* block, i64 bytes) {
    const std::lock_guard hold(lock_);
    count_.used -= bytes;
    free_[(bytes + 256) / 256 * 256].push_back(block);
  }
  [[nodiscard]] bool has(const void* p) const { return p >= start_ && p < start_ + room; }
  memory_count count() {
    const std::lock_guard hold(lock_);
    return count_;
  }

 private:
  static constexpr i64 room = i64{4} << 30;
  twin_memory()
      : start_(static_cast<std::byte*>(mmap(nullptr, static_cast<std::size_t>(room), PROT_NONE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
  void open(int more) {
    const std::lock_guard hold(lock_);
    const int before = users_;
    users_ += more;
    if ((before == 0) != (users_ == 0) && end_ > 0)
      mprotect(start_, static_cast<std::size_t>((end_ + 4095) / 4096 * 4096),
               users_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
    else if (users_ > 0 && end_ > 0)  // what was taken meanwhile
      mprotect(start_, static_cast<std::size_t>((end_ + 4095) / 4096 * 4096), PROT_READ | PROT_WRITE);
  }

  std::mutex lock_;
  std::byte* start_;
  i64 end_ = 0;
  int users_ = 0;
  std::map<i64, std::vector<std::byte*>> free_;
  memory_count count_;
};

int device_count() { return 1; }
int current_device() { return 0; }
void set_device(int device) {
  if (device != 0)
    throw error(
        ("flame::cuda: there is no device " + std::to_string(device) + ": the machine has 1").c_str());
}
stream_handle current_stream() { return nullptr; }
void set_stream(stream_handle) {}
void use_here(int, stream_handle) {}
void synchronize() {}
memory_count memory_use() { return twin_memory::instance().count(); }
std::shared_ptr<std::byte> allocate(i64 bytes) {
  return {twin_memory::instance().take(bytes),
          [bytes](std::byte* p) { twin_memory::instance().give_back(p, bytes); }};
}
void require_reachable(const void* memory) {
  if (!twin_memory::instance().has(memory)) throw error("the twin: the memory that is wrapped is the host's");
}
void copy_to_device(void* to, const void* from, i64 bytes) {
  const twin_memory::inside now;
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}
void copy_to_host(void* to, const void* from, i64 bytes) { copy_to_device(to, from, bytes); }
void copy_on_device(void* to, const void* from, i64 bytes) {
  const twin_memory::inside now;
  std::memmove(to, from, static_cast<std::size_t>(bytes));
}
void copy_from_device(int, void* to, const void* from, i64 bytes) { copy_on_device(to, from, bytes); }
void clear(void* to, i64 bytes) {
  const twin_memory::inside now;
  std::memset(to, 0, static_cast<std::size_t>(bytes));
}
void copy_strided(void* to, const void* from, const strided_copy& how) {
  const twin_memory::inside now;
  const i64 size = size_of(how.element);
  walk(how.rank, how.extents, how.to_strides, how.from_strides, [&](i64 i, i64 j) {
    std::memcpy(static_cast<std::byte*>(to) + i * size, static_cast<const std::byte*>(from) + j * size,
                static_cast<std::size_t>(size));
  });
}

// Set by who only wants to know what programs there are: told of each, and none is run.
inline void (*twin_plans)(const program& p) = nullptr;

// Numbers are the host's and can be read as they are; what else a program is given must be the device's.
class program_on_twin final : public flame::executable {
 public:
  program_on_twin(program p, const std::vector<int>& numbers)
      : run_(static_cast<program&&>(p)), numbers_(numbers) {}
  [[nodiscard]] const program& plan() const override { return run_.plan(); }
  void run(const std::vector<void*>& externals) override {
    for (std::size_t b = 0; b < externals.size(); ++b) {
      const bool number = std::find(numbers_.begin(), numbers_.end(), static_cast<int>(b)) != numbers_.end();
      if (externals[b] && twin_memory::instance().has(externals[b]) == number)
        throw error(number ? "the twin: a number lies on the device" : "the twin: a tensor lies on the host");
    }
    if (twin_plans) return twin_plans(run_.plan());
    const twin_memory::inside now;
    run_.run(externals, memory_);
  }

 private:
  host_code::executable run_;
  std::vector<int> numbers_;
  host_code::arena memory_;
};
const backend_functions& functions() {
  static const backend_functions all = [] {
    backend_functions f;
    f.prepare = [](program p, const std::vector<int>& numbers) -> std::unique_ptr<flame::executable> {
      return std::make_unique<program_on_twin>(static_cast<program&&>(p), numbers);
    };
    f.device = [] { return current_device(); };
    f.folds_into_products = f.puts_aside = true;
    return f;
  }();
  return all;
}

}  // namespace flame::cuda_code

namespace flame {
int cuda::device_count() { return cuda_code::device_count(); }
int cuda::device() { return cuda_code::current_device(); }
void cuda::set_device(int device) { cuda_code::set_device(device); }
void* cuda::stream() { return nullptr; }
void cuda::set_stream(void*) {}
void cuda::synchronize() {}
}  // namespace flame
