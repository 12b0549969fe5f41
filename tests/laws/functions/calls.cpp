// Calls: one function with several sets of parameters, tied parameters, functions that call functions.
#include "network.hpp"

namespace flame::laws {
namespace {

struct batch : dim<> {};
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct hidden : dim<> {
} hidden;

struct none {};

template <class Place> struct block {
  param<Place, "up", none, hidden, feature> up;
  param<Place, "down", none, feature, hidden> down;
  param<Place, "bias", none, hidden> bias;
  constexpr auto operator()(auto h) const {
    return h + matmul(tanh(matmul(h, up, feature) + bias), down, hidden);
  }
};
using parts = block<root<symbols<f64>>>;

struct twice_called {
  constexpr auto operator()(auto x) const {
    auto h = call<path<"second">>(parts{}, call<path<"first">>(parts{}, x));
    return mean(h * h);
  }
};
struct tied {
  constexpr auto operator()(auto x) const {
    auto h = call<path<"one">>(parts{}, call<path<"one">>(parts{}, x) * 0.5);
    return mean(h * h);
  }
};
// Two results, of which one is used twice; a function of functions.
struct pair {
  constexpr auto operator()(auto x, auto y) const {
    auto h = call<path<"inner">>(parts{}, x * y);
    return outputs(h, sin(h) + x);
  }
};
struct nested_calls {
  constexpr auto operator()(auto x, auto y) const {
    auto [a, b] = call<path<"outer">>(pair{}, x, y);
    auto [c, d] = call<path<"outer">>(pair{}, b, a);
    return mean(c * d + b);
  }
};
// An operand that is not used, and one result that nobody reads.
struct careless {
  constexpr auto operator()(auto x, auto unused) const { return outputs(x * x, x + unused * 0.0); }
};
struct carelessly {
  constexpr auto operator()(auto x, auto y) const {
    auto [a, b] = call(careless{}, x, y);
    return sum(a);
  }
};

using data = shape<f64, struct batch, struct feature>;
const shapes_of_network sizes{
    {{axis_ptr<struct batch>, 3}, {axis_ptr<struct feature>, 2}, {axis_ptr<struct hidden>, 4}}};

TEST_CASE("a function called twice, each time with parameters of its own") {
  constexpr const function_info* f = function_of<twice_called, data>;
  static_assert(f->leaf_count == 7);
  check_network(make_network<f, all_floating<f>()>(), sizes);
}
TEST_CASE("a function called twice with the same parameters") {
  constexpr const function_info* f = function_of<tied, data>;
  static_assert(f->leaf_count == 4);
  check_network(make_network<f, all_floating<f>()>(), sizes);
}
TEST_CASE("functions of functions with several results") {
  constexpr const function_info* f = function_of<nested_calls, data, data>;
  check_network(make_network<f, all_floating<f>()>(), sizes);
}
TEST_CASE("operands and results that are not used") {
  constexpr const function_info* f = function_of<carelessly, data, data>;
  check_network(make_network<f, all_floating<f>()>(), sizes);
}
TEST_CASE("gradients of some operands alone") {
  constexpr const function_info* f = function_of<twice_called, data>;
  check_network(make_network<f, named<f>("first.bias", "second.up")>(), sizes);
}

}  // namespace
}  // namespace flame::laws
