// Pooling against naive windows: every geometry, NaN and infinities, ties, numbers of threads.
//
// labels: threads
#include <doctest/doctest.h>

#include <cmath>
#include <flame/run/host/pool.hpp>
#include <random>
#include <vector>

#include "library.hpp"

namespace {

using namespace flame;
using namespace flame::library_tests;
using host_kernels::pooling;

// f(offsets of a window's pixels in the large image, offset in the small one), row by row, the padding left
// out.
template <class F> void each_window(const pooling& p, F f) {
  std::vector<std::size_t> window;
  for (i64 n = 0; n < p.batch; ++n)
    for (i64 i = 0; i < p.out_height; ++i)
      for (i64 j = 0; j < p.out_width; ++j)
        for (i64 c = 0; c < p.channels; ++c) {
          window.clear();
          for (i64 s = 0; s < p.kernel_h; ++s)
            for (i64 t = 0; t < p.kernel_w; ++t) {
              const i64 h = i * p.stride_h + s - p.pad_h, w = j * p.stride_w + t - p.pad_w;
              if (h >= 0 && h < p.height && w >= 0 && w < p.width)
                window.push_back(
                    static_cast<std::size_t>(((n * p.height + h) * p.width + w) * p.channels + c));
            }
          f(window, static_cast<std::size_t>(((n * p.out_height + i) * p.out_width + j) * p.channels + c));
        }
}

template <class E> bool near(const std::vector<E>& x, const std::vector<double>& expected, double tolerance) {
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(std::abs(wide(x[i]) - expected[i]) <= tolerance * (1 + std::abs(expected[i])))) return false;
  return true;
}

template <class E> void check(pooling p, unsigned seed) {
  INFO("images ", p.batch, " ", p.height, " ", p.width, " ", p.channels, ", kernel ", p.kernel_h, " ",
       p.kernel_w, ", stride ", p.stride_h, " ", p.stride_w, ", padding ", p.pad_h, " ", p.pad_w);
  p.element = dtype_of<E>;
  std::mt19937 random(seed);
  const i64 large = p.batch * p.height * p.width * p.channels,
            small = p.batch * p.out_height * p.out_width * p.channels;
  auto x = numbers<E>(large, random);
  for (E& v : x) {  // ties, and what comparisons trip over
    v = static_cast<E>(static_cast<float>(random() % 5));
    if (random() % 30 == 0) v = static_cast<E>(NAN);
    if (random() % 10 == 0) v = static_cast<E>(-INFINITY);
  }
  const auto u = numbers<E>(large, random), dy = numbers<E>(small, random);
  auto taken = dy, mean = dy;
  auto put = u, mean_put = u;
  CHECK(same_bits(taken, [&] { host_kernels::pool_take(p, x.data(), u.data(), taken.data()); }));
  CHECK(same_bits(put, [&] { host_kernels::pool_put(p, x.data(), dy.data(), put.data()); }));
  CHECK(same_bits(mean, [&] { host_kernels::pool_mean(p, u.data(), mean.data()); }));
  CHECK(same_bits(mean_put, [&] { host_kernels::pool_mean_put(p, dy.data(), mean_put.data()); }));

  std::vector<double> of_taken(dy.size()), of_mean(dy.size()), of_put(u.size()), of_mean_put(u.size());
  const double cells = static_cast<double>(p.kernel_h * p.kernel_w);
  each_window(p, [&](const std::vector<std::size_t>& window, std::size_t at) {
    std::size_t best = window[0];
    for (std::size_t i : window) {
      if (std::isnan(wide(x[i])) || wide(x[i]) > wide(x[best])) best = i;
      of_mean[at] += wide(u[i]) / cells;
      of_mean_put[i] += wide(dy[at]) / cells;
    }
    of_taken[at] = wide(u[best]);
    of_put[best] += wide(dy[at]);
  });
  CHECK(near(taken, of_taken, 0));
  CHECK(near(put, of_put, 2 * rounding<E>));
  CHECK(near(mean, of_mean, 8 * rounding<E>));
  CHECK(near(mean_put, of_mean_put, 8 * rounding<E>));
}

