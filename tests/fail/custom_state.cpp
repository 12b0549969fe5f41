// A function with a derivative of its own has no state: its text alone is compiled.
// error: flame::custom(f, df): f and df must be without captures and without state
#include <flame/expr/custom.hpp>
#include <flame/language.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;

int main() {
#ifdef MUST_FAIL
  const double factor = 2;
  const auto scaled = custom([factor](auto a) { return a * factor; }, [](auto, auto d) { return d; });
  static_cast<void>(scaled);
#else
  const auto scaled = custom([](auto a) { return a * 2; }, [](auto, auto d) { return d; });
  static_cast<void>(scaled(x));
#endif
}
