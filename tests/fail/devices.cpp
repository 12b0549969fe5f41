// Tensors of different backends do not meet, and elements on a device are not reached one by one.
// error 1: flame::eval(e): the tensors of e lie on different backends; move them with to<cuda>(t) or to<host>(t)
// error 2: flame::compile<Backend>(e): an argument lies on another backend; move it with to<Backend>(t)
// error 3: flame::compile<Backend>(e): e holds a tensor of another backend; move it with to<Backend>(t)
// error 4: flame::tensor(i, j, ...): the tensor is not on the host, and its elements are not reached one by one
// error 5: flame::tensor::values(): the tensor is not on the host; read to<host>(t).values()
// error 6: flame::tensor::cast<To>(): the tensor is not on the host; write eval(cast<To>(t))
// error 7: flame: tensors of the backend cuda need the target flame::cuda; this file is compiled without it
// error 8: flame: programs of the backend cuda need the target flame::cuda; this file is compiled without it
// error 9: flame::compile<Backend>(e): an argument lies on another backend; move it with to<Backend>(t)
#if !defined(MUST_FAIL) || MUST_FAIL < 7 || MUST_FAIL > 8
#define FLAME_CUDA
#endif
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;

#if MUST_FAIL == 8
auto refused = compile<cuda>(x * 2, x);
#else
using here = tensor<f32, row>;
using there = basic_tensor<cuda, f32, tag_of<row> >;

auto mix(const here& a, const there& b) {
#if !defined(MUST_FAIL)
  compile<cuda>(x * 2 + to<cuda>(a), x)(b);
  return to<host>(eval(to<cuda>(a) * b));
#elif MUST_FAIL == 1
  return eval(a * b);
#elif MUST_FAIL == 2
  static_cast<void>(b);
  return compile<cuda>(x * 2, x)(a);
#elif MUST_FAIL == 3
  static_cast<void>(b);
  return compile<cuda>(x * a, x);
#elif MUST_FAIL == 4
  static_cast<void>(a);
  return b(0);
#elif MUST_FAIL == 5
  static_cast<void>(a);
  return b.values();
#elif MUST_FAIL == 6
  static_cast<void>(a);
  return b.cast<f64>();
#elif MUST_FAIL == 7
  static_cast<void>(b);
  return a;
#elif MUST_FAIL == 9
  static_cast<void>(a);
  return compile<host>(x * 2, x)(give(x, b));
#endif
}
#endif

int main() {
#if defined(MUST_FAIL) && MUST_FAIL == 7
  mix({}, {});
#endif
}
