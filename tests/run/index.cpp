// gather and scatter_add against naive walks: layouts, element types, what is out of range, numbers of
// threads.
//
// labels: threads
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <flame/run/host/index.hpp>
#include <random>
#include <vector>

#include "library.hpp"

namespace {

using namespace flame;
using namespace flame::library_tests;
using host_kernels::indexing;

template <class E> E number(std::mt19937& random) {
  if constexpr (std::is_integral_v<E>)
    return static_cast<E>(random());
  else
    return static_cast<E>(static_cast<float>(static_cast<int>(random() % 129) - 64) / 64);
}

template <class E> std::vector<E> memory(i64 n, std::mt19937& random) {
  std::vector<E> x(static_cast<std::size_t>(n));
  for (E& v : x) v = number<E>(random);
  return x;
}

// Strides of the axes that `has` names, and of one more, in memory of a random order, with gaps.
i64 lay_out(const indexing& x, const std::vector<bool>& has, std::mt19937& random, i64* strides,
            i64* indexed) {
  std::vector<int> order;
  for (int i = 0; i < x.rank; ++i)
    if (has[static_cast<std::size_t>(i)]) order.push_back(i);
  if (indexed) order.push_back(-1);
  if (random() % 2) std::shuffle(order.begin(), order.end(), random);
  i64 stride = 1;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    (*i < 0 ? *indexed : strides[*i]) = stride;
    stride *= std::max<i64>(*i < 0 ? x.extent : x.extents[*i], 1);
    if (random() % 5 == 0) ++stride;
  }
  return stride;
}

// f(offsets in from, index, out), in the order of the axes.
template <class F> void walk(const indexing& x, F f) {
  i64 count = 1;
  for (int i = 0; i < x.rank; ++i) count *= x.extents[i];
  for (i64 n = 0; n < count; ++n) {
    i64 from = 0, index = 0, out = 0, rest = n;
    for (int i = x.rank - 1; i >= 0; rest /= x.extents[i--]) {
      const i64 at = rest % x.extents[i];
      from += at * x.from_strides[i], index += at * x.index_strides[i], out += at * x.out_strides[i];
    }
    f(from, index, out);
  }
}

template <class E, class I> void check(bool gather, unsigned seed) {
  std::mt19937 random(seed);
  indexing x;
  x.element = dtype_of<E>, x.index_element = dtype_of<I>;
  x.extent = 1 + static_cast<i64>(random() % 9);
  x.rank = static_cast<int>(random() % 5);
  std::vector<bool> from, index, out;
  for (int i = 0; i < x.rank; ++i) {
    x.extents[i] = random() % 25 == 0 ? 0 : 1 + static_cast<i64>(random() % (random() % 3 == 0 ? 70 : 6));
    const unsigned kind =
        random() % 4;  // shared, the index's alone, none of the index's, of the values alone
    from.push_back(gather ? kind != 1 : random() % 4 != 0);
    index.push_back(kind <= 1);
    out.push_back(gather || (kind != 1 && kind != 3));
    if (!from.back() && !index.back() && !out.back()) from.back() = true;
    if (gather && !from.back() && !index.back()) index.back() = true;
  }
  const i64 from_size = lay_out(x, from, random, x.from_strides, gather ? &x.stride : nullptr);
  const i64 index_size = lay_out(x, index, random, x.index_strides, nullptr);
  const i64 out_size = lay_out(x, out, random, x.out_strides, gather ? nullptr : &x.stride);
  const auto values = memory<E>(from_size, random);
  std::vector<I> places(static_cast<std::size_t>(index_size));
  for (I& i : places) i = static_cast<I>(random() % static_cast<unsigned>(x.extent));
  auto result = memory<E>(out_size, random);
  const auto before = result;
  x.from = values.data(), x.index = places.data();
  INFO("rank ", x.rank, ", extent ", x.extent, ", seed ", seed);
  CHECK(same_bits(result, [&] {
    x.out = result.data();
    gather ? host_kernels::gather(x) : host_kernels::scatter_add(x);
  }));

  auto at = [](i64 i) { return static_cast<std::size_t>(i); };
  if (gather) {
    auto expected = before;
    walk(x, [&](i64 f, i64 i, i64 o) {
      expected[at(o)] = values[at(f + static_cast<i64>(places[at(i)]) * x.stride)];
    });
    CHECK(std::memcmp(expected.data(), result.data(), expected.size() * sizeof(E)) == 0);
    return;
  }
  std::vector<double> sums(result.size()), sizes(result.size());
  std::vector<u64> wrapped(result.size());
  std::vector<bool> written(result.size());
  indexing places_of = x;  // every place of the result
  places_of.extents[places_of.rank] = x.extent, places_of.out_strides[places_of.rank++] = x.stride;
  for (int i = 0; i < x.rank; ++i)
    if (x.out_strides[i] == 0) places_of.extents[i] = 1;
  walk(places_of, [&](i64, i64, i64 o) { written[at(o)] = true; });
  walk(x, [&](i64 f, i64 i, i64 o) {
    const std::size_t to = at(o + static_cast<i64>(places[at(i)]) * x.stride);
    if constexpr (std::is_integral_v<E>)
      wrapped[to] += static_cast<u64>(values[at(f)]);
    else
      sums[to] += wide(values[at(f)]), sizes[to] += std::abs(wide(values[at(f)]));
  });
  bool good = true;
  for (std::size_t i = 0; i < result.size(); ++i)
    if (!written[i])
      good = good && std::memcmp(&result[i], &before[i], sizeof(E)) == 0;
    else if constexpr (std::is_integral_v<E>)
      good = good && result[i] == static_cast<E>(wrapped[i]);
    else
      good =
          good && std::abs(wide(result[i]) - sums[i]) <= 1.01 * rounding<E> * std::abs(sums[i]) +
                                                             256 * std::min(rounding<E>, 0x1p-24) * sizes[i];
  CHECK(good);
}

}  // namespace

