// Expressions: a formula over named axes is a value whose type is its graph. The compiler knows its shape and
// how many kernels it becomes, and refuses what does not fit; run time gives tensors and extents.
// test:
#include <flame/flame.hpp>

#include <iostream>

using namespace flame;

// Axes and inputs are objects; their types, of the same names, are what the compiler prints in an error.
inline constexpr struct batch : dim<> {} batch;       // the extent is known at run time
inline constexpr struct feature : dim<4> {} feature;  // the extent is part of the type

inline constexpr struct x : input<f32, batch, feature> {} x;
inline constexpr struct scale : input<f32, feature> {} scale;

int main() {
  // Axes align by name: scale is repeated along batch.
  constexpr auto gated = x * sigmoid(x) * scale;
  auto normal_rows = layer_norm(gated, 1e-5, feature);

  // A chain is one kernel, and so is a norm: rows are read once and written once.
  static_assert(kernels(gated) == 1);
  static_assert(kernels(normal_rows) == 1);
  static_assert(same<shape_of<decltype(sum(x, feature))>, shape<f32, struct batch>>);

  // Equal formulas are one type, whichever way they were built.
  static_assert(same<decltype(x * scale + x), decltype(x + scale * x)>);

  std::cout << "gated is " << print(gated) << "\n\n";

  auto f = compile<host>(normal_rows, x, scale);
  const tensor<f32, batch, feature> a{{1, 2, 3, 4}, {-1, 0, 1, 2}, {0, 0, 0, 8}};
  const tensor<f32, feature> ones_and_twos{1, 2, 1, 2};

  std::cout << f(a, ones_and_twos) << "\n\n" << explain(f, a, ones_and_twos);
}
