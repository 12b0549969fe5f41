// CUDA's library steps against the host's executors: contractions, convolutions, pooling, indexing, each over
// many shapes and element types. The kernels of FLAME's own run on the CPU too, a thread after the other, so
// that they are tested where there is no GPU; cuBLASLt and cuDNN are left out there, except for the plans
// that cuDNN makes.
//
// labels: cuda
// needs: flame::cuda_libraries
#include <doctest/doctest.h>

#include <cmath>
#include <flame/run/cuda/library.hpp>
#include <flame/run/host/contract.hpp>
#include <flame/run/host/conv.hpp>
#include <flame/run/host/index.hpp>
#include <flame/run/host/pool.hpp>
#include <random>

#include "h200.hpp"
#include "machine.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_tests;
using namespace flame::cuda_kernels;
using std::size_t;

template <class E> double wide(E x) {
  if constexpr (std::is_same_v<E, double>)
    return x;
  else if constexpr (std::is_same_v<E, bf16> || std::is_same_v<E, f16>)
    return static_cast<double>(static_cast<float>(x));
  else
    return static_cast<double>(x);
}

template <class E> std::vector<double> wide(const std::vector<E>& x) {
  std::vector<double> to;
  for (E v : x) to.push_back(wide(v));
  return to;
}

template <class E> E element_of(double x) {
  if constexpr (std::is_same_v<E, bf16> || std::is_same_v<E, f16>)
    return E(static_cast<float>(x));
  else
    return static_cast<E>(x);
}

// Numbers in [-1, 1] that use all of their bits, so that arithmetic with fewer shows.
template <class E> std::vector<E> reals(i64 n, std::mt19937& random) {
  std::uniform_real_distribution<double> in(-1, 1);
  std::vector<E> x;
  for (i64 i = 0; i < n; ++i) x.push_back(element_of<E>(in(random)));
  return x;
}

double distance(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(sum);
}
double norm(const std::vector<double>& x) { return distance(x, std::vector<double>(x.size())); }

// f64 and f32: near the host's result, by norm. Half types: as near to the exact result as its rounding is,
// times 1.5.
template <class E>
void compare(const std::vector<E>& cuda, const std::vector<E>& host, const std::vector<double>& exact,
             i64 products = 0) {
  const std::vector<double> x = wide(cuda);
  for (double v : x) REQUIRE(std::isfinite(v));
  // What so many products of numbers in [-1, 1] have for a norm: a lone sum may come to nearly nothing.
  const double size = std::max(norm(exact), std::sqrt(static_cast<double>(products)) / 3);
  if constexpr (std::is_same_v<E, double> || std::is_same_v<E, float>) {
    CHECK(distance(x, wide(host)) <= (std::is_same_v<E, double> ? 1e-10 : 1e-5) * size);
  } else {
    std::vector<double> rounded;
    for (double v : exact) rounded.push_back(wide(element_of<E>(v)));
    CHECK(distance(x, exact) <= 1.5 * distance(rounded, exact) + 1e-7 * size);
  }
}

// Equal numbers, or both NaN.
template <class E> bool same(const std::vector<E>& x, const std::vector<E>& y) {
  for (size_t i = 0; i < x.size(); ++i)
    if (!(wide(x[i]) == wide(y[i]) || (wide(x[i]) != wide(x[i]) && wide(y[i]) != wide(y[i])))) return false;
  return x.size() == y.size();
}

template <class E> bool same_bits(const std::vector<E>& x, const std::vector<E>& y) {
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(E)) == 0);
}

struct dice {
  std::mt19937 random;
  explicit dice(unsigned seed) : random(seed) {}
  i64 operator()(i64 low, i64 high) {
    return low + static_cast<i64>(random() % static_cast<unsigned>(high - low + 1));
  }
};

struct workspace {
  machine& on;
  void* memory;
  workspace(machine& m, i64 bytes) : on(m), memory(m.allocate(static_cast<size_t>(bytes) + 1)) {}
  workspace(const workspace&) = delete;
  workspace& operator=(const workspace&) = delete;
  ~workspace() { on.release(memory); }
};

// ---------------------------------------------------------------- pooling

template <class E> void check_pooling(machine& on, library::pooling p, unsigned seed, i64 offset) {
  INFO(std::string(name_of(dtype_of<E>)), " images ", p.batch, " ", p.height, " ", p.width, " ", p.channels,
       ", kernel ", p.kernel_h, " ", p.kernel_w, ", stride ", p.stride_h, " ", p.stride_w, ", padding ",
       p.pad_h, " ", p.pad_w, ", offset ", offset);
  p.element = dtype_of<E>;
  std::mt19937 random(seed);
  const i64 large = p.batch * p.height * p.width * p.channels,
            small = p.batch * p.out_height * p.out_width * p.channels;
  std::vector<E> x = reals<E>(large, random);
  for (E& v : x) {  // ties, and what comparisons trip over
    v = element_of<E>(static_cast<double>(random() % 5));
    if (random() % 30 == 0) v = element_of<E>(NAN);
    if (random() % 10 == 0) v = element_of<E>(-INFINITY);
  }
  const std::vector<E> u = reals<E>(large, random), dy = reals<E>(small, random);
  std::vector<E> taken(dy.size()), mean(dy.size()), put(u.size()), mean_put(u.size());
  host_kernels::pool_take(p, x.data(), u.data(), taken.data());
  host_kernels::pool_put(p, x.data(), dy.data(), put.data());
  host_kernels::pool_mean(p, u.data(), mean.data());
  host_kernels::pool_mean_put(p, dy.data(), mean_put.data());
  const memory<E> at_x(on, x, offset), at_u(on, u, offset), at_dy(on, dy, offset), at_small(on, dy, offset),
      at_large(on, u, offset);
  auto run = [&](op operation, const memory<E>& a, const memory<E>& b, const memory<E>& out) {
    prepared_pooling(operation, p).run(on.start(), a.get(), b.get(), out.get(), nullptr);
    return out.read();
  };
  CHECK(same(run(op::pool_take, at_x, at_u, at_small), taken));
  CHECK(same(run(op::pool_put, at_x, at_dy, at_large), put));
  CHECK(same(run(op::pool_mean, at_u, at_u, at_small), mean));
  CHECK(same(run(op::pool_mean_put, at_dy, at_dy, at_large), mean_put));
  host_kernels::pool_take(p, x.data(), x.data(), taken.data());
  CHECK(same(run(op::pool_take, at_x, at_x, at_small), taken));
}

