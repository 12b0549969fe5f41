// Views as located tensors: which element each element of a movement is, and where the operand of a view must
// stand for the view to stand somewhere.
#include <doctest/doctest.h>

#include <flame/plan/views.hpp>

#include "../graph/support.hpp"

namespace views_test {

using namespace flame;
using namespace flame::planning;
using namespace flame::tests;

const leaf_info matrix = leaf_of<f32, struct row, struct col>("matrix");
const leaf_info cube = leaf_of<f32, struct row, struct part, struct other>("cube");

struct extents_of : extents {
  extents_of(std::initializer_list<std::pair<const axis_info*, i64>> all) {
    for (const auto& [a, n] : all) bind(a, n, {});
  }
};
const extents_of e{{axis_ptr<struct row>, 6},
                   {axis_ptr<struct col>, 12},
                   {axis_ptr<struct part>, 3},
                   {axis_ptr<struct other>, 4},
                   {axis_ptr<struct wide>, 6}};

// One movement of a leaf.
struct moved {
  graph g;
  int n;
  moved(const leaf_info& l, op code, const list<const axis_info*>& with, const list<u64>& data = {}) {
    n = g.put(code, nodes(g.leaf(&l)), with, data);
  }
};
bool same(const located& a, const located& b) {
  bool all = a.rank == b.rank && a.offset == b.offset && a.buffer == b.buffer;
  for (int i = 0; all && i < a.rank; ++i)
    all = a.axes[i] == b.axes[i] && a.extents[i] == b.extents[i] &&
          (a.extents[i] == 1 || a.strides[i] == b.strides[i]);
  return all;
}

TEST_CASE("movements change extents, strides and offsets") {
  const located m = contiguous(matrix.type, e, 7, 5);
  CHECK(m.strides[0] == 12);
  CHECK(m.elements() == 72);
  const moved turned(matrix, op::permute, over<struct col, struct row>());
  located v = view_of(turned.g, turned.n, e, m);
  CHECK(v.axes[0] == axis_ptr<struct col>);
  CHECK(v.strides[0] == 1);
  CHECK(v.strides[1] == 12);
  const moved split(matrix, op::split, over<struct col, struct part, struct other>());
  v = view_of(split.g, split.n, e, m);
  CHECK(v.rank == 3);
  CHECK(v.strides[1] == 4);
  CHECK(v.strides[2] == 1);
  CHECK(v.extents[1] == 3);
  const moved every_second(matrix, op::slice, over<struct col, struct wide>(), numbers(1, 2));
  v = view_of(every_second.g, every_second.n, e, m);
  CHECK(v.offset == 6);
  CHECK(v.strides[1] == 2);
  CHECK(v.extents[1] == 6);
  CHECK(v.buffer == 7);
}

TEST_CASE("axes merge where they lie one within the other") {
  const moved merged(cube, op::merge, over<struct part, struct other, struct col>());
  located c = contiguous(cube.type, e, 0);
  REQUIRE(merges_in_place(merged.g, merged.n, c));
  CHECK(same(view_of(merged.g, merged.n, e, c), contiguous(matrix.type, e, 0)));
  c.strides[1] = 5;
  CHECK_FALSE(merges_in_place(merged.g, merged.n, c));
  c.extents[1] = 1;  // nothing to step along
  CHECK(merges_in_place(merged.g, merged.n, c));
  c = row_major(c);
  CHECK(c.strides[0] == 4);
  CHECK(c.buffer == -1);
}

// The view of what stands there stands where it was asked to.
void check_below(const moved& m, const located& at) {
  const located below = below_view(m.g, m.n, e, at);
  REQUIRE(below.buffer == at.buffer);
  CHECK(same(view_of(m.g, m.n, e, below), at));
}

TEST_CASE("where the operand must stand for a view to stand somewhere") {
  located at = contiguous(matrix.type, e, 3, 10);
  at.strides[0] = 40;  // a part of something wider
  const moved turned(matrix, op::permute, over<struct col, struct row>());
  check_below(turned, in_order(turned.g.type(turned.n), at));
  const moved renamed(matrix, op::rename, over<struct row, struct wide>());
  located other_name = at;
  other_name.axes[0] = axis_ptr<struct wide>;
  check_below(renamed, other_name);
  // Of a split only where one of the parts has all elements.
  const moved split(matrix, op::split, over<struct col, struct part, struct other>());
  CHECK(below_view(split.g, split.n, e, contiguous(split.g.type(split.n), e, 3)).buffer == -1);
  const moved sliced(matrix, op::slice, over<struct col, struct wide>(), numbers(0, 1));
  CHECK(below_view(sliced.g, sliced.n, e, contiguous(sliced.g.type(sliced.n), e, 3)).buffer == -1);
}

TEST_CASE("a part of a tensor along an axis") {
  const located m = contiguous(matrix.type, e, 0);
  const located p = part_of(m, axis_ptr<struct col>, axis_ptr<struct part>, 2, 4, 3);
  CHECK(p.offset == 2);
  CHECK(p.extents[1] == 3);
  CHECK(p.strides[1] == 4);
  CHECK(p.axes[1] == axis_ptr<struct part>);
}

}  // namespace views_test
