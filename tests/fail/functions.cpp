// Calls and stacks of calls, and states renewed.
// error 1: flame::call(fn, args...): a call belongs inside a function that is traced
// error 2: flame::repeat(stack, operands...): at least one operand must be carry(h)
// error 3: flame::repeat(stack, operands...): the block must give each carried value, first and in order
// error 4: flame::repeat(stack, operands...): the block must give each carried value with the axes
// error 5: flame::repeat(stack, operands...): a keyed operand is a random key
// error 6: flame::assign(state, value): only a state of the model can be renewed
// error 7: flame: inside a function, numbers are written where they are used
// error 8: constexpr
// names 8: refuse_gradient_through_a_call_inside_a_function
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;
using rows = shape<f32, struct row>;
struct square {
  constexpr auto operator()(auto u) const { return u * u; }
};
struct total {
  constexpr auto operator()(auto u) const { return sum(u); }
};
struct both {
  constexpr auto operator()(auto u, auto) const { return u; }
};
using stack_path = path<"blocks">;
struct calling {
  constexpr auto operator()(auto u) const { return call(square{}, u); }
};
struct repeating {
  constexpr auto operator()(auto u) const { return repeat<stack_path>(square{}, carry(u)); }
};
struct without_carry {
  constexpr auto operator()(auto u) const { return repeat<stack_path>(square{}, u); }
};
struct two_carries {
  constexpr auto operator()(auto u) const { return repeat<stack_path>(both{}, carry(u), carry(u)); }
};
struct other_shape {
  constexpr auto operator()(auto u) const { return repeat<stack_path>(total{}, carry(u)); }
};
struct keyed_tensor {
  constexpr auto operator()(auto u) const { return repeat<stack_path>(both{}, carry(u), keyed(u)); }
};
struct renewing_an_input {
  constexpr auto operator()(auto u) const {
    assign(x, u);
    return u;
  }
};
inline constexpr auto doubled = x * 2.0;
struct holding_numbers {
  constexpr auto operator()(auto u) const { return u + doubled; }
};
struct gradient_inside {
  constexpr auto operator()(auto u) const { return grad(sum(u * u), u); }
};
struct gradient_through_call {
  constexpr auto operator()(auto u) const { return grad(sum(call(square{}, u)), u); }
};

#if MUST_FAIL == 1
auto refused = call(square{}, x);
#elif MUST_FAIL == 2
auto refused = (function_of<without_carry, rows>);
#elif MUST_FAIL == 3
auto refused = (function_of<two_carries, rows>);
#elif MUST_FAIL == 4
auto refused = (function_of<other_shape, rows>);
#elif MUST_FAIL == 5
auto refused = (function_of<keyed_tensor, rows>);
#elif MUST_FAIL == 6
auto refused = (function_of<renewing_an_input, rows>);
#elif MUST_FAIL == 7
auto refused = (function_of<holding_numbers, rows>);
#elif MUST_FAIL == 8
auto refused = (function_of<gradient_through_call, rows>);
#else
auto taken_1 = (function_of<calling, rows>);
auto taken_2 = (function_of<repeating, rows>);
auto taken_3 = (function_of<repeating, rows>);
auto taken_4 = (function_of<repeating, rows>);
auto taken_5 = (function_of<repeating, rows>);
auto taken_6 = (function_of<repeating, rows>);
auto taken_7 = (function_of<repeating, rows>);
auto taken_8 = (function_of<gradient_inside, rows>);
#endif

int main() {}
