// What the programs about digits share: their axes, their two classifiers, their data, the device they run on, a progress
// bar.
#pragma once
#include <flame/data/batches.hpp>
#include <flame/data/digits.hpp>
#include <flame/io/checkpoint.hpp>
#include <flame/language.hpp>
#include <flame/nn/layers.hpp>
#include <flame/optim/schedule.hpp>
#include <flame/run/function.hpp>
#include <flame/train/step.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <unistd.h>

namespace digits {

using namespace flame;

inline constexpr struct batch : dim<> {} batch;
inline constexpr struct height : dim<28> {} height;
inline constexpr struct width : dim<28> {} width;
inline constexpr struct grey : dim<1> {} grey;
inline constexpr struct digit : dim<10> {} digit;

inline constexpr struct pixel : dim<784> {} pixel;
inline constexpr struct hidden : dim<> {} hidden;
inline constexpr struct narrow : dim<> {} narrow;  // channels after the first convolution
inline constexpr struct wide : dim<> {} wide;      // after the second
inline constexpr struct flat : dim<> {} flat;

// Of MNIST's pixels in 0 .. 1; the classifiers see (pixel - mean) / deviation.
inline constexpr double mean_ink = 0.1307, ink_deviation = 0.3081;
inline constexpr float background = static_cast<float>(-mean_ink / ink_deviation);
inline constexpr float ink = static_cast<float>((1 - mean_ink) / ink_deviation);

template <class Backend>
using images_on = basic_tensor<Backend, f32, tag_of<batch>, tag_of<height>, tag_of<width>, tag_of<grey>>;
template <class Backend>
using labels_on = basic_tensor<Backend, i32, tag_of<batch>>;
using images = images_on<host>;
using labels = labels_on<host>;

// f(host()) or f(cuda()), as --device says. What f instantiates twice is cheap to compile as long as its functions of
// models are not lambdas of its own: those are new functions, and traced anew, on every backend.
template <class F>
void on_device(const std::string& device, F&& f) {
  if (device == "host") return f(host());
#if defined(FLAME_CUDA)
  if (cuda::device_count() == 0) throw error("--device cuda: this machine has no NVIDIA GPU, or no driver for it");
  f(cuda());
#else
  throw error("--device cuda: this build has no CUDA backend");
#endif
}

template <class Place>
struct mlp {
  BOOST_HANA_DEFINE_STRUCT(mlp,
    (linear<in<Place, "fc1">, pixel, hidden>, fc1),
    (linear<in<Place, "fc2">, hidden, digit>, fc2));

  constexpr auto operator()(const auto& x) const {              // [batch, height, width, grey]
    return fc2(relu(fc1(merge(x, height, width, grey, pixel))));  // [batch, digit]
  }
};

template <class Place>
struct cnn {
  BOOST_HANA_DEFINE_STRUCT(cnn,
    (convolution_layer<in<Place, "conv1">, grey, narrow, 3, conv_options{.padding = 1}>, conv1),
    (convolution_layer<in<Place, "conv2">, narrow, wide, 3, conv_options{.padding = 1}>, conv2),
    (linear<in<Place, "fc1">, flat, hidden>, fc1),
    (linear<in<Place, "fc2">, hidden, digit>, fc2));

  constexpr auto operator()(const auto& x) const {  // [batch, height, width, grey]
    auto a = max_pool(relu(conv1(x)));              // [batch, 14, 14, narrow]
    auto b = max_pool(relu(conv2(a)));              // [batch, 7, 7, wide]
    return fc2(relu(fc1(flatten<3>(b, flat))));     // [batch, digit]
  }
};

using clock = std::chrono::steady_clock;
inline double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

// One line that is written over while it grows; where nobody watches, a line now and then.
class progress {
 public:
  progress(std::string what, i64 total) : what_(std::move(what)), total_(total), live_(::isatty(1)) {}
  void operator()(i64 done, const std::string& text) {
    double t = seconds_since(begin_);
    bool last = done == total_;
    if (!last && t - shown_ < (live_ ? 0.1 : 10)) return;
    shown_ = t;
    int filled = static_cast<int>(30 * done / total_);
    std::printf("%s%-9s [%s%s] %lld/%lld  %s  %.0f s%s", live_ ? "\r" : "", what_.c_str(),
                std::string(static_cast<std::size_t>(filled), '#').c_str(),
                std::string(static_cast<std::size_t>(30 - filled), '.').c_str(), done, total_, text.c_str(), t,
                live_ && !last ? "   " : "\n");
    std::fflush(stdout);
  }

 private:
  std::string what_;
  i64 total_;
  bool live_;
  clock::time_point begin_ = clock::now();
  double shown_ = -1e9;
};

// What --precision says.
inline flame::precision precision_of(const std::string& name) {
  return name == "bf16" ? precision::bf16 : name == "f16" ? precision::f16 : precision::full;
}

// A row of images, [count, 28, 28] in 0 .. 1, in the terminal: half as wide and high, two lines of pixels in one of text.
inline void show(const float* pixels, i64 count) {
  if (!::isatty(1)) return;
  auto grey_at = [&](i64 image, i64 top, i64 left) {
    float sum = 0;
    for (i64 dy = 0; dy < 2; ++dy)
      for (i64 dx = 0; dx < 2; ++dx) sum += pixels[(image * 28 + 2 * top + dy) * 28 + 2 * left + dx];
    return 232 + static_cast<int>(23 * std::clamp(sum / 4, 0.0f, 1.0f));
  };
  std::printf("\n");
  for (i64 line = 0; line < 7; ++line) {
    for (i64 i = 0; i < count * 14; ++i)
      std::printf("\x1b[38;5;%d;48;5;%dm\u2580", grey_at(i / 14, 2 * line, i % 14), grey_at(i / 14, 2 * line + 1, i % 14));
    std::printf("\x1b[0m\n");
  }
}

// MNIST's four files in a folder, or, without one, digits that the program draws itself.
inline mnist_data load_digits(const std::string& folder, u64 seed) {
  if (!folder.empty()) return load_mnist(folder);
  std::printf("drawing 60000 + 10000 digits\n");
  return {make_digits(60000, seed), make_digits(10000, seed + 1)};
}

inline constexpr auto read_digit = [](auto m, auto x) { return argmax(m(x), digit); };

// The share of images that the classifier reads as labelled.
template <class Model>
double accuracy(const Model& model, const digits_data& data) {
  auto read = forward(model, read_digit);
  constexpr i64 chunk = 500;
  i64 right = 0;
  std::vector<float> pixels;
  for (i64 first = 0; first < data.size(); first += chunk) {
    i64 n = std::min(chunk, data.size() - first);
    pixels.clear();
    for (i64 i = 0; i < n * 784; ++i)
      pixels.push_back(background + (ink - background) * static_cast<float>(data.images[static_cast<std::size_t>(first * 784 + i)]) / 255.0f);
    auto answers = read(images_on<typename Model::backend>({n, 28, 28, 1}, pixels)).to_vector();
    for (i64 i = 0; i < n; ++i)
      right += answers[static_cast<std::size_t>(i)] == data.labels[static_cast<std::size_t>(first + i)];
  }
  return static_cast<double>(right) / static_cast<double>(data.size());
}

}  // namespace digits
