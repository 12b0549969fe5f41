// Library operations on the host, all threads: the products of the diffusion step (as bench/peer/matmul.py
// has them), a cube, the convolutions and poolings of the digits' network and some larger ones. A JSON line
// each: milliseconds (the median and the least of many runs), GFLOP/s of the least, the same with one thread
// in its own processor time, which other work on the machine hardly changes, and beside products Eigen's with
// one thread. An argument picks the cases whose name contains it.
#define EIGEN_DONT_PARALLELIZE
#if __has_include(<Eigen/Core>)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // Eigen's use of AVX-512 intrinsics (GCC bug 105593)
#endif
#include <Eigen/Core>
#define HAVE_EIGEN 1
#else
#define HAVE_EIGEN 0
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <flame/run/host/contract.hpp>
#include <flame/run/host/conv.hpp>
#include <flame/run/host/pool.hpp>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace flame;

std::string_view wanted;
bool selected(const std::string& name) { return name.find(wanted) != std::string::npos; }

// Milliseconds of many runs: of the clock, or of this thread's processor time.
struct timing {
  double median, least;
};
timing measure(const std::function<void()>& f, bool processor = false) {
  auto now = [&] {
    timespec t;
    clock_gettime(processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
  };
  std::vector<double> all;
  f();
  const double begin = now();
  while (all.size() < 10 || (now() - begin < 400 && all.size() < 2000)) {
    const double start = now();
    f();
    all.push_back(now() - start);
  }
  std::sort(all.begin(), all.end());
  return {all[all.size() / 2], all[0]};
}

// `flops` of one run; `eigen`, if given, does the same with one thread.
void report(const std::string& name, double flops, const std::function<void()>& f,
            const std::function<void()>& eigen = {}) {
  const int threads = host_kernels::thread_count();
  const timing all = measure(f);
  host_kernels::set_thread_count(1);
  const timing one = measure(f, true);
  host_kernels::set_thread_count(threads);
  std::printf("{\"name\": \"%s\", \"threads\": %d, \"ms\": %.4g, \"least_ms\": %.4g, \"one_thread_ms\": %.4g",
              name.c_str(), threads, all.median, all.least, one.least);
  if (flops > 0)
    std::printf(", \"gflops\": %.4g, \"one_thread_gflops\": %.4g", flops / all.least * 1e-6,
                flops / one.least * 1e-6);
  if (eigen) std::printf(", \"eigen_one_thread_gflops\": %.4g", flops / measure(eigen, true).least * 1e-6);
  std::printf("}\n");
  std::fflush(stdout);
}

template <class E> std::vector<E> numbers(i64 n) {
  std::vector<E> x(static_cast<std::size_t>(n));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (E& v : x) v = static_cast<E>(normal(random));
  return x;
}

#if HAVE_EIGEN
template <class E, bool TurnA, bool TurnB>
void eigen_product(const E* a, const E* b, E* c, i64 m, i64 n, i64 k) {
  using rows = Eigen::Matrix<E, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using columns = Eigen::Matrix<E, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
  Eigen::Map<const std::conditional_t<TurnA, columns, rows>> x(a, m, k);
  Eigen::Map<const std::conditional_t<TurnB, columns, rows>> y(b, k, n);
  Eigen::Map<rows>(c, m, n).noalias() = x * y;
}
#endif

enum class layout { plain, forward, weight };  // a [m, k] b [k, n]; b lies as [n, k]; a lies as [k, m]

template <class E> void product(const std::string& of, i64 batch, i64 m, i64 n, i64 k, layout how) {
  std::string name = "matmul." + of + "." + (batch > 1 ? std::to_string(batch) + "x" : "") +
                     std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  if (dtype_of<E> != dtype::f32) name += std::string(".") + name_of(dtype_of<E>);
  if (!selected(name)) return;
  const auto a = numbers<E>(batch * m * k), b = numbers<E>(batch * k * n);
  auto c = numbers<E>(batch * m * n);
  host_kernels::contraction x;
  x.element = dtype_of<E>, x.a = a.data(), x.b = b.data(), x.out = c.data();
  x.batch_rank = x.m_rank = x.n_rank = x.k_rank = 1;
  const bool turn_a = how == layout::weight, turn_b = how == layout::forward;
  const i64 extents[] = {batch, m, n, k}, of_a[] = {m * k, turn_a ? 1 : k, 0, turn_a ? m : 1},
            of_b[] = {k * n, 0, turn_b ? k : 1, turn_b ? 1 : n}, of_c[] = {m * n, n, 1, 0};
  std::copy_n(extents, 4, x.extents), std::copy_n(of_a, 4, x.a_strides), std::copy_n(of_b, 4, x.b_strides);
  std::copy_n(of_c, 4, x.out_strides);
  std::function<void()> eigen;
#if HAVE_EIGEN
  if constexpr (std::is_floating_point_v<E>)
    eigen = [&] {
      for (i64 i = 0; i < batch; ++i) {
        const E *p = a.data() + i * m * k, *q = b.data() + i * k * n;
        E* r = c.data() + i * m * n;
        if (turn_a)
          eigen_product<E, true, false>(p, q, r, m, n, k);
        else if (turn_b)
          eigen_product<E, false, true>(p, q, r, m, n, k);
        else
          eigen_product<E, false, false>(p, q, r, m, n, k);
      }
    };
#endif
  report(
      name, 2.0 * static_cast<double>(batch * m * n * k), [&] { host_kernels::contract(x); }, eigen);
}

void convolution(i64 batch, i64 side, i64 in, i64 out, i64 kernel, i64 stride, i64 groups = 1) {
  const std::string name = ".batch" + std::to_string(batch) + "." + std::to_string(in) + "to" +
                           std::to_string(out) + "." + std::to_string(side) + "x" + std::to_string(side) +
                           ".kernel" + std::to_string(kernel) +
                           (stride > 1 ? ".stride" + std::to_string(stride) : "") +
                           (groups > 1 ? ".groups" + std::to_string(groups) : "");
  host_kernels::convolution c;
  c.batch = batch, c.height = c.width = side, c.in = in, c.out = out, c.groups = groups;
  c.kernel_h = c.kernel_w = kernel, c.stride_h = c.stride_w = stride, c.pad_h = c.pad_w = kernel / 2;
  c.out_height = c.out_width = (side + 2 * (kernel / 2) - kernel) / stride + 1;
  const i64 results = batch * c.out_height * c.out_width * out;
  const auto x = numbers<float>(batch * side * side * in),
             w = numbers<float>(out * kernel * kernel * (in / groups));
  const auto dy = numbers<float>(results);
  auto y = dy, dx = x, dw = w;
  const double flops = 2.0 * static_cast<double>(results * kernel * kernel * (in / groups));
  if (selected("conv" + name))
    report("conv" + name, flops, [&] { host_kernels::conv(c, x.data(), w.data(), y.data()); });
  if (selected("conv_data" + name))
    report("conv_data" + name, flops, [&] { host_kernels::conv_data(c, dy.data(), w.data(), dx.data()); });
  if (selected("conv_weight" + name))
    report("conv_weight" + name, flops,
           [&] { host_kernels::conv_weight(c, x.data(), dy.data(), dw.data()); });
}

void pooling(i64 batch, i64 side, i64 channels) {
  const std::string name = ".batch" + std::to_string(batch) + "." + std::to_string(side) + "x" +
                           std::to_string(side) + "x" + std::to_string(channels);
  host_kernels::pooling p;
  p.batch = batch, p.height = p.width = side, p.channels = channels, p.out_height = p.out_width = side / 2;
  p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2;
  const auto x = numbers<float>(batch * side * side * channels),
             dy = numbers<float>(batch * side * side * channels / 4);
  auto y = dy, dx = x;
  if (selected("pool_take" + name))
    report("pool_take" + name, 0, [&] { host_kernels::pool_take(p, x.data(), x.data(), y.data()); });
  if (selected("pool_put" + name))
    report("pool_put" + name, 0, [&] { host_kernels::pool_put(p, x.data(), dy.data(), dx.data()); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) wanted = argv[1];
  product<float>("projection.forward", 1, 6272, 96, 96, layout::forward);
  product<float>("projection.input", 1, 6272, 96, 96, layout::plain);
  product<float>("projection.weight", 1, 96, 96, 6272, layout::weight);
  product<float>("qkv_fused.forward", 1, 6272, 288, 96, layout::forward);
  product<float>("fc1.forward", 1, 6272, 384, 96, layout::forward);
  product<float>("fc1.input", 1, 6272, 96, 384, layout::plain);
  product<float>("fc1.weight", 1, 384, 96, 6272, layout::weight);
  product<float>("fc2.forward", 1, 6272, 96, 384, layout::forward);
  product<float>("fc2.input", 1, 6272, 384, 96, layout::plain);
  product<float>("fc2.weight", 1, 96, 384, 6272, layout::weight);
  product<float>("modulation.forward", 1, 128, 576, 96, layout::forward);
  product<float>("modulation.input", 1, 128, 96, 576, layout::plain);
  product<float>("modulation.weight", 1, 576, 96, 128, layout::weight);
  product<float>("patch.forward", 1, 6272, 96, 16, layout::forward);
  product<float>("patch.weight", 1, 96, 16, 6272, layout::weight);
  product<float>("final.forward", 1, 6272, 16, 96, layout::forward);
  product<float>("scores", 512, 49, 49, 24, layout::forward);
  product<float>("values", 512, 49, 24, 49, layout::plain);
  product<float>("values_transposed", 512, 49, 24, 49, layout::weight);
  product<float>("cube", 1, 1024, 1024, 1024, layout::plain);
  product<double>("cube", 1, 1024, 1024, 1024, layout::plain);
  product<bf16>("cube", 1, 1024, 1024, 1024, layout::plain);
  product<f16>("cube", 1, 1024, 1024, 1024, layout::forward);
  product<float>("vector", 1, 1, 1024, 1024, layout::plain);
  product<float>("vector_turned", 1, 1, 1024, 1024, layout::forward);
  convolution(128, 28, 1, 16, 3, 1);
  convolution(128, 14, 16, 32, 3, 1);
  convolution(128, 28, 64, 64, 3, 1);
  convolution(8, 64, 64, 128, 3, 2);
  convolution(8, 32, 320, 320, 3, 1);
  convolution(8, 32, 256, 512, 1, 1);
  convolution(16, 32, 3, 64, 3, 1);
  convolution(8, 64, 32, 32, 3, 1, 32);
  convolution(8, 32, 256, 256, 3, 1, 256);
  convolution(32, 14, 96, 96, 7, 1, 96);
  pooling(128, 28, 16);
  pooling(128, 14, 32);
}
