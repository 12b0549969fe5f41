// Whole training steps, beside bench/peer/steps.py: the networks of the examples at their sizes, batch 128, f32.
#include "../examples/transformer.hpp"

#include <cmath>
#include <functional>

using namespace digits;

namespace {

// The median of many single calls after a warm-up, in milliseconds.
double median_ms(const std::function<void()>& call, double seconds = 4) {
  for (int i = 0; i < 3; ++i) call();
  std::vector<double> times;
  for (clock::time_point begin = clock::now(); times.size() < 7 || seconds_since(begin) < seconds;) {
    clock::time_point t = clock::now();
    call();
    times.push_back(1e3 * seconds_since(t));
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

template <class Tensor>
void randomise(const Tensor& t, u64 seed) {
  for (i64 i = 0; i < t.size(); ++i) t.data()[i] = uniform_element<float>(seed, static_cast<u64>(i));
}

template <class Step, class... T>
void report(const char* name, Step& step, const T&... batch) {
  double ms = median_ms([&] { step(batch...); });
  std::printf("{\"name\": \"step.%s\", \"ms\": %.3f}\n", name, ms);
  std::printf("{\"name\": \"step.%s.memory\", \"bytes\": %lld}\n", name, step.working_bytes());
  std::fflush(stdout);
}

}  // namespace

int main() {
  images image(std::vector<i64>{128, 28, 28, 1});
  labels label(std::vector<i64>{128});
  randomise(image, 1);
  for (i64 i = 0; i < 128; ++i) label.data()[i] = static_cast<i32>(i % 10);
  auto read = [](auto m, auto x, auto y) { return cross_entropy(m(x), y); };
  {
    auto model = init<mlp, host>(key(0), hidden == 256);
    auto step = train_step(model, read, adam{});
    report("mlp", step, image, label);
  }
  {
    auto model = init<cnn, host>(key(0), narrow == 16, wide == 32, flat == 1568, hidden == 128);
    auto step = train_step(model, read, adam{});
    report("cnn", step, image, label);
  }
  {
    auto model = init<transformer, host>(key(0), channel == 96, heads_dim == 96, feature == 384, time_feature == 96,
                                                 six == 576, two == 192, instances_of("blocks", 4));
    // As the peer: noise and times lie ready.
    auto step = train_step(
        model,
        [](auto m, auto x, auto noise, auto t, auto classes) {
          auto data = to_patches(x);
          return mse(m(flow_sample(data, to_patches(noise), t), t, classes), flow_target(data, to_patches(noise)));
        },
        adamw{}, {.ema = 0.999});
    images noise(std::vector<i64>{128, 28, 28, 1});
    randomise(noise, 2);
    tensor<f32, batch> t(std::vector<i64>{128});
    randomise(t, 3);
    report("dit", step, image, noise, t, label);
  }
}
