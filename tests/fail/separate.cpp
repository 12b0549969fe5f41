// The gradient of a function that another file defines is compiled there, and once: it has no gradient
// itself.
// error: flame::separate: its gradient is compiled with it, in another file, and is not differentiated again
// names: waves::wave
#include <flame/expr/custom.hpp>
#include <flame/expr/separate.hpp>
#include <flame/language.hpp>
#include <flame/run/tensor.hpp>

using namespace flame;

namespace waves {
inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f64, row> {
} x;
using vector = tensor<f64, row>;
inline constexpr struct wave : separate<wave, vector(vector)> { } wave; }  // namespace waves

using waves::x;

struct value {
  constexpr auto operator()(auto u) const { return waves::wave(u); }
};
struct slope {
  constexpr auto operator()(auto u, auto d) const { return d * waves::wave(u); }
};
inline constexpr auto called = custom(value{}, slope{});

// The second derivative holds the first of wave, the third its second.
using first = decltype(grad(sum(called(x)), x));
using second = decltype(grad(sum(first{}), x));
#ifdef MUST_FAIL
using refused = decltype(grad(sum(second{}), x));
#endif
second taken{};

int main() {}
