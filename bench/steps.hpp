// Whole training steps of the networks of the examples at their sizes, batch 128, in f32 and bf16, on a
// backend.
#pragma once
#include "../examples/transformer.hpp"

#include <cmath>
#include <functional>
#include <string>

namespace steps {

using namespace digits;

// Milliseconds of one call, by whichever clock suits the backend.
using timer = double (*)(const std::function<void()>& call);
// What else a program wants to say of a step's program.
inline void (*inspect)(const char* name, const flame::program& plan) = nullptr;

template <class Backend, class Tensor> auto random_on(const std::vector<i64>& extents, u64 seed) {
  Tensor t(extents);
  for (i64 i = 0; i < t.size(); ++i) t.data()[i] = uniform_element<float>(seed, static_cast<u64>(i));
  return to<Backend>(t);
}

template <class Step, class... T>
void report(timer milliseconds, const std::string& name, Step& step, const T&... batch) {
  double ms = milliseconds([&] { step(batch...); });
  std::printf("{\"name\": \"step.%s\", \"ms\": %.4f}\n", name.c_str(), ms);
  std::printf("{\"name\": \"step.%s.memory\", \"bytes\": %lld}\n", name.c_str(), step.working_bytes());
  std::fflush(stdout);
  if (inspect) inspect(name.c_str(), step.plan());
}

// Steps in bf16 on the host too, for who looks at their programs: it takes longer over them than over f32.
inline bool halves_on_host = false;

// In f32, and on a device in bf16 too: step.dit and step.dit.bf16.
template <class Backend> void all(timer milliseconds) {
  const auto picture = [](u64 seed) { return random_on<Backend, images>({128, 28, 28, 1}, seed); };
  const auto image = picture(1), dark = picture(2);
  const auto times = random_on<Backend, tensor<f32, batch>>({128}, 3);
  labels digits_asked(std::vector<i64>{128});
  for (i64 i = 0; i < 128; ++i) digits_asked.data()[i] = static_cast<i32>(i % 10);
  const auto label = to<Backend>(digits_asked);
  const auto read = [](auto m, auto x, auto y) { return cross_entropy(m(x), y); };
  // As the peer: noise and times lie ready.
  const auto draw = [](auto m, auto x, auto noise, auto t, auto classes) {
    auto data = to_patches(x);
    return mse(m(flow_sample(data, to_patches(noise), t), t, classes), flow_target(data, to_patches(noise)));
  };
  for (const precision p : {precision::full, precision::bf16}) {
    if (p != precision::full && storage<Backend>::on_host && !halves_on_host) continue;
    const std::string suffix = p == precision::full ? "" : ".bf16";
    {
      auto model = init<mlp, Backend>(key(0), hidden == 256);
      auto step = train_step(model, read, adam{}, {.precision = p});
      report(milliseconds, "mlp" + suffix, step, image, label);
    }
    {
      auto model = init<cnn, Backend>(key(0), narrow == 16, wide == 32, flat == 1568, hidden == 128);
      auto step = train_step(model, read, adam{}, {.precision = p});
      report(milliseconds, "cnn" + suffix, step, image, label);
    }
    {
      auto model =
          init<transformer, Backend>(key(0), channel == 96, heads_dim == 96, feature == 384,
                                     time_feature == 96, six == 576, two == 192, instances_of("blocks", 4));
      auto step = train_step(model, draw, adamw{}, {.ema = 0.999, .precision = p});
      report(milliseconds, "dit" + suffix, step, image, dark, times, label);
    }
  }
}

}  // namespace steps
