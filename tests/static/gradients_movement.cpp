// Gradients as types: movement of axes, contractions, convolutions, pooling and indexing. Each of them is
// another of the same primitives, so that gradients of gradients need no more. compilers: g++ clang++ nvcc
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct both : dim<> {
} both;
inline constexpr struct head : dim<2> {
} head;
inline constexpr struct depth : dim<> {
} depth;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row, col> {
} y;
inline constexpr struct turned : input<f32, col, row> {
} turned;
inline constexpr struct a : input<f32, row, inner> {
} a;
inline constexpr struct b : input<f32, inner, col> {
} b;
inline constexpr struct c : input<f32, row, col> {
} c;
inline constexpr struct many : input<f32, batch, row, inner> {
} many;
inline constexpr struct place_of : input<i32, row> {
} place_of;

inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct out : dim<> {
} out;
inline constexpr struct up : dim<3> {
} up;
inline constexpr struct across : dim<3> {
} across;
inline constexpr struct image : input<f32, batch, height, width, channel> {
} image;
inline constexpr struct weight : input<f32, out, up, across, channel> {
} weight;
inline constexpr struct result : input<f32, batch, height, width, out> {
} result;

template <class A, class B> constexpr bool alike(const A&, const B&) { return same<A, B>; }
#define GRADIENT(formula, wrt, expected) static_assert(alike(grad(sum(formula), wrt), expected))

// Movement. The order of axes is the memory's affair, their names are free.
GRADIENT(permute(x, col, row) * turned, x, permute(turned, row, col));
GRADIENT(permute(x, col, row) * turned, turned, permute(x, col, row));
GRADIENT(rename(x, col, other), x, broadcast(cast<f32>(1_c), row, col));
GRADIENT(sin(rename(x, col, other)), x, rename(cos(rename(x, col, other)), other, col));
GRADIENT(sin(merge(x, row, col, both)), x, split(cos(merge(x, row, col, both)), both, row, col));
GRADIENT(sin(split(x, col, head, depth)), x, merge(cos(split(x, col, head, depth)), head, depth, col));
// A slice is padded with zeros, and a pad sliced, to the extent that the axis has elsewhere; a part of a
// concatenation begins where the parts before it end.
template <i64 Low, axis From, axis To, class A>
constexpr auto padded(const A& values, const From&, const To&) {
  return emit<op::pad, on_axes<From, To>, with_numbers<Low, static_cast<u64>(as_result), 0, 1>>(values);
}
template <i64 Begin, axis From, axis To, axis... Before, class A>
constexpr auto sliced(const A& values, const From&, const To&, const Before&...) {
  return emit<op::slice, on_axes<From, To, Before...>, with_numbers<Begin, 1, static_cast<u64>(as_result)>>(
      values);
}
GRADIENT(sin(slice<2>(x, col, other)), x, padded<2>(cos(slice<2>(x, col, other)), other, col));
GRADIENT(sin(pad<1, 3>(x, col, other)), x, sliced<1>(cos(pad<1, 3>(x, col, other)), other, col));
constexpr auto joined = concatenate(x, col, y, col, other);
GRADIENT(sin(joined), x, sliced<0>(cos(joined), other, col));
GRADIENT(sin(joined), y, sliced<0>(cos(joined), other, col, col));

// Contractions: the operands are read in any order, none is copied.
GRADIENT(matmul(a, b) * c, a, matmul(c, permute(b, col, inner)));
GRADIENT(matmul(a, b) * c, b, matmul(permute(a, inner, row), c));
GRADIENT(matmul(a, b), a, broadcast(sum(b, col), row, inner));
GRADIENT(matmul(a, b), b, broadcast(sum(a, row), inner, col));
GRADIENT(contract(many, b, batch, row, col) * c, b,
         contract(many, broadcast(c, batch, row, col), inner, col));
GRADIENT(tanh(matmul(a, b)), a,
         matmul(1_c - tanh(matmul(a, b)) * tanh(matmul(a, b)), permute(b, col, inner)));
GRADIENT(contract(a, a, row) * sum(c, col), a, 2_c * (sum(c, col) * a));
static_assert(alike(matmul(permute(a, inner, row), c), contract(a, c, inner, col)));
static_assert(alike(contract(broadcast(b, batch, inner, col), a, batch, row, col),
                    broadcast(contract(b, a, row, col), batch, row, col)));

// Convolutions: each of the three is the others' derivative.
constexpr conv_options same_extent{.padding = 1};
using traits = detail::conv_traits<shape_of<struct image>, shape_of<struct weight>, same_extent>;
template <op Code, class A, class B> constexpr auto convolution(const A& first, const B& second) {
  return emit<Code, traits::axes, traits::numbers>(first, second);
}
GRADIENT(conv2d<same_extent>(image, weight) * result, image, convolution<op::conv_data>(result, weight));
GRADIENT(conv2d<same_extent>(image, weight) * result, weight, convolution<op::conv_weight>(image, result));
GRADIENT(convolution<op::conv_data>(result, weight) * image, result, conv2d<same_extent>(image, weight));
GRADIENT(convolution<op::conv_data>(result, weight) * image, weight,
         convolution<op::conv_weight>(image, result));
GRADIENT(convolution<op::conv_weight>(image, result) * weight, image,
         convolution<op::conv_data>(result, weight));
GRADIENT(convolution<op::conv_weight>(image, result) * weight, result, conv2d<same_extent>(image, weight));

// Pooling: what was taken from a place is put there.
constexpr pool_options overlapping{.kernel = 3, .stride = 1, .padding = 1};
using windows_of_image = detail::pool_traits<shape_of<struct image>, overlapping>;
template <op Code, class... A> constexpr auto pooling(const A&... operands) {
  return emit<Code, windows_of_image::axes, windows_of_image::numbers>(operands...);
}
GRADIENT(max_pool<overlapping>(image) * image, image,
         pooling<op::pool_put>(stop_gradient(image), image) + max_pool<overlapping>(image));
GRADIENT(mean_pool<overlapping>(image) * stop_gradient(image), image,
         pooling<op::pool_mean_put>(stop_gradient(image)));

// Indexing: what was read at an index is summed there.
GRADIENT(embedding(b, place_of) * c, b,
         (emit<op::scatter_add, on_axes<struct inner, struct inner, struct col>>(place_of, c)));
GRADIENT((emit<op::scatter_add, on_axes<struct inner, struct inner, struct col>>(place_of, c)) * b, c,
         embedding(b, place_of));

int main() {}
