// A model takes tensors of its own backend.
// error 1: flame::forward(model, fn): an argument lies on another backend than the model; move it with to<Backend>(t)
// error 2: flame::train_step(model, ...): a tensor of the batch lies on another backend than the model; move it
// error 3: flame::tensor::values(): the tensor is not on the host; read to<host>(t).values()
#define FLAME_CUDA
#include <flame/language.hpp>
#include <flame/nn/linear.hpp>
#include <flame/train/step.hpp>

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<4> {
} feature;
inline constexpr struct answer : dim<2> {
} answer;

template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(net, (linear<in<Place, "fc">, feature, answer>, fc));
  constexpr auto operator()(const auto& a) const { return fc(a); }
};
inline constexpr auto apply = [](auto m, auto a) { return m(a); };
inline constexpr auto loss = [](auto m, auto a) { return mean(m(a) * m(a)); };

using here = tensor<f32, batch, feature>;

void use(const model<net, cuda>& m, const here& a) {
#if MUST_FAIL == 1
  forward(m, apply)(a);
#elif MUST_FAIL == 2
  train_step(m, loss, sgd{})(a);
#elif MUST_FAIL == 3
  static_cast<void>(a), static_cast<void>(m.values("fc.weight"));
#else
  forward(m, apply)(to<cuda>(a));
  train_step(m, loss, sgd{})(to<cuda>(a));
  static_cast<void>(to<host>(m).values("fc.weight"));
#endif
}

int main() {}
