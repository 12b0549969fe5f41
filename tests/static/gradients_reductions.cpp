// Gradients as types: repeated operands, reductions, and what is composed of them.
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct eight : dim<8> {
} eight;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, col> {
} y;
inline constexpr struct b : input<f32, col> {
} b;
inline constexpr struct u : input<f32, row> {
} u;
inline constexpr struct s : input<f32> {
} s;
inline constexpr struct v : input<f32, eight> {
} v;
inline constexpr struct label : input<i32, row> {
} label;
inline constexpr struct k : input<flame::key> {
} k;

template <class A, class B> constexpr bool alike(const A&, const B&) { return same<A, B>; }
#define GRADIENT(formula, wrt, expected) static_assert(alike(grad(sum(formula), wrt), expected))

// What is repeated is summed over, what is summed over is repeated.
GRADIENT(x + b, b, broadcast(cast<f32>(extent<f32>(row, x)), col));
GRADIENT(x* b, b, sum(x, row));
GRADIENT(x* b, x, broadcast(b, row, col));
GRADIENT(x* s, s, sum(x));
GRADIENT((x - b) * y, b, -sum(y, row));
GRADIENT(x / u, u, -sum(x / u / u, col));
GRADIENT(exp(broadcast(b, row, col)), b, sum(exp(broadcast(b, row, col)), row));
GRADIENT(sum(x, row) * b, x, broadcast(b, row, col));
GRADIENT(exp(sum(x, col)), x, broadcast(exp(sum(x, col)), row, col));
GRADIENT(sum(x* y, col) * u, x, y* u);

// Means: one division by the count, in full by the compiler where it knows the extent.
static_assert(alike(grad(mean(x), x),
                    broadcast(1_c / (extent<f32>(row, x) * extent<f32>(col, x)), row, col)));
static_assert(alike(grad(mean(v), v), broadcast(cast<f32>(0.125_c), eight)));
static_assert(alike(grad(mean(v * v), v), 0.25_c * v));
static_assert(alike(grad(mse(x, y), x),
                    2_c * ((x - y) * (1_c / (extent<f32>(row, x) * extent<f32>(col, x))))));

// Extremes share alike among equals; of a product, the product of the others, also where there are zeros.
constexpr auto hit = cast<f32>(x == max(x, col));
GRADIENT(max(x, col), x, hit*(1_c / sum(hit, col)));
GRADIENT(max(x, col) * u, x, hit*(u / sum(hit, col)));
constexpr auto low = cast<f32>(x == min(x, row));
GRADIENT(min(x, row), x, low*(1_c / sum(low, row)));
constexpr auto zeros_of_x = sum(cast<f32>(x == 0_c), col);
constexpr auto others = where(x == 0_c, 1_c, x);
GRADIENT(prod(x, col), x,
         where(zeros_of_x == 0_c, prod(x, col) / others,
               where(zeros_of_x == 1_c && x == 0_c, prod(others, col), 0_c)));

// Variance: 2 (x - mean) / (n - 1), less its mean.
constexpr auto spread_of_x = 2_c * ((x - mean(x, col)) * (1_c / maximum(extent<f32>(col, x) - 1_c, 0_c)));
GRADIENT(var(x, col), x, spread_of_x - mean(spread_of_x, col));

// Softmax s, summed with y: s (y - sum s y), each of them over the same sum of exponentials.
constexpr auto e = exp(x - stop_gradient(max(x, col)));
constexpr auto total = sum(e, col);
static_assert(alike(softmax(x, col), e / total));
GRADIENT(softmax(x, col) * y, x, e*(y / total - sum(softmax(x, col) * y / total, col)));
GRADIENT(log_softmax(x, col) * y, x, y - e * (sum(y, col) / total));
constexpr auto top = stop_gradient(max(x, col));
constexpr auto exps = exp(x - where(isfinite(top), top, 0_c));
GRADIENT(logsumexp(x, col), x, exps*(1_c / sum(exps, col)));
// Cross entropy: (softmax - one hot) / rows.
constexpr auto share = 1_c / extent<f32>(row, x);
constexpr auto labelled = flame::detail::in_range<indexed_by::cross_entropy, struct col>(label);
static_assert(alike(grad(cross_entropy(x, label), x),
                    share / sum(exps, col) * exps +
                        where(emit<op::equal>(labelled, iota(col, x)), -share, 0_c)));

// Layer norm, written down once: what reaches the centred x, less its mean.
constexpr auto centred = x - mean(x, col);
constexpr auto scale = rsqrt(mean(centred * centred, col) + 0.25_c);
constexpr auto squares =
    -0.5_c * (scale * scale * scale) * sum(centred * y, col) / extent<f32>(col, x) * centred;
constexpr auto reached = scale * y + squares + squares;
static_assert(alike(grad(sum(centred * scale * y), x), reached - mean(reached, col)));
GRADIENT(layer_norm(x, 1e-5, col) * b, b, sum(layer_norm(x, 1e-5, col), row));

// Random factors are none of the leaves.
GRADIENT(x* uniform_like(x, k), x, uniform_like(x, k));
GRADIENT(where(uniform_like(x, k) >= 0.5_c, 2_c * x, 0_c), x,
         2_c * where(uniform_like(x, k) >= 0.5_c, cast<f32>(1_c), 0_c));

int main() {}
