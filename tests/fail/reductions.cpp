// Reductions name axes that the operand has, of element types that can be summed.
// error 1: flame::sum(x, axes...): an axis that is named is no axis of the operand
// names 1: other
// error 2: flame::sum(x, axes...): an axis would stand twice in the result
// error 3: flame::mean(x, axes...): an axis that is named is no axis of the operand
// error 4: flame::mean(x, axes...): the operand must have a floating element type
// error 5: flame::var(x, axes...): an axis that is named is no axis of the operand
// error 6: flame::softmax(x, axes...): an axis that is named is no axis of the operand
// names 6: other
// error 7: flame::log_softmax(x, axes...): an axis that is named is no axis of the operand
// error 8: flame::logsumexp(x, axes...): an axis that is named is no axis of the operand
// error 9: flame::layer_norm(x, eps, axes...): an axis that is named is no axis of the operand
// error 10: flame::softmax(x, axes...): the operand must have a floating element type
// error 11: flame::any(x, axes...): x must be boolean
// error 12: flame::argmax(x, axis): an axis that is named is no axis of the operand
// error 13: flame::cross_entropy(logits, label): label must have the axes of logits but one
// error 14: flame::cross_entropy(logits, label): label must have an integer element type
// error 15: flame::mse(a, b): the axes of one operand must contain
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct counts : input<i32, row> {
} counts;
inline constexpr struct scores : input<f32, row> {
} scores;
inline constexpr struct others : input<f32, other> {
} others;

#if MUST_FAIL == 1
auto refused = sum(x, other);
#elif MUST_FAIL == 2
auto refused = sum(x, col, col);
#elif MUST_FAIL == 3
auto refused = mean(x, other);
#elif MUST_FAIL == 4
auto refused = mean(counts);
#elif MUST_FAIL == 5
auto refused = var(x, other);
#elif MUST_FAIL == 6
auto refused = softmax(x, other);
#elif MUST_FAIL == 7
auto refused = log_softmax(x, other);
#elif MUST_FAIL == 8
auto refused = logsumexp(x, other);
#elif MUST_FAIL == 9
auto refused = layer_norm(x, 1e-5, other);
#elif MUST_FAIL == 10
auto refused = softmax(counts, row);
#elif MUST_FAIL == 11
auto refused = any(x);
#elif MUST_FAIL == 12
auto refused = argmax(x, other);
#elif MUST_FAIL == 13
auto refused = cross_entropy(x, x);
#elif MUST_FAIL == 14
auto refused = cross_entropy(x, scores);
#elif MUST_FAIL == 15
auto refused = mse(scores, others);
#else
auto taken_1 = sum(x, col);
auto taken_2 = sum(x, row, col);
auto taken_3 = mean(x, row);
auto taken_4 = mean(cast<f32>(counts));
auto taken_5 = var(x, col);
auto taken_6 = softmax(x, col);
auto taken_7 = log_softmax(x, col);
auto taken_8 = logsumexp(x, col);
auto taken_9 = layer_norm(x, 1e-5, col);
auto taken_10 = softmax(cast<f32>(counts), row);
auto taken_11 = any(x > 0);
auto taken_12 = argmax(x, col);
auto taken_13 = cross_entropy(x, counts);
auto taken_14 = cross_entropy(x, counts);
auto taken_15 = mse(x, scores);
#endif

int main() {}
