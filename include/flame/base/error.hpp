// The one exception that FLAME throws: its text names the operation, the argument and what was expected.
//
// Not a std::runtime_error: <string> is half of what the language's header costs a compiler.
#pragma once
#include <exception>
#include <initializer_list>

namespace flame {

// Copies share their text, as those of the standard's exceptions do.
struct error : std::exception {
  // The text in up to three parts.
  explicit error(const char* first, const char* second = "", const char* third = "") {
    unsigned long size = 1;
    for (const char* part : {first, second, third})
      while (*part++) ++size;
    text_ = new shared_text{1, new char[size]};
    char* to = text_->chars;
    for (const char* part : {first, second, third})
      while (*part) *to++ = *part++;
    *to = 0;
  }
  template <class String>
    requires requires(const String& s) { s.c_str(); }
  explicit error(const String& what) : error(what.c_str()) {}

  error(const error& other) noexcept : std::exception(other), text_(other.text_) {
    __atomic_add_fetch(&text_->owners, 1, __ATOMIC_RELAXED);
  }
  error& operator=(const error& other) noexcept {
    error copy(other);
    shared_text* t = text_;
    text_ = copy.text_, copy.text_ = t;
    return *this;
  }
  ~error() override {
    if (__atomic_sub_fetch(&text_->owners, 1, __ATOMIC_ACQ_REL) > 0) return;
    delete[] text_->chars;
    delete text_;
  }
  [[nodiscard]] const char* what() const noexcept override { return text_->chars; }

 private:
  struct shared_text {
    int owners;
    char* chars;
  };
  shared_text* text_;
};

}  // namespace flame
