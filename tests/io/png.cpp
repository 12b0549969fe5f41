// PNG: every kind of pixel, damage refused without a leak, sheets of images.
#include <zlib.h>
#include <flame/io/png.hpp>

#include "scratch.hpp"

using namespace flame;

namespace {

std::string big_endian(u32 value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<u32>(data.size())) + body + big_endian(static_cast<u32>(sum));
}

std::string deflated(const std::string& data) {
  uLongf size = ::compressBound(data.size());
  std::string out(size, '\0');
  REQUIRE(::compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(data.data()),
                     data.size()) == Z_OK);
  out.resize(size);
  return out;
}

// A PNG file from its parts; `lines` are the filter bytes and samples of every row.
std::string file_of(u32 width, u32 height, int depth, int colour, const std::string& lines,
                    const std::string& before = "", int interlace = 0) {
  const std::string head = big_endian(width) + big_endian(height) +
                           std::string{static_cast<char>(depth), static_cast<char>(colour), '\0', '\0',
                                       static_cast<char>(interlace)};
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + before + chunk("IDAT", deflated(lines)) +
         chunk("IEND", "");
}

image_u8 decoded(const std::string& file, u64 limit = 1 << 20) {
  return decode_png(bytes_of(file), "png", limit);
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (int value : values) out += static_cast<char>(value);
  return out;
}

}  // namespace

TEST_CASE("write_png then read_png") {
  scratch here;
  for (int channels : {1, 2, 3, 4})
    for (int width : {1, 7, 300}) {
      image_u8 image{width, 5, channels, {}};
      for (int i = 0; i < width * 5 * channels; ++i) image.pixels.push_back(static_cast<u8>(i * 31 + i / 7));
      write_png(here / "a.png", image);
      CHECK(read_png(here / "a.png") == image);
      CHECK(encode_png(image) == encode_png(image));
      CHECK(here.count() == 1);
    }
}

TEST_CASE("pixels of every kind") {
  CHECK(decoded(file_of(2, 1, 8, 0, bytes({0, 7, 200}))) == image_u8{2, 1, 1, {7, 200}});
  CHECK(decoded(file_of(8, 1, 1, 0, bytes({0, 0xa5}))) ==
        image_u8{8, 1, 1, {255, 0, 255, 0, 0, 255, 0, 255}});
  CHECK(decoded(file_of(2, 1, 4, 0, bytes({0, 0x3f}))) == image_u8{2, 1, 1, {51, 255}});
  CHECK(decoded(file_of(1, 2, 8, 4, bytes({0, 9, 128, 0, 10, 0}))) == image_u8{1, 2, 2, {9, 128, 10, 0}});
  CHECK(decoded(file_of(1, 1, 8, 2, bytes({0, 1, 2, 3}))) == image_u8{1, 1, 3, {1, 2, 3}});
  CHECK(decoded(file_of(1, 1, 8, 6, bytes({0, 1, 2, 3, 4}))) == image_u8{1, 1, 4, {1, 2, 3, 4}});
  const std::string palette = chunk("PLTE", bytes({10, 20, 30, 40, 50, 60}));
  CHECK(decoded(file_of(2, 1, 8, 3, bytes({0, 1, 0}), palette)) ==
        image_u8{2, 1, 3, {40, 50, 60, 10, 20, 30}});
  CHECK(decoded(file_of(2, 1, 1, 3, bytes({0, 0x40}), palette + chunk("tRNS", bytes({77})))) ==
        image_u8{2, 1, 4, {10, 20, 30, 77, 40, 50, 60, 255}});
  // A transparent colour becomes an alpha channel.
  CHECK(decoded(file_of(2, 1, 8, 0, bytes({0, 7, 8}), chunk("tRNS", bytes({0, 8})))) ==
        image_u8{2, 1, 2, {7, 255, 8, 0}});
  // 16 bits are rounded to v * 255 / 65535: 0x0180 = 384 is 1.49, 0x0182 is 1.502.
  CHECK(decoded(file_of(4, 1, 16, 0, bytes({0, 0xff, 0xff, 1, 0x80, 1, 0x82, 0, 0}))) ==
        image_u8{4, 1, 1, {255, 1, 2, 0}});
  // A gamma chunk changes nothing.
  CHECK(decoded(file_of(1, 1, 8, 0, bytes({0, 99}), chunk("gAMA", big_endian(100000)))) ==
        image_u8{1, 1, 1, {99}});
  // Interlaced, 2 x 2: passes 1 (0,0), 6 (1,0), 7 (row 1).
  CHECK(decoded(file_of(2, 2, 8, 0, bytes({0, 1, 0, 2, 0, 3, 4}), "", 1)) == image_u8{2, 2, 1, {1, 2, 3, 4}});
}

