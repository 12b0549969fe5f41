// What only run time can refuse: the same words from the reference evaluator and from the host.
#include <flame/expr/activation.hpp>
#include <flame/expr/arrange.hpp>
#include <flame/expr/loss.hpp>
#include <flame/expr/norm.hpp>
#include <flame/expr/order.hpp>
#include <flame/expr/patch.hpp>
#include <flame/expr/rotary.hpp>
#include <flame/expr/transposed.hpp>

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
inline constexpr struct high : dim<> {
} high;
inline constexpr struct wide : dim<> {
} wide;
inline constexpr struct deep : dim<> {
} deep;
inline constexpr struct query : dim<> {
} query;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;

const auto x = leaf<f64, row, col>("x");
const auto y = leaf<f64, row, col>("y");
const auto v = leaf<f64, col>("v");
const auto z = leaf<f64, row, other>("z");
const auto t = leaf<f64, row, three>("t");
const auto i = leaf<i32, plane>("i");
const auto image = leaf<f64, height, width, channel>("image");
const auto weight = leaf<f64, out, kh, kw, part>("weight");
const auto u = leaf<f64, row, three, col>("u");
const auto values_at = leaf<f64, row, plane>("values_at");
const auto places = leaf<i32, row, plane>("places");
const auto few = leaf<f64, plane>("few");
const auto table = leaf<f64, other, col>("table");
const auto label = leaf<i32, row>("label");
const auto weights = leaf<f64, col>("weights");
const auto turned = leaf<f64, channel, kh, kw, part>("turned");
const auto cosine = leaf<f64, height, part>("cosine");
const auto tokens = leaf<f64, token, feature>("tokens");
const auto q = leaf<f64, query, feature>("q");
const auto k = leaf<f64, token, feature>("k");
const auto w = leaf<f64, token, feature>("w");
const auto seen = leaf<bool, query, token>("seen");

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
    for (const std::string& word : words) {
      INFO(text);
      CHECK(text.find(word) != std::string::npos);
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

REFUSED("scatter_add beyond the end", scatter_add(x, places, values_at, col),
        WORDS("scatter_add: index 3 is out of range", "has extent 3"), given(x, {2, 3}),
        given(places, {2, 2}, {0, 1, 2, 3}), given(values_at, {2, 2}))
REFUSED("scatter before the beginning", scatter(x, places, values_at, col),
        WORDS("index -1 is out of range", "has extent 3"), given(x, {2, 3}),
        given(places, {2, 2}, {0, 1, 2, -1}), given(values_at, {2, 2}))
REFUSED("a row that a table does not have", embedding(table, i),
        WORDS("gather: index 4 is out of range", "has extent 4"), given(table, {4, 3}), given(i, {2}, {0, 4}))
REFUSED("a label that is no class", cross_entropy(x, label),
        WORDS("cross_entropy: label 3 is out of range", "has extent 3"), given(x, {2, 3}),
        given(label, {2}, {2, 3}))
REFUSED("a negative label", cross_entropy(x, label),
        WORDS("cross_entropy: label -100 is out of range", "has extent 3"), given(x, {2, 3}),
        given(label, {2}, {-100, 0}))
REFUSED("a label where there are no classes", cross_entropy(x, label),
        WORDS("cross_entropy: label 0 is out of range", "has extent 0"), given(x, {1, 0}),
        given(label, {1}, {0}))
REFUSED("a label that is neither a class nor ignored", cross_entropy(x, label, {.ignore_index = -100}),
        WORDS("cross_entropy: label -1 is out of range", "has extent 3"), given(x, {3, 3}),
        given(label, {3}, {-100, 2, -1}))
REFUSED("the same where classes are weighed", cross_entropy(x, label, {.ignore_index = 7}, weights),
        WORDS("cross_entropy: label 8 is out of range", "has extent 3"), given(x, {3, 3}),
        given(label, {3}, {7, 2, 8}), given(weights, {3}))
REFUSED("a label without a log-probability", nll(x, label),
        WORDS("nll: label 3 is out of range", "has extent 3"), given(x, {3, 3}),
        given(label, {3}, {-100, 2, 3}))
REFUSED("a position that an axis does not have", one_hot<f64>(label, col) * x,
        WORDS("one_hot: index 3 is out of range", "has extent 3"), given(x, {2, 3}),
        given(label, {2}, {2, 3}))
REFUSED("more of the largest than there are", std::get<0>(top_k(x, col, plane)) * few,
        WORDS("flame::top: axis col of extent 3 has fewer elements than axis plane of extent 4"),
        given(x, {2, 3}), given(few, {4}))
REFUSED("classes that have no weight", cross_entropy(x, label, {}, weights),
        WORDS("argument ", ": axis col cannot have extent ", ": elsewhere it has extent "), given(x, {2, 3}),
        given(label, {2}, {0, 1}), given(weights, {4}))
REFUSED("channels that a transposed convolution's weight does not have", conv_transpose2d(image, turned),
        WORDS("argument ", ": axis channel cannot have extent ", ": elsewhere it has extent "),
        given(image, {2, 3, 4}), given(turned, {3, 3, 3, 2}))
REFUSED("channels that groups of a transposed convolution do not divide",
        (conv_transpose2d<conv_transpose_options{.groups = 2}>(image, turned)),
        WORDS("flame::conv_data: 2 groups do not divide axis channel of extent 3"), given(image, {2, 3, 3}),
        given(turned, {3, 3, 3, 2}))
REFUSED("a padding that leaves nothing",
        (conv_transpose2d<conv_transpose_options{.padding = 2}>(image, turned)),
        WORDS("flame::conv_data: axis ", " cannot have extent -1, which is negative"),
        given(image, {1, 1, 3}), given(turned, {3, 3, 3, 2}))
REFUSED("a mean over a window that does not fit", (mean_pool<pool_options{.kernel = 3}>(image)),
        WORDS("flame::pool_mean: a window of 3 does not fit into axis height of extent 2, padded by 0"),
        given(image, {2, 3, 3}))
REFUSED("channels that groups of a norm do not divide", group_norm<2>(image, 1e-5),
        WORDS("axis channel of extent 3 cannot have axis ", "does not divide 3"), given(image, {2, 3, 3}))
REFUSED("halves of an odd axis", geglu(x, col, other),
        WORDS("axis col of extent 3 cannot have axis other as a part", "does not divide 3"), given(x, {2, 3}))
REFUSED("parts of an axis that they do not divide", std::get<0>(chunk<2>(x, col, other)),
        WORDS("axis col of extent 3 cannot have axis other as a part", "does not divide 3"), given(x, {2, 3}))
REFUSED("rolled further than around", roll<4>(x, col), WORDS("cannot have extent -1, which is negative"),
        given(x, {2, 3}))
REFUSED("an element behind the last", select<4>(x, col),
        WORDS("flame::slice: axis col of extent 3 is too short", "needs 5"), given(x, {2, 3}))
REFUSED("side by side, of other rows", concatenate(x, col, values_at, plane, rest),
        WORDS("argument ", ": axis row cannot have extent ", ": elsewhere it has extent "), given(x, {2, 3}),
        given(values_at, {3, 3}))
REFUSED("pixels of too few channels", (pixel_shuffle<2>(image, high, wide, deep)),
        WORDS("axis channel of extent 6 cannot have axis deep as a part", "does not divide 6"),
        given(image, {2, 3, 6}))
REFUSED("an odd picture in pairs of pixels", (pixel_unshuffle<2>(image, high, wide, deep)),
        WORDS("axis height of extent 3 cannot have axis high as a part", "does not divide 3"),
        given(image, {3, 4, 6}))
REFUSED("an odd picture in patches", (patchify<2>(image, token, feature)),
        WORDS("axis height of extent 3 cannot have axis ", "does not divide 3"), given(image, {3, 4, 6}))
REFUSED("fewer tokens than patches", (unpatchify<2>(tokens, height, width, channel)) * image,
        WORDS("axis token cannot have extent 4: elsewhere it has extent 3"), given(tokens, {3, 8}),
        given(image, {4, 4, 2}))
REFUSED("features that make no pixels", (unpatchify<2>(tokens, height, width, channel)) * image,
        WORDS("axis feature cannot have extent 8: elsewhere it has extent 7"), given(tokens, {4, 7}),
        given(image, {4, 4, 2}))
REFUSED("pairs of an odd axis", rotary(image, cosine, cosine, channel),
        WORDS("axis channel cannot have extent 4: elsewhere it has extent 5"), given(image, {2, 2, 5}),
        given(cosine, {2, 2}))
REFUSED("queries and keys of other widths", attention(q, k, w, token, feature),
        WORDS("argument ", ": axis feature cannot have extent ", ": elsewhere it has extent "),
        given(q, {2, 5}), given(k, {3, 4}), given(w, {3, 4}))
REFUSED("fewer values than keys", attention(q, k, w, token, feature),
        WORDS("argument ", ": axis token cannot have extent ", ": elsewhere it has extent "),
        given(q, {2, 4}), given(k, {3, 4}), given(w, {2, 4}))
REFUSED("a mask of other keys", attention(q, k, w, token, feature, masked(seen)),
        WORDS("argument ", ": axis token cannot have extent ", ": elsewhere it has extent "),
        given(q, {2, 4}), given(k, {3, 4}), given(w, {3, 4}), given(seen, {2, 5}))

}  // namespace
}  // namespace flame::laws