template <class E> void random_poolings(unsigned seed, int count) {
  std::mt19937 random(seed);
  auto pick = [&](i64 low, i64 high) {
    return low + static_cast<i64>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int done = 0; done < count;) {
    pooling p;
    p.batch = pick(1, 20), p.height = pick(1, 9), p.width = pick(1, 9), p.channels = pick(1, 40);
    p.kernel_h = pick(1, 3), p.kernel_w = pick(1, 3), p.stride_h = pick(1, 3), p.stride_w = pick(1, 3);
    p.pad_h = pick(0, p.kernel_h / 2), p.pad_w = pick(0, p.kernel_w / 2);
    if (p.height + 2 * p.pad_h < p.kernel_h || p.width + 2 * p.pad_w < p.kernel_w) continue;
    p.out_height = (p.height + 2 * p.pad_h - p.kernel_h) / p.stride_h + 1;
    p.out_width = (p.width + 2 * p.pad_w - p.kernel_w) / p.stride_w + 1;
    if (host_kernels::algebra::has_empty_window(p)) continue;
    check<E>(p, static_cast<unsigned>(++done));
  }
}

pooling halves(i64 batch, i64 side, i64 channels) {
  pooling p;
  p.batch = batch, p.height = p.width = side, p.channels = channels, p.out_height = p.out_width = side / 2;
  p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2;
  return p;
}

}  // namespace

TEST_CASE("random geometries, f32") { random_poolings<float>(1, 150); }
TEST_CASE("random geometries, f64") { random_poolings<double>(2, 100); }
TEST_CASE("random geometries, bf16") { random_poolings<bf16>(3, 100); }
TEST_CASE("random geometries, f16") { random_poolings<f16>(4, 100); }

TEST_CASE("two by two, every pixel once or one row left over") {
  for (i64 side : {2, 7, 8, 28})
    for (i64 channels : {1, 3, 16, 17, 64}) {
      check<float>(halves(18, side, channels), 1);
      check<float>(halves(2, side, channels), 2);
    }
}

TEST_CASE("the first of equal maxima, NaN before all, and of these the last") {
  pooling p = halves(1, 2, 1);
  float x[4] = {1, 3, 3, 2}, u[4] = {10, 20, 30, 40}, y, dy = 5, dx[4];
  host_kernels::pool_take(p, x, u, &y);
  CHECK(y == 20);
  host_kernels::pool_put(p, x, &dy, dx);
  CHECK((dx[0] == 0 && dx[1] == 5 && dx[2] == 0 && dx[3] == 0));
  x[3] = std::nanf("");
  host_kernels::pool_take(p, x, u, &y);
  CHECK(y == 40);
  x[1] = std::nanf("");
  host_kernels::pool_take(p, x, u, &y);
  CHECK(y == 40);
  host_kernels::pool_put(p, x, &dy, dx);
  CHECK((dx[0] == 0 && dx[1] == 0 && dx[2] == 0 && dx[3] == 5));
}

TEST_CASE("no images, no channels") {
  pooling p = halves(0, 4, 3);
  host_kernels::pool_take(p, nullptr, nullptr, nullptr);
  p = halves(2, 4, 0);
  host_kernels::pool_put(p, nullptr, nullptr, nullptr);
  p = halves(1, 1, 1);  // an image smaller than the window: nothing but zeros comes back
  float dx = 1;
  host_kernels::pool_mean_put(p, nullptr, &dx);
  CHECK(dx == 0);
}

TEST_CASE("a window of padding alone has no maximum, and the mean of zeros") {
  pooling p;
  p.batch = p.height = p.width = p.channels = 1;
  p.out_height = 3, p.out_width = 1, p.pad_h = 1;
  float x = 4, y[3];
  CHECK_THROWS_WITH_AS(host_kernels::pool_take(p, &x, &x, y),
                       "pool_take: a window lies in the padding alone, expected one pixel of the image",
                       error);
  host_kernels::pool_mean(p, &x, y);
  CHECK((y[0] == 0 && y[1] == 4 && y[2] == 0));
}
