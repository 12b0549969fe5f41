// A convolutional network with batch norm, whose statistics are renewed, and what it is trained on.
#pragma once
#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/run/create.hpp>

namespace flame::cuda_tests {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct height : dim<8> {
} height;
inline constexpr struct width : dim<8> {
} width;
inline constexpr struct grey : dim<1> {
} grey;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct flat : dim<> {
} flat;
inline constexpr struct answer : dim<10> {
} answer;

template <class Place> struct cnn {
  BOOST_HANA_DEFINE_STRUCT(
      cnn, (convolution_layer<in<Place, "conv">, grey, channel, 3, conv_options{.padding = 1}>, conv),
      (batch_norm<in<Place, "norm">, channel>, norm), (linear<in<Place, "fc">, flat, answer>, fc));
  constexpr auto operator()(const auto& image) const {
    return fc(flatten<3>(max_pool(relu(norm(conv(image)))), flat));
  }
};

inline constexpr auto classify = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };

template <class Element = f32> auto network() {
  return init<cnn, host, Element>(key(4), channel == 8, flat == 128);
}
inline tensor<i32, batch> numbered(i64 n) {
  tensor<i32, batch> t(std::vector<i64>{n});
  for (i64 i = 0; i < n; ++i) t(i) = static_cast<i32>(i * 7 % 10);
  return t;
}
template <class Element = f32> auto images(i64 n = 16) {
  return normal<Element>(key(1), batch == n, height, width, grey);
}

}  // namespace flame::cuda_tests
