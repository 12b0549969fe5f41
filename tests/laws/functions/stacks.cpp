// Stacks: carried, shared, each and keyed operands, several carried values and results, adapters of any rank.
#include "network.hpp"

namespace flame::laws {
namespace {

struct batch : dim<> {};
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;
inline constexpr struct context : dim<> {
} context;
inline constexpr struct rank : dim<> {
} rank;

struct none {};

// A block with everything: shared context, dropout, a norm, an adapter of low rank.
template <class Place> struct adapted {
  param<Place, "up", none, hidden, feature> up;
  param<Place, "down", none, feature, hidden> down;
  param<Place, "cross", none, hidden, context> cross;
  param<Place, "a", none, rank, feature> a;
  param<Place, "b", none, hidden, rank> b;
  constexpr auto operator()(auto h, auto c, auto k) const {
    auto u = matmul(h, up, feature) + matmul(c, cross, context) + matmul(matmul(h, a, feature), b, rank);
    auto v = dropout(silu(layer_norm(u, 1e-2, hidden)), 0.25, k);
    return h + matmul(v, down, hidden);
  }
};
struct adapted_network {
  constexpr auto operator()(auto x, auto c, auto k) const {
    auto h = repeat<path<"blocks">>(adapted<root<symbols<f64>>>{}, carry(x), c, keyed(k));
    return mean(h * h);
  }
};
using data = shape<f64, struct batch, struct feature>;
using shared = shape<f64, struct batch, struct context>;
constexpr const function_info* adapted_function =
    function_of<adapted_network, data, shared, shape<flame::key>>;
static_assert(adapted_function->leaf_count == 8);

shapes_of_network sizes(i64 count) {
  shapes_of_network s;
  s.extents = {{axis_ptr<struct batch>, 2},  {axis_ptr<struct feature>, 3},
               {axis_ptr<struct hidden>, 4}, {axis_ptr<struct context>, 2},
               {axis_ptr<struct rank>, 2},   {axis_ptr<instances<path<"blocks">>>, count}};
  return s;
}
shapes_of_network ranks(std::vector<i64> r) {
  shapes_of_network s = sizes(static_cast<i64>(r.size()));
  s.ragged = axis_ptr<struct rank>;
  s.ranks = std::move(r);
  return s;
}

const network& everything() {
  static const network n = make_network<adapted_function, all_floating<adapted_function>()>();
  return n;
}
const network& adapters() {
  static const network n = make_network<adapted_function, named<adapted_function>("blocks.a", "blocks.b")>();
  return n;
}

TEST_CASE("a stack of one block, of two, of five, gradients of everything") {
  for (i64 count : {1, 2, 5}) check_network(everything(), sizes(count));
}
TEST_CASE("a stack of no blocks") { check_network(everything(), sizes(0)); }
TEST_CASE("a frozen stack with adapters") {
  for (i64 count : {1, 3}) check_network(adapters(), sizes(count));
}
TEST_CASE("adapters of different ranks, some of none") {
  check_network(everything(), ranks({2, 0, 1}));
  check_network(adapters(), ranks({0, 3, 0}));
  check_network(adapters(), ranks({0, 0}));
}
TEST_CASE("only an adapted block costs a backward") {
  // Forward: up, cross, down in each of three blocks, a and b in the last. Backward, in the last alone: down,
  // b twice, a.
  CHECK(count_steps(adapters(), ranks({0, 0, 2}), "all").contractions == 9 + 2 + 4);
  CHECK(count_steps(adapters(), ranks({0, 0, 0}), "all").contractions == 9);
  const int last = count_steps(adapters(), ranks({0, 0, 2}), "cut").steps;
  const int first = count_steps(adapters(), ranks({2, 0, 0}), "cut").steps;
  const int none_at_all = count_steps(adapters(), ranks({0, 0, 0}), "cut").steps;
  CHECK(none_at_all < last);
  CHECK(last < first);  // from the first block on everything goes back
}

}  // namespace
}  // namespace flame::laws
