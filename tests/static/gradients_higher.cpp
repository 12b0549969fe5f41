// Gradients as types: of gradients, with values, of products with vectors, by several leaves, inside of
// functions, and where the user says what the derivative is. compilers: g++ clang++ nvcc
#include <flame/expr/custom.hpp>
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, col> {
} y;
inline constexpr struct t : input<f32, row, col> {
} t;
inline constexpr struct a : input<f32, row, inner> {
} a;
inline constexpr struct b : input<f32, inner, col> {
} b;
inline constexpr struct s : input<f32> {
} s;
inline constexpr struct d : input<f32, row> {
} d;

template <class A, class B> constexpr bool alike(const A&, const B&) { return same<A, B>; }

// Gradients of gradients.
template <class E> constexpr auto second(const E& e) { return grad(sum(grad(sum(e), x)), x); }
static_assert(alike(second(sin(x)), -sin(x)));
static_assert(alike(second(exp(x)), exp(x)));
static_assert(alike(second(x * x), broadcast(cast<f32>(2_c), row, col)));
static_assert(alike(second(x * x * x), 6_c * x));
static_assert(alike(second(pow(x, 4_c)), 12_c * pow(x, 2_c)));
static_assert(alike(second(1_c / x), 2_c * reciprocal(x) * (reciprocal(x) * reciprocal(x))));
static_assert(alike(second(log(x)), -(reciprocal(x) * reciprocal(x))));
static_assert(alike(second(tanh(x)), -(2_c * tanh(x)) * (1_c - tanh(x) * tanh(x))));
static_assert(alike(second(relu(x)), broadcast(cast<f32>(0_c), row, col)));
static_assert(alike(second(exp(x) * y), exp(x) * y));
static_assert(alike(grad(sum(grad(sum(exp(x) * y), x)), y), exp(x)));
static_assert(alike(grad(grad(s * s * s, s), s), 6_c * s));
static_assert(alike(grad(grad(grad(s * s * s, s), s), s), cast<f32>(6_c) * 1_c));
static_assert(alike(grad(sum(grad(sum(matmul(a, b) * matmul(a, b)), a)), b),
                    sum(2_c * matmul(a, b), row) +
                        matmul(permute(a, inner, row), 2_c * broadcast(sum(b, inner), row, col))));

// By several leaves: a tuple's worth in one expression, of which each is what it is alone.
template <class... L, class E> constexpr int outputs_of(const E& e, const L&... leaves) {
  return decltype(grad(e, leaves...))::to_graph().outputs.size();
}
static_assert(outputs_of(sum(x * y), x, y) == 2);
static_assert(alike(grad(sum(x * y), x, y), grad(sum(y* x), x, y)));

// The value and its gradient share what they have in common.
template <class E> constexpr int nodes(const E&) { return E::to_graph().size(); }
static_assert(nodes(value_and_grad(sum(exp(x)), x)) == 3);   // x, exp, sum
static_assert(nodes(value_and_grad(sum(tanh(x)), x)) == 6);  // 1, tanh^2 and the difference besides
static_assert(nodes(value_and_grad(sum(softmax(x, col) * y), x,
                                   y)) ==  // of the gradient's nodes the sum is new
              1 + nodes(grad(sum(softmax(x, col) * y), x, y)));

// Products with vectors: vjp(e, d, x) = d de/dx, jvp(e, t, x) = de/dx t.
static_assert(alike(vjp(exp(x), t, x), exp(x) * t));
static_assert(alike(vjp(sum(x, col), d, x), broadcast(d, row, col)));
static_assert(alike(vjp(matmul(a, b), t, a), matmul(t, permute(b, col, inner))));
static_assert(alike(jvp(sin(x), t, x), cos(x) * t));
static_assert(alike(jvp(x * x, t, x), 2_c * t * x));
static_assert(alike(jvp(x * y, t, x), t* y));
static_assert(alike(jvp(sum(x, col), t, x), sum(t, col)));
static_assert(alike(jvp(matmul(a, b), a, a), matmul(a, b)));
static_assert(alike(jvp(sum(x * x, col), t, x), sum(2_c * t * x, col)));

// What nothing depends on has a gradient of zeros, of its own shape.
static_assert(alike(grad(sum(x), y), broadcast(cast<f32>(0_c), row, col)));
static_assert(same<shape_of<decltype(grad(sum(x), b))>, shape<f32, struct inner, struct col>>);

// Inside a traced function: of any value, by any value that it was made from.
struct slope_inside {
  constexpr auto operator()(auto u) const {
    auto v = 2_c * u;
    return grad(sum(sin(v)), v);
  }
};
struct slope_written {
  constexpr auto operator()(auto u) const { return cos(2_c * u); }
};
using plane = shape<f32, struct row, struct col>;
static_assert(function_of<slope_inside, plane>->id == function_of<slope_written, plane>->id);

// A derivative that the user gives: the call's derivative is a call of it, and differentiates by its own
// formula.
struct cube {
  constexpr auto operator()(auto u) const { return u * u * u; }
};
struct cube_slope {
  constexpr auto operator()(auto u, auto of_result) const { return of_result * (3_c * (u * u)); }
};
constexpr auto cubed = custom(cube{}, cube_slope{});
constexpr auto slope = grad(sum(cubed(x)), x);
static_assert(alike(slope, vjp(cubed(x) * 1_c, t, x)) == false);
static_assert(same<shape_of<decltype(slope)>, plane>);
static_assert(same<shape_of<decltype(grad(sum(slope), x))>, plane>);
constexpr bool calls(const graph& g, text name) {
  for (int n = 0; n < g.size(); ++n)
    if (g.is(n, op::call) && g[n].function->name == name) return true;
  return false;
}
static_assert(calls(decltype(slope)::to_graph(), "cube") &&
              !calls(decltype(slope)::to_graph(), "cube_slope"));

int main() {}
