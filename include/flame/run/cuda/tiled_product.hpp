// Products of matrices by FLAME's own kernel: what library kernels are slow at, few sums, deep ones, and many
// small products at once. f32, and bf16 and f16 on tensor cores.
#pragma once
#include <flame/run/cuda/contraction.hpp>
#include <flame/run/cuda/kernel/product16.hpp>

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

  // Ways to make plan's products, the quickest by a rough count first; none for f64, before sm_80, and for
  // products that are too many or too large. multiprocessors: of the GPU.
  [[nodiscard]] static std::vector<tiled_product> ways(const contraction_plan& plan, int architecture,
                                                       int multiprocessors, std::size_t most) {
    std::vector<tiled_product> all;
    const matrix_product& p = plan.product();
    constexpr i64 limit = i64{1} << 30;
    if (architecture < 80) return all;  // memory fetched in the background, tensor cores of bf16
    if (plan.does() != contraction_plan::work::products || p.element == dtype::f64) return all;
    const axis_list<3> axes = plan.batches();
    if (p.m >= limit || p.n >= limit || p.k >= limit || p.first_ld >= limit || p.second_ld >= limit ||
        p.result_ld >= limit || axes.rank > kernel::product_axes || axes.size() > 65535)
      return all;
    static constexpr shape shapes[] = {
        {128, 64, 16, 8, 4, 3, 1}, {64, 64, 16, 4, 4, 3, 1}, {96, 48, 16, 6, 3, 3, 1},
        {96, 32, 16, 4, 4, 3, 1},  {48, 48, 16, 3, 3, 3, 1}, {64, 32, 16, 4, 4, 3, 1},
        {32, 64, 16, 4, 4, 3, 1},  {32, 32, 16, 4, 2, 3, 1}, {32, 32, 32, 2, 2, 2, 1},
        {16, 32, 32, 2, 2, 2, 1},  {32, 16, 32, 2, 2, 2, 1}, {16, 16, 32, 2, 1, 2, 1},
        {56, 56, 8, 7, 2, 3, 1},   {24, 56, 8, 3, 2, 3, 1},  {56, 24, 8, 7, 2, 3, 1}};
    static constexpr shape shapes16[] = {{64, 64, 32, 32, 32, 1, 1}, {64, 64, 32, 32, 16, 1, 1},
                                         {32, 64, 32, 32, 16, 1, 1}, {64, 32, 32, 32, 16, 1, 1},
                                         {32, 32, 32, 16, 16, 1, 1}, {56, 64, 32, 56, 16, 1, 1},
                                         {24, 64, 32, 24, 16, 1, 1}, {56, 32, 32, 56, 16, 1, 1}};
    auto add = [&](const shape& s) {
      tiled_product one(plan, axes, s);
      if (one.blocks_ >= i64{1} << 31) return;
      one.estimate(multiprocessors);
      all.push_back(std::move(one));
    };
    if (p.element != dtype::f32)
      for (const shape& s : shapes16) add(s);
    else
      for (shape s : shapes)
        for (s.parts = 1; s.parts <= (architecture >= 90 ? 8 : 1); s.parts *= 2) {
          if (s.parts > 1 && p.k < 2 * s.k * s.parts) break;
          if (s.m * s.n % s.parts != 0) break;
          add(s);
        }
    std::stable_sort(all.begin(), all.end(),
                     [](const tiled_product& a, const tiled_product& b) { return a.cost_ < b.cost_; });
    if (all.size() > most) all.erase(all.begin() + static_cast<std::ptrdiff_t>(most), all.end());
    return all;
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  // "kernel product 96x48, depth in 4".
  [[nodiscard]] std::string engine() const {
    std::string text = "kernel product ";
    text.append(std::to_string(shape_.m)).append("x").append(std::to_string(shape_.n));
    if (shape_.parts > 1) text.append(", depth in ").append(std::to_string(shape_.parts));
    return text;
  }

  // bias: of the rows of the result; null: none.
  void run(launcher& start, const void* first, const void* second, const void* bias, void* result,
           cudaStream_t stream) const {
    kernel::product_arguments arguments = arguments_;
    void* pointers[] = {&arguments, &first, &second, &bias, &result};
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
    a.accumulate = p.accumulate, a.scale = static_cast<float>(plan.scale());
    a.first_ld = static_cast<i32>(p.first_ld), a.second_ld = static_cast<i32>(p.second_ld);
    a.result_ld = static_cast<i32>(p.result_ld);
    a.axes = axes.rank;
    for (int i = 0; i < axes.rank; ++i) {
      a.extents[i] = kernel::divisor(static_cast<u32>(axes.items[i].extent));
      a.result[i] = axes.items[i].strides[0];
      a.first[i] = axes.items[i].strides[1], a.second[i] = axes.items[i].strides[2];
    }
    blocks_ = tiles_m * tiles_n * s.parts, batches_ = axes.size();
    const bool narrow = p.element != dtype::f32;
    threads_ = s.m / s.each_m * (s.n / s.each_n) * (narrow ? 32 : 1);

    const bool deep[] = {p.first_transposed, !p.second_transposed};
    int first = vector(deep[0] ? p.k : p.m, p.first_ld, p.first_alignment, size_of(p.element)),
        second = vector(deep[1] ? p.k : p.n, p.second_ld, p.second_alignment, size_of(p.element)),
        result = vector(p.m, p.result_ld, p.result_alignment, size_of(p.element));
    std::vector<int> numbers;
    if (narrow) {
      // Lines that shared memory turns are read in words: neighbours then write to different banks.
      if (!deep[0]) first = std::min(first, 2);
      if (!deep[1]) second = std::min(second, 2);
      numbers = {first, second, std::min(result, 2), s.m, s.n, s.k, s.each_m, s.each_n};
      name_.append("flame::kernel::product16<")
          .append(std::to_string(static_cast<int>(p.element)))
          .append(",");
    } else {
      auto whole = [](int v) { return v == 4 ? 4 : 1; };
      numbers = {whole(first), whole(second), deep[0] ? 1 : whole(result), s.m, s.n, s.k, s.each_m,
                 s.each_n,     s.stages};
      name_ = "flame::kernel::product<";
    }
    name_.append(p.first_transposed ? "true" : "false").append(p.second_transposed ? ",true" : ",false");
    for (int n : numbers) name_.append(",").append(std::to_string(n));
    name_.append(">");
  }

  // The most elements, of 16 bytes, that can be read at once wherever a line of so many begins.
  static int vector(i64 along, i64 ld, i64 alignment, int size) {
    int v = 16 / size;
    while (v > 1 && (along % v != 0 || ld % v != 0 || alignment % (v * size) != 0)) v /= 2;
    return v;
  }

  // Thousands of cycles: of the multiprocessor with most blocks, if sums were all, with what threads that
  // hold few sums lose, and what a block needs before it sums and after.
  void estimate(int multiprocessors) {
    const double blocks = static_cast<double>(blocks_) * static_cast<double>(batches_);
    const double busiest = std::ceil(blocks / multiprocessors);
    if (shape_.stages == 1) {  // tensor cores: what tiles waste tells, and how many rounds fetch memory
      const double rounds = std::ceil(static_cast<double>(arguments_.k) / shape_.k);
      cost_ = busiest * shape_.m * shape_.n * rounds * shape_.k / 1e6 + 0.5 * rounds * std::ceil(busiest / 4);
      return;
    }
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
