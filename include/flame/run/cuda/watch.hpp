// Watched runs on a GPU: how their memory is seen. See run/watch.hpp.
#pragma once
#include <flame/run/cuda/context.hpp>
#include <flame/run/watch_steps.hpp>

namespace flame::cuda_code {

class watched_memory final : public watched::memory {
 public:
  watched_memory(context& c, cudaStream_t stream) : context_(c), stream_(stream) {}

  const std::byte* see(const std::byte* from, i64 bytes) override {
    copy_.resize(static_cast<std::size_t>(bytes));
    check(cudaMemcpyAsync(copy_.data(), from, copy_.size(), cudaMemcpyDeviceToHost, stream_), "flame::cuda",
          "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "flame::cuda", "cudaStreamSynchronize");
    return copy_.data();
  }
  void fill(std::byte* to, int byte, i64 bytes) override {
    check(cudaMemsetAsync(to, byte, static_cast<std::size_t>(bytes), stream_), "flame::cuda",
          "cudaMemsetAsync");
  }
  void wait() override {
    check(cudaStreamSynchronize(stream_), "flame::cuda", "cudaStreamSynchronize");
    context_.report();
  }

 private:
  context& context_;
  cudaStream_t stream_;
  std::vector<std::byte> copy_;
};

}  // namespace flame::cuda_code
