// Batches of images in an order that depends on a seed and the epoch alone.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/data/idx.hpp>

#include <numeric>
#include <vector>

namespace flame {

// A permutation of 0 .. count - 1 (Fisher and Yates, with Philox): the same on every machine.
[[nodiscard]] inline std::vector<i64> shuffled(i64 count, u64 seed, u64 epoch) {
  std::vector<i64> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), i64{0});
  u64 k = fold(fold(seed, 0x5408), epoch);
  for (i64 i = count - 1; i > 0; --i) {
    philox_block b = philox(k, static_cast<u64>(i));
    u64 random = u64{b.word[0]} << 32 | b.word[1];
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(random % static_cast<u64>(i + 1))]);
  }
  return order;
}

// The next images and labels of a set, for ever: epoch after epoch, each in an order of its own, whole
// batches only.
class digit_batches {
 public:
  digit_batches(const digits_data& data, i64 batch, u64 seed) : data_(&data), batch_(batch), seed_(seed) {
    if (batch < 1 || batch > data.size())
      throw error("digit_batches: batch is " + std::to_string(batch) + ", expected 1 to the " +
                  std::to_string(data.size()) + " images there are");
  }
  [[nodiscard]] i64 batches_per_epoch() const { return data_->size() / batch_; }

  // pixels: [batch, 28, 28], low .. high for 0 .. 255. labels: [batch].
  void next(float* pixels, i32* labels, float low = 0, float high = 1) {
    if (order_.empty() || at_ + batch_ > data_->size()) {
      order_ = shuffled(data_->size(), seed_, epoch_++);
      at_ = 0;
    }
    constexpr i64 size = digits_data::height * digits_data::width;
    for (i64 i = 0; i < batch_; ++i) {
      i64 image = order_[static_cast<std::size_t>(at_ + i)];
      std::span<const u8> from = data_->image(image);
      for (i64 k = 0; k < size; ++k)
        pixels[i * size + k] =
            low + (high - low) * static_cast<float>(from[static_cast<std::size_t>(k)]) / 255.0f;
      labels[i] = data_->labels[static_cast<std::size_t>(image)];
    }
    at_ += batch_;
  }

 private:
  const digits_data* data_;
  i64 batch_, at_ = 0;
  u64 seed_, epoch_ = 0;
  std::vector<i64> order_;
};

}  // namespace flame