TEST_CASE("damaged files are refused") {
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += bytes({0, i * 5, i * i, 7 * i, 3 * i, i ^ 9, i, 90 - i});
  const std::string good = file_of(7, 40, 8, 0, lines);
  CHECK(decoded(good).height == 40);
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK(refusal([&] { (void)decoded(good.substr(0, size)); }) != "");
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ 0x10);
    CHECK_MESSAGE(refusal([&] { (void)decoded(bad); }) != "", "byte " << byte);
  }
  CHECK_REFUSED("png: not a PNG file", decoded("GIF89a, something else"));
  CHECK_REFUSED("png: damaged PNG: the file ends early", decoded(good.substr(0, good.size() - 20)));
  CHECK_REFUSED("damaged PNG", decoded(file_of(7, 41, 8, 0, lines)));
  CHECK_REFUSED("damaged PNG", decoded(file_of(0, 1, 8, 0, "")));
  CHECK_REFUSED("damaged PNG", decoded(file_of(1, 1, 8, 3, bytes({0, 0}))));
  CHECK_REFUSED("damaged PNG", decoded(file_of(1, 1, 3, 0, bytes({0, 0}))));
}

TEST_CASE("a header that promises too much takes no memory") {
  CHECK_REFUSED("more than the limit of 1048576", decoded(file_of(1000000, 1000000, 8, 6, bytes({0}))));
  CHECK_REFUSED("damaged PNG", decoded(file_of(0x7fffffff, 0x7fffffff, 16, 6, bytes({0}))));
  CHECK_REFUSED("limit of 3", decoded(file_of(2, 2, 8, 0, bytes({0, 1, 2, 0, 3, 4})), 3));
  CHECK(decoded(file_of(2, 2, 8, 0, bytes({0, 1, 2, 0, 3, 4})), 4).width == 2);
}

TEST_CASE("files say their path; nothing is written for a bad image") {
  scratch here;
  CHECK_REFUSED(here / "missing.png", read_png(here / "missing.png"));
  write_atomically(here / "bad.png", "bad");
  CHECK_REFUSED(here / "bad.png" + ": not a PNG file", read_png(here / "bad.png"));
  CHECK_REFUSED("No such file or directory", write_png(here / "no/a.png", {1, 1, 1, {0}}));
  CHECK_REFUSED("6 samples were expected, given are 5",
                write_png(here / "a.png", {2, 1, 3, std::vector<u8>(5)}));
  CHECK_REFUSED("channels 1 to 4", write_png(here / "a.png", {1, 1, 5, std::vector<u8>(5)}));
  CHECK_REFUSED("width and height", write_png(here / "a.png", {0, 1, 1, {}}));
  CHECK(here.count() == 1);
}

TEST_CASE("to_images clamps and rounds") {
  const float values[] = {0.0f, 1.0f, 0.5f, -3.0f, 7.0f, __builtin_nanf(""), __builtin_inff(), 0.002f};
  const std::vector<image_u8> images = to_images(values, 2, 2, 1);
  REQUIRE(images.size() == 2);
  CHECK(images[0] == image_u8{2, 2, 1, {0, 255, 128, 0}});
  CHECK(images[1] == image_u8{2, 2, 1, {255, 0, 255, 1}});
  CHECK_REFUSED("8 values are no whole number of images of 3", to_images(values, 1, 1, 3));
  CHECK_REFUSED("at least 1", to_images(values, 0, 1, 3));
  CHECK(to_images({}, 2, 2, 1).empty());
}

TEST_CASE("image_grid places images in rows") {
  std::vector<image_u8> images;
  for (int i = 1; i <= 3; ++i) images.push_back({2, 1, 1, std::vector<u8>(2, static_cast<u8>(i))});
  CHECK(image_grid(images, 2, 1, 9) == image_u8{7, 5, 1, {9, 9, 9, 9, 9, 9, 9,  //
                                                          9, 1, 1, 9, 2, 2, 9,  //
                                                          9, 9, 9, 9, 9, 9, 9,  //
                                                          9, 3, 3, 9, 9, 9, 9,  //
                                                          9, 9, 9, 9, 9, 9, 9}});
  CHECK(image_grid(images, 10, 0) == image_u8{6, 1, 1, {1, 1, 2, 2, 3, 3}});
  CHECK_REFUSED("there is no image", image_grid({}, 2));
  CHECK_REFUSED("columns must be at least 1", image_grid(images, 0));
  CHECK_REFUSED("padding must not be negative", image_grid(images, 1, -1));
  images[1].width = 1;
  CHECK_REFUSED("must agree", image_grid(images, 2));
  images[1] = {2, 1, 1, {}};
  CHECK_REFUSED("an image's pixels", image_grid(images, 2));
}

TEST_CASE("write_png_grid writes a sheet") {
  scratch here;
  const std::vector<float> values(3 * 4 * 5 * 3, 1.0f);
  write_png_grid(here / "sheet.png", values, 4, 5, 3, 2, 1);
  const image_u8 sheet = read_png(here / "sheet.png");
  CHECK(sheet.width == 13);
  CHECK(sheet.height == 11);
  CHECK(sheet.channels == 3);
}
