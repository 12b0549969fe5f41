// Layers: groups that divide the channels, images, a random key where training draws.
// error 1: flame::convolution_layer: groups must divide the channels
// error 2: flame::convolution_layer: groups must divide the channels
// error 3: flame::transposed_convolution_layer: groups must divide the channels
// error 4: flame::group_norm_layer: groups must divide the channels
// error 5: flame::instance_norm_layer: x has the axes [..., height, width, channel]
// error 6: flame::dropout_layer(x, p, key): training needs a random key
// error 7: flame::drop_path_layer(x, p, key): training needs a random key
// error 8: flame::layer_norm(x, eps, axes...): an axis that is named is no axis of the operand
// error 9: flame::gather(table, index, axis): the indices must have an integer element type
#include <flame/nn/layers.hpp>
#include <flame/nn/norm.hpp>
#include <flame/nn/transposed.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<6> {
} col;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<6> {
} channel;
inline constexpr struct out : dim<4> {
} out;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct image : input<f32, height, width, channel> {
} image;
inline constexpr struct places : input<i32, row> {
} places;
inline constexpr struct bits : input<key> {
} bits;
using trained = in<root<symbols<f32, true>>, "of">;
inline constexpr conv_options fours{.groups = 4}, pairs{.groups = 2};
inline constexpr conv_transpose_options four{.groups = 4}, pair{.groups = 2};

#if MUST_FAIL == 1
auto refused = convolution_layer<trained, channel, out, 3, fours>{}(image);
#elif MUST_FAIL == 2
auto refused = convolution_layer<trained, channel, out, 3, conv_options{.groups = 3}>{}(image);
#elif MUST_FAIL == 3
auto refused = transposed_convolution_layer<trained, channel, out, 3, four>{}(image);
#elif MUST_FAIL == 4
auto refused = group_norm_layer<trained, channel, 4>{}(image);
#elif MUST_FAIL == 5
auto refused = instance_norm_layer<trained, col>{}(x);
#elif MUST_FAIL == 6
auto refused = dropout_layer<trained>{}(x, 0.1);
#elif MUST_FAIL == 7
auto refused = drop_path_layer<trained, row>{}(x, 0.1);
#elif MUST_FAIL == 8
auto refused = layer_norm_layer<trained, out>{}(x);
#elif MUST_FAIL == 9
auto refused = embedding_table<trained, out, col>{}(x);
#else
auto taken_1 = convolution_layer<trained, channel, out, 3, pairs>{};
auto taken_3 = transposed_convolution_layer<trained, channel, out, 3, pair>{}(image);
auto taken_4 = group_norm_layer<trained, channel, 3>{}(image);
auto taken_5 = instance_norm_layer<trained, channel>{}(image);
auto taken_6 = dropout_layer<trained>{}(x, 0.1, bits);
auto taken_7 = drop_path_layer<trained, row>{}(x, 0.1, bits);
auto taken_8 = layer_norm_layer<trained, col>{}(x);
auto taken_9 = embedding_table<trained, out, col>{}(places);
#endif

int main() {}
