// safetensors: the corpus of bad files, round trips, the reference's bytes, a full disk, Python's package
// both ways.
#include <flame/io/safetensors.hpp>

#include <cstdio>
#include <fstream>

#include "scratch.hpp"

using namespace flame;
namespace st = flame::safetensors;

namespace {

std::string file_of(const std::string& header, std::size_t data = 0) {
  std::string out(8, '\0');
  const u64 length = header.size();
  std::memcpy(out.data(), &length, 8);
  return out + header + std::string(data, 'd');
}

st::reader opened(const std::string& file) { return st::reader::from_bytes(bytes_of(file), "file"); }

// What is said of a file with this header and that many bytes of data; "" when it opens.
std::string said(const std::string& header, std::size_t data = 0) {
  const std::string file = file_of(header, data);
  return refusal([&] { (void)opened(file); });
}

// A header's entry.
std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

st::tensor_entry entry(const std::string& name, st::dtype type, std::vector<i64> shape,
                       std::string_view data) {
  return {name, type, std::move(shape), bytes_of(data).data(), data.size()};
}

}  // namespace

TEST_CASE("the length is checked before it is trusted") {
  scratch here;
  const auto of = [](const std::string& text) { return refusal([&] { (void)opened(text); }); };
  CHECK_SAID("header too small: 0 bytes", of(""));
  CHECK_SAID("header too small: 7 bytes", of("1234567"));
  CHECK_SAID("header too large: 9223372036854775808", of(std::string("\0\0\0\0\0\0\0\x80", 8)));
  CHECK_SAID("header too large: 18446744073709551615", of(std::string(8, '\xff') + "{}"));
  CHECK_SAID("header too large: 100000001", of(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10)));
  CHECK_SAID("invalid header length: 100000000", of(std::string("\x00\xe1\xf5\x05\0\0\0\0{}", 10)));
  CHECK_SAID("invalid header length: 3 bytes, the file has 2", of(std::string("\3\0\0\0\0\0\0\0{}", 10)));
  write_atomically(here / "empty", "");
  CHECK_REFUSED(here / "empty" + ": header too small", st::reader(here / "empty"));
  CHECK_REFUSED("Is a directory", st::reader(here / ""));
  CHECK_REFUSED("No such file", st::reader(here / "missing"));
}

