// The errors of CUDA and its libraries as flame::error: the operation, which call failed, and the library's
// words.
#pragma once
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <nvrtc.h>

#include <flame/base/error.hpp>
#include <string>

namespace flame::cuda_kernels {

// "operation: call failed: words (code)".
[[noreturn]] inline void throw_failed(const char* operation, const char* call, const char* words, int code) {
  throw error(std::string(operation)
                  .append(": ")
                  .append(call)
                  .append(" failed: ")
                  .append(words)
                  .append(" (")
                  .append(std::to_string(code))
                  .append(")"));
}

// Errors of kernels, which whatever is called next reports; no call of this process succeeds any more.
[[nodiscard]] inline bool is_of_a_kernel(cudaError_t status) {
  return status == cudaErrorIllegalAddress || status == cudaErrorIllegalInstruction ||
         status == cudaErrorMisalignedAddress || status == cudaErrorInvalidAddressSpace ||
         status == cudaErrorInvalidPc || status == cudaErrorAssert || status == cudaErrorLaunchFailure ||
         status == cudaErrorLaunchTimeout || status == cudaErrorHardwareStackError;
}

// Nothing where the status is success (0 in each library), else an error. operation: what the user asked for;
// call: the library's function. cuBLASLt's and cuDNN's stand in blas.hpp and dnn_descriptor.hpp, which alone
// include their headers.
inline void check(cudaError_t status, const char* operation, const char* call) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // reported once; an error of the context stays, whoever reads it
  std::string words = cudaGetErrorString(status);
  if (is_of_a_kernel(status)) words += "; a kernel that was started before failed, FLAME_WATCH=1 says which";
  throw_failed(operation, call, words.c_str(), static_cast<int>(status));
}

inline void check(nvrtcResult status, const char* operation, const char* call) {
  if (status != NVRTC_SUCCESS)
    throw_failed(operation, call, nvrtcGetErrorString(status), static_cast<int>(status));
}

// The driver is asked for its words through the runtime: nothing here links it, so programs start without
// one.
inline void check(CUresult status, const char* operation, const char* call) {
  if (status == CUDA_SUCCESS) return;
  using words_of = CUresult (*)(CUresult, const char**);
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  const cudaError_t asked =
      cudaGetDriverEntryPointByVersion("cuGetErrorString", &function, 12000, cudaEnableDefault, &found);
#else
  const cudaError_t asked = cudaGetDriverEntryPoint("cuGetErrorString", &function, cudaEnableDefault, &found);
#endif
  const char* words = "an error of the driver";
  if (asked == cudaSuccess && function &&
      reinterpret_cast<words_of>(function)(status, &words) != CUDA_SUCCESS)
    words = "an error that the driver does not know";
  throw_failed(operation, call, words, static_cast<int>(status));
}

}  // namespace flame::cuda_kernels
