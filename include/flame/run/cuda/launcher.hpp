// How library steps start kernels: by name, whichever way the kernels were compiled.
#pragma once
#include <cuda_runtime_api.h>

#include <flame/base/config.hpp>
#include <flame/base/error.hpp>
#include <flame/type/dtype.hpp>
#include <initializer_list>
#include <string>
#include <vector>

namespace flame::cuda_kernels {

// Starts the kernel of a name expression, such as "flame::kernel::pool_take<0,4>", with pointers to its
// arguments. cluster: how many neighbours along x are a cluster of blocks. Throws flame::error, naming the
// kernel, if there is none or it cannot start.
struct launcher {
  virtual ~launcher() = default;
  virtual void launch(const char* name_expression, dim3 grid, dim3 block, unsigned shared_bytes,
                      void** arguments, cudaStream_t stream, unsigned cluster = 1) = 0;
};

// What cudaLaunchKernel does, for clusters too. early: a kernel that waits by itself (kernel::begin_kernel)
// may be started while the one before it on the stream ends.
inline cudaError_t start_kernel(const void* function, dim3 grid, dim3 block, unsigned shared_bytes,
                                void** arguments, cudaStream_t stream, unsigned cluster, bool early = false) {
  if (cluster <= 1 && !early) return cudaLaunchKernel(function, grid, block, arguments, shared_bytes, stream);
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t how{};
  how.gridDim = grid, how.blockDim = block, how.dynamicSmemBytes = shared_bytes, how.stream = stream;
  how.attrs = attributes;
  if (cluster > 1) {
    cudaLaunchAttribute& a = attributes[how.numAttrs++];
    a.id = cudaLaunchAttributeClusterDimension;
    a.val.clusterDim.x = cluster, a.val.clusterDim.y = 1, a.val.clusterDim.z = 1;
  }
  if (early) {
    cudaLaunchAttribute& a = attributes[how.numAttrs++];
    a.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    a.val.programmaticStreamSerializationAllowed = 1;
  }
  return cudaLaunchKernelExC(&how, function, arguments);
}

// "flame::kernel::name<first,second>", as NVRTC knows it.
[[nodiscard]] inline std::string kernel_name(const char* name, std::initializer_list<int> arguments) {
  std::string text = std::string("flame::kernel::").append(name).append("<");
  bool first = true;
  for (int argument : arguments) {
    text.append(first ? "" : ",").append(std::to_string(argument));
    first = false;
  }
  return text.append(">");
}

// Starts one thread for each of count things; nothing where there are none. Arguments have the types of the
// kernel's parameters exactly. Allocates nothing.
template <class... Arguments>
void launch_each(launcher& to, const std::string& name, i64 count, cudaStream_t stream,
                 Arguments... arguments) {
  constexpr unsigned block = 256;
  constexpr i64 most_blocks = 0x7fffffff;
  if (count <= 0) return;
  const i64 blocks = (count + block - 1) / block;
  if (blocks > most_blocks)
    throw error(
        std::string(name).append(": more than 2^31 blocks of threads are needed, CUDA starts no more"));
  void* pointers[] = {&arguments...};
  to.launch(name.c_str(), dim3(static_cast<unsigned>(blocks)), dim3(block), 0, pointers, stream);
}

[[nodiscard]] inline bool aligned(const void* pointer, i64 bytes) {
  return reinterpret_cast<unsigned long long>(pointer) % static_cast<unsigned long long>(bytes) == 0;
}

// A part of a workspace.
[[nodiscard]] inline i64 padded(i64 bytes) { return (bytes + 255) / 256 * 256; }

[[nodiscard]] inline void* further(void* memory, i64 bytes) { return static_cast<char*>(memory) + bytes; }
[[nodiscard]] inline const void* further(const void* memory, i64 bytes) {
  return static_cast<const char*>(memory) + bytes;
}

// Throws flame::error unless the element type is floating.
inline void require_floating(const char* operation, dtype element) {
  if (!is_floating(element))
    throw error(std::string(operation)
                    .append(": the operands are ")
                    .append(name_of(element))
                    .append(", expected f32, f64, bf16 or f16"));
}

}  // namespace flame::cuda_kernels