TEST_CASE("the header is UTF-8, JSON and of the one form") {
  CHECK_SAID("not UTF-8", said("{\"\xff\":0}"));
  CHECK_SAID("not UTF-8", said("{\"\xc0\xaf\":0}"));          // overlong
  CHECK_SAID("not UTF-8", said("{\"\xed\xa0\x80\":0}"));      // a surrogate
  CHECK_SAID("not UTF-8", said("{\"\xf4\x90\x80\x80\":0}"));  // above U+10FFFF
  CHECK_SAID("not UTF-8", said("{}\xe2\x82"));                // cut short
  CHECK_SAID("first byte must be '{'", said(""));
  CHECK_SAID("first byte must be '{'", said("[]"));
  CHECK_SAID("first byte must be '{'", said(" {}"));
  CHECK_SAID("first byte must be '{'", said("\xef\xbb\xbf{}"));
  CHECK_SAID("not valid JSON", said("{"));
  CHECK_SAID("not valid JSON", said("{}}"));
  CHECK_SAID("not valid JSON", said("{} x"));
  CHECK_SAID("not valid JSON", said("{/**/}"));
  CHECK_SAID("not valid JSON", said("{\"a\":{\"dtype\":\"F32\",}}"));
  CHECK_SAID("not valid JSON", said("{\"\\ud800\":{}}"));
  CHECK_SAID("zero byte", said(std::string("{}\0 anything", 12)));
  CHECK_SAID("expected an object for tensor \"a\"", said("{\"a\":1}"));
  CHECK_SAID("expected an object for tensor \"a\"", said("{\"a\":null}"));
  CHECK_SAID("expected an object for tensor \"a\"", said("{\"a\":[" + std::string(100000, '[')));
  CHECK_SAID("expected an object for tensor \"\"", said("{\"\":[]}"));
  CHECK_SAID("expected an array of extents", said("{\"a\":{\"shape\":{\"a\":" + std::string(100000, '[')));
  CHECK_SAID("unknown field \"x\"", said("{\"a\":{\"x\":1}}"));
  CHECK_SAID("lacks one of", said("{\"a\":{}}"));
  CHECK_SAID("lacks one of", said("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}"));
  CHECK_SAID("unknown dtype \"F31\"", said("{" + tensor("a", "F31", "[]", "[0,4]") + "}", 4));
  CHECK_SAID("unknown dtype \"f32\"", said("{" + tensor("a", "f32", "[]", "[0,4]") + "}", 4));
  CHECK_SAID("expected the dtype's name", said("{\"a\":{\"dtype\":1}}"));
  CHECK_SAID("are not two numbers", said("{" + tensor("a", "U8", "[]", "[0]") + "}", 1));
  CHECK_SAID("expected two offsets", said("{" + tensor("a", "U8", "[]", "[0,1,2]") + "}", 1));
  CHECK_SAID("expected two offsets", said("{" + tensor("a", "U8", "[]", "1") + "}", 1));
  CHECK_SAID("found a negative number", said("{" + tensor("a", "U8", "[]", "[-1,0]") + "}"));
  CHECK_SAID("found the number \"0.0\"", said("{" + tensor("a", "U8", "[]", "[0.0,1]") + "}", 1));
  CHECK_SAID("\\x1b", said("{\"\\u001b[31m\":1}"));  // a name cannot reach the terminal raw
}

TEST_CASE("no key occurs twice") {
  const std::string a = tensor("a", "U8", "[1]", "[0,1]");
  CHECK(said("{" + a + "}", 1) == "");
  CHECK_SAID("key \"a\" occurs twice", said("{" + a + "," + a + "}", 1));
  CHECK_SAID("key \"a\" occurs twice",
             said("{" + a + "," + tensor("\\u0061", "U8", "[1]", "[1,2]") + "}", 2));
  CHECK_SAID("\"__metadata__\" twice", said("{\"__metadata__\":{},\"__metadata__\":{}}"));
  CHECK_SAID("metadata key \"k\" twice", said("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}"));
  CHECK_SAID("field \"dtype\" twice", said("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}"));
}

TEST_CASE("metadata are strings") {
  CHECK_SAID("expected a string for the metadata key \"k\"", said("{\"__metadata__\":{\"k\":1}}"));
  CHECK_SAID("expected a string for the metadata key \"k\"", said("{\"__metadata__\":{\"k\":null}}"));
  CHECK_SAID("expected a string for the metadata key \"k\"", said("{\"__metadata__\":{\"k\":{}}}"));
  CHECK_SAID("expected an object of strings", said("{\"__metadata__\":\"k\"}"));
  const std::string file = file_of("{\"__metadata__\":{\"format\":\"pt\",\"\":\"\\u00e9\\n\"}}");
  CHECK(opened(file).metadata() == st::metadata_map{{"format", "pt"}, {"", "\xc3\xa9\n"}});
}

