// What the tests of the CUDA backend's public side share: skipped, in words, where there is no GPU, or not as
// many as FLAME_TEST_GPUS says.
#pragma once
#include <doctest/doctest.h>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "../support.hpp"

#ifndef FLAME_TEST_GPUS
#define FLAME_TEST_GPUS 1
#endif
extern "C" const char* flame_test_lacks() {
  return flame::cuda::device_count() >= FLAME_TEST_GPUS ? nullptr
         : FLAME_TEST_GPUS == 1                         ? "GPU here"
                                                        : "second GPU here";
}

namespace flame::cuda_tests {

template <class Element, const auto&... Axes>
using device_tensor = basic_tensor<cuda, Element, tag_of<Axes>...>;

// |a - b| / |b| in the Euclidean norm, of tensors on any backends.
template <class A, class B> double distance(const A& a, const B& b) {
  const auto x = a.to_vector();
  const auto y = b.to_vector();
  REQUIRE(x.size() == y.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double p = element_cast<double>(x[i]), q = element_cast<double>(y[i]);
    difference += (p - q) * (p - q), size += q * q;
  }
  return std::sqrt(difference) / (size > 0 ? std::sqrt(size) : 1);
}

// Equal elements, bit by bit but for the two zeros.
template <class A, class B> bool same_values(const A& a, const B& b) {
  return a.shape() == b.shape() && a.to_vector() == b.to_vector();
}

using tests::refusal;

}  // namespace flame::cuda_tests
