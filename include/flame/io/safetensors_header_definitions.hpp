// safetensors, how the JSON header of a file is read; the only header that includes nlohmann's parser (1 s of
// compiling).
#pragma once
#include <flame/io/safetensors_header_interface.hpp>

#include <nlohmann/json.hpp>

namespace flame::safetensors {

namespace detail {

// Accepts exactly {"name": {"dtype": D, "shape": [N...], "data_offsets": [B, E]}..., "__metadata__": {"k":
// "v"...}}. Every event is one of few states, so that nesting is bounded by the form itself and nothing is
// built but the result.
class header_reader {
 public:
  using json = nlohmann::json;

  header_reader(header& out, const std::string& file) : out_(out), file_(file) {}

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(json::number_integer_t) { return unexpected("a negative number"); }
  bool number_float(json::number_float_t, const json::string_t& text) {
    return unexpected("the number " + quote_text(text));
  }
  bool binary(json::binary_t&) { return unexpected("binary data"); }

  bool number_unsigned(json::number_unsigned_t value) {
    if (state_ == state::shape) {
      if (value > static_cast<u64>(std::numeric_limits<i64>::max()))
        refuse("extent " + std::to_string(value) + " of " + quote_text(entry_.name) + " is too large");
      entry_.shape.push_back(static_cast<i64>(value));
      return true;
    }
    if (state_ == state::offsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return unexpected("the number " + std::to_string(value));
  }

  bool string(json::string_t& text) {
    if (state_ == state::metadata) {
      out_.metadata[key_] = std::move(text);
      return true;
    }
    if (state_ != state::dtype) return unexpected("the string " + quote_text(text));
    const std::optional<dtype> type = dtype_named(text);
    if (!type) refuse("tensor " + quote_text(entry_.name) + " has the unknown dtype " + quote_text(text));
    entry_.dtype = *type;
    state_ = state::tensor;
    return true;
  }

  bool start_object(std::size_t) {
    if (state_ == state::start) return state_ = state::top, true;
    if (state_ == state::metadata_value) return state_ = state::metadata, true;
    if (state_ == state::tensor_value) return state_ = state::tensor, true;
    return unexpected("an object");
  }

  bool key(json::string_t& text) {
    if (state_ == state::top) {
      if (text == "__metadata__") {
        if (has_metadata_) refuse("has \"__metadata__\" twice");
        has_metadata_ = true;
        state_ = state::metadata_value;
      } else {
        entry_ = {};
        entry_.name = std::move(text);
        fields_ = 0;
        state_ = state::tensor_value;
      }
    } else if (state_ == state::metadata) {
      if (out_.metadata.contains(text)) refuse("has the metadata key " + quote_text(text) + " twice");
      key_ = std::move(text);
    } else {
      const unsigned field = text == "dtype" ? 1u : text == "shape" ? 2u : text == "data_offsets" ? 4u : 0u;
      if (field == 0)
        refuse("tensor " + quote_text(entry_.name) + " has the unknown field " + quote_text(text));
      if (fields_ & field)
        refuse("tensor " + quote_text(entry_.name) + " has the field " + quote_text(text) + " twice");
      fields_ |= field;
      state_ = field == 1 ? state::dtype : field == 2 ? state::shape_value : state::offsets_value;
    }
    return true;
  }

  bool end_object() {
    if (state_ == state::tensor) {
      if (fields_ != 7)
        refuse("tensor " + quote_text(entry_.name) + " lacks one of dtype, shape, data_offsets");
      out_.tensors.push_back(std::move(entry_));
    }
    state_ = state_ == state::top ? state::done : state::top;
    return true;
  }

  bool start_array(std::size_t) {
    offsets_ = 0;
    if (state_ == state::shape_value) return state_ = state::shape, true;
    if (state_ == state::offsets_value) return state_ = state::offsets, true;
    return unexpected("an array");
  }

  bool end_array() {
    if (state_ == state::offsets && offsets_ != 2)
      refuse("data_offsets of " + quote_text(entry_.name) + " are not two numbers");
    state_ = state::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& problem) {
    refuse("is not valid JSON at byte " + std::to_string(position) + ": " + quote_text(problem.what()));
  }

 private:
  enum class state {
    start,
    top,
    metadata_value,
    metadata,
    tensor_value,
    tensor,
    dtype,
    shape_value,
    shape,
    offsets_value,
    offsets,
    done
  };

  [[noreturn]] void refuse(const std::string& what) const {
    throw error("safetensors: " + file_ + ": invalid header: " + what);
  }
  bool unexpected(const std::string& what) const {
    const std::string found = "found " + what + ", expected ";
    switch (state_) {
      case state::start: refuse(found + "an object");
      case state::metadata_value: refuse(found + "an object of strings for \"__metadata__\"");
      case state::metadata: refuse(found + "a string for the metadata key " + quote_text(key_));
      case state::tensor_value: refuse(found + "an object for tensor " + quote_text(entry_.name));
      case state::dtype: refuse(found + "the dtype's name for tensor " + quote_text(entry_.name));
      case state::shape_value:
      case state::shape: refuse(found + "an array of extents for the shape of " + quote_text(entry_.name));
      default: refuse(found + "two offsets for the data_offsets of " + quote_text(entry_.name));
    }
  }

  header& out_;
  const std::string& file_;
  state state_ = state::start;
  header_entry entry_;
  std::string key_;
  unsigned fields_ = 0;
  int offsets_ = 0;
  bool has_metadata_ = false;
};

}  // namespace detail

FLAME_FUNCTION header parse_header(std::string_view text, const std::string& file) {
  const auto refuse = [&](const char* what) {
    throw error("safetensors: " + file + ": invalid header: " + what);
  };
  if (!is_utf8(text)) refuse("not UTF-8");
  if (text.empty() || text.front() != '{') refuse("its first byte must be '{'");
  // nlohmann's lexer takes a zero byte for the end of its input, so that anything could follow one.
  if (text.find('\0') != text.npos) refuse("contains a zero byte");
  header out;
  detail::header_reader reader(out, file);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  std::vector<const std::string*> names;
  names.reserve(out.tensors.size());
  for (const header_entry& entry : out.tensors) names.push_back(&entry.name);
  std::sort(names.begin(), names.end(), [](const std::string* a, const std::string* b) { return *a < *b; });
  for (std::size_t i = 1; i < names.size(); ++i)
    if (*names[i - 1] == *names[i])
      throw error("safetensors: " + file + ": invalid header: the key " + quote_text(*names[i]) +
                  " occurs twice");
  return out;
}

}  // namespace flame::safetensors
