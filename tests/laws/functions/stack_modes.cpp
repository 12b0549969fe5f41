// Stacks whose instances get a part of an operand each, hand on two values, give one result each; stacks of
// stacks.
#include "network.hpp"

namespace flame::laws {
namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;

struct none {};

// Two values are handed on, a third is given by each instance.
template <class Place> struct swapping {
  param<Place, "weight", none, feature, hidden> weight;
  param<Place, "scale", none, feature> scale;
  constexpr auto operator()(auto h, auto m) const {
    auto u = matmul(m, weight, hidden);
    return outputs(tanh(h * scale + u), m * 0.5 + matmul(h, weight, feature), sum(h * u, feature));
  }
};
// Reads what each instance of the first stack gave, in a stack of its own.
template <class Place> struct reading {
  param<Place, "gain", none, batch> gain;
  constexpr auto operator()(auto s, auto e) const { return s + sin(e) * gain + e; }
};
struct reading_all {
  constexpr auto operator()(auto s, auto e) const { return s * 0.5 + e; }
};
struct two_stacks {
  constexpr auto operator()(auto x, auto m, auto s) const {
    auto [h, n, given] = repeat<path<"first">>(swapping<root<symbols<f64>>>{}, carry(x), carry(m));
    auto t = repeat<path<"first">>(reading<root<symbols<f64>>>{}, carry(s), each(given));
    return mean(h * h) + mean(n) + mean(t * t);
  }
};

// One cotangent for the state, a part of each, a parameter and a shared operand: sums must not write into the
// others.
template <class Place> struct adding {
  param<Place, "bias", none, batch, feature> bias;
  constexpr auto operator()(auto h, auto c) const { return outputs(h + bias + c, h + c); }
};
struct sums_apart {
  constexpr auto operator()(auto x, auto c) const {
    auto [h, given] = repeat<path<"adds">>(adding<root<symbols<f64>>>{}, carry(x * x), sin(c));
    auto t = repeat<path<"adds">>(reading_all{}, carry(h), each(given));
    return mean(t * t);
  }
};

// A stack of stacks.
template <class Place> struct inner_block {
  param<Place, "weight", none, feature, hidden> weight;
  constexpr auto operator()(auto h, auto c) const {
    return h + tanh(matmul(matmul(h, weight, feature), weight, hidden) * c);
  }
};
template <class Place> struct outer_block {
  param<Place, "scale", none, feature> scale;
  constexpr auto operator()(auto h, auto c) const {
    return repeat<path<"inner">>(inner_block<root<symbols<f64>>>{}, carry(h * scale), c * 2.0);
  }
};
struct stack_of_stacks {
  constexpr auto operator()(auto x, auto c) const {
    auto h = repeat<path<"outer">>(outer_block<root<symbols<f64>>>{}, carry(x), c);
    return mean(h * h * h);
  }
};

using data = shape<f64, struct batch, struct feature>;
using memory = shape<f64, struct batch, struct hidden>;
using row = shape<f64, struct batch>;

shapes_of_network sizes(i64 count) {
  shapes_of_network s;
  s.extents = {{axis_ptr<struct batch>, 2},
               {axis_ptr<struct feature>, 3},
               {axis_ptr<struct hidden>, 2},
               {axis_ptr<instances<path<"first">>>, count},
               {axis_ptr<instances<path<"inner">>>, 2},
               {axis_ptr<instances<path<"adds">>>, count},
               {axis_ptr<instances<path<"outer">>>, count},
               {&detail::own_axis<path<"outer">, axis_ptr<instances<path<"inner">>>>, 2}};
  return s;
}

TEST_CASE("two values handed on, a result of each instance read by another stack") {
  constexpr const function_info* f = function_of<two_stacks, data, memory, row>;
  const network n = make_network<f, all_floating<f>()>();
  for (i64 count : {0, 1, 3}) check_network(n, sizes(count));
}
TEST_CASE("gradients of what one stack gives another alone") {
  constexpr const function_info* f = function_of<two_stacks, data, memory, row>;
  check_network(make_network<f, named<f>("first.gain", "first.scale")>(), sizes(3));
}
TEST_CASE("one cotangent for many") {
  constexpr const function_info* f = function_of<sums_apart, data, data>;
  check_network(make_network<f, all_floating<f>()>(), sizes(3));
}
TEST_CASE("a stack of stacks") {
  constexpr const function_info* f = function_of<stack_of_stacks, data, data>;
  static_assert(f->leaf_count == 4);
  check_network(make_network<f, named<f>("argument", "outer.scale")>(), sizes(2));
}

}  // namespace
}  // namespace flame::laws
