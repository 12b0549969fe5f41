// What tests of several floors need: the text of an error, and numbers that are equal to the bit.
#pragma once
#include <flame/base/error.hpp>

#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace flame::tests {

// The text of the error that f throws; empty where it throws none.
template <class F> std::string refusal(F&& f) {
  try {
    f();
  } catch (const error& e) {
    return e.what();
  }
  return "";
}

[[nodiscard]] inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

template <class A, class B> bool same_bits(std::span<A> a, std::span<B> b) {
  static_assert(std::is_same_v<std::remove_const_t<A>, std::remove_const_t<B>>);
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
template <class A, class B> bool same_bits(const A& a, const B& b) {
  return same_bits(std::span(a), std::span(b));
}

template <class Element> std::vector<std::remove_const_t<Element>> copy(std::span<Element> a) {
  return {a.begin(), a.end()};
}

}  // namespace flame::tests
