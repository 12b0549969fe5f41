// Attention with its projections.
#pragma once
#include <flame/expr/attention.hpp>
#include <flame/expr/movement.hpp>
#include <flame/nn/linear.hpp>

namespace flame {

struct attention_names {
  static constexpr fixed_string q = "q";
  static constexpr fixed_string k = "k";
  static constexpr fixed_string v = "v";
  static constexpr fixed_string out = "out";
};

// Multi-head attention (Vaswani et al. 2017): queries from h, keys and values from h or from a context, each
// a linear layer to Inner = Head x HeadDim; then `out` back to Channel. h is [..., token, Channel].
//   attend(h, token)                   self-attention over the axis token
//   attend(h, token, causal(token))    the same with attention's options: each token sees those up to itself
//   attend(h, context, token)          cross-attention: token is the context's; options follow here too
// Context: the context's channels, where they are others. Bias: of q, k and v. Names: what the four are
// called in files.
template <class Place, const auto& Channel, const auto& Inner, const auto& Head, const auto& HeadDim,
          const auto& Context = Channel, bool Bias = true, class Names = attention_names>
struct attention_layer {
  BOOST_HANA_DEFINE_STRUCT(attention_layer, (linear<in<Place, Names::q>, Channel, Inner, Bias>, q),
                           (linear<in<Place, Names::k>, Context, Inner, Bias>, k),
                           (linear<in<Place, Names::v>, Context, Inner, Bias>, v),
                           (linear<in<Place, Names::out>, Inner, Channel>, out));

  template <axis Token, class... Options>
  requires(!axis<Options> && ...) constexpr auto operator()(const auto& h, const Token& token,
                                                            const Options&... options) const {
    return project(h, h, token, options...);
  }
  template <axis Token, class... Options>
  constexpr auto operator()(const auto& h, const operand_type auto& context, const Token& token,
                            const Options&... options) const {
    return project(h, context, token, options...);
  }

 private:
  static constexpr auto heads(const auto& a) {
    return split(a, tag_of<Inner>{}, tag_of<Head>{}, tag_of<HeadDim>{});
  }
  constexpr auto project(const auto& h, const auto& context, const auto& token,
                         const auto&... options) const {
    auto a =
        attention(heads(q(h)), heads(k(context)), heads(v(context)), token, tag_of<HeadDim>{}, options...);
    return out(merge(a, tag_of<Head>{}, tag_of<HeadDim>{}, tag_of<Inner>{}));
  }
};

}  // namespace flame
