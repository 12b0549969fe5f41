// Running sums and the largest elements on CUDA against the host's, over many shapes and element types; the
// kernels run on the CPU too, a thread after the other.
//
// labels: cuda
// needs: flame::cuda_libraries
#include <doctest/doctest.h>

#include <cmath>
#include <flame/run/cuda/ordering.hpp>
#include <flame/run/host/order.hpp>
#include <random>

#include "machine.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_tests;
using namespace flame::cuda_kernels;

template <class E> double wide(E x) {
  if constexpr (std::is_same_v<E, bf16> || std::is_same_v<E, f16>)
    return static_cast<double>(static_cast<float>(x));
  else
    return static_cast<double>(x);
}
template <class E> E narrow(double x) {
  if constexpr (std::is_same_v<E, bf16> || std::is_same_v<E, f16>)
    return E(static_cast<float>(x));
  else
    return static_cast<E>(x);
}

// What a GPU adds up in another order than the host, in f32 and not in f64.
template <class E>
inline constexpr double tolerance = std::is_same_v<E, double> ? 1e-12
                                    : std::is_same_v<E, bf16> ? 1e-2
                                    : std::is_same_v<E, f16>  ? 1e-3
                                                              : 1e-5;

template <class E> void check_one(machine& on, library::ordering x, unsigned seed) {
  INFO(std::string(name_of(dtype_of<E>)), " ", x.outer, " rows of ", x.extent, ", ", x.inner, " apart, kept ",
       x.kept, x.reverse ? ", from the end" : "");
  x.element = dtype_of<E>;
  std::mt19937 random(seed);
  const i64 count = x.outer * x.extent * x.inner;
  std::vector<E> in;
  for (i64 i = 0; i < count; ++i)
    in.push_back(narrow<E>(std::is_integral_v<E> ? static_cast<double>(random() % 100)
                                                 : static_cast<double>(random() % 2001) / 1000 - 1));
  const memory<E> from(on, in), sums(on, in);
  library::ordering whole = x;
  whole.kept = x.extent;
  std::vector<E> want(in.size());
  host_kernels::cumsum(whole, in.data(), want.data());
  const prepared_ordering sum(op::cumsum, whole);
  void* workspace = on.allocate(static_cast<std::size_t>(sum.workspace()) + 1);
  sum.run(on.start(), from.get(), sums.get(), workspace, nullptr);
  on.release(workspace);
  const std::vector<E> have = sums.read();
  double error = 0, size = 0;
  for (std::size_t i = 0; i < have.size(); ++i) {
    error += (wide(have[i]) - wide(want[i])) * (wide(have[i]) - wide(want[i]));
    size += wide(want[i]) * wide(want[i]);
  }
  CHECK(std::sqrt(error) <= (std::is_integral_v<E> ? 0 : tolerance<E>)*std::sqrt(size));

  std::vector<E> ties = in;
  if constexpr (!std::is_integral_v<E>)
    for (E& v : ties) {  // ties, and what comparisons trip over
      v = narrow<E>(static_cast<double>(random() % 7) - 3);
      if (random() % 20 == 0) v = narrow<E>(NAN);
      if (random() % 20 == 0) v = narrow<E>(random() % 2 ? INFINITY : -INFINITY);
      if (random() % 10 == 0) v = narrow<E>(-0.0);
    }
  std::vector<i32> places(static_cast<std::size_t>(x.outer * x.kept * x.inner), -1), wanted = places;
  host_kernels::top(x, ties.data(), wanted.data());
  const memory<E> of(on, ties);
  const memory<i32> to(on, places);
  prepared_ordering(op::top, x).run(on.start(), of.get(), to.get(), nullptr, nullptr);
  CHECK(to.read() == wanted);
}

template <class E> void check_all(machine& on, unsigned seed, int count) {
  std::mt19937 random(seed);
  auto pick = [&](i64 low, i64 high) {
    return low + static_cast<i64>(random() % static_cast<u64>(high - low + 1));
  };
  for (int i = 0; i < count; ++i) {
    library::ordering x;
    x.outer = pick(1, 5), x.inner = pick(0, 1) ? 1 : pick(1, 70);
    x.extent = pick(0, 2) ? pick(1, 130) : pick(100, 700);
    x.kept = pick(0, 3) ? pick(1, std::min<i64>(x.extent, 9)) : x.extent;
    x.reverse = pick(0, 1);
    check_one<E>(on, x, static_cast<unsigned>(i));
  }
  for (int empty = 0; empty < 4; ++empty) {
    library::ordering x;
    x.outer = empty != 0, x.extent = empty == 1 ? 0 : 3, x.inner = empty != 2,
    x.kept = empty == 3 || empty == 1 ? 0 : 2;
    check_one<E>(on, x, 1);
  }
}

void check_types(machine& on, int count) {
  check_all<float>(on, 1, count), check_all<double>(on, 2, count), check_all<bf16>(on, 3, count);
  check_all<f16>(on, 4, count), check_all<i32>(on, 5, count), check_all<i64>(on, 6, count);
  check_all<u8>(on, 7, count);
}

}  // namespace

TEST_CASE("running sums and the largest elements, emulated") {
  emulated on;
  check_types(on, 12);
}
TEST_CASE("what is refused, by name") {
  library::ordering x;
  x.element = dtype::boolean;
  CHECK_THROWS_WITH_AS(prepared_ordering(op::cumsum, x), "cumsum: the operand is bool, expected numbers",
                       error);
  CHECK_THROWS_WITH_AS(prepared_ordering(op::top, x), "top: the operand is bool, expected numbers", error);
}
TEST_CASE("rows that are long are cut into tiles, short ones are one") {
  library::ordering x;
  x.extent = 64;
  CHECK(prepared_ordering(op::cumsum, x).names().size() == 1);
  CHECK(prepared_ordering(op::cumsum, x).workspace() == 0);
  x.extent = 1 << 20;
  CHECK(prepared_ordering(op::cumsum, x).names().size() == 3);
  CHECK(prepared_ordering(op::cumsum, x).workspace() == 4096);
}
TEST_CASE("running sums and the largest elements on a GPU") {
  if (!has_gpu()) {
    MESSAGE("skipped: there is no GPU");
    return;
  }
  gpu on;
  check_types(on, 40);
  for (i64 extent : {4096, 100000}) {
    library::ordering x;
    x.outer = 3, x.extent = extent, x.kept = 50;
    check_one<float>(on, x, 1), check_one<bf16>(on, x, 2);
  }
}
