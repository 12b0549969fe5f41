// A GPU that is planned for and not there: a program that links this in place of flame::cuda appends to the
// file FLAME_KERNEL_LIST the kernels that it would start on an H200, and computes nothing there.
#include "../twin.hpp"  // first: it says FLAME_CUDA

#include <flame/run/cuda/ahead.hpp>
#include <flame/run/cuda/names.hpp>

namespace flame::cuda_code {

const bool planned = [] {
  twin_plans = [](const program& p) {
    for (const std::vector<std::string>& names :
         {cuda_kernels::kernel_names(p), cuda_kernels::product_names(p)})
      for (const std::string& name : names) cuda_kernels::record_kernel(name.c_str());
  };
  return true;
}();

}  // namespace flame::cuda_code
