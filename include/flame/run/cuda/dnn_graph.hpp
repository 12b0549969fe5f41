// A graph of cuDNN's operations: matrix products, pointwise operations and reductions of tensors of four
// axes.
#pragma once
#include <flame/run/cuda/dnn_engines.hpp>

#include <array>

namespace flame::cuda_kernels {

// Tensors are told apart by the ids that their operands are given when a plan runs; what has none is virtual:
// it lives between operations and never in memory.
class dnn_graph {
 public:
  using axes = std::array<std::int64_t, 4>;
  struct tensor {
    cudnnBackendDescriptor_t descriptor;
  };

  // name: of the operation, for errors.
  explicit dnn_graph(const char* name) : name_(name) {}

  tensor in_memory(std::int64_t id, cudnnDataType_t type, const axes& extents, const axes& strides,
                   i64 alignment = 16) {
    return add(id, type, extents, strides, alignment, false, false);
  }
  // Strides matter there too: they say which axis lies side by side.
  tensor between(cudnnDataType_t type, const axes& extents, const axes& strides) {
    return add(next_++, type, extents, strides, 16, true, false);
  }
  // A number in the host's memory.
  tensor number(std::int64_t id) {
    return add(id, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, 4, false, true);
  }

  // c = a b, summed in f32.
  void product(tensor a, tensor b, tensor c) {
    dnn_descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR, name_);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    how.finalize();
    dnn_descriptor o(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, name_);
    set(o, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a), set(o, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    set(o, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    add(o, CUDNN_ATTR_OPERATION_MATMUL_DESC, std::move(how));
  }
  // y = mode(x), mode(x, b), or where(select, x, b); axis: of GEN_INDEX.
  void pointwise(cudnnPointwiseMode_t mode, tensor x, tensor y, tensor b = {nullptr},
                 tensor select = {nullptr}, int axis = -1) {
    const bool truth = mode == CUDNN_POINTWISE_CMP_GE;
    const cudnnDataType_t precision = truth ? CUDNN_DATA_BOOLEAN : sums;
    dnn_descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, name_);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision);
    if (const std::int64_t along = axis; axis >= 0)
      how.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &along);
    how.finalize();
    dnn_descriptor o(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, name_);
    set(o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x), set(o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    if (b.descriptor) set(o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    if (select.descriptor) set(o, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, select);
    add(o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, std::move(how));
  }
  // y = op of x along the axes where y has one element.
  void reduce(cudnnReduceTensorOp_t op, tensor x, tensor y) {
    dnn_descriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR, name_);
    how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &op);
    how.finalize();
    dnn_descriptor o(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, name_);
    set(o, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x), set(o, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    add(o, CUDNN_ATTR_OPERATION_REDUCTION_DESC, std::move(how));
  }
  // y: the elements of x under other axes.
  void reshape(tensor x, tensor y) {
    dnn_descriptor o(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, name_);
    set(o, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x), set(o, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    add(o);
  }

  // cuDNN's engine for it at options.candidate, null where there is none.
  template <class Allowed>
  std::shared_ptr<const dnn_plan> plan(dnn_engines& on, const dnn_options& options, Allowed&& allowed) {
    return possible_ ? on.find(name_, operations_, options, allowed) : nullptr;
  }

 private:
  static constexpr cudnnDataType_t sums = CUDNN_DATA_FLOAT;

  static void set(dnn_descriptor& o, cudnnBackendAttributeName_t name, tensor t) {
    o.set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t.descriptor);
  }
  tensor add(std::int64_t id, cudnnDataType_t type, const axes& extents, const axes& strides, i64 alignment,
             bool is_virtual, bool by_value) {
    dnn_descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR, name_);
    const std::int64_t bytes = alignment;
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents.data());
    t.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides.data());
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &bytes);
    if (is_virtual) t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    if (by_value) t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    t.finalize();
    kept_.push_back(std::move(t));
    return {kept_.back().get()};
  }
  void add(dnn_descriptor& o) {
    possible_ = possible_ && o.try_finalize();
    operations_.push_back(o.get());
    kept_.push_back(std::move(o));
  }
  void add(dnn_descriptor& o, cudnnBackendAttributeName_t name, dnn_descriptor&& how) {
    o.set(name, how);
    add(o);
    kept_.push_back(std::move(how));
  }

  const char* name_;
  std::vector<dnn_descriptor> kept_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  std::int64_t next_ = 1000;
  bool possible_ = true;
};

}  // namespace flame::cuda_kernels
