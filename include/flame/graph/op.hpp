// The primitives: one closed enumeration in groups, with arity, name and kind in the same table.
//
// Operands are nodes. `axes` are what an operation says of axes, `data` its numbers; both follow the operation's
// row below, in the order written there. Elementwise operands align by axis name; an operand may lack axes of the
// result (it is repeated along them), never the other way round.
#pragma once
#include <flame/base/text.hpp>

namespace flame {

inline constexpr long long as_result = -2;

// Append only: numbers are part of the words of an expression.
enum class op : u8 {
  // Leaves.
  leaf,      // what node.leaf says: an input, a parameter, a state, an argument
  constant,  // data: bits of a double, dtype. A scalar
  extent,    // axes: axis. data: dtype. The extent of the axis as a scalar
  iota,      // axes: axis. data: dtype. 0, 1, 2, ... along the axis
  uniform,   // (key) axes: shape. data: site, dtype. Uniform in [0, 1)
  normal,    // (key) axes: shape. data: site, dtype. Standard normal
  // Elementwise, one operand.
  neg, abs, sign, floor, exp, expm1, log, log1p, sqrt, rsqrt, reciprocal, sin, cos, tanh, sigmoid, erf,
  is_finite, is_nan, logical_not,
  cast,           // data: dtype
  stop_gradient,  // the operand; its derivative is none
  fold,           // (key, integer scalar) a new key
  // Elementwise, two operands.
  add, sub, mul, div, pow, minimum, maximum,
  less, less_equal, equal, not_equal, logical_and, logical_or,
  // Elementwise, three operands.
  where,  // (condition, if true, if false)
  // Reductions. axes: reduced axes.
  sum, prod, max, min,
  argmax,  // axes: one axis. The first index of the maximum, i32
  // Movement.
  permute,      // axes: all axes in their new order
  rename,       // axes: from, to
  split,        // axes: from, parts...
  merge,        // axes: parts..., to
  // Where a number says as_result (-2), the extent of `to` is known from elsewhere and decides. The extents of axes
  // named after `to` are added to begin and low: parts of a concatenation whose extents only run time knows.
  slice,        // axes: from, to, before... data: begin, step, count (-1: to the end, or as_result)
  pad,          // axes: from, to, before... data: low, high (or as_result), bits of the value, step between elements
  concatenate,  // (parts...) axes: the axis of each part, to
  broadcast,    // axes: all axes of the result
  // Contraction. axes: axes of the result. An axis in both operands and not in the result is summed over.
  contract,
  // Convolution, images [..., height, width, channel], weights [out, kernel height, kernel width, in / groups].
  // axes: xh, xw, kh, kw, in of x, in of w, out h, out w, out.
  // data: stride h, w, padding h, w, dilation h, w, groups; of a transposed convolution, and in its derivatives, also
  // by how much x is longer than its windows reach, h, w
  conv,         // (x, w)
  conv_data,    // (dy, w) gradient of x
  conv_weight,  // (x, dy) gradient of w
  // Pooling of [..., height, width, channel]. axes: xh, xw, out h, out w. data: kernel h, w, stride h, w, padding h, w
  pool_take,     // (x, u) u where the first maximum, or the last NaN, of x stands in each window
  pool_put,      // (x, dy) its transpose: dy summed onto where that stands
  pool_mean,     // (x) mean over each window, zeros of the padding counted
  pool_mean_put, // (dy) its transpose
  // Indexing.
  gather,       // (table, index) axes: axis. The table at index[...] along the axis
  scatter_add,  // (index, values) axes: axis, then all axes of the result. Values summed at index[...]; fixed order
  // Functions. node.function says which; see graph/function.hpp.
  call,    // (operands...) data: see graph/function.hpp
  result,  // (call) data: which output
  // Attention (graph/attention.hpp). axes: key, dim, position of the query (key where causal does not ask for it).
  // data: causal, bits of the scale (NaN: 1 / sqrt(extent of dim)). A mask may stand last.
  attend,             // (q, k, v) softmax(scale q k) v
  attend_statistics,  // (q, k) log of the sum of exp of each query's scores
  attend_query,       // (q, k, v, d, statistics, delta) the gradient of q, d that of the result, delta sum over dim of
  attend_key,         // (the same) of k                                                            d times the result
  attend_value,       // (the same) of v
  // Order along an axis.
  cumsum,  // (x) axes: axis. data: 1 from the end. The sum of the elements up to each, that one included
  top,     // (x) axes: axis, to. The indices, i32, of the largest elements, the largest first: see expr/order.hpp
  // An index that is compared, not followed.
  in_range,  // (index) axes: axis. data: indexed_by. The index, which must lie in [0, extent of the axis); or be
             // the second operand, a scalar of i64, where there is one
};

inline constexpr int op_count = static_cast<int>(op::in_range) + 1;

// Whose index in_range reads.
enum class indexed_by : u8 { cross_entropy, nll, one_hot };

enum class op_kind : u8 { leaf, random, unary, binary, ternary, reduction, movement, library, function };

struct op_info {
  text name;
  signed char arity;  // -1: any
  op_kind kind;
};

inline constexpr op_info op_table[op_count] = {
    {"leaf", 0, op_kind::leaf},
    {"constant", 0, op_kind::leaf},
    {"extent", 0, op_kind::leaf},
    {"iota", 0, op_kind::leaf},
    {"uniform", 1, op_kind::random},
    {"normal", 1, op_kind::random},
    {"neg", 1, op_kind::unary},
    {"abs", 1, op_kind::unary},
    {"sign", 1, op_kind::unary},
    {"floor", 1, op_kind::unary},
    {"exp", 1, op_kind::unary},
    {"expm1", 1, op_kind::unary},
    {"log", 1, op_kind::unary},
    {"log1p", 1, op_kind::unary},
    {"sqrt", 1, op_kind::unary},
    {"rsqrt", 1, op_kind::unary},
    {"reciprocal", 1, op_kind::unary},
    {"sin", 1, op_kind::unary},
    {"cos", 1, op_kind::unary},
    {"tanh", 1, op_kind::unary},
    {"sigmoid", 1, op_kind::unary},
    {"erf", 1, op_kind::unary},
    {"isfinite", 1, op_kind::unary},
    {"isnan", 1, op_kind::unary},
    {"not", 1, op_kind::unary},
    {"cast", 1, op_kind::unary},
    {"stop_gradient", 1, op_kind::unary},
    {"fold", 2, op_kind::binary},
    {"add", 2, op_kind::binary},
    {"sub", 2, op_kind::binary},
    {"mul", 2, op_kind::binary},
    {"div", 2, op_kind::binary},
    {"pow", 2, op_kind::binary},
    {"minimum", 2, op_kind::binary},
    {"maximum", 2, op_kind::binary},
    {"less", 2, op_kind::binary},
    {"less_equal", 2, op_kind::binary},
    {"equal", 2, op_kind::binary},
    {"not_equal", 2, op_kind::binary},
    {"and", 2, op_kind::binary},
    {"or", 2, op_kind::binary},
    {"where", 3, op_kind::ternary},
    {"sum", 1, op_kind::reduction},
    {"prod", 1, op_kind::reduction},
    {"max", 1, op_kind::reduction},
    {"min", 1, op_kind::reduction},
    {"argmax", 1, op_kind::reduction},
    {"permute", 1, op_kind::movement},
    {"rename", 1, op_kind::movement},
    {"split", 1, op_kind::movement},
    {"merge", 1, op_kind::movement},
    {"slice", 1, op_kind::movement},
    {"pad", 1, op_kind::movement},
    {"concatenate", -1, op_kind::movement},
    {"broadcast", 1, op_kind::movement},
    {"contract", 2, op_kind::library},
    {"conv", 2, op_kind::library},
    {"conv_data", 2, op_kind::library},
    {"conv_weight", 2, op_kind::library},
    {"pool_take", 2, op_kind::library},
    {"pool_put", 2, op_kind::library},
    {"pool_mean", 1, op_kind::library},
    {"pool_mean_put", 1, op_kind::library},
    {"gather", 2, op_kind::library},
    {"scatter_add", 2, op_kind::library},
    {"call", -1, op_kind::function},
    {"result", 1, op_kind::function},
    {"attend", -1, op_kind::library},
    {"attend_statistics", -1, op_kind::library},
    {"attend_query", -1, op_kind::library},
    {"attend_key", -1, op_kind::library},
    {"attend_value", -1, op_kind::library},
    {"cumsum", 1, op_kind::library},
    {"top", 1, op_kind::library},
    {"in_range", -1, op_kind::library},
};

[[nodiscard]] constexpr op_kind kind_of(op o) { return op_table[static_cast<int>(o)].kind; }
[[nodiscard]] constexpr text name_of(op o) { return op_table[static_cast<int>(o)].name; }
[[nodiscard]] constexpr bool is_elementwise(op o) {
  op_kind k = kind_of(o);
  return k == op_kind::unary || k == op_kind::binary || k == op_kind::ternary;
}
// An operation and its argument, as errors name them.
[[nodiscard]] constexpr text name_of(indexed_by by) {
  switch (by) {
    case indexed_by::cross_entropy: return "cross_entropy: label";
    case indexed_by::nll: return "nll: label";
    default: return "one_hot: index";
  }
}
[[nodiscard]] constexpr bool is_commutative(op o) {
  return o == op::add || o == op::mul || o == op::minimum || o == op::maximum || o == op::equal ||
         o == op::not_equal || o == op::logical_and || o == op::logical_or;
}

}  // namespace flame
