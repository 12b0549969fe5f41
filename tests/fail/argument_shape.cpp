// A compiled expression takes tensors of its inputs' types.
// error: flame::compile(e, x, y...): an argument has another element type or other axes than its input
// names: row
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row> {
} x;

int main() {
  auto f = compile<host>(x * 2, x);
#ifdef MUST_FAIL
  f(tensor<f32, col>{1, 2});
#else
  f(tensor<f32, row>{1, 2});
#endif
}
