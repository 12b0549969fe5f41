// Elementwise operators: element types, axes that contain each other, anonymous axes alike.
// error 1: flame::add(a, b): the element types differ; cast one operand, as in cast<f32>(b)
// names 1: row
// error 2: flame::mul(a, b): the element types differ; cast one operand
// error 3: flame::mul(a, b): the axes of one operand must contain the axes of the other; broadcast(x, axes...)
// names 3: row
// names 3: col
// error 4: flame::add(a, b): two extents that must be equal differ
// error 5: flame::sub(a, b): anonymous operands must have equal ranks
// error 6: flame::sqrt(x): the operand must have a floating element type
// error 7: flame::div(a, b): the operand must have a floating element type
// error 8: flame::where(condition, a, b): the condition must be boolean
// error 9: flame::where(condition, a, b): one of a and b must be a tensor, to give the element type
// error 10: flame::logical_and(a, b): the condition must be boolean
// error 11: flame::less(a, b): the operand must be a number, not a boolean or a key
// error 12: flame::add(a, b): the operand must be a number, not a boolean or a key
// error 13: flame: a literal such as 2_c or 1e-5_c is a decimal number
// error 14: flame: a floating number beside an integer operand: cast it
// error 15: flame: a floating number beside an integer operand: cast it
// error 16: flame: a floating number beside an integer operand: cast it
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct halves : input<bf16, row> {
} halves;
inline constexpr struct counts : input<i32, row> {
} counts;
inline constexpr struct along_rows : input<f32, row> {
} along_rows;
inline constexpr struct along_columns : input<f32, col> {
} along_columns;
inline constexpr anonymous<0, 3> of_three;
inline constexpr anonymous<0, 4> of_four;
inline constexpr anonymous<1, 4> rows_of_four;
inline constexpr struct three : input<f32, of_three> {
} three;
inline constexpr struct four : input<f32, of_four> {
} four;
inline constexpr struct plane : input<f32, rows_of_four, of_four> {
} plane;

#if MUST_FAIL == 1
auto refused = x + halves;
#elif MUST_FAIL == 2
auto refused = counts * x;
#elif MUST_FAIL == 3
auto refused = along_rows * along_columns;
#elif MUST_FAIL == 4
auto refused = three + four;
#elif MUST_FAIL == 5
auto refused = plane - four;
#elif MUST_FAIL == 6
auto refused = sqrt(counts);
#elif MUST_FAIL == 7
auto refused = counts / counts;
#elif MUST_FAIL == 8
auto refused = where(x, x, x);
#elif MUST_FAIL == 9
auto refused = where(x > 0, 1, 0);
#elif MUST_FAIL == 10
auto refused = x && x;
#elif MUST_FAIL == 11
auto refused = (x > 0) < (x > 1);
#elif MUST_FAIL == 12
auto refused = (x > 0) + (x > 1);
#elif MUST_FAIL == 13
auto refused = x * 0x2p3_c;
#elif MUST_FAIL == 14
auto refused = counts * 3.7;
#elif MUST_FAIL == 15
auto refused = 5.5_c < counts;
#elif MUST_FAIL == 16
auto refused = where(x > 0, counts, 0.0f);
#else
auto taken_1 = x + cast<f32>(halves);
auto taken_2 = cast<f32>(counts) * x;
auto taken_3 = broadcast(along_rows, row, col) * along_columns;
auto taken_4 = three + three;
auto taken_5 = plane - plane;
auto taken_6 = sqrt(cast<f32>(counts));
auto taken_7 = x / x;
auto taken_8 = where(x > 0, x, x);
auto taken_9 = where(x > 0, x, 0);
auto taken_10 = x > 0 && x < 1;
auto taken_11 = x < 1;
auto taken_12 = cast<i32>(x > 0) + cast<i32>(x > 1);
auto taken_13 = x * 16_c;
auto taken_14 = cast<f32>(counts) * 3.7 + cast<f32>(counts * 3);
auto taken_15 = 5_c < counts;
auto taken_16 = where(x > 0, counts, 0);
#endif

int main() {}
