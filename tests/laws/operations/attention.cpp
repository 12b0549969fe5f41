// Attention: masks, sequences of two lengths, heads that share keys, and its gradients' gradients.
#include "../laws.hpp"

namespace flame::laws {
namespace {

using namespace literals;

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct share : dim<> {
} share;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct query : dim<> {
} query;
inline constexpr struct context : dim<> {
} context;
inline constexpr struct feature : dim<> {
} feature;
const int known = extents_for(batch, 2, 3, 2) + extents_for(head, 2, 1, 3) + extents_for(share, 2, 3, 2) +
                  extents_for(token, 3, 5, 18) + extents_for(query, 3, 4, 19) +
                  extents_for(context, 4, 3, 21) + extents_for(feature, 2, 7, 16);

const auto q = leaf<f64, batch, head, token, feature>("q");
const auto k = leaf<f64, batch, head, token, feature>("k");
const auto qc = leaf<f64, batch, head, query, feature>("qc");
const auto kc = leaf<f64, batch, head, context, feature>("kc");
const auto vc = leaf<f64, batch, head, context, feature>("vc");
const auto nested = leaf<f64, batch, token, head, feature>("nested");
const auto shared = leaf<f64, batch, query, head, share, feature>("shared");
const auto memory = leaf<f64, context, feature>("memory");
const auto padding = leaf<f64, batch, token>("padding");
const auto unlike = leaf<f64, query, context>("unlike");
const auto some = leaf<f64, batch, query, context>("some");
inline constexpr keys_of<struct token> keys{};
const auto bias = leaf<f64, head, token, keys>("bias");

LAW(attention_self, attention(q, k, q * 0.5, token, feature), .padded = true)
LAW(attention_cross, attention(qc, kc, vc, context, feature), .padded = true)
LAW(attention_causal, attention(q, k, k, token, feature, causal(token)), .padded = true)
LAW(attention_causal_lengths, attention(qc, kc, vc, context, feature, causal(query)), .padded = true)
LAW(attention_heads_inside, attention(nested, nested, nested, token, feature), .padded = true)
LAW(attention_scaled, attention(qc, kc, vc, context, feature, scaled(0.7_c)), .padded = true)
LAW(attention_grouped, attention(shared, permute(kc, batch, context, head, feature), vc, context, feature),
    .padded = true)
LAW(attention_without_batch, attention(qc, memory, memory * 0.5, context, feature), .padded = true,
    .f32 = 3e-5)  // repeated rows cancel to 0
LAW(attention_padding, attention(q, k, k, token, feature, masked(padding < 1.1)), .padded = true)
LAW(attention_boolean, attention(qc, kc, vc, context, feature, masked(unlike < 0.4), causal(query)),
    .padded = true)
LAW(attention_hidden_rows, attention(qc, kc, vc, context, feature, masked(some < -0.9)), .padded = true)
LAW(attention_additive, attention(qc, kc, vc, context, feature, masked(unlike)), .padded = true)
LAW(attention_additive_padding, attention(q, k, k, token, feature, masked(padding)), .padded = true)
LAW(attention_bias_of_heads, attention(q, k, k, token, feature, masked(bias)), .padded = true)
LAW(attention_of_products, attention(q + 1.0, k* k, q - k, token, feature) * q, .padded = true)

}  // namespace
}  // namespace flame::laws
