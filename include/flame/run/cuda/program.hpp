// Programs on a GPU for code that is the same for all backends: numbers of the host's go with each run, and
// nothing waits.
#pragma once
#include <flame/run/cuda/kernel/numbers.hpp>
#include <flame/run/cuda/lower.hpp>
#include <flame/run/executable_interface.hpp>

#include <cstring>
#include <optional>

namespace flame {

FLAME_FUNCTION int cuda::device_count() { return cuda_code::device_count(); }
FLAME_FUNCTION int cuda::device() { return cuda_code::current_device(); }
FLAME_FUNCTION void cuda::set_device(int device) { cuda_code::set_device(device); }
FLAME_FUNCTION void* cuda::stream() { return cuda_code::current_stream(); }
FLAME_FUNCTION void cuda::set_stream(void* stream) { cuda_code::set_stream(stream); }
FLAME_FUNCTION void cuda::synchronize() { cuda_code::synchronize(); }

namespace cuda_code {

// A block of device memory holds the program's numbers, so that a captured graph reads what they are at each
// run. A kernel whose arguments they are writes them there, where they are others than at the run before:
// neither it nor the host waits, and no memory of the host's has to live on.
class program_on_device final : public flame::executable {
 public:
  program_on_device(program p, const std::vector<int>& numbers)
      : context_(context::current()), run_(static_cast<program&&>(p)) {
    i64 bytes = 0;
    for (int b : numbers) {
      const i64 own = run_.plan().buffers[b].bytes;
      numbers_.push_back({b, bytes, own});
      bytes += (own + 15) / 16 * 16;
    }
    if (bytes == 0) return;
    now_.resize(static_cast<std::size_t>(bytes / 8), 0);
    block_ = static_cast<std::byte*>(context_.take(bytes, context_.stream(), "flame::compile<cuda>"));
  }
  ~program_on_device() override {
    if (block_) context_.give_back(block_, static_cast<i64>(8 * now_.size()), context_.stream());
  }

  [[nodiscard]] const program& plan() const override { return run_.plan(); }
  void run(const std::vector<void*>& externals) override {
    const cudaStream_t stream = stream_now();
    if (!block_ && run_.bytes() == 0) {  // all its memory is the caller's
      run_.run(externals);
      // But for a workspace that less aligned operands have made it take just now.
      if (run_.bytes() > 0) follow(context_.stream(), stream), last_ = stream;
      return;
    }
    const bool other = stream != last_;
    if (other) follow(stream, context_.stream());
    last_ = nullptr;  // not yet, should anything fail
    if (numbers_.empty()) {
      run_.run(externals);
    } else {
      put_numbers(externals, stream, other);
      run_.run(externals_);
    }
    follow(context_.stream(), stream);
    last_ = stream;
  }

 private:
  struct number {
    int buffer;
    i64 offset, bytes;
  };

  // The program's own memory is in the order of the library's stream. A stream of the user's follows it
  // before the first run there, and is followed after each.
  void follow(cudaStream_t later, cudaStream_t before) {
    if (later == before) return;
    const context::guard use(context_.device());
    if (!event_) event_.emplace();
    check(cudaEventRecord(event_->handle, before), "flame::cuda", "cudaEventRecord");
    check(cudaStreamWaitEvent(later, event_->handle, 0), "flame::cuda", "cudaStreamWaitEvent");
  }

  void put_numbers(const std::vector<void*>& externals, cudaStream_t stream, bool changed) {
    externals_ = externals;
    for (const number& n : numbers_) {
      void*& at = externals_[static_cast<std::size_t>(n.buffer)];
      void* kept = reinterpret_cast<std::byte*>(now_.data()) + n.offset;
      if (std::memcmp(kept, at, static_cast<std::size_t>(n.bytes)) != 0)
        std::memcpy(kept, at, static_cast<std::size_t>(n.bytes)), changed = true;
      at = block_ + n.offset;
    }
    if (!changed) return;
    const context::guard use(context_.device());
    constexpr std::size_t room = kernel::number_block::room;
    static const std::string name = cuda_kernels::kernel_name("put_numbers", {0});
    for (std::size_t first = 0; first < now_.size(); first += room) {
      kernel::number_block words{};
      const std::size_t count = std::min(room, now_.size() - first);
      std::copy_n(now_.data() + first, count, words.words);
      cuda_kernels::launch_each(context_.kernels(), name, static_cast<i64>(count), stream, words,
                                static_cast<i64>(count), static_cast<void*>(block_ + 8 * first));
    }
  }

  context& context_;
  cuda_code::executable run_;
  std::vector<number> numbers_;
  std::vector<u64> now_;  // what the block holds after all that the stream was given
  std::byte* block_ = nullptr;
  cudaStream_t last_ = nullptr;  // where it ran last
  std::optional<event> event_;
  std::vector<void*> externals_;
};

FLAME_FUNCTION const backend_functions& functions() {
  static const backend_functions all = [] {
    backend_functions f;
    f.prepare = [](program p, const std::vector<int>& numbers) -> std::unique_ptr<flame::executable> {
      return std::make_unique<program_on_device>(static_cast<program&&>(p), numbers);
    };
    f.device = [] { return current_device(); };
    f.folds_into_products = f.puts_aside = true;
    return f;
  }();
  return all;
}

}  // namespace cuda_code

}  // namespace flame
