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

// Zeros that are added to the input, and trained with a rate of 0: their gradient is the input's.
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
  BOOST_HANA_DEFINE_STRUCT(residual_net,
                           (param<Place, "input", initial::zeros, batch, height, width, channel<0>>, input),
                           (block, net));
  constexpr auto operator()(const auto& x, const auto& emb) const {
    return net(cast<f32>(x) + input, cast<f32>(emb));
  }
};
using on_linears = adapters<"*to_q", "*to_k", "*to_v", "*to_out.0", "ff.*">;

template <class Backend, axis... Axes> auto random_on(u64 seed, const sized<Axes>&... extents) {
  return to<Backend>(normal<bf16>(key(seed), extents...));
}

template <class Step, class... T>
void report(timer milliseconds, const std::string& name, Step& step, const T&... inputs) {
  const double ms = milliseconds([&] { step(inputs...); });
  std::printf("{\"name\": \"block.%s\", \"ms\": %.4f}\n", name.c_str(), ms);
  std::printf("{\"name\": \"block.%s.memory\", \"bytes\": %lld}\n", name.c_str(), step.working_bytes());
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
      train_step<trainable<"*.lora_*", "input">>(m, weighed, sgd{.lr = 0}, {.precision = precision::bf16});
  const auto x = random_on<Backend>(1, batch == 4, token == tokens, channel<1> == wide),
             target = random_on<Backend>(2, batch == 4, token == tokens, channel<1> == wide);
  const auto text = random_on<Backend>(3, batch == 4, word == 77, context == 2048);
  report(milliseconds, "transformer." + std::to_string(wide) + "x" + std::to_string(tokens), step, target, x,
         text);
}

template <class Backend> void residual(timer milliseconds, i64 channels_of, i64 side) {
  auto m = init<residual_net, Backend>(key(0), channel<0> == channels_of, condition == 1280, batch == 4,
                                       height == side, width == side);
  auto step = train_step<trainable<"input">>(m, weighed, sgd{.lr = 0}, {.precision = precision::bf16});
  const auto x = random_on<Backend>(1, batch == 4, height == side, width == side, channel<0> == channels_of),
             target =
                 random_on<Backend>(2, batch == 4, height == side, width == side, channel<0> == channels_of);
  const auto emb = random_on<Backend>(3, batch == 4, condition == 1280);
  report(milliseconds, "residual." + std::to_string(channels_of) + "@" + std::to_string(side), step, target,
         x, emb);
}

template <class Backend> void all(timer milliseconds) {
  transformer<Backend>(milliseconds, 640, 4096);
  transformer<Backend>(milliseconds, 1280, 1024);
  residual<Backend>(milliseconds, 320, 128);
  residual<Backend>(milliseconds, 640, 64);
  residual<Backend>(milliseconds, 1280, 32);
}

}  // namespace sdxl_blocks
