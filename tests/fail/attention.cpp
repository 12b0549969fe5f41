// Attention: operands of one floating type, axes that they have, masks of the scores.
// error 1: flame::attention(q, k, v, token, dim): k and v must have the axis token, q and k the axis dim
// error 2: flame::attention(q, k, v, token, dim, causal(axis)): the axis must be one of q
// error 3: flame::attention(q, k, v, token, dim, masked(mask)): the element types differ
// error 4: flame::attention(q, k, v, token, dim, masked(mask)): the element types differ
// error 5: flame::attention(q, k, v, token, dim, masked(mask)): an axis that is named is no axis of the operand
// names 5: other
// error 6: flame::attention(q, k, v, token, dim): the element types differ
// error 7: flame::attention(q, k, v, token, dim): the operand must have a floating element type
// error 8: flame::attention(q, k, v, token, dim, options...): an option is causal(token), masked(mask) or scaled(number)
// error 9: flame::attention(q, k, v, token, dim, options...): an option is causal(token), masked(mask) or scaled(number)
// error 10: flame::attention(q, k, v, token, dim, options...): an option is causal(token), masked(mask) or scaled(number)
#include <flame/expr/attention.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct query : dim<> {
} query;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct q : input<f32, query, feature> {
} q;
inline constexpr struct k : input<f32, token, feature> {
} k;
inline constexpr struct wide_k : input<f64, token, feature> {
} wide_k;
inline constexpr struct whole_q : input<i32, query, feature> {
} whole_q;
inline constexpr struct whole_k : input<i32, token, feature> {
} whole_k;
inline constexpr struct seen : input<bool, query, token> {
} seen;
inline constexpr struct added : input<f32, query, token> {
} added;
inline constexpr struct whole : input<i32, query, token> {
} whole;
inline constexpr struct elsewhere : input<bool, query, other> {
} elsewhere;
inline constexpr struct wide : input<f64, query, token> {
} wide;

#if MUST_FAIL == 1
auto refused = attention(q, k, k, other, feature);
#elif MUST_FAIL == 2
auto refused = attention(q, k, k, token, feature, causal(other));
#elif MUST_FAIL == 3
auto refused = attention(q, k, k, token, feature, masked(whole));
#elif MUST_FAIL == 4
auto refused = attention(q, k, k, token, feature, masked(wide));
#elif MUST_FAIL == 5
auto refused = attention(q, k, k, token, feature, masked(elsewhere));
#elif MUST_FAIL == 6
auto refused = attention(q, wide_k, k, token, feature);
#elif MUST_FAIL == 7
auto refused = attention(whole_q, whole_k, whole_k, token, feature);
#elif MUST_FAIL == 8
auto refused = attention(q, k, k, token, feature, causal(query), 3);
#elif MUST_FAIL == 9
auto refused = attention(q, k, k, token, feature, 3);
#elif MUST_FAIL == 10
auto refused = attention(q, k, k, token, feature, seen);
#else
auto taken_1 = attention(q, k, k, token, feature);
auto taken_2 = attention(q, k, k, token, feature, causal(query));
auto taken_3 = attention(q, k, k, token, feature, masked(seen));
auto taken_4 = attention(q, k, k, token, feature, masked(added));
auto taken_8 = attention(q, k, k, token, feature, causal(query), scaled(0.5_c));
#endif

int main() {}
