// Draws handwritten digits: trains a small class-conditional diffusion transformer with flow matching, and lets the
// classifier of the example mnist read what it drew.
// test: --steps 3 --batch 16 --limit 200 --samples 10 --channels 24 --depth 1
#include "transformer.hpp"

#include <flame/io/png.hpp>

#include <CLI/CLI.hpp>

using namespace digits;

struct arguments {
  std::string data, device = "host", precision = "f32", save, load, judge, picture = "samples.png";
  i64 steps = 1200, batch = 128, samples = 1000, limit = 0, channels = 96, depth = 4, every = 200;
  int sample_steps = 40;
  double lr = 3e-3, guidance = 2, ema = 0.99;
  u64 seed = 0;
};

// One Euler step of the sampler: v = v_none + guidance (v_class - v_none).
struct euler {
  constexpr auto operator()(const auto& m, const auto& x, const auto& t, const auto& dt, const auto& classes,
                            const auto& guidance) const {
    auto none = classes * 0 + no_digit;
    auto times = broadcast(t, batch);
    auto v0 = m(x, times, none), v1 = m(x, times, classes);
    return x + dt * (v0 + guidance * (v1 - v0));
  }
};

inline constexpr struct patch_input : input<f32, batch, token, patch_pixel> {} patch_input;
using patches = tensor<f32, batch, token, patch_pixel>;

// What is learned: the velocity from noise to the image, for its class or, so that guidance can be learned, for none.
inline constexpr auto loss_of = [](auto m, auto image, auto label, auto key) {
  auto data = to_patches(image);
  auto noise = normal_like<2>(data, key);
  auto t = logit_normal_times<3>(key, 0, 1, batch);
  auto classes = where(uniform<f32, 4>(key, batch) < 0.1, no_digit, label);
  return mse(m(flow_sample(data, noise, t), t, classes), flow_target(data, noise));
};
inline constexpr auto read_drawn = [](auto m, auto x) {
  return argmax(m((x * 0.5 + 0.5 - mean_ink) / ink_deviation), digit);
};

// Images of the given classes, pixels in -1 .. 1.
template <class Model>
auto draw(const Model& model, const std::vector<i32>& wanted, const arguments& a, u64 seed) {
  using backend = typename Model::backend;
  using scalar = basic_tensor<backend, f32>;
  const i64 count = static_cast<i64>(wanted.size());
  const labels_on<backend> classes({count}, wanted);
  auto step = forward(model, euler{});
  auto picture = compile<backend>(to_image(patch_input), patch_input);
  patches noise(std::vector<i64>{count, 49, 16});
  initialise(noise.values(), {initial::kind::normal, 1}, key(fold(seed, 0x5A)));
  auto x = to<backend>(noise);
  scalar t(0.0f), dt(1.0f / static_cast<float>(a.sample_steps)), guidance(a.guidance);
  for (int i = 0; i < a.sample_steps; ++i)
    x = step(x, t.fill(static_cast<float>(i) / static_cast<float>(a.sample_steps)), dt, classes, guidance);
  return picture(x);
}

// A sheet with a row for each of several drawings of the ten digits.
template <class Model>
void draw_sheet(const Model& model, const arguments& a, i64 rows) {
  std::vector<i32> classes;
  for (i64 i = 0; i < 10 * rows; ++i) classes.push_back(static_cast<i32>(i % 10));
  std::vector<float> grey01;
  for (float v : draw(model, classes, a, a.seed + 1).to_vector()) grey01.push_back(std::clamp(v * 0.5f + 0.5f, 0.0f, 1.0f));
  write_png_grid(a.picture, grey01, 28, 28, 1, 10);
  show(grey01.data(), 10);
}

template <class Model>
void judge(const Model& model, const arguments& a) {
  auto reader = init<cnn, typename Model::backend>(key(0), narrow == 16, wide == 32, flat == 7 * 7 * 32, hidden == 128);
  load(a.judge, reader);
  auto read = forward(reader, read_drawn);
  i64 right = 0, done = 0;
  progress bar("drawing", a.samples);
  while (done < a.samples) {
    i64 n = std::min<i64>(100, a.samples - done);
    std::vector<i32> classes;
    for (i64 i = 0; i < n; ++i) classes.push_back(static_cast<i32>((done + i) % 10));
    const auto answers = read(draw(model, classes, a, a.seed + 2 + static_cast<u64>(done))).to_vector();
    for (std::size_t i = 0; i < classes.size(); ++i) right += answers[i] == classes[i];
    done += n;
    bar(done, "");
  }
  std::printf("read as asked: %lld of %lld (%.1f %%)\n", right, a.samples,
              100 * static_cast<double>(right) / static_cast<double>(a.samples));
}

