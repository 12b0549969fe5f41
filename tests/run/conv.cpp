// Convolutions and their gradients against naive sums in f64, over geometries, layouts of work and numbers of
// threads.
//
// labels: threads
#include <doctest/doctest.h>

#include <cmath>
#include <flame/run/host/conv.hpp>
#include <random>
#include <vector>

#include "library.hpp"

namespace {

using namespace flame;
using namespace flame::library_tests;
using host_kernels::convolution;

void fit(convolution& c) {
  c.out_height = (c.height + 2 * c.pad_h - c.dilation_h * (c.kernel_h - 1) - 1) / c.stride_h + 1;
  c.out_width = (c.width + 2 * c.pad_w - c.dilation_w * (c.kernel_w - 1) - 1) / c.stride_w + 1;
}
bool fits(const convolution& c) {
  return c.height + 2 * c.pad_h > c.dilation_h * (c.kernel_h - 1) &&
         c.width + 2 * c.pad_w > c.dilation_w * (c.kernel_w - 1);
}

// f(offset in x, in w, in y) for each term.
template <class F> void each_term(const convolution& c, F f) {
  const i64 part = c.in / c.groups;
  for (i64 n = 0; n < c.batch; ++n)
    for (i64 i = 0; i < c.out_height; ++i)
      for (i64 j = 0; j < c.out_width; ++j)
        for (i64 s = 0; s < c.kernel_h; ++s)
          for (i64 t = 0; t < c.kernel_w; ++t) {
            const i64 h = i * c.stride_h + s * c.dilation_h - c.pad_h,
                      w = j * c.stride_w + t * c.dilation_w - c.pad_w;
            if (h < 0 || h >= c.height || w < 0 || w >= c.width) continue;
            for (i64 o = 0; o < c.out; ++o)
              for (i64 k = 0; k < part; ++k)
                f(static_cast<std::size_t>(((n * c.height + h) * c.width + w) * c.in +
                                           o / (c.out / c.groups) * part + k),
                  static_cast<std::size_t>(((o * c.kernel_h + s) * c.kernel_w + t) * part + k),
                  static_cast<std::size_t>(((n * c.out_height + i) * c.out_width + j) * c.out + o));
          }
}

// What sums should be, and the sums of their terms' magnitudes.
struct expected {
  std::vector<double> sum, size;
  explicit expected(std::size_t n) : sum(n), size(n) {}
  void add(std::size_t i, double term) { sum[i] += term, size[i] += std::abs(term); }
  template <class E> bool met(const std::vector<E>& x) const {
    const double compute = std::is_same_v<E, double> ? 0x1p-53 : 0x1p-24;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (!(std::abs(wide(x[i]) - sum[i]) <= 1.01 * rounding<E> * std::abs(sum[i]) + 64 * compute * size[i]))
        return false;
    return true;
  }
};

template <class E> void check(convolution c, unsigned seed = 1) {
  INFO("images ", c.batch, " ", c.height, " ", c.width, " ", c.in, " to ", c.out, ", kernel ", c.kernel_h,
       " ", c.kernel_w, ", stride ", c.stride_h, " ", c.stride_w, ", padding ", c.pad_h, " ", c.pad_w,
       ", dilation ", c.dilation_h, " ", c.dilation_w, ", groups ", c.groups);
  c.element = dtype_of<E>;
  std::mt19937 random(seed);
  const auto x = numbers<E>(c.batch * c.height * c.width * c.in, random);
  const auto w = numbers<E>(c.out * c.kernel_h * c.kernel_w * (c.in / c.groups), random);
  const auto dy = numbers<E>(c.batch * c.out_height * c.out_width * c.out, random);
  auto y =
      numbers<E>(c.batch * c.out_height * c.out_width * c.out, random);  // all of it is to be overwritten
  auto dx = x, dw = w;
  CHECK(same_bits(y, [&] { host_kernels::conv(c, x.data(), w.data(), y.data()); }));
  CHECK(same_bits(dx, [&] { host_kernels::conv_data(c, dy.data(), w.data(), dx.data()); }));
  CHECK(same_bits(dw, [&] { host_kernels::conv_weight(c, x.data(), dy.data(), dw.data()); }));
  expected of_y(y.size()), of_x(x.size()), of_w(w.size());
  each_term(c, [&](std::size_t i, std::size_t k, std::size_t o) {
    of_y.add(o, wide(x[i]) * wide(w[k]));
    of_x.add(i, wide(dy[o]) * wide(w[k]));
    of_w.add(k, wide(dy[o]) * wide(x[i]));
  });
  CHECK(of_y.met(y));
  CHECK(of_x.met(dx));
  CHECK(of_w.met(dw));
}

template <class E> void random_convolutions(unsigned seed, int count) {
  std::mt19937 random(seed);
  auto pick = [&](int low, int high) {
    return low + static_cast<i64>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int done = 0; done < count;) {
    convolution c;
    c.batch = pick(1, 3), c.height = pick(1, 12), c.width = pick(1, 12), c.groups = pick(1, 3);
    c.in = c.groups * pick(1, 9), c.out = c.groups * pick(1, 20);
    c.kernel_h = pick(1, 4), c.kernel_w = pick(1, 4), c.stride_h = pick(1, 3), c.stride_w = pick(1, 3);
    c.pad_h = pick(0, 3), c.pad_w = pick(0, 3), c.dilation_h = pick(1, 3), c.dilation_w = pick(1, 3);
    if (!fits(c)) continue;
    fit(c);
    check<E>(c, static_cast<unsigned>(++done));
  }
}

convolution square(i64 batch, i64 side, i64 in, i64 out, i64 kernel, i64 stride, i64 pad, i64 groups = 1) {
  convolution c;
  c.batch = batch, c.height = c.width = side, c.in = in, c.out = out, c.groups = groups;
  c.kernel_h = c.kernel_w = kernel, c.stride_h = c.stride_w = stride, c.pad_h = c.pad_w = pad;
  fit(c);
  return c;
}

}  // namespace

