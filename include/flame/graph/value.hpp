// Values of the reference evaluator: every number a double, every element type a set of doubles.
#pragma once
#include <cmath>
#include <flame/graph/extents.hpp>
#include <limits>
#include <utility>
#include <vector>

namespace flame {

// A tensor. Stacked instances lie one after another: their axes are the first of the shape. int64 beyond 2^53
// is not exact here.
struct value {
  tensor_type type;
  std::vector<i64> shape;    // of type.axes
  std::vector<double> data;  // row-major
  std::vector<u64> keys;     // instead of data, where the element type is key

  [[nodiscard]] i64 size() const {
    i64 n = 1;
    for (i64 extent : shape) n *= extent;
    return n;
  }
  [[nodiscard]] bool is_key() const { return type.element == dtype::key; }
  void resize() {
    if (is_key())
      keys.assign(static_cast<std::size_t>(size()), 0);
    else
      data.assign(static_cast<std::size_t>(size()), 0.0);
  }
  double& operator[](i64 i) { return data[static_cast<std::size_t>(i)]; }
  const double& operator[](i64 i) const { return data[static_cast<std::size_t>(i)]; }
  // Element i becomes element j of another value of this element type.
  void take(i64 i, const value& from, i64 j) {
    if (is_key())
      keys[static_cast<std::size_t>(i)] = from.keys[static_cast<std::size_t>(j)];
    else
      (*this)[i] = from[j];
  }
};

// A value for a leaf, which itself names the axes.
[[nodiscard]] inline value make_value(dtype element, std::vector<i64> shape, std::vector<double> data) {
  value v;
  v.type.element = element;
  v.shape = std::move(shape);
  v.data = std::move(data);
  return v;
}
[[nodiscard]] inline value make_key(u64 bits) {
  value v;
  v.type.element = dtype::key;
  v.keys = {bits};
  return v;
}

enum class rounding : u8 {
  none,            // floating numbers stay doubles, whatever their element type
  each_operation,  // every operation's result is rounded to its element type
};

namespace reference {

// The integer as its element type holds it: modulo 2^bits.
[[nodiscard]] inline double wrapped(u64 x, dtype d) {
  switch (d) {
    case dtype::int32: return static_cast<double>(static_cast<i32>(static_cast<u32>(x)));
    case dtype::uint8: return static_cast<double>(static_cast<u8>(x));
    default: return static_cast<double>(static_cast<i64>(x));
  }
}

// The nearest number of a floating element type, ties to even; half types by way of f32, as they are
// computed.
[[nodiscard]] inline double rounded(double x, dtype d) {
  switch (d) {
    case dtype::f32: return static_cast<double>(static_cast<float>(x));
    case dtype::bf16: return static_cast<double>(static_cast<float>(bf16(static_cast<float>(x))));
    case dtype::f16: return static_cast<double>(static_cast<float>(f16(static_cast<float>(x))));
    default: return x;
  }
}

// The integer that a double holds; int64's ends, which a double rounds away from 0, stay in range.
[[nodiscard]] inline i64 integer(double x) {
  return x >= 0x1p63 ? std::numeric_limits<i64>::max() : static_cast<i64>(x);
}

[[nodiscard]] inline double lowest(dtype d) {
  if (d == dtype::int32) return -0x1p31;
  if (d == dtype::int64) return -0x1p63;
  return is_floating(d) ? -std::numeric_limits<double>::infinity() : 0;
}
[[nodiscard]] inline double highest(dtype d) {
  switch (d) {
    case dtype::int32: return 0x1p31 - 1;
    case dtype::int64: return 0x1p63;  // 2^63 - 1 is no double
    case dtype::uint8: return 255;
    case dtype::boolean: return 1;
    default: return std::numeric_limits<double>::infinity();
  }
}

// A number of one element type in another. To boolean: is it not 0. Floating to integer: towards 0, the
// nearest end of the range where it lies outside, 0 for NaN. Between integers: modulo 2^bits.
[[nodiscard]] inline double converted(double x, dtype from, dtype to) {
  if (is_floating(to)) return x;
  if (to == dtype::boolean) return x != 0;
  if (!is_floating(from)) return wrapped(static_cast<u64>(integer(x)), to);
  if (std::isnan(x)) return 0;
  return std::fmin(std::fmax(std::trunc(x), lowest(to)), highest(to));
}

// Named axes, walked over in row-major order.
struct space {
  list<const axis_info*> axes;
  std::vector<i64> extents;

  void add(const axis_info* a, i64 extent) {
    if (axes.has(a)) return;
    axes.push(a);
    extents.push_back(extent);
  }
  void add(const value& v) {
    for (int i = 0; i < v.type.rank; ++i) add(v.type.axes[i], v.shape[static_cast<std::size_t>(i)]);
  }
  // How far apart elements of v lie along each axis of this space; 0 along axes that v lacks.
  [[nodiscard]] std::vector<i64> strides(const value& v) const {
    std::vector<i64> s(extents.size(), 0);
    i64 stride = 1;
    for (int i = v.type.rank - 1; i >= 0; --i) {
      int at = axes.find(v.type.axes[i]);
      if (at >= 0) s[static_cast<std::size_t>(at)] = stride;
      stride *= v.shape[static_cast<std::size_t>(i)];
    }
    return s;
  }
  // body(position), a position being one index for each axis.
  template <class Body> void each(Body body) const {
    for (i64 extent : extents)
      if (extent == 0) return;
    std::vector<i64> at(extents.size(), 0);
    for (;;) {
      body(static_cast<const std::vector<i64>&>(at));
      std::size_t i = at.size();
      while (i > 0 && ++at[i - 1] == extents[i - 1]) at[--i] = 0;
      if (i == 0) return;
    }
  }
};

[[nodiscard]] inline i64 offset(const std::vector<i64>& at, const std::vector<i64>& strides) {
  i64 o = 0;
  for (std::size_t i = 0; i < at.size(); ++i) o += at[i] * strides[i];
  return o;
}

}  // namespace reference
}  // namespace flame
