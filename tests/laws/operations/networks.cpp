// Composites that networks are made of: activations, norms, losses, embeddings of positions.
#include <flame/expr/drop.hpp>
#include <flame/expr/loss.hpp>
#include <flame/expr/mask.hpp>
#include <flame/expr/norm.hpp>
#include <flame/expr/rotary.hpp>

#include "../laws.hpp"

namespace flame::laws {
namespace {

inline constexpr struct whole : dim<> {
} whole;
inline constexpr struct half : dim<> {
} half;
inline constexpr struct part : dim<> {
} part;
inline constexpr struct feature : dim<> {
} feature;
inline constexpr struct height : dim<> {
} height;
inline constexpr struct width : dim<> {
} width;
inline constexpr struct three : dim<3> {
} three;
const int known = extents_for(whole, 6, 14, 66, 2) + extents_for(half, 3, 7, 33, 1) +
                  extents_for(feature, 6, 7, 32) + extents_for(height, 3, 5, 9) + extents_for(width, 2, 7, 8);

const auto x = leaf<f64, row, col>("x");
const auto y = leaf<f64, row, col>("y");
const auto z = leaf<f64, plane, row, col>("z");
const auto w = leaf<f64, row, whole>("w");
const auto v = leaf<f64, col>("v");
const auto p = leaf<f64, row, col>("p", {0.1, 0.45});
const auto weight = leaf<f64, col>("weight", positive);
const auto image = leaf<f64, plane, height, width, whole>("image");
const auto scale = leaf<f64, whole>("scale", positive);
const auto cosine = leaf<f64, row, half>("cosine");
const auto sine = leaf<f64, row, half>("sine");
const auto tokens = leaf<f64, plane, row, other, whole>("tokens");
const auto at = leaf<f64, row>("at", positive);
const auto wave = leaf<f64, feature>("wave");
const auto label = leaf<i32, row>("label", {.below = axis_ptr<struct col>});
const auto on = leaf<bool, row, col>("on");
const auto k = leaf<key>("k");

LAW(quick_gelu, quick_gelu(x))
LAW(leaky_relu, leaky_relu(x, 0.2))
LAW(elu, elu(x, 1.5))
LAW(mish, mish(x))
LAW(log_sigmoid, log_sigmoid(x))
LAW(hardsigmoid, hardsigmoid(x * 2.1))
LAW(hardswish, hardswish(x * 2.1))
LAW(lerp, lerp(x, y, v))
LAW(geglu_gate, geglu(x, y))
LAW(geglu_halves, geglu(w, whole, part))
LAW(swiglu_halves, swiglu(w, whole, part))

LAW(rms_norm_scaled, rms_norm(x, 1e-6, col) * weight)
LAW(rms_norm_two, rms_norm(z, 1e-5, row, col))
LAW(group_norm, (group_norm<2>(image, 1e-3)), .f32 = 3e-5)
LAW(group_norm_silu, (silu(group_norm<2>(image, 1e-3) * scale)), .f32 = 3e-5)
LAW(group_norm_rows, (group_norm<2>(w, 1e-3, whole)), .f32 = 3e-5)
LAW(instance_norm, instance_norm(image, 1e-3, height, width), .f32 = 3e-5)
LAW(adaptive_layer_norm, gated(y, weight, adaptive_layer_norm(x, v, weight, 1e-3, col)), .f32 = 3e-5)

LAW(l1, l1(x, y))
LAW(huber, huber(x, y, 0.7))
LAW(smooth_l1, smooth_l1(x, y, 0.7))
LAW(bce, bce(p, p * 1.1 + 0.2))
LAW(bce_with_logits, bce_with_logits(x, p))
LAW(bce_with_logits_weighted, (bce_with_logits<reduction::none>(x, p, weight)))
LAW(kl_div, (kl_div<reduction::sum>(x, p)))
LAW(kl_div_of_log, kl_div_of_log(x, y))
LAW(nll, nll(x, label, {.ignore_index = 1}), .empty = false)
LAW(cross_entropy_smoothed, cross_entropy(x, label, {.ignore_index = 2, .label_smoothing = 0.1}),
    .empty = false)
LAW(cross_entropy_weighted, (cross_entropy<reduction::sum>(x, label, {.label_smoothing = 0.2}, weight)),
    .empty = false)

LAW(rotary_neighbours, rotary(tokens, cosine, sine, whole), .empty = false)
LAW(rotary_halves, rotary<rotary_pairs::halves>(tokens, cosine, sine, whole), .empty = false)
LAW(rotary_angles, cos(rotary_angles(at, half)) * sine, .half = false)
LAW(timestep_embedding, timestep_embedding(at, feature, {.scale = 2}) * wave, .half = false)
LAW(timestep_embedding_sines,
    timestep_embedding<sinusoid_order::sines_first>(at, feature, {.downscale_freq_shift = 0.5}) * wave,
    .half = false)

LAW(tril, tril(x, row, col), .linear = true)
LAW(triu, triu<1>(z, col, row), .linear = true)
LAW(masked_fill, masked_fill(x* x, on, -2))
LAW(drop_path, drop_path(x, 0.25, k, row), .linear = true)

}  // namespace
}  // namespace flame::laws
