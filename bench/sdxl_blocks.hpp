// SDXL's two blocks, forward and backward in bf16 at the sizes of a training at 1024 x 1024, batch 4: the
// transformer block with adapters of rank 16 on all its linear layers, and the residual block with frozen
// weights. Both give the gradient of their input.
#pragma once
#include <flame/flame.hpp>
#include <flame/model/residual_block.hpp>
#include <flame/model/spatial_transformer.hpp>
#include <flame/model/unet_axes.hpp>

#include <cstdio>
#include <functional>
#include <string>

namespace sdxl_blocks {

using namespace flame;
using namespace flame::stable_diffusion;

inline constexpr struct token : dim<> {
} token;

// Milliseconds of one call, by whichever clock suits the backend.
using timer = double (*)(const std::function<void()>& call);

// Gradients alone are measured, as the peer's: weights stay.
struct no_update {
  static constexpr int moments = 0, number_count = 0;
  [[nodiscard]] std::array<double, 0> numbers(i64) const { return {}; }
  static constexpr auto update(auto p, auto) { return outputs(p); }
};

// Zeros that are added to the input, and among the parameters: their gradient is the input's.
template <class Place> struct transformer_net {
  using block = transformer_block<Place, channel<1>, context>;
  BOOST_HANA_DEFINE_STRUCT(transformer_net,
                           (param<Place, "input", initial::zeros, batch, token, channel<1>>, input),
                           (block, net));
  constexpr auto operator()(const auto& x, const auto& text) const {
    return net(cast<f32>(x) + input, cast<f32>(text));
  }
};
template <class Place> struct residual_net {
  using block = residual_block<Place, channel<0>, channel<0>, condition>;
  BOOST_HANA_DEFINE_STRUCT(residual_net, (block, net));
};
using on_linears = adapters<"*to_q", "*to_k", "*to_v", "*to_out.0", "ff.*">;

template <class Backend, axis... Axes> auto random_on(u64 seed, const sized<Axes>&... extents) {
  return to<Backend>(normal<bf16>(key(seed), extents...));
}

// bytes: of memory beside arguments and results; those of a training step are asked for when it has run.
template <class Step, class... T>
void report(timer milliseconds, const std::string& name, Step& step, i64 bytes, const T&... inputs) {
  const double ms = milliseconds([&] { step(inputs...); });
  if constexpr (requires { step.working_bytes(); }) bytes = step.working_bytes();
  std::printf("{\"name\": \"block.%s\", \"ms\": %.4f}\n", name.c_str(), ms);
  std::printf("{\"name\": \"block.%s.memory\", \"bytes\": %lld}\n", name.c_str(), bytes);
  std::fflush(stdout);
}

// sum(y * target): the cotangent of the block is the target.
inline constexpr auto weighed = [](auto m, auto target, auto x, auto beside) {
  return sum(m(x, beside) * cast<f32>(target));
};

template <class Backend> void transformer(timer milliseconds, i64 wide, i64 tokens) {
  model_extents given;
  given.axes = {channel<1> == wide, context == 2048, batch == 4, token == tokens};
  given.adapted = {{.path = "*", .rank = 16, .alpha = 16}};
  const auto m = init<transformer_net, Backend, f32, on_linears>(key(0), given);
  auto step =
      train_step<trainable<"*.lora_*", "input">>(m, weighed, no_update{}, {.precision = precision::bf16});
  const auto x = random_on<Backend>(1, batch == 4, token == tokens, channel<1> == wide),
             target = random_on<Backend>(2, batch == 4, token == tokens, channel<1> == wide);
  const auto text = random_on<Backend>(3, batch == 4, word == 77, context == 2048);
  report(milliseconds, "transformer." + std::to_string(wide) + "x" + std::to_string(tokens), step, 0, target,
         x, text);
}

// Frozen, in bf16: the result and the gradient of the input, as the peer's module in bf16 gives them.
template <class Backend> void residual(timer milliseconds, i64 channels_of, i64 side) {
  const auto m = init<residual_net, Backend, bf16>(key(0), channel<0> == channels_of, condition == 1280);
  auto step = forward<true>(m, [](auto n, auto x, auto emb, auto target) {
    const auto y = n.net(x, emb);
    return outputs(y, grad(sum(cast<f32>(y) * cast<f32>(target)), x));
  });
  const auto x = random_on<Backend>(1, batch == 4, height == side, width == side, channel<0> == channels_of),
             target =
                 random_on<Backend>(2, batch == 4, height == side, width == side, channel<0> == channels_of);
  const auto emb = random_on<Backend>(3, batch == 4, condition == 1280);
  report(milliseconds, "residual." + std::to_string(channels_of) + "@" + std::to_string(side), step,
         step.plan(x, emb, target).arena_bytes, x, emb, target);
}

template <class Backend> void all(timer milliseconds) {
  transformer<Backend>(milliseconds, 640, 4096);
  transformer<Backend>(milliseconds, 1280, 1024);
  residual<Backend>(milliseconds, 320, 128);
  residual<Backend>(milliseconds, 640, 64);
  residual<Backend>(milliseconds, 1280, 32);
}

}  // namespace sdxl_blocks
