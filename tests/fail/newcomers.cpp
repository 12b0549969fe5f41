// What is written first and does not mean what it seems to is refused in words, not by a list of candidates.
// error 1: flame::eval(t): t is a tensor, which is computed already
// error 2: flame::tensor t = e: e is an expression, which nothing has computed yet
// error 3: flame::tensor t = e: e is an expression, which nothing has computed yet
// error 4: flame::compile<Backend>(e, x, y...): e is no expression; call a function with the inputs first
// error 5: flame::grad(e, x): x must be a leaf of e
// error 6: flame::value_and_grad(e, x): x must be a leaf of e
// error 7: flame::eval(e): e is an input, which has no value
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;

void program(tensor<f32, row> t) {
  auto square = [](auto a) { return sum(a * a); };
#if MUST_FAIL == 1
  auto u = eval(t);
#elif MUST_FAIL == 2
  t = t + 1;
#elif MUST_FAIL == 3
  tensor<f32, row> u = t + 1;
#elif MUST_FAIL == 4
  auto f = compile<host>(square, x);
#elif MUST_FAIL == 5
  auto g = grad(square(t), t);
#elif MUST_FAIL == 6
  auto g = value_and_grad(square(t), t);
#elif MUST_FAIL == 7
  auto u = eval(x);
#else
  t = eval(t + 1);
  tensor<f32, row> u = eval(t + 1);
  auto f = compile<host>(grad(square(x), x), x);
  u = f(t);
#endif
}
