// Movement names axes that the operand has, of extents that fit.
// error 1: flame::permute(x, axes...): all axes of x must be named
// error 2: flame::permute(x, axes...): an axis that is named is no axis of the operand
// names 2: other
// error 3: flame::broadcast(x, axes...): an axis that is named is no axis of the operand
// error 4: flame::rename(x, from, to): an axis that is named is no axis of the operand
// error 5: flame::rename(x, from, to): an axis would stand twice in the result
// error 6: flame::rename(x, from, to): two extents that must be equal differ
// names 6: six
// names 6: five
// error 7: flame::split(x, from, parts...): two extents that must be equal differ
// error 8: flame::split(x, from, parts...): at least one part must be named
// error 9: flame::merge(x, parts..., to): an axis that is named is no axis of the operand
// error 10: flame::slice<begin, count, step>(x, from, to): an axis that is named is no axis of the operand
// error 11: flame::slice<begin, count, step>(x, from, to): begin >= 0 and step >= 1
// error 12: flame::slice<begin, count, step>(x, from, to): count must be the extent of `to`
// error 13: flame::select<index>(x, axis): the index lies outside of the axis
// error 14: flame::pad<low, high>(x, from, to): low and high must not be negative
// error 15: flame::concatenate(a, axis of a, b, axis of b, to): an axis that is named is no axis of the operand
// names 15: six
// error 16: flame::concatenate(a, axis of a, b, axis of b, to): the element types differ; cast one operand
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct two : dim<2> {
} two;
inline constexpr struct five : dim<5> {
} five;
inline constexpr struct six : dim<6> {
} six;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct counts : input<i32, row, col> {
} counts;
inline constexpr struct of_six : input<f32, six> {
} of_six;

#if MUST_FAIL == 1
auto refused = permute(x, row);
#elif MUST_FAIL == 2
auto refused = permute(x, row, other);
#elif MUST_FAIL == 3
auto refused = broadcast(x, row, other);
#elif MUST_FAIL == 4
auto refused = rename(x, other, row);
#elif MUST_FAIL == 5
auto refused = rename(x, col, row);
#elif MUST_FAIL == 6
auto refused = rename(of_six, six, five);
#elif MUST_FAIL == 7
auto refused = split(of_six, six, two, five);
#elif MUST_FAIL == 8
auto refused = split(of_six, six);
#elif MUST_FAIL == 9
auto refused = merge(x, row, other, six);
#elif MUST_FAIL == 10
auto refused = (slice<1, 2>(x, other, two));
#elif MUST_FAIL == 11
auto refused = (slice<-1, 2>(x, col, two));
#elif MUST_FAIL == 12
auto refused = (slice<0, 3>(x, col, two));
#elif MUST_FAIL == 13
auto refused = select<6>(of_six, six);
#elif MUST_FAIL == 14
auto refused = (pad<-1, 0>(x, col, other));
#elif MUST_FAIL == 15
auto refused = concatenate(x, col, of_six, six, other);
#elif MUST_FAIL == 16
auto refused = concatenate(x, col, counts, col, other);
#else
auto taken_1 = permute(x, col, row);
auto taken_2 = permute(x, row, col);
auto taken_3 = broadcast(x, row, col, other);
auto taken_4 = rename(x, col, other);
auto taken_5 = rename(x, row, other);
auto taken_6 = rename(of_six, six, other);
auto taken_7 = split(of_six, six, two, other);
auto taken_8 = split(of_six, six, two, other);
auto taken_9 = merge(x, row, col, other);
auto taken_10 = (slice<1, 2>(x, col, two));
auto taken_11 = (slice<0, 2>(x, col, two));
auto taken_12 = (slice<0, 3>(x, col, other));
auto taken_13 = select<5>(of_six, six);
auto taken_14 = (pad<1, 0>(x, col, other));
auto taken_15 = concatenate(x, col, x, col, other);
auto taken_16 = concatenate(x, col, cast<f32>(counts), col, other);
#endif

int main() {}
