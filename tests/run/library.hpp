// What the tests of the host's library operations share: numbers, their errors, and the number of threads.
#pragma once
#include <cstring>
#include <flame/run/host/threads.hpp>
#include <flame/type/dtype.hpp>
#include <random>
#include <vector>

namespace flame::library_tests {

template <class E> double wide(E x) {
  if constexpr (std::is_same_v<E, double>)
    return x;
  else
    return static_cast<double>(static_cast<float>(x));
}

// Half a unit in the last place, relative.
template <class E> inline constexpr double rounding = 0x1p-24;
template <> inline constexpr double rounding<double> = 0x1p-53;
template <> inline constexpr double rounding<bf16> = 0x1p-8;
template <> inline constexpr double rounding<f16> = 0x1p-11;

struct threads {  // restores the number of threads
  int before = host_kernels::thread_count();
  ~threads() { host_kernels::set_thread_count(before); }
};

// Numbers in [-1, 1] that every element type holds.
template <class E> std::vector<E> numbers(i64 n, std::mt19937& random) {
  std::vector<E> x(static_cast<std::size_t>(n));
  for (E& v : x) v = static_cast<E>(static_cast<float>(static_cast<int>(random() % 129) - 64) / 64);
  return x;
}

// Runs with several numbers of threads; true if all give the same bits.
template <class E, class F> bool same_bits(std::vector<E>& out, F run) {
  threads restore;
  std::vector<E> first;
  const std::vector<E> before = out;
  for (int n : {1, 2, 5}) {
    host_kernels::set_thread_count(n);
    out = before;
    run();
    if (first.empty()) first = out;
    if (!out.empty() && std::memcmp(first.data(), out.data(), out.size() * sizeof(E)) != 0) return false;
  }
  return true;
}

}  // namespace flame::library_tests
