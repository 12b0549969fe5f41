// Losses compare tensors of one element type whose axes contain each other; labels are integers.
// error 1: flame::l1(a, b): the axes of one operand must contain the axes of the other
// error 2: flame::huber(a, b, delta): the element types differ; cast one operand, as in cast<f32>(b)
// error 3: flame::smooth_l1(a, b, beta): the operand must have a floating element type
// error 4: flame::bce(p, target): the axes of one operand must contain the axes of the other
// error 5: flame::bce_with_logits(x, target): the element types differ
// error 6: flame::kl_div(x, target): the element types differ
// error 7: flame::nll(log_p, label, options): label must have the axes of the first operand but one
// error 8: flame::nll(log_p, label, options): label must have an integer element type
// error 9: flame::cross_entropy(logits, label, options): label must have an integer element type
// error 10: flame::cross_entropy(logits, label, options, weight): the weight's axis is the classes'
#include <flame/expr/loss.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct y : input<f32, row> {
} y;
inline constexpr struct others : input<f32, other> {
} others;
inline constexpr struct halves : input<bf16, row, col> {
} halves;
inline constexpr struct counts : input<i32, row, col> {
} counts;
inline constexpr struct label : input<i32, row> {
} label;
inline constexpr struct weight : input<f32, col> {
} weight;

#if MUST_FAIL == 1
auto refused = l1(y, others);
#elif MUST_FAIL == 2
auto refused = huber(x, halves);
#elif MUST_FAIL == 3
auto refused = smooth_l1(counts, counts);
#elif MUST_FAIL == 4
auto refused = bce(y, others);
#elif MUST_FAIL == 5
auto refused = bce_with_logits(x, halves);
#elif MUST_FAIL == 6
auto refused = kl_div(halves, x);
#elif MUST_FAIL == 7
auto refused = nll(x, counts);
#elif MUST_FAIL == 8
auto refused = nll(x, y);
#elif MUST_FAIL == 9
auto refused = cross_entropy(x, y, {.label_smoothing = 0.1});
#elif MUST_FAIL == 10
auto refused = cross_entropy(x, label, {}, y);
#else
auto taken_1 = l1(x, y);
auto taken_2 = huber(x, cast<f32>(halves));
auto taken_3 = smooth_l1(cast<f32>(counts), cast<f32>(counts));
auto taken_4 = bce(x, y);
auto taken_5 = bce_with_logits(x, x);
auto taken_6 = kl_div(x, x);
auto taken_7 = nll(x, label);
auto taken_9 = cross_entropy(x, label, {.label_smoothing = 0.1});
auto taken_10 = cross_entropy(x, label, {}, weight);
#endif

int main() {}
