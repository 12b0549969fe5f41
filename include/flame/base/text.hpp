// Text in constant evaluation: views of static text, names of types, hashes, strings as template arguments.
#pragma once
#include <flame/base/config.hpp>

namespace flame {

// Mixes a value into a hash (the finalizer of SplitMix64, Steele et al. 2014).
[[nodiscard]] constexpr u64 mix(u64 hash, u64 value) {
  u64 z = hash + 0x9E3779B97F4A7C15ull + value * 0xD1B54A32D192ED03ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// A step of a hash over many values. Half as long as mix: g++ keeps every number that a constant evaluation meets.
[[nodiscard]] constexpr u64 combine(u64 hash, u64 value) {
  const u64 h = (hash ^ value) * 0x9E3779B97F4A7C15ull;
  return h ^ (h >> 32);
}

// A view of text with static storage.
struct text {
  const char* data = "";
  int size = 0;

  constexpr text() = default;
  constexpr text(const char* d, int n) : data(d), size(n) {}
  constexpr text(const char* d) : data(d) {
    while (d[size]) ++size;
  }
  constexpr char operator[](int i) const { return data[i]; }
  [[nodiscard]] constexpr text from(int i) const { return {data + i, size - i}; }
  [[nodiscard]] constexpr text first(int n) const { return {data, n}; }
  friend constexpr bool operator==(text a, text b) {
    if (a.size != b.size) return false;
    for (int i = 0; i < a.size; ++i)
      if (a.data[i] != b.data[i]) return false;
    return true;
  }
};

[[nodiscard]] constexpr u64 hash_of(text t, u64 seed = 0xCBF29CE484222325ull) {
  u64 h = seed;
  for (int i = 0; i < t.size; ++i) h = (h ^ static_cast<unsigned char>(t.data[i])) * 0x100000001B3ull;
  return h;
}

// A string literal as a template argument. Never an argument of a kernel: nvcc rejects class values with arrays.
template <int N>
struct fixed_string {
  char chars[static_cast<unsigned>(N)] = {};
  constexpr fixed_string() = default;
  constexpr fixed_string(const char (&literal_chars)[static_cast<unsigned>(N)]) {
    for (int i = 0; i < N; ++i) chars[i] = literal_chars[i];
  }
};
template <unsigned long N>
fixed_string(const char (&)[N]) -> fixed_string<static_cast<int>(N)>;

// nvcc sees a template argument of class type as a reference, so that decltype(S)::member does not compile.
template <int N>
constexpr int length(const fixed_string<N>&) {
  return N - 1;
}

template <class T>
constexpr text pretty_name() {
  return __PRETTY_FUNCTION__;
}

// The unqualified name of a tag type, spelled alike by g++, clang and nvcc: qualification, template arguments and
// the compilers' different words for anonymous namespaces are left out. A tag that needs more gives `id` itself.
template <class T>
[[nodiscard]] constexpr text type_name() {
  text whole = pretty_name<T>();
  int begin = 0;
  while (whole[begin] != '=') ++begin;
  begin += 2;
  int end = begin, depth = 0, start = begin, name_end = -1;  // name_end: where template arguments begin
  for (; end < whole.size; ++end) {
    char c = whole[end];
    if (c == '<' || c == '(' || c == '{') {
      if (depth == 0 && c == '<' && end > start) name_end = end;
      ++depth;
    } else if (c == '>' || c == ')' || c == '}') {
      --depth;
    } else if (depth == 0 && (c == ';' || c == ']')) {
      break;
    } else if (depth == 0 && (c == ':' || c == ' ')) {
      start = end + 1;
      name_end = -1;
    }
  }
  if (name_end >= 0) end = name_end;
  return {whole.data + start, end - start};
}

}  // namespace flame
