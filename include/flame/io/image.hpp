// Images in memory: eight bits a sample, interleaved; and sheets of many.
#pragma once
#include <flame/base/config.hpp>
#include <flame/base/error.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace flame {

// Pixels in reading order, (height, width, channels); channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
struct image_u8 {
  int width = 0, height = 0, channels = 0;
  std::vector<u8> pixels;

  friend bool operator==(const image_u8&, const image_u8&) = default;
};

// Rows of equal images, `columns` a row, `padding` pixels of `background` between and around them.
// Throws flame::error unless there is at least one image, all agree in size and channels, columns >= 1,
// padding >= 0.
[[nodiscard]] inline image_u8 image_grid(std::span<const image_u8> images, int columns, int padding = 2,
                                         u8 background = 0) {
  if (images.empty()) throw error("image_grid(images): there is no image");
  if (columns < 1)
    throw error("image_grid(images, columns): columns must be at least 1, not " + std::to_string(columns));
  if (padding < 0) throw error("image_grid(images, columns, padding): padding must not be negative");
  const image_u8& first = images.front();
  for (const image_u8& image : images) {
    if (image.width != first.width || image.height != first.height || image.channels != first.channels)
      throw error("image_grid(images): the images must agree in width, height and channels");
    if (image.width < 1 || image.height < 1 || image.channels < 1 || image.channels > 4 ||
        image.pixels.size() !=
            std::size_t(image.width) * std::size_t(image.height) * std::size_t(image.channels))
      throw error("image_grid(images): an image's pixels are not those of its width, height and channels");
  }
  const i64 count = static_cast<i64>(images.size());
  const i64 across = count < columns ? count : columns, down = (count + across - 1) / across;
  const i64 width = across * (i64{first.width} + padding) + padding,
            height = down * (i64{first.height} + padding) + padding;
  if (width > 1'000'000 || height > 1'000'000)
    throw error("image_grid(images): the sheet has a side above 1,000,000");
  image_u8 sheet{static_cast<int>(width), static_cast<int>(height), first.channels, {}};
  const auto channels = static_cast<std::size_t>(first.channels), row = std::size_t(first.width) * channels;
  sheet.pixels.assign(std::size_t(width) * std::size_t(height) * channels, background);
  for (i64 i = 0; i < count; ++i) {
    const i64 left = padding + (i % across) * (first.width + padding),
              top = padding + (i / across) * (first.height + padding);
    for (i64 y = 0; y < first.height; ++y)
      std::memcpy(
          sheet.pixels.data() + (std::size_t(top + y) * std::size_t(width) + std::size_t(left)) * channels,
          images[std::size_t(i)].pixels.data() + std::size_t(y) * row, row);
  }
  return sheet;
}

// The images of values (count, height, width, channels): 0 is black, 1 white; outside that range values are
// clamped, and NaN is drawn black. Throws flame::error unless there are count * height * width * channels
// values.
[[nodiscard]] inline std::vector<image_u8> to_images(std::span<const float> values, int height, int width,
                                                     int channels) {
  if (height < 1 || width < 1 || channels < 1 || channels > 4)
    throw error(
        "to_images(values, height, width, channels): height and width must be at least 1, channels 1 to 4");
  const std::size_t size = std::size_t(height) * std::size_t(width) * std::size_t(channels);
  if (values.size() % size != 0)
    throw error("to_images(values, height, width, channels): " + std::to_string(values.size()) +
                " values are no whole number of images of " + std::to_string(size));
  std::vector<image_u8> images(values.size() / size);
  for (std::size_t i = 0; i < images.size(); ++i) {
    images[i] = {width, height, channels, std::vector<u8>(size)};
    for (std::size_t k = 0; k < size; ++k) {
      const float value = values[i * size + k];
      images[i].pixels[k] = value >= 1.0f  ? u8{255}
                            : value > 0.0f ? static_cast<u8>(value * 255.0f + 0.5f)
                                           : u8{0};
    }
  }
  return images;
}

}  // namespace flame
