// idx: plain and gzip files, headers that lie, MNIST's four files.
#include <flame/data/idx.hpp>
#include <flame/io/atomic_file.hpp>

#include "../io/scratch.hpp"

using namespace flame;

namespace {

std::string big_endian(u64 value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

std::string file_of(std::initializer_list<u64> extents, const std::string& data, char type = 8) {
  std::string out = {'\0', '\0', type, static_cast<char>(extents.size())};
  for (u64 extent : extents) out += big_endian(extent);
  return out + data;
}

idx_array parsed(const std::string& file) { return parse_idx(bytes_of(file), "idx"); }

std::string packed(const std::string& text) {
  z_stream z{};
  REQUIRE(::deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(::deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(::deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  ::deflateEnd(&z);
  return out;
}

// MNIST's four files in small, the test part with .gz.
void write_set(const scratch& here, u64 train, u64 test, const std::string& labels) {
  write_atomically(here / "train-images-idx3-ubyte", file_of({train, 28, 28}, std::string(train * 784, 'a')));
  write_atomically(here / "train-labels-idx1-ubyte", file_of({labels.size()}, labels));
  write_atomically(here / "t10k-images-idx3-ubyte.gz",
                   packed(file_of({test, 28, 28}, std::string(test * 784, 'b'))));
  write_atomically(here / "t10k-labels-idx1-ubyte.gz", packed(file_of({test}, std::string(test, '\7'))));
}

}  // namespace

TEST_CASE("idx files are read, plain and gzip") {
  scratch here;
  const std::string file = file_of({2, 3}, "abcdef");
  for (const std::string& content : {file, packed(file)}) {
    write_atomically(here / "a", content);
    const idx_array got = read_idx(here / "a");
    CHECK(got.shape == std::vector<i64>{2, 3});
    CHECK(got.data == std::vector<u8>{'a', 'b', 'c', 'd', 'e', 'f'});
  }
  CHECK(parsed(file_of({0, 28, 28}, "")).data.empty());
  CHECK(parsed(file_of({1, 1, 1, 1, 1}, "x")).shape.size() == 5);
  write_atomically(here / "a", packed(file).substr(0, 25));
  CHECK_REFUSED(here / "a" + ": gzip data is cut short", read_idx(here / "a"));
  CHECK_REFUSED("limit of 10 bytes", read_idx(here / "a", 10));
}

TEST_CASE("idx files that are cut short or lie are refused") {
  const std::string good = file_of({2, 3}, "abcdef");
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_REFUSED("idx: cut short", parsed(good.substr(0, size)));
  CHECK_REFUSED("too long: the header promises 6 elements, the file has 7", parsed(good + "g"));
  CHECK_REFUSED("cut short: the header promises 18446744065119617025 elements, the file has 1",
                parsed(file_of({0xffffffff, 0xffffffff}, "a")));
  CHECK_REFUSED("overflows", parsed(file_of({0xffffffff, 0xffffffff, 2}, "a")));
  CHECK_REFUSED("its rank is 0", parsed(file_of({}, "a")));
  CHECK_REFUSED("the header of rank 255 has 1024 bytes", parsed(std::string("\0\0\x08\xff____", 8)));
  CHECK_REFUSED("first two bytes must be zero", parsed("\x89PNG\r\n"));
  CHECK_REFUSED("holds 32-bit floats (code 13)", parsed(file_of({1}, "abcd", 0x0d)));
  CHECK_REFUSED("an unknown element type (code 7)", parsed(file_of({1}, "a", 7)));
}

TEST_CASE("load_mnist finds the four files") {
  scratch here;
  write_set(here, 3, 2, std::string("\0\1\x09", 3));
  const mnist_data data = load_mnist(here.path.string());
  CHECK(data.train.size() == 3);
  CHECK(data.test.size() == 2);
  CHECK(data.train.images == std::vector<u8>(3 * 784, 'a'));
  CHECK(data.train.labels == std::vector<u8>{0, 1, 9});
  CHECK(data.test.image(1).size() == 784);
  CHECK(data.test.image(1)[783] == 'b');
}

TEST_CASE("load_mnist refuses what does not fit together") {
  scratch here;
  const std::string directory = here.path.string();
  CHECK_REFUSED("neither " + directory + "/train-images-idx3-ubyte nor", load_mnist(directory));
  CHECK_REFUSED("neither /nowhere/train-images", load_mnist("/nowhere"));
  write_set(here, 2, 1, "\1");
  CHECK_REFUSED("one label for each of the 2 images", load_mnist(directory));
  write_set(here, 1, 1, "\x0a");
  CHECK_REFUSED("label 10 is not a digit", load_mnist(directory));
  write_set(here, 1, 1, "\1");
  write_atomically(here / "train-images-idx3-ubyte", file_of({1, 28, 27}, std::string(28 * 27, 'a')));
  CHECK_REFUSED("expected images of shape (count, 28, 28)", load_mnist(directory));
}

// FLAME_MNIST names a directory with the real files.
TEST_CASE("the real MNIST") {
  const char* directory = std::getenv("FLAME_MNIST");
  if (!directory) {
    MESSAGE("skipped: FLAME_MNIST names no directory");
    return;
  }
  const mnist_data data = load_mnist(directory);
  CHECK(data.train.size() == 60000);
  CHECK(data.test.size() == 10000);
  CHECK(data.train.labels[0] == 5);
  u64 ink = 0;
  for (u8 value : data.train.images) ink += value;
  CHECK(static_cast<double>(ink) / (60000.0 * 784.0) == doctest::Approx(33.3184).epsilon(1e-4));
}
