// Parameters chosen by path: patterns in which * stands for any text.
#pragma once
#include <flame/base/text.hpp>

namespace flame {

// "blocks.*.weight" matches "blocks.3.fc1.weight".
[[nodiscard]] constexpr bool matches(text pattern, text t) {
  int p = 0, i = 0, star = -1, mark = 0;
  while (i < t.size) {
    if (p < pattern.size && pattern[p] == '*') {
      star = p++, mark = i;
    } else if (p < pattern.size && pattern[p] == t[i]) {
      ++p, ++i;
    } else if (star >= 0) {
      p = star + 1, i = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size && pattern[p] == '*') ++p;
  return p == pattern.size;
}

namespace detail {

// The pattern as a path that counts no instances, "blocks.2.fc1" as "blocks.fc1": what a stack of blocks is
// to the compiler, which knows the stack and not how many there are.
template <fixed_string Pattern> struct uncounted {
  struct storage {
    char chars[static_cast<unsigned>(length(Pattern)) + 1] = {};
    int size = 0;
  };
  static constexpr storage strip() {
    storage s;
    const int n = length(Pattern);
    for (int begin = 0; begin <= n;) {
      int end = begin;
      bool number = true;
      for (; end < n && Pattern.chars[end] != '.'; ++end)
        number = number && Pattern.chars[end] >= '0' && Pattern.chars[end] <= '9';
      if (!number || end == begin) {
        if (s.size > 0) s.chars[s.size++] = '.';
        for (int i = begin; i < end; ++i) s.chars[s.size++] = Pattern.chars[i];
      }
      begin = end + 1;
    }
    return s;
  }
  static constexpr storage data = strip();
  static constexpr text value{data.chars, data.size};
};

}  // namespace detail

// The parameters to train, save or show: trainable<"fc2.*">, trainable<"*.lora_A", "*.lora_B">,
// trainable<"blocks.3.*">.
template <fixed_string... Patterns> struct trainable {
  static constexpr int count = sizeof...(Patterns);
  static constexpr text patterns[sizeof...(Patterns) + 1] = {text(Patterns.chars, length(Patterns))...,
                                                             text()};
  // path: with the numbers of instances. leaf: without.
  static constexpr bool has([[maybe_unused]] text path, [[maybe_unused]] text leaf) {
    return ((matches(text(Patterns.chars, length(Patterns)), path) ||
             matches(text(Patterns.chars, length(Patterns)), leaf)) ||
            ...);
  }
  // Whether any instance may be chosen: decides what gradients exist.
  static constexpr bool may_have([[maybe_unused]] text leaf) {
    return ((matches(text(Patterns.chars, length(Patterns)), leaf) ||
             matches(detail::uncounted<Patterns>::value, leaf)) ||
            ...);
  }
};
using all_parameters = trainable<"*">;

// The members that can be adapted (LoRA), by their path inside the block that holds them: all instances of a
// block are one function. Which are adapted is said at run time (struct lora).
template <fixed_string... Patterns> struct adapters {
  static constexpr int count = sizeof...(Patterns);
  static constexpr text patterns[sizeof...(Patterns) + 1] = {text(Patterns.chars, length(Patterns))...,
                                                             text()};
  static constexpr bool has([[maybe_unused]] text path) {
    return (matches(text(Patterns.chars, length(Patterns)), path) || ...);
  }
};
using no_adapters = adapters<>;
using all_adapters = trainable<"*.lora_*">;

}  // namespace flame
