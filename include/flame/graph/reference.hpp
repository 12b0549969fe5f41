// What the reference evaluator does to one element, one term of a convolution and one window.
#pragma once
#include <flame/graph/value.hpp>

namespace flame::reference {

[[nodiscard]] inline double floating(op code, double x) {
  switch (code) {
    case op::neg: return -x;
    case op::abs: return std::fabs(x);
    case op::sign: return static_cast<double>(x > 0) - static_cast<double>(x < 0);
    case op::floor: return std::floor(x);
    case op::exp: return std::exp(x);
    case op::expm1: return std::expm1(x);
    case op::log: return std::log(x);
    case op::log1p: return std::log1p(x);
    case op::sqrt: return std::sqrt(x);
    case op::rsqrt: return 1 / std::sqrt(x);
    case op::reciprocal: return 1 / x;
    case op::sin: return std::sin(x);
    case op::cos: return std::cos(x);
    case op::tanh: return std::tanh(x);
    case op::sigmoid: return 1 / (1 + std::exp(-x));
    case op::erf: return std::erf(x);
    case op::is_finite: return std::isfinite(x);
    case op::is_nan: return std::isnan(x);
    case op::logical_not: return x == 0;
    default: return x;
  }
}

[[nodiscard]] inline double smaller(double a, double b) { return std::isnan(a) || a < b ? a : b; }
[[nodiscard]] inline double larger(double a, double b) { return std::isnan(a) || a > b ? a : b; }

[[nodiscard]] inline double floating(op code, double a, double b) {
  switch (code) {
    case op::add:
    case op::sum: return a + b;
    case op::sub: return a - b;
    case op::mul:
    case op::prod: return a * b;
    case op::div: return a / b;
    case op::pow: return std::pow(a, b);
    case op::minimum:
    case op::min: return smaller(a, b);
    case op::maximum:
    case op::max: return larger(a, b);
    case op::less: return a < b;
    case op::less_equal: return a <= b;
    case op::equal: return a == b;
    case op::not_equal: return a != b;
    case op::logical_and: return a != 0 && b != 0;
    case op::logical_or: return a != 0 || b != 0;
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

// Where doubles would not be exact, integers are used; comparisons are exact either way.
[[nodiscard]] inline double unary(op code, dtype element, double x) {
  if (is_integer(element) && (code == op::neg || (code == op::abs && x < 0)))
    return wrapped(u64{0} - static_cast<u64>(integer(x)), element);
  return floating(code, x);
}

[[nodiscard]] inline double binary(op code, dtype element, double a, double b) {
  if (is_integer(element)) {
    u64 x = static_cast<u64>(integer(a)), y = static_cast<u64>(integer(b));
    if (code == op::add || code == op::sum) return wrapped(x + y, element);
    if (code == op::sub) return wrapped(x - y, element);
    if (code == op::mul || code == op::prod) return wrapped(x * y, element);
  }
  return floating(code, a, b);
}

// body(offset in x, in y, in w) for each term x w of a convolution y: x [..., height, width, in], y [...,
// height, width, out], w [out, kernel height, kernel width, in / groups]. Terms in the padding are left out.
template <class Body>
void convolution_terms(const value& x, const value& y, const value& w, const u64* data, Body body) {
  auto last = [](const value& v, std::size_t from_last) { return v.shape[v.shape.size() - 1 - from_last]; };
  auto number = [&](int i) { return static_cast<i64>(data[i]); };
  i64 height = last(x, 2), width = last(x, 1), in = last(x, 0), out_height = last(y, 2),
      out_width = last(y, 1), out = last(y, 0), part = w.shape[3], batch = 1;
  for (std::size_t i = 0; i + 3 < x.shape.size(); ++i) batch *= x.shape[i];
  for (i64 b = 0; b < batch; ++b)
    for (i64 oh = 0; oh < out_height; ++oh)
      for (i64 ow = 0; ow < out_width; ++ow)
        for (i64 o = 0; o < out; ++o)
          for (i64 kh = 0; kh < w.shape[1]; ++kh)
            for (i64 kw = 0; kw < w.shape[2]; ++kw)
              for (i64 c = 0; c < part; ++c) {
                i64 h = oh * number(0) - number(2) + kh * number(4),
                    v = ow * number(1) - number(3) + kw * number(5);
                if (h < 0 || h >= height || v < 0 || v >= width) continue;
                i64 channel = o / (out / number(6)) * part + c;
                body(((b * height + h) * width + v) * in + channel,
                     ((b * out_height + oh) * out_width + ow) * out + o,
                     ((o * w.shape[1] + kh) * w.shape[2] + kw) * part + c);
              }
}

// body(offsets in x, offset in y) for each window: x [..., height, width, channel], y the pooled image.
// Offsets in the order of the window's rows; those in the padding are left out.
template <class Body> void pooling_windows(const value& x, const value& y, const u64* data, Body body) {
  auto last = [](const value& v, std::size_t from_last) { return v.shape[v.shape.size() - 1 - from_last]; };
  auto number = [&](int i) { return static_cast<i64>(data[i]); };
  i64 height = last(x, 2), width = last(x, 1), channels = last(x, 0), out_height = last(y, 2),
      out_width = last(y, 1);
  std::vector<i64> window;
  for (i64 i = 0; i < y.size(); ++i) {
    i64 c = i % channels, ow = i / channels % out_width, oh = i / channels / out_width % out_height,
        b = i / channels / out_width / out_height;
    window.clear();
    for (i64 kh = 0; kh < number(0); ++kh)
      for (i64 kw = 0; kw < number(1); ++kw) {
        i64 h = oh * number(2) - number(4) + kh, w = ow * number(3) - number(5) + kw;
        if (h < 0 || h >= height || w < 0 || w >= width) continue;
        window.push_back(((b * height + h) * width + w) * channels + c);
      }
    body(static_cast<const std::vector<i64>&>(window), i);
  }
}

// Which of two candidates for a maximum: NaN is the largest, the first wins.
[[nodiscard]] inline bool beats(double later, double best) {
  return !std::isnan(best) && (std::isnan(later) || later > best);
}

}  // namespace flame::reference
