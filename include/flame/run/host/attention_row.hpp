// The arithmetic of one query's scores: a row of numbers side by side, one a key, changed in place.
#pragma once
#include <flame/run/host/math_exp.hpp>

#include <limits>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// T: f32 or f64.
template <class T> struct attention_row {
  static constexpr T hidden = -std::numeric_limits<T>::infinity();  // the score of what is not looked at

  T* at;
  i64 keys;

  void scale(T by) const {
    each([&](auto x) { return x * by; });
  }
  void clear() const {
    for (i64 j = 0; j < keys; ++j) at[j] = 0;
  }
  // Hides keys whose mask, `step` elements apart, is false.
  void mask(const bool* mask, i64 step) const {
    for (i64 j = 0; j < keys; ++j)
      if (!mask[j * step]) at[j] = hidden;
  }
  // Adds a mask of numbers.
  template <class E> void mask(const E* mask, i64 step) const {
    for (i64 j = 0; j < keys; ++j) at[j] += static_cast<T>(mask[j * step]);
  }
  void hide_from(i64 key) const {
    for (i64 j = key; j < keys; ++j) at[j] = hidden;
  }
  // NaN where there is one; hidden of no keys.
  [[nodiscard]] T largest() const {
    T top = hidden;
    for (i64 j = 0; j < keys; ++j) top = at[j] > top || at[j] != at[j] ? at[j] : top;
    return top;
  }
  // x = exp(x - shift)
  void exponential(T shift) const {
    each([&](auto x) { return math::exp(x - shift); });
  }
  // The same, and their sum: in the vectors' lanes, then together.
  [[nodiscard]] T exponentials(T shift) const {
    exponential(shift);
    using V = simd::vec<T>;
    constexpr i64 lanes = simd::lanes<T>;
    V total{};
    i64 j = 0;
    for (; j + lanes <= keys; j += lanes) total = total + simd::load<V>(at + j);
    T sum = simd::sum(total);
    for (; j < keys; ++j) sum += at[j];
    return sum;
  }
  // The sum of products with as many numbers.
  [[nodiscard]] T product(const T* other) const {
    using V = simd::vec<T>;
    constexpr i64 lanes = simd::lanes<T>;
    V total{};
    i64 j = 0;
    for (; j + lanes <= keys; j += lanes)
      total = simd::fma(simd::load<V>(at + j), simd::load<V>(other + j), total);
    T sum = simd::sum(total);
    for (; j < keys; ++j) sum += at[j] * other[j];
    return sum;
  }
  // dS = scale P (dP - delta), of dP; weights: P.
  void take_slopes(const T* weights, T delta, T scale) const {
    for (i64 j = 0; j < keys; ++j) at[j] = scale * weights[j] * (at[j] - delta);
  }

 private:
  template <class F> void each(const F& f) const {
    using V = simd::vec<T>;
    constexpr i64 lanes = simd::lanes<T>;
    i64 j = 0;
    for (; j + lanes <= keys; j += lanes) simd::store(at + j, f(simd::load<V>(at + j)));
    if (j < keys) {
      const int rest = static_cast<int>(keys - j);
      simd::store_first(at + j, rest, f(simd::load_first<V>(at + j, rest, V{})));
    }
  }
};

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
