// Eager work: tensors in formulas, evaluated at once, as in NumPy. A chain is still one kernel, without
// temporaries.
// test:
#include <flame/flame.hpp>

#include <iostream>

using namespace flame;

inline constexpr struct city : dim<> {} city;
inline constexpr struct month : dim<> {} month;

int main() {
  // Literals, tensors made by rule, elements.
  tensor<f32, city, month> rain{{61, 45, 52}, {12, 9, 30}};
  auto noise = uniform(key(7), city == 2, month == 3);
  rain(1, -1) = 31;
  std::cout << rain << "\n\n";

  // One kernel, two inputs, one output.
  auto e = rain / 10 + noise * noise;
  static_assert(kernels(e) == 1);
  std::cout << eval(e) << "\n\n";

  // Reductions name their axes; what is left aligns by name again.
  auto share = eval(rain / sum(rain, month));
  std::cout << "wettest month of each city: " << eval(argmax(rain, month)) << "\n\n" << share << "\n\n";

  // Views share the memory.
  rain.select(city, 1).fill(0);
  std::cout << rain.slice(month, 0, 2).permute(month, city) << "\n\n";

  // Without names, for quick work.
  const matrix<f32> a{{1, 2}, {3, 4}, {5, 6}};
  std::cout << eval(matmul(a.transpose(), a)) << "\n\n";
  std::cout << arange<f32>(6).reshape(2, 3).cast<bf16>() << "\n\n";

  // Files that Python reads.
  write_npy("rain.npy", rain);
  std::cout << "from the file: " << all_equal(read_npy<tensor<f32, city, month>>("rain.npy"), rain) << "\n";

  // What does not fit says so.
  try {
    eval(rain + zeros<f32>(city == 2, month == 4));
  } catch (const error& problem) {
    std::cout << "refused: " << problem.what() << "\n";
  }
}
