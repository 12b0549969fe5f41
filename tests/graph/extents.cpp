// Extents of all axes from those of the leaves, and the words of what cannot be.
#include <doctest/doctest.h>

#include <flame/graph/extents.hpp>

#include "support.hpp"

namespace flame::tests {
namespace {

constexpr leaf_info x = leaf_of<f32, struct row, struct col>("x");
constexpr leaf_info y = leaf_of<f32, struct other, struct col>("y");
constexpr leaf_info image = leaf_of<f32, struct batch, struct height, struct width, struct channel>("image");
constexpr leaf_info weight =
    leaf_of<f32, struct out, struct kernel_height, struct kernel_width, struct channel_part>("weight");
constexpr leaf_info upstream =
    leaf_of<f32, struct batch, struct out_height, struct out_width, struct out>("upstream");

struct known {
  const axis_info* axis;
  i64 extent;
};

extents resolved(const graph& g, std::initializer_list<known> given) {
  extents e;
  for (known k : given) e.bind(k.axis, k.extent, {"argument ", "given"});
  resolve(g, e);
  return e;
}

std::string refusal(const graph& g, std::initializer_list<known> given) {
  try {
    resolved(g, given);
  } catch (const error& e) {
    return e.what();
  }
  return "no error";
}

graph moved(const leaf_info& leaf, op code, const list<const axis_info*>& axes, const list<u64>& data = {}) {
  graph g;
  g.outputs.push(g.put(code, nodes(g.leaf(&leaf)), axes, data));
  return g;
}

TEST_CASE("axes have one extent each") {
  extents e;
  e.bind(axis_ptr<struct row>, 3, {"argument ", "x"});
  e.bind(axis_ptr<struct row>, 3, {"argument ", "y"});
  e.bind(axis_ptr<struct four>, 4, {"argument ", "y"});
  CHECK(e[axis_ptr<struct row>] == 3);
  CHECK(e[axis_ptr<struct four>] == 4);
  CHECK(e.known(axis_ptr<struct four>));
  CHECK_FALSE(e.known(axis_ptr<struct col>));
  CHECK(e.elements(shape<f32, struct row, struct four>::value()) == 12);
  CHECK_THROWS_WITH(static_cast<void>(e[axis_ptr<struct col>]), "flame: the extent of axis col is not known");
  CHECK_THROWS_WITH(e.bind(axis_ptr<struct row>, 5, {"argument ", "y"}),
                    "argument y: axis row cannot have extent 5: elsewhere it has extent 3");
  CHECK_THROWS_WITH(e.bind(axis_ptr<struct four>, 5, {"argument ", "y"}),
                    "argument y: axis four cannot have extent 5: its type says 4");
  CHECK_THROWS_WITH(e.bind(axis_ptr<struct col>, -1, {"argument ", "y"}),
                    "argument y: axis col cannot have extent -1, which is negative");
}

TEST_CASE("rename") {
  graph g = moved(x, op::rename, over<struct row, struct wide>());
  CHECK(resolved(g, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}})[axis_ptr<struct wide>] == 3);
  CHECK(refusal(g, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}, {axis_ptr<struct wide>, 4}}) ==
        "flame::rename: axis wide cannot have extent 3: elsewhere it has extent 4");
  graph fixed = moved(x, op::rename, over<struct row, struct four>());
  CHECK(refusal(fixed, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}}) ==
        "flame::rename: axis four cannot have extent 3: its type says 4");
}

TEST_CASE("split") {
  graph g = moved(x, op::split, over<struct row, struct part, struct four, struct wide>());
  const known col{axis_ptr<struct col>, 2};
  extents e = resolved(g, {{axis_ptr<struct row>, 24}, {axis_ptr<struct part>, 2}, col});
  CHECK(e[axis_ptr<struct wide>] == 3);
  CHECK(resolved(g, {{axis_ptr<struct part>, 2}, {axis_ptr<struct wide>, 3}, col})[axis_ptr<struct row>] ==
        24);
  CHECK(resolved(g, {{axis_ptr<struct row>, 0}, {axis_ptr<struct part>, 2}, col})[axis_ptr<struct wide>] ==
        0);
  CHECK(refusal(g, {{axis_ptr<struct row>, 25}, {axis_ptr<struct part>, 2}, col}) ==
        "flame::split: axis row of extent 25 cannot have axis wide as a part: 8, the extent of the other "
        "parts, does not divide 25");
  CHECK(
      refusal(g, {{axis_ptr<struct row>, 25}, {axis_ptr<struct part>, 2}, {axis_ptr<struct wide>, 3}, col}) ==
      "flame::split: axis row cannot have extent 24: elsewhere it has extent 25");
  CHECK(refusal(g, {{axis_ptr<struct row>, 24}, col}) ==
        "flame::split: the extent of axis part cannot be determined: no leaf has it");
  CHECK(refusal(g, {{axis_ptr<struct row>, 0}, {axis_ptr<struct part>, 0}, col}) ==
        "flame::split: the extent of axis wide cannot be determined: no leaf has it");
}

