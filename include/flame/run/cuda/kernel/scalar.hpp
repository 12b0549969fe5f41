// Elementwise operations on one element, and what reductions combine.
#pragma once
#include <flame/graph/op.hpp>
#include <flame/run/cuda/kernel/function.hpp>
#include <flame/run/cuda/kernel/random.hpp>

namespace flame::kernel {

template <op Code, bool Quick, class T> __device__ __forceinline__ auto unary(T x) {
  if constexpr (Quick && sizeof(T) == 4 && is_float<T>) {
    if constexpr (Code == op::exp) return quick::exponential(x);
    if constexpr (Code == op::tanh) return quick::hyperbolic_tangent(x);
    if constexpr (Code == op::sigmoid) return quick::logistic(x);
    if constexpr (Code == op::sqrt) return quick::root(x);
    if constexpr (Code == op::reciprocal) return quick::quotient(1.0f, x);
  }
  if constexpr (Code == op::neg) {
    if constexpr (is_float<T>)
      return -x;
    else
      return static_cast<T>(T{0} - x);
  } else if constexpr (Code == op::abs) {
    if constexpr (is_float<T>)
      return function::magnitude(x);
    else
      return static_cast<T>(x < T{0} ? T{0} - x : x);
  } else if constexpr (Code == op::sign) {
    if constexpr (is_float<T>)
      return x > T{0} ? T{1} : x < T{0} ? T{-1} : T{0};
    else
      return static_cast<T>((x > T{0}) - (x < T{0}));
  } else if constexpr (Code == op::floor) {
    return function::whole_below(x);
  } else if constexpr (Code == op::exp) {
    return function::exponential(x);
  } else if constexpr (Code == op::expm1) {
    return function::exponential_minus_1(x);
  } else if constexpr (Code == op::log) {
    return function::logarithm(x);
  } else if constexpr (Code == op::log1p) {
    return function::logarithm_of_1_plus(x);
  } else if constexpr (Code == op::sqrt) {
    return function::root(x);
  } else if constexpr (Code == op::rsqrt) {
    return function::inverse_root(x);
  } else if constexpr (Code == op::reciprocal) {
    return function::quotient(T{1}, x);
  } else if constexpr (Code == op::sin) {
    return sine(x);
  } else if constexpr (Code == op::cos) {
    return cosine(x);
  } else if constexpr (Code == op::tanh) {
    return function::hyperbolic_tangent(x);
  } else if constexpr (Code == op::sigmoid) {
    return function::logistic(x);
  } else if constexpr (Code == op::erf) {
    return function::error_function(x);
  } else if constexpr (Code == op::is_finite) {
    return function::magnitude(x) < infinity<T>();
  } else if constexpr (Code == op::is_nan) {
    return x != x;
  } else if constexpr (Code == op::logical_not) {
    return !x;
  } else {
    static_assert(Code == op::stop_gradient, "flame: an operation that kernels lack");
    return x;
  }
}

// NaN wins.
template <class T> __device__ __forceinline__ T larger(T a, T b) {
  if constexpr (is_float<T> && sizeof(T) == 4) {
    T y;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
    return y;
  } else if constexpr (is_float<T>) {
    return a > b || a != a ? a : b;
  } else {
    return a > b ? a : b;
  }
}
template <class T> __device__ __forceinline__ T smaller(T a, T b) {
  if constexpr (is_float<T> && sizeof(T) == 4) {
    T y;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
    return y;
  } else if constexpr (is_float<T>) {
    return a < b || a != a ? a : b;
  } else {
    return a < b ? a : b;
  }
}

// Integers wrap.
template <op Code, class T> __device__ __forceinline__ T ring(T a, T b) {
  if constexpr (is_float<T>) {
    return Code == op::add ? a + b : Code == op::sub ? a - b : a * b;
  } else {
    const u64 x = static_cast<u64>(a), y = static_cast<u64>(b);
    return static_cast<T>(Code == op::add ? x + y : Code == op::sub ? x - y : x * y);
  }
}

template <op Code, bool Quick, class T> __device__ __forceinline__ auto binary(T a, T b) {
  if constexpr (Quick && Code == op::div && sizeof(T) == 4)
    return quick::quotient(a, b);
  else if constexpr (Code == op::add || Code == op::sub || Code == op::mul)
    return ring<Code>(a, b);
  else if constexpr (Code == op::div && is_float<T>)
    return function::quotient(a, b);
  else if constexpr (Code == op::div)
    return a / b;
  else if constexpr (Code == op::pow)
    return function::power(a, b);
  else if constexpr (Code == op::minimum)
    return smaller(a, b);
  else if constexpr (Code == op::maximum)
    return larger(a, b);
  else if constexpr (Code == op::less)
    return a < b;
  else if constexpr (Code == op::less_equal)
    return a <= b;
  else if constexpr (Code == op::equal)
    return a == b;
  else if constexpr (Code == op::not_equal)
    return a != b;
  else if constexpr (Code == op::logical_and)
    return a && b;
  else {
    static_assert(Code == op::logical_or, "flame: an operation that kernels lack");
    return a || b;
  }
}

// Floating to integer: towards 0, the nearest end of the range outside of it, 0 for NaN, as the hardware
// converts.
template <class To, class From> __device__ __forceinline__ To convert(From x) {
  if constexpr (is_float<From> && !is_float<To> && sizeof(To) > 1) {
    if (x != x) return To{0};
    return static_cast<To>(x);
  } else if constexpr (sizeof(To) == 1) {
    return x != From{0};
  } else {
    return static_cast<To>(x);
  }
}

// ---- Reductions ----

template <class T> __device__ __forceinline__ T lowest() {
  if constexpr (is_float<T>)
    return -infinity<T>();
  else if constexpr (sizeof(T) == 1)
    return false;
  else
    return static_cast<T>(T{1} << (sizeof(T) * 8 - 1));
}
template <class T> __device__ __forceinline__ T highest() {
  if constexpr (is_float<T>)
    return infinity<T>();
  else if constexpr (sizeof(T) == 1)
    return true;
  else
    return static_cast<T>(~(T{1} << (sizeof(T) * 8 - 1)));
}

template <op Code, class T> struct reduction {
  using state = T;
  static __device__ __forceinline__ state none() {
    if constexpr (Code == op::sum) return T{0};
    if constexpr (Code == op::prod) return T{1};
    if constexpr (Code == op::max) return lowest<T>();
    if constexpr (Code == op::min) return highest<T>();
  }
  static __device__ __forceinline__ state of(T x, i64) { return x; }
  static __device__ __forceinline__ state both(state a, state b) {
    if constexpr (Code == op::sum) return ring<op::add>(a, b);
    if constexpr (Code == op::prod) return ring<op::mul>(a, b);
    if constexpr (Code == op::max) return larger(a, b);
    if constexpr (Code == op::min) return smaller(a, b);
  }
  static __device__ __forceinline__ T result(state a) { return a; }
};

// The first place of the largest; NaN is the largest of all.
template <class T> struct place_of {
  T value;
  i64 index;
};
template <class T> struct reduction<op::argmax, T> {
  using state = place_of<T>;
  static constexpr i64 nowhere = 0x7fffffffffffffffll;
  static __device__ __forceinline__ state none() { return {lowest<T>(), nowhere}; }
  static __device__ __forceinline__ state of(T x, i64 i) { return {x, i}; }
  static __device__ __forceinline__ state both(state a, state b) {
    bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan ? a : b;
    if (a_nan || a.value == b.value) return a.index <= b.index ? a : b;
    return a.value > b.value ? a : b;
  }
  static __device__ __forceinline__ i32 result(state a) {
    return a.index == nowhere ? 0 : static_cast<i32>(a.index);
  }
};

template <class T> __device__ __forceinline__ T shuffle(T x, int mask) {
  if constexpr (sizeof(T) == 1) {
    return __shfl_xor_sync(0xffffffffu, static_cast<int>(x), mask) != 0;
  } else {
    return __shfl_xor_sync(0xffffffffu, x, mask);
  }
}
template <class T> __device__ __forceinline__ place_of<T> shuffle(place_of<T> x, int mask) {
  return {shuffle(x.value, mask), shuffle(x.index, mask)};
}

}  // namespace flame::kernel
