// Low-rank adapters on SDXL's UNet: the whole network at widths that any processor takes, trained on noise that
// stands for latents, and saved. With the widths of SDXL base (sdxl_sizes{}) and its weights it is the real one.
// test: --steps 2
#include <flame/flame.hpp>
#include <flame/model/sdxl.hpp>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

using namespace flame;
using namespace flame::stable_diffusion;

// What is learned: the noise in x, which is signal * latent + sqrt(1 - signal^2) * noise.
inline constexpr auto loss_of = [](auto net, auto latents, auto t, auto signal, auto text, auto pooled_text, auto sizes,
                                   auto key) {
  auto noise = normal_like<1>(latents, key);
  auto x = signal * latents + sqrt(1.0 - signal * signal) * noise;
  return mse(net(x, t, text, pooled_text, sizes), noise);
};

// sqrt(abar) at time t of 1,000 of SDXL's schedule, whose betas' roots rise evenly from 0.00085 to 0.012.
float signal_at(i64 t) {
  double log_abar = 0;
  for (i64 i = 0; i <= t; ++i) {
    const double root = std::sqrt(0.00085) + (std::sqrt(0.012) - std::sqrt(0.00085)) * static_cast<double>(i) / 999;
    log_abar += std::log1p(-root * root);
  }
  return static_cast<float>(std::exp(log_abar / 2));
}

int main(int argc, char** argv) try {
  i64 steps = 20, rank = 4;
  std::string file = "adapters.safetensors";
  CLI::App app{"Trains low-rank adapters on SDXL's UNet at small widths."};
  app.add_option("--steps", steps)->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--rank", rank)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--save", file, "where the adapters go (.safetensors)")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const sdxl_sizes small{.channels = {32, 64, 128}, .depth = {1, 2}, .condition = 128, .context = 64, .pooled = 32, .size_feature = 16};
  const auto base = init<sdxl, host>(key(0), extents_of(small));  // load("unet.safetensors", base) reads diffusers' file
  const auto net = adapt<adapters<"*to_q", "*to_k", "*to_v", "*to_out.0">>(base, key(1), lora{.rank = rank, .alpha = double(rank)});
  std::printf("%lld parameters, %lld of adapters\n", base.parameter_count(), net.parameter_count<all_adapters>());

  const auto latents = normal(key(2), batch == 2, height == 16, width == 16, latent == 4);
  const auto text = normal(key(3), batch == 2, word == 77, context == 64);
  const auto pooled_text = normal(key(4), batch == 2, pooled == 32);
  const tensor<f32, batch, size_number> sizes{{128, 128, 0, 0, 128, 128}, {128, 128, 0, 0, 128, 128}};
  auto step = train_step<all_adapters>(net, loss_of, adamw{.lr = 1e-3});
  for (i64 i = 0; i < steps; ++i) {
    const i64 first = i * 389 % 1000, second = (i * 389 + 500) % 1000;
    const tensor<f32, batch> t{float(first), float(second)}, signal{signal_at(first), signal_at(second)};
    const float loss = step(latents, t, signal, text, pooled_text, sizes).item();
    if (i % 5 == 0 || i + 1 == steps) std::printf("step %lld: loss %.4f\n", i, double(loss));
  }
  save<all_adapters>(file, net);
  std::printf("adapters: %s\n", file.c_str());
} catch (const std::exception& e) {
  std::fprintf(stderr, "sdxl: %s\n", e.what());
  return 1;
}