template <class E> void poolings(machine& on, unsigned seed, int count) {
  dice pick(seed);
  for (int done = 0; done < count;) {
    library::pooling p;
    p.batch = pick(1, 4), p.height = pick(1, 9), p.width = pick(1, 9);
    p.channels = pick(0, 1) ? pick(1, 20) : 8 * pick(1, 3);
    p.kernel_h = pick(1, 3), p.kernel_w = pick(1, 3), p.stride_h = pick(1, 3), p.stride_w = pick(1, 3);
    p.pad_h = pick(0, p.kernel_h / 2), p.pad_w = pick(0, p.kernel_w / 2);
    if (pick(0, 3) == 0) p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2, p.pad_h = p.pad_w = 0;
    if (p.height + 2 * p.pad_h < p.kernel_h || p.width + 2 * p.pad_w < p.kernel_w) continue;
    p.out_height = (p.height + 2 * p.pad_h - p.kernel_h) / p.stride_h + 1;
    p.out_width = (p.width + 2 * p.pad_w - p.kernel_w) / p.stride_w + 1;
    if (host_kernels::algebra::has_empty_window(p)) continue;
    check_pooling<E>(on, p, static_cast<unsigned>(++done), pick(0, 2) == 0 ? 1 : 0);
  }
}

void all_poolings(machine& on, int count) {
  poolings<float>(on, 1, count), poolings<double>(on, 2, count);
  poolings<bf16>(on, 3, count), poolings<f16>(on, 4, count);
  library::pooling p;
  p.batch = 3, p.height = p.width = 28, p.channels = 16, p.out_height = p.out_width = 14;
  p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2;
  check_pooling<float>(on, p, 1, 0), check_pooling<bf16>(on, p, 1, 0);
  p.batch = 0;
  check_pooling<float>(on, p, 1, 0);
  p.batch = 2, p.channels = 0;
  check_pooling<float>(on, p, 1, 0);
  p.channels = 4, p.height = 0, p.width = 5, p.out_height = 0, p.out_width = 2;
  check_pooling<double>(on, p, 1, 0);
}

// ---------------------------------------------------------------- indexing

// Axes of a random walk, as a step's: a kept outer axis, a summed axis, inner axes; any of them may be
// missing.
struct walk {
  library::indexing x;
  i64 from_size = 1, index_size = 1, out_size = 1;
};

walk random_walk(dice& pick, bool gather, i64 kept, i64 summed, i64 inner, i64 inner2, i64 extent) {
  walk w;
  w.x.extent = extent;
  struct axis {
    i64 extent;
    bool in_from, in_index, in_out;
  };
  std::vector<axis> axes;
  if (kept > 0) axes.push_back({kept, gather ? pick(0, 1) == 1 : true, true, true});
  if (summed > 0 && !gather) axes.push_back({summed, true, true, false});
  if (summed > 0 && gather) axes.push_back({summed, false, true, true});
  if (inner > 0) axes.push_back({inner, true, false, true});
  if (inner2 > 0) axes.push_back({inner2, true, false, true});
  w.x.rank = static_cast<int>(axes.size());
  const int indexed = static_cast<int>(axes.size());
  // Each operand in an order of its own; the inner axes last more often than not, so that vectors are met.
  auto strides = [&](auto has, bool has_indexed, i64* to, i64& size) {
    std::vector<int> order;
    for (int i = 0; i < indexed; ++i)
      if (has(axes[static_cast<size_t>(i)])) order.push_back(i);
    if (has_indexed) order.insert(order.begin(), indexed);
    if (pick(0, 1)) std::shuffle(order.begin(), order.end(), pick.random);
    for (int i = static_cast<int>(order.size()) - 1; i >= 0; --i) {
      const int a = order[static_cast<size_t>(i)];
      (a == indexed ? w.x.stride : to[a]) = size;
      size *= a == indexed ? extent : axes[static_cast<size_t>(a)].extent;
    }
  };
  for (int i = 0; i < indexed; ++i) w.x.extents[i] = axes[static_cast<size_t>(i)].extent;
  strides([](const axis& a) { return a.in_from; }, gather, w.x.from_strides, w.from_size);
  strides([](const axis& a) { return a.in_index; }, false, w.x.index_strides, w.index_size);
  strides([](const axis& a) { return a.in_out; }, !gather, w.x.out_strides, w.out_size);
  return w;
}

template <class E, class I>
void check_indexing(machine& on, bool gather, walk w, unsigned seed, i64 offset,
                    const indexing_options& options = {}) {
  INFO(std::string(gather ? "gather " : "scatter_add "), std::string(name_of(dtype_of<E>)), " by ",
       std::string(name_of(dtype_of<I>)), ", extent ", w.x.extent, ", axes ", w.x.rank, ": ", w.x.extents[0],
       " ", w.x.extents[1], " ", w.x.extents[2], " ", w.x.extents[3]);
  w.x.element = dtype_of<E>, w.x.index_element = dtype_of<I>;
  std::mt19937 random(seed);
  std::vector<E> from, out;
  if constexpr (std::is_integral_v<E>) {
    for (i64 i = 0; i < w.from_size; ++i) from.push_back(static_cast<E>(random()));
    out.resize(static_cast<size_t>(w.out_size), E(7));
  } else {
    from = reals<E>(w.from_size, random), out = reals<E>(w.out_size, random);
  }
  std::vector<I> index;  // a third of them one place, so that some have many values
  for (i64 i = 0; i < w.index_size; ++i)
    index.push_back(static_cast<I>((random() % 3 ? random() : 5) % static_cast<unsigned>(w.x.extent)));
  const memory<E> at_from(on, from, offset), at_out(on, out, offset);
  const memory<I> at_index(on, index);
  const memory<kernel::fault> wrong(on, std::vector<kernel::fault>(1));
  library::indexing x = w.x;
  x.from = from.data(), x.index = index.data(), x.out = out.data();
  const prepared_indexing prepared(gather ? op::gather : op::scatter_add, x, 5, options);
  const workspace scratch(on, prepared.workspace());
  auto run = [&] {
    prepared.run(on.start(), at_from.get(), at_index.get(), at_out.get(), scratch.memory, wrong.get(),
                 nullptr);
    return at_out.read();
  };
  const std::vector<E> found = run();
  CHECK(wrong.read()[0].step == 0);
  CHECK(same_bits(found, run()));
  if (gather)
    host_kernels::gather(x);
  else
    host_kernels::scatter_add(x);
  INFO(std::string(prepared.engine()));
  if (!gather && std::string(prepared.engine()) != "scatter, walked" && !std::is_integral_v<E>) {
    // Sums in another order.
    const std::vector<double> wide_from = wide(from);
    std::vector<double> exact(out.size());
    x.element = dtype::f64, x.from = wide_from.data(), x.out = exact.data();
    host_kernels::scatter_add(x);
    compare(found, out, exact);
  } else {
    CHECK(same(found, out));
  }
}

