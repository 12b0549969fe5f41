// One element at a time: conversions between element types, numbers as literals.
#pragma once
#include <flame/type/dtype.hpp>

#include <concepts>
#include <limits>
#include <type_traits>

namespace flame {

template <class T> inline constexpr bool is_half = std::is_same_v<T, bf16> || std::is_same_v<T, f16>;

// x as To, as the language's cast has it: rounded to nearest, half types by way of f32; to integers towards
// zero, the nearest end of the range where x lies outside, 0 for NaN; between integers modulo 2^bits; to
// bool, is it not 0.
template <element To, class From> [[nodiscard]] constexpr To element_cast(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (is_half<From>) {
    return element_cast<To>(static_cast<float>(x));
  } else if constexpr (is_half<To>) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using limits = std::numeric_limits<To>;
    if (x != x) return 0;
    if (x <= static_cast<From>(limits::min())) return limits::min();
    if (x >= static_cast<From>(limits::max())) return limits::max();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

// What a literal of an element may be written as: {1, 2.5} is an f32 tensor's, {1.5} no i32 tensor's.
template <element Element> struct literal {
  Element value;

  template <class T>
  requires std::same_as<T, Element> ||
      (std::is_arithmetic_v<T> && !std::is_same_v<Element, key> && !std::is_same_v<Element, bool> &&
       !std::is_same_v<T, bool> &&
       (is_floating(dtype_of<Element>)
            ? sizeof(T) <= 4 || std::is_floating_point_v<T>
            : std::is_integral_v<T> && sizeof(T) <= sizeof(i64))) constexpr literal(T number)
      : value(element_cast<Element>(number)) {}
};

}  // namespace flame
