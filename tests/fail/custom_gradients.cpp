// A derivative that the user gives must have a gradient for each floating argument.
// error: flame::custom(f, df)(x...): df(x..., d...) must give one gradient for each floating argument
#include <flame/expr/custom.hpp>
#include <flame/language.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct y : input<f32, row> {
} y;

#ifdef MUST_FAIL
inline constexpr auto product =
    custom([](auto a, auto b) { return a * b; }, [](auto, auto b, auto d) { return d * b; });
#else
inline constexpr auto product = custom([](auto a, auto b) { return a * b; },
                                       [](auto a, auto b, auto d) { return outputs(d * b, d * a); });
#endif

using type = decltype(product(x, y));

int main() {}
