// Layers one after another, and activations as layers.
#pragma once
#include <flame/expr/activation.hpp>

#include <tuple>

namespace flame {

template <class... Layers> struct sequence {
  std::tuple<Layers...> layers;

  constexpr auto operator()(const auto& x) const { return run<0>(x); }

 private:
  template <std::size_t I> constexpr auto run(const auto& x) const {
    if constexpr (I == sizeof...(Layers))
      return x;
    else
      return run<I + 1>(std::get<I>(layers)(x));
  }
};

// sequential(f, g, h)(x) = h(g(f(x))): of members of a model, activations, lambdas. The members keep their
// paths.
template <class... Layers> constexpr sequence<Layers...> sequential(const Layers&... layers) {
  return {{layers...}};
}

// The functions of the same names as objects, which can be handed on: sequential(fc1, activation::relu, fc2).
namespace activation {
#define FLAME_ACTIVATION(name)                                                \
  inline constexpr struct name##_type {                                       \
    constexpr auto operator()(const auto& x) const { return flame::name(x); } \
  } name;
FLAME_ACTIVATION(relu)
FLAME_ACTIVATION(gelu)
FLAME_ACTIVATION(gelu_tanh)
FLAME_ACTIVATION(silu)
FLAME_ACTIVATION(softplus)
FLAME_ACTIVATION(sigmoid)
FLAME_ACTIVATION(tanh)
FLAME_ACTIVATION(quick_gelu)
FLAME_ACTIVATION(leaky_relu)
FLAME_ACTIVATION(elu)
FLAME_ACTIVATION(mish)
FLAME_ACTIVATION(hardsigmoid)
FLAME_ACTIVATION(hardswish)
#undef FLAME_ACTIVATION
}  // namespace activation

}  // namespace flame
