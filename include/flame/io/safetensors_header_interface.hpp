// safetensors, what the JSON header of a file says, without the parser that reads it: see
// io/safetensors_header.hpp.
#pragma once
#include <flame/io/safetensors_entry.hpp>

namespace flame::safetensors {

struct header_entry {
  std::string name;
  safetensors::dtype dtype = safetensors::dtype::f32;
  std::vector<i64> shape;
  u64 begin = 0, end = 0;  // in the data buffer
};

struct header {
  std::vector<header_entry> tensors;  // in the order of the text
  metadata_map metadata;
};

// Parses the header's text: valid UTF-8, first byte '{', JSON of the form above, no key twice.
// Throws flame::error, which names `file`, for anything else.
[[nodiscard]] header parse_header(std::string_view text, const std::string& file);

}  // namespace flame::safetensors
