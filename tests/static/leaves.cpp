// Leaves are known by what they are declared as, not by what they are called; types in templates have names of their
// own.
#include <flame/language.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;

namespace one {
inline constexpr struct x : input<f32, row> {
} x;
}  // namespace one
namespace two {
inline constexpr struct x : input<f32, row> {
} x;
}  // namespace two

// Of one name, kind and shape, in two scopes.
static_assert(same<decltype(grad(sum(one::x * two::x), one::x)), decltype(two::x)>);
static_assert(!same<decltype(one::x + 1), decltype(two::x + 1)>);

template <class T> struct leaves {
  static constexpr struct a_ : input<T, row> {
  } a{};
  static constexpr struct b_ : input<T, row> {
  } b{};
};
using of_f32 = leaves<f32>;
static_assert(same<decltype(grad(sum(of_f32::a * of_f32::b), of_f32::a)), decltype(of_f32::b)>);
static_assert(leaf_of<of_f32::a_>::name() == text("a_"));
static_assert(leaf_of<struct one::x>::name() == text("x"));
static_assert(type_name<leaves<f64>>() == text("leaves"));
