// How a tensor's text is laid out.
#pragma once
#include <flame/graph/names.hpp>
#include <flame/run/print_interface.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

namespace flame {

namespace printing {

// One element as a number: floating types and keys have their own.
struct element_value {
  double real = 0;
  i64 integer = 0;
};
[[nodiscard]] inline element_value element_at(const tensor_view& v, i64 offset) {
  auto as = [&]<class T>(T) { return static_cast<const T*>(v.data)[offset]; };
  switch (v.element) {
    case dtype::f32: return {static_cast<double>(as(f32{})), 0};
    case dtype::f64: return {as(f64{}), 0};
    case dtype::bf16: return {static_cast<double>(static_cast<float>(as(bf16{}))), 0};
    case dtype::f16: return {static_cast<double>(static_cast<float>(as(f16{}))), 0};
    case dtype::int32: return {0, as(i32{})};
    case dtype::int64: return {0, as(i64{})};
    case dtype::uint8: return {0, as(u8{})};
    case dtype::boolean: return {0, as(bool{})};
    case dtype::key: return {0, static_cast<i64>(as(key{}).bits)};
  }
  return {};
}

// How the elements shown are written: all as wide as the widest.
class element_format {
 public:
  element_format(dtype element, const std::vector<element_value>& shown, int precision)
      : element_(element), precision_(precision) {
    if (!is_floating(element)) {
      for (const element_value& x : shown) width_ = std::max(width_, plain(x).size());
      return;
    }
    double most = 0, least = 0;
    for (const element_value& x : shown)
      if (double a = std::abs(x.real); std::isfinite(a) && a != 0) {
        most = std::max(most, a);
        least = least == 0 ? a : std::min(least, a);
      }
    scientific_ = most >= 1e8 || (most > 0 && (least < 1e-4 || most / least > 1000));
    for (const element_value& x : shown) {
      if (!std::isfinite(x.real)) continue;
      const std::string s = digits(x.real);
      const std::size_t point = s.find('.'), end = std::min(s.find('e'), s.size());
      before_ = std::max(before_, point);
      after_ = std::max(after_, end - point - 1);
      exponent_ = std::max(exponent_, s.size() - end);
    }
    width_ = before_ + 1 + after_ + exponent_;
    for (const element_value& x : shown)
      if (!std::isfinite(x.real)) width_ = std::max(width_, plain(x).size());
  }

  [[nodiscard]] std::string operator()(const element_value& x) const {
    std::string s = plain(x);
    if (is_floating(element_) && std::isfinite(x.real)) {
      s = digits(x.real);
      const std::size_t end = std::min(s.find('e'), s.size()), missing = after_ - (end - s.find('.') - 1);
      s.insert(end, missing, scientific_ ? '0' : ' ');
    }
    return s.size() < width_ ? std::string(width_ - s.size(), ' ') + s : s;
  }

 private:
  [[nodiscard]] std::string plain(const element_value& x) const {
    if (element_ == dtype::boolean) return x.integer ? "true" : "false";
    if (is_floating(element_)) return std::isnan(x.real) ? "nan" : x.real > 0 ? "inf" : "-inf";
    char text[24];
    const bool key = element_ == dtype::key;
    auto end = key ? std::to_chars(text, text + sizeof text, static_cast<u64>(x.integer), 16)
                   : std::to_chars(text, text + sizeof text, x.integer);
    return (key ? "0x" : "") + std::string(text, end.ptr);
  }
  // Of the numbers that a half type rounds to x, the one with the fewest decimals.
  template <class Half> static double shortest(double x) {
    char text[32];
    double y = x;
    for (int precision = 0; precision < 6; ++precision) {
      auto end = std::to_chars(text, text + sizeof text, x, std::chars_format::scientific, precision);
      std::from_chars(text, end.ptr, y);
      if (Half(static_cast<float>(y)) == Half(static_cast<float>(x))) return y;
    }
    return x;
  }
  // The shortest decimals that mean x, cut to the precision: "1.", "0.25", "1.5e-07".
  [[nodiscard]] std::string digits(double x) const {
    if (element_ == dtype::bf16) x = shortest<bf16>(x);
    if (element_ == dtype::f16) x = shortest<f16>(x);
    const auto style = scientific_ ? std::chars_format::scientific : std::chars_format::fixed;
    char text[400];
    auto end = element_ != dtype::f32 ? std::to_chars(text, text + sizeof text, x, style)
                                      : std::to_chars(text, text + sizeof text, static_cast<float>(x), style);
    auto parts = [&] {
      std::string s(text, end.ptr);
      const std::size_t e = std::min(s.find('e'), s.size());
      return std::pair{s.substr(0, e), s.substr(e)};
    };
    auto [mantissa, exponent] = parts();
    if (std::size_t point = mantissa.find('.');
        point != std::string::npos && mantissa.size() - point - 1 > static_cast<std::size_t>(precision_)) {
      end = std::to_chars(text, text + sizeof text, x, style, precision_);
      std::tie(mantissa, exponent) = parts();
      while (mantissa.back() == '0') mantissa.pop_back();
    }
    if (mantissa.find('.') == std::string::npos) mantissa += '.';
    return mantissa + exponent;
  }

