// Products sum over an axis that both operands have.
// error 1: flame::matmul(a, b): the last axis of a must be the first of b
// names 1: inner
// names 1: other
// error 2: flame::matmul(a, b): the last axis of a must be the first of b
// error 3: flame::matmul(a, b, axis): the axis to sum over must be an axis of a and of b
// names 3: inner
// error 4: flame::matmul(a, b, axis): the element types differ; cast one operand
// error 5: flame::matmul(a, b, axis): the operand must have a floating element type
// error 6: flame::contract(a, b, axes...): an axis of one operand alone is neither shared nor in the result
// error 7: flame::contract(a, b, axes...): an axis that is named is no axis of the operand
// error 8: flame::attention(q, k, v, token, dim): k and v must have the axis token, q and k the axis dim
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct a : input<f32, row, inner> {
} a;
inline constexpr struct b : input<f32, inner, col> {
} b;
inline constexpr struct c : input<f32, other, col> {
} c;
inline constexpr struct halves : input<bf16, inner, col> {
} halves;
inline constexpr struct counts : input<i32, inner> {
} counts;
inline constexpr anonymous<0, 3> of_three;
inline constexpr anonymous<1, 3> rows_of_three;
inline constexpr anonymous<0, 4> of_four;
inline constexpr anonymous<1, 4> rows_of_four;
inline constexpr struct three : input<f32, rows_of_three, of_three> {
} three;
inline constexpr struct four : input<f32, rows_of_four, of_four> {
} four;

#if MUST_FAIL == 1
auto refused = matmul(a, c);
#elif MUST_FAIL == 2
auto refused = matmul(three, four);
#elif MUST_FAIL == 3
auto refused = matmul(a, c, inner);
#elif MUST_FAIL == 4
auto refused = matmul(a, halves, inner);
#elif MUST_FAIL == 5
auto refused = matmul(counts, counts, inner);
#elif MUST_FAIL == 6
auto refused = contract(a, b, row);
#elif MUST_FAIL == 7
auto refused = contract(a, b, row, other);
#elif MUST_FAIL == 8
auto refused = attention(a, a, a, row, col);
#else
auto taken_1 = matmul(a, b);
auto taken_2 = matmul(three, three);
auto taken_3 = matmul(a, b, inner);
auto taken_4 = matmul(a, cast<f32>(halves), inner);
auto taken_5 = matmul(cast<f32>(counts), cast<f32>(counts), inner);
auto taken_6 = contract(a, b, row, col);
auto taken_7 = contract(a, b, col, row);
auto taken_8 = attention(a, a, a, row, inner);
#endif

int main() {}
