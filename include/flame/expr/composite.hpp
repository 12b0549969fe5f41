// Composites: written in the language, so that their derivatives and their speed come from it.
#pragma once
#include <flame/expr/hold_once.hpp>
#include <flame/expr/reduce.hpp>

namespace flame {

namespace detail {

// How many elements these axes have is known now, and they are more than Least.
template <class Axes, int Least = 0> inline constexpr bool counted = false;
template <class... Axes, int Least>
inline constexpr bool counted<on_axes<Axes...>, Least> = ((Axes::extent != dynamic) && ...) &&
                                                         (1.0 * ... * Axes::extent) > Least;

template <class Element, class Like, class... Axes> constexpr auto count(const Like& like, on_axes<Axes...>) {
  if constexpr (((Axes::extent != dynamic) && ...))
    return structural_of<Element, bits_of((1.0 * ... * Axes::extent))>{};
  else
    return (extent<Element>(Axes{}, like) * ...);
}

}  // namespace detail

// mean(x) = sum(x) / count; over all axes sum(x / count), which ends in one reduction, and in which the sum
// of many numbers of 16 bits does not overflow. Of nothing the first is NaN, as in PyTorch, and the second 0:
// a loss stays one kernel, and that of an empty batch is 0.
template <operand_type A, axis... Axes> constexpr auto mean(const A& x, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::mean(x, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) {
    using E = element_of<shape_of<A>>;
    auto n = detail::count<E>(x, typename detail::reduced<A, Axes...>::type{});
    if constexpr (sizeof...(Axes) == 0 || sizeof...(Axes) == shape_of<A>::rank)
      return sum(x / n, axes...);
    else
      return sum(x, axes...) / n;
  }
}

// var(x) = sum((x - mean x)^2) / max(count - Correction, 0); 1 as in PyTorch, 0 for norms. Of no more than
// Correction elements NaN, as in PyTorch.
template <int Correction = 1, operand_type A, axis... Axes>
constexpr auto var(const A& x, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::var(x, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) {
    FLAME_HOLD_ONCE(x, var<Correction>(once, axes...)) {
      using E = element_of<shape_of<A>>;
      auto centred = x - mean(x, axes...);
      auto n = detail::count<E>(x, typename detail::reduced<A, Axes...>::type{});
      if constexpr (Correction == 0)
        return sum(centred * centred, axes...) / n;
      else if constexpr (detail::counted<typename detail::reduced<A, Axes...>::type, Correction>)
        return sum(centred * centred, axes...) /
               (n - structural_of<E, bits_of(static_cast<double>(Correction))>{});
      else
        return sum(centred * centred, axes...) /
               maximum(n - structural_of<E, bits_of(static_cast<double>(Correction))>{},
                       structural_of<E, 0>{});
    }
  }
}

// logsumexp(x) = m + log sum exp(x - m), m = max x
template <operand_type A, axis... Axes> constexpr auto logsumexp(const A& x, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::logsumexp(x, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) {
    FLAME_HOLD_ONCE(x, logsumexp(once, axes...)) {
      auto top = stop_gradient(max(x, axes...));
      auto m = where(isfinite(top), top, structural_of<element_of<shape_of<A>>, 0>{});
      return m + log(sum(exp(x - m), axes...));
    }
  }
}

// softmax(x) = exp(x - max x) / sum exp(x - max x)
template <operand_type A, axis... Axes> constexpr auto softmax(const A& x, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::softmax(x, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) {
    FLAME_HOLD_ONCE(x, softmax(once, axes...)) {
      auto e = exp(x - stop_gradient(max(x, axes...)));
      return e / sum(e, axes...);
    }
  }
}

// log_softmax(x) = x - max x - log sum exp(x - max x)
template <operand_type A, axis... Axes> constexpr auto log_softmax(const A& x, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::log_softmax(x, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) {
    FLAME_HOLD_ONCE(x, log_softmax(once, axes...)) {
      auto centred = x - stop_gradient(max(x, axes...));
      return centred - log(sum(exp(centred), axes...));
    }
  }
}

namespace detail {

// Whether these are the last axes of a tensor: then a group of numbers lies in one piece.
template <class Shape, class... Axes>
inline constexpr bool are_last = ((Shape::value().find(axis_ptr<std::remove_cvref_t<Axes>>) >=
                                   Shape::rank - static_cast<int>(sizeof...(Axes))) &&
                                  ...);

// Mean and variance (divided by the count) over axes.
template <class Mean, class Variance> struct moments_of {
  Mean mean;
  Variance variance;
};
// Both sums in one pass, of columns, where what is left of a first pass is not at hand in the second:
// variance = mean x^2 - (mean x)^2. Sums are f64, in which the square of an f32 number is exact: an error of
// 1e-16 (1 + mean^2 / variance) or so, below f32's own up to a mean of 1e4 deviations, where x itself has
// lost as much. In f32 it would be wrong at 30; a shift by a number of the group, which must be there, at
// sqrt(count) if that one lies alone. Of equal numbers the variance is 0 but for 1e-16 mean^2, and never
// negative.
template <operand_type A, axis... Axes> constexpr auto moments(const A& x, const Axes&... axes) {
  using E = element_of<shape_of<A>>;
  auto wide = cast<f64>(x);
  auto m = mean(wide, axes...);
  auto v = maximum(mean(wide * wide, axes...) - m * m, structural_of<f64, 0>{});
  auto of_x = cast<E>(m);
  auto variance = cast<E>(v);
  return moments_of<decltype(of_x), decltype(variance)>{of_x, variance};
}

}  // namespace detail

// layer_norm(x) = (x - mean x) / sqrt(mean (x - mean x)^2 + eps), over the given axes (Ba et al. 2016)
template <operand_type A, axis... Axes>
constexpr auto layer_norm(const A& x, double eps, const Axes&... axes) {
  FLAME_COMPOSITE_REFUSALS("flame::layer_norm(x, eps, axes...)", shape_of<A>, Axes);
  if constexpr (detail::composes<shape_of<A>, Axes...>) {
    FLAME_HOLD_ONCE(x, layer_norm(once, eps, axes...)) {
      if constexpr (sizeof...(Axes) > 0 && !detail::are_last<shape_of<A>, Axes...>) {
        const auto of_x = detail::moments(x, axes...);
        return (x - of_x.mean) * rsqrt(of_x.variance + eps);
      } else {
        auto centred = x - mean(x, axes...);
        return centred * rsqrt(mean(centred * centred, axes...) + eps);
      }
    }
  }
}

// relu(x) = max(x, 0); NaN stays NaN, the derivative at 0 is 0.
template <operand_type A> constexpr auto relu(const A& x) {
  FLAME_HOLD_ONCE(x, relu(once)) {
    using zero = structural_of<element_of<shape_of<A>>, 0>;
    return where(x <= zero{}, zero{}, x);
  }
}
// silu(x) = x sigmoid(x)
template <operand_type A> constexpr auto silu(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::silu(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, silu(once)) { return x * sigmoid(x); }
}
// gelu(x) = x (1 + erf(x / sqrt 2)) / 2
template <operand_type A> constexpr auto gelu(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::gelu(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, gelu(once)) {
    using E = element_of<shape_of<A>>;
    return structural_of<E, bits_of(0.5)>{} * x *
           (structural_of<E, bits_of(1.0)>{} + erf(structural_of<E, bits_of(0.70710678118654752440)>{} * x));
  }
}
// gelu_tanh(x) = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
template <operand_type A> constexpr auto gelu_tanh(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::gelu_tanh(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, gelu_tanh(once)) {
    using E = element_of<shape_of<A>>;
    auto inner = structural_of<E, bits_of(0.79788456080286535588)>{} *
                 (x + structural_of<E, bits_of(0.044715)>{} * x * x * x);
    return structural_of<E, bits_of(0.5)>{} * x * (structural_of<E, bits_of(1.0)>{} + tanh(inner));
  }
}
// softplus(x) = log(1 + exp x), without overflow
template <operand_type A> constexpr auto softplus(const A& x) {
  FLAME_ACTIVATION_REFUSALS("flame::softplus(x)", shape_of<A>);
  FLAME_HOLD_ONCE(x, softplus(once)) {
    using E = element_of<shape_of<A>>;
    return maximum(x, structural_of<E, 0>{}) + log1p(exp(-abs(x)));
  }
}
// clamp(x, low, high): NaN stays NaN; the derivative passes inside and at the edges, not at NaN, as in
// PyTorch.
template <operand_type A, class L, class H> constexpr auto clamp(const A& x, const L& low, const H& high) {
  auto outside = where(x < low, low, where(high < x, high, stop_gradient(x)));
  return where(low <= x && x <= high, x, outside);
}

// lerp(a, b, t) = a + t (b - a)
template <operand_type A, operand_type B, class T> constexpr auto lerp(const A& a, const B& b, const T& t) {
  return a + t * (b - a);
}

namespace detail {
// The index, which must lie in the axis or be the ignored one: what compares an index refuses as what follows
// it.
template <indexed_by By, class Axis, operand_type I, operand_type... N>
constexpr auto in_range(const I& index, const N&... ignored) {
  return emit<op::in_range, on_axes<Axis>, with_numbers<static_cast<u64>(By)>>(index, ignored...);
}
}  // namespace detail

// one_hot(index, axis): 1 where the axis's position is the index, else 0. An index outside of the axis is an
// error.
template <element Element = f32, operand_type I, axis Axis>
constexpr auto one_hot(const I& index, const Axis& a) {
  static_assert(is_integer(dtype_of<element_of<shape_of<I>>>),
                "flame::one_hot(index, axis): the index must have an integer element type");
  if constexpr (is_integer(dtype_of<element_of<shape_of<I>>>)) {
    auto checked = detail::in_range<indexed_by::one_hot, std::remove_cvref_t<Axis>>(index);
    return cast<Element>(emit<op::equal>(checked, iota<element_of<shape_of<I>>>(a, index)));
  }
}

namespace detail {

template <class Logits, class Label> struct class_axis;
template <class E, class... X, class F, class... Y> struct class_axis<shape<E, X...>, shape<F, Y...>> {
  template <class Axis> static constexpr bool in_label = (std::is_same_v<Axis, Y> || ...);
  using extra = typename concat<std::conditional_t<in_label<X>, types<>, types<X>>...>::type;
  static constexpr bool one = extra::size == 1 && sizeof...(X) == sizeof...(Y) + 1;
  template <class First, class... Rest> static First first(types<First, Rest...>);
  static void first(types<>);
  using type = decltype(first(extra{}));
};

}  // namespace detail

// cross_entropy(logits, label) = mean over the labels of logsumexp(logits) - logits[label]; the axis of the
// classes is the one that the labels lack. label: integers in [0, classes); another is an error, as an index
// that gather follows is. Labels that count for nothing, as PyTorch's -100: cross_entropy(logits, label, {})
// in expr/loss.hpp.
template <operand_type A, operand_type L> constexpr auto cross_entropy(const A& logits, const L& label) {
  using axes = detail::class_axis<shape_of<A>, shape_of<L>>;
  static_assert(axes::one, "flame::cross_entropy(logits, label): label must have the axes of logits but one");
  static_assert(is_integer(dtype_of<element_of<shape_of<L>>>),
                "flame::cross_entropy(logits, label): label must have an integer element type");
  if constexpr (axes::one && is_integer(dtype_of<element_of<shape_of<L>>>)) {
    using classes = typename axes::type;
    using E = element_of<shape_of<A>>;
    auto checked = detail::in_range<indexed_by::cross_entropy, classes>(label);
    auto hit = emit<op::equal>(checked, iota<element_of<shape_of<L>>>(classes{}, logits));
    auto chosen = sum(where(hit, logits, structural_of<E, 0>{}), classes{});
    return mean(logsumexp(logits, classes{}) - chosen);
  }
}

namespace detail {
template <operand_type A> constexpr auto square(const A& x) {
  FLAME_HOLD_ONCE(x, square(once)) { return x * x; }
}
}  // namespace detail

// mse(a, b) = mean (a - b)^2
template <operand_type A, operand_type B> constexpr auto mse(const A& a, const B& b) {
  static_assert(detail::nested<shape_of<A>, shape_of<B>>,
                "flame::mse(a, b): the axes of one operand must contain the axes of the other");
  return mean(detail::square(a - b));
}

}  // namespace flame