TEST_CASE("random gathers") {
  for (unsigned seed = 0; seed < 150; ++seed) {
    check<float, i32>(true, seed);
    check<u8, i64>(true, seed);
    check<bf16, u8>(true, seed);
    check<double, i32>(true, seed);
  }
}

TEST_CASE("random sums where an index says") {
  for (unsigned seed = 0; seed < 150; ++seed) {
    check<float, i32>(false, seed);
    check<double, i64>(false, seed);
    check<bf16, i32>(false, seed);
    check<f16, u8>(false, seed);
    check<i32, i32>(false, seed);
    check<u8, i64>(false, seed);
  }
}

TEST_CASE("an embedding and its gradient") {
  std::mt19937 random(1);
  const i64 words = 300, width = 200, tokens = 5000;
  const auto table = memory<float>(words * width, random);
  std::vector<i32> index(static_cast<std::size_t>(tokens));
  for (i32& i : index) i = static_cast<i32>(random() % 7 * 40);
  std::vector<float> rows(static_cast<std::size_t>(tokens * width)), back(table.size(), 1.f);
  indexing x;
  x.index = index.data(), x.from = table.data(), x.out = rows.data();
  x.extent = words, x.stride = width, x.rank = 2;
  x.extents[0] = tokens, x.extents[1] = width;
  x.index_strides[0] = 1, x.from_strides[1] = 1, x.out_strides[0] = width, x.out_strides[1] = 1;
  host_kernels::gather(x);
  bool good = true;
  for (std::size_t t = 0; t < index.size(); ++t)
    for (std::size_t c = 0; c < 200; ++c)
      good = good && rows[t * 200 + c] == table[static_cast<std::size_t>(index[t]) * 200 + c];
  CHECK(good);
  x.from = rows.data(), x.out = back.data();
  x.from_strides[0] = width, x.out_strides[0] = 0;
  CHECK(same_bits(back, [&] { host_kernels::scatter_add(x); }));
  std::vector<double> sums(table.size());
  for (std::size_t t = 0; t < index.size(); ++t)
    for (std::size_t c = 0; c < 200; ++c)
      sums[static_cast<std::size_t>(index[t]) * 200 + c] += static_cast<double>(rows[t * 200 + c]);
  for (std::size_t i = 0; i < back.size(); ++i)
    good = good && std::abs(static_cast<double>(back[i]) - sums[i]) <= 1e-2;
  CHECK(good);
}

TEST_CASE("an index outside of the axis is refused, with its value") {
  float table[3] = {1, 2, 3}, out[2] = {7, 7};
  i32 index[2] = {0, 3};
  indexing x;
  x.from = table, x.index = index, x.out = out, x.extent = 3, x.stride = 1;
  x.rank = 1, x.extents[0] = 2, x.index_strides[0] = 1, x.out_strides[0] = 1;
  CHECK_THROWS_WITH_AS(host_kernels::gather(x), "gather: index 3 is out of range, the axis has extent 3",
                       error);
  CHECK(out[0] == 7);
  index[1] = -1;
  CHECK_THROWS_WITH_AS(host_kernels::gather(x), "gather: index -1 is out of range, the axis has extent 3",
                       error);
  x.from_strides[0] = 1, x.out_strides[0] = 0;
  CHECK_THROWS_WITH_AS(host_kernels::scatter_add(x),
                       "scatter_add: index -1 is out of range, the axis has extent 3", error);
  index[1] = 2;
  x.element = dtype::boolean;
  CHECK_THROWS_WITH_AS(host_kernels::scatter_add(x), "scatter_add: the values are bool, expected numbers",
                       error);
  x.element = dtype::f32, x.index_element = dtype::f32;
  CHECK_THROWS_WITH_AS(host_kernels::scatter_add(x), "scatter_add: the index is f32, expected i32, i64 or u8",
                       error);
}
