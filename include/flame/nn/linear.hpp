// linear: y = x W^T + b.
#pragma once
#include <flame/expr/contract.hpp>
#include <flame/nn/init.hpp>
#include <flame/nn/place.hpp>

#include <boost/hana/define_struct.hpp>

namespace flame {

// The input axis of a weight whose two axes would be one.
template <class Axis> struct input_of : dim<Axis::extent> {
  static constexpr u64 id = mix(0x1F0F, axis_of<Axis>::id());
  static constexpr i64 derived(const auto& of) { return of(Axis{}); }
};

// The rank of the low-rank adapter at Path: another one in every instance, 0 where nothing is adapted.
template <class Path> struct lora_rank : dim<> {
  static constexpr u64 id = hash_of(Path::name, 0x104A);
  static constexpr bool own = true;
};

// No member: what stands where a member is left out.
struct absent {};

namespace detail {
template <class In, class Out>
using weight_axis = std::conditional_t<std::is_same_v<In, Out>, input_of<In>, In>;
template <class Axis> inline constexpr Axis axis_object{};

template <class Place>
inline constexpr bool adapts = [] {
  if constexpr (requires { Place::mode::adapts(text{}); })
    return Place::mode::adapts(Place::path_type::name);
  else
    return false;
}();
}  // namespace detail

// linear(x) = x W^T + b, with weight [out, in] and bias [out] as in PyTorch's files. Where the model's mode
// adapts this member, + scale (x A^T) B^T with A [rank, in] and B [out, rank] (Hu et al. 2021); the scale,
// alpha over rank, is kept with them and never trained.
// Init: of weight and bias; void for PyTorch's.
template <class Place, const auto& In, const auto& Out, bool Bias = true, class Init = void> struct linear {
  using in_axis = tag_of<In>;
  using out_axis = tag_of<Out>;
  using weight_in = detail::weight_axis<in_axis, out_axis>;
  using fan = initial::fan_in<weight_in>;
  using begin = std::conditional_t<std::is_void_v<Init>, fan, Init>;
  using rank = lora_rank<typename Place::path_type>;
  static constexpr bool adapted = detail::adapts<Place>;
  template <bool Present, fixed_string Name, class First, const auto&... Axes>
  using optional = std::conditional_t<Present, param<Place, Name, First, Axes...>, absent>;

  BOOST_HANA_DEFINE_STRUCT(
      linear, (param<Place, "weight", begin, Out, detail::axis_object<weight_in>>, weight),
      (optional<Bias, "bias", begin, Out>, bias),
      (optional<adapted, "lora_A", fan, detail::axis_object<rank>, detail::axis_object<weight_in>>, lora_A),
      (optional<adapted, "lora_B", initial::zeros, Out, detail::axis_object<rank>>, lora_B),
      (std::conditional_t<adapted, state<Place, "lora_scale", initial::ones>, absent>, lora_scale));

  constexpr auto operator()(const auto& x) const {
    auto y = add_bias(matmul(renamed(x), weight, weight_in{}));
    if constexpr (adapted) {
      // A is scaled, which is small, and nothing that has the size of x or y, forwards and backwards.
      return y + matmul(matmul(renamed(x), lora_A * lora_scale, weight_in{}), lora_B, rank{});
    } else {
      return y;
    }
  }

 private:
  static constexpr auto renamed(const auto& x) {
    if constexpr (std::is_same_v<in_axis, weight_in>)
      return x;
    else
      return rename(x, in_axis{}, weight_in{});
  }
  constexpr auto add_bias(const auto& y) const {
    if constexpr (Bias)
      return y + bias;
    else
      return y;
  }
};

}  // namespace flame