TEST_CASE("merge") {
  graph g = moved(x, op::merge, over<struct row, struct col, struct wide>());
  CHECK(resolved(g, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}})[axis_ptr<struct wide>] == 6);
  CHECK(refusal(g, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}, {axis_ptr<struct wide>, 7}}) ==
        "flame::merge: axis wide cannot have extent 6: elsewhere it has extent 7");
  CHECK(refusal(g, {{axis_ptr<struct row>, i64{1} << 40}, {axis_ptr<struct col>, i64{1} << 40}}) ==
        "flame::merge: the extents' product is too large");
}

TEST_CASE("slice") {
  const known col{axis_ptr<struct col>, 2};
  graph rest = moved(x, op::slice, over<struct row, struct part>(), numbers(1, 3, -1));
  CHECK(resolved(rest, {{axis_ptr<struct row>, 8}, col})[axis_ptr<struct part>] == 3);  // 1 4 7
  CHECK(resolved(rest, {{axis_ptr<struct row>, 7}, col})[axis_ptr<struct part>] == 2);  // 1 4
  CHECK(resolved(rest, {{axis_ptr<struct row>, 1}, col})[axis_ptr<struct part>] == 0);
  CHECK(refusal(rest, {{axis_ptr<struct row>, 0}, col}) ==
        "flame::slice: axis row of extent 0 is too short: axis part needs 1");
  graph two = moved(x, op::slice, over<struct row, struct part>(), numbers(1, 3, 2));
  CHECK(resolved(two, {{axis_ptr<struct row>, 5}, col})[axis_ptr<struct part>] == 2);
  CHECK(refusal(two, {{axis_ptr<struct row>, 4}, col}) ==
        "flame::slice: axis row of extent 4 is too short: axis part needs 5");
  graph behind = moved(x, op::slice, over<struct row, struct part, struct other>(), numbers(1, 1, as_result));
  const known before{axis_ptr<struct other>, 3};
  CHECK(resolved(behind, {{axis_ptr<struct row>, 6}, {axis_ptr<struct part>, 2}, before, col})
            .bindings.size() == 4);
  CHECK(refusal(behind, {{axis_ptr<struct row>, 5}, {axis_ptr<struct part>, 2}, before, col}) ==
        "flame::slice: axis row of extent 5 is too short: axis part needs 6");
  CHECK(refusal(behind, {{axis_ptr<struct row>, 5}, before, col}) ==
        "flame::slice: the extent of axis part cannot be determined: no leaf has it");
  graph backwards = moved(x, op::slice, over<struct row, struct part>(), numbers(1, -1, 2));
  CHECK(
      refusal(backwards, {{axis_ptr<struct row>, 5}, col}) ==
      "flame::slice: begin 1, step -1, count 2: begin and count must not be negative, step must be positive");
}

TEST_CASE("pad") {
  const known col{axis_ptr<struct col>, 2};
  graph g = moved(x, op::pad, over<struct row, struct wide>(), numbers(1, 2, bits(0), 1));
  CHECK(resolved(g, {{axis_ptr<struct row>, 5}, col})[axis_ptr<struct wide>] == 8);
  CHECK(resolved(g, {{axis_ptr<struct wide>, 8}, col})[axis_ptr<struct row>] == 5);
  CHECK(refusal(g, {{axis_ptr<struct wide>, 2}, col}) ==
        "flame::pad: axis row cannot have extent -1, which is negative");
  graph spread = moved(x, op::pad, over<struct row, struct wide>(), numbers(1, 2, bits(0), 3));
  CHECK(resolved(spread, {{axis_ptr<struct row>, 5}, col})[axis_ptr<struct wide>] == 16);
  CHECK(resolved(spread, {{axis_ptr<struct row>, 0}, col})[axis_ptr<struct wide>] == 3);
  graph filled =
      moved(x, op::pad, over<struct row, struct wide, struct other>(), numbers(0, as_result, bits(0), 1));
  const known before{axis_ptr<struct other>, 3};
  CHECK(resolved(filled, {{axis_ptr<struct row>, 5}, {axis_ptr<struct wide>, 8}, before, col})
            .bindings.size() == 4);
  CHECK(refusal(filled, {{axis_ptr<struct row>, 5}, {axis_ptr<struct wide>, 7}, before, col}) ==
        "flame::pad: axis wide of extent 7 is too short: axis row needs 8");
  graph negative = moved(x, op::pad, over<struct row, struct wide>(), numbers(-1, 2, bits(0), 1));
  CHECK(refusal(negative, {{axis_ptr<struct row>, 5}, col}) ==
        "flame::pad: low -1, high 2, step 1: padding must not be negative, step must be positive");
}

