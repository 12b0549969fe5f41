// Copies between memory of any strides, zeros, and sums of products one element at a time.
#pragma once
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

inline constexpr int axes_room = 16;

// Axes with their strides in two operands; the last is the fastest.
struct two_strides {
  i32 rank;
  i64 extents[axes_room], first[axes_room], second[axes_room];

  // Where element n lies.
  FLAME_DEVICE void place(i64 n, i64& at_first, i64& at_second) const {
    at_first = at_second = 0;
    for (int i = rank - 1; i > 0; --i) {
      const i64 at = split(n, extents[i]);
      at_first += at * first[i], at_second += at * second[i];
    }
    if (rank > 0) at_first += n * first[0], at_second += n * second[0];
  }
};

template <int Bytes> struct unit;
template <> struct unit<1> { using type = u8; };
template <> struct unit<2> { using type = u16; };
template <> struct unit<4> { using type = u32; };
template <> struct unit<8> { using type = u64; };
template <> struct unit<16> {
  struct alignas(16) type {
    u64 low, high;
  };
};

// to[second] = from[first], units of Bytes bytes.
template <int Bytes> FLAME_KERNEL void copy(two_strides axes, i64 count, const void* from, void* to) {
  using type = typename unit<Bytes>::type;
  const i64 n = thread_number();
  if (n >= count) return;
  i64 source, result;
  axes.place(n, source, result);
  static_cast<type*>(to)[result] = static_cast<const type*>(from)[source];
}

// to[second] = 0.
template <int Bytes> FLAME_KERNEL void fill_zeros(two_strides axes, i64 count, void* to) {
  using type = typename unit<Bytes>::type;
  const i64 n = thread_number();
  if (n >= count) return;
  i64 source, result;
  axes.place(n, source, result);
  static_cast<type*>(to)[result] = type{};
}

// A contraction: axes of out with their strides in a and b, and where they lie in out; axes that are summed.
struct direct_contraction {
  i32 rank;
  i64 extents[axes_room], a[axes_room], b[axes_room], out[axes_room], bias[axes_room];
  two_strides summed;  // in a and b
  i64 count, depth;    // elements of out, and of each sum
  i32 accumulate;
  double scale;
};

// out = scale * sums of products, in the order of k, + bias, one thread an element.
template <int Element>
FLAME_KERNEL void contract_direct(direct_contraction c, const void* a, const void* b, const void* bias,
                                  void* out) {
  using type = number<Element>;
  using stored = typename type::stored;
  i64 n = thread_number();
  if (n >= c.count) return;
  i64 at_a = 0, at_b = 0, at_out = 0, at_bias = 0;
  for (int i = c.rank - 1; i >= 0; --i) {
    const i64 at = split(n, c.extents[i]);
    at_a += at * c.a[i], at_b += at * c.b[i], at_out += at * c.out[i], at_bias += at * c.bias[i];
  }
  typename type::sum sum = 0;
  for (i64 k = 0; k < c.depth; ++k) {
    i64 in_a, in_b;
    c.summed.place(k, in_a, in_b);
    sum += type::widen(static_cast<const stored*>(a)[at_a + in_a]) *
           type::widen(static_cast<const stored*>(b)[at_b + in_b]);
  }
  sum *= static_cast<typename type::sum>(c.scale);
  if (bias) sum += type::widen(static_cast<const stored*>(bias)[at_bias]);
  stored* to = static_cast<stored*>(out) + at_out;
  *to = type::narrow(c.accumulate ? type::widen(*to) + sum : sum);
}

}  // namespace flame::kernel