template <class E> void indexings(machine& on, unsigned seed, int count) {
  dice pick(seed);
  for (int i = 0; i < count; ++i) {
    const bool gather = pick(0, 1);
    const walk w = random_walk(pick, gather, pick(0, 5), pick(0, 3) ? pick(0, 40) : pick(0, 300),
                               4 * pick(0, 5), pick(0, 3), pick(1, 9));
    const unsigned number = static_cast<unsigned>(i);
    const i64 offset = pick(0, 2) == 0 ? 1 : 0;
    indexing_options options;
    if (pick(0, 1)) options = {0, 1};  // sorted, however few they are
    if (i % 3 == 0) check_indexing<E, i32>(on, gather, w, number, offset, options);
    if (i % 3 == 1) check_indexing<E, i64>(on, gather, w, number, offset, options);
    if (i % 3 == 2) check_indexing<E, u8>(on, gather, w, number, offset, options);
  }
}

void all_indexings(machine& on, int count) {
  indexings<float>(on, 1, count), indexings<double>(on, 2, count), indexings<bf16>(on, 3, count);
  indexings<f16>(on, 4, count), indexings<i32>(on, 5, count), indexings<i64>(on, 6, count),
      indexings<u8>(on, 7, count);
}

// A table's gradient: so many rows that values are sorted, or so few that they are summed in parts.
template <class E> void table_gradient(machine& on, i64 tokens, i64 rows, i64 width, const char* engine) {
  library::indexing x;
  x.element = dtype_of<E>, x.index_element = dtype::int32, x.extent = rows, x.stride = width, x.rank = 2;
  x.extents[0] = tokens, x.from_strides[0] = width, x.index_strides[0] = 1;
  x.extents[1] = width, x.from_strides[1] = x.out_strides[1] = 1;
  CHECK(std::string(prepared_indexing(op::scatter_add, x, 1).engine()) == engine);
  walk w;
  w.x = x, w.from_size = tokens * width, w.index_size = tokens, w.out_size = rows * width;
  check_indexing<E, i32>(on, false, w, 1, 0);
}

void check_faults(machine& on) {
  for (bool gather : {true, false}) {
    library::indexing x;
    x.element = dtype::f32, x.index_element = dtype::int64, x.extent = 3, x.rank = 1, x.extents[0] = 4;
    x.stride = 1, x.index_strides[0] = 1;
    (gather ? x.out_strides : x.from_strides)[0] = 1;
    const prepared_indexing prepared(gather ? op::gather : op::scatter_add, x, 9);
    const memory<float> from(on, {1, 2, 3, 4}), out(on, {5, 5, 5, 5});
    const memory<i64> index(on, {0, -7, 2, 2});
    const memory<kernel::fault> wrong(on, std::vector<kernel::fault>(1));
    const workspace scratch(on, prepared.workspace());
    prepared.run(on.start(), from.get(), index.get(), out.get(), scratch.memory, wrong.get(), nullptr);
    const kernel::fault found = wrong.read()[0];
    CHECK(found.step == 9);
    CHECK(prepared.fault_text(found) == std::string(gather ? "gather" : "scatter_add") +
                                            ": index -7 is out of range, the axis has extent 3");
    CHECK(out.read() == (gather ? std::vector<float>{1, 0, 3, 3} : std::vector<float>{1, 0, 7, 5}));
  }
}

// A transposed matrix of indices: handed on row by row, the ignored one too, and the first that leads nowhere
// reported.
template <class I> void check_range(machine& on, library::range_check::ignoring ignores) {
  using ignoring = library::range_check::ignoring;
  library::range_check x;
  x.by = indexed_by::nll, x.element = dtype_of<I>, x.extent = 5;
  x.ignores = ignores, x.ignored = ignores == ignoring::number ? 9 : 0;
  x.rank = 2;
  x.extents[0] = 3, x.strides[0] = 1, x.out_strides[0] = 2;
  x.extents[1] = 2, x.strides[1] = 3, x.out_strides[1] = 1;
  const cuda_kernels::prepared_range prepared(x, 7);
  const memory<i64> ignored(on, {9});
  auto run = [&](std::vector<I> values) {
    const memory<I> index(on, values), out(on, std::vector<I>(6));
    const memory<kernel::fault> wrong(on, std::vector<kernel::fault>(1));
    prepared.run(on.start(), index.get(), ignores == ignoring::operand ? ignored.get() : nullptr, out.get(),
                 wrong.get(), nullptr);
    CHECK(out.read() == std::vector<I>{values[0], values[3], values[1], values[4], values[2], values[5]});
    return wrong.read()[0];
  };
  CHECK(run({0, 1, 2, 3, 4, 0}).step == 0);
  CHECK(run({0, 1, 2, 3, 4, 9}).step == (ignores == ignoring::nothing ? 7 : 0));
  const kernel::fault found = run({0, 4, 2, 6, 4, 3});
  CHECK(found.step == 7);
  CHECK(prepared.fault_text(found) == "nll: label 6 is out of range, the axis has extent 5");
}
void check_ranges(machine& on) {
  using ignoring = library::range_check::ignoring;
  for (ignoring ignores : {ignoring::nothing, ignoring::number, ignoring::operand})
    check_range<i32>(on, ignores), check_range<i64>(on, ignores), check_range<u8>(on, ignores);
}

// ---------------------------------------------------------------- contractions

struct operands {
  library::contraction x;
  i64 a_size = 1, b_size = 1, out_size = 1;
};

