// A CUDA runtime for machines without a GPU: three devices that have memory, and run no kernel but what a
// test says. A program that includes this calls it instead of CUDA's, so that what surrounds kernels can be
// tested as it is: memory that is short, calls that fail, devices, how many calls there are.
#pragma once
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace flame::cuda_tests {

struct stand_in {
  int devices = 3;                                 // the last is of an architecture that nobody compiles for
  int driver = CUDART_VERSION;                     // 0: there is none
  cudaError_t without_driver = cudaErrorNoDevice;  // what CUDA says then
  std::size_t total = std::size_t{1} << 30;        // bytes of each device
  std::size_t used = 0;
  cudaError_t kernels_fail_with = cudaSuccess;  // what the next wait finds, as if a kernel had failed
  cudaError_t launches_fail_with = cudaSuccess;
  int loads_to_refuse = 0;  // images that are no code of this GPU's
  // A kernel, by its name in the image, with its arguments.
  std::function<void(const char* symbol, void** arguments)> run;
  std::map<std::string, int, std::less<>> calls;  // by function
  std::map<void*, std::size_t> blocks;
  std::map<const void*, int> places;  // devices of blocks, streams and events
  std::map<cudaStream_t, std::vector<cudaGraphNode_t>>
      captured;    // streams that are: what comes next waits for
  int graphs = 0;  // made and not destroyed
  std::mutex lock;

  static stand_in& instance() {
    static auto* all = new stand_in;
    return *all;
  }
  static inline thread_local int device = 0;

  // Allocates nothing but the first time.
  void count(const char* function) {
    const std::lock_guard hold(lock);
    const auto at = calls.find(function);
    at == calls.end() ? calls[function] = 1 : ++at->second;
  }
  [[nodiscard]] int called(const char* function) {
    const std::lock_guard hold(lock);
    const auto at = calls.find(function);
    return at == calls.end() ? 0 : at->second;
  }
  void forget_calls() {
    const std::lock_guard hold(lock);
    for (auto& [name, times] : calls) times = 0;
  }
  [[nodiscard]] int device_of(const void* what) {
    const std::lock_guard hold(lock);
    const auto at = places.find(what);
    return at == places.end() ? device : at->second;
  }
  // -1 for what was not taken here.
  [[nodiscard]] int device_of_memory(const void* memory) {
    const std::lock_guard hold(lock);
    auto at = blocks.upper_bound(const_cast<void*>(memory));
    if (at == blocks.begin()) return -1;
    --at;
    return memory < static_cast<char*>(at->first) + at->second ? places[at->first] : -1;
  }
  void place(const void* what, int where) {
    const std::lock_guard hold(lock);
    places[what] = where;
  }
  // What CUDA says to kernels and events on a stream of another device than theirs.
  [[nodiscard]] cudaError_t on(cudaStream_t stream, int where) {
    return device_of(stream) == where ? cudaSuccess : cudaErrorInvalidResourceHandle;
  }
  cudaError_t take(void** memory, std::size_t bytes, int where) {
    const std::lock_guard hold(lock);
    if (bytes > total - used) return cudaErrorMemoryAllocation;
    *memory = std::aligned_alloc(256, (bytes + 256) / 256 * 256);
    used += bytes;
    blocks[*memory] = bytes, places[*memory] = where;
    return cudaSuccess;
  }
  void give_back(void* memory) {
    const std::lock_guard hold(lock);
    const auto at = blocks.find(memory);
    if (at == blocks.end()) return;
    used -= at->second;
    places.erase(memory);
    blocks.erase(at);
    std::free(memory);
  }
};

}  // namespace flame::cuda_tests

