// Rotary embedding, its angles, and sinusoids of times.
#include <flame/expr/rotary.hpp>

#include "cases.hpp"

namespace flame::parity {

namespace {

inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct head_dim : dim<> {
} head_dim;
inline constexpr struct half : dim<> {
} half;
inline constexpr struct feature : dim<> { } feature; }  // namespace

formula positions(const test_case& c) {
  formula_maker m{c};
  const std::string& op = c.op;
  if (op == "rotary_neighbours" || op == "rotary_halves") {
    auto x = m.take<f64, batch, token, head, head_dim>("x");
    auto cosine = m.take<f64, token, half>("cos"), sine = m.take<f64, token, half>("sin");
    if (op == "rotary_halves")
      m.give(rotary<rotary_pairs::halves>(x, cosine, sine, head_dim));
    else
      m.give(rotary(x, cosine, sine, head_dim));
  }
  if (op == "rotary_angles")
    m.give(rotary_angles(m.take<f64, token>("position"), half) * m.take<f64, half>("weight"));
  if (op.starts_with("timestep_embedding")) {
    auto t = m.take<f64, token>("t");
    auto weight = m.take<f64, feature>("weight");
    const sinusoid_options o{.scale = c.number("scale"),
                             .downscale_freq_shift = c.number("shift"),
                             .max_period = c.number("period")};
    if (op == "timestep_embedding_sines_first")
      m.give(timestep_embedding<sinusoid_order::sines_first>(t, feature, o) * weight);
    else
      m.give(timestep_embedding(t, feature, o) * weight);
  }
  return m.f;
}

}  // namespace flame::parity
