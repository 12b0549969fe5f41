// Layers: what they compute, and the gradients of their parameters.
#include <flame/nn/attention.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/norm.hpp>
#include <flame/nn/transposed.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct other : dim<> {
} other;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct foreign : dim<> {
} foreign;
inline constexpr struct out : dim<> {
} out;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct head : dim<2> {
} head;
inline constexpr struct head_dim : dim<> {
} head_dim;
inline constexpr struct entry : dim<> {
} entry;

// Where a layer's parameters are leaves of the tape, "of.weight".
using trained = in<root<symbols<f64, true>>, "of">;
using used = in<root<symbols<f64, false>>, "of">;
template <class Layer> inline constexpr Layer layer{};

// The parameters that output n reads, with the names that PyTorch gives them. Its weights of convolutions
// are [out, in, height, width], ours [out, height, width, in].
void take_parameters(formula_maker& m, int n) {
  graph g = laws::tape();
  g.outputs.clear(), g.assigned.clear();
  g.outputs.push(n);
  g = simplify(g);
  for (int i = 0; i < g.size(); ++i) {
    if (!g.is(i, op::leaf) || g[i].leaf->kind == leaf_kind::input) continue;
    const std::string name = string_of(g[i].leaf->name).substr(3);
    const std::vector<i64> s = m.c.shape(name);
    m.f.arguments.push_back(
        {name, g[i].leaf,
         s.size() == 4 ? arrangement{{0, 2, 3, 1}, {s[0], s[2], s[3], s[1]}} : as_stored(s)});
  }
}
template <class Sym> void give_layer(formula_maker& m, const Sym& s) {
  take_parameters(m, s.n);
  m.give(s);
}

}  // namespace

formula layers(const test_case& c) {
  formula_maker m{c};
  const std::string kind = c.op.starts_with("layer_") ? c.op.substr(6) : "";
  if (kind.empty() || c.op == "layer_norm") return m.f;
  auto tokens = [&] { return m.take<f64, batch, token, channel>("x"); };
  auto picture = [&] { return m.take<f64, batch, height, width, channel>("x"); };
  constexpr conv_options halved{.stride = 2, .padding = 1}, grouped{.padding = 1, .groups = 3};
  constexpr conv_transpose_options doubled{.stride = 2, .padding = 1};
  if (kind == "linear") give_layer(m, layer<linear<trained, channel, out>>(tokens()));
  if (kind == "linear_square") give_layer(m, layer<linear<trained, channel, channel, false>>(tokens()));
  if (kind == "embedding")
    give_layer(m, layer<embedding_table<trained, entry, out>>(m.take<i32, batch, token>("index")));
  if (kind == "layer_norm") give_layer(m, layer<layer_norm_layer<trained, channel>>(tokens()));
  if (kind == "rms_norm") give_layer(m, layer<rms_norm_layer<trained, channel>>(tokens()));
  if (kind == "convolution")
    give_layer(m, layer<convolution_layer<trained, channel, out, 3, halved>>(picture()));
  if (kind == "convolution_grouped")
    give_layer(m, layer<convolution_layer<trained, channel, out, 3, grouped>>(picture()));
  if (kind == "transposed_convolution")
    give_layer(m, layer<transposed_convolution_layer<trained, channel, out, 4, doubled>>(picture()));
  if (kind == "group_norm") give_layer(m, layer<group_norm_layer<trained, channel, 3>>(picture()));
  if (kind == "instance_norm") give_layer(m, layer<instance_norm_layer<trained, channel, true>>(picture()));
  if (kind == "batch_norm_eval") give_layer(m, layer<batch_norm<used, channel>>(picture()));
  if (kind == "batch_norm" || kind == "batch_norm_mean" || kind == "batch_norm_var") {
    auto y = layer<batch_norm<trained, channel>>(picture());
    auto renewed = laws::tape().assigned;  // the running mean, then the variance
    laws::tape().assigned.clear();
    if (kind == "batch_norm") {
      give_layer(m, y);
    } else {
      const int n = renewed[kind == "batch_norm_mean" ? 0 : 1].value;
      take_parameters(m, n);
      m.give(sym<f64, struct channel>{{}, y.g, n});
    }
  }
  if (kind == "attention")
    give_layer(m, layer<attention_layer<trained, channel, inner, head, head_dim>>(tokens(), token));
  if (kind == "attention_causal")
    give_layer(
        m, layer<attention_layer<trained, channel, inner, head, head_dim>>(tokens(), token, causal(token)));
  if (kind == "attention_cross") {
    auto x = tokens();
    auto context = m.take<f64, batch, other, foreign>("context");
    give_layer(m,
               layer<attention_layer<trained, channel, inner, head, head_dim, foreign>>(x, context, other));
  }
  return m.f;
}

}  // namespace flame::parity
