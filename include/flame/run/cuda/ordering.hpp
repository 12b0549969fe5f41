// Running sums and the largest elements along an axis, on CUDA.
#pragma once
#include <flame/plan/library_order.hpp>
#include <flame/run/cuda/kernel/order.hpp>
#include <flame/run/cuda/launcher.hpp>

namespace flame::cuda_kernels {

// cumsum and top as the host's. Sums are f32 of 16-bit elements, else of the elements' type, added up in an
// order that depends on the extents alone.
//
// Long rows are summed in about as many tiles as a tile has elements: each tile's sum, then the sums before
// each, then the running sums. The largest are found by counting: an element's place is how many stand before
// it, and a thread stops when there are as many as are wanted. That takes about kept ln(extent / kept)
// comparisons an element and no memory; of rows of many thousands of which many thousands are wanted,
// extent^2 in all.
class prepared_ordering {
 public:
  // Throws flame::error for elements that are no numbers.
  prepared_ordering(op operation, const library::ordering& x) : sums_(operation == op::cumsum) {
    if (!is_floating(x.element) && !is_integer(x.element))
      throw error(std::string(name_of(operation).data, static_cast<std::size_t>(name_of(operation).size))
                      .append(": the operand is ")
                      .append(name_of(x.element))
                      .append(", expected numbers"));
    constexpr i64 least_tile = 32;
    i64 tile = least_tile;
    while (tile * tile < x.extent) tile *= 2;
    shape_ = {x.outer, x.extent, x.inner, x.kept, 1, x.extent, x.reverse ? 1 : 0};
    if (x.extent > 2 * least_tile) shape_.tile = tile, shape_.tiles = (x.extent + tile - 1) / tile;
    rows_ = x.outer * x.inner;
    const int number = static_cast<int>(x.element);
    if (!sums_) {
      names_ = {kernel_name("largest", {number})};
      return;
    }
    names_ = {kernel_name("cumsum", {number})};
    if (shape_.tiles > 1)
      names_.push_back(kernel_name("cumsum_tiles", {number})),
          names_.push_back(kernel_name("cumsum_before", {number}));
    sum_bytes_ = size_of(x.element) == 8 ? 8 : 4;
  }

  // What it starts.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // Bytes that run needs.
  [[nodiscard]] i64 workspace() const {
    return sums_ && shape_.tiles > 1 ? padded(rows_ * shape_.tiles * sum_bytes_) : 0;
  }

  void run(launcher& start, const void* from, void* to, void* workspace, cudaStream_t stream) const {
    if (rows_ * shape_.extent * shape_.kept == 0) return;
    if (!sums_) return launch_each(start, names_[0], rows_ * shape_.extent, stream, shape_, from, to);
    if (shape_.tiles > 1) {
      launch_each(start, names_[1], rows_ * shape_.tiles, stream, shape_, from, workspace);
      launch_each(start, names_[2], rows_, stream, shape_, workspace);
    }
    launch_each(start, names_[0], rows_ * shape_.tiles, stream, shape_, from,
                static_cast<const void*>(workspace), to);
  }

 private:
  bool sums_;
  kernel::ordering shape_{};
  i64 rows_ = 0, sum_bytes_ = 4;
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
