// Drawn digits: the same bits everywhere, MNIST's form, told apart by the simplest classifier.
#include <flame/data/digits.hpp>

#include "../io/scratch.hpp"

using namespace flame;

namespace {

u64 hash_of(const digits_data& data) {  // FNV-1a
  u64 hash = 0xcbf29ce484222325u;
  for (const std::vector<u8>* bytes : {&data.images, &data.labels})
    for (u8 byte : *bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

}  // namespace

TEST_CASE("the same seed draws the same bits, on every machine and compiler") {
  const digits_data data = make_digits(2000, 1);
  CHECK(hash_of(data) == 0x6f785266d88baac4u);
  CHECK(hash_of(make_digits(2000, 1, {.threads = 1})) == hash_of(data));
  CHECK(hash_of(make_digits(2000, 1, {.threads = 7})) == hash_of(data));
  CHECK(hash_of(make_digits(2000, 2)) != hash_of(data));
}

TEST_CASE("labels are balanced and shuffled") {
  for (int count : {0, 1, 10, 999}) {
    const digits_data data = make_digits(count, 3);
    CHECK(data.size() == count);
    CHECK(data.images.size() == static_cast<std::size_t>(count) * 784);
    int of[10] = {};
    for (u8 label : data.labels) ++of[label];
    for (int each : of) CHECK((each == count / 10 || each == count / 10 + 1));
  }
  const digits_data data = make_digits(1000, 4);
  int sorted = 0;
  for (std::size_t i = 1; i < 1000; ++i) sorted += data.labels[i] == (data.labels[i - 1] + 1) % 10;
  CHECK(sorted < 200);
}

TEST_CASE("images have MNIST's form: a box of 20, centred by mass, as much ink") {
  const digits_data data = make_digits(3000, 5);
  double ink = 0;
  for (i64 i = 0; i < data.size(); ++i) {
    const std::span<const u8> image = data.image(i);
    int left = 28, right = -1, top = 28, bottom = -1;
    double mass = 0, mass_x = 0, mass_y = 0;
    u8 darkest = 0;
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x) {
        const u8 value = image[static_cast<std::size_t>(28 * y + x)];
        if (value == 0) continue;
        left = std::min(left, x), right = std::max(right, x), top = std::min(top, y),
        bottom = std::max(bottom, y);
        mass += value, mass_x += value * x, mass_y += value * y;
        darkest = std::max(darkest, value);
      }
    const int longer = std::max(right - left, bottom - top) + 1;
    CHECK((longer >= 18 && longer <= 22));
    CHECK(std::abs(mass_x / mass - 14) < 0.51);
    CHECK(std::abs(mass_y / mass - 14) < 0.51);
    CHECK(darkest > 150);
    ink += mass;
  }
  CHECK(ink / (3000.0 * 784.0) == doctest::Approx(33.3).epsilon(0.06));  // MNIST: 33.3
}

TEST_CASE("the nearest mean of a class tells most digits, not all") {
  const digits_data train = make_digits(5000, 6), test = make_digits(2000, 7);
  std::vector<double> mean(10 * 784);
  for (i64 i = 0; i < train.size(); ++i)
    for (std::size_t k = 0; k < 784; ++k)
      mean[train.labels[static_cast<std::size_t>(i)] * std::size_t{784} + k] += train.image(i)[k] / 500.0;
  int right = 0;
  for (i64 i = 0; i < test.size(); ++i) {
    double best = 1e30;
    std::size_t found = 0;
    for (std::size_t digit = 0; digit < 10; ++digit) {
      double distance = 0;
      for (std::size_t k = 0; k < 784; ++k) {
        const double difference = mean[digit * 784 + k] - test.image(i)[k];
        distance += difference * difference;
      }
      if (distance < best) best = distance, found = digit;
    }
    right += found == test.labels[static_cast<std::size_t>(i)];
  }
  CHECK(right > 1400);  // MNIST: 82 %
  CHECK(right < 1900);
}

TEST_CASE("options at their ends draw, outside are refused") {
  for (double variation : {0.0, 2.0})
    for (double noise : {0.0, 2.0}) {
      const digits_data data = make_digits(2000, 8, {.variation = variation, .noise = noise});
      for (i64 i = 0; i < data.size(); ++i)
        CHECK(*std::max_element(data.image(i).begin(), data.image(i).end()) > 100);
    }
  CHECK_REFUSED("count must not be negative", make_digits(-1, 0));
  CHECK_REFUSED("between 0 and 2", make_digits(1, 0, {.variation = -0.1}));
  CHECK_REFUSED("between 0 and 2", make_digits(1, 0, {.variation = __builtin_nan("")}));
  CHECK_REFUSED("between 0 and 2", make_digits(1, 0, {.noise = 2.1}));
}
