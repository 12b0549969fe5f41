// Products of matrices by FLAME's own kernel: what library kernels are slow at, few sums, deep ones, and many
// small products at once. f32.
#pragma once
#include <flame/run/cuda/contraction.hpp>
#include <flame/run/cuda/kernel/product.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace flame::cuda_kernels {

// All of a contraction's products in one start of a kernel.
class tiled_product {
 public:
  // The tile of a block, how much of it is each thread's, how many tiles are in shared memory at once, and
  // how many blocks share its depth.
  struct shape {
    int m, n, k, each_m, each_n, stages, parts;
  };

  // Ways to make plan's products, the quickest by a rough count first; none but for f32, and for products
  // that are too many or too large. multiprocessors: of the GPU.
  [[nodiscard]] static std::vector<tiled_product> ways(const contraction_plan& plan, int architecture,
                                                       int multiprocessors, std::size_t most) {
    std::vector<tiled_product> all;
    const matrix_product& p = plan.product();
    constexpr i64 limit = i64{1} << 30;
    if (plan.does() != contraction_plan::work::products || p.element != dtype::f32) return all;
    const axis_list<3> axes = plan.batches();
    if (p.m >= limit || p.n >= limit || p.k >= limit || axes.rank > kernel::product_axes ||
        axes.size() > 65535)
      return all;
    static constexpr shape shapes[] = {
        {128, 64, 16, 8, 4, 3, 1}, {64, 64, 16, 4, 4, 3, 1}, {96, 48, 16, 6, 3, 3, 1},
        {96, 32, 16, 4, 4, 3, 1},  {48, 48, 16, 3, 3, 3, 1}, {64, 32, 16, 4, 4, 3, 1},
        {32, 64, 16, 4, 4, 3, 1},  {32, 32, 16, 4, 2, 3, 1}, {32, 32, 32, 2, 2, 2, 1},
        {16, 32, 32, 2, 2, 2, 1},  {32, 16, 32, 2, 2, 2, 1}, {16, 16, 32, 2, 1, 2, 1},
        {56, 56, 8, 7, 2, 3, 1},   {24, 56, 8, 3, 2, 3, 1},  {56, 24, 8, 7, 2, 3, 1}};
    for (shape s : shapes)
      for (s.parts = 1; s.parts <= (architecture >= 90 ? 8 : 1); s.parts *= 2) {
        if (s.parts > 1 && p.k < 2 * s.k * s.parts) break;
        if (s.m * s.n % s.parts != 0) break;
        tiled_product one(plan, axes, s);
        if (one.blocks_ >= i64{1} << 31) continue;
        one.estimate(multiprocessors);
        all.push_back(std::move(one));
      }
    std::stable_sort(all.begin(), all.end(),
                     [](const tiled_product& a, const tiled_product& b) { return a.cost_ < b.cost_; });
    if (all.size() > most) all.erase(all.begin() + static_cast<std::ptrdiff_t>(most), all.end());
    return all;
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  // "kernel product 96x48, depth in 4".
  [[nodiscard]] std::string engine() const {
    std::string text = "kernel product " + std::to_string(shape_.m) + "x" + std::to_string(shape_.n);
    if (shape_.parts > 1) text += ", depth in " + std::to_string(shape_.parts);
    return text;
  }

  void run(launcher& start, const void* first, const void* second, void* result, cudaStream_t stream) const {
    kernel::product_arguments arguments = arguments_;
    void* pointers[] = {&arguments, &first, &second, &result};
    start.launch(name_.c_str(), dim3(static_cast<unsigned>(blocks_), static_cast<unsigned>(batches_)),
                 dim3(static_cast<unsigned>(threads_)), 0, pointers, stream,
                 static_cast<unsigned>(shape_.parts));
  }

 private:
  tiled_product(const contraction_plan& plan, const axis_list<3>& axes, const shape& s) : shape_(s) {
    const matrix_product& p = plan.product();
    kernel::product_arguments& a = arguments_;
    a.m = static_cast<i32>(p.m), a.n = static_cast<i32>(p.n), a.k = static_cast<i32>(p.k);
    const i64 tiles_m = (p.m + s.m - 1) / s.m, tiles_n = (p.n + s.n - 1) / s.n;
    a.tiles_m = static_cast<i32>(tiles_m);
    a.parts = s.parts;
    a.depth = static_cast<i32>(((p.k + s.parts - 1) / s.parts + s.k - 1) / s.k * s.k);
    a.accumulate = p.accumulate;
    a.first_ld = p.first_ld, a.second_ld = p.second_ld, a.result_ld = p.result_ld;
    a.axes = axes.rank;
    for (int i = 0; i < axes.rank; ++i) {
      a.extents[i] = static_cast<u32>(axes.items[i].extent);
      a.result[i] = axes.items[i].strides[0];
      a.first[i] = axes.items[i].strides[1], a.second[i] = axes.items[i].strides[2];
    }
    blocks_ = tiles_m * tiles_n * s.parts, batches_ = axes.size();
    threads_ = s.m / s.each_m * (s.n / s.each_n);

    const int first = vector(p.first_transposed ? p.k : p.m, p.first_ld, p.first_alignment),
              second = vector(p.second_transposed ? p.n : p.k, p.second_ld, p.second_alignment),
              result = p.first_transposed ? 1 : vector(p.m, p.result_ld, p.result_alignment);
    name_ = std::string("flame::kernel::product<") + (p.first_transposed ? "true" : "false") +
            (p.second_transposed ? ",true" : ",false");
    for (int n : {first, second, result, s.m, s.n, s.k, s.each_m, s.each_n, s.stages})
      name_ += "," + std::to_string(n);
    name_ += ">";
  }

  // 4 where 16 bytes can be read at once wherever a line of so many elements begins.
  static int vector(i64 along, i64 ld, i64 alignment) {
    return along % 4 == 0 && ld % 4 == 0 && alignment % 16 == 0 ? 4 : 1;
  }

  // Thousands of cycles: of the multiprocessor with most blocks, if sums were all, with what threads that
  // hold few sums lose, and what a block needs before it sums and after.
  void estimate(int multiprocessors) {
    const double blocks = static_cast<double>(blocks_) * static_cast<double>(batches_);
    const double busiest = std::ceil(blocks / multiprocessors);
    const double work = static_cast<double>(shape_.m) * shape_.n * arguments_.depth / 128;
    const double each = shape_.each_m * shape_.each_n;
    const double warps = std::min(busiest, 4.0) * threads_ / 32;
    const double reached = each / (each + 12) * warps / (warps + 6);
    cost_ = (busiest * work / reached + 600 * std::ceil(busiest / 4) + (shape_.parts > 1 ? 900 : 0)) / 1000;
  }

  shape shape_;
  kernel::product_arguments arguments_{};
  i64 blocks_ = 0, batches_ = 1;
  int threads_ = 0;
  double cost_ = 0;
  std::string name_;
};

}  // namespace flame::cuda_kernels
