// The one exception that FLAME throws: its text names the operation, the argument and what was expected.
#pragma once
#include <stdexcept>
#include <string>

namespace flame {

struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace flame
