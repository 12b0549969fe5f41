// Activations beyond composite.hpp's, and gated linear units.
#pragma once
#include <flame/expr/arrange.hpp>

namespace flame {

// quick_gelu(x) = x sigmoid(1.702 x), CLIP-L's (Hendrycks and Gimpel 2016)
template <operand_type A> constexpr auto quick_gelu(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::quick_gelu(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, quick_gelu(once)) { return x * sigmoid(structural<bits_of(1.702)>{} * x); }
}

// leaky_relu(x) = x for x > 0, else slope x; the derivative at 0 is the slope, as in PyTorch (Maas et al.
// 2013).
template <operand_type A> constexpr auto leaky_relu(const A& x, double slope = 0.01) {
  FLAME_ACTIVATION_REFUSALS("flame::leaky_relu(x, slope)", shape_of<A>);
  FLAME_HOLD_ONCE(x, leaky_relu(once, slope)) {
    using zero = structural_of<element_of<shape_of<A>>, 0>;
    return where(x > zero{}, x, x * slope);
  }
}

// elu(x) = x for x > 0, else alpha (exp x - 1); the derivative at 0 is alpha, as in PyTorch (Clevert et al.
// 2015).
template <operand_type A> constexpr auto elu(const A& x, double alpha = 1) {
  FLAME_ACTIVATION_REFUSALS("flame::elu(x, alpha)", shape_of<A>);
  FLAME_HOLD_ONCE(x, elu(once, alpha)) {
    using zero = structural_of<element_of<shape_of<A>>, 0>;
    auto above = x > zero{};
    return where(above, x,
                 expm1(where(above, zero{}, x)) * alpha);  // nothing overflows in the branch not taken
  }
}

// mish(x) = x tanh(softplus x) (Misra 2019)
template <operand_type A> constexpr auto mish(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::mish(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, mish(once)) { return x * tanh(softplus(x)); }
}

// log_sigmoid(x) = log sigmoid x = -softplus(-x)
template <operand_type A> constexpr auto log_sigmoid(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::log_sigmoid(x)", shape_of<A>);
  return -softplus(-x);
}

// hardsigmoid(x) = clamp(x / 6 + 1 / 2, 0, 1); the derivative at -3 and 3 is 0, as in PyTorch.
template <operand_type A> constexpr auto hardsigmoid(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::hardsigmoid(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, hardsigmoid(once)) {
    using E = element_of<shape_of<A>>;
    auto inside = x * structural_of<E, bits_of(1.0 / 6)>{} + structural_of<E, bits_of(0.5)>{};
    auto low = where(x <= structural_of<E, bits_of(-3.0)>{}, structural_of<E, 0>{}, inside);
    return where(structural_of<E, bits_of(3.0)>{} <= x, structural_of<E, bits_of(1.0)>{}, low);
  }
}

// hardswish(x) = x hardsigmoid(x) (Howard et al. 2019); the derivative at -3 is 0 and at 3 is 1, as in
// PyTorch.
template <operand_type A> constexpr auto hardswish(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::hardswish(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, hardswish(once)) {
    using E = element_of<shape_of<A>>;
    auto inside = x * (x * structural_of<E, bits_of(1.0 / 6)>{} + structural_of<E, bits_of(0.5)>{});
    auto low = where(x <= structural_of<E, bits_of(-3.0)>{}, structural_of<E, 0>{}, inside);
    return where(structural_of<E, bits_of(3.0)>{} <= x, x, low);
  }
}

#define FLAME_GATED(name, activated, other)                                                    \
  template <operand_type A, operand_type B> constexpr auto name(const A& a, const B& b) {      \
    FLAME_ACTIVATION_REFUSALS("flame::" #name "(a, b)", shape_of<A>);                          \
    static_assert(detail::nested<shape_of<A>, shape_of<B>>,                                    \
                  "flame::" #name "(a, b): the axes of one operand must contain the other's"); \
    if constexpr (detail::nested<shape_of<A>, shape_of<B>>) return activated * other;          \
  }

// geglu(a, b) = a gelu(b) (Shazeer 2020): SDXL's feed-forward, in which the second operand is the gate.
FLAME_GATED(geglu, a, gelu(b))
// geglu_tanh(a, b) = a gelu_tanh(b)
FLAME_GATED(geglu_tanh, a, gelu_tanh(b))
// swiglu(a, b) = silu(a) b (Shazeer 2020): the first operand is the gate, as in w2(silu(w1 x) w3 x).
FLAME_GATED(swiglu, silu(a), b)
#undef FLAME_GATED

// The same of the halves of an axis, first half and second half, as one projection gives them: geglu(h, wide,
// narrow) with the axis `to` half as long as `from`.
template <operand_type A, axis From, axis To>
constexpr auto geglu(const A& x, const From& from, const To& to) {
  auto parts = chunk<2>(x, from, to);
  return geglu(std::get<0>(parts), std::get<1>(parts));
}
template <operand_type A, axis From, axis To>
constexpr auto swiglu(const A& x, const From& from, const To& to) {
  auto parts = chunk<2>(x, from, to);
  return swiglu(std::get<0>(parts), std::get<1>(parts));
}

}  // namespace flame
