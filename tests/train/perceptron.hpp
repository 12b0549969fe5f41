// A perceptron that tests train on the host: two layers, three answers.
#pragma once
#include <flame/language.hpp>
#include <flame/nn/linear.hpp>
#include <flame/run/create.hpp>

#include "../support.hpp"

namespace flame::tests {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<12> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct answer : dim<3> {
} answer;

template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(net, (linear<in<Place, "fc1">, feature, hidden>, fc1),
                           (linear<in<Place, "fc2">, hidden, answer>, fc2));

  constexpr auto operator()(const auto& x) const { return fc2(relu(fc1(x))); }
};

using samples = tensor<f32, batch, feature>;
using labels = tensor<i32, batch>;

inline constexpr auto classify = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };

inline auto perceptron(i64 width) { return init<net, host>(key(0), hidden == width); }
inline samples draw(i64 n, u64 seed = 1) { return normal(key(seed), batch == n, feature); }

}  // namespace flame::tests
