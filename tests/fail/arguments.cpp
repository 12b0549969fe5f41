// Arguments are given by name or by position, to inputs, each of its input's type.
// error 1: flame::give(input, tensor): the tensor must have the input's element type and axes
// names 1: col
// error 2: flame::compile(e, x, y...): arguments are given either all by name or all by position
// error 3: flame::compile(e, x, y...): x and y are inputs
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct y : input<f32, row> {
} y;

int main() {
  const tensor<f32, row> a{1, 2};
  const tensor<f32, col> b{1, 2};
#if MUST_FAIL == 1
  compile<host>(x * y, x, y)(give(x, a), give(y, b));
#elif MUST_FAIL == 2
  compile<host>(x * y, x, y)(give(x, a), a);
#elif MUST_FAIL == 3
  compile<host>(x * y, x * y);
#else
  compile<host>(x * y, x, y)(give(x, a), give(y, a));
  sum(b);
#endif
}