template <class Backend>
void run(const arguments& a) {
  auto model = init<transformer, Backend>(key(a.seed), channel == a.channels, heads_dim == a.channels,
                                               feature == 4 * a.channels, time_feature == a.channels,
                                               six == 6 * a.channels, two == 2 * a.channels,
                                               instances_of("blocks", a.depth));
  std::printf("diffusion transformer: %lld parameters\n", model.parameter_count());
  if (!a.load.empty()) load(a.load, model);
  auto step = train_step(model, loss_of, adamw{.lr = a.lr, .weight_decay = 0},
                         {.seed = a.seed, .ema = a.ema, .precision = precision_of(a.precision)});

  if (a.steps > 0) {
    mnist_data data = load_digits(a.data, a.seed);
    if (a.limit > 0 && a.limit < data.train.size()) {
      data.train.labels.resize(static_cast<std::size_t>(a.limit));
      data.train.images.resize(static_cast<std::size_t>(a.limit * 784));
    }
    digit_batches batches(data.train, a.batch, a.seed);
    cosine_schedule rate{.peak = a.lr, .total = a.steps, .warmup = std::min<i64>(100, a.steps / 20)};
    std::vector<float> pixels(static_cast<std::size_t>(a.batch * 784));
    std::vector<i32> classes(static_cast<std::size_t>(a.batch));
    images_on<Backend> image(std::vector<i64>{a.batch, 28, 28, 1});
    labels_on<Backend> label(std::vector<i64>{a.batch});
    progress bar("training", a.steps);
    double smooth = 0;
    for (i64 i = 1; i <= a.steps; ++i) {
      batches.next(pixels.data(), classes.data(), -1, 1);
      step.optimizer().lr = rate(i);
      double loss = step(image.copy_from(pixels), label.copy_from(classes)).item();
      smooth = i == 1 ? loss : 0.98 * smooth + 0.02 * loss;
      char text[64];
      std::snprintf(text, sizeof text, "loss %.4f", smooth);
      bar(i, text);
      if (i % a.every == 0 || i == a.steps) draw_sheet(step.averaged(), a, i == a.steps ? 10 : 2);
    }
    std::printf("picture: %s\n", a.picture.c_str());
  }
  auto trained = a.steps > 0 && a.ema > 0 ? step.averaged() : model;
  if (!a.save.empty()) save(a.save, trained);
  if (!a.judge.empty()) judge(trained, a);
}

int main(int argc, char** argv) try {
  arguments a;
  CLI::App app{"Trains a diffusion transformer that draws digits."};
  app.add_option("--data", a.data, "folder with MNIST's four idx files (.gz too); without it, digits are drawn")
      ->check(CLI::ExistingDirectory);
  app.add_option("--device", a.device, "where to train")->check(CLI::IsMember({"host", "cuda"}))->capture_default_str();
  app.add_option("--precision", a.precision, "of what passes from kernel to kernel; weights are f32")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))->capture_default_str();
  app.add_option("--steps", a.steps)->check(CLI::Range(0, 10000000))->capture_default_str();
  app.add_option("--batch", a.batch)->check(CLI::Range(1, 60000))->capture_default_str();
  app.add_option("--lr", a.lr, "peak of the learning rate")->check(CLI::Range(0.0, 10.0))->capture_default_str();
  app.add_option("--guidance", a.guidance)->check(CLI::Range(0.0, 100.0))->capture_default_str();
  app.add_option("--samples", a.samples, "digits to draw at the end")->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--sample-steps", a.sample_steps, "steps of the sampler")->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("--every", a.every, "draw a picture every so many steps")->check(CLI::Range(1, 10000000))->capture_default_str();
  app.add_option("--picture", a.picture, "where the picture goes (.png)")->capture_default_str();
  app.add_option("--channels", a.channels, "width, a multiple of 24")->check(CLI::Range(24, 4096))->capture_default_str();
  app.add_option("--depth", a.depth, "number of blocks")->check(CLI::Range(0, 1000))->capture_default_str();
  app.add_option("--ema", a.ema, "decay of the moving average")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--seed", a.seed)->capture_default_str();
  app.add_option("--limit", a.limit, "use so many training images only")->check(CLI::NonNegativeNumber);
  app.add_option("--save", a.save, "write the averaged weights here (.safetensors)");
  app.add_option("--load", a.load, "begin with these weights")->check(CLI::ExistingFile);
  app.add_option("--judge", a.judge, "weights of mnist's cnn, which reads the samples")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  if (a.channels % 24) throw error("--channels: " + std::to_string(a.channels) + " is not a multiple of 24");

  on_device(a.device, [&]<class Backend>(Backend) { run<Backend>(a); });
} catch (const std::exception& e) {
  std::fprintf(stderr, "diffusion: %s\n", e.what());
  return 1;
}
