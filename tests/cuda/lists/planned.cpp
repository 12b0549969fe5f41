// A GPU that is planned for and not there: a program that links this in place of flame::cuda appends to the
// file FLAME_KERNEL_LIST the kernels that it would start on an H200, and computes nothing there. With
// FLAME_EXPLAIN=1 it prints each program's plan.
#include "../twin.hpp"  // first: it says FLAME_CUDA

#include <flame/plan/explain.hpp>
#include <flame/run/cuda/ahead.hpp>
#include <flame/run/cuda/names.hpp>

#include <cstdio>
#include <cstdlib>

namespace flame::cuda_code {

const bool planned = [] {
  twin_plans = [](const program& p) {
    static const char* const explains = std::getenv("FLAME_EXPLAIN");
    if (explains && *explains == '1') std::printf("%s\n", explain(p).c_str());
    for (const std::vector<std::string>& names :
         {cuda_kernels::kernel_names(p), cuda_kernels::product_names(p)})
      for (const std::string& name : names) cuda_kernels::record_kernel(name.c_str());
  };
  return true;
}();

}  // namespace flame::cuda_code
