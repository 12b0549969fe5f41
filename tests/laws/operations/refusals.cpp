// What only run time can refuse: the same words from the reference evaluator and from the host.
#include "../host.hpp"
#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct head : dim<2> {
} head;
inline constexpr struct rest : dim<> {
} rest;
inline constexpr struct merged : dim<6> {
} merged;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct out : dim<> {
} out;
inline constexpr struct part : dim<> {
} part;
inline constexpr struct kh : dim<> {
} kh;
inline constexpr struct kw : dim<> {
} kw;

const auto x = leaf<f64, row, col>("x");
const auto y = leaf<f64, row, col>("y");
const auto v = leaf<f64, col>("v");
const auto z = leaf<f64, row, other>("z");
const auto t = leaf<f64, row, three>("t");
const auto i = leaf<i32, plane>("i");
const auto image = leaf<f64, height, width, channel>("image");
const auto weight = leaf<f64, out, kh, kw, part>("weight");
const auto u = leaf<f64, row, three, col>("u");

// A leaf's value of some shape; of elements where they matter.
template <class Sym>
std::pair<const leaf_info*, value> given(const Sym& leaf, std::vector<i64> shape,
                                         std::vector<double> data = {}) {
  value given;
  const leaf_info* l = tape()[leaf.n].leaf;
  given.type.element = l->type.element;
  given.shape = std::move(shape);
  given.resize();
  if (!data.empty()) given.data = std::move(data);
  return {l, given};
}

void refused(int n, const std::vector<std::string>& words,
             const std::vector<std::pair<const leaf_info*, value>>& arguments) {
  graph g = tape();
  g.outputs.clear();
  g.outputs.push(n);
  g = simplify(g);
  const leaf_values at(arguments.begin(), arguments.end());
  auto refuses = [&](auto body) {
    std::string text = "nothing was refused";
    try {
      body();
    } catch (const error& e) {
      text = e.what();
    }
    for (const std::string& w : words) {
      INFO(text);
      CHECK(text.find(w) != std::string::npos);
    }
  };
  refuses([&] { (void)evaluate(g, at); });
  refuses([&] { (void)run_on_host(compile_graph(g), at); });
}

#define WORDS(...) \
  { __VA_ARGS__ }
#define REFUSED(name, formula, words, ...) \
  TEST_CASE("refused: " name) { refused((formula).n, words, {__VA_ARGS__}); }

REFUSED("two extents of one axis", x + y,
        WORDS("argument ", ": axis col cannot have extent ", ": elsewhere it has extent "), given(x, {3, 5}),
        given(y, {3, 4}))
REFUSED("an extent that the type contradicts", t * 2.0,
        WORDS("argument t: axis three cannot have extent 4: its type says 3"), given(t, {3, 4}))
REFUSED("a split that is not exact", split(z, other, head, rest),
        WORDS("flame::split: axis other of extent 5 cannot have axis rest as a part: 2, the extent of the "
              "other parts, "
              "does not divide 5"),
        given(z, {3, 5}))
REFUSED("a merge of another extent", merge(u, three, col, merged),
        WORDS("flame::merge: axis merged cannot have extent 15: its type says 6"), given(u, {1, 3, 5}))
REFUSED("a slice beyond the end", (slice<2, 4>(x, col, rest)),
        WORDS("flame::slice: axis col of extent 5 is too short: axis rest needs 6"), given(x, {3, 5}))
REFUSED("an index beyond the end", gather(z, i, other),
        WORDS("gather: index 4 is out of range", "has extent 4"), given(z, {3, 4}), given(i, {2}, {1, 4}))
REFUSED("a negative index", gather(z, i, other), WORDS("gather: index -1 is out of range", "has extent 4"),
        given(z, {3, 4}), given(i, {2}, {1, -1}))
REFUSED("an index into nothing", gather(z, i, other),
        WORDS("gather: index 0 is out of range", "has extent 0"), given(z, {3, 0}), given(i, {2}, {0, 0}))
REFUSED("the largest of nothing", argmax(x, col), WORDS("flame::argmax: axis col has no elements"),
        given(x, {3, 0}))
REFUSED("a window that does not fit", conv2d(image, weight),
        WORDS("flame::conv: a window of 3 does not fit into axis height of extent 2, padded by 0"),
        given(image, {2, 5, 3}), given(weight, {2, 3, 3, 3}))
REFUSED("channels that groups do not divide", (conv2d<conv_options{.groups = 2}>(image, weight)),
        WORDS("flame::conv: 2 groups do not divide axis channel of extent 3"), given(image, {5, 5, 3}),
        given(weight, {2, 3, 3, 1}))
REFUSED("channels that a weight does not have", conv2d(image, weight),
        WORDS("flame::conv: axis channel cannot have extent 4: elsewhere it has extent 3"),
        given(image, {5, 5, 3}), given(weight, {2, 3, 3, 4}))
REFUSED("a pool that does not fit", max_pool(image),
        WORDS("flame::pool_take: a window of 2 does not fit into axis height of extent 1, padded by 0"),
        given(image, {1, 5, 3}))
REFUSED("a value with other axes", x + 1.0, WORDS("x", "axes"), given(x, {3}))

}  // namespace
}  // namespace flame::laws
