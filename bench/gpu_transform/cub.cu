// cub::DeviceTransform for bench/gpu_transform.cpp: functors that compute in f32, compiled by nvcc with the CCCL that is in
// the toolkit.
#include <cub/device/device_transform.cuh>
#include <cuda_bf16.h>

#include <cuda/std/tuple>

#include <cstring>

namespace {

using bf16 = __nv_bfloat16;

struct relu { __device__ float operator()(float x) const { return x > 0 ? x : 0; } };
struct sigmoid { __device__ float operator()(float x) const { return 1 / (1 + expf(-x)); } };
struct tanh_ { __device__ float operator()(float x) const { return tanhf(x); } };
struct gelu { __device__ float operator()(float x) const { return x * 0.5f * (1 + erff(x * 0.70710678f)); } };
struct sin_ { __device__ float operator()(float x) const { return sinf(x); } };
struct exp_ { __device__ float operator()(float x) const { return expf(x); } };
struct add { __device__ float operator()(float x, float y) const { return x + y; } };
struct sub { __device__ float operator()(float x, float y) const { return x - y; } };
struct mul { __device__ float operator()(float x, float y) const { return x * y; } };
struct div_ { __device__ float operator()(float x, float y) const { return x / y; } };
struct le { __device__ bool operator()(float x, float y) const { return x <= y; } };
struct ge { __device__ bool operator()(float x, float y) const { return x >= y; } };
struct fmin_ { __device__ float operator()(float x, float y) const { return fminf(x, y); } };
struct fmax_ { __device__ float operator()(float x, float y) const { return fmaxf(x, y); } };

template <class T, class F> struct of {
  template <class... X> __device__ auto operator()(X... x) const {
    const auto y = F{}(static_cast<float>(x)...);
    if constexpr (sizeof(y) == 1)
      return y;
    else
      return static_cast<T>(y);
  }
};

template <class F, class T> cudaError_t unary(const void* a, void* out, long long n, cudaStream_t stream) {
  return cub::DeviceTransform::Transform(static_cast<const T*>(a), static_cast<T*>(out), n, of<T, F>{}, stream);
}
template <class F, class T, class Result = T>
cudaError_t binary(const void* a, const void* b, void* out, long long n, cudaStream_t stream) {
  return cub::DeviceTransform::Transform(
      cuda::std::tuple<const T*, const T*>{static_cast<const T*>(a), static_cast<const T*>(b)},
      static_cast<Result*>(out), n, of<T, F>{}, stream);
}

template <class T>
cudaError_t transform(const char* name, const void* a, const void* b, void* out, long long n, cudaStream_t stream) {
  const auto is = [&](const char* other) { return std::strcmp(name, other) == 0; };
  if (is("relu")) return unary<relu, T>(a, out, n, stream);
  if (is("sigmoid")) return unary<sigmoid, T>(a, out, n, stream);
  if (is("tanh")) return unary<tanh_, T>(a, out, n, stream);
  if (is("gelu")) return unary<gelu, T>(a, out, n, stream);
  if (is("sin")) return unary<sin_, T>(a, out, n, stream);
  if (is("exp")) return unary<exp_, T>(a, out, n, stream);
  if (is("add")) return binary<add, T>(a, b, out, n, stream);
  if (is("sub")) return binary<sub, T>(a, b, out, n, stream);
  if (is("mul")) return binary<mul, T>(a, b, out, n, stream);
  if (is("div")) return binary<div_, T>(a, b, out, n, stream);
  if (is("le")) return binary<le, T, bool>(a, b, out, n, stream);
  if (is("ge")) return binary<ge, T, bool>(a, b, out, n, stream);
  if (is("fmin")) return binary<fmin_, T>(a, b, out, n, stream);
  if (is("fmax")) return binary<fmax_, T>(a, b, out, n, stream);
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t cub_transform(const char* name, bool halves, const void* a, const void* b, void* out, long long n,
                          cudaStream_t stream) {
  return halves ? transform<bf16>(name, a, b, out, n, stream) : transform<float>(name, a, b, out, n, stream);
}
