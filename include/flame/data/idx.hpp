// idx files, the format of MNIST: big-endian header, then bytes; plain or gzip.
#pragma once
#include <flame/io/gzip.hpp>

#include <cstring>

namespace flame {

struct idx_array {
  std::vector<i64> shape;
  std::vector<u8> data;  // row-major
};

// Images of handwritten digits and what they show.
struct digits_data {
  static constexpr i64 height = 28, width = 28, classes = 10;
  std::vector<u8> images;  // (count, 28, 28), 0 background to 255 ink
  std::vector<u8> labels;  // (count), 0 to 9

  [[nodiscard]] i64 size() const { return static_cast<i64>(labels.size()); }
  [[nodiscard]] std::span<const u8> image(i64 index) const {
    return std::span(images).subspan(static_cast<std::size_t>(index * height * width),
                                     std::size_t{height * width});
  }
};

// Parses an idx file's content: bytes 0, 0, type, rank; rank big-endian 32-bit extents; the elements.
// Throws flame::error, which begins with `name`, unless the type is 0x08 (unsigned byte), the rank at least 1
// and the length exactly what the header says.
[[nodiscard]] inline idx_array parse_idx(std::span<const std::byte> bytes,
                                         const std::string& name = "parse_idx") {
  const auto refuse = [&](const std::string& what) { throw error(name + ": " + what); };
  const auto at = [&](std::size_t i) { return static_cast<u64>(bytes[i]); };
  if (bytes.size() < 4)
    refuse("cut short: an idx file has at least 4 bytes, this has " + std::to_string(bytes.size()));
  if (at(0) != 0 || at(1) != 0) refuse("not an idx file: its first two bytes must be zero");
  if (at(2) != 0x08) {
    const char* type = at(2) == 0x09   ? "signed bytes"
                       : at(2) == 0x0b ? "16-bit integers"
                       : at(2) == 0x0c ? "32-bit integers"
                       : at(2) == 0x0d ? "32-bit floats"
                       : at(2) == 0x0e ? "64-bit floats"
                                       : "an unknown element type";
    refuse("holds " + std::string(type) + " (code " + std::to_string(at(2)) +
           "); only unsigned bytes (8) are read");
  }
  const auto rank = static_cast<std::size_t>(at(3)), header = 4 + 4 * rank;
  if (rank == 0) refuse("its rank is 0; an idx array has at least one axis");
  if (bytes.size() < header)
    refuse("cut short: the header of rank " + std::to_string(rank) + " has " + std::to_string(header) +
           " bytes, the file " + std::to_string(bytes.size()));
  idx_array array;
  u64 count = 1;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::size_t i = 4 + 4 * axis;
    const u64 extent = at(i) << 24 | at(i + 1) << 16 | at(i + 2) << 8 | at(i + 3);
    array.shape.push_back(static_cast<i64>(extent));
    if (__builtin_mul_overflow(count, extent, &count)) refuse("the product of its extents overflows");
  }
  const u64 present = bytes.size() - header;
  if (present != count)
    refuse(std::string(present < count ? "cut short" : "too long") + ": the header promises " +
           std::to_string(count) + " elements, the file has " + std::to_string(present));
  array.data.resize(static_cast<std::size_t>(count));
  if (count != 0) std::memcpy(array.data.data(), bytes.data() + header, array.data.size());
  return array;
}

// Reads an idx file, plain or gzip. Throws flame::error as parse_idx and read_maybe_gzip do.
[[nodiscard]] inline idx_array read_idx(const std::string& path, u64 limit = u64{1} << 33) {
  return parse_idx(read_maybe_gzip(path, limit), "read_idx: " + path);
}

struct mnist_data {
  digits_data train, test;
};

// The four files of MNIST (or of a set in its form: Fashion-MNIST, KMNIST) in a directory, each plain or with
// .gz: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte.
// Throws flame::error when one is missing or damaged, images are not 28 x 28, counts differ or a label
// exceeds 9.
[[nodiscard]] inline mnist_data load_mnist(const std::string& directory) {
  const auto find = [&](const std::string& name) {
    const std::string path = directory + "/" + name;
    for (const char* suffix : {"", ".gz"})
      if (::access((path + suffix).c_str(), F_OK) == 0) return path + suffix;
    throw error("load_mnist: neither " + path + " nor " + path + ".gz exists");
  };
  const auto load = [&](const std::string& part) {
    const std::string image_path = find(part + "-images-idx3-ubyte"),
                      label_path = find(part + "-labels-idx1-ubyte");
    idx_array images = read_idx(image_path), labels = read_idx(label_path);
    if (images.shape.size() != 3 || images.shape[1] != digits_data::height ||
        images.shape[2] != digits_data::width)
      throw error("load_mnist: " + image_path + ": expected images of shape (count, 28, 28)");
    if (labels.shape.size() != 1 || labels.shape[0] != images.shape[0])
      throw error("load_mnist: " + label_path + ": expected one label for each of the " +
                  std::to_string(images.shape[0]) + " images");
    for (u8 label : labels.data)
      if (label >= digits_data::classes)
        throw error("load_mnist: " + label_path + ": label " + std::to_string(int{label}) +
                    " is not a digit");
    return digits_data{std::move(images.data), std::move(labels.data)};
  };
  return {load("train"), load("t10k")};
}

}  // namespace flame
