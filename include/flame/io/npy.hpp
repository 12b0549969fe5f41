// NumPy's .npy files, versions 1 to 3.
#pragma once
#include <flame/io/atomic_file.hpp>
#include <flame/type/dtype.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace flame {

struct npy_array {
  flame::dtype dtype = flame::dtype::f32;
  std::vector<i64> shape;       // empty: a scalar of one element
  std::vector<std::byte> data;  // row-major, this machine's byte order
};

namespace detail {

static_assert(std::endian::native == std::endian::little,
              "FLAME's file formats assume a little-endian machine");

// The product of extents and element size in bytes; throws "<name>: ..." where it overflows or an extent is
// negative.
[[nodiscard]] inline u64 checked_bytes(std::span<const i64> shape, u64 element, const std::string& name) {
  u64 bytes = element;
  for (i64 extent : shape) {
    if (extent < 0) throw error(name + ": extent " + std::to_string(extent) + " is negative");
    if (__builtin_mul_overflow(bytes, static_cast<u64>(extent), &bytes))
      throw error(name + ": the product of its extents overflows");
  }
  return bytes;
}

// The header of a .npy file: a Python dictionary literal with the keys descr, fortran_order and shape.
class npy_header {
 public:
  std::string descr;
  bool fortran_order = false;
  std::vector<i64> shape;

  npy_header(std::string_view text, const std::string& name) : text_(text), name_(name) {
    expect('{');
    unsigned seen = 0;
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      const unsigned bit = key == "descr" ? 1u : key == "fortran_order" ? 2u : key == "shape" ? 4u : 0u;
      if (bit == 0) refuse("has the unknown key " + quote_text(key));
      if (seen & bit) refuse("has the key " + quote_text(key) + " twice");
      seen |= bit;
      if (bit == 1u) descr = string();
      if (bit == 2u) fortran_order = boolean();
      if (bit == 4u) shape = tuple();
      if (!accept(',') && !peek('}')) refuse("lacks a comma or a brace");
    }
    if (seen != 7u) refuse("must have the keys descr, fortran_order and shape");
    skip();
    if (at_ != text_.size()) refuse("does not end after its dictionary");
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { throw error(name_ + ": the header " + what); }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool peek(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool accept(char c) { return peek(c) && ++at_; }
  void expect(char c) {
    if (!accept(c)) refuse(std::string("lacks '") + c + "' at byte " + std::to_string(at_));
  }
  std::string string() {
    if (peek('[')) refuse("describes a structured type; only plain element types are read");
    if (!peek('\'') && !peek('"')) refuse("lacks a string at byte " + std::to_string(at_));
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == text_.npos) refuse("has a string without end");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip();
    for (bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) return at_ += word.size(), value;
    }
    refuse("has a fortran_order that is neither True nor False");
  }
  std::vector<i64> tuple() {
    std::vector<i64> values;
    expect('(');
    while (!accept(')')) {
      skip();
      i64 value = 0;
      const std::size_t begin = at_;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
        if (__builtin_mul_overflow(value, i64{10}, &value) ||
            __builtin_add_overflow(value, i64{text_[at_] - '0'}, &value))
          refuse("has an extent that does not fit 64 bits");
      if (at_ == begin) refuse("has a shape that is not a tuple of non-negative integers");
      values.push_back(value);
      const bool comma = accept(',');
      if (!comma && (!peek(')') || values.size() == 1)) refuse("has a shape that is not a tuple");
    }
    return values;
  }

  std::string_view text_;
  std::string name_;
  std::size_t at_ = 0;
};

// NumPy's name of an element type without its byte order.
[[nodiscard]] inline const char* npy_name(dtype type) {
  switch (type) {
    case dtype::f32: return "f4";
    case dtype::f64: return "f8";
    case dtype::f16: return "f2";
    case dtype::int32: return "i4";
    case dtype::int64: return "i8";
    case dtype::uint8: return "u1";
    case dtype::boolean: return "b1";
    case dtype::bf16: throw error("write_npy: bf16 has no NumPy element type; convert to f32 first");
    case dtype::key: break;
  }
  throw error(std::string("write_npy: ") + name_of(type) + " has no NumPy element type");
}

