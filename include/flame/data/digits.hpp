// Handwritten digits drawn by code: strokes of a pen with random shape, pose and width, in MNIST's form.
#pragma once
#include <flame/data/glyphs.hpp>
#include <flame/data/idx.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <system_error>
#include <thread>

namespace flame {

struct digits_options {
  double variation = 1.0;  // of shape and pose, 0 to 2; at 0 each way to write a digit has one skeleton
  double noise = 1.0;      // unevenness of the ink and of its edge, 0 to 2
  int threads = 0;         // 0: as many as there are cores; the images do not depend on it
};

namespace pen {

// SplitMix64 (Steele, Lea, Flood 2014), one stream an image. Only +, -, *, / and sqrt follow, in double, no
// function of a mathematical library and no distribution of std, so that every machine draws the same images.
class random_stream {
 public:
  random_stream(u64 seed, u64 stream)
      : state_(mix(seed + 0x9e3779b97f4a7c15u) ^ mix(stream * 0xd1342543de82ef95u + 1)) {}

  u64 bits() { return mix(state_ += 0x9e3779b97f4a7c15u); }
  u64 below(u64 count) { return bits() % count; }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Mean 0, standard deviation 1, within 3.5: four uniforms, near enough to a normal and without its tails.
  double normal() {
    double sum = -2;
    for (int i = 0; i < 4; ++i) sum += uniform();
    return sum * 1.7320508075688772;
  }

 private:
  static u64 mix(u64 z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  u64 state_;
};

struct point {
  double x = 0, y = 0;
  friend point operator+(point a, point b) { return {a.x + b.x, a.y + b.y}; }
  friend point operator-(point a, point b) { return {a.x - b.x, a.y - b.y}; }
  friend point operator*(double s, point a) { return {s * a.x, s * a.y}; }
};

// A piece of stroke: a disc of radius from r to r + dr moved from a to a + d.
struct capsule {
  point a, d;
  double r, dr;
};

// Draws one digit after the other; its buffers are kept between them.
class drawer {
 public:
  explicit drawer(const digits_options& options) : options_(options) {}

  // Into 28 x 28 bytes: the digit's box has 20 pixels on its longer side, its centre of mass is at (14, 14).
  void draw(int digit, random_stream& random, u8* out) {
    write_strokes(choose(digit, random), random);
    fit(random);
    ink(random, out);
  }

 private:
  static constexpr int side = 28, margin = 12, wide = side + 2 * margin;  // drawn with room, then shifted

  static const glyph& choose(int digit, random_stream& random) {
    int total = 0;
    for (const glyph& each : glyphs)
      if (each.digit == digit) total += each.weight;
    auto rest = static_cast<int>(random.below(static_cast<u64>(total)));
    const glyph* chosen = nullptr;
    for (const glyph& each : glyphs)
      if (each.digit == digit && rest >= 0) {
        chosen = &each;
        rest -= each.weight;
      }
    return *chosen;
  }

  // Moves the knots as a hand does: each a little, all together by a smooth bend, then proportion, slant,
  // rotation.
  void write_strokes(const glyph& shape, random_stream& random) {
    const double v = options_.variation;
    const double jitter = v * random.uniform(1.0, 3.8);
    double bend[6];
    const double supple = shape.digit == 1 ? 3.5 : 7.0;  // a bent 1 is soon something else
    for (double& each : bend) each = v * supple * random.normal();
    const double stretch = 1.1 + v * 0.2 * random.normal();
    const double slant = 0.01 * shape.slant + v * 0.24 * random.normal();
    const double tangent =
        v * 0.045 * random.normal();  // of half the angle, so that sine and cosine are rational
    const double cosine = (1 - tangent * tangent) / (1 + tangent * tangent),
                 sine = 2 * tangent / (1 + tangent * tangent);
    pressure_ = 0.12 * options_.noise * random.uniform();
    pieces_.clear();
    std::array<point, glyph::most> path;
    std::size_t length = 0;
    for (std::size_t i = 0; i < shape.count; ++i) {
      const knot& each = shape.knots[i];
      const double x = (each.x - 35) * 0.02, y = (each.y - 50) * 0.02;  // within -1 and 1
      point p{each.x - 35 + jitter * random.normal() + bend[0] * x * y + bend[1] * (y * y - 0.33) +
                  bend[2] * x * x,
              each.y - 50 + jitter * random.normal() + bend[3] * x * y + bend[4] * (x * x - 0.15) +
                  bend[5] * y * y};
      p.x = stretch * p.x - slant * p.y;
      p = {cosine * p.x - sine * p.y, sine * p.x + cosine * p.y};
      if (each.how == turn::lift) {
        smooth(path.data(), length, random);
        length = 0;
      }
      path[length++] = p;
      if (each.how == turn::corner) {
        smooth(path.data(), length, random);
        path[0] = p;
        length = 1;
      }
    }
    smooth(path.data(), length, random);
  }