// extents of batch, m, n and k; each operand in an order of its own, with gaps here and there.
operands random_contraction(dice& pick, const std::vector<i64> extents[4]) {
  operands o;
  int kind_of[16] = {}, rank = 0;
  for (int kind = 0; kind < 4; ++kind)
    for (i64 extent : extents[kind]) kind_of[rank] = kind, o.x.extents[rank++] = extent;
  o.x.batch_rank = static_cast<int>(extents[0].size()), o.x.m_rank = static_cast<int>(extents[1].size());
  o.x.n_rank = static_cast<int>(extents[2].size()), o.x.k_rank = static_cast<int>(extents[3].size());
  auto strides = [&](int without, i64* to, i64& size, bool repeats) {
    std::vector<int> order;
    for (int i = 0; i < rank; ++i)
      if (kind_of[i] != without) order.push_back(i);
    if (pick(0, 2)) std::shuffle(order.begin(), order.end(), pick.random);
    size = 1;
    for (int i = static_cast<int>(order.size()) - 1; i >= 0; --i) {
      const int axis = order[static_cast<size_t>(i)];
      if (repeats && pick(0, 9) == 0) continue;  // stride 0
      to[axis] = size;
      size *= o.x.extents[axis];
      if (pick(0, 5) == 0) size += 3;
    }
  };
  strides(2, o.x.a_strides, o.a_size, true), strides(1, o.x.b_strides, o.b_size, true);
  strides(3, o.x.out_strides, o.out_size, false);
  return o;
}

// What multiplies on a machine: the CPU's loops.
template <class E>
void multiply(const matrix_product& p, const void* first, const void* second, void* result, double scale,
              const E* bias) {
  using sum = typename kernel::number<dtype_index<E>>::sum;
  for (const auto& [pointer, bytes] : {std::pair{first, p.first_alignment},
                                       {second, p.second_alignment},
                                       {static_cast<const void*>(result), p.result_alignment}})
    REQUIRE(aligned(pointer, bytes));
  REQUIRE(p.first_ld >= (p.first_transposed ? p.k : p.m));
  REQUIRE(p.second_ld >= (p.second_transposed ? p.n : p.k));
  REQUIRE(p.result_ld >= p.m);
  for (i64 batch = 0; batch < p.batch; ++batch)
    for (i64 i = 0; i < p.m; ++i)
      for (i64 j = 0; j < p.n; ++j) {
        E& to = static_cast<E*>(result)[batch * p.result_batch + i + j * p.result_ld];
        sum s = 0;
        for (i64 k = 0; k < p.k; ++k)
          s += static_cast<sum>(wide(static_cast<const E*>(
                   first)[batch * p.first_batch +
                          (p.first_transposed ? k + i * p.first_ld : i + k * p.first_ld)])) *
               static_cast<sum>(wide(static_cast<const E*>(
                   second)[batch * p.second_batch +
                           (p.second_transposed ? j + k * p.second_ld : k + j * p.second_ld)]));
        s *= static_cast<sum>(scale);
        if (bias) s += static_cast<sum>(wide(bias[i]));
        if (p.accumulate) s += static_cast<sum>(wide(to));
        to = element_of<E>(static_cast<double>(s));
      }
}

[[nodiscard]] int architecture_here() {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "test", "attribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "test", "attribute");
  return 10 * major + minor;
}

// Set: contractions by cuBLASLt only tell which kernels of FLAME's own they would start.
std::vector<std::string>* told = nullptr;

template <class E> void check_contraction(machine& on, blas* by, operands o, unsigned seed, bool accumulate) {
  o.x.element = dtype_of<E>, o.x.accumulate = accumulate;
  std::mt19937 random(seed);
  const std::vector<E> a = reals<E>(o.a_size, random), b = reals<E>(o.b_size, random),
                       before = reals<E>(o.out_size, random);
  std::vector<E> host = before;
  std::vector<double> exact = wide(before);
  const std::vector<double> wide_a = wide(a), wide_b = wide(b);
  library::contraction x = o.x;
  x.a = a.data(), x.b = b.data(), x.out = host.data();
  // Some with a scale, and a bias along the axis of out whose elements are neighbours.
  std::vector<E> bias;
  if (!accumulate && seed % 3 == 0) o.x.scale = 0.75;
  for (int i = 0; !accumulate && seed % 2 == 0 && i < x.batch_rank + x.m_rank + x.n_rank; ++i)
    if (!o.x.biased && x.out_strides[i] == 1 && x.extents[i] > 1) {
      o.x.biased = true, o.x.bias_strides[i] = 1;
      bias = reals<E>(x.extents[i], random);
    }
  x = o.x, x.a = a.data(), x.b = b.data(), x.out = host.data();
  const std::vector<double> wide_bias = wide(bias);
  const i64 offset = seed % 4 == 3 ? 1 : 0;  // some operands lie at their elements' alignment alone
  const i64 size = static_cast<i64>(sizeof(E));
  const operand_alignment alignment = {alignment_at(offset * size), 16, alignment_at(2 * offset * size)};
  contraction_options options;
  std::vector<int> tried = {0};  // each way of FLAME's own is a kernel to compile: some cases take one
  if (by) {
    options.alignment = alignment, options.most_candidates = 3;
    options.architecture = architecture_here(), options.multiprocessors = 8 << seed % 5;
    const int ways = by->prepare(o.x, options).candidates();
    if (ways > 1 && seed % 4 == 1) tried.push_back(1 + static_cast<int>(seed / 4) % (ways - 1));
    if (told) {
      for (int way : tried) {
        options.candidate = way;
        const std::vector<std::string> names = by->prepare(o.x, options).names();
        told->insert(told->end(), names.begin(), names.end());
      }
      return;
    }
  }
  host_kernels::contract(x, x.biased ? bias.data() : nullptr);
  x.element = dtype::f64, x.a = wide_a.data(), x.b = wide_b.data(), x.out = exact.data();
  host_kernels::contract(x, x.biased ? wide_bias.data() : nullptr);

  i64 products = 1;
  for (int i = 0; i < x.batch_rank + x.m_rank + x.n_rank + x.k_rank; ++i) products *= x.extents[i];
  const memory<E> at_a(on, a, offset), at_b(on, b), at_bias(on, bias);
  memory<E> at_out(on, before, 2 * offset);
  std::vector<E> found;
  if (by) {
    for (int way : tried) {
      options.candidate = way;
      const prepared_contraction prepared = by->prepare(o.x, options);
      INFO(prepared.engine(), ", accumulate ", accumulate, ", bias ", o.x.biased, ", scale ", o.x.scale);
      const workspace scratch(on, prepared.workspace());
      auto run = [&] {
        at_out.write(before);
        by->run(prepared, at_a.get(), at_b.get(), at_out.get(), nullptr, scratch.memory, at_bias.get());
        return at_out.read();
      };
      found = run();
      CHECK(same_bits(found, run()));
      compare(found, host, exact, products);
    }
  } else {
    const contraction_plan plan(o.x, alignment);
    const matrix_product& p = plan.product();
    INFO(std::string(name_of(dtype_of<E>)), " ", p.m, "x", p.n, "x", p.k, " batch ", p.batch, " calls ",
         plan.calls(), " copies ", plan.copies_a(), plan.copies_b(), plan.copies_out());
    const workspace scratch(on, plan.workspace());
    plan.run(
        on.start(), at_a.get(), at_b.get(), at_out.get(), scratch.memory, nullptr,
        [&](const matrix_product& one, const void* first, const void* second, void* result) {
          multiply<E>(one, first, second, result, plan.scale(), plan.adds_bias() ? at_bias.get() : nullptr);
        },
        false, at_bias.get());
    found = at_out.read();
    compare(found, host, exact, products);
  }
  at_out.write(before);
  contraction_plan(o.x).run_direct(on.start(), at_a.get(), at_b.get(), at_out.get(), nullptr, at_bias.get());
  compare(at_out.read(), host, exact, products);
}

