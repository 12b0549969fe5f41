// gzip: whole files, several members, padding; every cut and every flipped bit is refused.
#include <flame/io/atomic_file.hpp>
#include <flame/io/gzip.hpp>

#include "scratch.hpp"

using namespace flame;

namespace {

std::string packed(std::string_view text, int level = 6) {
  z_stream z{};
  REQUIRE(::deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
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

std::string unpacked(std::string_view text, u64 limit = 1 << 24) {
  return text_of(gunzip(bytes_of(text), limit));
}

std::string sample(std::size_t size) {
  std::string text(size, '\0');
  u32 state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 30);
  return text;
}

}  // namespace

TEST_CASE("gzip round trips") {
  for (std::size_t size : {0u, 1u, 1000u, 3000000u})
    for (int level : {0, 9}) CHECK(unpacked(packed(sample(size), level)) == sample(size));
}

TEST_CASE("members are joined, zero padding is dropped, anything else is refused") {
  const std::string both = packed("one ") + packed("") + packed("two");
  CHECK(unpacked(both) == "one two");
  CHECK(unpacked(both + std::string(100, '\0')) == "one two");
  CHECK_REFUSED("bytes that are not gzip follow", unpacked(both + "x"));
  CHECK_REFUSED("bytes that are not gzip follow", unpacked(both + std::string(3, '\0') + packed("three")));
  CHECK_REFUSED("cut short", unpacked(both + "\x1f\x8b"));
}

TEST_CASE("every cut and every flipped bit is refused") {
  const std::string text = sample(500), good = packed(text);
  for (std::size_t size = 2; size < good.size(); ++size)
    CHECK_REFUSED("gzip data is cut short", unpacked(good.substr(0, size)));
  CHECK_REFUSED("cut short", unpacked(""));
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    const std::size_t byte = bit / 8;
    // Time, extra flags and system in the header mean nothing, and one flag only says that the content is
    // text; the last byte before the checksum may end in padding.
    const bool harmless = (byte >= 4 && byte < 10) || bit == 24 || byte == good.size() - 9;
    std::string got;
    const std::string said = refusal([&] { got = unpacked(bad); });
    CHECK((said != "" || (harmless && got == text)));
  }
}

TEST_CASE("the limit holds before memory is taken") {
  const std::string bomb = packed(std::string(1 << 26, '\0'), 9);
  CHECK(bomb.size() < 100000);
  CHECK_REFUSED("content is larger than the limit of 1000000 bytes", unpacked(bomb, 1000000));
  const std::string text = sample(4096), good = packed(text);
  CHECK(unpacked(good, 4096) == text);
  CHECK_REFUSED("limit of 4095 bytes", unpacked(good, 4095));
  CHECK_REFUSED("limit of 0 bytes", unpacked(good, 0));
  CHECK(unpacked(packed(""), 0).empty());
}

TEST_CASE("read_maybe_gzip reads both kinds") {
  scratch here;
  write_atomically(here / "plain", "text");
  write_atomically(here / "packed", packed("text"));
  write_atomically(here / "short", packed("text").substr(0, 20));
  write_atomically(here / "empty", "");
  CHECK(text_of(read_maybe_gzip(here / "plain")) == "text");
  CHECK(text_of(read_maybe_gzip(here / "packed")) == "text");
  CHECK(read_maybe_gzip(here / "empty").empty());
  CHECK_REFUSED(here / "short" + ": gzip data is cut short", read_maybe_gzip(here / "short"));
  CHECK_REFUSED("limit of 3 bytes", read_maybe_gzip(here / "plain", 3));
  CHECK_REFUSED("No such file", read_maybe_gzip(here / "missing"));
}
