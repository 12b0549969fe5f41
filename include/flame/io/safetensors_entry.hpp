// safetensors, what a file holds: its element types and its entries.
#pragma once
#include <flame/io/file.hpp>
#include <flame/type/dtype.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace flame::safetensors {

// In the order of the reference (huggingface/safetensors, enum Dtype), which the order of tensors in a file
// follows.
enum class dtype : u8 {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  uint8,
  int8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  int16,
  uint16,
  f16,
  bf16,
  int32,
  uint32,
  f32,
  c64,
  f64,
  int64,
  uint64
};

struct dtype_row {
  std::string_view name;  // as the header spells it
  u64 bits;
};

inline constexpr dtype_row dtype_table[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
static_assert(std::size(dtype_table) == std::size_t(dtype::uint64) + 1);

[[nodiscard]] constexpr std::string_view name_of(dtype type) { return dtype_table[std::size_t(type)].name; }
[[nodiscard]] constexpr u64 bits_of(dtype type) { return dtype_table[std::size_t(type)].bits; }

[[nodiscard]] constexpr std::optional<dtype> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(dtype_table); ++i)
    if (dtype_table[i].name == name) return static_cast<dtype>(i);
  return std::nullopt;
}

// FLAME's element type of the same bytes; none where FLAME has none.
[[nodiscard]] constexpr std::optional<flame::dtype> to_flame(dtype type) {
  switch (type) {
    case dtype::f32: return flame::dtype::f32;
    case dtype::f64: return flame::dtype::f64;
    case dtype::bf16: return flame::dtype::bf16;
    case dtype::f16: return flame::dtype::f16;
    case dtype::int32: return flame::dtype::int32;
    case dtype::int64: return flame::dtype::int64;
    case dtype::uint8: return flame::dtype::uint8;
    case dtype::boolean: return flame::dtype::boolean;
    default: return std::nullopt;
  }
}

// Throws flame::error for a key, which is no data.
[[nodiscard]] constexpr dtype from_flame(flame::dtype type) {
  switch (type) {
    case flame::dtype::f32: return dtype::f32;
    case flame::dtype::f64: return dtype::f64;
    case flame::dtype::bf16: return dtype::bf16;
    case flame::dtype::f16: return dtype::f16;
    case flame::dtype::int32: return dtype::int32;
    case flame::dtype::int64: return dtype::int64;
    case flame::dtype::uint8: return dtype::uint8;
    case flame::dtype::boolean: return dtype::boolean;
    case flame::dtype::key: break;
  }
  throw error("safetensors: a random key cannot be stored");
}

// One tensor: where its bytes lie, row-major and little-endian. The bytes belong to someone else.
struct tensor_entry {
  std::string name;
  safetensors::dtype dtype = safetensors::dtype::f32;
  std::vector<i64> shape;  // empty: a scalar of one element
  const std::byte* data = nullptr;
  u64 bytes = 0;
};

using metadata_map = std::map<std::string, std::string>;

inline constexpr u64 header_limit = 100'000'000;

// UTF-8 of Unicode's table 3-7: no overlong form, no surrogate, nothing above U+10FFFF.
[[nodiscard]] inline bool is_utf8(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned first = at(i++);
    if (first < 0x80) continue;
    if (first < 0xc2 || first > 0xf4) return false;
    const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    const int following = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    for (int k = 0; k < following; ++k, ++i)
      if (i == text.size() || at(i) < (k == 0 ? low : 0x80u) || at(i) > (k == 0 ? high : 0xbfu)) return false;
  }
  return true;
}

// The bytes that a tensor of this shape takes. Throws flame::error, which begins with `name`, where the
// product of extents or bits overflows, an extent is negative or the bits are no whole number of bytes.
[[nodiscard]] inline u64 bytes_of(dtype type, std::span<const i64> shape, const std::string& name) {
  u64 bits = 1;
  for (i64 extent : shape) {
    if (extent < 0) throw error(name + ": extent " + std::to_string(extent) + " is negative");
    if (__builtin_mul_overflow(bits, static_cast<u64>(extent), &bits))
      throw error(name + ": the product of its extents overflows");
  }
  if (__builtin_mul_overflow(bits, bits_of(type), &bits)) throw error(name + ": its size in bits overflows");
  if (bits % 8 != 0) throw error(name + ": " + std::to_string(bits) + " bits are no whole number of bytes");
  return bits / 8;
}

}  // namespace flame::safetensors
