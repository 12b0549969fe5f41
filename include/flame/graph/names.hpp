// Names of axes and tensor types as run-time text, for errors and printers.
#pragma once
#include <flame/type/tensor_type.hpp>
#include <string>

namespace flame {

[[nodiscard]] inline std::string string_of(text t) {
  return std::string(t.data, static_cast<std::size_t>(t.size));
}

// The tag's name; an anonymous axis is counted from the last: -1, -2, ...
[[nodiscard]] inline std::string string_of(const axis_info* a) {
  return a->from_last >= 0 ? std::to_string(-1 - a->from_last) : string_of(a->name);
}

// `f32`, `f32[batch, channel]`; axes that count instances stand before a bar: `f32[layer | out, in]`.
[[nodiscard]] inline std::string string_of(const tensor_type& t) {
  std::string s = name_of(t.element);
  for (int i = 0; i < t.rank; ++i) {
    if (i == 0)
      s += '[';
    else
      s += i == t.stack ? " | " : ", ";
    s += string_of(t.axes[i]);
  }
  if (t.rank > 0 && t.rank == t.stack) s += " |";
  return t.rank > 0 ? s + ']' : s;
}

}  // namespace flame
