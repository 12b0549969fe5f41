// A directory of its own for each test case, removed at its end; and the words of the error that a call
// throws.
#pragma once
#include <flame/base/error.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct scratch {
  std::filesystem::path path;

  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "flame-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  [[nodiscard]] std::string operator/(std::string_view name) const { return (path / name).string(); }
  [[nodiscard]] std::size_t count() const {
    const std::filesystem::directory_iterator files(path);
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }
};

// What flame::error says, "" when nothing is thrown; anything else thrown fails the test.
template <class Call> [[nodiscard]] std::string refusal(Call&& call) {
  try {
    call();
  } catch (const flame::error& problem) {
    return problem.what();
  }
  return "";
}

[[nodiscard]] inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

// One assertion, out of line: the macros of doctest are dear to compile, the more under sanitizers.
inline void check_said(const char* file, int line, std::string_view words, const std::string& said) {
  CHECK(true);
  if (!has(said, words))
    ADD_FAIL_CHECK_AT(file, line, "said: \"" << said << "\", expected: \"" << std::string(words) << "\"");
}

#define CHECK_SAID(words, ...) check_said(__FILE__, __LINE__, words, __VA_ARGS__)
#define CHECK_REFUSED(words, ...) check_said(__FILE__, __LINE__, words, refusal([&] { (void)(__VA_ARGS__); }))

[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

[[nodiscard]] inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
