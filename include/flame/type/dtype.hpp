// Element types: the enumeration that graphs carry, and the storage types bf16 and f16.
#pragma once
#include <flame/base/config.hpp>

namespace flame {

// Order is part of the format of words: append only.
enum class dtype : u8 { f32, f64, bf16, f16, int32, int64, uint8, boolean, key };

// Storage types. They convert and nothing else: arithmetic on half types is done in f32.
struct bf16 {
  u16 bits = 0;

  bf16() = default;
  // Round to nearest, ties to even; NaN stays NaN.
  constexpr explicit bf16(float value) {
    u32 b = __builtin_bit_cast(u32, value);
    if ((b & 0x7fffffffu) > 0x7f800000u)
      bits = static_cast<u16>((b >> 16) | 0x40u);
    else
      bits = static_cast<u16>((b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
  }
  constexpr explicit operator float() const { return __builtin_bit_cast(float, static_cast<u32>(bits) << 16); }
  friend constexpr bool operator==(bf16, bf16) = default;  // of the bits
};

struct f16 {
  u16 bits = 0;

  f16() = default;
  // Round to nearest, ties to even; overflow gives infinity, subnormals are kept.
  constexpr explicit f16(float value) {
    u32 b = __builtin_bit_cast(u32, value);
    u32 sign = (b >> 16) & 0x8000u, magnitude = b & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
      bits = static_cast<u16>(sign | 0x7e00u);
    } else if (magnitude >= 0x477ff000u) {  // rounds to at least 65520
      bits = static_cast<u16>(sign | 0x7c00u);
    } else if (magnitude >= 0x38800000u) {
      u32 r = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
      bits = static_cast<u16>(sign | ((r - 0x38000000u) >> 13));
    } else if (magnitude < 0x33000000u) {
      bits = static_cast<u16>(sign);
    } else {
      u32 exponent = magnitude >> 23, mantissa = (magnitude & 0x7fffffu) | 0x800000u;
      u32 shift = 126u - exponent, half = 1u << (shift - 1), q = mantissa >> shift;
      u32 rest = mantissa & ((1u << shift) - 1u);
      if (rest > half || (rest == half && (q & 1u))) ++q;
      bits = static_cast<u16>(sign | q);
    }
  }
  constexpr explicit operator float() const {
    u32 sign = static_cast<u32>(bits & 0x8000u) << 16, e = (bits >> 10) & 0x1fu, m = bits & 0x3ffu;
    if (e == 31) return __builtin_bit_cast(float, sign | 0x7f800000u | (m << 13));
    if (e != 0) return __builtin_bit_cast(float, sign | ((e + 112u) << 23) | (m << 13));
    float f = static_cast<float>(m) * 0x1p-24f;
    return sign ? -f : f;
  }
  friend constexpr bool operator==(f16, f16) = default;
};

using f32 = float;
using f64 = double;

// Key of a counter-based generator, an ordinary scalar operand: see graph/op.hpp, random.
struct key {
  u64 bits = 0;
  constexpr key() = default;
  constexpr explicit key(u64 seed) : bits(seed) {}
  friend constexpr bool operator==(key, key) = default;
};

template <class T> inline constexpr int dtype_index = -1;
template <> inline constexpr int dtype_index<float> = int(dtype::f32);
template <> inline constexpr int dtype_index<double> = int(dtype::f64);
template <> inline constexpr int dtype_index<bf16> = int(dtype::bf16);
template <> inline constexpr int dtype_index<f16> = int(dtype::f16);
template <> inline constexpr int dtype_index<i32> = int(dtype::int32);
template <> inline constexpr int dtype_index<i64> = int(dtype::int64);
template <> inline constexpr int dtype_index<u8> = int(dtype::uint8);
template <> inline constexpr int dtype_index<bool> = int(dtype::boolean);
template <> inline constexpr int dtype_index<key> = int(dtype::key);

template <class T>
concept element = (dtype_index<T> >= 0);

template <element T> inline constexpr dtype dtype_of = static_cast<dtype>(dtype_index<T>);

[[nodiscard]] constexpr int size_of(dtype d) {
  switch (d) {
    case dtype::f64: case dtype::int64: case dtype::key: return 8;
    case dtype::f32: case dtype::int32: return 4;
    case dtype::bf16: case dtype::f16: return 2;
    case dtype::uint8: case dtype::boolean: return 1;
  }
  return 0;
}

[[nodiscard]] constexpr const char* name_of(dtype d) {
  switch (d) {
    case dtype::f32: return "f32";
    case dtype::f64: return "f64";
    case dtype::bf16: return "bf16";
    case dtype::f16: return "f16";
    case dtype::int32: return "i32";
    case dtype::int64: return "i64";
    case dtype::uint8: return "u8";
    case dtype::boolean: return "bool";
    case dtype::key: return "key";
  }
  return "?";
}

[[nodiscard]] constexpr bool is_floating(dtype d) {
  return d == dtype::f32 || d == dtype::f64 || d == dtype::bf16 || d == dtype::f16;
}
[[nodiscard]] constexpr bool has_16_bits(dtype d) { return d == dtype::bf16 || d == dtype::f16; }
[[nodiscard]] constexpr bool is_integer(dtype d) { return d == dtype::int32 || d == dtype::int64 || d == dtype::uint8; }

}  // namespace flame
