// Attention, written from contractions and a softmax.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/contract.hpp>

namespace flame {

// The axis of the keys where queries and keys come from one sequence.
template <class Axis>
struct keys_of : dim<Axis::extent> {
  static constexpr u64 id = mix(0x6E45, axis_of<Axis>::id());
};

namespace detail {

// Shared axes first, then q's own, then the keys': each product of a batch is then contiguous.
template <class Q, class K, class Dim, class Key>
struct score_axes;
template <class E, class... X, class F, class... Y, class Dim, class Key>
struct score_axes<shape<E, X...>, shape<F, Y...>, Dim, Key> {
  template <class Axis>
  static constexpr bool in_k = (std::is_same_v<Axis, Y> || ...);
  template <class... C>
  static auto value(types<C...>) -> on_axes<C...>;
  using type = decltype(value(typename concat<
                              std::conditional_t<in_k<X> && !std::is_same_v<X, Dim>, types<X>, types<>>...,
                              std::conditional_t<in_k<X>, types<>, types<X>>..., types<Key>>::type{}));
};

template <class Shape>
struct own_axes;
template <class E, class... X>
struct own_axes<shape<E, X...>> {
  using type = on_axes<X...>;
};

template <class Q, class K, class V, class Key, class Dim, class Score>
constexpr auto attend(const Q& q, const K& k, const V& v, Key, Dim, Score score) {
  using E = element_of<shape_of<Q>>;
  using axes = typename score_axes<shape_of<Q>, shape_of<K>, Dim, Key>::type;
  auto scaled = q * rsqrt(extent<E>(Dim{}, q));
  auto weights = softmax(score(emit<op::contract, axes>(scaled, k)), Key{});  // [shared..., query..., key]
  return emit<op::contract, typename own_axes<shape_of<Q>>::type>(weights, v);
}

}  // namespace detail

// attention(q, k, v) = softmax(q k^T / sqrt(dim)) v (Vaswani et al. 2017). `token` is the axis of k and v over which
// the softmax runs, `dim` the axis of q and k that is summed; the other shared axes (batch, head) are batches. Where
// q has `token` too, its own is the query's. `score` sees the scores before the softmax (masks).
// q: [..., query, dim], k, v: [..., token, dim]; the result has q's axes in q's order.
template <operand_type Q, operand_type K, operand_type V, axis Token, axis Dim, class Score>
constexpr auto attention(const Q& q, const K& k, const V& v, const Token&, const Dim&, Score score) {
  using T = std::remove_cvref_t<Token>;
  using D = std::remove_cvref_t<Dim>;
  constexpr bool fits = shape_of<K>::value().has(axis_ptr<T>) && shape_of<V>::value().has(axis_ptr<T>) &&
                        shape_of<Q>::value().has(axis_ptr<D>) && shape_of<K>::value().has(axis_ptr<D>);
  static_assert(fits, "flame::attention(q, k, v, token, dim): k and v must have the axis token, q and k the axis dim");
  if constexpr (fits) {
    if constexpr (shape_of<Q>::value().has(axis_ptr<T>)) {
      using keys = keys_of<T>;
      return detail::attend(q, rename(k, T{}, keys{}), rename(v, T{}, keys{}), keys{}, D{}, score);
    } else {
      return detail::attend(q, k, v, T{}, D{}, score);
    }
  }
}
template <operand_type Q, operand_type K, operand_type V, axis Token, axis Dim>
constexpr auto attention(const Q& q, const K& k, const V& v, const Token& token, const Dim& dim) {
  return attention(q, k, v, token, dim, [](const auto& scores) { return scores; });
}

// Adds -infinity where a key stands behind its query: attention(q, k, v, token, dim, causal(token)).
template <axis Token>
constexpr auto causal(const Token&) {
  return [](const auto& scores) {
    using T = std::remove_cvref_t<Token>;
    auto behind = emit<op::less>(iota(T{}, scores), iota(keys_of<T>{}, scores));
    return where(behind, -__builtin_huge_val(), scores);
  };
}

}  // namespace flame
