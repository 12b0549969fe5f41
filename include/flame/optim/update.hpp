// What a training step does to the parameters, as functions: clipping, the optimizer's formula, the moving
// average.
#pragma once
#include <flame/optim/optimizer.hpp>

namespace flame::detail {

// The factor that scales gradients down to a norm: min(largest / (|g| + 1e-6), 1), as PyTorch's
// clip_grad_norm_.
struct clip_function {
  constexpr auto operator()(const auto& g, const auto& largest) const {
    return minimum(largest / (sqrt(sum(g * g)) + 1e-6), 1.0);
  }
};

// Operands: parameter, gradient, moments, the optimizer's numbers, the clipping factor, and with a moving
// average it and its decay. Outputs: parameter, moments, moving average.
template <class Optimizer, bool Averaged> struct update_function {
  template <std::size_t... M, std::size_t... N>
  static constexpr auto run(const auto& p, const auto& g, const auto& rest, std::index_sequence<M...>,
                            std::index_sequence<N...>) {
    constexpr std::size_t factor = sizeof...(M) + sizeof...(N);
    auto out = Optimizer::update(p, g * std::get<factor>(rest), std::get<M>(rest)...,
                                 std::get<sizeof...(M) + N>(rest)...);
    if constexpr (Averaged) {
      const auto& average = std::get<factor + 1>(rest);
      return std::tuple_cat(
          out, std::tuple{average + (1.0 - std::get<factor + 2>(rest)) * (std::get<0>(out) - average)});
    } else {
      return out;
    }
  }
  constexpr auto operator()(const auto& p, const auto& g, const auto&... rest) const {
    return run(p, g, std::tuple{rest...}, std::make_index_sequence<Optimizer::moments>{},
               std::make_index_sequence<Optimizer::number_count>{});
  }
};

template <class T, std::size_t> using repeated = T;

template <class Optimizer, class Element> struct updates_of {
  using flat = shape<Element, tag_of<flat_axis>>;
  using number = shape<Element>;
  template <bool Averaged, class... S> static constexpr const function_info* info(types<S...>) {
    return function_of<update_function<Optimizer, Averaged>, S...>;
  }
  template <bool Averaged, std::size_t... M, std::size_t... N>
  static constexpr const function_info* make(std::index_sequence<M...>, std::index_sequence<N...>) {
    return info<Averaged>(
        typename concat<types<flat, flat, repeated<flat, M>..., repeated<number, N>..., number>,
                        std::conditional_t<Averaged, types<flat, number>, types<>>>::type{});
  }
  template <bool Averaged>
  static constexpr const function_info* value = make<Averaged>(
      std::make_index_sequence<Optimizer::moments>{}, std::make_index_sequence<Optimizer::number_count>{});
  static constexpr const function_info* clip = function_of<clip_function, flat, number>;
};

}  // namespace flame::detail