TEST_CASE("offsets leave no hole, no overlap and no trailing byte") {
  const auto two = [](const std::string& first, const std::string& second, std::size_t data) {
    return said("{" + tensor("a", "U8", "[2]", first) + "," + tensor("b", "U8", "[3]", second) + "}", data);
  };
  CHECK(two("[0,2]", "[2,5]", 5) == "");
  CHECK(two("[3,5]", "[0,3]", 5) == "");
  CHECK_SAID("\"b\": invalid offset: [3, 6] where the previous tensor ends at 2", two("[0,2]", "[3,6]", 6));
  CHECK_SAID("\"b\": invalid offset: [1, 4]", two("[0,2]", "[1,4]", 4));
  CHECK_SAID("\"a\": invalid offset: [1, 3]", two("[1,3]", "[3,6]", 6));
  CHECK_SAID("\"b\": invalid offset: [2, 1]", two("[0,2]", "[2,1]", 5));
  CHECK_SAID("its shape needs 3 bytes, its offsets span 4", two("[0,2]", "[2,6]", 6));
  CHECK_SAID("take 5 bytes, the file has 6", two("[0,2]", "[2,5]", 6));
  CHECK_SAID("take 5 bytes, the file has 4", two("[0,2]", "[2,5]", 4));
  CHECK_SAID("take 0 bytes, the file has 1", said("{}", 1));
  CHECK(said("{}") == "");
  CHECK(said("{}      ") == "");
  CHECK_SAID("its shape needs 1 bytes",
             said("{" + tensor("a", "U8", "[]", "[0,18446744073709551615]") + "}", 1));
  CHECK_SAID("found the number", said("{" + tensor("a", "U8", "[]", "[0,18446744073709551616]") + "}", 1));
}

TEST_CASE("shapes do not overflow") {
  const auto one = [](const std::string& dtype, const std::string& shape, u64 bytes) {
    return said("{" + tensor("a", dtype, shape, "[0," + std::to_string(bytes) + "]") + "}", bytes);
  };
  CHECK(one("F32", "[]", 4) == "");
  CHECK(one("F64", "[3,0,9223372036854775807]", 0) == "");
  CHECK(one("F4", "[3,2]", 3) == "");
  CHECK(one("F6_E2M3", "[4]", 3) == "");
  CHECK_SAID("12 bits are no whole number of bytes", one("F4", "[3]", 2));
  CHECK_SAID("no whole number of bytes", one("F6_E3M2", "[2]", 2));
  CHECK_SAID("found a negative number", one("U8", "[-1]", 1));
  CHECK_SAID("is too large", one("U8", "[9223372036854775808]", 1));
  CHECK_SAID("the product of its extents overflows", one("U8", "[4294967296,4294967296]", 0));
  CHECK_SAID("the product of its extents overflows", one("U8", "[4294967296,4294967296,0]", 0));
  CHECK_SAID("its size in bits overflows", one("U8", "[2305843009213693952]", 0));
  CHECK_SAID("its shape needs 2305843009213693951 bytes", one("U8", "[2305843009213693951]", 8));
  for (const st::dtype_row& row : st::dtype_table) CHECK(one(std::string(row.name), "[8]", row.bits) == "");
}

TEST_CASE("every cut of a good file is refused, and no flipped bit crashes") {
  const std::string_view data = "0123456789abcdefghijklmn";
  const st::tensor_entry entries[] = {entry("weight", st::dtype::f32, {2, 2}, data.substr(0, 16)),
                                      entry("bias", st::dtype::int64, {}, data.substr(0, 8))};
  const std::string good = st::serialize(entries, {{"format", "pt"}});
  CHECK(opened(good).entries().size() == 2);
  for (std::size_t size = 0; size < good.size(); ++size) {
    const std::string bad = good.substr(0, size);
    CHECK(refusal([&] { (void)opened(bad); }) != "");
  }
  int refused = 0;
  for (std::size_t bit = 0; bit < 8 * (good.size() - 24); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    refused += refusal([&] { (void)opened(bad); }) != "";
  }
  CHECK(refused > 900);
}

