// Movement, indexing, products, images. What a template says in numbers (a stride) is told to the graph where
// PyTorch's case has numbers that no case of the template has: unequal ones.
#include <deque>

#include "cases.hpp"

namespace flame::parity {

namespace {

using laws::leaf;

inline constexpr struct a0 : dim<> {
} a0;
inline constexpr struct a1 : dim<> {
} a1;
inline constexpr struct a2 : dim<> {
} a2;
inline constexpr struct a3 : dim<> {
} a3;
inline constexpr struct b0 : dim<> {
} b0;
inline constexpr struct b1 : dim<> {
} b1;
inline constexpr struct whole : dim<> {
} whole;
inline constexpr struct three : dim<3> {
} three;
inline constexpr struct six : dim<6> {
} six;
inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct inner : dim<> {
} inner;
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
inline constexpr struct kernel_height : dim<> {
} kernel_height;
inline constexpr struct kernel_width : dim<> {
} kernel_width;
inline constexpr struct out_height : dim<> {
} out_height;
inline constexpr struct out_width : dim<> {
} out_width;
template <int N> struct kh : dim<N> {};
template <int N> struct kw : dim<N> {};
template <int N> inline constexpr kh<N> kh_of;
template <int N> inline constexpr kw<N> kw_of;

template <class... Axes> list<const axis_info*> over() {
  list<const axis_info*> l;
  (l.push(axis_ptr<Axes>), ...);
  return l;
}

struct maker {
  const test_case& c;
  formula f = {};

  template <class Sym> Sym take(const Sym& sym, const std::string& name, const arrangement& how) {
    f.arguments.push_back({name, (*sym.g)[sym.n].leaf, how});
    return sym;
  }
  template <class Element, const auto&... Axes> auto take(const std::string& name) {
    return take(leaf<Element, Axes...>("x"), name, as_stored(c.shape(name)));
  }
  void give(int n) {
    f.n = n;
    f.output = as_stored(c.shape("output"));
  }
  [[nodiscard]] bool is(const char* name) const { return c.name == name; }

  void movement() {
    if (c.op == "permute") give(permute(take<f64, a0, a1, a2>("x"), a2, a0, a1).n);
    if (c.name.starts_with("reshape.split")) give(split(take<f64, a0, whole>("x"), whole, three, a1).n);
    if (c.name.starts_with("reshape.merge")) give(merge(take<f64, a0, three, a1>("x"), three, a1, whole).n);
    if (c.op == "slice" && c.number("step") == 1) give(slice<1, 3>(take<f64, a0, a1>("x"), a1, three).n);
    if (c.op == "slice" && c.number("step") == 2) give(slice<1, -1, 2>(take<f64, a0, six>("x"), six, a1).n);
    if (c.op == "pad") {  // its value is no integer, as pad's must be
      auto x = take<f64, a0, a1>("x");
      auto outside = pad<2, 1, 1>(x * 0.0, a1, a2);
      give((pad<2, 1>(x, a1, a2) + outside * c.number("value")).n);
    }
    if (c.op == "concatenate") {
      auto a = take<f64, a0, a1>("a");
      auto b = take<f64, a0, a2>("b");
      give(concatenate(a, a1, b, a2, whole).n);
    }
    if (c.name.starts_with("broadcast.leading")) {  // two rows: no leaf has their axis
      auto x = take<f64, a1>("x");
      give(broadcast(x, kh_of<2>, a1).n);
    }
    if (c.name.starts_with("broadcast.trailing")) {
      auto x = take<f64, a1>("x");
      give(broadcast(x, a1, kw_of<5>).n);
    }
    if (c.op == "cast") {
      auto x = take(leaf<f32, a0>("x"), "x", as_stored(c.shape("x")));
      give(c.text("to") == "bf16"  ? cast<bf16>(x).n
           : c.text("to") == "f16" ? cast<f16>(x).n
           : c.text("to") == "i32" ? cast<i32>(x).n
                                   : cast<bool>(x).n);
    }
  }