  // Hermite's cubic through the points, its tangents those of parabolas through three neighbours (Bessel).
  void smooth(const point* p, std::size_t count, random_stream& random) {
    if (count < 2) return;
    std::array<point, glyph::most> tangent;
    std::array<double, glyph::most> chord;
    for (std::size_t i = 0; i + 1 < count; ++i) {
      const point d = p[i + 1] - p[i];
      chord[i] = std::sqrt(d.x * d.x + d.y * d.y) + 1e-6;
    }
    for (std::size_t i = 1; i + 1 < count; ++i)
      tangent[i] = (1 / (chord[i - 1] + chord[i])) * ((chord[i] / chord[i - 1]) * (p[i] - p[i - 1]) +
                                                      (chord[i - 1] / chord[i]) * (p[i + 1] - p[i]));
    const point first = (1 / chord[0]) * (p[1] - p[0]),
                last = (1 / chord[count - 2]) * (p[count - 1] - p[count - 2]);
    tangent[0] = count == 2 ? first : 1.5 * first - 0.5 * tangent[1];
    tangent[count - 1] = count == 2 ? last : 1.5 * last - 0.5 * tangent[count - 2];
    double radius = 1 + pressure_ * random.normal();
    point from = p[0];
    for (std::size_t i = 0; i + 1 < count; ++i) {
      const int steps = 1 + static_cast<int>(chord[i] / 9);
      const double next = 1 + pressure_ * random.normal(), step = 1.0 / steps,
                   change = (next - radius) * step;
      for (int k = 1; k <= steps; ++k) {
        const double t = k * step, u = 1 - t;
        const point to = (u * u * (1 + 2 * t)) * p[i] + (t * t * (3 - 2 * t)) * p[i + 1] +
                         (chord[i] * t * u) * (u * tangent[i] - t * tangent[i + 1]);
        pieces_.push_back({from, to - from, radius + (k - 1) * change, change});
        from = to;
      }
      radius = next;
    }
  }

  // Scales to a box of 20 pixels, the ink's width included, its corner at a pixel's corner.
  void fit(random_stream& random) {
    const double z = random.normal();
    const double radius = 1.28 + 0.42 * z + 0.06 * z * z;
    edge_ = random.uniform(0.5, 0.75);
    point low{1e9, 1e9}, high{-1e9, -1e9};
    for (const capsule& each : pieces_)
      for (const point p : {each.a, each.a + each.d}) {
        low = {std::min(low.x, p.x), std::min(low.y, p.y)};
        high = {std::max(high.x, p.x), std::max(high.y, p.y)};
      }
    const double outside = radius + 0.5,
                 scale = (20 - 2 * outside) / std::max(high.x - low.x, high.y - low.y);
    const double corner_at = margin + 4 + outside;
    for (capsule& each : pieces_) {
      each.a = scale * (each.a - low) + point{corner_at, corner_at};
      each.d = scale * each.d;
      each.r *= radius;
      each.dr *= radius;
    }
  }

