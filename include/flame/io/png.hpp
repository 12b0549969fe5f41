// PNG files, through libpng; the only header that includes it.
#pragma once
#include <png.h>
#include <flame/io/atomic_file.hpp>
#include <flame/io/image.hpp>

#include <csetjmp>

namespace flame {

namespace detail {

// libpng reports errors by longjmp, which must not pass over a C++ object. So each of its calls is made in a
// function with trivial locals only, which holds the setjmp and returns false; what lives longer is in the
// codec, whose destructor frees it; and memory is allocated between those functions, where exceptions are
// free to fly.
class png_codec {
 public:
  png_codec(const png_codec&) = delete;
  png_codec& operator=(const png_codec&) = delete;

 protected:
  png_codec() = default;
  ~png_codec() = default;

  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    auto* self = static_cast<png_codec*>(png_get_error_ptr(png));
    std::size_t i = 0;
    for (; text && text[i] && i + 1 < sizeof self->message_; ++i) self->message_[i] = text[i];
    self->message_[i] = '\0';
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[160] = "out of memory";
};

class png_decoder : png_codec {
 public:
  png_decoder(std::span<const std::byte> bytes, const std::string& name) : rest_(bytes), name_(name) {}
  ~png_decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }

  [[nodiscard]] image_u8 decode(u64 limit) {
    if (rest_.size() < 8 || png_sig_cmp(reinterpret_cast<png_const_bytep>(rest_.data()), 0, 8) != 0)
      throw error(name_ + ": not a PNG file");
    if (!read_header()) refuse();
    const u64 row = png_get_rowbytes(png_, info_), height = png_get_image_height(png_, info_);
    if (row * height > limit)
      throw error(name_ + ": has " + std::to_string(row * height) +
                  " bytes of pixels, more than the limit of " + std::to_string(limit));
    image_u8 image{static_cast<int>(png_get_image_width(png_, info_)), static_cast<int>(height),
                   png_get_channels(png_, info_), std::vector<u8>(static_cast<std::size_t>(row * height))};
    std::vector<png_bytep> rows(static_cast<std::size_t>(height));
    for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = image.pixels.data() + y * row;
    if (!read_rows(rows.data())) refuse();
    return image;
  }

 private:
  [[noreturn]] void refuse() const { throw error(name_ + ": damaged PNG: " + message_); }

  static void on_read(png_structp png, png_bytep to, std::size_t count) {
    auto* self = static_cast<png_decoder*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "the file ends early");
    std::memcpy(to, self->rest_.data(), count);
    self->rest_ = self->rest_.subspan(count);
  }

  // Up to the first row; asks for 8 bits a sample, palettes and transparent colours expanded, 16 bits
  // rounded.
  bool read_header() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<png_codec*>(this), on_error, on_warning);
    if (!png_) return false;
    info_ = png_create_info_struct(png_);
    if (!info_) return false;
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_rows(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  std::span<const std::byte> rest_;
  std::string name_;
};

class png_encoder : png_codec {
 public:
  png_encoder() = default;
  ~png_encoder() { png_destroy_write_struct(&png_, &info_); }

  [[nodiscard]] std::vector<std::byte> encode(const image_u8& image) {
    if (!write(image)) throw error(std::string("write_png: ") + message_);
    return std::move(out_);
  }

 private:
  static void on_write(png_structp png, png_bytep from, std::size_t count) {
    auto* self = static_cast<png_encoder*>(png_get_io_ptr(png));
    bool stored = true;
    try {
      const auto* bytes = reinterpret_cast<const std::byte*>(from);
      self->out_.insert(self->out_.end(), bytes, bytes + count);
    } catch (...) {
      stored = false;
    }
    if (!stored) png_error(png, "out of memory");
  }
  static void on_flush(png_structp) {}

  bool write(const image_u8& image) {
    png_ =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<png_codec*>(this), on_error, on_warning);
    if (!png_) return false;
    info_ = png_create_info_struct(png_);
    if (!info_) return false;
    if (setjmp(png_jmpbuf(png_))) return false;
    constexpr int colour[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                              PNG_COLOR_TYPE_RGB_ALPHA};
    png_set_write_fn(png_, this, on_write, on_flush);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
                 8, colour[image.channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    const std::size_t row = std::size_t(image.width) * std::size_t(image.channels);
    for (std::size_t y = 0; y < std::size_t(image.height); ++y)
      png_write_row(png_, image.pixels.data() + y * row);
    png_write_end(png_, nullptr);
    return true;
  }

  std::vector<std::byte> out_;
};

}  // namespace detail

// Decodes a PNG file's content: grey, grey and alpha, RGB or RGBA as stored; palettes become RGB (RGBA where
// they hold transparency), fewer than 8 bits are widened, 16 bits rounded to 8. Sample values are the file's:
// no gamma or colour profile is applied. Throws flame::error, which begins with `name`: not PNG, damaged, cut
// short, or more than `limit` bytes of pixels, which is checked before they are allocated.
[[nodiscard]] inline image_u8 decode_png(std::span<const std::byte> bytes,
                                         const std::string& name = "decode_png", u64 limit = u64{1} << 31) {
  return detail::png_decoder(bytes, name).decode(limit);
}

[[nodiscard]] inline image_u8 read_png(const std::string& path, u64 limit = u64{1} << 31) {
  return decode_png(read_file(path, limit), "read_png: " + path, limit);
}

// The PNG file of an image; the same image gives the same bytes with one version of libpng and zlib.
// Throws flame::error unless sides are 1 to 1,000,000, channels 1 to 4 and the pixels as many as these say.
[[nodiscard]] inline std::vector<std::byte> encode_png(const image_u8& image) {
  if (image.width < 1 || image.height < 1 || image.width > 1'000'000 || image.height > 1'000'000 ||
      image.channels < 1 || image.channels > 4)
    throw error("write_png: width and height must be 1 to 1,000,000, channels 1 to 4, not " +
                std::to_string(image.width) + " x " + std::to_string(image.height) + " x " +
                std::to_string(image.channels));
  const std::size_t expected =
      std::size_t(image.width) * std::size_t(image.height) * std::size_t(image.channels);
  if (image.pixels.size() != expected)
    throw error("write_png: " + std::to_string(expected) + " samples were expected, given are " +
                std::to_string(image.pixels.size()));
  return detail::png_encoder().encode(image);
}

// Writes a PNG file, atomically (see atomic_writer).
inline void write_png(const std::string& path, const image_u8& image) {
  write_atomically(path, encode_png(image));
}

// Writes values (count, height, width, channels), 0 black to 1 white, as one sheet of images: see to_images,
// image_grid.
inline void write_png_grid(const std::string& path, std::span<const float> values, int height, int width,
                           int channels, int columns, int padding = 2) {
  write_png(path, image_grid(to_images(values, height, width, channels), columns, padding));
}

}  // namespace flame
