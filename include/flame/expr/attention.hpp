// Attention as one operation: its scores are never in memory as a whole.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/contract.hpp>

namespace flame {

// The axis of the keys where queries and keys come from one sequence.
template <class Axis> struct keys_of : dim<Axis::extent> {
  static constexpr u64 id = mix(0x6E45, axis_of<Axis>::id());
};

// ---- Options of attention ----

// A query sees the keys up to its own place: attention(q, k, v, token, dim, causal(token)). The axis is the
// queries': causal(query) where it is not the keys'. Of sequences of two lengths the first places stand side
// by side, as with PyTorch's is_causal.
template <class Token> struct causal_option {
  using token = Token;
  // The same of scores [..., Token, keys], for an attention written by hand.
  constexpr auto operator()(const auto& scores) const {
    auto behind = emit<op::less>(iota(Token{}, scores), iota(keys_of<Token>{}, scores));
    return where(behind, -__builtin_huge_val(), scores);
  }
};
template <axis Token> constexpr causal_option<std::remove_cvref_t<Token>> causal(const Token&) { return {}; }

// Which keys a query sees (boolean, true: it does) or what is added to its scores (q's element type,
// -infinity hides). Any axes of the scores [batch..., query..., key]. Where queries and keys have one axis
// `token`, the mask's token is the key's (as of padding [batch, token]), but beside an axis keys_of<token>,
// where it is the query's.
template <class Mask> struct mask_option { Mask mask; };
template <operand_type M> constexpr mask_option<M> masked(const M& mask) { return {mask}; }

// Scores are multiplied by Number (a constant, as 0.125_c) instead of 1 / sqrt(dim).
template <u64 Bits> struct scale_option {};
template <class Number> constexpr auto scaled(const Number&) { return scale_option<Number::bits>{}; }

namespace detail {

// Shared axes first, then q's own, then the keys': each product of a batch is then contiguous.
template <class Q, class K, class Dim, class Key> struct score_axes;
template <class E, class... X, class F, class... Y, class Dim, class Key>
struct score_axes<shape<E, X...>, shape<F, Y...>, Dim, Key> {
  template <class Axis> static constexpr bool in_k = (std::is_same_v<Axis, Y> || ...);
  template <class... C> static auto value(types<C...>) -> on_axes<C...>;
  using type = decltype(value(
      typename concat<std::conditional_t<in_k<X> && !std::is_same_v<X, Dim>, types<X>, types<>>...,
                      std::conditional_t<in_k<X>, types<>, types<X>>..., types<Key>>::type{}));
};

template <class Shape> struct own_axes;
template <class E, class... X> struct own_axes<shape<E, X...>> { using type = on_axes<X...>; };

// What the options of one call say.
template <class Option> inline constexpr bool is_causal_option = false;
template <class Token> inline constexpr bool is_causal_option<causal_option<Token>> = true;
template <class Option> inline constexpr bool is_mask_option = false;
template <class Mask> inline constexpr bool is_mask_option<mask_option<Mask>> = true;
template <class Option> inline constexpr u64 scale_bits = 0;
template <u64 Bits> inline constexpr u64 scale_bits<scale_option<Bits>> = Bits;
template <class Option>
inline constexpr bool is_attention_option =
    is_causal_option<Option> || is_mask_option<Option> || scale_bits<Option> != 0;
inline constexpr u64 default_scale = 0x7ff8000000000000;  // NaN: 1 / sqrt(extent of dim)

template <class... Options> constexpr u64 scale_among() {
  u64 found = 0;
  ((found = scale_bits<Options> != 0 ? scale_bits<Options> : found), ...);
  return found ? found : default_scale;
}
template <class Axis> struct tagged { using tag = Axis; };
template <class Key> constexpr tagged<Key> position_among() { return {}; }
template <class Key, class Option, class... Rest>
constexpr auto position_among(const Option&, const Rest&... rest) {
  if constexpr (is_causal_option<Option>)
    return tagged<typename Option::token>{};
  else
    return position_among<Key>(rest...);
}
constexpr types<> mask_among() { return {}; }
template <class Option, class... Rest> constexpr auto mask_among(const Option& o, const Rest&... rest) {
  if constexpr (is_mask_option<Option>)
    return o.mask;
  else
    return mask_among(rest...);
}
// A mask under the keys' name.
template <class Token, class Key, class Mask> constexpr auto mask_on(const Mask& mask) {
  constexpr auto type = shape_of<Mask>::value();
  if constexpr (std::is_same_v<Token, Key> || type.has(axis_ptr<Key>) || !type.has(axis_ptr<Token>))
    return mask;
  else
    return rename(mask, Token{}, Key{});
}

// Token: what the user calls the keys' axis, Key: what it is called here.
template <class Token, class Key, class Dim, class Q, class K, class V, class... Options>
constexpr auto attend(const Q& q, const K& k, const V& v, const Options&... options) {
  constexpr bool causal = (is_causal_option<Options> || ...);
  using position = typename decltype(position_among<Key>(options...))::tag;
  constexpr bool positioned = !causal || shape_of<Q>::value().has(axis_ptr<position>);
  static_assert(positioned, "flame::attention(q, k, v, token, dim, causal(axis)): the axis must be one of q");
  if constexpr (positioned) {
    using with = on_axes<Key, Dim, position>;
    using numbers = with_numbers<static_cast<u64>(causal), scale_among<Options...>()>;
    auto mask = mask_among(options...);
    if constexpr (operand_type<decltype(mask)>) {
      auto of_keys = mask_on<Token, Key>(mask);
      using found = inferred<op::attend, with, numbers, shape_of<Q>, shape_of<K>, shape_of<V>,
                             shape_of<decltype(of_keys)>>;
      FLAME_REFUSALS("flame::attention(q, k, v, token, dim, masked(mask))", found::why);
      if constexpr (found::why == fault::none) return emit<op::attend, with, numbers>(q, k, v, of_keys);
    } else {
      using found = inferred<op::attend, with, numbers, shape_of<Q>, shape_of<K>, shape_of<V>>;
      FLAME_REFUSALS("flame::attention(q, k, v, token, dim)", found::why);
      if constexpr (found::why == fault::none) return emit<op::attend, with, numbers>(q, k, v);
    }
  }
}

template <class Q, class K, class V, class Key, class Dim, class Score>
constexpr auto attend_by_hand(const Q& q, const K& k, const V& v, Key, Dim, Score score) {
  using E = element_of<shape_of<Q>>;
  using axes = typename score_axes<shape_of<Q>, shape_of<K>, Dim, Key>::type;
  auto scaled = q * rsqrt(extent<E>(Dim{}, q));
  auto weights = softmax(score(emit<op::contract, axes>(scaled, k)), Key{});  // [shared..., query..., key]
  return emit<op::contract, typename own_axes<shape_of<Q>>::type>(weights, v);
}

}  // namespace detail

// attention(q, k, v, token, dim) = softmax(q k^T / sqrt(dim)) v (Vaswani et al. 2017). `token` is the axis of
// k and v over which the softmax runs, `dim` the axis of q, k and v that is summed; k's other axes (batch,
// head) are q's too. Axes that q alone has are queries (heads that share keys and values are such an axis).
// Where q has `token` too, its own is the query's. q: [..., query, dim], k, v: [..., token, dim]; the result
// has q's axes in q's order and its element type; sums and the softmax are f32 (f64 of f64). A query that
// sees no key gives zeros. Options, in any order: causal(token), masked(mask), scaled(0.125_c). Memory is
// linear in both lengths, in gradients too: what is kept is one number a query. Another last argument is
// called with the scores [..., query, keys] before the softmax; these are in memory then.
template <operand_type Q, operand_type K, operand_type V, axis Token, axis Dim, class... Options>
constexpr auto attention(const Q& q, const K& k, const V& v, const Token&, const Dim&,
                         const Options&... options) {
  using T = std::remove_cvref_t<Token>;
  using D = std::remove_cvref_t<Dim>;
  constexpr bool fits = shape_of<K>::value().has(axis_ptr<T>) && shape_of<V>::value().has(axis_ptr<T>) &&
                        shape_of<Q>::value().has(axis_ptr<D>) && shape_of<K>::value().has(axis_ptr<D>);
  static_assert(
      fits, "flame::attention(q, k, v, token, dim): k and v must have the axis token, q and k the axis dim");
  constexpr bool by_hand =
      sizeof...(Options) == 1 && ((std::is_class_v<Options> && !detail::is_attention_option<Options> &&
                                   !operand_type<Options> && !axis<Options>)&&...);
  constexpr bool known = by_hand || (detail::is_attention_option<Options> && ...);
  static_assert(
      known,
      "flame::attention(q, k, v, token, dim, options...): an option is causal(token), masked(mask) or "
      "scaled(number)");
  if constexpr (fits && known) {
    auto on = [&](const auto& keys, const auto& values, auto key) {
      if constexpr (by_hand)
        return detail::attend_by_hand(q, keys, values, key, D{}, options...);
      else
        return detail::attend<T, decltype(key), D>(q, keys, values, options...);
    };
    if constexpr (shape_of<Q>::value().has(axis_ptr<T>))
      return on(rename(k, T{}, keys_of<T>{}), rename(v, T{}, keys_of<T>{}), keys_of<T>{});
    else
      return on(k, v, T{});
  }
}

}  // namespace flame
