// cuDNN's backend API: its descriptors and its errors. The one header that includes cudnn.h.
#pragma once
#include <cudnn.h>

#include <flame/base/config.hpp>
#include <flame/run/cuda/check.hpp>
#include <utility>

namespace flame::cuda_kernels {

inline void check(cudnnStatus_t status, const char* operation, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char more[512] = {};
  cudnnGetLastErrorString(more, sizeof more);
  const std::string words = std::string(cudnnGetErrorString(status)).append(more[0] ? ": " : "").append(more);
  throw_failed(operation, call, words.c_str(), static_cast<int>(status));
}

// A descriptor of the backend API.
class dnn_descriptor {
 public:
  dnn_descriptor(cudnnBackendDescriptorType_t type, const char* operation) : operation_(operation) {
    check(cudnnBackendCreateDescriptor(type, &descriptor_), operation, "cudnnBackendCreateDescriptor");
  }
  dnn_descriptor(dnn_descriptor&& other) noexcept
      : operation_(other.operation_), descriptor_(other.descriptor_) {
    other.descriptor_ = nullptr;
  }
  dnn_descriptor(const dnn_descriptor&) = delete;
  dnn_descriptor& operator=(const dnn_descriptor&) = delete;
  ~dnn_descriptor() {
    if (descriptor_) cudnnBackendDestroyDescriptor(descriptor_);
  }

  [[nodiscard]] cudnnBackendDescriptor_t get() const { return descriptor_; }

  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, i64 count,
           const Value* values) {
    check(cudnnBackendSetAttribute(descriptor_, name, type, count, values), operation_,
          "cudnnBackendSetAttribute");
  }
  void set(cudnnBackendAttributeName_t name, const dnn_descriptor& value) {
    const cudnnBackendDescriptor_t one = value.get();
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one);
  }
  void finalize() { check(cudnnBackendFinalize(descriptor_), operation_, "cudnnBackendFinalize"); }
  // Whether it could be finalized: what says no is asked for nothing more.
  [[nodiscard]] bool try_finalize() { return cudnnBackendFinalize(descriptor_) == CUDNN_STATUS_SUCCESS; }

  // How many values there are, at most `count` of them read.
  template <class Value>
  i64 get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, i64 count,
          Value* values) const {
    std::int64_t found = 0;
    check(cudnnBackendGetAttribute(descriptor_, name, type, count, &found, values), operation_,
          "cudnnBackendGetAttribute");
    return found;
  }

 private:
  const char* operation_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

[[nodiscard]] inline std::string dnn_version() { return std::to_string(cudnnGetVersion()); }

}  // namespace flame::cuda_kernels