#define FLAME_STAND_IN(function, parameters, ...)         \
  cudaError_t CUDARTAPI function parameters {             \
    auto& cuda = flame::cuda_tests::stand_in::instance(); \
    cuda.count(#function);                                \
    __VA_ARGS__                                           \
    return cudaSuccess;                                   \
  }

extern "C" {

FLAME_STAND_IN(cudaGetDeviceCount, (int* count), {
  *count = 0;
  if (cuda.driver == 0) return cuda.without_driver;
  if (cuda.driver < CUDART_VERSION) return cudaErrorInsufficientDriver;
  if (cuda.devices == 0) return cudaErrorNoDevice;
  *count = cuda.devices;
})
FLAME_STAND_IN(cudaDriverGetVersion, (int* version), { *version = cuda.driver; })
FLAME_STAND_IN(cudaGetDevice, (int* device), { *device = cuda.device; })
FLAME_STAND_IN(cudaSetDevice, (int device), { cuda.device = device; })
FLAME_STAND_IN(cudaDeviceGetAttribute, (int* value, cudaDeviceAttr what, int device), {
  *value = what == cudaDevAttrComputeCapabilityMajor         ? (device == 2 ? 1 : 9)
           : what == cudaDevAttrMultiProcessorCount          ? 132
           : what == cudaDevAttrMaxSharedMemoryPerBlockOptin ? 227 * 1024
                                                             : 0;
})
FLAME_STAND_IN(cudaGetLastError, (), {})

FLAME_STAND_IN(cudaMalloc, (void** memory, std::size_t bytes),
               { return cuda.take(memory, bytes, cuda.device); })
FLAME_STAND_IN(cudaMallocAsync, (void** memory, std::size_t bytes, cudaStream_t stream),
               { return cuda.take(memory, bytes, cuda.device_of(stream)); })
// The address 1 is of device 1.
FLAME_STAND_IN(cudaPointerGetAttributes, (cudaPointerAttributes * what, const void* memory), {
  *what = {};
  const int device = memory == reinterpret_cast<const void*>(1) ? 1 : cuda.device_of_memory(memory);
  what->type = device < 0 ? cudaMemoryTypeUnregistered : cudaMemoryTypeDevice;
  if (device >= 0) what->device = device;
})
FLAME_STAND_IN(cudaFree, (void* memory), { cuda.give_back(memory); })
FLAME_STAND_IN(cudaFreeAsync, (void* memory, cudaStream_t), { cuda.give_back(memory); })
FLAME_STAND_IN(cudaHostAlloc, (void** memory, std::size_t bytes, unsigned),
               { *memory = std::aligned_alloc(256, (bytes + 256) / 256 * 256); })
FLAME_STAND_IN(cudaMemGetInfo, (std::size_t * free, std::size_t* all), {
  *all = cuda.total;
  *free = cuda.total - cuda.used;
})
FLAME_STAND_IN(cudaDeviceGetDefaultMemPool, (cudaMemPool_t*, int), {})
FLAME_STAND_IN(cudaMemPoolSetAttribute, (cudaMemPool_t, cudaMemPoolAttr, void*), {})
FLAME_STAND_IN(cudaMemPoolTrimTo, (cudaMemPool_t, std::size_t), {})
FLAME_STAND_IN(cudaMemset, (void* to, int value, std::size_t bytes), { std::memset(to, value, bytes); })
FLAME_STAND_IN(cudaMemsetAsync, (void* to, int value, std::size_t bytes, cudaStream_t stream), {
  std::memset(to, value, bytes);
  return cuda.on(stream, cuda.device);
})
FLAME_STAND_IN(cudaMemcpyAsync, (void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t),
               { std::memmove(to, from, bytes); })
FLAME_STAND_IN(cudaMemcpyPeerAsync,
               (void* to, int to_device, const void* from, int from_device, std::size_t bytes, cudaStream_t),
               {
                 if (cuda.device_of_memory(to) != to_device || cuda.device_of_memory(from) != from_device)
                   return cudaErrorInvalidValue;
                 std::memmove(to, from, bytes);
               })

FLAME_STAND_IN(cudaStreamCreateWithFlags, (cudaStream_t * stream, unsigned), {
  static char streams[64];
  static std::atomic<int> made{0};
  *stream = reinterpret_cast<cudaStream_t>(&streams[made++ % 64]);
  cuda.place(*stream, cuda.device);
})
FLAME_STAND_IN(cudaStreamDestroy, (cudaStream_t), {})
FLAME_STAND_IN(cudaStreamSynchronize, (cudaStream_t), { return cuda.kernels_fail_with; })
FLAME_STAND_IN(cudaDeviceSynchronize, (), { return cuda.kernels_fail_with; })
FLAME_STAND_IN(cudaStreamWaitEvent, (cudaStream_t, cudaEvent_t, unsigned), {})
FLAME_STAND_IN(cudaEventCreateWithFlags, (cudaEvent_t * event, unsigned), {
  *event = reinterpret_cast<cudaEvent_t>(new char);
  cuda.place(*event, cuda.device);
})
FLAME_STAND_IN(cudaEventRecord, (cudaEvent_t event, cudaStream_t stream),
               { return cuda.on(stream, cuda.device_of(event)); })
FLAME_STAND_IN(cudaEventSynchronize, (cudaEvent_t), { return cuda.kernels_fail_with; })
FLAME_STAND_IN(cudaEventDestroy, (cudaEvent_t event), {
  const std::lock_guard hold(cuda.lock);
  cuda.places.erase(event);
  delete reinterpret_cast<char*>(event);
})

FLAME_STAND_IN(cudaLibraryLoadData,
               (cudaLibrary_t * library, const void*, cudaJitOption*, void**, unsigned, cudaLibraryOption*,
                void**, unsigned),
               {
                 if (cuda.loads_to_refuse > 0) return --cuda.loads_to_refuse, cudaErrorNoKernelImageForDevice;
                 *library = nullptr;
               })
FLAME_STAND_IN(cudaLibraryGetKernel, (cudaKernel_t * kernel, cudaLibrary_t, const char* name),
               { *kernel = reinterpret_cast<cudaKernel_t>(new std::string(name)); })
FLAME_STAND_IN(cudaLaunchKernel,
               (const void* function, dim3, dim3, void** arguments, std::size_t, cudaStream_t stream), {
                 if (cuda.launches_fail_with != cudaSuccess) return cuda.launches_fail_with;
                 if (cuda.on(stream, cuda.device) != cudaSuccess) return cudaErrorInvalidResourceHandle;
                 if (const auto at = cuda.captured.find(stream); at != cuda.captured.end()) {
                   static std::uintptr_t nodes = 0;
                   at->second = {reinterpret_cast<cudaGraphNode_t>(++nodes)};
                 } else if (cuda.run) {
                   cuda.run(static_cast<const std::string*>(function)->c_str(), arguments);
                 }
               })
FLAME_STAND_IN(cudaFuncSetAttribute, (const void*, cudaFuncAttribute, int), {})
FLAME_STAND_IN(cudaLaunchKernelExC, (const cudaLaunchConfig_t* how, const void* function, void** arguments), {
  return cudaLaunchKernel(function, how->gridDim, how->blockDim, arguments, how->dynamicSmemBytes,
                          how->stream);
})

// Graphs: what is captured does not run, nor does what is launched.
FLAME_STAND_IN(cudaStreamBeginCapture, (cudaStream_t stream, cudaStreamCaptureMode),
               { cuda.captured[stream]; })
FLAME_STAND_IN(cudaStreamEndCapture, (cudaStream_t stream, cudaGraph_t* graph), {
  cuda.captured.erase(stream);
  *graph = reinterpret_cast<cudaGraph_t>(stream);
})
#if CUDART_VERSION >= 13000
#define FLAME_CAPTURE_INFO cudaStreamGetCaptureInfo
#define FLAME_CAPTURE_UPDATE cudaStreamUpdateCaptureDependencies
#else
#define FLAME_CAPTURE_INFO cudaStreamGetCaptureInfo_v3
#define FLAME_CAPTURE_UPDATE cudaStreamUpdateCaptureDependencies_v2
#endif
FLAME_STAND_IN(FLAME_CAPTURE_INFO,
               (cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long*, cudaGraph_t*,
                const cudaGraphNode_t** nodes, const cudaGraphEdgeData** edges, std::size_t* count),
               {
                 *status = cudaStreamCaptureStatusActive;
                 *nodes = cuda.captured[stream].data();
                 *count = cuda.captured[stream].size();
                 if (edges) *edges = nullptr;
               })
FLAME_STAND_IN(FLAME_CAPTURE_UPDATE,
               (cudaStream_t stream, cudaGraphNode_t* nodes, const cudaGraphEdgeData*, std::size_t count,
                unsigned),
               { cuda.captured[stream].assign(nodes, nodes + count); })
#undef FLAME_CAPTURE_INFO
#undef FLAME_CAPTURE_UPDATE
FLAME_STAND_IN(cudaGraphNodeGetType, (cudaGraphNode_t, cudaGraphNodeType* type),
               { *type = cudaGraphNodeTypeKernel; })
FLAME_STAND_IN(cudaGraphInstantiate, (cudaGraphExec_t * made, cudaGraph_t, unsigned long long), {
  *made = reinterpret_cast<cudaGraphExec_t>(&cuda);
  ++cuda.graphs;
})
FLAME_STAND_IN(cudaGraphDestroy, (cudaGraph_t), {})
FLAME_STAND_IN(cudaGraphExecDestroy, (cudaGraphExec_t), { --cuda.graphs; })
FLAME_STAND_IN(cudaGraphLaunch, (cudaGraphExec_t, cudaStream_t stream),
               { return cuda.on(stream, cuda.device); })

}  // extern "C"

#undef FLAME_STAND_IN
