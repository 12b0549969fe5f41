// Reads handwritten digits: trains a multilayer perceptron or a small convolutional network, tests it, saves it.
// test: --epochs 1 --limit 2000
#include "digits.hpp"

#include <CLI/CLI.hpp>

using namespace digits;

struct arguments {
  std::string data, device = "host", precision = "f32", model = "cnn", save, load;
  int epochs = 5;
  i64 batch = 128, limit = 0;
  double lr = 2e-3;
  u64 seed = 0;
};

inline constexpr auto loss_of = [](auto m, auto x, auto label) { return cross_entropy(m(x), label); };

template <class Model>
void run(Model model, const arguments& a) {
  std::printf("%s: %lld parameters\n", a.model.c_str(), model.parameter_count());
  mnist_data data = load_digits(a.data, a.seed);
  if (a.limit > 0 && a.limit < data.train.size()) {
    data.train.labels.resize(static_cast<std::size_t>(a.limit));
    data.train.images.resize(static_cast<std::size_t>(a.limit * 784));
  }
  if (!a.load.empty()) load(a.load, model);

  auto step = train_step(model, loss_of, adam{.lr = a.lr}, {.precision = precision_of(a.precision)});
  digit_batches batches(data.train, a.batch, a.seed);
  i64 steps = a.epochs * batches.batches_per_epoch();
  cosine_schedule rate{.peak = a.lr, .total = steps, .warmup = std::min<i64>(100, steps / 10)};
  std::vector<float> pixels(static_cast<std::size_t>(a.batch * 784));
  std::vector<i32> classes(static_cast<std::size_t>(a.batch));
  images_on<typename Model::backend> x(std::vector<i64>{a.batch, 28, 28, 1});
  labels_on<typename Model::backend> y(std::vector<i64>{a.batch});
  progress bar("training", steps);
  for (i64 i = 1; i <= steps; ++i) {
    batches.next(pixels.data(), classes.data(), background, ink);
    step.optimizer().lr = rate(i);
    float loss = step(x.copy_from(pixels), y.copy_from(classes)).item();
    char text[64];
    std::snprintf(text, sizeof text, "epoch %lld  loss %.4f", (i - 1) / batches.batches_per_epoch() + 1, double(loss));
    bar(i, text);
  }
  std::printf("test accuracy: %.2f %%\n", 100 * accuracy(model, data.test));
  if (!a.save.empty()) {
    save(a.save, model);
    std::printf("saved %s\n", a.save.c_str());
  }
}

int main(int argc, char** argv) try {
  arguments a;
  CLI::App app{"Trains a network that reads handwritten digits."};
  app.add_option("--data", a.data, "folder with MNIST's four idx files (.gz too); without it, digits are drawn")
      ->check(CLI::ExistingDirectory);
  app.add_option("--device", a.device, "where to train")->check(CLI::IsMember({"host", "cuda"}))->capture_default_str();
  app.add_option("--model", a.model)->check(CLI::IsMember({"mlp", "cnn"}))->capture_default_str();
  app.add_option("--precision", a.precision, "of what passes from kernel to kernel; weights are f32")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))->capture_default_str();
  app.add_option("--epochs", a.epochs)->check(CLI::Range(0, 10000))->capture_default_str();
  app.add_option("--batch", a.batch)->check(CLI::Range(1, 60000))->capture_default_str();
  app.add_option("--lr", a.lr, "peak of the learning rate")->check(CLI::Range(0.0, 10.0))->capture_default_str();
  app.add_option("--seed", a.seed)->capture_default_str();
  app.add_option("--limit", a.limit, "use so many training images only")->check(CLI::NonNegativeNumber);
  app.add_option("--save", a.save, "write the weights here (.safetensors)");
  app.add_option("--load", a.load, "begin with these weights")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  on_device(a.device, [&]<class Backend>(Backend) {
    if (a.model == "mlp")
      run(init<mlp, Backend>(key(a.seed), hidden == 256), a);
    else
      run(init<cnn, Backend>(key(a.seed), narrow == 16, wide == 32, flat == 7 * 7 * 32, hidden == 128), a);
  });
} catch (const std::exception& e) {
  std::fprintf(stderr, "mnist: %s\n", e.what());
  return 1;
}
