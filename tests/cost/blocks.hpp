// Transformer blocks for measurements of compile time, written as a user would write them.
#pragma once
#include <flame/expr/attention.hpp>
#include <flame/nn/place.hpp>
#include <flame/pass/gradient.hpp>

namespace cost {

using namespace flame;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct channel : dim<> {
} channel;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct depth : dim<> {
} depth;
inline constexpr struct hidden : dim<> {
} hidden;

struct no_init {};

template <class Place>
struct modulation {
  param<Place, "weight", no_init, channel, hidden> weight;
  param<Place, "bias", no_init, channel> bias;
  constexpr auto operator()(auto time) const { return matmul(silu(time), weight, hidden) + bias; }
};

template <class Place>
struct norm {
  param<Place, "weight", no_init, channel> weight;
  param<Place, "bias", no_init, channel> bias;
  constexpr auto operator()(auto x) const { return layer_norm(x, 1e-5, channel) * weight + bias; }
};

template <class Place>
struct attention_layer {
  param<Place, "q.weight", no_init, head, depth, channel> wq;
  param<Place, "k.weight", no_init, head, depth, channel> wk;
  param<Place, "v.weight", no_init, head, depth, channel> wv;
  param<Place, "q.bias", no_init, head, depth> bq;
  param<Place, "k.bias", no_init, head, depth> bk;
  param<Place, "v.bias", no_init, head, depth> bv;
  param<Place, "out.weight", no_init, channel, head, depth> wo;
  param<Place, "out.bias", no_init, channel> bo;
  constexpr auto operator()(auto x) const {
    auto q = matmul(x, wq, channel) + bq;  // (batch, token, head, depth)
    auto k = matmul(x, wk, channel) + bk;
    auto v = matmul(x, wv, channel) + bv;
    return contract(attention(q, k, v, token, depth), wo, batch, token, channel) + bo;
  }
};

template <class Place>
struct geglu {
  param<Place, "value.weight", no_init, hidden, channel> wv;
  param<Place, "value.bias", no_init, hidden> bv;
  param<Place, "gate.weight", no_init, hidden, channel> wg;
  param<Place, "gate.bias", no_init, hidden> bg;
  param<Place, "out.weight", no_init, channel, hidden> wo;
  param<Place, "out.bias", no_init, channel> bo;
  constexpr auto operator()(auto x) const {
    auto value = matmul(x, wv, channel) + bv;  // (batch, token, hidden)
    auto gate = matmul(x, wg, channel) + bg;
    return matmul(value * gelu(gate), wo, hidden) + bo;
  }
};

// Adaptive norms before attention and GEGLU. Kind makes different functions of one size.
template <class Place, int Kind = 0>
struct block {
  modulation<in<Place, "scale">> scale;
  modulation<in<Place, "gate">> gate;
  norm<in<Place, "norm1">> norm1;
  norm<in<Place, "norm2">> norm2;
  attention_layer<in<Place, "attention">> attend;
  geglu<in<Place, "ff">> ff;
  constexpr auto operator()(auto x, auto time) const {
    auto h = x + attend(norm1(x) * (scale(time) + 1)) * gate(time);
    return h + ff(norm2(h)) * (1.0 / (1 + Kind));
  }
};

using tokens = shape<f32, struct batch, struct token, struct channel>;
using times = shape<f32, struct batch, struct hidden>;

template <const function_info* F>
struct parameters_of {
  static constexpr bool has(int i) { return F->leaves[i]->kind == leaf_kind::parameter; }
};

// A network's loss and the gradient with respect to all its parameters, as functions.
template <class Net>
struct trained {
  static constexpr const function_info* loss = function_of<Net, tokens, times>;
  static constexpr const function_info* gradient = gradient_function<loss, parameters_of<loss>>;
};

}  // namespace cost
