// Handwritten digits drawn by code: strokes of a pen with random shape, pose and width, in MNIST's form.
#pragma once
#include <flame/data/idx.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <system_error>
#include <thread>

namespace flame {

struct digits_options {
  double variation = 1.0;  // of shape and pose; 0: every image of a variant has the same skeleton
  double noise = 1.0;      // unevenness of the ink and of its edge
  int threads = 0;         // 0: as many as there are cores; the images do not depend on it
};

namespace detail::pen {

// SplitMix64 (Steele, Lea, Flood 2014), one stream an image. Only +, -, *, / and sqrt follow, in double, no function of
// a mathematical library and no distribution of std, so that every machine draws the same images.
class random_stream {
 public:
  random_stream(u64 seed, u64 stream) : state_(mix(seed + 0x9e3779b97f4a7c15u) ^ mix(stream * 0xd1342543de82ef95u + 1)) {}

  u64 bits() { return mix(state_ += 0x9e3779b97f4a7c15u); }
  u64 below(u64 count) { return static_cast<u64>(static_cast<unsigned __int128>(bits()) * count >> 64); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Mean 0, standard deviation 1, within 3.5: four uniforms, near enough to a normal and without its tails.
  double normal() { return (uniform() + uniform() + uniform() + uniform() - 2.0) * 1.7320508075688772; }

 private:
  static u64 mix(u64 z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  u64 state_;
};

enum class turn : u8 { smooth, corner, lift };  // lift: the pen is set down here anew

// A point that the pen passes: x to the right, y down, a digit about 65 wide and 100 high.
struct knot {
  int x = 0, y = 0;
  turn how = turn::smooth;
};

// One way to write a digit.
struct glyph {
  static constexpr std::size_t most = 16;
  int digit, weight, slant;  // weight: how often among the digit's; slant: mean, in hundredths
  std::size_t count;
  std::array<knot, most> knots{};

  consteval glyph(int digit_, int weight_, int slant_, std::initializer_list<knot> list)
      : digit(digit_), weight(weight_), slant(slant_), count(list.size()) {
    std::size_t i = 0;
    for (const knot& each : list) knots[i++] = each;
  }
};

inline constexpr turn corner = turn::corner, lift = turn::lift;

inline constexpr glyph glyphs[] = {
    // A ring, closed at the top, from a narrow to a round one, and one whose ends cross.
    {0, 4, 15, {{40, 2}, {18, 14}, {5, 45}, {12, 82}, {36, 99}, {60, 84}, {68, 50}, {58, 14}, {36, 3}, {30, 8}}},
    {0, 3, 15, {{52, 8}, {30, 1}, {8, 25}, {3, 60}, {20, 95}, {45, 96}, {64, 65}, {62, 28}, {45, 8}, {38, 6}}},
    {0, 2, 20, {{32, 2}, {14, 12}, {6, 48}, {14, 88}, {30, 99}, {46, 88}, {54, 50}, {46, 12}, {30, 2}}},
    {0, 1, 15, {{60, 0}, {40, 4}, {15, 20}, {4, 55}, {18, 92}, {45, 97}, {66, 70}, {64, 30}, {48, 10}, {34, 14}}},
    {0, 3, 20, {{40, 4}, {16, 16}, {4, 48}, {16, 86}, {46, 98}, {78, 82}, {88, 48}, {76, 14}, {48, 2}, {34, 8}}},
    // A stroke; bent; with a flag; with a flag and a foot.
    {1, 12, 24, {{50, 0}, {50, 33}, {50, 67}, {50, 100}}},
    {1, 3, 24, {{46, 0}, {51, 30}, {52, 65}, {48, 100}}},
    {1, 1, 8, {{36, 16}, {50, 2, corner}, {50, 50}, {50, 100}}},
    {1, 1, 8, {{32, 20}, {50, 2, corner}, {50, 50}, {50, 98}, {28, 100, lift}, {50, 99}, {74, 99}}},
    // Angular foot; loop at the foot; wave; flat head; large loop; long foot; curled head.
    {2, 3, 5, {{8, 22}, {22, 4}, {46, 1}, {62, 16}, {58, 40}, {34, 68}, {6, 97, corner}, {36, 96}, {70, 97}}},
    {2, 4, 5, {{8, 20}, {24, 3}, {48, 2}, {62, 18}, {56, 44}, {34, 74}, {14, 92}, {4, 88}, {12, 77}, {28, 82}, {46, 94}, {74, 92}}},
    {2, 2, 5, {{6, 26}, {20, 6}, {44, 0}, {60, 14}, {56, 38}, {36, 66}, {8, 92, corner}, {24, 86}, {46, 96}, {74, 88}}},
    {2, 1, 5, {{6, 8}, {34, 2}, {60, 8}, {56, 30}, {30, 64}, {4, 98, corner}, {38, 94}, {70, 96}}},
    {2, 3, 10, {{10, 30}, {14, 8}, {36, 0}, {56, 14}, {54, 44}, {34, 78}, {12, 98}, {0, 92}, {4, 80}, {22, 78}, {46, 90}, {82, 96}}},
    {2, 3, 10, {{14, 22}, {30, 6}, {48, 16}, {44, 44}, {24, 78}, {2, 92, corner}, {30, 90}, {64, 92}, {96, 96}}},
    {2, 3, 10, {{22, 38}, {8, 22}, {28, 1}, {54, 10}, {56, 36}, {38, 70}, {16, 96}, {2, 90}, {16, 76}, {38, 88}, {70, 98}}},
    // Two bows; flat head; a small loop in the middle; shallow and deep waists.
    {3, 4, 5, {{8, 14}, {28, 1}, {56, 6}, {62, 24}, {46, 42}, {28, 48, corner}, {52, 54}, {66, 74}, {52, 96}, {26, 100}, {4, 88}}},
    {3, 1, 5, {{8, 4}, {34, 4}, {60, 4, corner}, {30, 42, corner}, {54, 50}, {66, 74}, {48, 98}, {22, 99}, {4, 88}}},
    {3, 3, 5, {{10, 12}, {34, 0}, {60, 12}, {52, 34}, {34, 47}, {24, 46}, {32, 43}, {54, 54}, {64, 78}, {46, 99}, {20, 99}, {2, 92}}},
    {3, 3, 5, {{10, 18}, {30, 1}, {56, 9}, {50, 32}, {24, 49, corner}, {52, 53}, {62, 78}, {38, 99}, {0, 96}}},
    {3, 2, 5, {{4, 6}, {40, 0}, {64, 10}, {42, 34}, {18, 51, corner}, {46, 55}, {58, 78}, {38, 98}, {6, 98}}},
    // Open; closed; open and angular; in one stroke.
    {4, 4, 12, {{16, 0}, {8, 40}, {8, 56}, {30, 58}, {66, 52}, {58, 6, lift}, {55, 50}, {52, 100}}},
    {4, 1, 12, {{50, 0}, {26, 34}, {2, 64, corner}, {34, 64}, {74, 62}, {52, 2, lift}, {53, 40}, {53, 100}}},
    {4, 3, 12, {{12, 4}, {4, 50, corner}, {30, 50}, {62, 44}, {66, 0, lift}, {58, 48}, {50, 100}}},
    {4, 3, 12, {{10, 4}, {4, 36}, {20, 52}, {46, 48}, {60, 32}, {66, 2, corner}, {60, 50}, {54, 100}}},
    // Bar drawn last; in one stroke; like an S; each with a small bow and a long bar.
    {5, 3, 12, {{16, 4}, {12, 42, corner}, {34, 36}, {60, 50}, {62, 76}, {40, 98}, {6, 92}, {16, 4, lift}, {40, 4}, {70, 1}}},
    {5, 3, 12, {{66, 2}, {40, 4}, {18, 6, corner}, {12, 42, corner}, {36, 38}, {60, 56}, {56, 82}, {34, 98}, {4, 92}}},
    {5, 2, 12, {{64, 4}, {34, 2}, {16, 16}, {20, 38}, {44, 48}, {60, 66}, {52, 90}, {28, 100}, {6, 90}}},
    {5, 2, 8, {{30, 10}, {24, 40, corner}, {40, 40}, {52, 58}, {42, 84}, {18, 98}, {0, 94}, {30, 10, lift}, {60, 6}, {92, 0}}},
    {5, 3, 8, {{84, 0}, {56, 6}, {30, 12, corner}, {20, 44, corner}, {42, 42}, {54, 62}, {42, 88}, {18, 100}, {2, 94}}},
    // Bent; straight; with a hook at the head; with a wide bowl; the bowl crossing the stem.
    {6, 4, 8, {{54, 2}, {30, 18}, {10, 50}, {6, 78}, {22, 99}, {48, 96}, {58, 78}, {44, 62}, {22, 68}, {10, 84}}},
    {6, 4, 8, {{42, 0}, {22, 34}, {8, 68}, {14, 93}, {36, 100}, {54, 88}, {52, 68}, {36, 60}, {16, 72}, {10, 82}}},
    {6, 1, 8, {{62, 6}, {44, 0}, {20, 22}, {6, 60}, {14, 92}, {38, 100}, {60, 84}, {52, 64}, {30, 60}, {14, 74}}},
    {6, 3, 8, {{34, 0}, {14, 26}, {4, 60}, {10, 89}, {36, 100}, {66, 90}, {70, 68}, {52, 54}, {28, 62}, {14, 82}}},
    {6, 3, 8, {{30, 0}, {10, 40}, {6, 76}, {24, 98}, {52, 92}, {62, 70}, {48, 58}, {30, 70}, {26, 94}}},
    // Angular; with a bar; with a serif; round; with both; with a small head.
    {7, 4, 8, {{2, 8}, {36, 6}, {72, 2, corner}, {54, 34}, {38, 66}, {28, 100}}},
    {7, 2, 8, {{2, 8}, {36, 6}, {72, 2, corner}, {54, 34}, {38, 66}, {28, 100}, {16, 54, lift}, {36, 51}, {60, 46}}},
    {7, 3, 8, {{2, 26}, {6, 4, corner}, {36, 6}, {70, 2, corner}, {52, 40}, {38, 70}, {30, 100}}},
    {7, 2, 8, {{2, 14}, {20, 4}, {48, 6}, {66, 12}, {56, 36}, {40, 66}, {34, 100}}},
    {7, 2, 8, {{0, 26}, {6, 6, corner}, {38, 8}, {70, 2, corner}, {50, 46}, {34, 100}, {14, 54, lift}, {66, 48}}},
    {7, 1, 8, {{10, 18}, {18, 4}, {44, 2}, {58, 12}, {54, 50}, {50, 100}}},
    // From the right; two rings; open at the top; ending in a long stroke.
    {8, 5, 10, {{56, 12}, {38, 0}, {18, 8}, {18, 28}, {36, 46}, {54, 66}, {54, 90}, {34, 100}, {14, 92}, {14, 70}, {34, 48}, {52, 30}, {58, 14}, {50, 4}}},
    {8, 2, 10, {{36, 0}, {18, 10}, {20, 34}, {36, 46}, {52, 32}, {54, 10}, {34, 1}, {38, 46, lift}, {16, 62}, {12, 88}, {34, 100}, {56, 88}, {54, 62}, {34, 46}}},
    {8, 3, 10, {{66, 8}, {42, 1}, {20, 12}, {28, 38}, {44, 56}, {52, 80}, {36, 100}, {18, 88}, {26, 64}, {46, 38}, {68, 12}}},
    {8, 4, 10, {{60, 14}, {40, 0}, {20, 12}, {28, 38}, {44, 62}, {42, 92}, {22, 100}, {8, 86}, {22, 60}, {48, 32}, {82, 4}}},
    // Straight tail; tail bent back; slanting tail; pointed head; round tail.
    {9, 4, 8, {{56, 14}, {34, 2}, {10, 12}, {6, 32}, {24, 43}, {48, 34}, {58, 10, corner}, {56, 50}, {50, 100}}},
    {9, 1, 8, {{54, 10}, {32, 0}, {8, 14}, {10, 36}, {32, 43}, {52, 30}, {58, 10}, {60, 48}, {48, 84}, {22, 100}, {6, 92}}},
    {9, 3, 8, {{52, 10}, {30, 2}, {8, 17}, {12, 38}, {38, 36}, {56, 10, corner}, {46, 56}, {36, 100}}},
    {9, 2, 8, {{54, 5}, {28, 5}, {8, 24}, {16, 43}, {40, 35}, {58, 4, corner}, {52, 52}, {42, 100}}},
    {9, 3, 8, {{54, 14}, {36, 1}, {14, 11}, {10, 30}, {28, 38}, {48, 26}, {56, 10}, {50, 46}, {36, 74}, {18, 100}}},
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
  static constexpr int side = 28, margin = 8, wide = side + 2 * margin;  // drawn with room, then shifted

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

  // Moves the knots as a hand does: each a little, all together by a smooth bend, then proportion, slant, rotation.
  void write_strokes(const glyph& shape, random_stream& random) {
    const double v = options_.variation;
    const double jitter = v * random.uniform(1.0, 3.8);
    double bend[6];
    for (double& each : bend) each = v * 7.0 * random.normal();
    const double stretch = 1.1 + v * 0.2 * random.normal();
    const double slant = 0.01 * shape.slant + v * 0.24 * random.normal();
    const double tangent = v * 0.045 * random.normal();  // of half the angle, so that sine and cosine are rational
    const double cosine = (1 - tangent * tangent) / (1 + tangent * tangent), sine = 2 * tangent / (1 + tangent * tangent);
    pressure_ = 0.12 * options_.noise * random.uniform();
    pieces_.clear();
    std::array<point, glyph::most> path;
    std::size_t length = 0;
    for (std::size_t i = 0; i < shape.count; ++i) {
      const knot& each = shape.knots[i];
      const double x = (each.x - 35) * 0.02, y = (each.y - 50) * 0.02;  // within -1 and 1
      point p{each.x - 35 + jitter * random.normal() + bend[0] * x * y + bend[1] * (y * y - 0.33) + bend[2] * x * x,
              each.y - 50 + jitter * random.normal() + bend[3] * x * y + bend[4] * (x * x - 0.15) + bend[5] * y * y};
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
    const point first = (1 / chord[0]) * (p[1] - p[0]), last = (1 / chord[count - 2]) * (p[count - 1] - p[count - 2]);
    tangent[0] = count == 2 ? first : 1.5 * first - 0.5 * tangent[1];
    tangent[count - 1] = count == 2 ? last : 1.5 * last - 0.5 * tangent[count - 2];
    double radius = 1 + pressure_ * random.normal();
    point from = p[0];
    for (std::size_t i = 0; i + 1 < count; ++i) {
      const int steps = 1 + static_cast<int>(chord[i] / 9);
      const double next = 1 + pressure_ * random.normal(), step = 1.0 / steps, change = (next - radius) * step;
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
    const double outside = radius + 0.5, scale = (20 - 2 * outside) / std::max(high.x - low.x, high.y - low.y);
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
      const int left = clamped(std::min(each.a.x, b.x) - reach), right = clamped(std::max(each.a.x, b.x) + reach);
      const int top = clamped(std::min(each.a.y, b.y) - reach), bottom = clamped(std::max(each.a.y, b.y) + reach);
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
    const int shift_x = static_cast<int>(mass_x / mass + 0.5) - 14, shift_y = static_cast<int>(mass_y / mass + 0.5) - 14;
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const int from_x = x + shift_x, from_y = y + shift_y;
        out[y * side + x] = static_cast<u8>(depth_[static_cast<std::size_t>(from_y * wide + from_x)] * 255 + 0.5);
      }
  }
  static int clamped(double at) { return std::min(wide - 1, std::max(0, static_cast<int>(at))); }

  digits_options options_;
  std::vector<capsule> pieces_;
  std::array<double, wide * wide> depth_{};
  double pressure_ = 0, edge_ = 0.6;
};

}  // namespace detail::pen

// `count` images of digits (28 x 28, 0 background to 255 ink) with their labels: as many of each digit as of another
// (but for a remainder), shuffled. The images are a function of count, seed and options alone, whatever the machine,
// the compiler and the number of threads; take different seeds for training and testing.
// Throws flame::error for a negative count, variation or noise.
[[nodiscard]] inline digits_data make_digits(int count, u64 seed, const digits_options& options = {}) {
  if (count < 0) throw error("make_digits(count, seed): count must not be negative");
  if (!(options.variation >= 0) || !(options.noise >= 0))
    throw error("make_digits(count, seed, options): variation and noise must not be negative");
  const auto size = static_cast<std::size_t>(count), pixels = std::size_t{digits_data::height * digits_data::width};
  digits_data data;
  data.images.resize(size * pixels);
  data.labels.resize(size);
  for (std::size_t i = 0; i < size; ++i) data.labels[i] = static_cast<u8>(i % digits_data::classes);
  detail::pen::random_stream shuffle(seed, ~u64{0});
  for (std::size_t i = size; i > 1; --i) std::swap(data.labels[i - 1], data.labels[shuffle.below(i)]);

  const auto draw = [&](std::size_t begin, std::size_t end) {
    detail::pen::drawer drawer(options);
    for (std::size_t i = begin; i < end; ++i) {
      detail::pen::random_stream random(seed, i);
      drawer.draw(data.labels[i], random, data.images.data() + i * pixels);
    }
  };
  const unsigned cores = options.threads > 0 ? static_cast<unsigned>(options.threads) : std::thread::hardware_concurrency();
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
