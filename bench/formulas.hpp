// The maps that bench/gpu_groups measures, and whose kernels' code tests/cuda/code reads: of a, b, c, d, all
// contiguous, or with a row vector added to a, or with b permuted.
#pragma once
#include <flame/language.hpp>

namespace formula {

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;

struct relu_of_sum {
  constexpr auto operator()(auto a, auto b, auto, auto) const { return relu(a + b); }
};
struct relu_alone {
  constexpr auto operator()(auto a, auto, auto, auto) const { return relu(a); }
};
struct add {
  constexpr auto operator()(auto a, auto b, auto, auto) const { return a + b; }
};
struct bias_gelu {
  constexpr auto operator()(auto a, auto b, auto, auto) const { return gelu(a + b); }
};
// The gradients of a gelu(b) with respect to a and b, given that of the result.
struct geglu_backward {
  constexpr auto operator()(auto a, auto b, auto c, auto) const {
    auto cdf = 0.5 * (1_c + erf(0.70710678118654752440 * b));
    return outputs(c * b * cdf, c * a * (cdf + b * exp(-0.5 * b * b) * 0.39894228040143267794));
  }
};
struct swiglu {
  constexpr auto operator()(auto a, auto b, auto, auto) const { return a * sigmoid(a) * b; }
};
struct tanh_backward {
  constexpr auto operator()(auto a, auto b, auto, auto) const { return b * (1_c - a * a); }
};
struct polynomial {
  constexpr auto operator()(auto a, auto b, auto c, auto) const {
    return ((((((((((0.1 * a - 0.2) * a + 0.3) * a - 0.4) * a + 0.5) * a - 0.6) * a + 0.7) * a - 0.8) * a +
              0.9) *
                 a -
             1.0) *
                a +
            1.1) *
               b +
           c;
  }
};
// Adam's step of a parameter, without its moments.
struct adam {
  constexpr auto operator()(auto a, auto b, auto c, auto d) const {
    return a - 0.001 * (0.9 * b + 0.1 * d) / (sqrt(0.999 * (c * c) + 0.001 * (d * d)) + 1e-8);
  }
};
// AdamW: parameter, gradient and both moments in, parameter and moments out. The second moment is c * c, so
// that random numbers are none below 0.
struct adamw {
  constexpr auto operator()(auto p, auto g, auto m, auto c) const {
    auto first = 0.9 * m + 0.1 * g, second = 0.999 * (c * c) + 0.001 * (g * g);
    return outputs(p * 0.99999 - 0.001 * (first * 1.1) / (sqrt(second * 1.2) + 1e-8), first, second);
  }
};
// 30 operations and more, among them eleven functions.
struct chain {
  constexpr auto operator()(auto p, auto q, auto r, auto) const {
    auto first = exp(p * q) + sin(r) * cos(p) - tanh(q);
    auto second = sigmoid(first) * r + sqrt(abs(first) + 1_c) / (q * q + 2_c);
    auto third = where(first < second, log1p(exp(second)), maximum(first, r));
    auto fourth = third * third + erf(third) - rsqrt(abs(p) + 1_c) * second;
    return outputs(fourth + first * q, -third / (1_c + third * third));
  }
};
template <class F> struct with_row {
  constexpr auto operator()(auto a, auto v, auto b, auto c, auto d) const { return F{}(a + v, b, c, d); }
};
template <class F> struct permuted {
  constexpr auto operator()(auto a, auto b, auto c, auto d) const {
    return F{}(a, permute(b, row, col), c, d);
  }
};

// use.operator()<F, Alone>(name) for each: F in all layouts but for the contiguous one, which is Alone's.
template <class Use> void each(Use&& use) {
  use.template operator()<relu_of_sum, relu_alone>("relu");
  use.template operator()<add, add>("add");
  use.template operator()<bias_gelu, bias_gelu>("bias_gelu");
  use.template operator()<swiglu, swiglu>("swiglu");
  use.template operator()<tanh_backward, tanh_backward>("tanh_backward");
  use.template operator()<geglu_backward, geglu_backward>("geglu_backward");
  use.template operator()<polynomial, polynomial>("polynomial");
  use.template operator()<adam, adam>("adam");
  use.template operator()<adamw, adamw>("adamw");
  use.template operator()<chain, chain>("chain");
}

}  // namespace formula