template <class E> void contractions(machine& on, blas* by, unsigned seed, int count, i64 scale) {
  dice pick(seed);
  for (int i = 0; i < count; ++i) {
    std::vector<i64> extents[4];
    for (int kind = 0; kind < 4; ++kind) {
      const i64 rank = pick(0, kind == 3 ? 2 : pick(0, 3) == 0 ? 3 : 1);
      for (i64 r = 0; r < rank; ++r)
        extents[kind].push_back(pick(0, 40) == 0 ? 0 : pick(1, kind == 0 ? 5 : scale * 3));
    }
    check_contraction<E>(on, by, random_contraction(pick, extents), static_cast<unsigned>(i),
                         pick(0, 2) == 0);
  }
}

// [batch, m, k] [batch, k, n] with any of the operands transposed.
operands matrices(i64 batch, i64 m, i64 n, i64 k, bool a_turned, bool b_turned) {
  operands o;
  o.x.batch_rank = batch > 0, o.x.m_rank = o.x.n_rank = o.x.k_rank = 1;
  const int first = o.x.batch_rank;
  if (first)
    o.x.extents[0] = batch, o.x.a_strides[0] = m * k, o.x.b_strides[0] = k * n, o.x.out_strides[0] = m * n;
  o.x.extents[first] = m, o.x.extents[first + 1] = n, o.x.extents[first + 2] = k;
  o.x.a_strides[first] = a_turned ? 1 : k, o.x.a_strides[first + 2] = a_turned ? m : 1;
  o.x.b_strides[first + 2] = b_turned ? 1 : n, o.x.b_strides[first + 1] = b_turned ? k : 1;
  o.x.out_strides[first] = n, o.x.out_strides[first + 1] = 1;
  const i64 some = first ? batch : 1;
  o.a_size = some * m * k, o.b_size = some * k * n, o.out_size = some * m * n;
  return o;
}

// Scores of attention: q [batch, token, head, k], keys alike, scores [batch, head, token, token].
operands attention(i64 batch, i64 heads, i64 tokens, i64 depth) {
  operands o;
  o.x.batch_rank = 2, o.x.m_rank = o.x.n_rank = o.x.k_rank = 1;
  const i64 extents[] = {batch, heads, tokens, tokens, depth};
  const i64 a[] = {tokens * heads * depth, depth, heads * depth, 0, 1},
            b[] = {tokens * heads * depth, depth, 0, heads * depth, 1};
  const i64 out[] = {heads * tokens * tokens, tokens * tokens, tokens, 1, 0};
  for (int i = 0; i < 5; ++i)
    o.x.extents[i] = extents[i], o.x.a_strides[i] = a[i], o.x.b_strides[i] = b[i],
    o.x.out_strides[i] = out[i];
  o.a_size = o.b_size = batch * tokens * heads * depth, o.out_size = batch * heads * tokens * tokens;
  return o;
}

template <class E> void named_contractions(machine& on, blas* by, bool large) {
  for (bool a_turned : {false, true})
    for (bool b_turned : {false, true})
      for (bool accumulate : {false, true}) {
        check_contraction<E>(on, by, matrices(0, 12, 20, 17, a_turned, b_turned), 1, accumulate);
        check_contraction<E>(on, by, matrices(3, 8, 5, 16, a_turned, b_turned), 2, accumulate);
        check_contraction<E>(on, by, matrices(0, 1, 1, 33, a_turned, b_turned), 3, accumulate);
        check_contraction<E>(on, by, matrices(0, 9, 7, 1, a_turned, b_turned), 4, accumulate);
        check_contraction<E>(on, by, matrices(0, 1, 19, 23, a_turned, b_turned), 5, accumulate);
        check_contraction<E>(on, by, matrices(0, 19, 1, 23, a_turned, b_turned), 6, accumulate);
        check_contraction<E>(on, by, matrices(2, 4, 5, 0, a_turned, b_turned), 7, accumulate);
        check_contraction<E>(on, by, matrices(0, 0, 5, 6, a_turned, b_turned), 8, accumulate);
        if (!large) continue;
        check_contraction<E>(on, by, matrices(0, 128, 256, 784, a_turned, b_turned), 9, accumulate);
        check_contraction<E>(on, by, matrices(0, 256, 10, 128, a_turned, b_turned), 10, accumulate);
        check_contraction<E>(on, by, matrices(0, 96, 96, 6272, a_turned, b_turned), 11, accumulate);
        check_contraction<E>(on, by, matrices(7, 333, 129, 65, a_turned, b_turned), 12, accumulate);
      }
  check_contraction<E>(on, by, attention(3, 4, 5, 6), 13, false);
  if (large) {
    check_contraction<E>(on, by, attention(128, 4, 49, 24), 14, false);
    check_contraction<E>(on, by, matrices(70000, 2, 3, 4, false, false), 15, false);
  }
}

// ---------------------------------------------------------------- convolutions