// Column-major elements of `size` bytes to row-major.
[[nodiscard]] inline std::vector<std::byte> transposed(std::span<const std::byte> data,
                                                       std::span<const i64> shape, std::size_t size) {
  std::vector<std::byte> out(data.size());
  std::vector<i64> index(shape.size(), 0);
  for (std::size_t to = 0; to < out.size(); to += size) {
    std::size_t from = 0;
    for (std::size_t axis = shape.size(); axis-- > 0;)
      from = from * static_cast<std::size_t>(shape[axis]) + static_cast<std::size_t>(index[axis]);
    std::memcpy(out.data() + to, data.data() + from * size, size);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace detail

// Parses a .npy file's content. Element types f2 f4 f8 i4 i8 u1 b1; big-endian and column-major data are
// converted. Throws flame::error, which begins with `name`: not .npy, another version or element type, a
// length that is not what the header says, a bool that is neither 0 nor 1.
[[nodiscard]] inline npy_array parse_npy(std::span<const std::byte> bytes,
                                         const std::string& name = "parse_npy") {
  const auto at = [&](std::size_t i) { return static_cast<u64>(bytes[i]); };
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0)
    throw error(name + ": not a .npy file");
  const u64 version = at(6);
  if (version < 1 || version > 3 || at(7) != 0)
    throw error(name + ": version " + std::to_string(version) + "." + std::to_string(at(7)) +
                " is not known");
  const std::size_t begin = version == 1 ? 10 : 12;
  if (bytes.size() < begin) throw error(name + ": cut short in the header");
  const u64 length = at(8) | at(9) << 8 | (version == 1 ? 0 : at(10) << 16 | at(11) << 24);
  if (length > bytes.size() - begin) throw error(name + ": cut short in the header");
  const detail::npy_header header(
      {reinterpret_cast<const char*>(bytes.data()) + begin, static_cast<std::size_t>(length)}, name);

  npy_array array;
  const std::string& descr = header.descr;
  bool known = descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
  if (known) {
    known = false;
    for (dtype type :
         {dtype::f32, dtype::f64, dtype::f16, dtype::int32, dtype::int64, dtype::uint8, dtype::boolean})
      if (descr.substr(1) == detail::npy_name(type)) array.dtype = type, known = true;
  }
  if (!known)
    throw error(name + ": element type " + quote_text(descr) + " is not one of f2 f4 f8 i4 i8 u1 b1");
  const auto size = static_cast<std::size_t>(size_of(array.dtype));
  if (descr[0] == '|' && size != 1)
    throw error(name + ": element type " + quote_text(descr) + " lacks a byte order");
  array.shape = header.shape;
  const std::span<const std::byte> data = bytes.subspan(begin + static_cast<std::size_t>(length));
  const u64 expected = detail::checked_bytes(array.shape, size, name);
  if (data.size() != expected)
    throw error(name + (data.size() < expected ? ": cut short: " : ": too long: ") + "the header promises " +
                std::to_string(expected) + " bytes of data, the file has " + std::to_string(data.size()));
  if (header.fortran_order && array.shape.size() > 1)
    array.data = detail::transposed(data, array.shape, size);
  else
    array.data.assign(data.begin(), data.end());
  if (descr[0] == '>' && size > 1)
    for (auto element = array.data.begin(); element != array.data.end();
         element += static_cast<std::ptrdiff_t>(size))
      std::reverse(element, element + static_cast<std::ptrdiff_t>(size));
  if (array.dtype == dtype::boolean)
    for (std::byte value : array.data)
      if (value > std::byte{1}) throw error(name + ": a bool is neither 0 nor 1");
  return array;
}

[[nodiscard]] inline npy_array read_npy(const std::string& path) {
  return parse_npy(read_file(path), "read_npy: " + path);
}

// The header of a row-major, little-endian .npy file: version 1, or 2 where the shape needs more than 65,535
// bytes.
[[nodiscard]] inline std::string npy_preamble(dtype type, std::span<const i64> shape) {
  std::string text = std::string("{'descr': '") + (size_of(type) == 1 ? '|' : '<') + detail::npy_name(type) +
                     "', 'fortran_order': False, 'shape': (";
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    text += std::to_string(shape[axis]) + (axis + 1 < shape.size() ? ", " : shape.size() == 1 ? "," : "");
  text += "), }";
  const bool large = text.size() + 64 > 65535;
  const std::size_t begin = large ? 12 : 10;
  text.append(63 - (begin + text.size()) % 64, ' ');  // with the line's end a multiple of 64
  text += '\n';
  std::string out = "\x93NUMPY";
  out += {large ? '\2' : '\1', '\0'};
  for (std::size_t i = 0; i < begin - 8; ++i) out += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return out + text;
}

// Writes a row-major array, atomically. Throws flame::error for a dtype that NumPy lacks (bf16, key), data
// whose length is not that of the shape, and every failure of atomic_writer.
inline void write_npy(const std::string& path, dtype type, std::span<const i64> shape,
                      std::span<const std::byte> data) {
  const std::string preamble = npy_preamble(type, shape);
  const u64 expected = detail::checked_bytes(shape, static_cast<u64>(size_of(type)), "write_npy: " + path);
  if (data.size() != expected)
    throw error("write_npy: " + path + ": the shape needs " + std::to_string(expected) +
                " bytes of data, given are " + std::to_string(data.size()));
  write_atomically(path, {std::as_bytes(std::span(preamble)), data});
}

}  // namespace flame
