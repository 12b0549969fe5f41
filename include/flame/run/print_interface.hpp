// The text of a tensor of any type: see run/print.hpp.
#pragma once
#include <flame/run/storage.hpp>

#include <string>

namespace flame {

struct print_options {
  int precision = 4;     // decimals at most
  i64 threshold = 1000;  // more elements are summarised
  i64 edge = 3;          // elements shown at each end of a summarised axis
  int line_width = 75;
};

namespace printing {

// type: of the tensor's axes.
[[nodiscard]] std::string tensor_text(const tensor_view& v, const tensor_type& type,
                                      const print_options& options);

}  // namespace printing

}  // namespace flame