  // Coverage of each pixel by its distance to the strokes, then a shift by whole pixels, as MNIST was made.
  void ink(random_stream& random, u8* out) {
    depth_.fill(-1e3);
    for (const capsule& each : pieces_) {
      const point b = each.a + each.d;
      const double reach = std::max(each.r, each.r + each.dr) + edge_;
      const int left = clamped(std::min(each.a.x, b.x) - reach),
                right = clamped(std::max(each.a.x, b.x) + reach);
      const int top = clamped(std::min(each.a.y, b.y) - reach),
                bottom = clamped(std::max(each.a.y, b.y) + reach);
      const double inverse = 1 / (each.d.x * each.d.x + each.d.y * each.d.y + 1e-9);
      for (int y = top; y <= bottom; ++y)
        for (int x = left; x <= right; ++x) {
          const double px = x + 0.5 - each.a.x, py = y + 0.5 - each.a.y;
          const double t = std::min(1.0, std::max(0.0, (px * each.d.x + py * each.d.y) * inverse));
          const double dx = px - t * each.d.x, dy = py - t * each.d.y;
          double& depth = depth_[static_cast<std::size_t>(y * wide + x)];
          depth = std::max(depth, each.r + t * each.dr - std::sqrt(dx * dx + dy * dy));
        }
    }
    double mass = 0, mass_x = 0, mass_y = 0;
    const double slope = 0.5 / edge_, rough = 0.10 * options_.noise;
    for (int y = 0; y < wide; ++y)
      for (int x = 0; x < wide; ++x) {
        double& depth = depth_[static_cast<std::size_t>(y * wide + x)];
        if (depth <= -edge_) {
          depth = 0;
          continue;
        }
        depth = std::min(1.0, std::max(0.0, 0.5 + slope * (depth + rough * random.normal())));
        mass += depth;
        mass_x += depth * x;
        mass_y += depth * y;
      }
    const auto shift = [&](double centre) {
      return std::min(wide - side, std::max(0, static_cast<int>(centre + 0.5) - side / 2));
    };
    const int shift_x = shift(mass_x / mass), shift_y = shift(mass_y / mass);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const int from_x = x + shift_x, from_y = y + shift_y;
        out[y * side + x] =
            static_cast<u8>(depth_[static_cast<std::size_t>(from_y * wide + from_x)] * 255 + 0.5);
      }
  }
  static int clamped(double at) { return std::min(wide - 1, std::max(0, static_cast<int>(at))); }

  digits_options options_;
  std::vector<capsule> pieces_;
  std::array<double, wide * wide> depth_{};
  double pressure_ = 0, edge_ = 0.6;
};

}  // namespace pen

// `count` images of digits (28 x 28, 0 background to 255 ink) with their labels: as many of each digit as of
// another (but for a remainder), shuffled. The images are a function of count, seed and options alone,
// whatever the machine, the compiler and the number of threads; take different seeds for training and
// testing. With the default options they are about as hard as MNIST, and look like it. Measured in PyTorch
// (seeds 1 and 2, 60,000 and 10,000 images, five epochs of Adam at 1e-3 with cosine decay, batch 128): a
// network of two convolutions (16 and 32 channels, 128 hidden) reads 99.6 %, an mlp (256 hidden) 98.6 %; the
// first reads 93.7 % of MNIST's test images, and its twin trained three epochs on MNIST 97.4 % of these.
// Throws flame::error for a negative count, or variation or noise outside 0 to 2.
[[nodiscard]] inline digits_data make_digits(int count, u64 seed, const digits_options& options = {}) {
  if (count < 0) throw error("make_digits(count, seed): count must not be negative");
  if (!(options.variation >= 0 && options.variation <= 2 && options.noise >= 0 && options.noise <= 2))
    throw error("make_digits(count, seed, options): variation and noise must be between 0 and 2");
  const auto size = static_cast<std::size_t>(count),
             pixels = std::size_t{digits_data::height * digits_data::width};
  digits_data data;
  data.images.resize(size * pixels);
  data.labels.resize(size);
  for (std::size_t i = 0; i < size; ++i) data.labels[i] = static_cast<u8>(i % digits_data::classes);
  pen::random_stream shuffle(seed, ~u64{0});
  for (std::size_t i = size; i > 1; --i) std::swap(data.labels[i - 1], data.labels[shuffle.below(i)]);

  const auto draw = [&](std::size_t begin, std::size_t end) {
    pen::drawer drawer(options);
    for (std::size_t i = begin; i < end; ++i) {
      pen::random_stream random(seed, i);
      drawer.draw(data.labels[i], random, data.images.data() + i * pixels);
    }
  };
  const unsigned cores =
      options.threads > 0 ? static_cast<unsigned>(options.threads) : std::thread::hardware_concurrency();
  const std::size_t parts = std::max<std::size_t>(1, std::min<std::size_t>(cores, size / 256));
  std::vector<std::thread> others;
  std::size_t begin = 0;
  for (std::size_t part = 1; part < parts; ++part) {
    const std::size_t end = size * part / parts;
    try {
      others.emplace_back(draw, begin, end);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: the rest is drawn here
    }
    begin = end;
  }
  draw(begin, size);
  for (std::thread& other : others) other.join();
  return data;
}

}  // namespace flame