// A seeded fuzz: mutations of a good header; every file is refused or opens with its entries inside the
// bytes.
TEST_CASE("mutated headers are refused or read within the bytes") {
  const std::string header = "{\"__metadata__\":{\"a\":\"b\"}," + tensor("a", "U8", "[2,3]", "[0,6]") + "," +
                             tensor("b", "F4", "[4]", "[6,8]") + "," + tensor("c", "F32", "[]", "[8,12]") +
                             "}";
  const std::string_view words[] = {"0",     "1",       "18446744073709551615",
                                    "9",     "[",       "]",
                                    "{",     "}",       ",",
                                    "\"a\"", "\\u0000", "-",
                                    "null",  "\"",      "F32",
                                    "1e5",   " "};
  u64 state = 7;
  const auto next = [&](std::size_t below) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::size_t>((state >> 33) % below);
  };
  int opens = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = header;
    for (std::size_t changes = next(3); changes < 3; ++changes) {
      const std::size_t at = next(text.size()), length = next(4);
      text.replace(at, length, words[next(std::size(words))]);
    }
    const std::string file = file_of(text, 12);
    const std::string problem = refusal([&] {
      const st::reader reader = opened(file);
      ++opens;
      for (const st::tensor_entry& each : reader.entries()) {
        REQUIRE(each.data + each.bytes <= bytes_of(file).data() + file.size());
        REQUIRE(reader.find(each.name) == &each);
      }
    });
    if (!problem.empty()) CHECK(has(problem, "safetensors: file: "));
  }
  CHECK(opens > 10);
  CHECK(opens < 10000);
}

TEST_CASE("a hundred thousand tensors") {
  std::vector<st::tensor_entry> entries;
  const std::string data = "0123";
  for (int i = 0; i < 100000; ++i)
    entries.push_back(entry("block." + std::to_string(i) + ".weight", st::dtype::f32, {1}, data));
  const std::string file = st::serialize(entries);
  const st::reader reader = opened(file);
  CHECK(reader.entries().size() == 100000);
  CHECK(reader.at("block.99999.weight").bytes == 4);
  CHECK(reader.find("block.100000.weight") == nullptr);
  CHECK_REFUSED("there is no tensor \"x\"", reader.at("x"));
}

TEST_CASE("the bytes are the reference's") {
  const std::string one(8, '1'), two(2, '2'), three(3, '3');
  const st::tensor_entry entries[] = {
      entry("z", st::dtype::uint8, {3}, three), entry("b", st::dtype::bf16, {1, 1}, two),
      entry("a", st::dtype::bf16, {}, two), entry("w", st::dtype::int64, {1}, one),
      entry("e", st::dtype::f32, {0, 2}, "")};
  const std::string header =
      "{\"__metadata__\":{\"a\":\"\\\"\\\\\\n\\u0001/\xc3\xa9\",\"format\":\"pt\"},"
      "\"w\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
      "\"e\":{\"dtype\":\"F32\",\"shape\":[0,2],\"data_offsets\":[8,8]},"
      "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10]},"
      "\"b\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[10,12]},"
      "\"z\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[12,15]}}";
  std::string expected =
      file_of(header + std::string((8 - header.size() % 8) % 8, ' ')) + one + two + two + three;
  const st::metadata_map metadata{{"format", "pt"}, {"a", "\"\\\n\x01/\xc3\xa9"}};
  CHECK(st::serialize(entries, metadata) == expected);
  CHECK(st::serialize({}) == file_of("{}      "));
  std::vector<st::tensor_entry> other(std::rbegin(entries), std::rend(entries));
  CHECK(st::serialize(other, metadata) == expected);
  CHECK(opened(expected).metadata() == metadata);
}

