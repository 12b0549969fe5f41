// What becomes one kernel, known to the compiler: chains, rows, columns, their gradients, and what does not
// fuse.
#include <flame/language.hpp>
#include <flame/plan/kernels.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct key_row : dim<> {
} key_row;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, col> {
} y;
inline constexpr struct z : input<f32, row, col> {
} z;
inline constexpr struct gamma_ : input<f32, col> {
} gamma_;
inline constexpr struct beta : input<f32, col> {
} beta;
inline constexpr struct u : input<f32, row> {
} u;
inline constexpr struct a : input<f32, row, inner> {
} a;
inline constexpr struct b : input<f32, inner, col> {
} b;
inline constexpr struct label : input<i32, row> {
} label;
inline constexpr struct index : input<i32, batch> {
} index;
inline constexpr struct half : input<bf16, row, col> {
} half;
inline constexpr struct k : input<flame::key> {
} k;

// Several expressions of leaves alone as one function with as many outputs.
template <class Fn, class... Leaves> constexpr int kernels_of(const Fn&, const Leaves&...) {
  return kernels(*function_of<Fn, shape_of<Leaves>...>);
}

// Chains. 30 operations on three tensors, with two results, are one kernel.
struct long_chain {
  constexpr auto operator()(auto p, auto q, auto r) const {
    auto first = exp(p * q) + sin(r) * cos(p) - tanh(q);                        // 7
    auto second = sigmoid(first) * r + sqrt(abs(first) + 1_c) / (q * q + 2_c);  // 15
    auto third = where(first < second, log1p(exp(second)), maximum(first, r));  // 20
    auto fourth = third * third + erf(third) - rsqrt(abs(p) + 1_c) * second;    // 27
    return outputs(fourth + first * q, -third / (1_c + third * third));         // 30 and more
  }
};
template <class Fn, class... Shapes> constexpr int operations() {
  int count = 0;
  const graph g = graph_of(*function_of<Fn, Shapes...>);
  for (int n = 0; n < g.size(); ++n) count += is_elementwise(g[n].code);
  return count;
}
using plane = shape<f32, struct row, struct col>;
static_assert(operations<long_chain, plane, plane, plane>() >= 30);
static_assert(kernels_of(long_chain{}, x, y, z) == 1);
static_assert(kernels(x + y) == 1);
static_assert(kernels(gelu(x) * y + gamma_) == 1);                   // a vector is repeated where it is read
static_assert(kernels(where(x < y, x* u, y + gamma_)) == 1);         // of rows and of columns
static_assert(kernels(cast<f32>(exp(cast<f32>(half) * 2_c))) == 1);  // element types change on the way
static_assert(kernels(dropout(x, 0.5, k) * y) == 1);                 // a draw is made where it is read
static_assert(kernels(exp(permute(y, col, row)) * permute(x, col, row)) == 1);
static_assert(kernels(exp(broadcast(gamma_, row, col)) + x) == 1);

// Rows: a reduction over the last axes between what is made before it and what reads it.
static_assert(kernels(sum(x * y, col)) == 1);
static_assert(kernels(softmax(x, col)) == 1);
static_assert(kernels(log_softmax(x, col)) == 1);
static_assert(kernels(logsumexp(x, col)) == 1);
static_assert(kernels(layer_norm(x, 1e-5, col)) == 1);
static_assert(kernels(layer_norm(x, 1e-5, col) * gamma_ + beta) == 1);
static_assert(kernels(softmax(gelu(x) * y, col) + z) == 1);
static_assert(kernels(var(x, col)) == 1);
static_assert(kernels(cast<f32>(argmax(x * y, col))) == 1);
static_assert(kernels(x / max(abs(x), col)) == 1);
static_assert(kernels(layer_norm(x + softmax(x, col), 1e-5, col)) == 1);

// Columns and totals end the kernel that makes their operand.
static_assert(kernels(sum(x * y, row)) == 1);
static_assert(kernels(sum(exp(x) * y)) == 1);
static_assert(kernels(mse(x, y)) == 1);
static_assert(kernels(cross_entropy(x, label)) == 2);  // and the labels looked at

// Gradients: forward and backward of a row are one kernel again.
static_assert(kernels(grad(sum(exp(x) * sin(x) * y), x)) == 1);
static_assert(kernels(grad(sum(softmax(x, col) * y), x)) == 1);
static_assert(kernels(grad(sum(log_softmax(x, col) * y), x)) == 1);
static_assert(kernels(grad(sum(layer_norm(x, 1e-5, col) * gamma_ * y), x)) == 1);
static_assert(kernels(grad(sum((layer_norm(x, 1e-5, col) * gamma_ + beta) * y), x, gamma_, beta)) == 1);
static_assert(kernels(grad(cross_entropy(x, label), x)) == 2);  // and the labels looked at
static_assert(kernels(value_and_grad(sum(exp(x) * y), x, y)) == 1);
static_assert(kernels(grad(sum(grad(sum(tanh(x) * y), x) * z), x)) == 1);

// Products are steps of their own; what stands around them fuses, what is repeated is never made.
static_assert(kernels(matmul(a, b)) == 1);
static_assert(kernels(matmul(permute(a, inner, row), permute(x, row, col))) == 1);
static_assert(kernels(gelu(matmul(a, b) + gamma_) * y) == 2);
static_assert(kernels(attention(a, a, a, row, inner)) == 1);
static_assert(kernels(grad(sum(matmul(a, b)), a)) == 2);  // a sum, and its copies: no product
static_assert(kernels(embedding(b, label) * 2_c) == 2);

// Names of axes cost nothing; an order of memory that nothing but the caller asks for is one copy.
static_assert(kernels(exp(rename(x, col, inner))) == 1);
static_assert(kernels(permute(x, col, row) * 1_c) == 1);

int main() {}