// with: cuDNN, or null for FLAME's own kernels; by: where it is given, gradients of weights may be products.
template <class E>
void check_convolution(machine& on, dnn* with, library::convolution c, unsigned seed, blas* by = nullptr) {
  c.element = dtype_of<E>;
  std::mt19937 random(seed);
  const i64 sizes[] = {c.batch * c.height * c.width * c.in,
                       c.out * c.kernel_h * c.kernel_w * (c.in / c.groups),
                       c.batch * c.out_height * c.out_width * c.out};
  const std::vector<E> x = reals<E>(sizes[0], random), w = reals<E>(sizes[1], random),
                       y = reals<E>(sizes[2], random);
  const std::vector<double> wide_x = wide(x), wide_w = wide(w), wide_y = wide(y);
  auto check_one = [&](op operation, const std::vector<E>& a, const std::vector<E>& b, std::vector<E> out,
                       const std::vector<double>& wide_a, const std::vector<double>& wide_b, auto host) {
    const prepared_convolution prepared(with, operation, c, {}, by);
    INFO(std::string(convolution_name(operation)), " ", std::string(name_of(c.element)), " ", c.batch, " ",
         c.height, " ", c.width, " ", c.in, " to ", c.out, ", kernel ", c.kernel_h, " ", c.kernel_w,
         ", stride ", c.stride_h, " ", c.stride_w, ", padding ", c.pad_h, " ", c.pad_w, ", dilation ",
         c.dilation_h, " ", c.dilation_w, ", groups ", c.groups, ": ", prepared.engine());
    const memory<E> at_a(on, a), at_b(on, b);
    memory<E> at_out(on, out);
    const workspace scratch(on, prepared.workspace());
    auto run = [&] {
      at_out.write(out);
      prepared.run(on.start(), at_a.get(), at_b.get(), at_out.get(), scratch.memory, nullptr);
      return at_out.read();
    };
    const std::vector<E> found = run();
    CHECK(same_bits(found, run()));
    std::vector<double> exact(out.size());
    host(c, a.data(), b.data(), out.data());
    library::convolution in_f64 = c;
    in_f64.element = dtype::f64;
    host(in_f64, wide_a.data(), wide_b.data(), exact.data());
    compare(found, out, exact, sizes[2] * (sizes[1] / std::max<i64>(c.out, 1)));
  };
  auto call = [](auto f, auto... bias) {
    return [=](const library::convolution& k, const void* a, const void* b, void* to) {
      f(k, a, b, to, bias...);
    };
  };
  check_one(op::conv, x, w, y, wide_x, wide_w, call(&host_kernels::conv, nullptr));
  check_one(op::conv_data, y, w, x, wide_y, wide_w, call(&host_kernels::conv_data, nullptr));
  check_one(op::conv_weight, x, y, w, wide_x, wide_y, call(&host_kernels::conv_weight));
}

library::convolution square(i64 batch, i64 side, i64 in, i64 out, i64 kernel, i64 stride, i64 pad,
                            i64 groups = 1) {
  library::convolution c;
  c.batch = batch, c.height = c.width = side, c.in = in, c.out = out, c.kernel_h = c.kernel_w = kernel;
  c.stride_h = c.stride_w = stride, c.pad_h = c.pad_w = pad, c.groups = groups;
  c.out_height = c.out_width = (side + 2 * pad - kernel) / stride + 1;
  return c;
}

template <class E> void convolutions(machine& on, dnn* with, unsigned seed, int count) {
  dice pick(seed);
  for (int done = 0; done < count;) {
    library::convolution c;
    c.groups = pick(0, 3) ? 1 : pick(2, 3);
    c.batch = pick(1, 3), c.height = pick(1, 9), c.width = pick(1, 9), c.in = c.groups * pick(1, 6),
    c.out = c.groups * pick(1, 6);
    c.kernel_h = pick(1, 3), c.kernel_w = pick(1, 3), c.stride_h = pick(1, 2), c.stride_w = pick(1, 3);
    c.pad_h = pick(0, 2), c.pad_w = pick(0, 1), c.dilation_h = pick(1, 2), c.dilation_w = pick(0, 3) ? 1 : 2;
    c.out_height = c.height + 2 * c.pad_h - c.dilation_h * (c.kernel_h - 1) - 1;
    c.out_width = c.width + 2 * c.pad_w - c.dilation_w * (c.kernel_w - 1) - 1;
    if (c.out_height < 0 || c.out_width < 0) continue;
    c.out_height = c.out_height / c.stride_h + 1, c.out_width = c.out_width / c.stride_w + 1;
    check_convolution<E>(on, with, c, static_cast<unsigned>(++done));
  }
  check_convolution<E>(on, with, square(2, 12, 1, 16, 5, 1, 2), 1);
  check_convolution<E>(on, with, square(2, 7, 16, 8, 3, 2, 1), 2);
  check_convolution<E>(on, with, square(0, 7, 3, 2, 3, 1, 1), 3);
  check_convolution<E>(on, with, square(2, 1, 3, 2, 1, 3, 0), 4);  // every pixel but one is in no window
}

#define FLAME_NEEDS_GPU                                     \
  if (!has_gpu()) {                                         \
    MESSAGE("skipped: there is no GPU here, or no driver"); \
    return;                                                 \
  }

}  // namespace

TEST_CASE("pooling, emulated") {
  emulated on;
  all_poolings(on, 25);
}
TEST_CASE("indexing, emulated") {
  emulated on;
  all_indexings(on, 40);
}
TEST_CASE("gradients of tables, emulated") {
  emulated on;
  table_gradient<float>(on, 300, 20000, 64, "scatter, sorted");
  table_gradient<float>(on, 5000, 7, 12, "scatter, walked in parts");
  table_gradient<bf16>(on, 2000, 3, 16, "scatter, walked in parts");
}
TEST_CASE("indices outside of the axis, emulated") {
  emulated on;
  check_faults(on), check_ranges(on);
}
TEST_CASE("contractions as matrix products, emulated") {
  emulated on;
  contractions<float>(on, nullptr, 1, 300, 2), contractions<double>(on, nullptr, 2, 150, 2);
  contractions<bf16>(on, nullptr, 3, 150, 2), contractions<f16>(on, nullptr, 4, 100, 2);
  named_contractions<float>(on, nullptr, false), named_contractions<bf16>(on, nullptr, false);
}
TEST_CASE("plain layouts need no copies, and one call") {
  for (bool a_turned : {false, true})
    for (bool b_turned : {false, true}) {
      const contraction_plan plan(matrices(3, 8, 5, 16, a_turned, b_turned).x);
      CHECK(plan.calls() == 1);
      CHECK(plan.workspace() == 0);
      CHECK(plan.product().batch == 3);
    }
  const contraction_plan scores(attention(128, 4, 49, 24).x);
  CHECK(scores.workspace() == 0);
  CHECK(scores.calls() == 4);
}
TEST_CASE("a choice is told by all that it depends on: other calls or copies are another problem") {
  const auto problem = [](const operands& o) { return contraction_plan(o.x).problem(); };
  const operands scores = attention(8, 4, 49, 24);
  CHECK(problem(scores) == problem(attention(8, 4, 49, 24)));
  // The same product and as many calls; heads lie elsewhere.
  operands apart = scores;
  apart.x.a_strides[1] = 49 * 4 * 24 * 8;
  const contraction_plan one(scores.x), two(apart.x);
  REQUIRE(one.calls() == two.calls());
  REQUIRE(one.product().first_ld == two.product().first_ld);
  REQUIRE(one.product().first_batch == two.product().first_batch);
  CHECK(problem(scores) != problem(apart));
  CHECK(problem(matrices(3, 8, 5, 16, false, false)) == problem(matrices(3, 8, 5, 16, false, false)));
  CHECK(problem(matrices(3, 8, 5, 16, false, false)) != problem(matrices(3, 8, 5, 16, true, false)));
}
TEST_CASE("convolutions by kernels of FLAME's own, emulated") {
  emulated on;
  convolutions<float>(on, nullptr, 1, 25), convolutions<double>(on, nullptr, 2, 25);
  convolutions<bf16>(on, nullptr, 3, 25), convolutions<f16>(on, nullptr, 4, 25);
}

