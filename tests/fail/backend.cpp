// A backend that lacks an operation, or has it for some element types alone, says so when it is compiled for.
// error 1: flame::compile<Backend>(e): the backend lacks an operation of e
// names 1: flame::op::erf
// error 2: flame::compile<Backend>(e): the backend lacks an operation of e
// names 2: flame::dtype::f64
// error 3: flame::compile<Backend>(e): the backend lacks an operation of e
// names 3: flame::op::erf
#include <flame/expr/custom.hpp>
#include <flame/flame.hpp>

using namespace flame;

// Everything but erf, and sine in f32 alone.
struct small_device {
  static constexpr const char* name = "small";
  static constexpr bool supports(op code, dtype element) {
    return code != op::erf && (code != op::sin || element == dtype::f32);
  }
};

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct wide : input<f64, row> {
} wide;
struct inner {
  constexpr auto operator()(auto u) const { return erf(u); }
};
struct slope {
  constexpr auto operator()(auto, auto d) const { return d; }
};
inline constexpr auto called = custom(inner{}, slope{});

// What compile<small_device> asks; nothing runs.
template <class E> constexpr bool takes(const E&) {
  detail::require_operations<small_device, detail::expr_function<E>::info>();
  return true;
}

#if MUST_FAIL == 1
auto refused = compile<small_device>(gelu(x), x);
#elif MUST_FAIL == 2
auto refused = compile<small_device>(sin(wide), wide);
#elif MUST_FAIL == 3
auto refused = compile<small_device>(called(x) + 1, x);
#else
static_assert(takes(tanh(x) * sin(x)) && takes(cos(wide)));
auto taken = compile<host>(gelu(x) + called(x), x);
#endif

int main() {}
