// Devices, their memory and copies: the definitions of run/cuda/memory.hpp.
#pragma once
#include <flame/run/cuda/context.hpp>
#include <flame/run/cuda/copying.hpp>

namespace flame::cuda_code {

// ---- The device ----

namespace detail {
inline thread_local int device_of_thread = 0;
inline thread_local stream_handle stream_of_thread = nullptr;
}  // namespace detail

FLAME_FUNCTION int device_count() {
  int count = 0;
  const cudaError_t failed = cudaGetDeviceCount(&count);
  if (failed == cudaErrorNoDevice || failed == cudaErrorStubLibrary) return cudaGetLastError(), 0;
  if (failed == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    cudaGetLastError();
    cudaDriverGetVersion(&driver), cudaRuntimeGetVersion(&runtime);
    if (driver == 0) return 0;
    auto version = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
    throw error(("flame::cuda: the NVIDIA driver supports CUDA " + version(driver) +
                 ", and this program needs " + version(runtime) + ": install a newer driver")
                    .c_str());
  }
  check(failed, "flame::cuda", "cudaGetDeviceCount");
  return count;
}
FLAME_FUNCTION int current_device() { return detail::device_of_thread; }
FLAME_FUNCTION void set_device(int device) {
  if (const int count = device_count(); device < 0 || device >= count)
    throw error(("flame::cuda: there is no device " + std::to_string(device) + ": the machine has " +
                 std::to_string(count))
                    .c_str());
  check(cudaSetDevice(device), "flame::cuda", "cudaSetDevice");
  use_here(device, nullptr);
}
FLAME_FUNCTION void use_here(int device, stream_handle stream) {
  detail::device_of_thread = device;
  detail::stream_of_thread = stream;
}
FLAME_FUNCTION stream_handle current_stream() { return detail::stream_of_thread; }
FLAME_FUNCTION void set_stream(stream_handle stream) { detail::stream_of_thread = stream; }
FLAME_FUNCTION void synchronize() {
  context& c = context::current();
  check(cudaStreamSynchronize(stream_now()), "flame::cuda", "cudaStreamSynchronize");
  c.report();
}

// ---- Memory ----

FLAME_FUNCTION memory_count memory_use() { return context::current().use(); }
FLAME_FUNCTION std::shared_ptr<std::byte> allocate(i64 bytes) {
  context& c = context::current();
  const cudaStream_t stream = stream_now();
  void* memory = c.take(bytes, stream, "flame::tensor");
  return {static_cast<std::byte*>(memory),
          [&c, bytes, stream](std::byte* p) { c.give_back(p, bytes, stream); }};
}
FLAME_FUNCTION void require_reachable(const void* memory) {
  const int device = context::current().device();
  cudaPointerAttributes what{};
  check(cudaPointerGetAttributes(&what, memory), "flame::tensor", "cudaPointerGetAttributes");
  if (what.type == cudaMemoryTypeDevice && what.device != device)
    throw error("flame::tensor: the memory that is wrapped lies on device " + std::to_string(what.device) +
                " of cuda, this thread uses device " + std::to_string(device) + "; say cuda::set_device(" +
                std::to_string(what.device) + ")");
  if (what.type != cudaMemoryTypeUnregistered) return;
  int reaches_all = 0;
  check(cudaDeviceGetAttribute(&reaches_all, cudaDevAttrPageableMemoryAccess, device), "flame::tensor",
        "cudaDeviceGetAttribute");
  if (!reaches_all)
    throw error(
        "flame::tensor: the memory that is wrapped is the host's, which the GPU does not reach; expected "
        "cudaMalloc's, or managed or pinned memory");
}

// The device that CUDA calls current is the caller's business, and may be another than this thread's here:
// what makes events, starts kernels or copies to or from the stream-ordered pool needs it to be the stream's
// (on two H200 such a copy is an invalid argument else).
FLAME_FUNCTION void copy_to_device(void* to, const void* from, i64 bytes) {
  context& c = context::current();
  const context::guard use(c.device());
  if (bytes > staging::least) return c.stage().send(to, from, bytes, stream_now());
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice, stream_now()),
        "flame::tensor", "cudaMemcpyAsync");
}
FLAME_FUNCTION void copy_to_host(void* to, const void* from, i64 bytes) {
  const context::guard use(context::current().device());
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost, stream_now()),
        "flame::tensor", "cudaMemcpyAsync");
  synchronize();
}
FLAME_FUNCTION void copy_on_device(void* to, const void* from, i64 bytes) {
  const context::guard use(context::current().device());
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, stream_now()),
        "flame::tensor", "cudaMemcpyAsync");
}
FLAME_FUNCTION void copy_from_device(int device, void* to, const void* from, i64 bytes) {
  context &here = context::current(), &there = context::of(device);
  const cudaStream_t stream = stream_now();
  // One stream goes on when the other has come there.
  const auto follow = [](const context& before, cudaStream_t first, const context& after, cudaStream_t then) {
    const context::guard use(before.device());
    const event passed;
    check(cudaEventRecord(passed.handle, first), "flame::tensor", "cudaEventRecord");
    const context::guard other(after.device());
    check(cudaStreamWaitEvent(then, passed.handle, 0), "flame::tensor", "cudaStreamWaitEvent");
  };
  follow(there, there.stream(), here, stream);
  check(cudaMemcpyPeerAsync(to, here.device(), from, device, static_cast<std::size_t>(bytes), stream),
        "flame::tensor", "cudaMemcpyPeerAsync");
  follow(here, stream, there, there.stream());  // who gives the memory back does it in that stream's order
}
FLAME_FUNCTION void clear(void* to, i64 bytes) {
  const context::guard use(context::current().device());
  check(cudaMemsetAsync(to, 0, static_cast<std::size_t>(bytes), stream_now()), "flame::tensor",
        "cudaMemsetAsync");
}
FLAME_FUNCTION void copy_strided(void* to, const void* from, const strided_copy& how) {
  context& c = context::current();
  const context::guard use(c.device());
  cuda_kernels::axis_list<2> axes;
  for (int i = 0; i < how.rank; ++i) axes.push(how.extents[i], how.from_strides[i], how.to_strides[i]);
  const cuda_kernels::prepared_copy copy(axes, how.element);
  copy.run(c.kernels(), from, to, stream_now());
}

}  // namespace flame::cuda_code
