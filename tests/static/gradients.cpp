#include <flame/expr/attention.hpp>
#include <flame/expr/image.hpp>
#include <flame/expr/random.hpp>
#include <flame/expr/gradient.hpp>
using namespace flame; using namespace flame::literals;
inline constexpr struct row : dim<> {} row; inline constexpr struct col : dim<4> {} col; 
inline constexpr struct x : input<f32, row, col> {} x;
inline constexpr struct y : input<f32, row, col> {} y;
inline constexpr struct t : input<f32, row, col> {} t;
static_assert(same<decltype(grad(sum(sin(x)), x)), decltype(cos(x))>);
static_assert(same<decltype(grad(sum(x*x), x)), decltype(2_c*x)>);
static_assert(same<decltype(grad(sum(x*y), x)), decltype(broadcast(y,row,col))>);
static_assert(same<decltype(grad(sum(exp(x)), x)), decltype(exp(x))>);
static_assert(same<decltype(jvp(sin(x), t, x)), decltype(cos(x)*t)>);
static_assert(same<decltype(grad(sum(grad(sum(sin(x)),x)), x)), decltype(-sin(x))>);
auto g = grad(sum(softmax(x, col)*y), x);
int main(){ }