  void indexing() {
    if (c.op == "embedding") {
      auto table = take<f64, a2, a3>("table");
      auto index = take<i32, a0, a1>("index");
      give(embedding(table, index).n);
    }
    if (c.op == "gather") {
      auto x = take<f64, a0, a1>("x");
      auto index = take<i32, a0, a2>("index");
      give(gather(x, index, a1).n);
    }
    if (c.op == "index_select") {
      auto x = take<f64, a0, a1>("x");
      auto index = take<i32, a2>("index");
      give(gather(x, index, a1).n);
    }
    if (c.op == "one_hot") give(one_hot<i32>(take<i32, a0>("index"), six).n);
  }

  template <class A, class B> void multiply(const A& a, const B& b) {
    give(matmul(take(a, "a", as_stored(c.shape("a"))), take(b, "b", as_stored(c.shape("b"))), inner).n);
  }
  void products() {
    if (c.op == "matmul") {
      bool ta = c.flag("transpose_a"), tb = c.flag("transpose_b");
      auto a = leaf<f64, a0, inner>("a");
      auto at = leaf<f64, inner, a0>("a");
      auto b = leaf<f64, inner, b0>("b");
      auto bt = leaf<f64, b0, inner>("b");
      std::size_t ranks = c.shape("a").size() * 10 + c.shape("b").size();
      if (ranks == 22)
        ta ? (tb ? multiply(at, bt) : multiply(at, b)) : (tb ? multiply(a, bt) : multiply(a, b));
      if (ranks == 32) multiply(leaf<f64, batch, a0, inner>("a"), b);
      if (ranks == 33 && ta) multiply(leaf<f64, batch, inner, a0>("a"), leaf<f64, batch, inner, b0>("b"));
      if (ranks == 33 && tb) multiply(leaf<f64, batch, a0, inner>("a"), leaf<f64, batch, b0, inner>("b"));
      if (ranks == 44)
        multiply(leaf<f64, batch, head, a0, inner>("a"), leaf<f64, batch, head, inner, b0>("b"));
    }
    if (is("contract.scores")) {
      auto a = take<f64, batch, a0, head, inner>("a");
      auto b = take<f64, batch, b0, head, inner>("b");
      give(contract(a, b, batch, head, a0, b0).n);
    }
    if (is("contract.two_axes")) {
      auto a = take<f64, a0, a1, a2>("a");
      auto b = take<f64, a1, a2, a3>("b");
      give(contract(a, b, a0, a3).n);
    }
    if (is("contract.batch_inside")) {
      auto a = take<f64, a0, a1, a2>("a");
      auto b = take<f64, a2, a1, a3>("b");
      give(contract(a, b, a0, a3, a1).n);
    }
    if (is("contract.outer")) {
      auto a = take<f64, a0>("a");
      auto b = take<f64, a1>("b");
      give(contract(a, b, a0, a1).n);
    }
    if (is("contract.inner")) {
      auto a = take<f64, a0, a1>("a");
      auto b = take<f64, a0, a1>("b");
      give(contract(a, b).n);
    }
    if (c.op == "linear") {
      auto x = take<f64, a0, a1, inner>("x");
      auto weight = take<f64, out, inner>("weight");
      auto bias = take<f64, out>("bias");
      give((matmul(x, weight, inner) + bias).n);
    }
    if (c.op == "attention") {
      double scale = c.number("scale") * std::sqrt(static_cast<double>(c.shape("q").back()));
      auto q = take<f64, batch, head, a0, inner>("q");
      if (c.flag("causal")) {
        auto k = take<f64, batch, head, a0, inner>("k");
        auto v = take<f64, batch, head, a0, inner>("v");
        give(attention(q * scale, k, v, a0, inner, causal(a0)).n);
      } else {
        auto k = take<f64, batch, head, b0, inner>("k");
        auto v = take<f64, batch, head, b0, inner>("v");
        give(attention(q * scale, k, v, b0, inner).n);
      }
    }
  }