TEST_CASE("the errors of each library, in its words") {
  auto text = [](auto status, const char* call) {
    check(decltype(status){}, "conv", call);  // success
    try {
      check(status, "conv", call);
    } catch (const error& e) {
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  CHECK(text(cudaErrorMemoryAllocation, "cudaMalloc") == "conv: cudaMalloc failed: out of memory (2)");
  CHECK(text(NVRTC_ERROR_COMPILATION, "nvrtcCompileProgram") ==
        "conv: nvrtcCompileProgram failed: NVRTC_ERROR_COMPILATION (6)");
  CHECK(text(CUBLAS_STATUS_INVALID_VALUE, "cublasLtMatmul").starts_with("conv: cublasLtMatmul failed: "));
  CHECK(text(CUDNN_STATUS_BAD_PARAM, "cudnnCreate")
            .starts_with("conv: cudnnCreate failed: CUDNN_STATUS_BAD_PARAM"));
  CHECK(text(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAlloc").starts_with("conv: cuMemAlloc failed: "));
}

TEST_CASE("what is refused, by name") {
  auto text = [](auto f) {
    try {
      f();
    } catch (const error& e) {
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  library::pooling p;
  p.batch = p.height = p.width = p.channels = p.out_height = p.out_width = 1;
  p.element = dtype::int32;
  CHECK(text([&] { prepared_pooling(op::pool_mean, p); }) ==
        "pool_mean: the operands are i32, expected f32, f64, bf16 or f16");
  p.element = dtype::f32, p.pad_h = 1;
  CHECK(text([&] { prepared_pooling(op::pool_take, p); }) ==
        "pool_take: a window lies in the padding alone, expected one pixel of the image");
  library::indexing x;
  x.index_element = dtype::f32;
  CHECK(text([&] { prepared_indexing(op::gather, x, 1); }) ==
        "gather: the index is f32, expected i32, i64 or u8");
  x.index_element = dtype::int32, x.element = dtype::key;
  CHECK(text([&] { prepared_indexing(op::scatter_add, x, 1); }) ==
        "scatter_add: the values are key, expected numbers");
  library::convolution c = square(1, 4, 3, 2, 3, 1, 1);
  c.groups = 2;
  CHECK(text([&] { prepared_convolution(nullptr, op::conv, c); }) ==
        "conv: groups must divide the channels, strides and dilations be at least 1");
  library::contraction k;
  k.element = dtype::uint8;
  CHECK(text([&] { contraction_plan{k}; }) ==
        "contract: the operands are u8, expected f32, f64, bf16 or f16");
}

TEST_CASE("cuDNN's plans for an H200, made without one") {
#if defined(__SANITIZE_ADDRESS__)
  MESSAGE("skipped under AddressSanitizer: cuDNN keeps what it allocates to its end");
  return;
#endif
  dnn cudnn{std::string(h200)};
  auto engine = [&](op operation, library::convolution c, dtype element) {
    c.element = element;
    const prepared_convolution prepared(&cudnn, operation, c);
    CHECK(prepared.workspace() <= dnn_options{}.most_workspace);
    return prepared.engine();
  };
  for (op operation : {op::conv, op::conv_data, op::conv_weight}) {
    for (dtype element : {dtype::f32, dtype::bf16, dtype::f16})
      for (const library::convolution& c : {square(4, 32, 64, 64, 3, 1, 1), square(128, 28, 1, 16, 5, 1, 2),
                                            square(2, 9, 6, 8, 3, 2, 1, 2), square(2, 16, 32, 16, 1, 1, 0)})
        if (operation == op::conv_weight && c.groups > 1 && element != dtype::f32)
          CHECK(engine(operation, c, element)
                    .starts_with("kernel conv_weight: cuDNN's weight gradient in groups"));
        else
          CHECK(engine(operation, c, element).starts_with("cuDNN engine "));
    const std::string kernel = std::string("kernel ") + convolution_name(operation) + ": ";
    CHECK(engine(operation, square(4, 32, 64, 64, 3, 1, 1), dtype::f64) ==
          kernel + "cuDNN is not asked for f64");
    CHECK(engine(operation, square(0, 32, 64, 64, 3, 1, 1), dtype::f32) == kernel + "an extent is 0");
    library::convolution odd = square(4, 32, 64, 64, 3, 1, 1);
    odd.out_height -= 1;
    CHECK(engine(operation, odd, dtype::f32) ==
          kernel + "the output's extents are not those of cuDNN's formula");
  }
  std::string refusal;
  const library::convolution c = square(4, 32, 64, 64, 3, 1, 1);
  CHECK(cudnn.prepare(op::conv, c, refusal) == cudnn.prepare(op::conv, c, refusal));
}

TEST_CASE("every kernel compiles by NVRTC without a warning") {
  const std::vector<std::string> names = emulated_launcher().names();
  std::size_t compiled = 0;
  if (has_gpu() && nvrtc_launcher::instance().architecture() == "sm_90") {  // what the tests below start
    CHECK_NOTHROW(nvrtc_launcher::instance().prepare(names));
    return;
  }
  CHECK_NOTHROW(compile_all(
      names, "sm_90", [&](const auto&, const std::string& image, const std::vector<std::string>& lowered) {
        CHECK(!image.empty());
        compiled += lowered.size();
      }));
  CHECK(compiled == names.size());
}

TEST_CASE("pooling and indexing on a GPU") {
  FLAME_NEEDS_GPU
  gpu on;
  all_poolings(on, 100);
  all_indexings(on, 100);
  check_faults(on), check_ranges(on);
  table_gradient<float>(on, 20000, 50000, 128, "scatter, sorted");
  table_gradient<bf16>(on, 20000, 50000, 130, "scatter, sorted");
  table_gradient<double>(on, 3000, 30000, 3, "scatter, sorted");
  table_gradient<float>(on, 50000, 7, 12, "scatter, walked in parts");
  table_gradient<float>(on, 128, 10, 96, "scatter, walked in parts");
  library::pooling p;
  p.batch = 64, p.height = p.width = 56, p.channels = 64, p.out_height = p.out_width = 28;
  p.kernel_h = p.kernel_w = 3, p.stride_h = p.stride_w = 2, p.pad_h = p.pad_w = 1;
  check_pooling<float>(on, p, 1, 0), check_pooling<bf16>(on, p, 1, 0);
}
// So many random ones of each type, and those with names; kernels of FLAME's own are compiled before, all at
// once.
void all_contractions(int count) {
  gpu on;
  blas by(on.start());
  const auto all = [&] {
    contractions<float>(on, &by, 1, 2 * count, 5), contractions<double>(on, &by, 2, count, 5);
    contractions<bf16>(on, &by, 3, count, 5), contractions<f16>(on, &by, 4, count, 5);
    named_contractions<float>(on, &by, true), named_contractions<double>(on, &by, true);
    named_contractions<bf16>(on, &by, true), named_contractions<f16>(on, &by, true);
  };
  std::vector<std::string> names;
  told = &names, all(), told = nullptr;
  on.prepare(std::move(names));
  all();
}
TEST_CASE("contractions by cuBLASLt") {
  FLAME_NEEDS_GPU
  all_contractions(50);
}
TEST_CASE("contractions by cuBLASLt, three times as many" * doctest::skip()) {  // --no-skip
  FLAME_NEEDS_GPU
  all_contractions(150);
}
TEST_CASE("convolutions by cuDNN") {
  FLAME_NEEDS_GPU
  gpu on;
  dnn cudnn;
  blas by(on.start());
  convolutions<float>(on, &cudnn, 1, 40), convolutions<double>(on, &cudnn, 2, 40);
  convolutions<bf16>(on, &cudnn, 3, 40), convolutions<f16>(on, &cudnn, 4, 40);
  for (const library::convolution& c :
       {square(128, 28, 1, 16, 3, 1, 1), square(128, 14, 16, 32, 3, 1, 1), square(4, 32, 64, 128, 3, 1, 1),
        square(4, 32, 64, 64, 3, 2, 1), square(4, 16, 64, 128, 1, 1, 0), square(8, 16, 32, 32, 3, 1, 1, 32)})
    check_convolution<float>(on, &cudnn, c, 1), check_convolution<bf16>(on, &cudnn, c, 2),
        check_convolution<f16>(on, &cudnn, c, 3), check_convolution<float>(on, &cudnn, c, 1, &by),
        check_convolution<double>(on, &cudnn, c, 4, &by);
}
TEST_CASE("library steps in a CUDA graph, with the bits they have outside of it") {
  FLAME_NEEDS_GPU
  gpu on;
  blas by(on.start());
  dnn cudnn;
  std::mt19937 random(1);
  const operands o = attention(16, 4, 49, 24);
  const library::convolution c = square(16, 14, 16, 32, 3, 1, 1);
  library::indexing x;
  x.extent = 30000, x.stride = 8, x.rank = 2, x.extents[0] = 9000, x.from_strides[0] = 8,
  x.index_strides[0] = 1;
  x.extents[1] = 8, x.from_strides[1] = x.out_strides[1] = 1;
  std::vector<i32> at;
  for (int i = 0; i < 9000; ++i) at.push_back(static_cast<i32>(random() % 30000));
  const memory<float> a(on, reals<float>(o.a_size, random)), b(on, reals<float>(o.b_size, random)),
      scores(on, reals<float>(o.out_size, random)), image(on, reals<float>(16 * 14 * 14 * 16, random)),
      w(on, reals<float>(32 * 9 * 16, random)), dy(on, reals<float>(16 * 14 * 14 * 32, random)),
      dw(on, reals<float>(32 * 9 * 16, random)), rows(on, reals<float>(9000 * 8, random)),
      table(on, reals<float>(30000 * 8, random));
  const memory<i32> index(on, at);
  const memory<kernel::fault> wrong(on, std::vector<kernel::fault>(1));
  const prepared_contraction product = by.prepare(o.x);
  const prepared_convolution conv(&cudnn, op::conv_weight, c);
  const prepared_indexing scatter(op::scatter_add, x, 1);
  const workspace one(on, product.workspace()), two(on, conv.workspace()), three(on, scatter.workspace());
  cudaStream_t stream{};
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "test", "cudaStreamCreateWithFlags");
  auto all = [&] {
    by.run(product, a.get(), b.get(), scores.get(), stream, one.memory);
    conv.run(on.start(), image.get(), dy.get(), dw.get(), two.memory, stream);
    scatter.run(on.start(), rows.get(), index.get(), table.get(), three.memory, wrong.get(), stream);
  };
  all();
  const std::vector<float> first[] = {scores.read(), dw.read(), table.read()};
  cudaGraph_t graph{};
  cudaGraphExec_t ready{};
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "test", "cudaStreamBeginCapture");
  all();
  check(cudaStreamEndCapture(stream, &graph), "test", "cudaStreamEndCapture");
  check(cudaGraphInstantiate(&ready, graph, 0), "test", "cudaGraphInstantiate");
  for (int replay = 0; replay < 3; ++replay) {
    for (const memory<float>* out : {&scores, &dw, &table})
      check(cudaMemset(out->get(), 0x7f, out->read().size() * sizeof(float)), "test", "cudaMemset");
    check(cudaDeviceSynchronize(), "test", "cudaDeviceSynchronize");
    check(cudaGraphLaunch(ready, stream), "test", "cudaGraphLaunch");
    check(cudaDeviceSynchronize(), "test", "cudaDeviceSynchronize");
    CHECK(same_bits(scores.read(), first[0]));
    CHECK(same_bits(dw.read(), first[1]));
    CHECK(same_bits(table.read(), first[2]));
  }
  cudaGraphExecDestroy(ready), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
}
