// The names of the kernels that the gradient of block.cpp starts on an H200, for batch 64 of 256 tokens, 512
// channels and 8 heads in f32: tests/cuda/lists.py keeps them in block.txt, for the row that compiles the
// block with its kernels.
#define main main_of_block
#include "block.cpp"
#undef main

#include <flame/run/cuda/names.hpp>
#include <flame/run/program_cache.hpp>

#include <cstdio>
#include <map>

int main() {
  const std::map<std::string, i64> extents = {{"batch", 64}, {"token", 256}, {"channel", 512},
                                              {"head", 8},   {"depth", 64},  {"hidden", 2048}};
  const function_info& f = *trained<net>::gradient;
  std::vector<bound_value> operands;
  std::vector<std::vector<float>> memory;
  for (int i = 0; i < f.leaf_count; ++i) {
    tensor_view view;
    view.rank = f.leaves[i]->type.rank;
    i64 size = 1;
    for (int k = view.rank - 1; k >= 0; --k) {
      const text name = f.leaves[i]->type.axes[k]->name;
      view.extents[k] = extents.at(std::string(name.data, static_cast<std::size_t>(name.size)));
      view.strides[k] = size;
      size *= view.extents[k];
    }
    memory.emplace_back(static_cast<std::size_t>(size));
    view.data = memory.back().data();
    operands.emplace_back(view);
  }
  program_cache cache(f);
  for (const std::string& name : cuda_kernels::kernel_names(cache.plan(operands))) std::puts(name.c_str());
}
