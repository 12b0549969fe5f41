// How a parameter begins. The defaults of the modules are PyTorch's.
#pragma once
#include <flame/expr/operand.hpp>

namespace flame::initial {

enum class kind : unsigned char { zeros, ones, uniform, normal, constant };

// What a rule comes to, once the extents are known: uniform in [-scale, scale], normal with deviation scale,
// or scale.
struct rule {
  initial::kind kind = initial::kind::zeros;
  double scale = 0;
};

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
    double n = (1.0 * ... * static_cast<double>(extent(axis_ptr<Axes>)));
    return {kind::uniform, n > 0 ? 1 / __builtin_sqrt(n) : 0};
  }
};

}  // namespace flame::initial
