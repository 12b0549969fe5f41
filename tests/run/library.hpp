// What the tests of the host's library operations share: numbers, their errors, and the number of threads.
#pragma once
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
  int before = host::thread_count();
  ~threads() { host::set_thread_count(before); }
};

// Numbers in [-1, 1] that every element type holds.
template <class E> std::vector<E> numbers(i64 n, std::mt19937& random) {
  std::vector<E> x(static_cast<std::size_t>(n));
  for (E& v : x) v = static_cast<E>(static_cast<float>(static_cast<int>(random() % 129) - 64) / 64);
  return x;
}

}  // namespace flame::library_tests