TEST_CASE("concatenate") {
  graph g;
  g.outputs.push(
      g.put(op::concatenate, nodes(g.leaf(&x), g.leaf(&y)), over<struct row, struct other, struct wide>()));
  const known col{axis_ptr<struct col>, 2}, row{axis_ptr<struct row>, 3}, other{axis_ptr<struct other>, 4};
  CHECK(resolved(g, {row, other, col})[axis_ptr<struct wide>] == 7);
  CHECK(resolved(g, {row, {axis_ptr<struct wide>, 7}, col})[axis_ptr<struct other>] == 4);
  CHECK(refusal(g, {row, other, {axis_ptr<struct wide>, 8}, col}) ==
        "flame::concatenate: axis wide cannot have extent 7: elsewhere it has extent 8");
  CHECK(refusal(g, {row, {axis_ptr<struct wide>, 2}, col}) ==
        "flame::concatenate: axis other cannot have extent -1, which is negative");
}

list<const axis_info*> convolution_axes() {
  return over<struct height, struct width, struct kernel_height, struct kernel_width, struct channel,
              struct channel_part, struct out_height, struct out_width, struct out>();
}

TEST_CASE("convolution") {
  const known batch{axis_ptr<struct batch>, 2}, height{axis_ptr<struct height>, 9},
      width{axis_ptr<struct width>, 7}, channel{axis_ptr<struct channel>, 6},
      kh{axis_ptr<struct kernel_height>, 3}, kw{axis_ptr<struct kernel_width>, 2},
      part{axis_ptr<struct channel_part>, 3}, out{axis_ptr<struct out>, 4};
  auto strided = numbers(2, 1, 1, 0, 1, 2, 2);  // strides, paddings, dilations, groups
  graph g;
  g.outputs.push(g.put(op::conv, nodes(g.leaf(&image), g.leaf(&weight)), convolution_axes(), strided));
  extents e = resolved(g, {batch, height, width, channel, kh, kw, part, out});
  CHECK(e[axis_ptr<struct out_height>] == 5);  // (9 + 2 - 3) / 2 + 1
  CHECK(e[axis_ptr<struct out_width>] == 5);   // 7 - 2 (2 - 1) - 1 + 1
  CHECK(refusal(g, {batch, height, width, {axis_ptr<struct channel>, 5}, kh, kw, part, out}) ==
        "flame::conv: 2 groups do not divide axis channel of extent 5");
  CHECK(refusal(g, {batch, height, width, {axis_ptr<struct channel>, 8}, kh, kw, part, out}) ==
        "flame::conv: axis channel cannot have extent 6: elsewhere it has extent 8");
  CHECK(refusal(g, {batch, height, width, channel, kh, kw, part, {axis_ptr<struct out>, 5}}) ==
        "flame::conv: 2 groups do not divide axis out of extent 5");
  CHECK(refusal(g, {batch, {axis_ptr<struct height>, 0}, width, channel, kh, kw, part, out}) ==
        "flame::conv: a window of 3 does not fit into axis height of extent 0, padded by 1");

  // The gradient of the image: its height is not that of the result alone, since the stride is 2.
  graph back;
  back.outputs.push(
      back.put(op::conv_data, nodes(back.leaf(&upstream), back.leaf(&weight)), convolution_axes(), strided));
  const known oh{axis_ptr<struct out_height>, 5}, ow{axis_ptr<struct out_width>, 5};
  extents b = resolved(back, {batch, oh, ow, out, kh, kw, part, height});
  CHECK(b[axis_ptr<struct width>] == 7);
  CHECK(b[axis_ptr<struct channel>] == 6);
  CHECK(refusal(back, {batch, oh, ow, out, kh, kw, part}) ==
        "flame::conv_data: the extent of axis height cannot be determined: no leaf has it");
  CHECK(refusal(back, {batch, oh, ow, out, kh, kw, part, {axis_ptr<struct height>, 11}}) ==
        "flame::conv_data: axis out_height cannot have extent 6: elsewhere it has extent 5");
}

TEST_CASE("pooling") {
  graph g;
  g.outputs.push(g.put(op::pool_mean, nodes(g.leaf(&image)),
                       over<struct height, struct width, struct out_height, struct out_width>(),
                       numbers(2, 3, 2, 1, 0, 1)));
  const known batch{axis_ptr<struct batch>, 2}, channel{axis_ptr<struct channel>, 6};
  extents e = resolved(g, {batch, {axis_ptr<struct height>, 7}, {axis_ptr<struct width>, 4}, channel});
  CHECK(e[axis_ptr<struct out_height>] == 3);
  CHECK(e[axis_ptr<struct out_width>] == 4);
}

