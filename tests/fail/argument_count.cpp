// A compiled expression takes as many arguments as compile was told of inputs.
// error: flame::compile(e, x, y...): the function takes one argument for each input that compile was told
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct y : input<f32, row> {
} y;

int main() {
  auto f = compile<host>(x * y, x, y);
  const tensor<f32, row> a{1, 2};
#ifdef MUST_FAIL
  f(a);
#else
  f(a, a);
#endif
}
