// Tensors in .npy files and safetensors entries.
#include <doctest/doctest.h>
#include <flame/io/tensor.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>

#include <filesystem>

namespace tensor_file_test {

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct three : dim<3> {
} three;

TEST_CASE("Tensors through .npy files") {
  const std::string path = (std::filesystem::temp_directory_path() / "tensor.npy").string();
  const tensor<f32, row, col> a{{1, 2, 3}, {4, 5, 6}};
  write_npy(path, a);
  CHECK(all_equal(read_npy<tensor<f32, row, col>>(path), a));
  CHECK(read_npy<tensor<f32, row, three>>(path).shape() == std::vector<i64>{2, 3});
  CHECK(read_npy<matrix<f32>>(path)(1, 2) == 6);

  write_npy(path, a.permute(col, row));  // a view is written as it reads
  CHECK(read_npy(path).shape == std::vector<i64>{3, 2});
  CHECK(all_equal(read_npy<tensor<f32, col, row>>(path).permute(row, col), a));
  CHECK_THROWS_WITH_AS((void)(read_npy<tensor<f64, row, col>>(path)),
                       doctest::Contains("the element type is f32, expected f64"), error);
  CHECK_THROWS_WITH_AS((void)(read_npy<tensor<f32, row>>(path)),
                       doctest::Contains("the extents are (3, 2), expected (any)"), error);
  CHECK_THROWS_WITH_AS((void)(read_npy<tensor<f32, row, three>>(path)),
                       doctest::Contains("the extents are (3, 2), expected (any, 3)"), error);

  write_npy(path, tensor<f64>(2.5));
  CHECK(read_npy<tensor<f64>>(path).item() == 2.5);
  write_npy(path, zeros<i32>(row == 0, col == 4));
  CHECK(read_npy<tensor<i32, row, col>>(path).shape() == std::vector<i64>{0, 4});
  write_npy(path, tensor<bool, row>{true, false});
  CHECK(read_npy<tensor<bool, row>>(path).to_vector() == std::vector<bool>{true, false});
  CHECK_THROWS_AS(write_npy(path, tensor<bf16, row>{1}), error);
  CHECK(read_npy<tensor<bool, row>>(path).size() == 2);  // the file is as it was
}

TEST_CASE("Tensors as safetensors entries") {
  const tensor<bf16, row, col> a{{1, 2}, {3, 4.5}};
  const safetensors::tensor_entry e = to_entry("block.weight", a);
  CHECK(e.name == "block.weight");
  CHECK(e.dtype == safetensors::dtype::bf16);
  CHECK(e.shape == std::vector<i64>{2, 2});
  CHECK(e.bytes == 8);
  CHECK(all_equal(from_entry<tensor<bf16, row, col>>(e), a));
  CHECK_THROWS_WITH_AS((void)(from_entry<tensor<f32, row, col>>(e)),
                       "from_entry: \"block.weight\": the element type is bf16, expected f32", error);
  CHECK_THROWS_AS((void)to_entry("turned", a.transpose()), error);
}

}  // namespace tensor_file_test
