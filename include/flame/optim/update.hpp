// What a training step does to the parameters, as functions: clipping, the optimizer's formula, the moving
// average, the scale of a loss whose gradients have 16 bits.
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

// The scale of a loss whose gradients g have few exponents, as PyTorch's GradScaler: where every gradient is
// finite the step is taken, and after `interval` such steps the scale grows; else the step is left out, and
// the scale shrinks. Gives the scale of the next loss, good steps since it changed, steps left out, the scale
// of these g, the factor that undoes it and clips, and 1 or 0 for whether the step is taken: one tensor, so
// that it is one kernel.
inline constexpr struct scaling_axis : dim<6> {
} scaling_axis;
struct scaling_function {
  constexpr auto operator()(const auto& g, const auto& largest, const auto& growth, const auto& backoff,
                            const auto& interval, const auto& scale, const auto& good,
                            const auto& skipped) const {
    auto norm = sqrt(sum(g * g));
    auto finite = isfinite(norm);
    auto factor = minimum(largest / (norm / scale + 1e-6), 1.0) / scale;
    auto larger = scale * growth;
    auto grows = good + 1.0 >= interval;
    auto next = where(finite, where(grows && isfinite(larger), larger, scale), scale * backoff);
    using E = element_of<shape_of<decltype(scale)>>;
    const auto i = iota<E>(scaling_axis, scale);
    const structural_of<E, bits_of(1.0)> one{};
    const structural_of<E, bits_of(0.0)> zero{};
    return where(i < 0.5, next,
                 where(i < 1.5, where(finite && !grows, good + one, zero),
                       where(i < 2.5, where(finite, skipped, skipped + one),
                             where(i < 3.5, scale, where(i < 4.5, factor, where(finite, one, zero))))));
  }
};

// Operands: parameter, gradient, moments, the optimizer's numbers, the clipping factor, with a moving average
// it and its decay, and, where steps may be left out, 1 or 0 for whether this one is taken. Outputs:
// parameter, moments, moving average.
template <class Optimizer, bool Averaged, bool Skips> struct update_function {
  template <std::size_t... M, std::size_t... N>
  static constexpr auto run(const auto& p, const auto& g, const auto& rest, std::index_sequence<M...>,
                            std::index_sequence<N...>) {
    constexpr std::size_t factor = sizeof...(M) + sizeof...(N);
    auto out = Optimizer::update(p, g * std::get<factor>(rest), std::get<M>(rest)...,
                                 std::get<sizeof...(M) + N>(rest)...);
    if constexpr (Averaged) {
      const auto& average = std::get<factor + 1>(rest);
      const auto all = std::tuple_cat(
          out, std::tuple{average + (1.0 - std::get<factor + 2>(rest)) * (std::get<0>(out) - average)});
      return taken(all, std::tuple{p, std::get<M>(rest)..., average}, rest);
    } else {
      return taken(out, std::tuple{p, std::get<M>(rest)...}, rest);
    }
  }
  // The new values where the step is taken, else the old ones.
  static constexpr auto taken(const auto& now, [[maybe_unused]] const auto& old,
                              [[maybe_unused]] const auto& rest) {
    if constexpr (Skips) {
      const auto take = std::get<std::tuple_size_v<std::remove_cvref_t<decltype(rest)>> - 1>(rest) > 0.5;
      return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::tuple{where(take, std::get<I>(now), std::get<I>(old))...};
      }
      (std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<decltype(now)>>>{});
    } else {
      return now;
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
  template <bool Averaged, bool Skips, class... S> static constexpr const function_info* info(types<S...>) {
    return function_of<update_function<Optimizer, Averaged, Skips>, S...>;
  }
  template <bool Averaged, bool Skips, std::size_t... M, std::size_t... N>
  static constexpr const function_info* make(std::index_sequence<M...>, std::index_sequence<N...>) {
    return info<Averaged, Skips>(
        typename concat<types<flat, flat, repeated<flat, M>..., repeated<number, N>..., number>,
                        std::conditional_t<Averaged, types<flat, number>, types<>>,
                        std::conditional_t<Skips, types<number>, types<>>>::type{});
  }
  template <bool Averaged, bool Skips>
  static constexpr const function_info* value = make<Averaged, Skips>(
      std::make_index_sequence<Optimizer::moments>{}, std::make_index_sequence<Optimizer::number_count>{});
  static constexpr const function_info* clip = function_of<clip_function, flat, number>;
};

// Of all gradients, one after another.
template <class Element>
inline constexpr const function_info* scaling_of =
    function_of<scaling_function, shape<Element, tag_of<flat_axis>>, shape<Element>, shape<Element>,
                shape<Element>, shape<Element>, shape<Element>, shape<Element>, shape<Element>>;

}  // namespace flame::detail
