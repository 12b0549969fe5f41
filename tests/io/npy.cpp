// .npy: every element type both ways, versions, byte orders, column-major order; damaged headers are refused.
#include <flame/io/npy.hpp>

#include "scratch.hpp"

using namespace flame;

namespace {

std::string file_of(std::string header, std::string_view data, char version = 1) {
  std::string out = std::string("\x93NUMPY") + version + '\0';
  const std::size_t bytes = version == 1 ? 2 : 4;
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(header.size() >> 8 * i & 0xff);
  return out + header + std::string(data);
}

npy_array parsed(const std::string& file) { return parse_npy(bytes_of(file)); }

template <class T> std::vector<T> values_of(const npy_array& array) {
  std::vector<T> values(array.data.size() / sizeof(T));
  std::memcpy(values.data(), array.data.data(), array.data.size());
  return values;
}

}  // namespace

TEST_CASE("write_npy then read_npy") {
  scratch here;
  for (dtype type :
       {dtype::f32, dtype::f64, dtype::f16, dtype::int32, dtype::int64, dtype::uint8, dtype::boolean})
    for (const std::vector<i64>& shape :
         {std::vector<i64>{}, {0}, {5}, {2, 3}, {2, 0, 3}, {1, 1, 2, 1, 2, 3, 1, 1}}) {
      const u64 size = detail::checked_bytes(shape, static_cast<u64>(size_of(type)), "");
      std::vector<std::byte> data(static_cast<std::size_t>(size));
      for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = static_cast<std::byte>(type == dtype::boolean ? i % 2 : i * 37 + 1);
      write_npy(here / "a.npy", type, shape, data);
      const npy_array got = read_npy(here / "a.npy");
      CHECK(got.dtype == type);
      CHECK(got.shape == shape);
      CHECK(got.data == data);
    }
}

TEST_CASE("the header is what numpy writes") {
  const i64 shape[] = {2, 3}, one[] = {7};
  const std::string head = npy_preamble(dtype::f32, shape);
  CHECK(head.size() % 64 == 0);
  CHECK(head.back() == '\n');
  CHECK(head.substr(0, 8) == std::string("\x93NUMPY\1\0", 8));
  CHECK(has(head, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  "));
  CHECK(has(npy_preamble(dtype::uint8, one), "{'descr': '|u1', 'fortran_order': False, 'shape': (7,), }"));
  CHECK(has(npy_preamble(dtype::boolean, {}), "{'descr': '|b1', 'fortran_order': False, 'shape': (), }"));
  const std::vector<i64> many(30000, 1);
  const std::string large = npy_preamble(dtype::uint8, many);
  CHECK(large[6] == '\2');
  CHECK(large.size() % 64 == 0);
  CHECK(parsed(large + "x").shape == many);
}

TEST_CASE("versions, spacing, quotes and order of keys") {
  for (char version : {'\1', '\2', '\3'}) {
    const npy_array got = parsed(file_of("{ \"shape\":(2,),'fortran_order' :False, 'descr':'<i4' }\n",
                                         {"\1\0\0\0\2\0\0\0", 8}, version));
    CHECK(values_of<i32>(got) == std::vector<i32>{1, 2});
  }
  CHECK_REFUSED("version 4.0 is not known", parsed(file_of("{}", "", 4)));
}

TEST_CASE("big-endian and column-major data are converted") {
  CHECK(values_of<i32>(parsed(file_of("{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }",
                                      {"\0\0\1\2\0\0\3\4", 8}))) == std::vector<i32>{0x102, 0x304});
  CHECK(values_of<double>(parsed(file_of("{'descr': '>f8', 'fortran_order': False, 'shape': (), }",
                                         {"\x3f\xf8\0\0\0\0\0\0", 8}))) == std::vector<double>{1.5});
  const npy_array got = parsed(file_of("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }",
                                       {"\0\1\2\3\4\5\6\7\10\11\12\13", 12}));
  CHECK(values_of<u8>(got) == std::vector<u8>{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11});
  CHECK(values_of<i32>(parsed(file_of("{'descr': '>i4', 'fortran_order': True, 'shape': (2, 2), }",
                                      {"\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4", 16}))) ==
        std::vector<i32>{1, 3, 2, 4});
}

TEST_CASE("what is no .npy is refused") {
  const std::string good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }",
                    whole = file_of(good, "ab");
  CHECK(parsed(whole).shape == std::vector<i64>{2});
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(refusal([&] { (void)parsed(whole.substr(0, size)); }) != "");
  CHECK_REFUSED("not a .npy file", parsed("PK\3\4 something else"));
  CHECK_REFUSED("too long", parsed(whole + "c"));
  const auto head = [](const std::string& header) { (void)parsed(file_of(header, "ab")); };
  CHECK_REFUSED("unknown key", head("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'x': 1}"));
  CHECK_REFUSED("twice", head("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2,)}"));
  CHECK_REFUSED("must have the keys", head("{'descr': '|u1', 'shape': (2,)}"));
  CHECK_REFUSED("does not end", head(good + "}"));
  CHECK_REFUSED("structured", head("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"));
  CHECK_REFUSED("neither True nor False", head("{'descr': '|u1', 'fortran_order': 0, 'shape': (2,)}"));
  CHECK_REFUSED("is not a tuple", head("{'descr': '|u1', 'fortran_order': False, 'shape': (2)}"));
  CHECK_REFUSED("non-negative", head("{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}"));
  CHECK_REFUSED("64 bits", head("{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775808,)}"));
  CHECK_REFUSED("overflows",
                head("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"));
  CHECK_REFUSED("cut short",
                head("{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775807,)}"));
  for (const char* descr : {"|O", "<c8", "<U3", "<f3", "<i2", "u1", "", "<f16"})
    CHECK_REFUSED("is not one of",
                  head(std::string("{'descr': '") + descr + "', 'fortran_order': False, 'shape': (2,)}"));
  CHECK_REFUSED("lacks a byte order",
                parsed(file_of("{'descr': '|f4', 'fortran_order': False, 'shape': ()}", "abcd")));
  CHECK_REFUSED("neither 0 nor 1",
                parsed(file_of("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", {"\1\2", 2})));
}

TEST_CASE("what numpy cannot hold is not written") {
  scratch here;
  const i64 two[] = {2}, negative[] = {-1};
  const std::byte data[4]{};
  CHECK_REFUSED("bf16 has no NumPy element type", write_npy(here / "a", dtype::bf16, two, data));
  CHECK_REFUSED("key has no NumPy element type", write_npy(here / "a", dtype::key, two, data));
  CHECK_REFUSED("the shape needs 8 bytes", write_npy(here / "a", dtype::f32, two, data));
  CHECK_REFUSED("negative", write_npy(here / "a", dtype::f32, negative, data));
  CHECK(here.count() == 0);
}