TEST_CASE("an axis born behind its use") {
  // iota stands before the node from which its axis has its extent.
  graph g;
  list<u64> type = numbers(dtype::f32);
  int i = g.put(op::iota, {}, over<struct wide>(), type);
  int merged = g.put(op::merge, nodes(g.leaf(&x)), over<struct row, struct col, struct wide>());
  g.outputs.push(g.binary(op::add, i, merged));
  CHECK(resolved(g, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}})[axis_ptr<struct wide>] == 6);
  graph alone;
  alone.outputs.push(alone.put(op::iota, {}, over<struct wide>(), type));
  CHECK(refusal(alone, {}) == "flame::iota: the extent of axis wide cannot be determined: no leaf has it");
}

TEST_CASE("what no output needs is not asked for") {
  graph g;
  g.put(op::iota, {}, over<struct wide>(), numbers(dtype::f32));
  g.outputs.push(g.unary(op::neg, g.leaf(&x)));
  CHECK(resolved(g, {{axis_ptr<struct row>, 3}, {axis_ptr<struct col>, 2}}).bindings.size() == 2);
}

TEST_CASE("calls") {
  // flatten(a[row, col]) gives [wide]; called with [batch, channel].
  graph body;
  body.outputs.push(body.put(op::merge, nodes(body.leaf(&x)), over<struct row, struct col, struct wide>()));
  const function flatten("flatten", body, {&x});
  static constexpr leaf_info z = leaf_of<f32, struct batch, struct channel>("z");
  graph g;
  g.outputs.push(g.result(call(g, flatten, nodes(g.leaf(&z))), 0));
  CHECK(resolved(g, {{axis_ptr<struct batch>, 3}, {axis_ptr<struct channel>, 5}})[axis_ptr<struct wide>] ==
        15);
  CHECK(
      refusal(g, {{axis_ptr<struct batch>, 3}, {axis_ptr<struct channel>, 5}, {axis_ptr<struct wide>, 14}}) ==
      "flame::call: axis wide cannot have extent 15: elsewhere it has extent 14");

  graph split_body;
  split_body.outputs.push(
      split_body.put(op::split, nodes(split_body.leaf(&x)), over<struct row, struct part, struct four>()));
  const function quarter("quarter", split_body, {&x});
  graph h;
  h.outputs.push(h.result(call(h, quarter, nodes(h.leaf(&z))), 0));
  CHECK(refusal(h, {{axis_ptr<struct batch>, 6}, {axis_ptr<struct channel>, 5}}) ==
        "flame::call: in quarter: flame::split: axis row of extent 6 cannot have axis part as a part: 4, the "
        "extent of the other parts, does not divide 6");
}

TEST_CASE("repeats") {
  static constexpr leaf_info v = leaf_of<f32, struct col>("v"), w = leaf_of<f32, struct col>("w");
  static constexpr leaf_info stack = stack_of<f32, struct layer, struct channel>("stack"),
                             start = leaf_of<f32, struct channel>("start");
  graph body;
  body.outputs.push(body.binary(op::add, body.leaf(&v), body.leaf(&w)));
  body.outputs.push(body.unary(op::neg, body.leaf(&v)));
  const function step("step", body, {&v, &w});
  graph g;
  int all =
      repeat(g, step, axis_ptr<struct layer>, nodes(g.leaf(&start), g.leaf(&stack)),
             {{operand_mode::carry, 0}, {operand_mode::each, 0}}, {output_mode::carry, output_mode::each});
  g.outputs = nodes(g.result(all, 0), g.result(all, 1));
  CHECK(string_of(g.type(g.outputs[1])) == "f32[layer | channel]");
  extents e = resolved(g, {{axis_ptr<struct layer>, 3}, {axis_ptr<struct channel>, 5}});
  CHECK(e.elements(g.type(g.outputs[1])) == 15);

  // The count has another name than the stack's own axis, and takes its extent from there.
  graph h;
  all = repeat(h, step, axis_ptr<struct part>, nodes(h.leaf(&start), h.leaf(&stack)),
               {{operand_mode::carry, 0}, {operand_mode::each, 0}}, {output_mode::carry, output_mode::each});
  h.outputs = nodes(h.result(all, 1));
  CHECK(resolved(h, {{axis_ptr<struct layer>, 3}, {axis_ptr<struct channel>, 5}})[axis_ptr<struct part>] ==
        3);
  CHECK(
      refusal(h, {{axis_ptr<struct layer>, 3}, {axis_ptr<struct channel>, 5}, {axis_ptr<struct part>, 4}}) ==
      "flame::call: axis layer cannot have extent 4: elsewhere it has extent 3");
}

}  // namespace
}  // namespace flame::tests
