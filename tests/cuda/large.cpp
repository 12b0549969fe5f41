// Tensors of more than 2^31 and 2^32 elements, memory and streams that others own, threads.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <cuda_runtime_api.h>

#include <flame/language.hpp>
#include <flame/run/function.hpp>
#include <thread>

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct which : dim<> {
} which;
inline constexpr struct x : input<f32, row, col> {
} x;

// False, in words, where the device has less to spare.
bool has_room(i64 bytes) {
  std::size_t free = 0, all = 0;
  cuda::synchronize();
  REQUIRE(cudaMemGetInfo(&free, &all) == cudaSuccess);
  if (static_cast<i64>(free) >= bytes) return true;
  MESSAGE("skipped: " << bytes << " free bytes are needed, there are " << free);
  return false;
}
constexpr i64 gib = i64{1} << 30;

// 65600 rows of 32800: 4 million elements more than 2^31. Ones but for some marks, the last beyond 2^31.
constexpr i64 rows = 65600, columns = 32800;
device_tensor<bf16, row, col> marked() {
  device_tensor<bf16, row, col> t(std::vector<i64>{rows, columns});
  t.fill(1);
  t.select(row, 0).select(col, 1).fill(5);
  t.select(row, 65472).select(col, 1216).fill(6);  // at 2^31 - 64
  t.select(row, rows - 1).select(col, columns - 1).fill(7);
  return t;
}
template <class Tensor> float at(const Tensor& t, i64 i, i64 k) {
  return element_cast<float>(t.select(row, i).select(col, k).item());
}

TEST_CASE("maps, rows, sums, copies and rows by index of more than 2^31 elements") {
  if (!has_room(24 * gib)) return;
  const auto t = marked();
  CHECK(t.size() > i64{1} << 31);
  CHECK(at(t, 0, 0) == 1);
  CHECK(at(t, rows - 1, columns - 2) == 1);
  CHECK(at(t, rows - 1, columns - 1) == 7);
  {
    const auto doubled = eval(t * 2 + 1);
    CHECK(at(doubled, 0, 0) == 3);
    CHECK(at(doubled, 0, 1) == 11);
    CHECK(at(doubled, 65472, 1216) == 13);
    CHECK(at(doubled, rows - 1, columns - 2) == 3);
    CHECK(at(doubled, rows - 1, columns - 1) == 15);
  }
  {
    const auto bias = arange<f32>(col == columns, 0, 1).cast<bf16>();
    const auto moved = eval(t + to<cuda>(bias) * 0 + 1);
    CHECK(at(moved, rows - 1, columns - 1) == 8);
    CHECK(at(moved, 65472, 1216) == 7);
  }
  {
    const auto largest = eval(max(t, col));
    CHECK(element_cast<float>(largest.select(row, 65472).item()) == 6);
    CHECK(element_cast<float>(largest.select(row, 65471).item()) == 1);
    CHECK(element_cast<float>(largest.select(row, rows - 1).item()) == 7);
    const auto scaled = eval(t / max(t, col));
    CHECK(at(scaled, rows - 1, columns - 1) == 1);
    CHECK(at(scaled, rows - 1, 0) == element_cast<float>(element_cast<bf16>(1.0f / 7)));
  }
  {
    const auto sums = eval(sum(cast<f32>(t), row));
    CHECK(sums.select(col, 0).item() == static_cast<float>(rows));
    CHECK(sums.select(col, 1216).item() == static_cast<float>(rows + 5));
    CHECK(sums.select(col, columns - 1).item() == static_cast<float>(rows + 6));
    CHECK(eval(sum(cast<f64>(t))).item() == static_cast<double>(rows) * columns + 4 + 5 + 6);
  }
  {
    const auto copy = t.permute(col, row).clone();
    CHECK(at(copy, rows - 1, columns - 1) == 7);
    CHECK(at(copy, 65472, 1216) == 6);
    CHECK(at(copy, 0, 1) == 5);
    CHECK(at(copy, rows - 1, 0) == 1);
  }
  {
    const device_tensor<i32, which> index{rows - 1, 0, 65472};
    const auto taken = eval(cast<f32>(gather(t, index, row)));
    CHECK(taken.select(which, 0).select(col, columns - 1).item() == 7);
    CHECK(taken.select(which, 1).select(col, 1).item() == 5);
    CHECK(taken.select(which, 2).select(col, 1216).item() == 6);
  }
  {
    // Memory that another owns, from beyond 2^31 elements on.
    const auto end = borrow<bf16, cuda>(t.data() + (rows - 2) * columns, row == 2, col == columns);
    const auto doubled = eval(end * 2);
    CHECK(at(doubled, 1, columns - 1) == 14);
    CHECK(at(doubled, 0, 0) == 2);
    CHECK(t.select(row, rows - 1).to_vector().back() == element_cast<bf16>(7.0f));
  }
}

TEST_CASE("more than 2^32 elements of a byte each") {
  if (!has_room(14 * gib)) return;
  const i64 count = (i64{1} << 32) + 4097;
  device_tensor<u8, row> t(std::vector<i64>{count});
  t.fill(1);
  t.slice(row, count - 1, count).fill(3);
  t.slice(row, (i64{1} << 32) - 1, (i64{1} << 32) + 1).fill(4);
  const auto doubled = eval(t + t);
  for (auto [place, value] : {std::pair{i64{0}, 2},
                              {(i64{1} << 32) - 2, 2},
                              {(i64{1} << 32) - 1, 8},
                              {i64{1} << 32, 8},
                              {(i64{1} << 32) + 1, 2},
                              {count - 2, 2},
                              {count - 1, 6}})
    CHECK(static_cast<int>(doubled.select(row, place).item()) == value);
}

TEST_CASE("two threads with a stream of their own each, and memory of cudaMalloc's") {
  std::vector<std::string> wrong(2);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      wrong[t] = refusal([&] {
        cudaStream_t stream = nullptr;
        void* memory = nullptr;
        if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess ||
            cudaMalloc(&memory, 4 * 300 * 70) != cudaSuccess)
          throw error("no stream, or no memory");
        {
          cuda::set_stream(stream);
          const auto a = normal(key(t), row == 300, col == 70);
          const auto mine = borrow<f32, cuda>(static_cast<f32*>(memory), row == 300, col == 70);
          auto f = compile<cuda>(softmax(tanh(x) * x, col) + sum(x, row), x);
          const auto expected = compile<host>(softmax(tanh(x) * x, col) + sum(x, row), x)(a);
          std::vector<f32> first;
          for (int i = 0; i < 50; ++i) {
            mine.copy_from(a.to_vector());
            const auto result = f(mine);
            mine.fill(0);  // in the stream's order: the result is made before
            if (i == 0) first = result.to_vector();
            if (distance(result, expected) > 1e-5) throw error("another result than the host's");
            if (result.to_vector() != first) throw error("other bits");
          }
          cuda::synchronize();
          cuda::set_stream(nullptr);
        }
        cudaFree(memory);
        cudaStreamDestroy(stream);
      });
    });
  for (std::thread& t : threads) t.join();
  for (const std::string& w : wrong) CHECK(w == "");
}

}  // namespace