TEST_CASE("write, read, write gives the same bytes") {
  scratch here;
  std::vector<std::string> data;
  std::vector<st::tensor_entry> entries;
  for (std::size_t i = 0; i < std::size(st::dtype_table); ++i) {
    data.push_back(std::string(st::dtype_table[i].bits * 6, static_cast<char>(i % 2)));
    entries.push_back(
        {"tensor " + std::to_string(i) + " \xe2\x82\xac", static_cast<st::dtype>(i), {4, 12}, nullptr, 0});
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    entries[i].data = bytes_of(data[i]).data();
    entries[i].bytes = data[i].size();
  }
  st::write(here / "a.safetensors", entries, {{"k", "v"}});
  const st::reader reader(here / "a.safetensors");
  REQUIRE(reader.entries().size() == entries.size());
  for (const st::tensor_entry& wanted : entries) {
    const st::tensor_entry& got = reader.at(wanted.name);
    CHECK(got.dtype == wanted.dtype);
    CHECK(got.shape == wanted.shape);
    std::vector<std::byte> copy(static_cast<std::size_t>(got.bytes));
    reader.copy(got, copy);
    CHECK(text_of(copy) ==
          std::string(reinterpret_cast<const char*>(wanted.data), static_cast<std::size_t>(wanted.bytes)));
    CHECK_REFUSED("the destination 1", reader.copy(got, std::span(copy).first(1)));
  }
  st::write(here / "b.safetensors", reader.entries(), reader.metadata());
  CHECK(read_file(here / "a.safetensors") == read_file(here / "b.safetensors"));
  CHECK(text_of(read_file(here / "a.safetensors")) == st::serialize(entries, {{"k", "v"}}));
  CHECK(here.count() == 2);
}

TEST_CASE("element types map both ways") {
  for (flame::dtype type :
       {flame::dtype::f32, flame::dtype::f64, flame::dtype::bf16, flame::dtype::f16, flame::dtype::int32,
        flame::dtype::int64, flame::dtype::uint8, flame::dtype::boolean}) {
    CHECK(st::to_flame(st::from_flame(type)) == type);
    CHECK(st::bits_of(st::from_flame(type)) == 8 * static_cast<u64>(size_of(type)));
  }
  CHECK(!st::to_flame(st::dtype::f8_e4m3));
  CHECK_REFUSED("random key", st::from_flame(flame::dtype::key));
  for (const st::dtype_row& row : st::dtype_table) CHECK(st::name_of(*st::dtype_named(row.name)) == row.name);
  CHECK(!st::dtype_named("F128"));
}

TEST_CASE("what would be no good file is not written") {
  scratch here;
  const std::string four = "1234", one = "1";
  const auto of = [&](std::vector<st::tensor_entry> entries, st::metadata_map metadata = {}) {
    return refusal([&] { st::write(here / "a", entries, metadata); });
  };
  CHECK_SAID("\"a\" is given twice",
             of({entry("a", st::dtype::f32, {1}, four), entry("a", st::dtype::uint8, {1}, one)}));
  CHECK_SAID("the name is reserved", of({entry("__metadata__", st::dtype::f32, {1}, four)}));
  CHECK_SAID("its shape needs 8 bytes, given are 4", of({entry("a", st::dtype::f32, {2}, four)}));
  CHECK_SAID("negative", of({entry("a", st::dtype::f32, {-1}, four)}));
  CHECK_SAID("is not UTF-8", of({entry("a\xff", st::dtype::f32, {1}, four)}));
  CHECK_SAID("is not UTF-8", of({}, {{"a", "\xff"}}));
  CHECK_SAID("its data is null", of({{"a", st::dtype::uint8, {1}, nullptr, 1}}));
  CHECK_SAID("overflows", of({{"a", st::dtype::uint8, {i64{1} << 40, i64{1} << 40}, nullptr, 1}}));
  CHECK(here.count() == 0);
  if (std::filesystem::exists("/dev/full"))
    CHECK_REFUSED("/dev/full: cannot write: No space left on device", st::write("/dev/full", {}));
}

TEST_CASE("a file that changes while open is refused when read") {
  scratch here;
  const std::string data = "1234", bad = "\2";
  const st::tensor_entry entries[] = {entry("a", st::dtype::f32, {1}, data),
                                      entry("b", st::dtype::boolean, {1}, bad)};
  st::write(here / "a", entries);
  const st::reader reader(here / "a");
  std::vector<std::byte> copy(4);
  reader.copy(reader.at("a"), copy);
  CHECK(text_of(copy) == "1234");
  CHECK_REFUSED("tensor \"b\" holds a BOOL that is neither 0 nor 1",
                reader.copy(reader.at("b"), std::span(copy).first(1)));
  std::filesystem::resize_file(here / "a", 20);
  CHECK_REFUSED("changed its size while mapped", reader.copy(reader.at("a"), copy));
}

