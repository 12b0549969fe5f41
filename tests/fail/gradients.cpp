// What can be differentiated, and by what.
// error 1: flame::grad(e, x): e must be a scalar of floating type; sum it over its axes first
// names 1: row
// error 2: flame::grad(e, x): e must be a scalar of floating type
// error 3: flame::grad(e, x): x must be a leaf of e
// error 4: flame::grad(e, x): x must have a floating element type; nothing is differentiated by integers
// error 5: flame::value_and_grad(e, x): e must be a scalar of floating type
// error 6: flame::value_and_grad(e, x): x must have a floating element type; nothing is differentiated by integers
// error 7: flame::value_and_grad(e, x): x must be a leaf of e
// error 8: flame::vjp(e, d, x): d must have the shape of e
// error 9: flame::vjp(e, d, x): x must have a floating element type; nothing is differentiated by integers
// error 10: flame::jvp(e, t, x): t must have the shape of x
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct y : input<f32, col> {
} y;
inline constexpr struct counts : input<i32, row> {
} counts;

#if MUST_FAIL == 1
auto refused = grad(x * x, x);
#elif MUST_FAIL == 2
auto refused = grad(sum(counts), counts);
#elif MUST_FAIL == 3
auto refused = grad(sum(x * x), x* x);
#elif MUST_FAIL == 4
auto refused = grad(sum(cast<f32>(counts) * x), counts);
#elif MUST_FAIL == 5
auto refused = value_and_grad(x, x);
#elif MUST_FAIL == 6
auto refused = value_and_grad(sum(x), counts);
#elif MUST_FAIL == 7
auto refused = value_and_grad(sum(x), x + x);
#elif MUST_FAIL == 8
auto refused = vjp(x * x, y, x);
#elif MUST_FAIL == 9
auto refused = vjp(x * x, x, counts);
#elif MUST_FAIL == 10
auto refused = jvp(x * x, y, x);
#else
auto taken_1 = grad(sum(x * x), x);
auto taken_2 = grad(sum(x), x);
auto taken_3 = grad(sum(x), x);
auto taken_4 = grad(sum(cast<f32>(counts) * x), x);
auto taken_5 = value_and_grad(sum(x), x);
auto taken_6 = value_and_grad(sum(x), x);
auto taken_7 = value_and_grad(sum(x), x);
auto taken_8 = vjp(x * x, x, x);
auto taken_9 = vjp(x * x, x, x);
auto taken_10 = jvp(x * x, x, x);
#endif

int main() {}