  dtype element_;
  int precision_;
  bool scientific_ = false;
  std::size_t before_ = 0, after_ = 0, exponent_ = 0, width_ = 0;
};

class layout {
 public:
  layout(const tensor_view& v, const print_options& o)
      : v_(v), o_(o), summary_(v.size() > o.threshold), format_(v.element, shown(), o.precision) {}

  [[nodiscard]] std::string text() const {
    return v_.rank == 0 ? trimmed(format_(element_at(v_, 0))) : axis(0, 0, "");
  }

 private:
  [[nodiscard]] bool cut(int k) const { return summary_ && v_.extents[k] > 2 * o_.edge; }
  // f(index, true for the place of the ellipsis)
  template <class F> void each(int k, F&& f) const {
    for (i64 i = 0; i < v_.extents[k]; ++i) {
      if (cut(k) && i == o_.edge) f(i, true), i = v_.extents[k] - o_.edge;
      f(i, false);
    }
  }
  [[nodiscard]] std::vector<element_value> shown() const {
    std::vector<element_value> all;
    auto collect = [&](auto& self, int k, i64 offset) -> void {
      if (k == v_.rank) return all.push_back(element_at(v_, offset));
      each(k, [&](i64 i, bool ellipsis) {
        if (!ellipsis) self(self, k + 1, offset + i * v_.strides[k]);
      });
    };
    if (v_.data) collect(collect, 0, 0);
    return all;
  }
  [[nodiscard]] std::string axis(int k, i64 offset, const std::string& indent) const {
    const std::string inside = indent + " ";
    std::string s = "[";
    if (k + 1 < v_.rank) {
      bool first = true;
      each(k, [&](i64 i, bool ellipsis) {
        if (!first) s += std::string(static_cast<std::size_t>(v_.rank - k - 1), '\n') + inside;
        first = false;
        s += ellipsis ? "..." : axis(k + 1, offset + i * v_.strides[k], inside);
      });
      return s + "]";
    }
    const int width = o_.line_width - k - 1;
    std::string line;
    each(k, [&](i64 i, bool ellipsis) {
      const std::string word = ellipsis ? "..." : format_(element_at(v_, offset + i * v_.strides[k]));
      if (!line.empty() && static_cast<int>(line.size() + 1 + word.size()) > width) {
        line.erase(line.find_last_not_of(' ') + 1);
        s += line + "\n" + inside;
        line.clear();
      }
      line += (line.empty() ? "" : " ") + word;
    });
    return s + line + "]";
  }
  // A number by itself: "3" for "3.", "1e-09" for "1.e-09".
  static std::string trimmed(std::string s) {
    if (std::size_t point = s.find('.'); point != s.npos && (point + 1 == s.size() || s[point + 1] == 'e'))
      s.erase(point, 1);
    return s;
  }

  tensor_view v_;
  print_options o_;
  bool summary_;
  element_format format_;
};

FLAME_FUNCTION std::string tensor_text(const tensor_view& v, const tensor_type& type,
                                       const print_options& options) {
  if (!v.data) return "a tensor without memory";
  std::string s = layout(v, options).text();
  if (v.rank == 0) return s;
  s += "\n" + std::string(name_of(v.element)) + "[";
  for (int i = 0; i < v.rank; ++i) {
    const axis_info* a = type.axes[i];
    s += (i ? ", " : "") + (a->from_last >= 0 ? "" : string_of(a) + " ") + std::to_string(v.extents[i]);
  }
  return s + "]";
}

}  // namespace printing

}  // namespace flame
