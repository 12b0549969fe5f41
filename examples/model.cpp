// The README's second block: a model, trained and saved.
// test:
#include <flame/flame.hpp>

#include <cstdio>

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct pixel : dim<784> {
} pixel;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct digit : dim<10> {
} digit;

template <class Place> struct mlp {
  BOOST_HANA_DEFINE_STRUCT(mlp, (linear<in<Place, "fc1">, pixel, hidden>, fc1),
                           (linear<in<Place, "fc2">, hidden, digit>, fc2));

  constexpr auto operator()(const auto& x) const { return fc2(relu(fc1(x))); }
};

int main() {
  // What it learns: the answers of another network, with other weights, on noise.
  auto images = normal(key(1), batch == 128, pixel);
  auto answer =
      forward(init<mlp, host>(key(2), hidden == 64), [](auto m, auto x) { return argmax(m(x), digit); });
  auto labels = answer(images);

  auto model = init<mlp, host>(key(0), hidden == 256);
  auto loss = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };
  auto step = train_step(model, loss, adamw{.lr = 1e-3});
  for (int i = 0; i < 50; ++i) std::printf("%.4f\n", double(step(images, labels).item()));
  save("mlp.safetensors", model);
}