// Needs python3 with numpy and safetensors; says so and passes where they are missing.
TEST_CASE("Python's safetensors reads ours, and we read its files") {
  const std::string python = std::getenv("FLAME_PYTHON") ? std::getenv("FLAME_PYTHON") : "python3";
  if (std::system((python + " -c 'import numpy, safetensors.numpy' >/dev/null 2>&1").c_str()) != 0) {
    MESSAGE("skipped: no python3 with numpy and safetensors (set FLAME_PYTHON)");
    return;
  }
  scratch here;
  const float weights[] = {1.5f, -2.0f, 3.25f, 0.0f, 1e-20f, 7.0f};
  const i64 numbers[] = {-1, i64{1} << 40};
  const u8 flags[] = {1, 0, 1};
  const std::string halves("\x00\x3c\x00\xc0", 4);
  const auto raw = [](const auto& values) {
    return std::string(reinterpret_cast<const char*>(values), sizeof values);
  };
  const std::string weight_bytes = raw(weights), number_bytes = raw(numbers), flag_bytes = raw(flags);
  const st::tensor_entry entries[] = {entry("fc.weight", st::dtype::f32, {2, 3}, weight_bytes),
                                      entry("numbers", st::dtype::int64, {2}, number_bytes),
                                      entry("flags", st::dtype::boolean, {3}, flag_bytes),
                                      entry("half", st::dtype::f16, {2, 1}, halves),
                                      entry("scalar", st::dtype::uint8, {}, "\7"),
                                      entry("none", st::dtype::f64, {0, 4}, "")};
  st::write(here / "ours.safetensors", entries, {{"made by", "flame \xe2\x82\xac \"quoted\""}});
  std::ofstream(here / "check.py") << R"(
import sys, numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
ours, theirs = sys.argv[1:]
t = load_file(ours)
assert sorted(t) == ["fc.weight", "flags", "half", "none", "numbers", "scalar"], sorted(t)
assert t["fc.weight"].dtype == np.float32 and (t["fc.weight"] == np.array([[1.5, -2, 3.25], [0, 1e-20, 7]], np.float32)).all()
assert t["numbers"].dtype == np.int64 and t["numbers"].tolist() == [-1, 2**40]
assert t["flags"].dtype == np.bool_ and t["flags"].tolist() == [True, False, True]
assert t["half"].dtype == np.float16 and t["half"].tolist() == [[1.0], [-2.0]]
assert t["scalar"].dtype == np.uint8 and t["scalar"].shape == () and t["scalar"] == 7
assert t["none"].shape == (0, 4)
with safe_open(ours, "np") as f: metadata = f.metadata()
assert metadata == {"made by": 'flame \u20ac "quoted"'}, metadata
save_file(t, theirs, metadata=metadata)
)";
  REQUIRE(std::system((python + " " + (here / "check.py") + " " + (here / "ours.safetensors") + " " +
                       (here / "theirs.safetensors"))
                          .c_str()) == 0);
  const st::reader theirs(here / "theirs.safetensors");
  CHECK(theirs.entries().size() == std::size(entries));
  CHECK(theirs.at("half").shape == std::vector<i64>{2, 1});
  CHECK(text_of({theirs.at("fc.weight").data, 24}) == weight_bytes);
  CHECK(theirs.metadata().at("made by") == "flame \xe2\x82\xac \"quoted\"");
  CHECK(text_of(read_file(here / "theirs.safetensors")) == text_of(read_file(here / "ours.safetensors")));
}