TEST_CASE("random geometries, f32") { random_convolutions<float>(1, 150); }
TEST_CASE("random geometries, f64") { random_convolutions<double>(2, 100); }
TEST_CASE("random geometries, bf16") { random_convolutions<bf16>(3, 100); }
TEST_CASE("random geometries, f16") { random_convolutions<f16>(4, 100); }

TEST_CASE("geometries of networks") {
  check<float>(square(20, 28, 1, 16, 3, 1, 1));
  check<float>(square(20, 14, 16, 32, 3, 1, 1));
  check<float>(square(1, 50, 20, 30, 3, 1, 1));      // an image in several parts
  check<float>(square(2, 9, 130, 70, 3, 2, 1));      // more taps than are summed at a time
  check<float>(square(3, 12, 33, 65, 1, 1, 0));      // a product
  check<float>(square(2, 8, 33, 65, 1, 2, 0));       // pixels that nothing reads
  check<float>(square(2, 16, 3, 96, 4, 4, 0));       // patches
  check<bf16>(square(1, 30, 20, 40, 3, 1, 1));
  check<double>(square(1, 30, 20, 40, 5, 2, 2));
}

TEST_CASE("every channel for itself") {
  check<float>(square(2, 10, 40, 40, 3, 1, 1, 40));
  check<float>(square(3, 64, 5, 5, 3, 1, 1, 5));     // an image in several parts
  check<float>(square(20, 9, 33, 33, 7, 1, 3, 33));  // taps of every number of registers, images added up
  check<float>(square(2, 11, 17, 17, 3, 2, 1, 17));  // in phases
  check<float>(square(2, 8, 16, 16, 2, 3, 0, 16));   // pixels that nothing reads
  check<double>(square(2, 9, 24, 24, 5, 1, 2, 24));
  check<bf16>(square(2, 9, 24, 24, 5, 2, 2, 24));
  check<f16>(square(2, 9, 24, 24, 3, 1, 0, 24));
  check<float>(square(0, 9, 24, 24, 3, 1, 0, 24));
  convolution c = square(2, 12, 6, 6, 3, 1, 2, 6);
  c.dilation_h = 2, c.dilation_w = 3, c.pad_w = 1;
  fit(c);
  check<float>(c);
  c.out = 12;  // two results of each channel
  check<float>(c);
}

TEST_CASE("nothing in, zeros out") {
  for (int what = 0; what < 4; ++what) {
    convolution c = square(what == 0 ? 0 : 2, 5, what == 1 ? 0 : 4, what == 2 ? 0 : 6, 3, 1, 1);
    if (what == 3) c.out_height = 0;
    check<float>(c);
    check<bf16>(c);
  }
}

TEST_CASE("NaN stays in the windows that see it") {
  convolution c = square(1, 5, 1, 1, 3, 1, 1);
  float x[25] = {}, w[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0}, y[25];
  x[0] = std::nanf("");
  host_kernels::conv(c, x, w, y);
  for (int i = 0; i < 25; ++i) CHECK(std::isnan(y[i]) == (i == 0 || i == 1 || i == 5 || i == 6));
}

TEST_CASE("what is no convolution is refused") {
  convolution c = square(1, 4, 3, 4, 3, 1, 1, 2);
  CHECK_THROWS_WITH_AS(host_kernels::conv(c, nullptr, nullptr, nullptr),
                       "conv: groups must divide the channels, strides and dilations be at least 1", error);
  c = square(1, 4, 4, 4, 3, 1, 1);
  c.element = dtype::boolean;
  CHECK_THROWS_WITH_AS(host_kernels::conv_data(c, nullptr, nullptr, nullptr),
                       "conv_data: the operands are bool, expected f32, f64, bf16 or f16", error);
}
