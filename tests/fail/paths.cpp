// One path is one parameter, of one shape and one element type. Tied parameters are one leaf.
// error 1: flame: one path names parameters of two shapes; tied parameters have one shape
// error 2: flame: one path names parameters of two element types; tied parameters have one
// error 3: flame: one path names parameters of two shapes; tied parameters have one shape
// error 4: flame::assign(state, value): only a state of the model can be renewed
// error 5: flame::assign(state, value): the value must have the state's axes and element type
#include <flame/language.hpp>
#include <flame/nn/place.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct extra : dim<> {
} extra;

struct zeros_at_first {};
struct ones_at_first {};

#if MUST_FAIL == 1
template <class Place> using second = param<Place, "weight", zeros_at_first, row, wide>;
#elif MUST_FAIL == 2
template <class Place> using second = param<place<symbols<f64>, "">, "weight", zeros_at_first, row, col>;
#else
template <class Place> using second = param<Place, "weight", ones_at_first, row, col>;
#endif

template <class Place> struct tied {
  param<Place, "weight", zeros_at_first, row, col> read;
  second<Place> written;
  constexpr auto operator()(auto x) const { return sum(x * read) + sum(cast<f32>(written)); }
};
static_assert(function_of<tied<root<symbols<>>>, shape<f32, struct row>>->leaf_count == 2);

// A block called twice under one path has one set of parameters, also where it is called for two shapes.
template <class Place> struct stretched {
  param<Place, "scale", ones_at_first, col> scale;
  constexpr auto operator()(auto x) const { return x * scale; }
};
template <class Place> struct scaled_wide {
  param<Place, "scale", ones_at_first, wide> scale;
  constexpr auto operator()(auto x) const { return sum(x * scale, wide); }
};
using scaling = stretched<root<symbols<>>>;
struct twice {
  constexpr auto operator()(auto x, auto y) const {
#if MUST_FAIL == 3
    return sum(call<path<"block">>(scaling{}, x)) +
           sum(call<path<"block">>(scaled_wide<root<symbols<>>>{}, y));
#else
    return sum(call<path<"block">>(scaling{}, x)) + sum(call<path<"block">>(scaling{}, sum(y, wide)));
#endif
  }
};
static_assert(
    function_of<twice, shape<f32, struct row, struct col>, shape<f32, struct extra, struct col, struct wide>>->leaf_count ==
    3);

// States are renewed inside of functions, by values of their type.
template <class Place> struct counter {
  param<Place, "scale", ones_at_first, col> scale;
  state<Place, "mean", zeros_at_first, col> mean_so_far;
  constexpr auto operator()(auto x) const {
#if MUST_FAIL == 4
    assign(scale, sum(x, row));
#elif MUST_FAIL == 5
    assign(mean_so_far, x);
#else
    assign(mean_so_far, sum(x, row));
#endif
    return sum(x * scale);
  }
};
static_assert(function_of<counter<root<symbols<>>>, shape<f32, struct row, struct col>>->state_count == 1);

int main() {}