  template <conv_options O, int H, int W, class X> auto convolve(const X& x) {
    return conv2d<O>(x, weight(leaf<f64, out, kh_of<H>, kw_of<W>, part>("weight")));
  }
  // Stored [out, in, height, width]; ours are [out, height, width, in].
  template <class Sym> Sym weight(const Sym& w) {
    std::vector<i64> s = c.shape("weight");
    return take(w, "weight", {{0, 2, 3, 1}, {s[0], s[2], s[3], s[1]}});
  }
  void convolution() {
    auto x = take<f64, batch, height, width, channel>("x");
    auto bias = leaf<f64, out>("bias");
    auto add_bias = [&](const auto& y) {
      if (!c.has_argument("bias")) return give(y.n);
      take(bias, "bias", as_stored(c.shape("bias")));
      give((y + bias).n);
    };
    std::string tag = c.name.substr(7);
    if (tag == "plain") return add_bias(convolve<conv_options{}, 3, 3>(x));
    if (tag == "padding" || tag == "bias") return add_bias(convolve<conv_options{.padding = 1}, 3, 3>(x));
    if (tag == "pointwise") return add_bias(convolve<conv_options{}, 1, 1>(x));
    if (tag == "stride") return add_bias(convolve<conv_options{.stride = 2, .padding = 1}, 3, 3>(x));
    if (tag == "patch") return add_bias(convolve<conv_options{.stride = 4}, 4, 4>(x));
    if (tag == "dilation") return add_bias(convolve<conv_options{.padding = 2, .dilation = 2}, 3, 3>(x));
    if (tag == "groups") return add_bias(convolve<conv_options{.padding = 1, .groups = 2}, 3, 3>(x));
    if (tag == "depthwise") return add_bias(convolve<conv_options{.padding = 1, .groups = 4}, 3, 3>(x));
    if (tag == "depthwise_multiplier")
      return add_bias(convolve<conv_options{.stride = 2, .padding = 1, .groups = 3}, 3, 3>(x));
    auto w = weight(leaf<f64, out, kernel_height, kernel_width, part>("weight"));
    list<int> in;
    in.push(x.n), in.push(w.n);
    list<u64> numbers;
    for (const char* key : {"stride", "padding", "dilation"})
      for (int n : c.numbers(key)) numbers.push(static_cast<u64>(n));
    numbers.push(static_cast<u64>(c.number("groups")));
    using image = sym<f64, struct batch, struct out_height, struct out_width, struct out>;
    add_bias(
        image{{},
              x.g,
              x.g->put(op::conv, in,
                       over<struct height, struct width, struct kernel_height, struct kernel_width,
                            struct channel, struct part, struct out_height, struct out_width, struct out>(),
                       numbers)});
  }
  void pooling() {
    bool largest = c.op == "max_pool2d";
    auto x = take<f64, batch, height, width, channel>("x");
    std::string tag = c.name.substr(11);
    auto typed = [&]<pool_options O>(std::integral_constant<int, O.kernel>) {
      give(largest ? max_pool<O>(x).n : mean_pool<O>(x).n);
    };
    if (tag.starts_with("plain") || tag == "remainder" || tag == "ties" || tag == "ties_nan")
      return typed.operator()<pool_options{}>(std::integral_constant<int, 2>{});
    if (tag == "overlap")
      return typed.operator()<pool_options{.kernel = 3, .stride = 1}>(std::integral_constant<int, 3>{});
    if (tag == "padding")
      return typed.operator()<pool_options{.kernel = 3, .stride = 2, .padding = 1}>(
          std::integral_constant<int, 3>{});
    list<int> in;
    list<u64> numbers;
    for (const char* key : {"kernel", "stride", "padding"})
      for (int n : c.numbers(key)) numbers.push(static_cast<u64>(n));
    const auto axes = over<struct height, struct width, struct out_height, struct out_width>();
    if (largest) {
      in.push(stop_gradient(x).n), in.push(x.n);
      return give(x.g->put(op::pool_take, in, axes, numbers));
    }
    in.push(x.n);
    int mean = x.g->put(op::pool_mean, in, axes, numbers);
    if (c.flag("count_include_pad")) return give(mean);
    in.clear();  // divided by the part of each window that is not padding
    in.push(x.g->as_type(x.g->constant(1, dtype::f64), x.g->type(x.n)));
    give(x.g->binary(op::div, mean, x.g->put(op::pool_mean, in, axes, numbers)));
  }
};

}  // namespace

formula others(const test_case& c) {
  maker m{c};
  m.movement();
  m.indexing();
  m.products();
  if (c.op == "conv2d") m.convolution();
  if (c.op == "max_pool2d" || c.op == "avg_pool2d") m.pooling();
  return m.f;
}

}  // namespace flame::parity
