// Tensors as text. What stands in brackets is what NumPy prints with precision 4.
#include <doctest/doctest.h>
#include <flame/run/create.hpp>
#include <flame/run/print.hpp>

#include <limits>
#include <sstream>

namespace print_test {

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;

TEST_CASE("Columns are aligned; below stand element type and axes") {
  CHECK(to_string(tensor<f32, row, col>{{1, 2.5}, {-3, 4.12345}}) ==
        "[[ 1.      2.5   ]\n"
        " [-3.      4.1234]]\n"
        "f32[row 2, col 2]");
  CHECK(to_string(arange<f64>(12).reshape(2, 2, 3)) ==
        "[[[ 0.  1.  2.]\n"
        "  [ 3.  4.  5.]]\n"
        "\n"
        " [[ 6.  7.  8.]\n"
        "  [ 9. 10. 11.]]]\n"
        "f64[2, 2, 3]");
  CHECK(to_string(array<i32, 1>{1, -20, 3}) == "[  1 -20   3]\ni32[3]");
  CHECK(to_string(array<bool, 1>{true, false}) == "[ true false]\nbool[2]");
  CHECK(to_string(array<u8, 1>{0, 255}) == "[  0 255]\nu8[2]");
  CHECK(to_string(array<bf16, 1>{0.1, -1}) == "[ 0.1 -1. ]\nbf16[2]");
  CHECK(to_string(array<f16, 1>{0.25, 65504}) == "[2.50e-01 6.55e+04]\nf16[2]");
  CHECK(to_string(array<key, 1>{key(255)}) == "[0xff]\nkey[1]");
}

TEST_CASE("Scientific where numbers are very large, very small or far apart") {
  CHECK(to_string(array<f64, 1>{1e-7, 1, 2.5}) == "[1.0e-07 1.0e+00 2.5e+00]\nf64[3]");
  CHECK(to_string(array<f64, 1>{1e8, 1}) == "[1.e+08 1.e+00]\nf64[2]");
  CHECK(to_string(array<f32, 1>{0.000012345, 0.1}) == "[1.2345e-05 1.0000e-01]\nf32[2]");
  CHECK(to_string(array<f64, 1>{0.1, 100}) == "[  0.1 100. ]\nf64[2]");
}

TEST_CASE("NaN and infinity") {
  const f32 nan = std::numeric_limits<f32>::quiet_NaN(), infinity = std::numeric_limits<f32>::infinity();
  CHECK(to_string(array<f32, 1>{0.1, nan, infinity, -1}) == "[ 0.1  nan  inf -1. ]\nf32[4]");
  CHECK(to_string(array<f32, 1>{nan, -infinity}) == "[ nan -inf]\nf32[2]");
}

TEST_CASE("Scalars are numbers") {
  CHECK(to_string(tensor<f32>(2.5)) == "2.5");
  CHECK(to_string(tensor<f32>(3)) == "3");
  CHECK(to_string(tensor<f64>(1e-9)) == "1e-09");
  CHECK(to_string(tensor<i32>(-7)) == "-7");
  std::ostringstream out;
  out << tensor<f32>(0.123456);
  CHECK(out.str() == "0.1235");
  CHECK(to_string(tensor<f64>(0.123456), {.precision = 6}) == "0.123456");
}

TEST_CASE("Long lines are wrapped, large tensors summarised") {
  CHECK(to_string(arange<i32>(30).reshape(1, 30)) ==
        "[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
        "  24 25 26 27 28 29]]\n"
        "i32[1, 30]");
  CHECK(to_string(arange<i32>(1001)) == "[   0    1    2 ...  998  999 1000]\ni32[1001]");
  CHECK(to_string(arange<f32>(5000).reshape(50, 100)) ==
        "[[0.000e+00 1.000e+00 2.000e+00 ... 9.700e+01 9.800e+01 9.900e+01]\n"
        " [1.000e+02 1.010e+02 1.020e+02 ... 1.970e+02 1.980e+02 1.990e+02]\n"
        " [2.000e+02 2.010e+02 2.020e+02 ... 2.970e+02 2.980e+02 2.990e+02]\n"
        " ...\n"
        " [4.700e+03 4.701e+03 4.702e+03 ... 4.797e+03 4.798e+03 4.799e+03]\n"
        " [4.800e+03 4.801e+03 4.802e+03 ... 4.897e+03 4.898e+03 4.899e+03]\n"
        " [4.900e+03 4.901e+03 4.902e+03 ... 4.997e+03 4.998e+03 4.999e+03]]\n"
        "f32[50, 100]");
  CHECK(to_string(zeros<i32>(2, 600)) ==
        "[[0 0 0 ... 0 0 0]\n"
        " [0 0 0 ... 0 0 0]]\n"
        "i32[2, 600]");
}

TEST_CASE("Views, empty tensors, tensors without memory") {
  const matrix<i32> a{{1, 2, 3}, {4, 5, 6}};
  CHECK(to_string(a.transpose()) == "[[1 4]\n [2 5]\n [3 6]]\ni32[3, 2]");
  CHECK(to_string(a.slice(1, 0, 3, 2)) == "[[1 3]\n [4 6]]\ni32[2, 2]");
  CHECK(to_string(zeros<f32>(row == 0, col == 3)) == "[]\nf32[row 0, col 3]");
  CHECK(to_string(tensor<f32, row>()) == "a tensor without memory");
}

}  // namespace print_test
