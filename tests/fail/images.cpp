// Images are [..., height, width, channel], weights [out, height, width, in]; what indexes is an integer.
// error 1: flame::conv2d(x, w): x has the axes [..., height, width, channel], w has [out, height, width, in]
// error 2: flame::conv2d(x, w): two extents that must be equal differ
// names 2: channel
// names 2: half
// error 3: flame::conv2d(x, w): the element types differ; cast one operand
// error 4: flame::conv2d(x, w): stride, dilation and groups must be at least 1, padding at least 0
// error 5: flame::max_pool(x): x has the axes [..., height, width, channel]
// error 6: flame::max_pool(x): the operand must have a floating element type
// error 7: flame::max_pool(x): the kernel must be at least 1, the padding at least 0 and at most half the kernel
// error 8: flame::mean_pool(x): x has the axes [..., height, width, channel]
// error 9: flame::gather(table, index, axis): the indices must have an integer element type
// error 10: flame::gather(table, index, axis): an axis that is named is no axis of the operand
// error 11: flame::embedding(table, index): the table has the axes [entry, feature]
// error 12: flame::embedding(table, index): the indices must have an integer element type
// error 13: flame::one_hot(index, axis): the index must have an integer element type
#include <flame/language.hpp>

using namespace flame;
using namespace flame::literals;

inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<6> {
} channel;
inline constexpr struct half : dim<3> {
} half;
inline constexpr struct entry : dim<> {
} entry;
inline constexpr struct word : dim<> {
} word;
inline constexpr struct out : dim<4> {
} out;
inline constexpr struct up : dim<3> {
} up;
inline constexpr struct across : dim<3> {
} across;
inline constexpr struct image : input<f32, height, width, channel> {
} image;
inline constexpr struct pixels : input<u8, height, width, channel> {
} pixels;
inline constexpr struct weight : input<f32, out, up, across, channel> {
} weight;
inline constexpr struct half_weight : input<bf16, out, up, across, channel> {
} half_weight;
inline constexpr struct other_weight : input<f32, out, up, across, half> {
} other_weight;
inline constexpr struct grouped : input<f32, out, up, across, half> {
} grouped;
inline constexpr struct table : input<f32, entry, channel> {
} table;
inline constexpr struct index_ : input<i32, word> {
} index_;
inline constexpr struct scores : input<f32, word> {
} scores;

#if MUST_FAIL == 1
auto refused = conv2d(image, table);
#elif MUST_FAIL == 2
auto refused = conv2d(image, other_weight);
#elif MUST_FAIL == 3
auto refused = conv2d(image, half_weight);
#elif MUST_FAIL == 4
auto refused = conv2d<conv_options{.stride = 0}>(image, weight);
#elif MUST_FAIL == 5
auto refused = max_pool(table);
#elif MUST_FAIL == 6
auto refused = max_pool(pixels);
#elif MUST_FAIL == 7
auto refused = max_pool<pool_options{.kernel = 2, .padding = 2}>(image);
#elif MUST_FAIL == 8
auto refused = mean_pool(table);
#elif MUST_FAIL == 9
auto refused = gather(table, scores, entry);
#elif MUST_FAIL == 10
auto refused = gather(table, index_, height);
#elif MUST_FAIL == 11
auto refused = embedding(image, index_);
#elif MUST_FAIL == 12
auto refused = embedding(table, scores);
#elif MUST_FAIL == 13
auto refused = one_hot(scores, channel);
#else
auto taken_1 = conv2d(image, weight);
auto taken_2 = conv2d<conv_options{.groups = 2}>(image, grouped);
auto taken_3 = conv2d(image, cast<f32>(half_weight));
auto taken_4 = conv2d<conv_options{.stride = 2}>(image, weight);
auto taken_5 = max_pool(image);
auto taken_6 = max_pool(cast<f32>(pixels));
auto taken_7 = max_pool<pool_options{.kernel = 2, .padding = 1}>(image);
auto taken_8 = mean_pool(image);
auto taken_9 = gather(table, index_, entry);
auto taken_10 = gather(table, index_, channel);
auto taken_11 = embedding(table, index_);
auto taken_12 = embedding(table, index_);
auto taken_13 = one_hot(index_, channel);
#endif

int main() {}
