// The devices of the CUDA backend and their memory. No header of CUDA is needed to include this.
#pragma once
#include <flame/type/dtype.hpp>

#include <cstddef>
#include <memory>

namespace flame::cuda_code {

// A CUDA stream, cudaStream_t; null is the library's own stream of the device, never the legacy default
// stream.
using stream_handle = void*;

// ---- The device ----

// How many GPUs there are; 0 where there is no driver. Throws flame::error if a driver is there and does not
// work, as one that is older than the toolkit.
int device_count();
// The GPU and the stream that this thread uses: what is made from here on lies on it.
int current_device();
void set_device(int device);
stream_handle current_stream();
void set_stream(stream_handle stream);
// Both, of a device that is there; which one CUDA calls current stays as it is.
void use_here(int device, stream_handle stream);
// This thread uses another device and the library's own stream there, as long as this lives.
class elsewhere {
 public:
  explicit elsewhere(int device) : device_(current_device()), stream_(current_stream()) {
    use_here(device, nullptr);
  }
  ~elsewhere() { use_here(device_, stream_); }
  elsewhere(const elsewhere&) = delete;
  elsewhere& operator=(const elsewhere&) = delete;

 private:
  int device_;
  stream_handle stream_;
};
// Waits for the work of this thread's stream. Throws what kernels found wrong meanwhile, an index out of
// range say.
void synchronize();

// ---- Memory ----

struct memory_count {
  i64 used = 0, most = 0;  // bytes of tensors and arenas of the device
};
memory_count memory_use();

// On this thread's device and stream; released in its order. Throws flame::error with needed and free bytes.
std::shared_ptr<std::byte> allocate(i64 bytes);
// Throws flame::error where this thread's device does not reach the memory: the host's own, another device's.
void require_reachable(const void* memory);
void copy_to_device(void* to, const void* from, i64 bytes);  // `from` is free at once
void copy_to_host(void* to, const void* from, i64 bytes);    // waits
void copy_on_device(void* to, const void* from, i64 bytes);
// From another device, when what the library's own stream there was given has ended; does not wait.
void copy_from_device(int device, void* to, const void* from, i64 bytes);
void clear(void* to, i64 bytes);

// to = from on the device, along axes with strides that count elements.
struct strided_copy {
  dtype element = dtype::f32;
  int rank = 0;
  const i64* extents = nullptr;
  const i64* to_strides = nullptr;
  const i64* from_strides = nullptr;
};
void copy_strided(void* to, const void* from, const strided_copy& how);

}  // namespace flame::cuda_code
