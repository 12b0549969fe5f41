// How a parameter begins. The defaults of the modules are PyTorch's.
#pragma once
#include <flame/base/error.hpp>
#include <flame/expr/operand.hpp>
#include <flame/graph/names.hpp>

#include <string>

namespace flame::initial {

enum class kind : unsigned char { zeros, ones, uniform, normal, constant };

// What a rule comes to, once the extents are known: uniform in [-scale, scale], normal with deviation scale,
// or scale.
struct rule {
  initial::kind kind = initial::kind::zeros;
  double scale = 0;
};

template <class Axis>
concept derived_axis = requires {
  Axis::derived([](auto) { return i64(1); });
};

// The extent of an axis, of which Extent knows those that are not made of others (expr/derived_axis.hpp).
template <class Axis, class Extent> i64 extent_along(const Extent& extent) {
  if constexpr (derived_axis<Axis>) {
    std::string made_of;
    const i64 n = Axis::derived([&]<class A>(A) {
      const i64 of = extent_along<A>(extent);
      made_of += (made_of.empty() ? "" : " and ") + std::to_string(of);
      return of;
    });
    if (n < 0)
      throw error("flame::init: axis " + string_of(axis_ptr<Axis>) + " is a part of an axis of extent " +
                  made_of + ", which it does not divide");
    return n;
  } else {
    return extent(axis_ptr<Axis>);
  }
}

struct zeros {
  template <class Extent> static rule value(const Extent&) { return {kind::zeros, 0}; }
};
struct ones {
  template <class Extent> static rule value(const Extent&) { return {kind::ones, 0}; }
};
// Normal with this deviation in thousandths: PyTorch's embedding is normal<1000>.
template <int Thousandths> struct normal {
  template <class Extent> static rule value(const Extent&) { return {kind::normal, Thousandths / 1000.0}; }
};
// Uniform in +-1/sqrt(fan), fan the product of these axes: what PyTorch's kaiming_uniform with a = sqrt(5)
// comes to for the weights and the bias of linear and convolution (He et al. 2015).
template <class... Axes> struct fan_in {
  template <class Extent> static rule value(const Extent& extent) {
    double n = (1.0 * ... * static_cast<double>(extent_along<Axes>(extent)));
    return {kind::uniform, n > 0 ? 1 / __builtin_sqrt(n) : 0};
  }
};

}  // namespace flame::initial
